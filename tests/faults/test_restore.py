"""A backup is worth what can be restored from it: to a point in time, and sound."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from ledger.store.migrate import migrate
from tests.faults.load import Load, client_of, open_shop
from tests.faults.processes import (
    PrivatePostgres,
    ServiceProcess,
    connect,
    eventually,
    private_directory,
)
from tests.faults.replicas import copy_of, own

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

Entry = tuple[str, int, str | None, bytes]


def entries(url: str, until: datetime | None = None) -> list[Entry]:
    """The journal, or what of it was recorded before an instant of the database's clock."""
    with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT member_id, sequence, request_id, hash FROM entries"
            " WHERE %(until)s IS NULL OR pg_xact_commit_timestamp(xid::xid) <= %(until)s"
            " ORDER BY member_id, sequence",
            {"until": until},
        )
        return [
            (member, number, request, bytes(digest)) for member, number, request, digest in cursor
        ]


def now_of(url: str) -> datetime:
    with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone() or (None,)
        assert isinstance(now, datetime)
        return now


def archive_everything(server: PrivatePostgres, archive: Path) -> None:
    """Finish the segment that is being written, and wait until it is archived."""
    with contextlib.closing(connect(server.url())) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_walfile_name(pg_switch_wal())")
        (segment,) = cursor.fetchone() or ("",)
    eventually("the log is archived", lambda: (archive / segment).exists())


def restored(backup: PrivatePostgres, archive: Path, until: datetime) -> PrivatePostgres:
    """The server of a base backup, brought to an instant from the archive, as docs/operating.md
    says."""
    backup.settings |= {
        "restore_command": f"cp {archive}/%f %p",
        "recovery_target_time": until.isoformat(),
        "recovery_target_action": "promote",
    }
    (backup.data / "recovery.signal").touch()
    own(backup.data / "recovery.signal")
    backup.start()
    return backup


def test_a_backup_is_restored_to_a_point_in_time(tmp_path: Path) -> None:
    """Base backup under load; a moment to come back to; more load, and the disaster. What was
    answered before that moment is there exactly; what came later is recorded once when repeated."""
    with private_directory() as directory, contextlib.ExitStack() as stack:
        archive = directory / "archive"
        archive.mkdir()
        own(archive)
        settings = {
            "archive_mode": "on",
            "archive_command": f"test ! -f {archive}/%f && cp %p {archive}/%f",
            "track_commit_timestamp": "on",  # only to tell here what was committed when
        }
        (directory / "first").mkdir()
        first = PrivatePostgres(directory / "first", settings=settings)
        stack.callback(first.stop)
        first.start()
        url = first.create_database("shop")
        migrate(url)

        log = tmp_path / "log"
        with ServiceProcess({"LEDGER_DATABASE_URL": url}, log) as service:
            with contextlib.closing(client_of(service.start().grpc_address)) as client:
                open_shop(client)
            load = Load(service.grpc_address, seed=31)
            with load.running():
                load.wait_for_answers(100)
                backup = copy_of(first, directory / "second", {}, "--wal-method", "none")
                stack.callback(backup.stop)
                load.wait_for_answers(100)
                answered = set(load.receipts)
                moment = now_of(url)
                load.wait_for_answers(100)
            archive_everything(first, archive)
            before = entries(url, moment)
            after = entries(url)
            address = service.environment
        first.kill()

        second = restored(backup, archive, moment)
        restored_url = second.url("shop")
        assert entries(restored_url) == before
        assert answered <= {(member, request) for member, _, request, _ in before}
        assert len(before) < len(after)
        checked = verify_by_command(restored_url)
        assert checked.returncode == 0, checked.stdout

        again = {**address, "LEDGER_DATABASE_URL": restored_url}
        with ServiceProcess(again, log) as service:
            service.start()
            # What was lost on purpose is answered for a first time again.
            load.first_answers.clear()
            load.receipts.clear()
            load.refusals.clear()
            load.settle()
            load.check(restored_url)
            assert {entry[2] for entry in entries(restored_url)} == {entry[2] for entry in after}
            assert service.terminate(25.0) == 0


def verify_by_command(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ledger", "verify", "--json"],
        env={**os.environ, "LEDGER_DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
    )
