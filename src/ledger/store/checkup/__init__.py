"""Looks whether a database is fit for the ledger: its settings, rights, triggers, and its state.

Changes nothing, and needs no running server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ledger.store.checkup import ledger, server
from ledger.store.checkup.observation import FAULT, OK, Observation
from ledger.store.database import DatabaseUnusable, open_database
from ledger.store.tables import SERVICE_ROLE


def examine(
    url: str, *, workers: int = 1, clock: Callable[[], float] = time.time
) -> Iterator[Observation]:
    """Everything about a database that a server of so many `workers` depends on.

    `clock` is this machine's, in seconds since 1970.
    """
    try:
        plain = open_database(
            url, role=None, pool_size=3, application_name="ledger-doctor", allow_unsafe=True
        )
    except DatabaseUnusable as error:
        yield Observation(
            "server", FAULT, str(error), "No server can start.", "Solve this, then look again."
        )
        return
    try:
        with plain.connect() as connection:
            yield server.check_server(connection, plain.url)
            yield server.check_clock(connection, clock)
            yield server.check_connections(connection, workers)
            yield server.check_upkeep(connection)
            migrated = ledger.exists(connection, "alembic_version")
            if migrated:
                yield ledger.check_triggers(connection)
                yield ledger.check_rights(connection)
        yield server.check_pooler(plain)
        if not migrated:
            yield ledger.check_schema(plain)
            return
    finally:
        plain.dispose()
    yield from _examine_as_service(url)


def _examine_as_service(url: str) -> Iterator[Observation]:
    try:
        service = open_database(
            url, pool_size=2, application_name="ledger-doctor", allow_unsafe=True
        )
    except DatabaseUnusable as error:
        why = f"The service works as {SERVICE_ROLE}, which may not change what is recorded."
        yield Observation("role", FAULT, str(error), why, "Do as it says, then look again.")
        return
    try:
        with service.connect() as connection:
            yield Observation("role", OK, f"may act as {SERVICE_ROLE}")
            yield ledger.check_schema(service)
            yield server.check_durability(connection)
            yield server.check_timeouts(connection)
            if ledger.exists(connection, "background_work"):
                yield ledger.check_verification(connection)
                yield ledger.check_due(connection)
    finally:
        service.dispose()
