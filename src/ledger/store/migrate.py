"""Brings a database's schema up to this program's, and tells whether it is.

The migrations themselves are in `migrations/`. Imports Alembic, and `ledger.store.database`.
"""

import logging
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from ledger.store.database import (
    DatabaseUnusable,
    check_server,
    connect_args,
    normalize_url,
    unreachable,
)

MIGRATOR_LOCK = 0x6C6564676572
"""Advisory lock of the one migrator at a time of a database ("ledger")."""

ALEMBIC = threading.Lock()
"""Alembic's context is one for the whole process."""

#: A migration may take long; waiting for a lock may not: whoever wants the table meanwhile queues
#: behind the wait. So it is short, and tried again.
MIGRATOR_SETTINGS = {"statement_timeout": "0", "lock_timeout": "500ms", "TimeZone": "UTC"}

#: for locks, and for another migrator
PATIENCE_SECONDS = 60.0


class SchemaBehind(DatabaseUnusable):
    """The database's schema is older than this program."""

    def __init__(self, current: str | None, head: str) -> None:
        self.current = current
        self.head = head
        state = "has no ledger yet" if current is None else f"has schema {current}"
        super().__init__(f"the database {state}, this program needs {head}: run `ledger migrate`")


class MigrationRefused(DatabaseUnusable):
    """The schema can not be brought up to date; it has the last revision that could be done."""


class SchemaAhead(MigrationRefused):
    """The schema is of a later version of this program, which can still use it."""

    def __init__(self, current: str, head: str) -> None:
        super().__init__(
            f"the database has schema {current}, which is newer than this program ({head}): "
            "update the program"
        )


#: what somebody else's lock makes of a migration, and a moment later may not
_IN_THE_WAY = (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected)


@dataclass(frozen=True)
class MigrationResult:
    """What a migration did; both revisions are equal if there was nothing to do."""

    #: None: the database was empty.
    from_revision: str | None
    to_revision: str


def migrate(url: str) -> MigrationResult:
    """Brings the schema to this program's, while others use it; waits for another migrator.

    Each revision is a transaction of its own. One that can not have a lock is tried again.

    Raises DatabaseUnusable if the database can not be reached or is none that the service could
    use (its version, its encoding), and MigrationRefused if the user may not do what is needed,
    it is only for reading, a lock could not be had, or the schema is newer than this program.
    """
    address = normalize_url(url)
    arguments = connect_args(
        address, role=None, application_name="ledger migrate", settings=MIGRATOR_SETTINGS
    )
    engine = create_engine(address, connect_args=arguments, poolclass=NullPool)
    try:
        check_server(engine, allow_unsafe=True)
        connection = engine.connect()
    except OperationalError as error:
        raise unreachable(address, error) from error
    with connection:
        try:
            return _migrate(connection)
        except DBAPIError as error:
            refusal = _refusal(error)
            if refusal is None:
                raise
            raise refusal from error


def current_revision(connection: Connection) -> str | None:
    """The schema's revision in this database; None: it holds no ledger yet."""
    return MigrationContext.configure(connection).get_current_revision()


def head_revision() -> str:
    """The revision this program needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "there is at least one migration"
    return head


def require_current(engine: Engine) -> None:
    """Raises SchemaBehind if the schema is older than this program.

    A revision this program does not know is a later one. It is accepted: migrations leave the
    previous version of the program working.
    """
    with engine.connect() as connection:
        current = current_revision(connection)
    head = head_revision()
    if current is None or (current != head and _known(current)):
        raise SchemaBehind(current, head)


def _migrate(connection: Connection) -> MigrationResult:
    deadline = time.monotonic() + PATIENCE_SECONDS
    _lock(connection, deadline)
    before = current_revision(connection)
    connection.commit()
    if before is not None and not _known(before):
        raise SchemaAhead(before, head_revision())
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = _config()
    config.attributes["connection"] = connection
    while True:
        try:
            with ALEMBIC:
                command.upgrade(config, "head")
            return MigrationResult(before, head_revision())
        except DBAPIError as error:
            connection.rollback()
            if not isinstance(error.orig, _IN_THE_WAY) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.5, 1.5))


def _lock(connection: Connection, deadline: float) -> None:
    """Be the only migrator of this database until the connection is closed.

    Asked again and again rather than waited for: an index that is built meanwhile would wait for
    the end of the transaction that waits. Raises MigrationRefused.
    """
    while True:
        taken = connection.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (MIGRATOR_LOCK,))
        if taken.scalar_one():
            return
        connection.commit()
        if time.monotonic() > deadline:
            raise MigrationRefused("somebody else is migrating this database: try again later")
        time.sleep(0.1)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_directory()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _directory() -> Path:
    """Where the migrations are: beside the package's modules, or at the top of a checkout."""
    here = Path(__file__).resolve()
    for directory in (here.parents[1] / "migrations", here.parents[3] / "migrations"):
        if (directory / "env.py").is_file():
            return directory
    raise FileNotFoundError(f"no migrations beside {here.parents[1]}: install the package again")


def _known(revision: str) -> bool:
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return any(script.revision == revision for script in scripts)


def _refusal(error: DBAPIError) -> MigrationRefused | None:
    """The refusal to raise for what the operator has to solve; None for anything else."""
    original = error.orig
    if isinstance(original, _IN_THE_WAY):
        return MigrationRefused("a lock could not be had in time: is the database busy? Try again")
    if isinstance(original, psycopg2.errors.ReadOnlySqlTransaction):
        return MigrationRefused(
            "the database is only for reading: is this a standby, or is "
            "default_transaction_read_only on? Migrate the primary"
        )
    if isinstance(original, psycopg2.errors.InsufficientPrivilege):
        primary, hint = original.diag.message_primary, original.diag.message_hint
        advice = hint or "Let the owner of the database migrate it."
        return MigrationRefused(f"{primary}. {advice}")
    return None
