"""A year in a member's life, moment by moment, and how `ledger demo` shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import psycopg2
import pytest

from ledger.cli.connection import Connection, connect
from ledger.cli.story import MEMBER, Moment, Year
from ledger.store.verify import verify
from ledger.v1 import types_pb2
from tests.cli.conftest import Cli
from tests.conftest import RunningServer


class Expected(NamedTuple):
    """What a moment is to leave: kinds and points posted, the balance, the tier, one message."""

    day: str
    posted: str
    available: int
    held: int
    debt: int
    tier: str
    says: str


YEAR = [
    Expected("01-11", "ENROLLED 0, BONUS 50", 50, 0, 0, "Member", "Welcome."),
    Expected(
        "01-12",
        "PURCHASE 12",
        62,
        0,
        0,
        "Member",
        "4 more visits by 11 April 2027 to reach Silver.",
    ),
    Expected("01-19", "PURCHASE 20", 82, 0, 0, "Member", "+20 points (20 base)."),
    Expected("01-26", "PURCHASE 8", 90, 0, 0, "Member", "+8 points (8 base)."),
    Expected(
        "02-02",
        "PURCHASE 30",
        120,
        0,
        0,
        "Member",
        "1 more visit by 11 April 2027 to reach Silver.",
    ),
    Expected(
        "02-09",
        "PURCHASE 15, TIER_CHANGE 0, BONUS 50",
        185,
        0,
        0,
        "Silver",
        "Welcome to Silver until 31 August 2027.",
    ),
    Expected("02-10", "PURCHASE 50", 235, 0, 0, "Silver", "+50 points (40 base, 10 Silver)."),
    Expected(
        "02-11",
        "HOLD -100",
        135,
        100,
        0,
        "Silver",
        "100 points held until 20:15 on 11 February 2027.",
    ),
    Expected("02-11", "RELEASE 100", 235, 0, 0, "Silver", ""),
    Expected("02-12", "REDEMPTION -45", 190, 0, 0, "Silver", "Free coffee for 45 points."),
    Expected(
        "02-13",
        "HOLD -180",
        10,
        180,
        0,
        "Silver",
        "180 points held until 19:15 on 13 February 2027.",
    ),
    Expected(
        "02-13",
        "CAPTURE -160, RELEASE 20",
        30,
        0,
        0,
        "Silver",
        "160 points spent, worth 8.00 EUR.",
    ),
    Expected(
        "02-15",
        "RETURN -30, RETURN -20",
        0,
        0,
        20,
        "Silver",
        "20 points owed: what comes in next pays them.",
    ),
    Expected(
        "02-16",
        "PURCHASE 25, DEBT_PAYMENT -20",
        5,
        0,
        0,
        "Silver",
        "-20 points for what was owed.",
    ),
    Expected("03-20", "BONUS 100", 105, 0, 0, "Silver", ""),
    Expected("04-20", "", 105, 0, 0, "Silver", ""),
    Expected("05-20", "EXPIRY -100", 5, 0, 0, "Silver", ""),
    Expected("05-27", "BONUS 80", 85, 0, 0, "Silver", ""),
    Expected("06-01", "PURCHASE 12", 97, 0, 0, "Silver", "+12 points (10 base, 2 Silver)."),
    Expected("06-01", "REDEMPTION -45", 52, 0, 0, "Silver", "Free coffee for 45 points."),
    Expected("08-31", "EXPIRY -35", 17, 0, 0, "Silver", ""),
    Expected("10-01", "EXPIRY -5, BONUS 80, TIER_CHANGE 0", 92, 0, 0, "Member", ""),
    Expected("12-31", "EXPIRY -80", 12, 0, 0, "Member", ""),
]


@pytest.fixture
def connection(server: RunningServer) -> Iterator[Connection]:
    with connect(server.grpc_address, 10) as connection:
        yield connection


def shown(moment: Moment, says: str) -> Expected:
    """A moment in the form of the table; of its messages the one expected, if it is there."""
    posted = ", ".join(
        f"{types_pb2.EntryKind.Name(entry.kind).removeprefix('ENTRY_KIND_')} {entry.points}"
        for entry in moment.entries
    )
    balance = moment.balance
    return Expected(
        f"{moment.when:%m-%d}",
        posted,
        balance.available_points,
        balance.held_points,
        balance.debt_points,
        moment.tier,
        says if says in moment.messages else " / ".join(moment.messages),
    )


def test_a_year_goes_as_it_was_promised(connection: Connection, database_url: str) -> None:
    year = Year(connection, "a-year")
    moments = list(year.tell())

    assert [
        shown(moment, expected.says) for moment, expected in zip(moments, YEAR, strict=True)
    ] == YEAR
    report = verify(database_url, workers=1)
    assert not report.findings
    assert report.entries == sum(len(moment.entries) for moment in moments)


def test_the_warnings_of_a_year_are_kept_for_whoever_delivers_them(
    connection: Connection, database_url: str
) -> None:
    list(Year(connection, "a-year").tell())

    with psycopg2.connect(database_url) as session, session.cursor() as cursor:
        cursor.execute(
            "SELECT (expire_time AT TIME ZONE 'Europe/Berlin')::date::text, days, points"
            " FROM expiry_warnings WHERE member_id = %s ORDER BY expire_time, days DESC",
            [MEMBER],
        )
        found = cursor.fetchall()

    assert found == [
        ("2027-05-20", 30, 100),
        ("2027-05-20", 7, 100),
        ("2027-06-27", 30, 80),
        ("2027-06-27", 7, 35),
        ("2027-09-01", 30, 5),
        ("2027-09-01", 7, 5),
        ("2027-10-10", 30, 80),
        ("2027-10-10", 7, 80),
        ("2028-01-01", 30, 12),
        ("2028-01-01", 7, 12),
    ]


def test_the_timeline_tells_the_year(
    cli: Cli, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "110")

    told = cli("demo", "--server", server.grpc_address)

    assert told.code == 0
    for line in (
        "Ada joins",
        "Welcome to Silver until 31 August 2027.",
        "20 points owed: what comes in next",
        "100 points can be spent until 19 May 2027.",
        "Too few visits of late to hold the tier anew.",
    ):
        assert line in told.out
    assert "ledger statement ada --program a-year-" in told.err


def test_the_year_can_be_read_by_programs_and_lived_twice(cli: Cli, server: RunningServer) -> None:
    first = cli("demo", "--server", server.grpc_address, "--json").json
    second = cli("demo", "--server", server.grpc_address, "--json").json

    assert first["programId"] != second["programId"]
    assert [moment["availablePoints"] for moment in first["moments"]] == [
        expected.available for expected in YEAR
    ]
    assert [moment["title"] for moment in first["moments"]] == [
        moment["title"] for moment in second["moments"]
    ]
