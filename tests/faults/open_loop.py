"""Callers that do not wait for each other: purchases come at a rate, whatever becomes of them.

They are sent by a process of its own over many connections, as tills have them. It speaks HTTP/2 by
hand, and no more of it than one method needs, because a gRPC library takes as long to send a call
as the service takes to answer it: on a small machine it would be the load that is measured. Nobody
repeats anything: each call has one answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import random
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple

from tests.service.requests import purchase

#: what a till waits, before it gives its customer the receipt without points
TIMEOUT_SECONDS = 5
_CONNECTIONS = 32
_MEMBERS = 2_000

#: refused by the service, or by gRPC before the service has seen it
OK, REFUSED, CUT_SHORT = "OK", "refused", "cut short"
RESET, LOST = "reset", "lost"


class Answered(NamedTuple):
    """One call; instants are in seconds since the load began."""

    #: when it was to be sent
    due: float
    sent: float
    answered: float
    #: OK; REFUSED or CUT_SHORT with a status; RESET without one; LOST: none came
    answer: str

    @property
    def seconds(self) -> float:
        return self.answered - self.sent


class Stage(NamedTuple):
    """So many calls per second for so long; or, with `callers`, so many who each send the next call
    when theirs is answered."""

    seconds: float
    rate: float = 0.0
    callers: int = 0


class OpenLoop:
    """A process that sends. Made by `open_loop`."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def start(self, *stages: Stage) -> None:
        """Begin to send, one stage after the other."""
        self._pipe.send(stages)
        assert self._pipe.recv() == "begun"

    def result(self) -> list[Answered]:
        """Every call, once all are answered."""
        answers: list[Answered] = self._pipe.recv()
        return answers

    def run(self, *stages: Stage) -> list[Answered]:
        self.start(*stages)
        return self.result()


@contextmanager
def open_loop(address: str, seed: int) -> Iterator[OpenLoop]:
    """A process that sends to a server until the block ends."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_main, args=(theirs, address, seed), daemon=True)
    process.start()
    theirs.close()
    try:
        yield OpenLoop(ours)
    finally:
        ours.close()
        process.join(10)
        process.kill()


def _main(pipe: Connection, address: str, seed: int) -> None:
    import uvloop

    uvloop.run(_serve(pipe, address, seed))


async def _serve(pipe: Connection, address: str, seed: int) -> None:
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    calls = _Calls(seed)
    for _ in range(_CONNECTIONS):
        _, connection = await loop.create_connection(
            lambda: _Http2(address, calls.answer), host, int(port)
        )
        calls.connections.append(connection)
    gc.disable()  # what is kept of a call is nothing that it would find
    while True:
        try:
            stages: Sequence[Stage] = await asyncio.to_thread(pipe.recv)
        except EOFError:
            return
        pipe.send("begun")
        answers = await calls.make(stages)
        await asyncio.to_thread(pipe.send, answers)


class _Calls:
    """Makes calls at their time, and keeps what became of them."""

    def __init__(self, seed: int) -> None:
        self.connections: list[_Http2] = []
        self._chance = random.Random(seed)
        request = purchase(f"{seed}-" + "#" * 8, member_id="m-****")
        self._template = request.SerializeToString()
        self._count = 0
        self._began = 0.0
        self._end = 0.0
        self._callers = 0
        #: all was sent; set when all is answered
        self._over: asyncio.Event | None = None
        self._open: dict[int, tuple[float, float]] = {}
        self._answers: list[Answered] = []

    async def make(self, stages: Sequence[Stage]) -> list[Answered]:
        self._answers = []
        self._open = {}
        self._over = None
        self._began = time.monotonic()
        due = self._end = 0.0
        for stage in stages:
            self._end += stage.seconds
            self._callers = stage.callers
            for _ in range(stage.callers):
                self._call(self._now())
            if stage.callers:
                await asyncio.sleep(self._end - self._now())
                due = self._end
                continue
            while (due := due + self._chance.expovariate(stage.rate)) < self._end:
                await asyncio.sleep(max(0.0, due - self._now()))
                self._call(due)
            due = self._end
        self._over = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            if self._open:
                await asyncio.wait_for(self._over.wait(), TIMEOUT_SECONDS + 1)
        lost = [Answered(due, sent, self._now(), LOST) for due, sent in self._open.values()]
        return self._answers + lost

    def answer(self, call: int, answer: str) -> None:
        if call in self._open:
            self._answers.append(Answered(*self._open.pop(call), self._now(), answer))
        if self._callers and self._now() < self._end:
            self._call(self._now())
        elif self._over and not self._open:
            self._over.set()

    def _call(self, due: float) -> None:
        self._count += 1
        request = self._template.replace(b"#" * 8, b"%08d" % self._count)
        request = request.replace(b"****", b"%04d" % self._chance.randrange(_MEMBERS))
        self._open[self._count] = due, self._now()
        self.connections[self._count % len(self.connections)].call(self._count, request)

    def _now(self) -> float:
        return time.monotonic() - self._began


_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _WINDOW = 0, 1, 3, 4, 6, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_LARGE = 1 << 30


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def _header(name: bytes, value: bytes) -> bytes:
    """As HPACK has it, in full: neither compressed nor kept."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


class _Http2(asyncio.Protocol):
    """One connection. `on_answer(call, answer)` is called once for each call at most."""

    def __init__(self, authority: str, on_answer: Callable[[int, str], None]) -> None:
        self._on_answer = on_answer
        self._headers = b"".join(
            _header(name, value)
            for name, value in (
                (b":method", b"POST"),
                (b":scheme", b"http"),
                (b":path", b"/ledger.v1.PointsService/RecordPurchase"),
                (b":authority", authority.encode()),
                (b"te", b"trailers"),
                (b"content-type", b"application/grpc"),
                (b"grpc-timeout", b"%dS" % TIMEOUT_SECONDS),
            )
        )
        self._stream = -1
        self._calls: dict[int, int] = {}
        #: those of them that were sent a message, which only a call that succeeds is
        self._messages: set[int] = set()
        self._input = b""
        #: what the server is ready to take, and what waits for that
        self._window = 65_535
        self._waiting: deque[bytes] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        large = struct.pack("!HI", 4, _LARGE)  # so much may come for each call
        self._transport.write(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(_SETTINGS, 0, 0, large)
            + _frame(_WINDOW, 0, 0, struct.pack("!I", _LARGE))
        )

    def connection_lost(self, _: Exception | None) -> None:
        for stream in list(self._calls):
            self._ended(stream, RESET)

    def call(self, call: int, request: bytes) -> None:
        self._stream += 2
        self._calls[self._stream] = call
        message = struct.pack("!BI", 0, len(request)) + request
        self._waiting.append(
            _frame(_HEADERS, _END_HEADERS, self._stream, self._headers)
            + _frame(_DATA, _END_STREAM, self._stream, message)
        )
        self._send()

    def _send(self) -> None:
        while self._waiting and self._window >= len(self._waiting[0]):
            data = self._waiting.popleft()
            self._window -= len(data)  # a little more than what counts
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        data = self._input + data
        place = 0
        while len(data) - place >= 9:
            length = int.from_bytes(data[place : place + 3], "big")
            if len(data) - place < 9 + length:
                break
            kind, flags, stream = struct.unpack_from("!BBI", data, place + 3)
            self._received(kind, flags, stream, data[place + 9 : place + 9 + length])
            place += 9 + length
        self._input = data[place:]

    def _received(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA:
            self._messages.add(stream)
        elif kind == _HEADERS and flags & _END_STREAM:
            refusal = CUT_SHORT if b"CANCELLED" in payload else REFUSED
            self._ended(stream, OK if stream in self._messages else refusal)
        elif kind == _RESET and stream in self._calls:
            self._ended(stream, RESET)
        elif kind == _SETTINGS and not flags & _ACK:
            self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._transport.write(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW and stream == 0:
            self._window += int.from_bytes(payload, "big")
            self._send()

    def _ended(self, stream: int, answer: str) -> None:
        self._messages.discard(stream)
        self._on_answer(self._calls.pop(stream), answer)
