"""Whom to warn of what will expire is noted once, although no entry is posted for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import psycopg2
import pytest

from ledger import scheduler
from ledger.core.instants import to_instant
from ledger.store.programs import create_program
from ledger.store.verify import verify
from tests.conftest import running_server
from tests.faults.engines import buy, running_engine
from tests.memory import document
from tests.service.client import GrpcClient
from tests.service.requests import PROGRAM, clock, open_program, purchase, redemption

MEMBERS = [f"m-{number}" for number in range(5)]
EXPIRY = {"after_months": 1, "warn_days": [7, 30]}
#: what is bought on the tenth of January expires then
FEBRUARY_ENDS = datetime.fromisoformat("2026-02-28T23:00:00+00:00")


def warnings(url: str) -> list[tuple[Any, ...]]:
    """What is noted, but for when and by which transaction."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT member_id, expire_time, days, points, inactivity FROM expiry_warnings"
            " ORDER BY member_id, days DESC"
        )
        return cursor.fetchall()


@pytest.fixture
def client(database_url: str) -> Iterator[GrpcClient]:
    with (
        running_server(database_url, scheduler_seconds=0) as server,
        closing(GrpcClient(server.grpc_address)) as client,
    ):
        yield client
    assert verify(database_url, workers=1).findings == []


def test_a_clock_that_is_moved_notes_each_distance_once(
    client: GrpcClient, database_url: str
) -> None:
    open_program(client, enrolled=MEMBERS, expiry=EXPIRY)
    for member in MEMBERS:
        client.record_purchase(purchase(member, "20.00", member_id=member))

    client.advance_clock(clock("2026-01-29T22:59:59Z"))
    assert warnings(database_url) == []
    client.advance_clock(clock("2026-01-29T23:00:00Z"))
    monthly = [(member, FEBRUARY_ENDS, 30, 20, False) for member in MEMBERS]
    assert warnings(database_url) == monthly
    client.redeem_points(redemption(1, 5, member_id="m-0"))
    client.advance_clock(clock("2026-02-21T12:00:00Z"))
    client.advance_clock(clock("2026-06-01T12:00:00Z"))

    weekly = [(member, FEBRUARY_ENDS, 7, 20, False) for member in MEMBERS]
    weekly[0] = ("m-0", FEBRUARY_ENDS, 7, 15, False)
    assert sorted(warnings(database_url)) == sorted(monthly + weekly)


def test_a_command_notes_what_was_due_before_it(client: GrpcClient, database_url: str) -> None:
    """A till that comes before the scheduler does: the warning is in its transaction."""
    open_program(client, enrolled=["m-0"], expiry=EXPIRY)
    client.record_purchase(purchase(1, "20.00", member_id="m-0"))
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE programs SET clock_time = '2026-02-01T12:00:00Z'")
        connection.commit()

    client.record_purchase(purchase(2, "30.00", member_id="m-0"))

    assert warnings(database_url) == [("m-0", FEBRUARY_ENDS, 30, 20, False)]
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT w.xid = e.xid AND w.create_time = e.create_time FROM expiry_warnings w"
            " JOIN entries e USING (program_id, member_id) WHERE e.purchase_id = 'receipt-2'"
        )
        assert cursor.fetchall() == [(True,)]


def test_one_look_of_the_scheduler_reaches_all_members_though_it_posts_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "_BATCH", 2)
    present = [to_instant(FEBRUARY_ENDS - timedelta(days=50))]
    with running_engine(database_url, clock=lambda: present[0]) as running:
        create_program(
            running.database,
            program_id=PROGRAM,
            display_name="",
            currency="EUR",
            time_zone="Europe/Berlin",
            clock_time=None,
            document=document(expiry=EXPIRY, members={"auto_enroll": True}),
            actor="test",
            now=present[0],
        )
        asyncio.run(running.write(*(buy(member, member, 20) for member in MEMBERS)))
        present[0] = to_instant(FEBRUARY_ENDS - timedelta(days=29))
        look = scheduler.Scheduler(running.engine, running.metrics, 1.0)

        assert asyncio.run(look.run_once()) == 0

    expected = [(member, FEBRUARY_ENDS, 30, 20, False) for member in MEMBERS]
    assert warnings(database_url) == expected
    assert verify(database_url, workers=1).findings == []
