"""The engine: commands in, answers out, many at once.

Writes and reads each have a queue and a thread; whatever waits is one transaction or one query.
Callers are answered only after COMMIT. Everything else that asks the database runs on a small
thread pool, but for what must not wait for the rest of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
import structlog

from ledger import discreet
from ledger.core.commands import Command
from ledger.core.due import settle
from ledger.core.errors import LedgerError, Overloaded, StorageUnavailable
from ledger.core.model import Account, Balance, Entry, Receipt, balance_of
from ledger.core.posting import Context, Posting
from ledger.core.program import Program
from ledger.engine.batch import Item, Outcome
from ledger.engine.batching import Batcher
from ledger.engine.reader import Reader
from ledger.engine.watching import Watcher
from ledger.engine.writer import Writer
from ledger.metrics import Metrics
from ledger.store.database import ask, is_unavailable
from ledger.store.journal import MemberKey
from ledger.store.programs import Catalog
from ledger.store.queries import ReadAccount
from ledger.store.stalls import StallGuard

log = structlog.get_logger(__name__)
T = TypeVar("T")


def real_clock() -> int:
    """The present instant in µs."""
    return time.time_ns() // 1_000


class Engine:
    """The one way to write to the ledger, and the quick way to read an account.

    `clock` answers the present instant (µs) for programs that live in real time. A lost database is
    waited for so long (`recovery_seconds`) before a write is UNAVAILABLE, and one that does not
    answer a batch within `stall_seconds` counts as lost.
    """

    def __init__(
        self,
        database: sa.Engine,
        metrics: Metrics,
        *,
        clock: Callable[[], int] = real_clock,
        batch_limit: int = 1_000,
        queue_limit: int = 10_000,
        recovery_seconds: float = 8.0,
        stall_seconds: float = 6.0,
    ) -> None:
        self.database = database
        self.catalog = Catalog(database, metrics.know_program)
        self.clock = clock
        self._metrics = metrics
        self._guard = StallGuard(database)
        self._writer = Writer(
            database,
            self.catalog,
            clock,
            metrics,
            self._guard,
            recovery_seconds=recovery_seconds,
            stall_seconds=stall_seconds,
        )
        self._writes: Batcher[Item, Receipt] = Batcher(
            "ledger-writer",
            self._writer.write,
            batch_limit=batch_limit,
            queue_limit=queue_limit,
            on_batch=self._observe_batch,
        )
        self._reader = Reader(database, metrics, self._guard)
        self._reads: Batcher[MemberKey, ReadAccount] = Batcher(
            "ledger-reader", self._reader.read, batch_limit=batch_limit, queue_limit=queue_limit
        )
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="ledger-query")
        self._thread_apart = ThreadPoolExecutor(1, thread_name_prefix="ledger-query-apart")
        #: functions that run on the pool or wait for it
        self._running = 0
        self._running_limit = queue_limit
        metrics.queue_depth.set_function(lambda: self._writes.waiting)

    def overloaded(self, *, reads: bool) -> bool:
        """Whether more reads, or writes, would be refused at this moment."""
        return (self._reads if reads else self._writes).overloaded

    async def submit(self, command: Command, actor: str, deadline: float | None = None) -> Receipt:
        """The receipt of one command, durable. Raises the command's refusal."""
        items = [Item(command, actor)]
        if self._writer.watcher is not None:
            self._writer.watcher.submitted(items)
        outcome = (await self._writes.submit(items, deadline))[0]
        if isinstance(outcome, LedgerError):
            raise outcome
        return outcome

    async def submit_all(
        self, items: Sequence[Item], deadline: float | None = None
    ) -> list[Outcome]:
        """The outcome of each command, in order, each as if sent alone."""
        if self._writer.watcher is not None:
            self._writer.watcher.submitted(items)
        return await self._writes.submit(items, deadline) if items else []

    async def program(self, program_id: str, version: int = 1) -> Program:
        """The program, at most a second old, with its rules up to at least `version`.

        Raises PROGRAM_NOT_FOUND.
        """
        program = self.catalog.fresh(program_id)
        if program is None or program.versions[-1].version < version:
            program = await self.run(self.catalog.refresh, program_id)
        return program

    async def read(self, program_id: str, member_id: str) -> tuple[Program, ReadAccount]:
        """An account as it stands, unsettled, with its program as of the same moment.

        Raises PROGRAM_NOT_FOUND, MEMBER_NOT_FOUND.
        """
        program = await self.program(program_id)
        found = (await self._reads.submit([(program_id, member_id)]))[0]
        if isinstance(found, LedgerError):
            raise found
        if found.clock_time is not None:
            program = await self.run(
                self.catalog.at, program_id, found.clock_time, found.rules_version
            )
        return program, found

    def tell(self, listener: Callable[[Sequence[Entry]], None]) -> None:
        """Have a function told of the entries of each transaction, once they are durable.

        It is called in the writer's thread: callers wait for it.
        """
        self._writer.on_commit = listener

    def watch(self, watcher: Watcher) -> None:
        """Have somebody told what becomes of each command."""
        self._writer.watcher = watcher

    def now(self, program: Program, account: Account | None = None) -> int:
        """The program's present (µs): its sandbox clock or real time, never before the account."""
        now = self.clock() if program.clock_time is None else program.clock_time
        return max(now, account.create_time) if account is not None else now

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """The result of a blocking function, run on the thread pool.

        Raises STORAGE_UNAVAILABLE when the database does not answer, OVERLOADED.
        """
        if self._running >= self._running_limit:
            raise Overloaded()
        self._running += 1
        try:
            return await _run(self._threads, function, *arguments)
        finally:
            self._running -= 1

    async def query(self, function: Callable[..., T], *arguments: object) -> T:
        """What function(connection, *arguments) reads, on a connection of the pool.

        Raises as `run`.
        """
        return await self.run(ask, self.database, function, *arguments)

    async def query_apart(self, function: Callable[..., T], *arguments: object) -> T:
        """The same on a thread of its own, for what can not wait until callers' questions are
        answered. Raises STORAGE_UNAVAILABLE."""
        return await _run(self._thread_apart, ask, self.database, function, *arguments)

    def allow(self, connection: sa.Connection, seconds: float) -> None:
        """A connection of the pool that is in use may take so long from now on."""
        driver_connection: Any = connection.connection.dbapi_connection
        self._guard.begin(driver_connection, seconds)

    def close(self) -> None:
        """Finish what was accepted, then stop. A lost or stalled database holds it up for seconds,
        no more: by then nobody waits for an answer."""
        self._writer.hurry()
        self._writes.close()
        self._guard.hurry()
        self._reads.close()
        self._reader.close()
        self._threads.shutdown(cancel_futures=True)
        self._thread_apart.shutdown(cancel_futures=True)
        self._writer.close()
        self._guard.close()

    def _observe_batch(self, size: int, waits: Sequence[float]) -> None:
        self._metrics.batch_size.observe(size)
        for seconds in waits:
            self._metrics.queue_wait.observe(seconds)


async def _run(threads: ThreadPoolExecutor, function: Callable[..., T], *arguments: object) -> T:
    """The result of a blocking function. Raises STORAGE_UNAVAILABLE when the database does not
    answer."""
    try:
        return await asyncio.get_running_loop().run_in_executor(threads, function, *arguments)
    except sa.exc.SQLAlchemyError as error:
        if not is_unavailable(error):
            raise
        log.warning("query failed", error=discreet.what(error))
        raise StorageUnavailable() from error


def settled(account: Account, program: Program, member_id: str, instant: int) -> Posting:
    """An account as it is at an instant (µs), with everything due by then in effect."""
    posting = Posting(account, member_id, Context(program=program, now=instant, actor=""))
    settle(posting)
    return posting


def balance_at(
    account: Account, program: Program, member_id: str, instant: int
) -> tuple[Balance, int | None]:
    """What an account shows at an instant (µs), and when time next does something to it.

    What time has changed since its last entry is in effect; the version is still that entry's.
    """
    posting = settled(account, program, member_id, instant)
    balance = balance_of(posting.account, instant)
    return msgspec.structs.replace(balance, version=account.version), posting.due_time
