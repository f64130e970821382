"""The helpers that start, stop and kill: each does what it says, and only to what it may."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tests.faults.processes import (
    PrivatePostgres,
    ServiceProcess,
    backend_pids,
    connect,
    kill_backend,
    paused_backend,
    private_postgres,
    terminate_backend,
    wait_for_backends,
    wait_until_accepting,
)

pytestmark = pytest.mark.faults

#: Stands in for the service: it says that it is ready, and ends on SIGTERM.
STAND_IN = """
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
host, port = os.environ["LEDGER_HTTP_ADDRESS"].split(":")
print("listening", flush=True)
http.server.HTTPServer((host, int(port)), Handler).serve_forever()
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    command = (sys.executable, "-c", STAND_IN)
    with ServiceProcess({}, tmp_path / "service.log", command=command) as service:
        yield service


@pytest.fixture(scope="module")
def server() -> Iterator[PrivatePostgres]:
    with private_postgres() as server:
        yield server


def named(url: str, application_name: str) -> str:
    return f"{url}&application_name={application_name}"


def test_a_service_starts_stops_and_starts_again(service: ServiceProcess) -> None:
    assert not service.start(wait=False).is_ready() or service.pid
    service.wait_until_ready()
    assert service.wait_for_log("listening")
    assert service.terminate() == 0
    assert not service.is_ready()
    first_pid = service.start().pid
    assert service.restart().pid != first_pid
    assert service.is_ready()
    service.kill()
    assert not service.is_ready()
    assert len(service.log_lines()) >= 3


def test_a_paused_service_answers_when_resumed(service: ServiceProcess) -> None:
    service.start()
    service.pause()
    assert not service.is_ready()
    service.resume()
    service.wait_until_ready()


def test_a_service_opens_as_many_files_as_the_system_lets_it(
    database_url: str, tmp_path: Path
) -> None:
    """Each till is one, and systems begin with few."""
    command = ["bash", "-c", f"ulimit -S -n 256; exec {sys.executable} -m ledger serve"]
    environment = {"LEDGER_DATABASE_URL": database_url}
    with ServiceProcess(environment, tmp_path / "log", command=command) as service:
        pid = service.start().pid
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        (soft, hard) = next(line for line in limits if "open files" in line).split()[3:5]
        assert soft == hard != "256"


def test_a_service_that_ends_at_start_shows_its_log(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no database')")
    with (
        ServiceProcess({}, tmp_path / "service.log", command=command) as service,
        pytest.raises(RuntimeError, match=r"ended with 1(.|\n)*no database"),
    ):
        service.start()


def test_terminate_ends_one_backend(database_url: str) -> None:
    with (
        contextlib.closing(connect(named(database_url, "victim"))) as victim,
        contextlib.closing(connect(named(database_url, "bystander"))) as bystander,
    ):
        (pid,) = wait_for_backends(database_url, "victim")
        assert terminate_backend(database_url, pid)
        with pytest.raises(psycopg2.OperationalError):
            victim.cursor().execute("SELECT 1")
        bystander.cursor().execute("SELECT 1")
        assert backend_pids(database_url, "victim") == []


def test_a_paused_backend_keeps_its_locks(database_url: str) -> None:
    with (
        contextlib.closing(connect(named(database_url, "victim"))) as victim,
        contextlib.closing(connect(database_url)) as other,
        other.cursor() as cursor,
    ):
        victim.cursor().execute("SELECT pg_advisory_lock(7)")
        (pid,) = backend_pids(database_url, "victim")
        with paused_backend(database_url, pid):
            cursor.execute("SELECT pg_try_advisory_lock(7)")
            assert cursor.fetchone() == (False,)
        victim.cursor().execute("SELECT pg_advisory_unlock(7)")
        cursor.execute("SELECT pg_try_advisory_lock(7)")
        assert cursor.fetchone() == (True,)


def test_a_killed_backend_loses_only_what_was_not_committed(server: PrivatePostgres) -> None:
    url = server.create_database("killed_backend")
    with contextlib.closing(connect(named(url, "victim"))) as victim, victim.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (number integer)")
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO kept VALUES (1)")
        (pid,) = backend_pids(url, "victim")
        kill_backend(url, pid)
        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("COMMIT")
    wait_until_accepting(url)
    with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM kept")
        assert cursor.fetchone() == (0,)


def test_a_killed_server_comes_back_with_what_was_committed(server: PrivatePostgres) -> None:
    url = server.create_database("killed_server")
    with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 1 AS number")
        first_pid = server.postmaster_pid
        server.kill()
        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT 1")
    with pytest.raises(psycopg2.OperationalError):
        connect(url)
    server.start()
    assert server.postmaster_pid != first_pid
    with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT number FROM kept")
        assert cursor.fetchone() == (1,)


def test_nothing_but_a_backend_of_the_server_is_killed(
    server: PrivatePostgres, database_url: str
) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with contextlib.closing(connect(named(database_url, "elsewhere"))):
            (elsewhere,) = wait_for_backends(database_url, "elsewhere")
            for pid in (bystander.pid, elsewhere, server.postmaster_pid, os.getpid(), 1):
                with pytest.raises(ValueError, match="is no backend of the server"):
                    kill_backend(server.url(), pid)
            time.sleep(0.1)
            assert bystander.poll() is None
            assert backend_pids(database_url, "elsewhere") == [elsewhere]
    finally:
        bystander.send_signal(signal.SIGKILL)
        bystander.wait()
