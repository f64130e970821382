"""Looks whether a database is fit for the ledger: its settings, rights, triggers, and its state.

Changes nothing, and needs no running server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from ledger.store.checkup import ledger, server
from ledger.store.checkup.observation import FAULT, Observation
from ledger.store.database import DatabaseUnusable, open_database
from ledger.store.tables import SERVICE_ROLE


def examine(
    url: str, *, workers: int = 1, embedded: bool = False, clock: Callable[[], float] = time.time
) -> Iterator[Observation]:
    """Everything about a database that a server of so many `workers` depends on.

    An `embedded` one is served by its owner. `clock` is this machine's, in seconds since 1970.
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
            yield _look("server", server.check_server, connection, plain.url)
            yield _look("clock", server.check_clock, connection, clock)
            yield _look("connections", server.check_connections, connection, workers)
            yield _look("upkeep", server.check_upkeep, connection)
            yield _look("transactions", server.check_transactions, connection)
            migrated = ledger.exists(connection, "alembic_version")
            if migrated:
                yield _look("triggers", ledger.check_triggers, connection)
                yield _look("rights", ledger.check_rights, connection)
        yield _look("pooler", server.check_pooler, plain)
        if not migrated:
            yield _look("schema", ledger.check_schema, plain)
            return
    finally:
        plain.dispose()
    yield from _examine_as_service(url, embedded)


def _examine_as_service(url: str, embedded: bool) -> Iterator[Observation]:
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
            yield _look("role", ledger.check_role, connection, embedded)
            yield _look("schema", ledger.check_schema, service)
            yield _look("durability", server.check_durability, connection)
            yield _look("timeouts", server.check_timeouts, connection)
            yield _look("log", server.check_log, connection)
            if ledger.exists(connection, "background_work"):
                yield _look("verification", ledger.check_verification, connection)
                yield _look("schedule", ledger.check_due, connection)
    finally:
        service.dispose()


def _look(check: str, look: Callable[..., Observation], *arguments: Any) -> Observation:
    """What a check finds; that it can not be made is a finding, too."""
    try:
        return look(*arguments)
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        return Observation(
            check,
            FAULT,
            f"can not be looked at: {said}",
            "A server that does the same fails the same way.",
            "Solve this, then look again.",
        )
