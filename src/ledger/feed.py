"""Wakes streams when something that concerns them was committed, by whichever process.

What this process commits is known at once: the engine says so. What others commit is found by
looking at the journal a few times a second, only while somebody listens, and only at what became
visible since the last look. A stream that is woken reads what there is: however much happened
while it slept is one waking, so nothing queues up for who is slow.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence

import structlog

from ledger.core.errors import LedgerError, ShuttingDown, TooManyStreams
from ledger.core.model import Entry
from ledger.engine import Engine
from ledger.metrics import Metrics
from ledger.store.following import Snapshot, read_changes, read_snapshot
from ledger.store.journal import MemberKey

log = structlog.get_logger(__name__)

#: a stream that has nothing else to say says so
HEARTBEAT_SECONDS = 15.0
#: a database that does not answer is asked again
RETRY_SECONDS = 1.0
#: what one member may have open in a process, such as pages of a browser
OWNED_STREAMS = 16
#: between two looks for what other processes have committed
POLL_SECONDS = 0.2
#: between two wakings of one stream, at least
_GAP_SECONDS = 0.5
#: the same for what is told in this process: streams that are woken together are read together
_TURN_SECONDS = 0.1


class Listener:
    """Lets one stream sleep until there may be something new for it."""

    def __init__(self, gap_seconds: float = _GAP_SECONDS) -> None:
        self._gap_seconds = gap_seconds
        self._news = asyncio.Event()
        self._stopped = False
        self._woken_at = 0.0

    def wake(self) -> None:
        self._news.set()

    def stop(self) -> None:
        """End the stream."""
        self._stopped = True
        self._news.set()

    async def wait(self, seconds: float) -> None:
        """Return when woken, but not too soon after the last time, or else after so many seconds.

        Raises SHUTTING_DOWN.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        pause = self._woken_at + self._gap_seconds - time.monotonic()
        if pause > 0 and not self._stopped:
            await asyncio.sleep(min(pause, seconds))
        if self._stopped:
            raise ShuttingDown()
        if self._news.is_set():
            self._news.clear()
            self._woken_at = time.monotonic()


class _Followed:
    """A program that somebody listens to."""

    def __init__(self) -> None:
        #: by member; None: to the whole program
        self.listeners: dict[str | None, set[Listener]] = {}
        #: the latest transaction seen that changed something
        self.latest = 0

    def wake(self, members: Collection[str | None]) -> None:
        for member_id in members:
            for listener in self.listeners.get(member_id, ()):
                listener.wake()


class Feed:
    """The listeners of one process, at most `limit` of them."""

    def __init__(
        self,
        engine: Engine,
        metrics: Metrics,
        *,
        limit: int = 1_000,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._engine = engine
        self._limit = limit
        self._poll_seconds = poll_seconds
        self._followed: dict[str, _Followed] = {}
        #: who came since the last look began
        self._new: list[Listener] = []
        #: who is to be woken next, and when (monotonic) that was done last
        self._touched: set[MemberKey] = set()
        self._woken_at = 0.0
        #: set while anything is followed
        self._wanted = asyncio.Event()
        #: what it shows has been told; None while nothing is followed
        self._seen: Snapshot | None = None
        #: whether it may be of a database that has crashed since
        self._lost = False
        #: when (monotonic) everything that was committed had been told
        self._told_at = 0.0
        self._open = 0
        self._owned: Counter[str] = Counter()
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        metrics.watchers.set_function(lambda: self._open)
        metrics.feed_lag.set_function(self._lag)
        engine.tell(self._committed)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run())

    async def stop(self) -> None:
        """End every stream with SHUTTING_DOWN."""
        self._stopping = True
        for followed in self._followed.values():
            for listeners in followed.listeners.values():
                for listener in listeners:
                    listener.stop()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @contextlib.asynccontextmanager
    async def listen(
        self,
        program_id: str,
        member_id: str | None,
        gap_seconds: float = _GAP_SECONDS,
        owner: str = "",
    ) -> AsyncIterator[Listener]:
        """Woken whenever something of a member, or of the whole program, is committed from now on.

        An `owner` has only OWNED_STREAMS of them: a single browser must not use up all there may
        be. Raises TOO_MANY_STREAMS, SHUTTING_DOWN, STORAGE_UNAVAILABLE.
        """
        if self._open >= self._limit:
            raise TooManyStreams(limit=self._limit)
        if owner and self._owned[owner] >= OWNED_STREAMS:
            raise TooManyStreams(limit=OWNED_STREAMS)
        self._open += 1
        self._owned[owner] += 1
        try:
            if self._seen is None:
                seen = await self._engine.query(read_snapshot)
                if self._seen is None:
                    self._seen, self._told_at = seen, time.monotonic()
            if self._stopping:
                raise ShuttingDown()
            listener = Listener(gap_seconds)
            self._add(program_id, member_id, listener)
            try:
                yield listener
            finally:
                self._remove(program_id, member_id, listener)
        finally:
            self._open -= 1
            self._owned[owner] -= 1
            if not self._owned[owner]:
                del self._owned[owner]

    def _add(self, program_id: str, member_id: str | None, listener: Listener) -> None:
        followed = self._followed.setdefault(program_id, _Followed())
        followed.listeners.setdefault(member_id, set()).add(listener)
        self._new.append(listener)
        self._wanted.set()

    def _remove(self, program_id: str, member_id: str | None, listener: Listener) -> None:
        followed = self._followed[program_id]
        followed.listeners[member_id].discard(listener)
        if not followed.listeners[member_id]:
            del followed.listeners[member_id]
        if not followed.listeners:
            del self._followed[program_id]
        if not self._followed:
            self._wanted.clear()
            self._seen = None

    def _committed(self, entries: Sequence[Entry]) -> None:
        """Take in what this process has committed. Called by the engine's writer, in its thread."""
        if not self._followed or self._loop is None:
            return
        touched: set[MemberKey] = set()
        for entry in entries:
            followed = self._followed.get(entry.program_id)
            if followed is not None:
                listeners = followed.listeners
                if entry.member_id in listeners or None in listeners:
                    touched.add((entry.program_id, entry.member_id))
        if touched:
            with contextlib.suppress(RuntimeError):  # closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._touch, touched)

    def _touch(self, touched: Collection[MemberKey]) -> None:
        """Wake who listens to these members: now, or in a moment together with others."""
        if not self._touched:
            pause = self._woken_at + _TURN_SECONDS - time.monotonic()
            asyncio.get_running_loop().call_later(max(0.0, pause), self._wake)
        self._touched.update(touched)

    def _wake(self) -> None:
        for program_id, member_id in self._touched:
            if program_id in self._followed:
                self._followed[program_id].wake((member_id, None))
        self._touched.clear()
        self._woken_at = time.monotonic()

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            pause = self._poll_seconds
            try:
                await self._look()
            except LedgerError:  # the engine has said why
                self._lost, pause = True, RETRY_SECONDS
            except Exception:
                log.exception("feed failed")
                self._lost, pause = True, RETRY_SECONDS
            await asyncio.sleep(pause)

    async def _look(self) -> None:
        """Wake who listens to what has become visible since the last look."""
        before = self._seen
        if before is None:
            return
        self._new.clear()
        wanted = {name: list(each.listeners) for name, each in self._followed.items()}
        seen, changes = await self._engine.query(read_changes, before, wanted)
        for listener in self._new:  # nobody has looked for them
            listener.wake()
        if self._lost:  # a crash has ids given again, which then are nothing new
            self._lost = False
            for followed in self._followed.values():
                followed.wake(list(followed.listeners))
        for program_id, (members, latest) in changes.items():
            if program_id in self._followed:
                followed = self._followed[program_id]
                followed.latest = max(followed.latest, latest)
                followed.wake((*members, None))
        if self._followed:
            self._seen = seen
        if all(followed.latest < seen.xmin for followed in self._followed.values()):
            self._told_at = time.monotonic()

    def _lag(self) -> float:
        return time.monotonic() - self._told_at if self._followed else 0.0
