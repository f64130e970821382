"""serve, migrate, verify and embedded: what operators run."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.request import urlopen

import psycopg2
import pytest

from ledger import signals
from ledger.store import embedded
from ledger.store.migrate import MIGRATOR_LOCK, migrate
from tests.cli.conftest import Cli, Result
from tests.conftest import RunningServer, make_directory


@contextmanager
def serving(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """A `ledger serve` of its own, and the addresses it prints once it is ready."""
    environment = {name: value for name, value in os.environ.items() if "LEDGER" not in name}
    process = subprocess.Popen(
        [
            sys.executable, "-m", "ledger", "serve", "--json",
            "--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0",
            *map(str, arguments),
        ],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 60)[0], "not ready within 60 s"
        yield process, json.loads(process.stdout.readline())
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_server_serves_until_it_is_told_to_stop(database_url: str, cli: Cli) -> None:
    with serving("--database-url", database_url) as (process, addresses):
        assert cli("program", "list", "--server", addresses["grpcAddress"]).code == 0
        with urlopen(f"http://{addresses['httpAddress']}/readyz", timeout=5) as ready:
            assert ready.status == 200

        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


@contextmanager
def data_directory() -> Iterator[Path]:
    """A place for an embedded database of its own, which nobody leaves running."""
    path = make_directory()
    try:
        yield path / "data"
    finally:
        embedded.stop(path / "data")
        shutil.rmtree(path)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_terminal_that_is_closed_ends_a_server_in_order_and_its_database_with_it(
    workers: int,
) -> None:
    with data_directory() as path, serving("--data-dir", path, "--workers", workers) as (it, _):
        it.send_signal(signal.SIGHUP)
        assert it.wait(timeout=30) == 0
        assert embedded.status(path).state == "STOPPED"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_server_that_is_stopped_while_it_starts_leaves_no_database_behind(
    number: signal.Signals,
) -> None:
    with data_directory() as path:
        database = embedded.start(path)
        with closing(psycopg2.connect(database.url())) as busy:
            cursor = busy.cursor()
            cursor.execute("SELECT pg_advisory_lock(%s)", (MIGRATOR_LOCK,))
            process = subprocess.Popen(
                [sys.executable, "-m", "ledger", "serve", "--data-dir", str(path)]
            )
            wait_for_a_migrator(cursor)
            assert not database.stop_if_last()
            process.send_signal(number)
            assert process.wait(timeout=30) == -number
        assert embedded.status(path).state == "STOPPED"


def wait_for_a_migrator(cursor: psycopg2.extensions.cursor) -> None:
    """Return when somebody waits to migrate the database."""
    deadline = time.monotonic() + 60
    while True:
        # Not within one transaction, which would see the same sessions all the time.
        cursor.execute("COMMIT; SELECT 1 FROM pg_stat_activity WHERE application_name LIKE '%mig%'")
        if cursor.fetchone():
            return
        assert time.monotonic() < deadline, "nobody migrates within 60 s"
        time.sleep(0.05)


def test_an_embedded_database_of_a_later_version_is_served() -> None:
    with data_directory() as path:
        with embedded.start(path) as database:
            migrate(database.url())
            with closing(psycopg2.connect(database.url())) as connection:
                connection.cursor().execute("UPDATE alembic_version SET version_num = '9999'")
                connection.commit()
        with serving("--data-dir", path) as (process, addresses):
            with urlopen(f"http://{addresses['httpAddress']}/readyz", timeout=5) as ready:
                assert ready.status == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0


async def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.calling(lambda: None):
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def eventually(command: Callable[[], Result], wanted: Callable[[Result], bool]) -> Result:
    """What the command did when it was as wanted, within 20 s; otherwise what it did last."""
    deadline = time.monotonic() + 20
    while not wanted(result := command()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return result


def test_the_demo_has_something_to_look_at_and_starting_again_adds_nothing(
    database_url: str, cli: Cli
) -> None:
    for _ in range(2):
        with serving("--database-url", database_url, "--demo") as (process, addresses):
            balance = ("balance", "m-1", "--json", "--server", addresses["grpcAddress"])
            result = eventually(
                lambda arguments=balance: cli(*arguments),  # type: ignore[misc]
                lambda result: result.code == 0 and result.json["version"] == "7",
            )
            assert result.json["availablePoints"] == "101"
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0


def test_another_document_can_be_the_demo(database_url: str, cli: Cli, program_file: Path) -> None:
    with serving("--database-url", database_url, "--demo-file", program_file) as (_, addresses):
        listing = ("program", "list", "--json", "--server", addresses["grpcAddress"])
        listed = eventually(lambda: cli(*listing), lambda result: bool(result.json["programs"]))
        assert [one["programId"] for one in listed.json["programs"]] == ["beans"]


def test_a_database_that_is_not_migrated_is_refused(
    cluster: embedded.EmbeddedServer, administrator: psycopg2.extensions.connection, cli: Cli
) -> None:
    name = f"empty_{os.getpid()}"
    with administrator.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    url = cluster.url(name)
    try:
        refused = cli("serve", "--database-url", url, "--grpc-address", "127.0.0.1:0", "--json")
        migrated = cli("migrate", "--database-url", url, "--json")
        again = cli("migrate", "--database-url", url)
    finally:
        with administrator.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")

    assert refused.code == 1
    assert refused.failure["reason"] == "SCHEMA_BEHIND"
    assert "ledger migrate" in refused.failure["message"]
    assert migrated.json["fromRevision"] is None
    assert "nothing changed" in again.out


@pytest.mark.parametrize("command", ["serve", "migrate", "verify"])
def test_a_database_that_is_not_there_is_exit_code_3(command: str, cli: Cli) -> None:
    url = "postgresql://user:secret@127.0.0.1:1/ledger"

    result = cli(command, "--database-url", url)

    assert result.code == 3
    assert "secret" not in result.err


def test_a_port_that_is_taken_is_said(server: RunningServer, cli: Cli) -> None:
    result = cli(
        "serve", "--database-url", server.database_url, "--http-address", server.http_address,
        "--grpc-address", "127.0.0.1:0", "--json",
    )  # fmt: skip

    assert result.code == 1
    assert result.failure["reason"] == "CAN_NOT_LISTEN"


def test_settings_that_can_not_be_used_are_all_said(cli: Cli) -> None:
    result = cli("serve", "--grpc-address", "0.0.0.0:1", "--queue-limit", "0", "--json")

    assert result.code == 2
    faults = {fault["field"]: fault["description"] for fault in result.failure["violations"]}
    assert set(faults) == {"--grpc-address", "--queue-limit"}
    assert "LEDGER_TLS_CERTIFICATE" in faults["--grpc-address"]


def test_verify_finds_nothing_in_a_sound_ledger_and_what_was_tampered_with(
    server: RunningServer, program_file: Path, cli: Cli
) -> None:
    for arguments in (("program", "apply", program_file), ("purchase", "m-1", "12.99")):
        assert cli(*arguments, "--server", server.grpc_address).code == 0
    verify = ("verify", "--workers", "1", "--database-url", server.database_url)

    sound = cli(*verify)
    assert sound.code == 0, sound.err
    assert "all is well: 1 member and 3 entries" in sound.out

    with psycopg2.connect(server.database_url) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE accounts SET available = available + 1")
    connection.close()
    told, counted = cli(*verify), cli(*verify, "--json")

    assert told.code == counted.code == 1
    assert "m-1" in told.out
    assert counted.json["sound"] is False
    assert {finding["memberId"] for finding in counted.json["findings"]} >= {"m-1"}
    assert counted.json["totals"]["beans"]["issuance"] == -62


def test_the_embedded_server_of_an_empty_directory_is_absent(tmp_path: Path, cli: Cli) -> None:
    status = cli("embedded", "status", "--data-dir", tmp_path / "none", "--json")
    stopped = cli("embedded", "stop", "--data-dir", tmp_path / "none", "--json")

    assert status.json["state"] == "ABSENT"
    assert stopped.json["stopped"] is False
    assert (status.code, stopped.code) == (0, 0)
