"""As whom the service works, and how little it may do, where it is deployed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from ledger.store.migrate import migrate
from tests.deploy.places import DEPLOY, program
from tests.faults.processes import ServiceProcess, connect, private_postgres

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]


def test_the_database_of_compose_lets_the_service_serve_and_change_no_history(
    tmp_path: Path,
) -> None:
    """roles.sh as the image of PostgreSQL runs it: as the owner, on an empty database."""
    program("psql")
    with private_postgres() as postgres:
        url = make_url(postgres.create_database("ledger"))
        with contextlib.closing(connect(postgres.url())) as connection:
            connection.cursor().execute("CREATE ROLE ledger_owner LOGIN SUPERUSER")
        environment = {
            **os.environ,
            "PGHOST": str(url.query["host"]),
            "POSTGRES_USER": "ledger_owner",
            "POSTGRES_DB": "ledger",
            "LEDGER_APP_PASSWORD": "it's $secret",
        }
        script = DEPLOY / "compose" / "postgres" / "roles.sh"
        subprocess.run([script], env=environment, check=True, timeout=20)

        migrate(url.set(username="ledger_owner").render_as_string(hide_password=False))
        app = url.set(username="ledger_app", password="it's $secret")
        served = app.render_as_string(hide_password=False)
        service = ServiceProcess({"LEDGER_DATABASE_URL": served}, tmp_path / "log")
        with service.start():
            assert service.terminate() == 0
        with contextlib.closing(connect(served)) as connection, connection.cursor() as cursor:
            for statement in ("DELETE FROM entries", "CREATE TABLE mine ()", "DROP TABLE accounts"):
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    cursor.execute(statement)


#: prctl: what MemoryDenyWriteExecute of systemd forbids, and whether it is forbidden
_SET_MDWE, _GET_MDWE = 65, 66
_FORBID = (
    "import ctypes, os, sys\n"
    f"if ctypes.CDLL(None).prctl({_SET_MDWE}, 1, 0, 0, 0): sys.exit(77)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
_FORBIDDEN = f"import ctypes; print(ctypes.CDLL(None).prctl({_GET_MDWE}, 0, 0, 0, 0))"


def test_the_service_does_without_memory_that_is_written_and_then_run(
    database_url: str, tmp_path: Path
) -> None:
    assert "MemoryDenyWriteExecute=yes" in (DEPLOY / "systemd" / "ledger.service").read_text()
    forbidding = [sys.executable, "-c", _FORBID, sys.executable]
    tried = subprocess.run([*forbidding, "-c", _FORBIDDEN], capture_output=True, text=True)
    if tried.returncode == 77:
        pytest.skip("this kernel can not forbid it to a process (Linux 6.3 can)")
    assert tried.stdout.strip() == "1"
    service = ServiceProcess(
        {"LEDGER_DATABASE_URL": database_url, "LEDGER_WORKERS": "2"},
        tmp_path / "log",
        command=[*forbidding, "-m", "ledger", "serve"],
    )
    with service.start():
        assert service.terminate() == 0
