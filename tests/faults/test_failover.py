"""The database is restarted, or another server takes over: the service goes on by itself."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.store.migrate import migrate
from tests.faults.load import Load, client_of, open_shop
from tests.faults.postgres_proxy import PostgresProxy
from tests.faults.processes import PrivatePostgres, ServiceProcess, connect, private_postgres
from tests.faults.replicas import primary_and_standby, promote

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

#: after a database answers again, or another one does
HEALING_SECONDS = 10.0


@contextlib.contextmanager
def served(address: str, log: Path, workers: int = 1) -> Iterator[ServiceProcess]:
    """A service with an open shop on a migrated database."""
    environment = {"LEDGER_DATABASE_URL": address, "LEDGER_WORKERS": str(workers)}
    with ServiceProcess(environment, log) as service:
        service.start()
        service.wait_for_log("development mode", 30)  # told when all workers serve
        with contextlib.closing(client_of(service.grpc_address)) as client:
            open_shop(client)
        yield service
        assert service.terminate(25.0) == 0
        assert "Traceback" not in service.log_path.read_text()


def heals(load: Load, what: str) -> None:
    began = time.monotonic()
    load.wait_for_answers(20, HEALING_SECONDS)
    print(f"{what}: served again after {time.monotonic() - began:.1f} s")


def two_hosts(primary: PrivatePostgres, standby: PrivatePostgres, database: str) -> str:
    hosts = "&".join(f"host=127.0.0.1:{each.settings['port']}" for each in (primary, standby))
    return f"postgresql://postgres@/{database}?{hosts}&target_session_attrs=read-write"


def test_a_database_that_is_restarted_is_used_again(tmp_path: Path) -> None:
    """In order, as for an update of PostgreSQL, and by a crash."""
    with private_postgres() as postgres:
        url = postgres.create_database("restarted")
        migrate(url)
        with served(url, tmp_path / "log") as service:
            load = Load(service.grpc_address, seed=21)
            with load.running():
                load.wait_for_answers(50)
                for stop in (postgres.stop, postgres.kill):
                    stop()
                    time.sleep(1)
                    postgres.start()
                    heals(load, stop.__name__)
            load.settle()
            load.check(url)


def test_a_standby_that_takes_over_has_everything_that_was_answered(tmp_path: Path) -> None:
    """Both servers are in the address. The first one dies while it commits, and the second, which
    every COMMIT has waited for, is promoted."""
    with primary_and_standby() as (primary, standby):
        migrate(primary.create_database("shop"))
        with served(two_hosts(primary, standby, "shop"), tmp_path / "log", workers=2) as service:
            load = Load(service.grpc_address, seed=22)
            with load.running():
                load.wait_for_answers(100)
                primary.kill()
                time.sleep(1)
                promote(standby)
                heals(load, "failover")
            load.settle()
            load.check(standby.url("shop"))


def test_a_connection_to_a_standby_is_left_as_soon_as_another_server_can_be_had(
    tmp_path: Path,
) -> None:
    """Behind one address, which leads to the standby before that is promoted: it answers every
    write with 25006, on connections that are otherwise as good as any."""
    with primary_and_standby() as (primary, standby):
        url = primary.create_database("shop")
        migrate(url)
        with PostgresProxy(url) as proxy, served(proxy.url(), tmp_path / "log") as service:
            load = Load(service.grpc_address, seed=23)
            with load.running():
                load.wait_for_answers(100)
                primary.kill()
                proxy.redirect(standby.url("shop"))
                service.wait_for_log('"25006"')
                promote(standby)
                heals(load, "switch")
            load.settle()
            load.check(standby.url("shop"))


@pytest.mark.faults_long
def test_what_the_standby_did_not_get_is_not_answered(tmp_path: Path) -> None:
    """It stands still while the first server goes on: that one commits, and waits. Whoever gives up
    and asks again finds there what only one server has, and must not be told that it is durable."""
    with primary_and_standby() as (primary, standby):
        migrate(primary.create_database("shop"))
        with served(two_hosts(primary, standby, "shop"), tmp_path / "log") as service:
            load = Load(service.grpc_address, seed=24)
            with load.running():
                load.wait_for_answers(100)
                with standby.paused([receiver_of(standby)]):
                    time.sleep(1)  # what it had received is answered
                    before = len(load.receipts)
                    time.sleep(20)  # attempts are given up after 6 s, callers repeat
                    assert len(load.receipts) == before
                    primary.kill()
                promote(standby)
                heals(load, "failover")
            load.settle()
            load.check(standby.url("shop"))
            unknown = {"COMMIT_UNKNOWN", "STORAGE_UNAVAILABLE", "OVERLOADED", "DEADLINE_EXCEEDED"}
            assert unknown & set(load.failures), "nobody was kept waiting for long"


def receiver_of(standby: PrivatePostgres) -> int:
    """The process of a standby that receives what the first server writes."""
    with contextlib.closing(connect(standby.url())) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_wal_receiver")
        (pid,) = cursor.fetchone() or (0,)
        return int(pid)
