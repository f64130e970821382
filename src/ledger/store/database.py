"""Opens a PostgreSQL database: which addresses and servers are accepted, how sessions are set up.

Imports SQLAlchemy and `ledger.store.tables` only.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, make_dsn
from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ledger.store.tables import SERVICE_ROLE

T = TypeVar("T")

DIALECTS = ("postgresql", "postgres", "postgresql+psycopg2")
"""What an address may begin with; all of them mean the same."""

OLDEST_SERVER = 150000
"""`server_version_num` of the oldest PostgreSQL that is accepted."""

POOL_TIMEOUT_SECONDS = 3

SERVICE_POOL = 8
"""Connections that one service process may have open."""

#: How fast a dead network or server is noticed; each can be set in the address instead.
CONNECTION_SETTINGS = {
    "connect_timeout": 3,  # seconds
    "tcp_user_timeout": 10_000,  # milliseconds
    "keepalives": 1,
    "keepalives_idle": 10,  # seconds
    "keepalives_interval": 3,  # seconds
    "keepalives_count": 3,
}

#: Bounds on what one session may cost; `options` in the address go over them.
SESSION_SETTINGS = {
    "statement_timeout": "5s",
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "10s",
    "client_connection_check_interval": "2s",
    "TimeZone": "UTC",
}

#: From PostgreSQL 16 on, being a member of a role is not enough to act as it.
ROLE_QUERY = """
SELECT current_user::text, count(*) = 1, coalesce(bool_and(pg_has_role(oid, CASE
    WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END)), false)
FROM pg_roles WHERE rolname = %s
"""

READ_ONLY_SQL_TRANSACTION = "25006"


class DatabaseUnusable(Exception):
    """This database can not be used as it is; the message is for whoever starts the program.

    EmbeddedServerError   the embedded server can not be started or stopped
    MigrationRefused      its schema can not be brought up to date
      SchemaAhead         because it is newer than the program
    SchemaBehind          its schema is older than the program
    """


def normalize_url(text: str) -> URL:
    """The address as SQLAlchemy shall open it, with psycopg2 as the driver.

    Raises DatabaseUnusable if it is not a PostgreSQL address, or has unknown options. Never repeats
    the address in the message: it may hold a password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # a password with @ and : in it counts as part of the port
        raise DatabaseUnusable(
            "the database address can not be read: it should look like "
            "postgresql://user:password@host:5432/database"
        ) from None
    if url.drivername not in DIALECTS:
        raise DatabaseUnusable(
            f"the database address begins with {url.drivername}://, but only PostgreSQL is "
            f"supported: {', '.join(f'{dialect}://' for dialect in DIALECTS)}"
        )
    try:
        make_dsn(**dict.fromkeys(url.query, "1"))
    except psycopg2.ProgrammingError:
        raise DatabaseUnusable(
            "the database address has an option behind its ? that PostgreSQL's client does not "
            "know; a ? or & in a password is written %3F or %26"
        ) from None
    return url.set(drivername="postgresql+psycopg2")


def open_database(
    url: str | URL,
    *,
    role: str | None = SERVICE_ROLE,
    pool_size: int = 5,
    application_name: str = "ledger",
    allow_unsafe: bool = False,
) -> Engine:
    """A pool of connections to a server that was checked, in the given role.

    Connections are in AUTOCOMMIT mode: whoever wants a transaction executes BEGIN and COMMIT. One
    that comes back to the pool amid a transaction is rolled back.

    role is None for the login user's own. Raises DatabaseUnusable if the address or the server is
    not accepted (see check_server), can not be reached, or does not let this user have the role.
    """
    address = normalize_url(url) if isinstance(url, str) else url
    engine = create_engine(
        address,
        connect_args=connect_args(address, role=role, application_name=application_name),
        isolation_level="AUTOCOMMIT",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        pool_reset_on_return=None,  # the driver's rollback() does nothing in AUTOCOMMIT mode
    )
    event.listen(engine, "reset", _roll_back)
    event.listen(engine, "handle_error", _drop_pool_of_demoted_server)
    try:
        check_server(engine, allow_unsafe=allow_unsafe)
        check_sessions(engine, role)
    except OperationalError as error:
        engine.dispose()
        if role is not None:
            _explain_role(address, role)
        raise unreachable(address, error) from error
    except BaseException:
        engine.dispose()
        raise
    return engine


def connect_args(
    url: URL,
    *,
    role: str | None,
    application_name: str,
    settings: dict[str, str] = SESSION_SETTINGS,
) -> dict[str, Any]:
    """The driver's arguments beside the address: settings are startup options, no round trip.

    What the address says goes first, except for the role.
    """
    options = [f"-c {name}={value}" for name, value in settings.items()]
    given = url.query.get("options", ())
    options += [given] if isinstance(given, str) else given
    if role is not None:
        options.append(f"-c role={role}")
    own = CONNECTION_SETTINGS | {"application_name": application_name}
    arguments: dict[str, Any] = {k: v for k, v in own.items() if k not in url.query}
    return arguments | {"options": " ".join(options)}


def check_server(engine: Engine, *, allow_unsafe: bool = False) -> None:
    """Raises DatabaseUnusable if the server is too old or could lose what it has confirmed.

    allow_unsafe accepts settings that lose data in a crash; for tests and throw-away data only.
    """
    with engine.connect() as connection:
        version, encoding, *durable = connection.exec_driver_sql(
            "SELECT current_setting('server_version_num')::int, "
            "current_setting('server_encoding'), current_setting('fsync'), "
            "current_setting('full_page_writes'), current_setting('synchronous_commit')"
        ).one()
    place = where(engine.url)
    if version < OLDEST_SERVER:
        raise DatabaseUnusable(
            f"the server at {place} is PostgreSQL {version // 10000}: "
            f"{OLDEST_SERVER // 10000} or later is needed"
        )
    if encoding != "UTF8":
        raise DatabaseUnusable(
            f"the database at {place} has encoding {encoding}: create one with ENCODING 'UTF8'"
        )
    if allow_unsafe:
        return
    for name, value in zip(
        ("fsync", "full_page_writes", "synchronous_commit"), durable, strict=True
    ):
        if value == "off":
            raise DatabaseUnusable(
                f"the server at {place} has {name} = off, so that a crash could lose what was "
                f"already confirmed: set {name} = on"
            )


def check_sessions(engine: Engine, role: str | None) -> None:
    """Raises DatabaseUnusable if something in between gives sessions to others after each
    transaction, or does not let them begin in the role that was asked for."""
    pool = engine.pool
    with engine.connect() as one:
        user, pid = _session(one)
        if role is not None and user != role:
            raise DatabaseUnusable(
                f"sessions at {where(engine.url)} begin as {user}, though {role} was asked for: "
                "something in between drops what they ask for (PgBouncer: "
                f"ignore_startup_parameters), so run ALTER ROLE {user} SET role = {role}"
            )
        if isinstance(pool, QueuePool) and pool.size() > 1:
            with engine.connect() as other:
                shared = _session(other)[1] == pid
            if shared:
                raise DatabaseUnusable(
                    f"two connections to {where(engine.url)} share one session: something in "
                    "between pools by transaction or statement (PgBouncer: set pool_mode = "
                    "session for this database)"
                )
    engine.dispose()  # nobody needs two yet


def _session(connection: Connection) -> tuple[str, int]:
    found = connection.exec_driver_sql("SELECT current_user::text, pg_backend_pid()").one()
    return found[0], found[1]


def ask(database: Engine, question: Callable[..., T], *arguments: object) -> T:
    """What question(connection, *arguments) reads, on a connection of the pool.

    Asked once more when that one had died unnoticed, so it must not write anything.
    """
    try:
        with database.connect() as connection:
            return question(connection, *arguments)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    with database.connect() as connection:
        return question(connection, *arguments)


def is_unavailable(error: SQLAlchemyError) -> bool:
    """Whether it says that the database is away, busy or only for reading: that a repeat may do."""
    if isinstance(error, PoolTimeout | OperationalError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "pgcode", None)
    return bool(error.connection_invalidated) or not code or code == READ_ONLY_SQL_TRANSACTION


def unreachable(url: URL, error: OperationalError) -> DatabaseUnusable:
    """What to raise when connecting failed."""
    reason = " ".join(str(error.orig).split())
    return DatabaseUnusable(f"can not connect to {where(url)}: {reason}")


def where(url: URL) -> str:
    """The address without its passwords, for messages."""
    return url.difference_update_query(["password", "sslpassword"]).render_as_string(
        hide_password=True
    )


def _roll_back(dbapi_connection: Any, *_: object) -> None:
    if dbapi_connection.info.transaction_status != TRANSACTION_STATUS_IDLE:
        with dbapi_connection.cursor() as cursor:
            cursor.execute("ROLLBACK")


def _drop_pool_of_demoted_server(context: ExceptionContext) -> None:
    """After a failover, connections to what is now a standby work on, but only for reading."""
    error = context.original_exception
    if isinstance(error, psycopg2.Error) and error.pgcode == READ_ONLY_SQL_TRANSACTION:
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = True


def _explain_role(url: URL, role: str) -> None:
    """Raises DatabaseUnusable if connecting fails only for want of the role."""
    plain = create_engine(url, connect_args=connect_args(url, role=None, application_name="ledger"))
    try:
        with plain.connect() as connection:
            user, exists, granted = connection.exec_driver_sql(ROLE_QUERY, (role,)).one()
    except OperationalError:
        return  # the role is not the problem, or not the only one
    finally:
        plain.dispose()
    if not exists:
        raise DatabaseUnusable(
            f"the server at {where(url)} has no role {role}, so this database was never migrated: "
            "run `ledger migrate`"
        )
    if not granted:
        raise DatabaseUnusable(
            f"user {user} may not act as {role} at {where(url)}: "
            f"let an administrator run GRANT {role} TO {user}"
        )
