"""Which addresses and servers are accepted, and how sessions are set up."""

from collections.abc import Iterator

import psycopg2
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from ledger.store import database
from ledger.store.database import DatabaseUnusable, normalize_url, open_database
from ledger.store.embedded import EmbeddedServer
from ledger.store.migrate import migrate, require_current

SETTINGS = {
    "statement_timeout": "5s",
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "10s",
    "client_connection_check_interval": "2s",
    "TimeZone": "UTC",
    "role": "ledger_service",
    "application_name": "ledger",
}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url, pool_size=2)
    yield engine
    engine.dispose()


def scalar(engine: Engine, statement: str) -> object:
    with engine.connect() as connection:
        return connection.exec_driver_sql(statement).scalar()


@pytest.mark.parametrize("dialect", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_every_way_to_write_a_postgresql_address_is_opened_with_psycopg2(dialect: str) -> None:
    url = normalize_url(f"{dialect}://me:secret@db.example:6432/ledger?sslmode=require")
    assert url.drivername == "postgresql+psycopg2"
    assert (url.username, url.password, url.host, url.port) == ("me", "secret", "db.example", 6432)
    assert (url.database, url.query) == ("ledger", {"sslmode": "require"})


@pytest.mark.parametrize(
    "text", ["sqlite:///x", "mysql://me:secret@db/x", "postgresql+asyncpg://x"]
)
def test_another_database_is_refused_saying_what_is_supported(text: str) -> None:
    with pytest.raises(DatabaseUnusable, match=r"only PostgreSQL.*postgresql://") as refusal:
        normalize_url(text)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    ["me:secret@db", "postgresql://me:an@other:secret@db:5432/x", "postgresql://me@db:secret/x"],
)
def test_an_address_that_can_not_be_read_is_refused_without_repeating_its_password(
    text: str,
) -> None:
    with pytest.raises(DatabaseUnusable, match="can not be read") as refusal:
        normalize_url(text)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "text", ["postgresql://me@db/x?sslmod=require", "postgresql://me@db/a?secret=b@db/x"]
)
def test_an_address_with_an_unknown_option_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(DatabaseUnusable, match="option behind its") as refusal:
        normalize_url(text)
    assert "secret" not in str(refusal.value)


def test_messages_name_the_address_without_any_password() -> None:
    url = normalize_url(
        "postgresql://me:secret@db/x?password=secret&sslpassword=secret&sslmode=require"
    )
    assert database.where(url) == "postgresql+psycopg2://me:***@db/x?sslmode=require"


@pytest.mark.parametrize(("name", "value"), SETTINGS.items())
def test_sessions_are_bounded_and_in_the_services_role(
    engine: Engine, name: str, value: str
) -> None:
    assert scalar(engine, f"SHOW {name}") == value


def test_dead_networks_are_noticed_in_seconds(database_url: str) -> None:
    arguments = database.connect_args(
        normalize_url(database_url), role=None, application_name="test"
    )
    expected = database.CONNECTION_SETTINGS | {"application_name": "test"}
    assert {name: arguments[name] for name in expected} == expected


def test_options_in_the_address_are_kept_and_go_first(database_url: str) -> None:
    engine = open_database(
        f"{database_url}&options=-c%20statement_timeout%3D7s%20-c%20work_mem%3D9MB"
        "&application_name=till&connect_timeout=9"
    )
    assert scalar(engine, "SHOW statement_timeout") == "7s"
    assert scalar(engine, "SHOW work_mem") == "9MB"
    assert scalar(engine, "SHOW lock_timeout") == "1s"
    assert scalar(engine, "SHOW application_name") == "till"
    engine.dispose()


def test_options_in_the_address_do_not_change_the_role(database_url: str) -> None:
    engine = open_database(f"{database_url}&options=-c%20role%3Dpostgres")
    assert scalar(engine, "SELECT current_user") == "ledger_service"
    engine.dispose()


def test_statements_commit_by_themselves_unless_a_transaction_is_begun(engine: Engine) -> None:
    with engine.connect() as connection:
        first = connection.exec_driver_sql("SELECT pg_current_xact_id()").scalar()
        assert connection.exec_driver_sql("SELECT pg_current_xact_id()").scalar() != first
        connection.exec_driver_sql("BEGIN")
        first = connection.exec_driver_sql("SELECT pg_current_xact_id()").scalar()
        assert connection.exec_driver_sql("SELECT pg_current_xact_id()").scalar() == first
        connection.exec_driver_sql("COMMIT")


def test_a_transaction_left_open_is_rolled_back_when_its_connection_returns(
    database_url: str,
) -> None:
    engine = open_database(database_url, role=None, pool_size=1)
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("CREATE TABLE left_open ()")
    assert scalar(engine, "SELECT to_regclass('left_open')") is None
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        with pytest.raises(DBAPIError):
            connection.exec_driver_sql("SELECT 1 / 0")
    assert scalar(engine, "SELECT 1") == 1
    engine.dispose()


def test_a_lost_connection_is_replaced(engine: Engine) -> None:
    with psycopg2.connect(engine.url.set(drivername="postgresql").render_as_string()) as other:
        pid = scalar(engine, "SELECT pg_backend_pid()")
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    with pytest.raises(OperationalError):
        scalar(engine, "SELECT 1")
    assert scalar(engine, "SELECT 1") == 1


def test_connections_to_a_demoted_server_are_dropped_together(database_url: str) -> None:
    engine = open_database(database_url, role=None, pool_size=2)
    pids = "SELECT array_agg(pid) FROM pg_stat_activity WHERE application_name = 'ledger' "
    pids += "AND datname = current_database() AND pid <> pg_backend_pid()"
    with engine.connect() as one, engine.connect() as two:
        one.exec_driver_sql("SELECT 1")
        two.exec_driver_sql("SELECT 1")
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN READ ONLY")  # as a standby has every transaction
        with pytest.raises(DBAPIError) as error:
            connection.exec_driver_sql("CREATE TABLE written ()")
        assert isinstance(error.value.orig, psycopg2.errors.ReadOnlySqlTransaction)
        assert error.value.connection_invalidated
    assert scalar(engine, pids) is None
    engine.dispose()


def test_other_errors_keep_the_connections(engine: Engine) -> None:
    pid = scalar(engine, "SELECT pg_backend_pid()")
    with pytest.raises(DBAPIError):
        scalar(engine, "SELECT 1 / 0")
    assert scalar(engine, "SELECT pg_backend_pid()") == pid


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_server_that_could_lose_data_in_a_crash_is_refused(
    own_server: EmbeddedServer, setting: str
) -> None:
    url = own_server.url()
    set_server(url, setting, "off")
    with pytest.raises(DatabaseUnusable, match=f"has {setting} = off.*set {setting} = on"):
        open_database(url, role=None)
    open_database(url, role=None, allow_unsafe=True).dispose()
    set_server(url, setting, "on")
    open_database(url, role=None).dispose()


def set_server(url: str, setting: str, value: str) -> None:
    engine = open_database(url, role=None, allow_unsafe=True)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = {value}")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
        connection.exec_driver_sql("SELECT pg_sleep(0.2)")
    engine.dispose()


def test_commits_that_do_not_wait_for_the_disk_are_refused(database_url: str) -> None:
    with pytest.raises(DatabaseUnusable, match="synchronous_commit = off"):
        open_database(f"{database_url}&options=-c%20synchronous_commit%3Doff")


def test_another_encoding_is_refused(
    cluster: EmbeddedServer, administrator: psycopg2.extensions.connection
) -> None:
    with administrator.cursor() as cursor:
        cursor.execute(
            "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc "
            "TEMPLATE template0"
        )
        try:
            with pytest.raises(DatabaseUnusable, match=r"encoding LATIN1.*ENCODING 'UTF8'"):
                open_database(cluster.url("latin"), role=None)
        finally:
            cursor.execute("DROP DATABASE latin")


def test_an_older_server_is_refused(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "OLDEST_SERVER", 990000)
    with pytest.raises(DatabaseUnusable, match="is PostgreSQL 18: 99 or later is needed"):
        open_database(database_url)


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(DatabaseUnusable, match=r"can not connect to postgresql.*/nowhere.*refused"):
        open_database("postgresql://me:secret@127.0.0.1:1/nowhere")


def test_a_server_never_migrated_is_told_from_one_out_of_reach(
    own_server: EmbeddedServer,
) -> None:
    with pytest.raises(DatabaseUnusable, match=r"has no role ledger_service.*`ledger migrate`"):
        open_database(own_server.url())


def test_a_user_without_the_services_role_learns_who_can_help(
    database_url: str, administrator: psycopg2.extensions.connection
) -> None:
    with administrator.cursor() as cursor:
        cursor.execute("CREATE ROLE stranger LOGIN")
        try:
            with pytest.raises(DatabaseUnusable, match="GRANT ledger_service TO stranger"):
                open_database(database_url.replace("postgres@", "stranger@"))
        finally:
            cursor.execute("DROP ROLE stranger")


def test_postgresql_15_is_accepted(postgres_15: str) -> None:
    migrate(postgres_15)
    engine = open_database(postgres_15)
    require_current(engine)
    assert scalar(engine, "SELECT current_user") == "ledger_service"
    assert scalar(engine, "SELECT count(*) FROM entries") == 0
    engine.dispose()
