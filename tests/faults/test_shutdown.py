"""The service stops, or its database is stopped under it: nothing that was answered is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.store import embedded
from tests.conftest import make_directory, running_server
from tests.faults.load import Load, client_of, open_shop
from tests.faults.postgres_proxy import PostgresProxy
from tests.faults.processes import ServiceProcess, connect, eventually, meanwhile
from tests.service.client import Failure, GrpcClient
from tests.service.requests import balance, purchase

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

#: What an orchestrator gives a process to end after SIGTERM, unless told otherwise.
PATIENCE_SECONDS = 25.0


@contextlib.contextmanager
def serving(environment: dict[str, str], log: Path) -> Iterator[ServiceProcess]:
    """A service with an open shop."""
    with ServiceProcess(environment, log) as service:
        service.start()
        with contextlib.closing(client_of(service.grpc_address)) as client:
            open_shop(client)
        yield service


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_service_that_is_told_to_stop_under_load_loses_nothing_it_accepted(
    workers: str, database_url: str, tmp_path: Path
) -> None:
    environment = {"LEDGER_DATABASE_URL": database_url, "LEDGER_WORKERS": workers}
    with serving(environment, tmp_path / "log") as service:
        load = Load(service.grpc_address, seed=5)
        with load.running(), impatient_clients(service.grpc_address) as answers:
            load.wait_for_answers(100)
            began = time.monotonic()
            assert service.terminate(PATIENCE_SECONDS) == 0
            assert time.monotonic() - began < 10
        load.check_answers(database_url)
        assert set(answers) == {"OK", "SHUTTING_DOWN", "UNAVAILABLE"}
        assert set(load.failures) <= {
            "SHUTTING_DOWN",
            "UNAVAILABLE",  # nobody listens any more
            "PURCHASE_ALREADY_RECORDED",
            "MEMBER_ALREADY_ENROLLED",
        }
        assert "Traceback" not in service.log_path.read_text()
        service.start()
        load.settle()
        load.check(database_url)


def test_calls_that_a_starved_service_has_read_and_not_begun_can_be_repeated(
    database_url: str,
) -> None:
    """gRPC by itself answers CANCELLED for them when it stops, which most clients do not repeat."""
    with contextlib.ExitStack() as clients, running_server(database_url) as server:
        with contextlib.closing(client_of(server.grpc_address)) as client:
            open_shop(client)
        answers = clients.enter_context(impatient_clients(server.grpc_address))
        eventually("calls are answered", lambda: answers["OK"] > 100)
        clients.enter_context(starved(server.loop))
    assert set(answers) <= {"OK", "SHUTTING_DOWN", "UNAVAILABLE"}
    assert answers["UNAVAILABLE"]


@contextlib.contextmanager
def starved(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Within the block the loop does something else for most of the time."""

    def starve() -> None:
        with contextlib.suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(time.sleep, 0.2)

    with meanwhile(starve, lambda: 0.2):
        yield


def test_a_starved_service_answers_every_write_that_its_database_did_before_it_hangs_up(
    database_url: str,
) -> None:
    """Whoever is cut off instead can repeat the call, but was promised an answer."""
    answered: set[str] = set()
    refused: Counter[str] = Counter()

    def write(address: str, number: int) -> None:
        with contextlib.closing(client_of(address)) as client:
            try:
                client.record_purchase(purchase(number))
                answered.add(f"receipt-{number}")
            except Failure as failure:
                refused[failure.reason or failure.code] += 1

    with (
        contextlib.closing(connect(database_url)) as connection,
        connection.cursor() as cursor,
        contextlib.ExitStack() as over,
        ThreadPoolExecutor(8) as pool,
        running_server(database_url) as server,
    ):
        with contextlib.closing(client_of(server.grpc_address)) as client:
            open_shop(client)
        cursor.execute(
            "CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN PERFORM pg_sleep(2); RETURN NULL; END $$;"
            "CREATE TRIGGER slow AFTER INSERT ON purchases"
            " FOR EACH STATEMENT EXECUTE FUNCTION be_slow()"
        )

        def writing() -> bool:
            cursor.execute(
                "SELECT FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event = 'PgSleep'"
            )
            return cursor.fetchone() is not None

        for number in range(8):
            pool.submit(write, server.grpc_address, number)
        eventually("purchases are being recorded", writing)
        over.enter_context(starved(server.loop))
    with contextlib.closing(connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT purchase_id FROM purchases")
        recorded = {purchase_id for (purchase_id,) in cursor}
    assert recorded, "none was under way"
    assert recorded == answered
    assert set(refused) <= {"SHUTTING_DOWN"}


@contextlib.contextmanager
def impatient_clients(address: str, clients: int = 8) -> Iterator[Counter[str]]:
    """Within the block they ask for a balance, again at once whatever the answer is."""
    answers: Counter[str] = Counter()
    over = threading.Event()

    def ask() -> None:
        with contextlib.closing(client_of(address)) as client:
            while not over.is_set():
                try:
                    client.get_balance(balance("m-1"))
                    answers["OK"] += 1
                except Failure as failure:
                    answers[failure.reason or failure.code] += 1

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join(30)


@pytest.mark.parametrize("trouble", [pytest.param("refuses", marks=pytest.mark.slow), "swallows"])
def test_a_service_without_its_database_stops_in_bounded_time(
    trouble: str, database_url: str, tmp_path: Path
) -> None:
    with (
        PostgresProxy(database_url) as proxy,
        serving({"LEDGER_DATABASE_URL": proxy.url()}, tmp_path / "log") as service,
        contextlib.closing(client_of(service.grpc_address)) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        client.record_purchase(purchase(1))
        fault = proxy.hold_commit()
        writing = pool.submit(client.record_purchase, purchase(2))
        fault.wait()
        if trouble == "refuses":
            proxy.refuse_connections()
            proxy.cut_all()
        else:
            proxy.swallow()
        began = time.monotonic()
        assert service.terminate(PATIENCE_SECONDS) == 0
        print(f"ended after {time.monotonic() - began:.1f} s")
        with pytest.raises(Failure) as refused:
            writing.result()
        assert refused.value.code == "UNAVAILABLE"
        proxy.accept_connections()
        proxy.disarm_all()
        proxy.release()

        service.start()
        # On a connection of its own: that of the client waits before it tries again.
        options = [("grpc.use_local_subchannel_pool", 1)]
        with contextlib.closing(GrpcClient(service.grpc_address, options=options)) as again:
            assert again.record_purchase(purchase(2)).entries[0].points == 12


@pytest.fixture
def data_dir() -> Iterator[Path]:
    directory = make_directory()
    yield directory / "data"
    embedded.stop(directory / "data")
    shutil.rmtree(directory)


def test_an_embedded_database_that_ends_under_the_service_is_started_again(
    data_dir: Path, tmp_path: Path
) -> None:
    """Stopped by somebody, then killed; the service goes on, and ends it when it ends itself."""
    environment = {"LEDGER_DATA_DIR": str(data_dir)}
    database_url = f"postgresql://postgres@/ledger?host={data_dir}/postgres&port=5432"
    with serving(environment, tmp_path / "log") as service:
        load = Load(service.grpc_address, seed=6)
        with load.running():
            load.wait_for_answers(100)
            stopped = subprocess.run(
                [sys.executable, "-m", "ledger", "embedded", "stop"],
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
            )
            assert stopped.returncode == 0, stopped.stderr
            began = time.monotonic()
            load.wait_for_answers(100)
            print(f"served again after {time.monotonic() - began:.1f} s")

            pid = embedded.status(data_dir).pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            load.wait_for_answers(100)
        load.settle()
        load.check(database_url)
        assert service.terminate(PATIENCE_SECONDS) == 0
        assert embedded.status(data_dir).state == "STOPPED"
        told = [json.loads(line)["event"] for line in service.log_lines()]
        assert told.count("embedded database") >= 2
