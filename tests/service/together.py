"""Runs calls at the same moment, each on a thread and a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from tests.conftest import RunningServer
from tests.service.client import Client, Failure
from tests.service.conftest import TRANSPORTS, client_of

T = TypeVar("T")


def at_once(calls: Sequence[Callable[[], T]]) -> list[T | Failure]:
    """The answer or Failure of each call, in order; all begin when all are ready."""
    ready = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T | Failure:
        ready.wait(10)
        try:
            return call()
        except Failure as failure:
            return failure

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


class Tills:
    """Clients spread over servers and transports."""

    def __init__(self, servers: Sequence[RunningServer], count: int) -> None:
        self.clients: list[Client] = [
            client_of(servers[index % len(servers)], TRANSPORTS[index // 2 % 2])
            for index in range(count)
        ]

    def all(self, call: Callable[[Client], T]) -> list[T | Failure]:
        """What each of them is answered, all at once."""
        return at_once([partial(call, client) for client in self.clients])

    def __enter__(self) -> Tills:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.close()
