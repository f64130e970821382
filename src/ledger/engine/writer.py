"""Writes batches and deals with what goes wrong.

Conflicts run the batch again; members whose row somebody else holds are set aside, so that the
others need not wait; an unexpected error is narrowed down by halving the batch, so that a poisonous
command fails alone; a connection lost at COMMIT is resolved by running the batch again on a new
connection, where the outcomes that were committed are found under the same locks.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set

import psycopg2
import sqlalchemy as sa
import structlog
from psycopg2 import errorcodes
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from ledger.core.commands import name
from ledger.core.errors import CommitUnknown, Internal, StorageUnavailable
from ledger.core.model import Entry, Receipt
from ledger.engine.batch import Batch, Item, Outcome
from ledger.engine.watching import Instants, Watcher
from ledger.engine.world import member_key, request_key
from ledger.metrics import PHASES, Metrics
from ledger.store import journal
from ledger.store.journal import BatchConflict, MemberKey, RequestKey
from ledger.store.programs import Catalog
from ledger.store.stalls import StallGuard

log = structlog.get_logger(__name__)

#: answers of the database that the same batch may not get a second time
_CONFLICTS = {
    errorcodes.SERIALIZATION_FAILURE,
    errorcodes.DEADLOCK_DETECTED,
    errorcodes.UNIQUE_VIOLATION,
}
_TIMEOUTS = {errorcodes.LOCK_NOT_AVAILABLE, errorcodes.QUERY_CANCELED}
#: the whole server is in trouble; halving the batch would not help
_SERVER_TROUBLE = ("08", "53", "57", "58")
#: this connection will not do any more, another one may: its server was demoted, its prepared
#: statements are gone, or what they were planned on has changed
_STALE_SESSION = {
    errorcodes.READ_ONLY_SQL_TRANSACTION,
    errorcodes.INVALID_SQL_STATEMENT_NAME,
    errorcodes.FEATURE_NOT_SUPPORTED,
}
_ATTEMPTS = 6
_MOST_HELD = 10_000

#: what a lost COMMIT may have made durable: by request, the possible hashes of its first entry
Doubts = dict[RequestKey, set[bytes]]


class Writer:
    """Writes batches on one connection that it opens, checks and replaces as needed.

    `clock` answers the present instant (µs). Used by one thread only, but for `hurry`. An attempt
    that the database does not answer within `stall_seconds` counts as a lost connection; after
    `recovery_seconds` of such trouble what is not done is UNAVAILABLE.
    """

    def __init__(
        self,
        database: sa.Engine,
        catalog: Catalog,
        clock: Callable[[], int],
        metrics: Metrics,
        guard: StallGuard,
        *,
        recovery_seconds: float,
        stall_seconds: float,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock
        self._metrics = metrics
        self._guard = guard
        self._recovery_seconds = recovery_seconds
        self._stall_seconds = stall_seconds
        #: told of the entries of each transaction, once they are durable
        self.on_commit: Callable[[Sequence[Entry]], None] = lambda entries: None
        self._hurried = False
        self._connection: sa.PoolProxiedConnection | None = None
        #: members that a batch could not lock: asked for first, so that no other batch waits too
        self._held: set[MemberKey] = set()
        self.watcher: Watcher | None = None
        self._phases = {phase: metrics.batch_seconds.labels(phase) for phase in PHASES}

    def write(self, items: Sequence[Item]) -> list[Outcome]:
        """The outcome of each command, in order; every one of them is durable or was not executed,
        except those answered COMMIT_UNKNOWN."""
        try:
            outcomes = self._write(items, {}, time.monotonic() + self._recovery_seconds)
        except BaseException:
            log.exception("batch lost", commands=len(items))
            self._drop_connection()
            self._metrics.commit_unknown.inc(len(items))
            outcomes = [CommitUnknown() for _ in items]
        try:
            self._count(items, outcomes)
        except Exception:  # the outcomes stand, counted or not
            log.exception("commands not counted", commands=len(items))
        return outcomes

    def hurry(self) -> None:
        """Wait for a lost database no more; nobody waits for the answers."""
        self._hurried = True

    def close(self) -> None:
        """Give the connection up."""
        self._drop_connection()

    def _write(self, items: Sequence[Item], doubts: Doubts, give_up_at: float) -> list[Outcome]:
        attempt = 0
        failures: Counter[str] = Counter()
        while True:
            attempt += 1
            batch = Batch(items, self._catalog, self._clock(), doubts)
            try:
                held = self._still_held({member_key(item.command) for item in items})
                if held:
                    return self._write_others(items, held, doubts, give_up_at)
                self._transact(batch)
                self._metrics.database_up.set(1)
                for item in items if doubts else ():
                    doubts.pop(request_key(item.command), None)
                self._count_points(batch.posted)
                self._tell(batch.posted)
                return batch.outcomes
            except Exception as failed:
                error = failed  # handled outside of this clause: later errors are not its sequels
            finally:
                self._rest()
            try:
                lost = self._recover(error)
                if lost and batch.committing:
                    for request, digest in batch.decided.items():
                        doubts.setdefault(request, set()).add(digest)
                cause = _cause(error, lost)
                log.warning(
                    "batch failed",
                    cause=cause,
                    commands=len(items),
                    attempt=attempt,
                    error=type(error).__name__,
                    code=_code(error),
                )
                if cause == "connection":
                    self._metrics.database_up.set(0)
                failures[cause] += 1
                late = self._hurried or (attempt > 1 and time.monotonic() > give_up_at)
                if late and cause in ("connection", "lock_timeout"):
                    return self._unavailable(items, doubts)
                if not self._may_repeat(cause, failures[cause], items):
                    return self._halve(items, doubts, give_up_at, error, cause)
                self._metrics.retries.labels(cause).inc()
                time.sleep(random.uniform(0, min(0.5, 0.005 * 2**attempt)))
            finally:
                self._rest()

    def _may_repeat(self, cause: str, failures: int, items: Sequence[Item]) -> bool:
        """Whether to run a batch again that failed so often rather than to halve it."""
        if cause == "lock_timeout" and failures == 1:
            if len(self._held) > _MOST_HELD:
                self._held.clear()
            self._held.update(member_key(item.command) for item in items)
            return True
        return cause == "connection" or (cause == "conflict" and failures < _ATTEMPTS)

    def _still_held(self, keys: Set[MemberKey]) -> set[MemberKey]:
        """Those of the members known as held that somebody else holds at this moment."""
        asked = keys & self._held
        if not asked:
            return set()
        held = journal.find_held(self._cursor(), asked)
        self._held -= asked - held
        return held

    def _write_others(
        self,
        items: Sequence[Item],
        held: Set[MemberKey],
        doubts: Doubts,
        give_up_at: float,
    ) -> list[Outcome]:
        """Write what can be written; commands on held members are UNAVAILABLE."""
        self._metrics.retries.labels("lock_timeout").inc()
        free = [item for item in items if member_key(item.command) not in held]
        written = iter(self._write(free, doubts, give_up_at) if free else ())
        waiting = [item for item in items if member_key(item.command) in held]
        refused = iter(self._unavailable(waiting, doubts))
        return [next(refused if member_key(item.command) in held else written) for item in items]

    def _halve(
        self,
        items: Sequence[Item],
        doubts: Doubts,
        give_up_at: float,
        error: Exception,
        cause: str,
    ) -> list[Outcome]:
        """Write both halves on their own, so that what fails fails alone."""
        if len(items) == 1:
            if cause != "bisect" or request_key(items[0].command) in doubts:
                return self._unavailable(items, doubts)
            log.error("command failed", command=name(items[0].command), exc_info=error)
            return [Internal()]
        self._metrics.retries.labels("bisect").inc()
        middle = len(items) // 2
        outcomes: list[Outcome] = []
        for half in (items[:middle], items[middle:]):
            late = time.monotonic() > give_up_at
            outcomes += (
                self._unavailable(half, doubts) if late else self._write(half, doubts, give_up_at)
            )
        return outcomes

    def _unavailable(
        self, items: Sequence[Item], doubts: Mapping[RequestKey, object]
    ) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for item in items:
            unknown = request_key(item.command) in doubts
            outcomes.append(CommitUnknown() if unknown else StorageUnavailable())
            if unknown:
                self._metrics.commit_unknown.inc()
        return outcomes

    def _transact(self, batch: Batch) -> None:
        started = time.perf_counter()
        cursor = self._cursor()
        batch.load(cursor)
        loaded = time.perf_counter()
        batch.decide()
        decided = time.perf_counter()
        batch.save(cursor)
        saved = time.perf_counter()
        batch.commit(cursor)
        self._phases["load"].observe(loaded - started)
        self._phases["decide"].observe(decided - loaded)
        self._phases["save"].observe(saved - decided)
        committed = time.perf_counter()
        self._phases["commit"].observe(committed - saved)
        if self.watcher is not None:
            instants = Instants(started, loaded, decided, saved, committed)
            self.watcher.transacted(batch.items, instants)

    def _cursor(self) -> Cursor:
        if self._connection is None:
            connection = self._database.raw_connection()
            try:
                journal.prepare(connection.cursor())  # type: ignore[arg-type]
            except BaseException:
                connection.invalidate()
                raise
            self._connection = connection
        self._guard.begin(self._driver_connection(), self._stall_seconds)
        return self._connection.cursor()  # type: ignore[return-value]

    def _rest(self) -> None:
        """Nothing is asked of the database until the next batch."""
        if self._connection is not None:
            self._guard.end(self._driver_connection())

    def _driver_connection(self) -> Connection:
        assert self._connection is not None
        return self._connection.dbapi_connection  # type: ignore[return-value]

    def _recover(self, error: Exception) -> bool:
        """Leave no transaction open after an error; True when the connection is gone."""
        lost = self._connection is None or _code(error) in _STALE_SESSION
        if not lost:
            try:
                cursor = self._cursor()
                cursor.execute("ROLLBACK")
            except (psycopg2.Error, sa.exc.DBAPIError):
                lost = True
        if lost:
            self._drop_connection()
            # Those that wait in the pool led to the same place.
            self._database.dispose()
        return lost

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection = None

    def _tell(self, entries: Sequence[Entry]) -> None:
        try:
            self.on_commit(entries)
        except Exception:  # what only listens must not fail what is durable
            log.exception("entries not told", entries=len(entries))

    def _count(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> None:
        commands: Counter[tuple[str, str, str]] = Counter()
        for item, outcome in zip(items, outcomes, strict=True):
            result = _result(outcome)
            if result is not None:
                commands[item.command.program_id, name(item.command), result] += 1
        for labels, count in commands.items():
            self._metrics.commands.labels(*labels).inc(count)

    def _count_points(self, entries: Sequence[Entry]) -> None:
        points: Counter[tuple[str, str]] = Counter()
        for entry in entries:
            points[entry.program_id, entry.kind] += abs(entry.points)
        for moved, count in points.items():
            self._metrics.points.labels(*moved).inc(count)


def _result(outcome: Outcome) -> str | None:
    """The outcome label of a command; None for an unknown program or member, which gets none."""
    if isinstance(outcome, Receipt):
        return "replayed" if outcome.replayed else "ok"
    if outcome.code == "NOT_FOUND":
        return None
    refusals = ("FAILED_PRECONDITION", "ALREADY_EXISTS", "INVALID_ARGUMENT")
    return "refused" if outcome.code in refusals else "error"


def _code(error: Exception) -> str:
    """The SQLSTATE of a database error, "" when it has none."""
    original = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return getattr(original, "pgcode", None) or ""


def _cause(error: Exception, lost: bool) -> str:
    """What to do about a failed batch: `conflict` and `connection` run it again, `bisect` narrows
    it down, `lock_timeout` narrows it down to the accounts that somebody else holds."""
    code = _code(error)
    if code in _TIMEOUTS:
        return "lock_timeout"
    if lost or code[:2] in _SERVER_TROUBLE:
        return "connection"
    if isinstance(error, sa.exc.TimeoutError):  # no connection of the pool is free
        return "connection"
    if isinstance(error, sa.exc.DBAPIError) and (error.connection_invalidated or not code):
        return "connection"
    return "conflict" if isinstance(error, BatchConflict) or code in _CONFLICTS else "bisect"
