"""Hangs up on a database that does not answer any more.

The driver waits for an answer as long as the kernel keeps the connection, and a server whose disk
hangs or whose process is stopped keeps it well alive. Its own timeouts do not help then. So each
connection that is in use has a time by which it must be given back; one that is late loses its
socket, and whoever waits on it gets the error of a lost connection.

Imports SQLAlchemy and the driver only.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import Any

import psycopg2
import structlog
from psycopg2.extensions import connection as Connection
from sqlalchemy import Engine, event

log = structlog.get_logger(__name__)

#: Longer than any statement may run; whoever fetches many rows needs some more.
QUERY_SECONDS = 8.0
#: The same once the service is stopping: nobody waits for the answer any more.
HURRIED_SECONDS = 1.0


class StallGuard:
    """Watches the connections of a pool from a thread of its own."""

    def __init__(self, database: Engine) -> None:
        #: monotonic times at which each connection in use was taken, and must be given back
        self._in_use: dict[Connection, tuple[float, float]] = {}
        self._hurried = False
        self._ended = threading.Event()
        event.listen(database, "checkout", self._taken)
        event.listen(database, "checkin", self._given_back)
        event.listen(database, "invalidate", self._given_back)
        self._thread = threading.Thread(target=self._run, name="ledger-stalls", daemon=True)
        self._thread.start()

    def begin(self, connection: Connection, seconds: float) -> None:
        """From now on the connection has so long until `end`, whatever it had before."""
        now = time.monotonic()
        self._in_use[connection] = (now, now + seconds)

    def end(self, connection: Connection) -> None:
        """Nothing is asked on the connection now."""
        self._in_use.pop(connection, None)

    def hurry(self) -> None:
        """From now on nothing has longer than HURRIED_SECONDS."""
        self._hurried = True

    def close(self) -> None:
        """Watch no more."""
        self._ended.set()
        self._thread.join()

    def _taken(self, connection: Any, *_: object) -> None:
        self.begin(connection, QUERY_SECONDS)

    def _given_back(self, connection: Any, *_: object) -> None:
        self.end(connection)

    def _run(self) -> None:
        while not self._ended.wait(0.25):
            now = time.monotonic()
            for connection, (since, until) in list(self._in_use.items()):
                if now > (min(until, since + HURRIED_SECONDS) if self._hurried else until):
                    log.warning("database stalled", seconds=round(now - since, 1))
                    self.end(connection)
                    hang_up(connection)


def hang_up(connection: Connection) -> None:
    """End a connection under whoever waits for its answer, who then gets an OperationalError."""
    with (
        contextlib.suppress(OSError, psycopg2.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as end,
    ):
        end.shutdown(socket.SHUT_RDWR)
