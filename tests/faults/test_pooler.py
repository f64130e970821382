"""PgBouncer before the database: pooling by session it serves, by transaction it must not."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator

import psycopg2
import pytest

from ledger.store.data_directory import as_server_account
from ledger.store.database import DatabaseUnusable, open_database
from ledger.store.migrate import migrate
from tests.faults.engines import assert_sound, buy, enroll, make_program, running_engine, summary
from tests.faults.processes import (
    PrivatePostgres,
    connect,
    eventually,
    free_port,
    private_directory,
    private_postgres,
)
from tests.faults.replicas import own

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]

PGBOUNCER = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")


@pytest.fixture(scope="module")
def postgres() -> Iterator[PrivatePostgres]:
    if PGBOUNCER is None:
        pytest.skip("there is no pgbouncer here (Debian: apt-get install pgbouncer)")
    with private_postgres() as postgres:
        url = postgres.create_database("shop")
        migrate(url)
        make_program(url)
        with contextlib.closing(connect(url)) as connection:
            connection.cursor().execute("CREATE ROLE app LOGIN IN ROLE ledger_service")
        yield postgres


@contextlib.contextmanager
def pooled(postgres: PrivatePostgres, mode: str) -> Iterator[str]:
    """The address of the shop behind a PgBouncer that pools by `mode`."""
    port = free_port()
    with private_directory() as directory:
        (directory / "users").write_text('"app" ""\n')
        (directory / "pgbouncer.ini").write_text(
            f"""[databases]
            shop = host={postgres.data} port=5432
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {port}
            unix_socket_dir =
            auth_type = trust
            auth_file = {directory}/users
            pool_mode = {mode}
            ignore_startup_parameters = options
            """
        )
        own(directory)
        assert PGBOUNCER is not None
        process = subprocess.Popen(
            as_server_account([PGBOUNCER, str(directory / "pgbouncer.ini")]),
            stdout=subprocess.DEVNULL,
            stderr=(directory / "log").open("wb"),
            cwd="/",
        )
        url = f"postgresql://app@127.0.0.1:{port}/shop"
        try:
            eventually(f"PgBouncer answers: {directory}", lambda: _answers(url))
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _answers(url: str) -> bool:
    try:
        connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


@contextlib.contextmanager
def given_the_role(postgres: PrivatePostgres) -> Iterator[None]:
    """Within the block the user begins in the service's role, whatever it asks for."""
    with contextlib.closing(connect(postgres.url("shop"))) as connection:
        connection.cursor().execute("ALTER ROLE app SET role = ledger_service")
        try:
            yield
        finally:
            connection.cursor().execute("ALTER ROLE app RESET role")


async def test_pooling_by_session_serves(postgres: PrivatePostgres) -> None:
    with (
        given_the_role(postgres),
        pooled(postgres, "session") as url,
        running_engine(url) as running,
    ):
        assert summary(await running.write(enroll("m-1"), buy(1))) == ["first", "first"]
        assert summary(await running.write(buy(1))) == ["replayed"]
        _, read = await running.engine.read("bean-street", "m-1")
        assert read.account.available == 10
    assert_sound(postgres.url("shop"))


def test_pooling_by_transaction_is_refused(postgres: PrivatePostgres) -> None:
    with (
        given_the_role(postgres),
        pooled(postgres, "transaction") as url,
        pytest.raises(DatabaseUnusable, match=r"share one session.*pool_mode = session"),
    ):
        open_database(url)


def test_a_session_that_does_not_begin_in_the_role_is_refused(postgres: PrivatePostgres) -> None:
    with (
        pooled(postgres, "session") as url,
        pytest.raises(DatabaseUnusable, match=r"begin as app.*ALTER ROLE app SET role"),
    ):
        open_database(url)
