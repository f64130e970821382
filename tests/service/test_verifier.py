"""The verification in the background finds what was tampered with, and says no member's name."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from structlog.testing import capture_logs

import ledger
from ledger.engine import Engine
from ledger.metrics import CHECKS, Metrics
from ledger.store.database import open_database
from ledger.verifier import Verifier
from tests.conftest import RunningServer, running_server
from tests.service.client import GrpcClient
from tests.service.requests import open_program, purchase
from tests.service.test_operations import metrics, sample
from tests.service.test_scheduler import eventually

MEMBERS = ("secret-ann", "secret-bob", "secret-eve")


def tamper(url: str, statements: str) -> None:
    """As a superuser, with the triggers switched off that forbid it."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE entries DISABLE TRIGGER append_only")
        cursor.execute(statements)
        cursor.execute("ALTER TABLE entries ENABLE ALWAYS TRIGGER append_only")
        connection.commit()


def fill(server: RunningServer, purchases: int = 3) -> None:
    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        open_program(client, enrolled=MEMBERS)
        for member in MEMBERS:
            for number in range(purchases):
                client.record_purchase(purchase(f"{member}-{number}", member_id=member))


@contextlib.contextmanager
def verifying(
    url: str, rate: float = 100_000, walk_seconds: float = 0
) -> Iterator[tuple[Metrics, Verifier]]:
    """A verifier of a server that does nothing else, to be asked to go on."""
    database, shown = open_database(url, pool_size=4), Metrics()
    engine = Engine(database, shown)
    try:
        yield shown, Verifier(engine, shown, rate, walk_seconds=walk_seconds)
    finally:
        engine.close()
        database.dispose()


def go_on(verifier: Verifier) -> None:
    """Verify one piece, if it is due."""
    asyncio.run(verifier.run_once())


def drift(shown: Metrics) -> dict[str, float]:
    """Contradictions found, by check; those that were not are left out."""
    (family,) = shown.verify_drift.collect()
    totals = [one for one in family.samples if one.name.endswith("_total")]
    return {one.labels["check"]: one.value for one in totals if one.value}


def test_every_check_has_a_label_from_the_start() -> None:
    named = set()
    source = Path(ledger.__file__).parent
    for path in (*source.glob("core/**/*.py"), source / "store/verify.py", source / "verifier.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            if name in ("Finding", "JournalCorrupt", "compare") and isinstance(node, ast.Call):
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    named.add(first.value)
    assert len(named) > 15
    assert named == set(CHECKS)
    (family,) = Metrics().verify_drift.collect()
    assert {one.labels["check"] for one in family.samples} == named


def test_a_server_finds_what_was_tampered_with_and_tells_no_member(database_url: str) -> None:
    with running_server(database_url, verify_rate=100_000) as server:
        fill(server)
        assert sample(metrics(server), "ledger_verify_drift_total", check="account") == 0
    tamper(
        database_url, "UPDATE accounts SET available = available + 1000 WHERE member_id LIKE '%bob'"
    )
    tamper(database_url, "UPDATE background_work SET due_time = now(), state = ''")
    with capture_logs() as logs, running_server(database_url, verify_rate=100_000) as server:
        ended = "ledger_verify_last_run_timestamp_seconds"
        eventually(lambda: sample(metrics(server), ended) > time.time() - 60)
        samples = metrics(server)
    assert sample(samples, "ledger_verify_drift_total", check="account") > 0
    assert sample(samples, "ledger_verify_members_total") >= len(MEMBERS)
    assert sample(samples, "ledger_verify_entries_total") >= 4 * len(MEMBERS)
    found = [line for line in logs if line["event"] == "verification found a contradiction"]
    assert {(line["check"], line["program"], line["sequence"]) for line in found} == {
        ("account", "bean-street", 0)
    }
    assert "secret" not in str(logs)


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("UPDATE entries SET points = 900 WHERE sequence = 2 AND member_id LIKE '%eve'", "chain"),
        ("DELETE FROM entries WHERE sequence = 3 AND member_id LIKE '%ann'", "sequence"),
        ("DELETE FROM accounts WHERE member_id LIKE '%ann'", "account"),
        ("UPDATE entries SET purchase_id = 'x' WHERE sequence = 2", "purchases"),
    ],
    ids=["an edit", "a deletion", "a lost account", "a receipt"],
)
def test_each_tampering_is_found(server: RunningServer, statement: str, check: str) -> None:
    fill(server)
    tamper(server.database_url, statement)
    with verifying(server.database_url) as (shown, verifier):
        tamper(server.database_url, "UPDATE background_work SET due_time = now(), state = ''")
        go_on(verifier)
        assert check in drift(shown)


def test_a_walk_goes_on_where_another_process_ended(server: RunningServer) -> None:
    fill(server)
    url = server.database_url
    with verifying(url, rate=4, walk_seconds=60) as (first, verifier):
        tamper(url, "UPDATE background_work SET due_time = now(), state = ''")
        go_on(verifier)
        assert first.verify_members._value.get() == 1  # who has 4 entries
    with verifying(url, rate=100_000, walk_seconds=60) as (second, verifier):
        go_on(verifier)
        assert second.verify_members._value.get() == 0, "it goes on before it is due"
        tamper(url, "UPDATE background_work SET due_time = now()")
        go_on(verifier)
        assert second.verify_members._value.get() == len(MEMBERS) - 1
        go_on(verifier)
        assert second.verify_members._value.get() == len(MEMBERS) - 1, "a walk a minute"


def test_two_processes_verify_no_faster_than_one(server: RunningServer) -> None:
    fill(server)
    url, rate, seconds = server.database_url, 20.0, 1.5
    with verifying(url, rate) as (one, first), verifying(url, rate) as (other, second):
        tamper(url, "UPDATE background_work SET due_time = now(), state = ''")

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            go_on(first)
            go_on(second)
        verified = one.verify_entries._value.get() + other.verify_entries._value.get()
    # The first piece comes at once, and a piece is up to 3 entries more than its share.
    assert 0 < verified <= rate * (seconds + 1) + 3


def test_what_can_not_be_read_is_told_and_passed_by(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server)
    monkeypatch.setattr("ledger.verifier.verify_range", lambda *_: 1 // 0)
    with verifying(server.database_url) as (shown, verifier):
        tamper(server.database_url, "UPDATE background_work SET due_time = now(), state = ''")
        go_on(verifier)
        assert drift(shown) == {"unreadable": 1}
        tamper(server.database_url, "UPDATE background_work SET due_time = now()")
        monkeypatch.undo()
        go_on(verifier)
        assert shown.verify_members._value.get() == len(MEMBERS)


def test_a_rate_of_0_verifies_nothing(database_url: str) -> None:
    with running_server(database_url, verify_rate=0) as server:
        fill(server)
        time.sleep(0.3)
        assert sample(metrics(server), "ledger_verify_members_total") == 0
