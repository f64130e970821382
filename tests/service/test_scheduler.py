"""What time makes due is posted in the background: once, in time, whoever and whatever fails."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import psycopg2
import pytest

from ledger.core.instants import DAY, SECOND, to_instant
from ledger.v1 import program_pb2, types_pb2
from tests.conftest import RunningServer, running_server
from tests.service.client import GrpcClient
from tests.service.requests import PROGRAM, balance, entries, open_program, purchase, rules

START = to_instant(datetime.fromisoformat("2026-02-10T12:00:00+00:00"))
#: what was earned in February can not be spent from here on
GONE = to_instant(datetime.fromisoformat("2026-03-31T22:00:00+00:00"))
EXPIRING: dict[str, Any] = {"expiry": {"after_months": 1}}
WIN_BACK = {"id": "miss-you", "on": "INACTIVE_DAYS", "n": 90, "points": 25}
PATIENCE_SECONDS = 30.0


class Clock:
    """The real time of servers, as a test tells it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def servers(database_url: str, clock: Clock) -> Iterator[tuple[RunningServer, RunningServer]]:
    """Two servers on one database that look for what is due many times a second."""
    with (
        running_server(database_url, clock=clock, scheduler_seconds=0.02) as first,
        running_server(database_url, clock=clock, scheduler_seconds=0.02) as second,
    ):
        yield first, second


@pytest.fixture
def client(servers: tuple[RunningServer, RunningServer]) -> Iterator[GrpcClient]:
    client = GrpcClient(servers[0].grpc_address)
    yield client
    client.close()


def kinds(client: GrpcClient, member_id: str = "m-1") -> list[str]:
    """What a member's journal records, oldest first."""
    listed = client.list_entries(entries(member_id)).entries
    return [types_pb2.EntryKind.Name(entry.kind)[11:] for entry in reversed(listed)]


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < give_up, "it did not come to hold"
        time.sleep(0.02)


def rows(server: RunningServer, query: str) -> list[tuple[Any, ...]]:
    """What a superuser finds, or changes, behind the service's back."""
    with contextlib.closing(psycopg2.connect(server.database_url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(query)
        return cursor.fetchall() if cursor.description is not None else []


def test_what_time_makes_due_is_posted_once_however_many_servers_look(
    client: GrpcClient, clock: Clock
) -> None:
    members = [f"m-{number}" for number in range(1, 31)]
    open_program(client, enrolled=members, sandbox=False, **EXPIRING)
    for member_id in members:
        client.record_purchase(purchase(member_id, member_id=member_id))
    clock.now = GONE - 1
    time.sleep(0.3)
    assert kinds(client) == ["ENROLLED", "PURCHASE"]
    clock.now = GONE
    eventually(lambda: all("EXPIRY" in kinds(client, member_id) for member_id in members))
    time.sleep(0.3)
    assert [kinds(client, member_id).count("EXPIRY") for member_id in members] == [1] * 30
    last = client.list_entries(entries()).entries[0]
    assert last.effective_time.ToMicroseconds() == GONE
    assert last.actor == "time"


def test_the_lag_is_shown_until_it_is_worked_off(
    client: GrpcClient, servers: tuple[RunningServer, RunningServer], clock: Clock
) -> None:
    open_program(client, sandbox=False, **EXPIRING)
    client.record_purchase(purchase(1))
    metrics = servers[0].service._metrics.registry
    with contextlib.closing(psycopg2.connect(servers[0].database_url)) as holder:
        holder.cursor().execute("SELECT FROM accounts FOR UPDATE")
        clock.now = GONE + 3600 * SECOND
        eventually(lambda: metrics.get_sample_value("ledger_due_lag_seconds") == 3600)
    eventually(lambda: metrics.get_sample_value("ledger_due_lag_seconds") == 0)
    assert kinds(client) == ["ENROLLED", "PURCHASE", "EXPIRY"]


def test_new_rules_reach_members_who_do_nothing(
    client: GrpcClient, servers: tuple[RunningServer, RunningServer], clock: Clock
) -> None:
    """A win-back that is introduced later counts from its first day, without any command."""
    open_program(client, sandbox=False, expiry=None)
    client.record_purchase(purchase(1))
    clock.now += 200 * DAY
    client.publish_rules(
        program_pb2.PublishRulesRequest(
            program_id=PROGRAM, rules=rules(expiry=None, bonuses=[WIN_BACK])
        )
    )
    clock.now += 20 * SECOND
    noted = "SELECT count(*) FROM accounts WHERE due_at IS NOT NULL"
    eventually(lambda: rows(servers[0], "SELECT due_version FROM programs") == [(2,)])
    assert rows(servers[0], noted) == [(1,)]
    clock.now += 88 * DAY
    time.sleep(0.3)
    assert kinds(client) == ["ENROLLED", "PURCHASE"]
    clock.now += 2 * DAY
    eventually(lambda: kinds(client) == ["ENROLLED", "PURCHASE", "BONUS"])


def test_an_account_that_can_not_be_read_does_not_keep_others_waiting(
    client: GrpcClient, servers: tuple[RunningServer, RunningServer], clock: Clock
) -> None:
    open_program(client, enrolled=["m-1", "m-2"], sandbox=False, **EXPIRING)
    for member_id in ("m-1", "m-2"):
        client.record_purchase(purchase(member_id, member_id=member_id))
    rows(servers[0], "UPDATE accounts SET state = '{' WHERE member_id = 'm-1'")
    clock.now = GONE
    eventually(lambda: "EXPIRY" in kinds(client, "m-2"))


def test_a_server_may_leave_it_to_others(database_url: str, clock: Clock) -> None:
    with running_server(database_url, clock=clock, scheduler_seconds=0) as server:
        client = GrpcClient(server.grpc_address)
        open_program(client, sandbox=False, **EXPIRING)
        client.record_purchase(purchase(1))
        clock.now = GONE
        time.sleep(0.3)
        # What is due is not there to be spent, posted or not.
        assert client.get_balance(balance()).available_points == 0
        assert kinds(client) == ["ENROLLED", "PURCHASE"]
        client.close()
