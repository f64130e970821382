"""Writes batches and deals with what goes wrong.

Conflicts run the batch again; an unexpected error is narrowed down by halving the batch, so that a
poisonous command fails alone; a connection lost at COMMIT is resolved by running the batch again on
a new connection, where the outcomes that were committed are found under the same locks.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence

import psycopg2
import sqlalchemy as sa
import structlog
from psycopg2 import errorcodes
from psycopg2.extensions import cursor as Cursor

from ledger.core.commands import name
from ledger.core.errors import CommitUnknown, Internal, StorageUnavailable
from ledger.core.model import Entry, Receipt
from ledger.engine.batch import Batch, Item, Outcome, request_key
from ledger.metrics import PHASES, Metrics
from ledger.store import journal
from ledger.store.journal import BatchConflict, RequestKey
from ledger.store.programs import Catalog

log = structlog.get_logger(__name__)

#: answers of the database that the same batch may not get a second time
_CONFLICTS = {
    errorcodes.SERIALIZATION_FAILURE,
    errorcodes.DEADLOCK_DETECTED,
    errorcodes.UNIQUE_VIOLATION,
}
_TIMEOUTS = {errorcodes.LOCK_NOT_AVAILABLE, errorcodes.QUERY_CANCELED}
#: the whole server is in trouble; halving the batch would not help
_SERVER_TROUBLE = ("53", "57", "58")
_ATTEMPTS = 6


class Writer:
    """Writes batches on one connection that it opens, checks and replaces as needed.

    `clock` answers the present instant (µs). Used by one thread only.
    """

    def __init__(
        self,
        database: sa.Engine,
        catalog: Catalog,
        clock: Callable[[], int],
        metrics: Metrics,
        *,
        recovery_seconds: float = 8.0,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock
        self._metrics = metrics
        self._recovery_seconds = recovery_seconds
        self._connection: sa.PoolProxiedConnection | None = None
        self._phases = {
            phase: metrics.batch_seconds.labels(phase) for phase in PHASES
        }

    def write(self, items: Sequence[Item]) -> list[Outcome]:
        """The outcome of each command, in order; every one of them is durable or was not executed,
        except those answered COMMIT_UNKNOWN."""
        outcomes = self._write(items, frozenset())
        self._count(items, outcomes)
        return outcomes

    def close(self) -> None:
        """Give the connection up."""
        self._drop_connection()

    def _write(self, items: Sequence[Item], in_doubt: frozenset[RequestKey]) -> list[Outcome]:
        give_up_at = time.monotonic() + self._recovery_seconds
        attempt = 0
        while True:
            attempt += 1
            batch = Batch(items, self._catalog, self._clock(), in_doubt)
            try:
                self._transact(batch)
                self._metrics.database_up.set(1)
                self._count_points(batch.posted)
                return batch.outcomes
            except Exception as error:
                lost = self._recover(error)
                if lost and batch.committing:
                    in_doubt |= batch.decided
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
                    if time.monotonic() > give_up_at:
                        return self._unavailable(items, in_doubt)
                elif cause != "conflict" or attempt >= _ATTEMPTS:
                    return self._halve(items, in_doubt, error, cause)
                self._metrics.retries.labels(cause).inc()
                time.sleep(random.uniform(0, min(0.5, 0.005 * 2**attempt)))

    def _halve(
        self,
        items: Sequence[Item],
        in_doubt: frozenset[RequestKey],
        error: Exception,
        cause: str,
    ) -> list[Outcome]:
        """Write both halves on their own, so that what fails fails alone."""
        if len(items) == 1:
            if cause != "bisect":
                return self._unavailable(items, in_doubt)
            log.error("command failed", command=name(items[0].command), exc_info=error)
            return [Internal()]
        self._metrics.retries.labels("bisect").inc()
        middle = len(items) // 2
        return [*self._write(items[:middle], in_doubt), *self._write(items[middle:], in_doubt)]

    def _unavailable(self, items: Sequence[Item], in_doubt: frozenset[RequestKey]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for item in items:
            unknown = request_key(item.command) in in_doubt
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
        self._phases["commit"].observe(time.perf_counter() - saved)

    def _cursor(self) -> Cursor:
        if self._connection is None:
            self._connection = self._database.raw_connection()
            journal.prepare(self._connection.cursor())  # type: ignore[arg-type]
        return self._connection.cursor()  # type: ignore[return-value]

    def _recover(self, error: Exception) -> bool:
        """Leave no transaction open after an error; True when the connection is gone."""
        lost = self._connection is None or _code(error) == errorcodes.READ_ONLY_SQL_TRANSACTION
        if not lost:
            try:
                cursor = self._cursor()
                cursor.execute("ROLLBACK")
            except (psycopg2.Error, sa.exc.DBAPIError):
                lost = True
        if lost:
            self._drop_connection()
        return lost

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection = None

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
    if isinstance(error, sa.exc.OperationalError) and not code:
        return "connection"
    return "conflict" if isinstance(error, BatchConflict) or code in _CONFLICTS else "bisect"
