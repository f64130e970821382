"""Reads accounts, as many at a time as are asked for, on a connection of its own."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg2
import sqlalchemy as sa
import structlog
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from ledger import discreet
from ledger.core.errors import Internal, LedgerError, MemberNotFound, StorageUnavailable
from ledger.metrics import Metrics
from ledger.store import queries, stalls
from ledger.store.journal import MemberKey
from ledger.store.queries import ReadAccount
from ledger.store.stalls import StallGuard

log = structlog.get_logger(__name__)


class Reader:
    """Used by one thread only. Opens its connection when it is first asked, and a new one when that
    was lost, or when the pool was disposed of: whoever did so has found that the server is gone, or
    was demoted and would go on to answer reads with what was true then."""

    def __init__(self, database: sa.Engine, metrics: Metrics, guard: StallGuard) -> None:
        self._database = database
        self._metrics = metrics
        self._guard = guard
        self._connection: sa.PoolProxiedConnection | None = None
        #: the pool that it is of
        self._pool = database.pool

    def read(self, keys: Sequence[MemberKey]) -> list[ReadAccount | LedgerError]:
        """The account of each key, or why there is none to be had."""
        for _ in range(2):  # the connection may have died unnoticed
            try:
                found = queries.read_accounts(self._cursor(), keys)
            except (psycopg2.Error, sa.exc.SQLAlchemyError) as error:
                log.warning("read failed", error=discreet.what(error))
                self.close()
            except Exception:
                self._rest()
                return self._read_halves(keys)
            else:
                self._rest()
                self._metrics.database_up.set(1)
                return [
                    found.get(key) or MemberNotFound(program_id=key[0], member_id=key[1])
                    for key in keys
                ]
        self._metrics.database_up.set(0)
        return [StorageUnavailable()] * len(keys)

    def close(self) -> None:
        """Give the connection up."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection = None

    def _cursor(self) -> Cursor:
        if self._pool is not self._database.pool:
            self.close()
        if self._connection is None:
            self._pool = self._database.pool
            connection = self._database.raw_connection()
            try:
                queries.prepare(connection.cursor())  # type: ignore[arg-type]
            except BaseException:
                connection.invalidate()
                raise
            self._connection = connection
        self._guard.begin(self._driver_connection(), stalls.QUERY_SECONDS)
        return self._connection.cursor()  # type: ignore[return-value]

    def _rest(self) -> None:
        """Nothing is asked of the database until the next read: it may last."""
        if self._connection is not None:
            self._guard.end(self._driver_connection())

    def _driver_connection(self) -> Connection:
        assert self._connection is not None
        return self._connection.dbapi_connection  # type: ignore[return-value]

    def _read_halves(self, keys: Sequence[MemberKey]) -> list[ReadAccount | LedgerError]:
        """Read both halves on their own, so that an account that can not be read fails alone."""
        if len(keys) == 1:
            log.exception("account can not be read")
            return [Internal()]
        middle = len(keys) // 2
        return [*self.read(keys[:middle]), *self.read(keys[middle:])]
