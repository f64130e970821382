"""Natural group work: while one batch is being worked on, what arrives waits and is the next batch.

A `Batcher` owns one thread that takes everything waiting, works on it as one batch and hands the
results back to the event loop. A single request is a batch of one. Nothing waits for a timer: under
little load batches are small and quick, under much load they are large and cheap per item.

Both share one interpreter. So the thread lets the loop hand the answers on, and take in what has
arrived meanwhile, before it takes the next batch: that one is then larger, and the two do not
wrestle for the interpreter. A loop that has little to do is through with that at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import structlog

from ledger.core.errors import DeadlineExceeded, Internal, LedgerError, Overloaded, ShuttingDown

log = structlog.get_logger(__name__)
T = TypeVar("T")
R = TypeVar("R")

#: passes of the event loop from an answer to the next batch: a call needs some to become a command
_PASSES = 4
#: how long a loop that is busy with something else is waited for
_MOST_SECONDS = 0.01


class Group(Generic[T, R]):
    """Items that arrived in one call and are answered together."""

    __slots__ = ("arrived", "deadline", "future", "items", "results")

    def __init__(
        self,
        items: Sequence[T],
        deadline: float | None,
        future: asyncio.Future[list[R | LedgerError]],
    ) -> None:
        self.items = items
        self.arrived = time.monotonic()
        #: on the monotonic clock, in seconds
        self.deadline = deadline
        self.future = future
        self.results: list[R | LedgerError] = []


class Batcher(Generic[T, R]):
    """Runs `work(items) -> results` (one result per item, in order) on a thread of its own.

    At most `queue_limit` items wait, and nobody joins a queue where they would wait longer than
    `most_wait` seconds, as far as can be told: who is refused with OVERLOADED learns so at once,
    and those who wait are answered while they still want to know. Whoever has waited longer than
    `patience`, because everything stood still, is refused as well. Items whose deadline passed
    while waiting are never worked on.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Sequence[T]], Sequence[R | LedgerError]],
        *,
        batch_limit: int,
        queue_limit: int,
        most_wait: float = 1.5,
        patience: float = 5.0,
        on_batch: Callable[[int, Sequence[float]], None] | None = None,
    ) -> None:
        self._work = work
        self._batch_limit = batch_limit
        self._queue_limit = queue_limit
        self._most_wait = most_wait
        self._patience = patience
        self._on_batch = on_batch
        self._queue: deque[Group[T, R]] = deque()
        self._waiting = 0
        #: of the last batch that left others waiting: how many it took along, and how long it took
        self._batch_size = batch_limit
        self._batch_seconds = 0.0
        self._closing = False
        self._lock = threading.Lock()
        self._arrival = threading.Condition(self._lock)
        #: set when the event loop has had its turn since the last answer
        self._turn_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Items in the queue."""
        return self._waiting

    @property
    def overloaded(self) -> bool:
        """Whether more would be refused at this moment."""
        with self._lock:
            return self._full(1)

    async def submit(
        self, items: Sequence[T], deadline: float | None = None
    ) -> list[R | LedgerError]:
        """The result of each item, in order. Raises OVERLOADED, SHUTTING_DOWN for all of them."""
        loop = asyncio.get_running_loop()
        group: Group[T, R] = Group(items, deadline, loop.create_future())
        with self._lock:
            if self._closing:
                raise ShuttingDown()
            if self._full(len(items)):
                raise Overloaded()
            self._queue.append(group)
            self._waiting += len(items)
            if len(self._queue) == 1:  # else the thread does not sleep
                self._arrival.notify()
        return await group.future

    def close(self) -> None:
        """Work off what waits, take nothing more, and end the thread."""
        with self._arrival:
            self._closing = True
            self._arrival.notify()
        self._thread.join()

    def _full(self, more: int) -> bool:
        """Whether so many more items are too many. A queue that is empty takes any number."""
        if not self._queue:
            return False
        waited = time.monotonic() - self._queue[0].arrived
        will_wait = self._waiting // self._batch_size * self._batch_seconds
        return max(waited, will_wait) > self._most_wait or self._waiting + more > self._queue_limit

    def _run(self) -> None:
        while True:
            with self._arrival:
                while not self._queue and not self._closing:
                    self._arrival.wait()
                if not self._queue:
                    return
                groups = self._take()
                full, began = bool(self._queue), time.monotonic()
            # Whatever happens, the callers are answered and the thread goes on: were it to end,
            # everybody would wait for ever.
            try:
                self._work_on(groups)
            except BaseException:
                log.exception("batch lost", batcher=self._thread.name)
                for group in groups:
                    group.results = group.results or [Internal()] * len(group.items)
            if full:  # a group may be larger than the limit, and does not make the next one smaller
                size = sum(len(group.items) for group in groups)
                self._batch_size = max(self._batch_limit, size)
                self._batch_seconds = time.monotonic() - began
            if self._answer(groups) and self._waiting < self._batch_limit:
                self._turn_over.wait(_MOST_SECONDS)

    def _take(self) -> list[Group[T, R]]:
        """As many waiting groups as fit one batch, in order of arrival; at least one."""
        groups: list[Group[T, R]] = []
        size = 0
        while self._queue:
            size += len(self._queue[0].items)
            if groups and size > self._batch_limit:
                break
            groups.append(self._queue.popleft())
            self._waiting -= len(groups[-1].items)
        return groups

    def _work_on(self, groups: Sequence[Group[T, R]]) -> None:
        now = time.monotonic()
        runnable = []
        for group in groups:
            if group.deadline is not None and group.deadline <= now:
                group.results = [DeadlineExceeded()] * len(group.items)
            elif now - group.arrived > self._patience:
                group.results = [Overloaded()] * len(group.items)
            elif not group.future.cancelled():
                runnable.append(group)
        items = [item for group in runnable for item in group.items]
        if items:
            self._observe(len(items), [now - group.arrived for group in runnable])
            results = self._work(items)
            start = 0
            for group in runnable:
                group.results = list(results[start : start + len(group.items)])
                start += len(group.items)

    def _observe(self, size: int, waits: Sequence[float]) -> None:
        if self._on_batch is not None:
            try:
                self._on_batch(size, waits)
            except Exception:  # what only watches must not fail what is watched
                log.exception("batch not observed", batcher=self._thread.name)

    def _answer(self, groups: Sequence[Group[T, R]]) -> bool:
        """Hand results to the loops of their callers; False when none of these runs any more."""
        by_loop: dict[asyncio.AbstractEventLoop, list[Group[T, R]]] = {}
        for group in groups:
            by_loop.setdefault(group.future.get_loop(), []).append(group)
        self._turn_over.clear()
        told = False
        for loop, answered in by_loop.items():
            with contextlib.suppress(RuntimeError):  # closed: nobody waits there any more
                loop.call_soon_threadsafe(self._resolve, loop, answered)
                told = True
        return told

    def _resolve(self, loop: asyncio.AbstractEventLoop, groups: Sequence[Group[T, R]]) -> None:
        for group in groups:
            if not group.future.done():
                group.future.set_result(group.results)
        self._pass(loop, _PASSES)

    def _pass(self, loop: asyncio.AbstractEventLoop, more: int) -> None:
        if more:
            loop.call_soon(self._pass, loop, more - 1)
        else:
            self._turn_over.set()
