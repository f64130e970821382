"""The gauges of programs: what members have, as the journal says, whoever counts it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest

from ledger import census
from ledger.metrics import Metrics
from ledger.store.background import CENSUS, claim_work, finish_work, read_work
from ledger.store.census import Count
from ledger.store.database import open_database
from tests.conftest import RunningServer, running_server
from tests.service.client import GrpcClient
from tests.service.requests import (
    clock,
    hold,
    open_program,
    purchase,
    redemption,
    returned,
    status,
)
from tests.service.test_operations import Samples, metrics, sample
from tests.service.test_scheduler import eventually

TIERS: dict[str, Any] = {
    "levels": [{"id": "member", "name": "Member"}, {"id": "silver", "name": "Silver", "visits": 1}],
    "period": {"rolling_days": 365},
}
#: the sandbox's clock stands on 10 January: what is earned then has gone by 28 February
SOON: dict[str, Any] = {"expiry": {"after_months": 1}}


@pytest.fixture
def server(database_url: str) -> Iterator[RunningServer]:
    with running_server(database_url, census_seconds=0.05, verify_rate=0) as running:
        yield running


def gauge(samples: Samples, name: str, program: str = "bean-street", **labels: str) -> float:
    return sample(samples, f"ledger_{name}", program=program, **labels)


def shown(server: RunningServer, **points: float) -> Callable[[], bool]:
    """Whether the gauges of the program's points show what is expected, and 0 where nothing is."""
    names = ("outstanding", "held", "pending", "debt", "expiring")

    def holds() -> bool:
        samples = metrics(server)
        found = {name: samples.get(key(f"ledger_{name}_points")) for name in names}
        return found == {name: points.get(name, 0) for name in names}

    return holds


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset({"program": "bean-street", **labels}.items())


def test_gauges_show_what_members_have(server: RunningServer) -> None:
    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        open_program(client, enrolled=("m-1", "m-2", "m-3"), tiers=TIERS)
        eventually(shown(server))
        client.record_purchase(purchase(1, "100.00", member_id="m-1"))
        client.record_purchase(purchase(2, "50.00", member_id="m-2"))
        eventually(shown(server, outstanding=150))
        client.hold_points(hold(1, 30, member_id="m-1"))
        eventually(shown(server, outstanding=150, held=30))
        client.redeem_points(redemption(1, 50, member_id="m-2"))
        client.record_return(returned(1, 2, full=True, member_id="m-2"))
        eventually(shown(server, outstanding=100, held=30, debt=50))
        client.set_member_status(status("CLOSED", member_id="m-3"))

        def tiers() -> bool:
            samples = metrics(server)
            labels = [("member", 0.0), ("silver", 2.0)]
            return all(samples[key("ledger_members", tier=tier)] == n for tier, n in labels)

        eventually(tiers)


def test_points_that_expire_within_30_days_and_pending_ones_are_told_apart(
    server: RunningServer,
) -> None:
    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        open_program(
            client, clock="2026-01-30T09:00:00Z",
            earning={"rate": {"points": 1, "per": "1.00"}, "pending_days": 3}, **SOON,
        )  # fmt: skip
        client.record_purchase(purchase(1, "40.00"))
        eventually(shown(server, outstanding=40, pending=40))
        client.advance_clock(clock("2026-02-03T00:00:00Z"))
        eventually(shown(server, outstanding=40, expiring=40))


def test_every_tier_is_shown_from_the_start(server: RunningServer) -> None:
    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        open_program(client, enrolled=(), tiers=TIERS)
    eventually(lambda: key("ledger_members", tier="silver") in metrics(server))
    assert gauge(metrics(server), "members", tier="member") == 0


def test_a_tier_that_is_gone_is_shown_empty(database_url: str) -> None:
    with running_server(database_url, census_seconds=0, verify_rate=0) as server:
        shown = Metrics()
        counting = census.Census(server.service.engine, shown, 15)
        for tier in ("", "gold"):
            counting._show(census._State(shown=[Count("tea", tier, members=5)]))
    (family,) = shown.members.collect()
    assert {one.labels["tier"]: one.value for one in family.samples} == {"": 0, "gold": 5}


def test_the_database_and_its_tables_have_a_size(server: RunningServer) -> None:
    eventually(lambda: sample(metrics(server), "ledger_database_bytes") > 1_000_000)
    samples = metrics(server)
    for table in ("accounts", "entries", "refusals", "purchases", "programs"):
        size = sample(samples, "ledger_table_bytes", table=table)
        assert 0 < size < sample(samples, "ledger_database_bytes")


def test_the_connections_of_the_pool_are_counted(server: RunningServer) -> None:
    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        open_program(client, enrolled=("m-1",))
        client.record_purchase(purchase(1))
    samples = metrics(server)
    in_use, idle = (
        sample(samples, "ledger_pool_connections", state=state) for state in ("in_use", "idle")
    )
    assert in_use >= 1  # the writer keeps its own
    assert 1 <= in_use + idle <= sample(samples, "ledger_pool_size") == 8


def test_counting_in_pieces_comes_to_the_same(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(census, "_FIRST_PAGES", 1)
    monkeypatch.setattr(census, "_MOST_PAGES", 1)
    with contextlib.closing(psycopg2.connect(database_url)) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "INSERT INTO programs VALUES ('big', '', 'EUR', 'UTC', false, NULL, '', now());"
            "INSERT INTO accounts SELECT 'big', i::text, 1, i, i % 3, 'gold', 'ACTIVE', NULL,"
            " '{\"pending\":2,\"debt\":1}', '' FROM generate_series(1, 600) AS i"
        )
        cursor.execute("SELECT pg_relation_size('accounts') / 8192")
        (pages,) = cursor.fetchone() or (0,)
        connection.commit()
    assert pages > 4
    with running_server(database_url, census_seconds=0.01) as server:
        eventually(
            lambda: ("ledger_debt_points", frozenset({("program", "big")})) in metrics(server)
        )
        samples = metrics(server)
    available, held = 600 * 601 // 2, 600
    assert gauge(samples, "outstanding_points", "big") == available + held + 1200
    assert gauge(samples, "held_points", "big") == held
    assert gauge(samples, "debt_points", "big") == 600
    assert gauge(samples, "members", "big", tier="gold") == 600


def test_a_damaged_account_does_not_keep_the_others_from_being_counted(
    server: RunningServer,
) -> None:
    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        open_program(client, enrolled=("m-1", "m-2"), **SOON)
        client.record_purchase(purchase(1, "40.00", member_id="m-1"))
        with contextlib.closing(psycopg2.connect(server.database_url)) as connection:
            connection.cursor().execute(
                'UPDATE accounts SET state = \'{"pending":x,"debt":,"lots":[[\','
                " due_at = now() WHERE member_id = 'm-2'"
            )
            connection.commit()
        client.record_purchase(purchase(2, "2.00", member_id="m-1"))
        eventually(shown(server, outstanding=42))


def test_a_piece_of_work_is_done_by_one_at_a_time_and_given_up_by_who_dies(
    database_url: str,
) -> None:
    database = open_database(database_url)
    with database.connect() as one, database.connect() as other:
        claim = claim_work(one, CENSUS, 0.3)
        assert claim is not None
        assert claim_work(other, CENSUS, 0.3) is None
        assert 0 < read_work(other, CENSUS).wait_seconds <= 0.3
        time.sleep(0.35)
        taken_over = claim_work(other, CENSUS, 60)
        assert taken_over is not None
        assert not finish_work(one, claim, "late", 0)
        assert finish_work(other, taken_over, "done", 0)
        assert read_work(one, CENSUS) == ("done", 0)
    database.dispose()


def test_of_many_who_come_at_once_one_has_the_work(database_url: str) -> None:
    database = open_database(database_url, pool_size=8)
    barrier = threading.Barrier(8)
    claims = []

    def come() -> None:
        with database.connect() as connection:
            barrier.wait()
            claims.append(claim_work(connection, CENSUS, 60))

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.dispose()
    assert len([claim for claim in claims if claim is not None]) == 1
