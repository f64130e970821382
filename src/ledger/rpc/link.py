"""How a worker and the process that started it talk: messages over a pair of connected sockets.

Both are the same program on the same machine, and nobody else can reach the sockets: messages are
pickled tuples, a word first. From the worker:

    ("ready",)              both ports answer
    ("alive",)              the answer to "beat"
    ("measured", metrics)   what was asked for with "measure"
    ("ask", metrics)        somebody wants to see the metrics of all workers, these are mine

and to the worker:

    ("beat",)               say that you are there
    ("measure",)            say what your metrics are
    ("shown", metrics)      the answer to "ask"

When the socket ends, the process at the other end has. Imports the standard library and metrics.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client.core import Metric

from ledger.metrics import Metrics

_LENGTH_BYTES = 4
#: for all workers to say what their metrics are, with some to spare
ANSWER_SECONDS = 5.0


class Link:
    """One end of the pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> Link:
        return cls(*await asyncio.open_connection(sock=end))

    def send(self, *message: Any) -> None:
        """Send without waiting; nobody may be there any more."""
        data = pickle.dumps(message)
        self._writer.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)

    async def receive(self) -> tuple[Any, ...] | None:
        """The next message; None when the other end has ended."""
        try:
            length = int.from_bytes(await self._reader.readexactly(_LENGTH_BYTES), "big")
            message: tuple[Any, ...] = pickle.loads(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return message

    def close(self) -> None:
        self._writer.close()


class Sibling:
    """A worker's side: it tells what it measured, and asks for what all of them measured."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._link: Link | None = None
        self._asking = asyncio.Lock()
        self._shown: asyncio.Future[list[Metric]] | None = None

    async def attend(self, metrics: Metrics, on_orphaned: Callable[[], None]) -> None:
        """Say that this worker is ready, then answer until the parent has ended."""
        self._link = link = await Link.open(self._end)
        link.send("ready")
        while (message := await link.receive()) is not None:
            match message:
                case ("beat",):
                    link.send("alive")
                case ("measure",):
                    link.send("measured", list(metrics.registry.collect()))
                case ("shown", shown) if self._shown is not None and not self._shown.done():
                    self._shown.set_result(shown)
        on_orphaned()

    async def all_metrics(self, own: Iterable[Metric]) -> list[Metric]:
        """The metrics of all workers in one. Raises TimeoutError."""
        async with self._asking:
            if self._link is None:
                raise TimeoutError("the worker is not ready")
            self._shown = asyncio.get_running_loop().create_future()
            self._link.send("ask", list(own))
            return await asyncio.wait_for(self._shown, ANSWER_SECONDS)
