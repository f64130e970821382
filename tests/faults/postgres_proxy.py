"""A TCP proxy in front of PostgreSQL that breaks connections at chosen points of the protocol.

It reads enough of protocol version 3 to know which SQL text is being sent and when its answer is
complete, so that a test can cut between a COMMIT and its answer, and it passes everything else
(authentication, COPY, notices) through unread. It knows simple queries, which is all that psycopg2
sends; statements of the extended protocol pass, but no fault matches them. It imports nothing of
the ledger.

    with PostgresProxy(database_url) as proxy:
        engine = create_engine(proxy.url())
        fault = proxy.cut_after_commit()
        ...                                    # the next COMMIT is done, and never answered
        fault.wait()

The proxy runs in a thread of its own, so that it serves sync and async tests alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, TypeVar, Unpack

from sqlalchemy.engine import URL, make_url

T = TypeVar("T")

#: A COMMIT, alone or as the last of several statements in one query message.
COMMIT = r"(?:^|;)\s*COMMIT\b(?!\s+PREPARED)"

_CHUNK_BYTES = 1 << 16
_LOOP_TIMEOUT_SECONDS = 30.0

_CANCEL_REQUEST = 80877102
_SSL_REQUEST = 80877103
_GSSENC_REQUEST = 80877104

#: Frontend messages that the server answers with a ReadyForQuery: Query, Sync, FunctionCall.
_ANSWERED = (b"Q", b"S", b"F")


class When(TypedDict, total=False):
    """Which of the matching events a fault strikes; by default the next one, once."""

    #: Strike the n-th matching event from now, once. 1 is the next.
    nth: int
    #: Strike every matching event with this probability, until disarmed; `nth` is then ignored.
    probability: float
    #: Seed of the probability, so that a run can be repeated.
    seed: int


Stage = Literal["before", "after"]
Action = Literal["cut", "hold"]


class Fault:
    """One armed fault: whether it has struck, and, for a hold, the way to let go."""

    def __init__(
        self,
        proxy: PostgresProxy,
        stage: Stage,
        action: Action,
        pattern: str,
        hold_seconds: float | None,
        when: When,
    ) -> None:
        self.stage = stage
        self.action = action
        #: How long a hold lasts; None is until `release`.
        self.hold_seconds = hold_seconds
        #: How many events it has struck.
        self.fired = 0
        self._proxy = proxy
        self._pattern = re.compile(pattern, re.IGNORECASE)
        self._nth = when.get("nth", 1)
        self._probability = when.get("probability")
        self._random = random.Random(when.get("seed", 0))
        self._matched = 0
        self._armed = True
        self._fired_event = threading.Event()
        self._released = asyncio.Event()

    def wait(self, timeout_seconds: float = 10.0) -> None:
        """Return when it has struck at least once; raises TimeoutError."""
        if not self._fired_event.wait(timeout_seconds):
            raise TimeoutError(f"{self} has not struck in {timeout_seconds} s")

    async def wait_async(self, timeout_seconds: float = 10.0) -> None:
        """As `wait`, without blocking the caller's event loop."""
        await asyncio.to_thread(self.wait, timeout_seconds)

    def release(self) -> None:
        """Let everything go that this fault holds back, now and later."""
        self._proxy._call(self._released.set)

    def disarm(self) -> None:
        """Strike no more. What is held stays held until `release`."""
        self._proxy._call(self._disarm)

    def _disarm(self) -> None:
        self._armed = False

    def _strikes(self, sql: str) -> bool:
        if not self._armed or not self._pattern.search(sql):
            return False
        self._matched += 1
        if self._probability is not None:
            strikes = self._random.random() < self._probability
        else:
            strikes = self._matched == self._nth
            self._armed = not strikes
        if strikes:
            self.fired += 1
        return strikes

    def __str__(self) -> str:
        return f"{self.action} {self.stage} /{self._pattern.pattern}/"


@dataclass
class _Exchange:
    """One query of a client, from being forwarded until its ReadyForQuery has come back."""

    is_commit: bool
    fault: Fault | None


@dataclass
class _Session:
    """One client connection and its connection to the server."""

    number: int
    client_reader: asyncio.StreamReader
    client_writer: asyncio.StreamWriter
    server_writer: asyncio.StreamWriter | None = None
    exchanges: deque[_Exchange] = field(default_factory=deque)

    def abort(self) -> None:
        """Close both sides at once; what was not yet passed on is lost."""
        self.client_writer.transport.abort()
        if self.server_writer is not None:
            self.server_writer.transport.abort()


class _Closed(Exception):
    """One side has gone away, or a fault has cut the connection."""


class PostgresProxy:
    """The proxy; listens on a free port of 127.0.0.1 from `__enter__` to `__exit__`.

    `upstream` is a SQLAlchemy-style URL of the server, by TCP or with the directory of its Unix
    socket as `host` in the query. Counters may be read at any time from any thread.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = make_url(upstream)
        #: Connections that clients opened and the proxy accepted.
        self.connections_seen = 0
        #: Query messages that clients sent.
        self.queries_seen = 0
        #: Queries that contain a COMMIT, whether or not they were passed on.
        self.commits_seen = 0
        #: COMMITs that were passed on to the server.
        self.commits_forwarded = 0
        #: COMMITs that the server answered with COMMIT, whether or not the client heard of it.
        self.commits_confirmed = 0
        #: COMMITs that the server answered with ROLLBACK, because the transaction had failed.
        self.commits_rolled_back = 0
        #: Events that an armed fault struck.
        self.faults_fired = 0
        #: The latest queries, as (connection number, what became of it, start of the SQL).
        self.log: deque[tuple[int, str, str]] = deque(maxlen=1000)
        self._faults: list[Fault] = []
        self._sessions: dict[int, _Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run_loop, name="postgres-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        #: Bound and never listening: keeps the port ours while connections are refused.
        self._reservation = _bound_socket(0)
        self.port: int = self._reservation.getsockname()[1]

    # -- use ------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._thread.start()
        self.accept_connections()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LOOP_TIMEOUT_SECONDS)
        self._loop.close()
        self._reservation.close()

    def url(self, database: str | None = None, user: str | None = None) -> str:
        """The SQLAlchemy-style URL that leads through the proxy; by default as the upstream's."""
        query = {k: v for k, v in self._upstream.query.items() if k not in ("host", "port")}
        return URL.create(
            self._upstream.drivername,
            username=user or self._upstream.username,
            password=self._upstream.password,
            host="127.0.0.1",
            port=self.port,
            database=database or self._upstream.database,
            query=query,
        ).render_as_string(hide_password=False)

    def redirect(self, upstream: str) -> None:
        """Lead new connections to another server, under the same address."""
        self._upstream = make_url(upstream)

    @property
    def connections_open(self) -> int:
        """Connections that are open now."""
        return len(self._sessions)

    # -- faults at a named point -----------------------------------------------------------------

    def cut_before(self, pattern: str, **when: Unpack[When]) -> Fault:
        """Armed: a query matching the regex is not passed on; both sides are closed.

        The pattern is searched in the SQL text, ignoring case.
        """
        return self._arm("before", "cut", pattern, None, when)

    def cut_after(self, pattern: str, **when: Unpack[When]) -> Fault:
        """Armed: a matching query is passed on, its answer awaited and lost; both sides close."""
        return self._arm("after", "cut", pattern, None, when)

    def hold_before(
        self, pattern: str, seconds: float | None = None, **when: Unpack[When]
    ) -> Fault:
        """Armed: a matching query waits before it is passed on; None is until `release`.

        When its client goes away meanwhile, the query is dropped and the server's side closed, as
        if it had never been sent.
        """
        return self._arm("before", "hold", pattern, seconds, when)

    def hold_after(self, pattern: str, seconds: float | None = None, **when: Unpack[When]) -> Fault:
        """Armed: a matching query is passed on and its complete answer waits; None is until
        `release`."""
        return self._arm("after", "hold", pattern, seconds, when)

    def cut_before_commit(self, **when: Unpack[When]) -> Fault:
        """Armed: COMMIT is not passed on; both sides are closed, so the server rolls back."""
        return self.cut_before(COMMIT, **when)

    def cut_after_commit(self, **when: Unpack[When]) -> Fault:
        """Armed: COMMIT is passed on and answered, and the client is cut off without hearing it."""
        return self.cut_after(COMMIT, **when)

    def hold_commit(self, seconds: float | None = None, **when: Unpack[When]) -> Fault:
        """Armed: COMMIT waits before it is passed on; None is until `release`."""
        return self.hold_before(COMMIT, seconds, **when)

    def hold_commit_answer(self, seconds: float | None = None, **when: Unpack[When]) -> Fault:
        """Armed: COMMIT is passed on and its answer waits; None is until `release`."""
        return self.hold_after(COMMIT, seconds, **when)

    def disarm_all(self) -> None:
        """Let no armed fault strike any more, and let go of all that they hold."""

        def disarm() -> None:
            for fault in self._faults:
                fault._disarm()
                fault._released.set()
            self._faults.clear()

        self._call(disarm)

    # -- faults at once --------------------------------------------------------------------------

    def swallow(self) -> None:
        """From now on nothing is passed in either direction, not even that a side has closed.

        New connections are accepted and never answered, as behind a blackhole route.
        """
        self._call(self._flowing.clear)

    def release(self) -> None:
        """End `swallow`: what both sides have sent meanwhile is passed on."""
        self._call(self._flowing.set)

    def refuse_connections(self) -> None:
        """From now on connecting fails with ECONNREFUSED; open connections stay."""
        self._run(self._stop_listening())

    def accept_connections(self) -> None:
        """End `refuse_connections`, on the same port."""
        self._run(self._listen())

    def cut_all(self) -> None:
        """Close both sides of every open connection at once."""
        self._call(self._abort_all)

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Within the block every connection is cut and new ones are refused."""
        self.refuse_connections()
        self.cut_all()
        try:
            yield
        finally:
            self.accept_connections()

    # -- the thread and its loop -----------------------------------------------------------------

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return future.result(_LOOP_TIMEOUT_SECONDS)

    def _call(self, function: Callable[[], None]) -> None:
        async def call() -> None:
            function()

        self._run(call())

    def _arm(
        self,
        stage: Stage,
        action: Action,
        pattern: str,
        seconds: float | None,
        when: When,
    ) -> Fault:
        fault = Fault(self, stage, action, pattern, seconds, when)
        self._call(lambda: self._faults.append(fault))
        return fault

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, sock=_bound_socket(self.port))

    async def _stop_listening(self) -> None:
        if self._server is not None:
            # Without wait_closed, which from Python 3.12 on would wait for open connections too.
            self._server.close()
            self._server = None
            await asyncio.sleep(0)

    async def _close(self) -> None:
        await self._stop_listening()
        self._abort_all()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _abort_all(self) -> None:
        for session in list(self._sessions.values()):
            session.abort()

    # -- one connection --------------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections_seen += 1
        # asyncio does it only for sockets made with an explicit protocol number.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = _Session(self.connections_seen, reader, writer)
        self._sessions[session.number] = session
        task = self._loop.create_task(self._serve(session))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, session: _Session) -> None:
        # OSError: the other side of a socket is gone; IncompleteReadError: gone during start-up.
        with contextlib.suppress(_Closed, OSError, asyncio.IncompleteReadError):
            try:
                await self._start(session)
            finally:
                del self._sessions[session.number]
                session.abort()

    async def _start(self, session: _Session) -> None:
        """Answer requests for encryption with no, then connect and pass on all that follows."""
        while True:
            head = await session.client_reader.readexactly(8)
            await self._flowing.wait()
            length, code = struct.unpack("!ii", head)
            if code not in (_SSL_REQUEST, _GSSENC_REQUEST):
                break
            session.client_writer.write(b"N")
        packet = head + await session.client_reader.readexactly(length - 8)
        server_reader, server_writer = await self._connect()
        session.server_writer = server_writer
        server_writer.write(packet)
        if code == _CANCEL_REQUEST:
            await server_reader.read()  # The server acts on it, then closes without an answer.
            return
        pumps = {
            self._loop.create_task(self._pump_client(session, server_writer)),
            self._loop.create_task(self._pump_server(session, server_reader)),
        }
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        for pump in done:
            pump.result()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host = self._upstream.host or self._upstream.query.get("host", "127.0.0.1")
        port = self._upstream.port or int(str(self._upstream.query.get("port", 5432)))
        if str(host).startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(str(host), port)

    async def _pump_client(self, session: _Session, server_writer: asyncio.StreamWriter) -> None:
        buffer = bytearray()
        while True:
            await self._receive(session.client_reader, buffer)
            for kind, message in _messages(buffer):
                if kind in _ANSWERED:
                    await self._query(session, kind, message, buffer)
                server_writer.write(message)
            await server_writer.drain()

    async def _query(
        self, session: _Session, kind: bytes, message: bytes, buffer: bytearray
    ) -> None:
        """Account for a message that will be answered; raises `_Closed` when it is cut off."""
        sql = message[5:-1].decode(errors="replace") if kind == b"Q" else ""
        is_commit = re.search(COMMIT, sql, re.IGNORECASE) is not None
        fault = None
        if kind == b"Q":
            self.queries_seen += 1
            self.commits_seen += is_commit
            fault = next((fault for fault in self._faults if fault._strikes(sql)), None)
        if fault is None:
            self.log.append((session.number, "passed", sql[:200]))
        else:
            self.faults_fired += 1
            self.log.append((session.number, str(fault), sql[:200]))
            if fault.stage == "before":
                await self._strike(session, fault, buffer)
                fault = None
        self.commits_forwarded += is_commit
        session.exchanges.append(_Exchange(is_commit, fault))

    async def _strike(self, session: _Session, fault: Fault, buffer: bytearray) -> None:
        """Do what a fault before a query does: cut, or hold while listening for the client."""
        if fault.action == "cut":
            session.abort()
            fault._fired_event.set()
            raise _Closed
        fault._fired_event.set()
        held = self._loop.create_task(self._hold(fault))
        more = None
        try:
            while not held.done():
                more = self._loop.create_task(session.client_reader.read(_CHUNK_BYTES))
                await asyncio.wait({held, more}, return_when=asyncio.FIRST_COMPLETED)
                more.cancel()
                await asyncio.wait({more})
                if more.cancelled():
                    continue
                if not more.result():
                    raise _Closed
                buffer += more.result()
        finally:
            held.cancel()
            if more is not None:
                more.cancel()

    async def _hold(self, fault: Fault) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(fault._released.wait(), fault.hold_seconds)
        await self._flowing.wait()

    async def _pump_server(self, session: _Session, server_reader: asyncio.StreamReader) -> None:
        buffer = bytearray()
        withheld = bytearray()
        passed = bytearray()
        while True:
            await self._receive(server_reader, buffer)
            for kind, message in _messages(buffer):
                exchange = session.exchanges[0] if session.exchanges else None
                fault = exchange.fault if exchange else None
                if kind == b"C" and exchange and exchange.is_commit:
                    self.commits_confirmed += message[5:-1] == b"COMMIT"
                    self.commits_rolled_back += message[5:-1] == b"ROLLBACK"
                if kind == b"Z" and exchange:
                    session.exchanges.popleft()
                if fault is None:
                    passed += message
                    continue
                withheld += message
                if kind == b"G":  # CopyInResponse: the client sends its rows before the answer.
                    passed += withheld
                    withheld.clear()
                elif kind == b"Z":
                    if fault.action == "cut":
                        session.abort()
                        fault._fired_event.set()
                        raise _Closed
                    session.client_writer.write(bytes(passed))
                    fault._fired_event.set()
                    await self._hold(fault)
                    passed[:], withheld = withheld, bytearray()
            session.client_writer.write(bytes(passed))
            passed.clear()
            await session.client_writer.drain()

    async def _receive(self, reader: asyncio.StreamReader, buffer: bytearray) -> None:
        data = await reader.read(_CHUNK_BYTES)
        await self._flowing.wait()
        if not data:
            raise _Closed
        buffer += data


def _bound_socket(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _messages(buffer: bytearray) -> Iterator[tuple[bytes, bytes]]:
    """The complete messages at the start of the buffer as (type, whole message), taken out of it.

    The buffer may grow between two messages.
    """
    start = 0
    try:
        while len(buffer) - start >= 5:
            end = start + 1 + int.from_bytes(buffer[start + 1 : start + 5])
            if end > len(buffer):
                return
            message = bytes(buffer[start:end])
            start = end
            yield message[:1], message
    finally:
        del buffer[:start]
