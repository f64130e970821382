"""Tiers, activities and referrals at the command line, against a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.cli.values import parse_birthday
from tests.cli.conftest import Cli, Result
from tests.conftest import RunningServer

PROGRAM = """
program: {program_id: beans, display_name: Beans, currency: EUR, time_zone: Europe/Berlin,
          sandbox: true, clock_time: 2026-01-10T09:00:00Z}
rules:
  earning: {rate: {points: 1, per: "1.00"}}
  tiers:
    period: {rolling_days: 365}
    grace_days: 30
    levels:
      - {id: member}
      - {id: silver, name: Silver, visits: 3, multiplier: "1.5", benefits: [free-delivery, "[/x]"]}
      - {id: gold, name: "Gold [/b]", visits: 6, spend: "100.00", match: ANY}
  bonuses:
    - {id: survey, on: ACTIVITY, activity: survey, points: 30, per_member: {count: 1}}
    - {id: refer, on: REFERRAL, points: 300, referee_points: 100}
"""


@pytest.fixture
def ledger(cli: Cli, server: RunningServer, tmp_path: Path) -> Cli:
    """Runs commands against a server whose one program has tiers."""

    def command(*arguments: object) -> Result:
        return cli(*arguments, "--server", server.grpc_address)

    file = tmp_path / "beans.yaml"
    file.write_text(PROGRAM)
    assert command("program", "apply", file).code == 0
    return command


def buy(ledger: Cli, *days: int, member: str = "m-1") -> list[Result]:
    """A purchase of 10.00 on each of these days of January."""
    return [
        ledger("purchase", member, "10.00", "--purchase-id", f"{member}-{day}", "--at",
               f"2026-01-{day:02} 08:00")
        for day in days
    ]  # fmt: skip


def test_a_tier_is_shown_with_the_way_to_the_next(ledger: Cli) -> None:
    ledger("member", "enroll", "m-1")
    buy(ledger, 2, 3)

    shown = ledger("tier", "m-1").out

    assert "Tier        member" in shown
    assert "for good" in shown
    assert "2 visits and 20.00 EUR" in shown
    assert "1 visit more through 1 Jan 2027" in shown
    assert "█████████████░░░░░░░  2 of 3 visits" in shown
    assert "To keep" not in shown


def test_what_keeps_a_tier_is_shown(ledger: Cli) -> None:
    ledger("member", "enroll", "m-1")
    buy(ledger, 2, 3, 4)

    shown = ledger("tier", "m-1").out

    assert "Silver" in shown
    assert "through 31 Jan 2027, with grace through 2 Mar 2027" in shown
    assert "free-delivery, [/x]" in shown
    assert "To Gold [/b]  3 visits or 70.00 EUR more through 1 Jan 2027" in shown
    assert "██████░░░░░░░░░░░░░░  30.00 EUR of 100.00 EUR" in shown
    assert "3 visits more through 31 Jan 2027  counting from 4 Mar 2026" in shown
    assert "silver" in ledger("balance", "m-1").out


def test_a_purchase_tells_what_to_print(ledger: Cli) -> None:
    ledger("member", "enroll", "m-1")

    bought = buy(ledger, 2, 3, 4)[-1].out
    preview = ledger("purchase", "m-1", "10.00", "--preview").out

    told = " ".join(bought.split())
    assert "Tier member → silver reached · 3 of 3 visits, 11 Jan 2025 to 10 Jan 2026" in told
    assert "To print:" in bought
    assert "│ Welcome to Silver until 31 January 2027." in bought
    assert "tier:silver" in preview
    assert "│ +15 points (10 base, 5 Silver)." in preview


def test_a_statement_says_why_a_tier_changed(ledger: Cli) -> None:
    ledger("member", "enroll", "m-1")
    buy(ledger, 2, 3, 4)
    reason = "moved [/house]"
    ledger("override-tier", "m-1", "gold", "--until", "2026-07-01", "--reason", reason)

    lines = [" ".join(line.split()) for line in ledger("statement", "m-1").out.splitlines()]

    first = next(place for place, line in enumerate(lines) if "Tier" in line)
    assert "Tier silver → gold" in lines[first]
    assert lines[first + 1 : first + 3] == [
        "by an operator's decision: moved [/house]",
        "held through 30 Jun 2026",
    ]
    second = next(place for place, line in enumerate(lines) if "member → silver" in line)
    assert lines[second + 1 : second + 4] == [
        "reached",
        "3 of 3 visits, 11 Jan 2025 to 10 Jan 2026",
        "held through 31 Jan 2027",
    ]


def test_a_tier_is_overridden_and_says_so(ledger: Cli) -> None:
    ledger("member", "enroll", "m-1")
    arguments = (
        "override-tier", "m-1", "gold", "--until", "2026-07-01", "--reason", "moved",
        "--request-id", "o-1",
    )  # fmt: skip

    given, again = ledger(*arguments), ledger(*arguments)
    shown = ledger("tier", "m-1")

    assert "is given to member m-1" in given.out
    assert "repeats the first answer" in again.out
    assert "by an operator's decision" in shown.out
    assert "through 30 Jun 2026" in shown.out
    assert ledger("tier", "m-1", "--json").json["overridden"] is True
    lower = ledger("override-tier", "m-1", "silver", "--until", "2026-07-01", "--reason", "x")
    assert lower.code == 1
    assert "tier_id" in lower.err
    past = ledger(*arguments[:4], "2025-07-01", "--reason", "x", "--json")
    assert [fault["field"] for fault in past.failure["violations"]] == ["until_time"]


def test_an_activity_is_recorded_as_often_as_it_counts(ledger: Cli) -> None:
    ledger("member", "enroll", "m-1")

    first = ledger("activity", "m-1", "survey", "--location", "web")
    second = ledger("activity", "m-1", "survey", "--json")
    unknown = ledger("activity", "m-1", "[/b]")

    assert "activity survey is recorded for member m-1" in first.out
    assert "+30" in first.out
    assert second.json["entries"][0]["activity"] == "survey"
    assert second.json["balance"]["availablePoints"] == "30"
    assert unknown.code == 1
    assert "survey" in unknown.err
    statement = ledger("statement", "m-1").out
    assert "Activity survey at web" in statement


def test_both_sides_of_a_referral_see_each_other(ledger: Cli) -> None:
    ledger("member", "enroll", "m-1")

    enrolled = ledger("member", "enroll", "m-2", "--birthday", "02-29", "--referrer", "m-1")
    buy(ledger, 5, member="m-2")

    assert "referred by m-1" in enrolled.out
    assert "with m-2" in ledger("statement", "m-1").out
    assert "with m-1" in ledger("statement", "m-2").out
    assert ledger("balance", "m-1", "--json").json["availablePoints"] == "300"


def test_a_program_without_tiers_says_so(
    cli: Cli, server: RunningServer, program_file: Path
) -> None:
    cli("program", "apply", program_file, "--server", server.grpc_address)
    cli("member", "enroll", "m-1", "--server", server.grpc_address)

    shown = cli("tier", "m-1", "--server", server.grpc_address)

    assert shown.code == 0
    assert shown.out == "Program beans has no tiers.\n"


@pytest.mark.parametrize("text", ["2026-02-29", "02-30", "13-01", "0-1", "29.02.", "02-29x", "ü"])
def test_a_birthday_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a month and a day such as 02-29"):
        parse_birthday(text)


@pytest.mark.parametrize(
    ("text", "day"), [("02-29", (2, 29)), ("12-31", (12, 31)), ("1-2", (1, 2))]
)
def test_a_birthday_is_a_month_and_a_day(text: str, day: tuple[int, int]) -> None:
    assert parse_birthday(text) == day


def test_a_wrong_flag_is_wrong_usage(ledger: Cli) -> None:
    birthday = ledger("member", "enroll", "m-1", "--birthday", "02-30")
    until = ledger("override-tier", "m-1", "gold", "--until", "soon", "--reason", "x")
    missing = ledger("override-tier", "m-1", "gold", "--until", "2027-01-01")

    assert (birthday.code, until.code, missing.code) == (2, 2, 2)
    assert "--birthday" in birthday.err
    assert "--until" in until.err
    assert "--reason" in missing.err
