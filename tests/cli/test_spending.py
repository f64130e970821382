"""Rewards, holds and redemptions at the command line, against a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Result
from tests.conftest import RunningServer

PROGRAM = """
program: {program_id: beans, display_name: Beans, currency: EUR, time_zone: Europe/Berlin,
          sandbox: true, clock_time: 2026-01-10T09:00:00Z}
rules:
  earning: {rate: {points: 1, per: "1.00"}}
  tiers: {period: {rolling_days: 365}, levels: [{id: member}, {id: gold, name: Gold, visits: 9}]}
  expiry: {after_months: 12}
  redemption: {value: {points: 100, amount: "5.00"}, minimum_points: 20}
  bonuses: [{id: welcome, on: ENROLLMENT, points: 500}]
  rewards:
    - {id: coffee, name: "Free coffee [/b]", points: 80, kind: ITEM, value: "4.50"}
    - {id: eighth, name: An eighth off, points: 100, kind: PERCENT_OFF, percent: "12.5"}
    - {id: mug, name: Mug, points: 600, kind: ITEM, stock: 1}
    - {id: tasting, name: Tasting, points: 0, kind: PERK, per_member: {count: 1, days: 365}}
    - {id: table, points: 10, kind: PERK, minimum_tier: gold, from: 2026-02-01}
"""


#: number, date and time of an entry
_ROW = re.compile(r"\d+ \d{1,2} \w{3} \d{4} \d\d:\d\d ")


@pytest.fixture
def ledger(cli: Cli, server: RunningServer, tmp_path: Path) -> Cli:
    """Runs commands against a server with one program, whose member m-1 has 500 points."""

    def command(*arguments: object) -> Result:
        return cli(*arguments, "--server", server.grpc_address)

    file = tmp_path / "beans.yaml"
    file.write_text(PROGRAM)
    assert command("program", "apply", file).code == 0
    assert command("member", "enroll", "m-1").code == 0
    return command


def hold_of(ledger: Cli, *arguments: object) -> str:
    """The id of a hold made for m-1."""
    hold: str = ledger("hold", "m-1", *arguments, "--json").json["hold"]["holdId"]
    return hold


def redemption_of(ledger: Cli, *arguments: object) -> str:
    """The id of a redemption of m-1."""
    answer = ledger("redeem", "m-1", *arguments, "--json").json
    redemption: str = answer["redemption"]["redemptionId"]
    return redemption


def lines(result: Result) -> list[str]:
    """What was printed, with single spaces."""
    return [" ".join(line.split()) for line in result.out.splitlines()]


def rows(ledger: Cli) -> list[str]:
    """The newest entries of m-1's statement, each in one line, without number and time."""
    told: list[str] = []
    for line in lines(ledger("statement", "m-1")):
        if begin := _ROW.match(line):
            told.append(line[begin.end() :])
        elif told and line and not line.startswith("Times in"):
            told[-1] += f" / {line}"
    return told


def available(ledger: Cli) -> str:
    """What m-1 can spend."""
    points: str = ledger("balance", "m-1", "--json").json["availablePoints"]
    return points


def test_rewards_say_what_can_be_had_and_why_not(ledger: Cli) -> None:
    told = lines(ledger("rewards", "m-1"))

    assert "coffee Free coffee [/b] 80 4.50 EUR ✓ can be had" in told
    assert "eighth An eighth off 100 12.5 % off ✓ can be had" in told
    assert "mug Mug 600 1 100 more points are needed" in told
    assert "tasting Tasting 0 ✓ can be had" in told
    first = told.index("table table 10 it is for Gold and up")
    assert told[first + 1] == "it can be had from 1 February 2026 on"
    assert "500 points can be spent." in told


def test_rewards_as_json(ledger: Cli) -> None:
    answer = ledger("rewards", "m-1", "--json").json

    assert answer["availablePoints"] == "500"
    offers = {offer["rewardId"]: offer for offer in answer["rewards"]}
    assert [name for name, offer in offers.items() if offer["available"]] == [
        "coffee", "eighth", "tasting",
    ]  # fmt: skip
    assert offers["mug"]["stockLeft"] == "1"
    assert offers["mug"]["obstacles"][0]["reason"] == "OBSTACLE_REASON_POINTS"


def test_a_program_without_rewards_says_so(
    cli: Cli, server: RunningServer, program_file: Path
) -> None:
    cli("program", "apply", program_file, "--server", server.grpc_address)
    cli("member", "enroll", "m-1", "--server", server.grpc_address)

    shown = cli("rewards", "m-1", "--server", server.grpc_address)

    assert shown.code == 0
    assert shown.out == "Program beans has no rewards.\n"


def test_points_are_held_and_a_part_of_them_captured(ledger: Cli) -> None:
    made = ledger("hold", "m-1", 100, "--ttl", "2h")
    hold = lines(made)[0].split()[2]
    balance = lines(ledger("balance", "m-1"))

    captured = ledger("capture", "m-1", hold, "--points", 80)

    assert f"hold {hold} is made for member m-1" in made.out
    assert "Hold -100 until 10 Jan 2026 12:00" in lines(made)
    assert "Balance 400 points, worth 20.00 EUR, 100 held" in lines(made)
    assert "│ Held 100 │" in balance
    assert f"hold {hold} is captured, redemption r-" in captured.out
    assert "Captured (-80) 80 of 100 held points · worth 4.00 EUR" in lines(captured)
    assert any(line.startswith("Released +20 the rest of") for line in lines(captured))
    redemption = lines(captured)[0].split()[-1]
    assert rows(ledger)[:3] == [
        f"Released {hold} +20 420 31 Jan 2027 / the rest of 100 held points",
        f"Captured {hold} (-80) 400 / redemption {redemption} / 80 of 100 held points / "
        "worth 4.00 EUR",
        f"Hold {hold} -100 400 / until 10 Jan 2026 12:00",
    ]


def test_a_reward_is_held_and_captured_by_its_name(ledger: Cli) -> None:
    made = ledger("hold", "m-1", "--reward", "coffee")
    hold = lines(made)[0].split()[2]

    captured = ledger("capture", "m-1", hold)

    assert "Hold coffee -80 until 10 Jan 2026 10:15" in lines(made)
    assert "Captured coffee (-80) worth 4.50 EUR" in lines(captured)
    assert "│ Free coffee [/b] for 80 points." in lines(captured)
    redemption = lines(captured)[0].split()[-1]
    assert rows(ledger)[:2] == [
        f"Captured Free coffee [/b] (-80) 420 / hold {hold} / redemption {redemption} / "
        "worth 4.50 EUR",
        f"Hold Free coffee [/b] -80 420 / hold {hold} / until 10 Jan 2026 10:15",
    ]


def test_a_hold_is_extended_and_released(ledger: Cli) -> None:
    hold = hold_of(ledger, 100)

    extended = ledger("extend", "m-1", hold, "--ttl", "1h30m")
    released = ledger("release", "m-1", hold)

    assert f"hold {hold} lasts until 10 Jan 2026 11:30" in extended.out
    assert f"hold {hold} is released" in released.out
    assert rows(ledger)[:2] == [
        f"Released {hold} +100 500 31 Jan 2027",
        f"Hold extended {hold} 400 / until 10 Jan 2026 11:30",
    ]
    assert available(ledger) == "500"


def test_a_hold_that_lapsed_says_so(ledger: Cli, tmp_path: Path) -> None:
    hold = hold_of(ledger, 100)
    file = tmp_path / "none.csv"
    file.write_text("purchase_id,member_id,effective_time,amount\n")
    assert ledger("replay", file, "--until", "2026-01-10T10:00:00Z").code == 0

    late = ledger("capture", "m-1", hold)

    assert late.code == 1
    assert "HOLD_EXPIRED" in late.err
    assert rows(ledger)[0] == f"Hold lapsed {hold} +100 500 31 Jan 2027"


def test_points_and_rewards_are_redeemed_in_one_step(ledger: Cli) -> None:
    points = ledger("redeem", "m-1", 200, "--location", "shop-7")
    part = ledger("redeem", "m-1", "--reward", "eighth")
    perk = ledger("redeem", "m-1", "--reward", "tasting")

    assert "is recorded for member m-1" in points.out
    assert "Redeemed -200 worth 10.00 EUR" in lines(points)
    assert "Redeemed eighth -100 12.5 % off" in lines(part)
    first, second, third = (lines(one)[0].split()[2] for one in (points, part, perk))
    assert rows(ledger)[:3] == [
        f"Redeemed Tasting 200 / redemption {third}",
        f"Redeemed An eighth off -100 200 / redemption {second} / 12.5 % off",
        f"Redeemed {first} at shop-7 -200 300 / worth 10.00 EUR",
    ]


def test_a_redemption_is_given_back_in_parts(ledger: Cli) -> None:
    redemption = redemption_of(ledger, 200)

    part = ledger("reverse", "m-1", redemption, "--points", 50)
    rest = ledger("reverse", "m-1", redemption)
    more = ledger("reverse", "m-1", redemption, "--points", 1, "--json")

    assert f"redemption {redemption} is given back in part" in part.out
    assert "50 of 200 points given back so far" in part.out
    assert lines(rest)[0] == f"✓ redemption {redemption} is given back"
    assert rows(ledger)[:2] == [
        f"Given back {redemption} +150 500 31 Jan 2027",
        f"Given back {redemption} +50 350 31 Jan 2027 / 50 of 200 points given back so far",
    ]
    assert more.code == 1
    assert more.failure["reason"] == "REVERSAL_EXCEEDS_REDEMPTION"


def test_every_answer_is_json_when_asked_for(ledger: Cli) -> None:
    hold = ledger("hold", "m-1", 100, "--json").json
    extended = ledger("extend", "m-1", hold["hold"]["holdId"], "--json").json
    captured = ledger("capture", "m-1", hold["hold"]["holdId"], "--json").json
    reversed_ = ledger("reverse", "m-1", captured["redemption"]["redemptionId"], "--json").json
    released = ledger("release", "m-1", hold_of(ledger, 100), "--json").json
    redeemed = ledger("redeem", "m-1", "--reward", "coffee", "--json").json

    assert hold["hold"]["state"] == extended["hold"]["state"] == "HOLD_STATE_OPEN"
    assert captured["hold"]["state"] == "HOLD_STATE_CAPTURED"
    assert captured["redemption"]["points"] == "100"
    assert reversed_["redemption"]["reversedPoints"] == "100"
    assert released["hold"]["state"] == "HOLD_STATE_RELEASED"
    assert redeemed["redemption"]["rewardId"] == "coffee"
    assert redeemed["balance"]["availablePoints"] == "420"


def test_a_repeated_request_repeats_the_first_answer(ledger: Cli) -> None:
    first = ledger("redeem", "m-1", 100, "--request-id", "q-1")
    again = ledger("redeem", "m-1", 100, "--request-id", "q-1")
    made = ledger("hold", "m-1", 100, "--request-id", "q-2")
    hold = lines(made)[0].split()[2]
    remade = ledger("hold", "m-1", 100, "--request-id", "q-2")
    ended = [ledger("release", "m-1", hold, "--request-id", "q-3") for _ in range(2)]

    assert "request id q-1" in first.err
    assert "was recorded before; this repeats the first answer" in again.out
    assert lines(again)[1:] == lines(first)[1:]
    assert f"hold {hold} was made before; this repeats the first answer" in remade.out
    assert "was released before" in ended[1].out
    assert available(ledger) == "400"


REFUSALS: tuple[tuple[tuple[object, ...], str], ...] = (
    (("hold", "m-1", 501), "INSUFFICIENT_POINTS"),
    (("hold", "m-1", 19), "BELOW_MINIMUM"),
    (("hold", "m-1", "--reward", "tea"), "REWARD_NOT_FOUND"),
    (("hold", "m-1", 100, "--ttl", "29d"), "INVALID_FIELD"),
    (("hold", "m-1", 0), "INVALID_FIELD"),
    (("redeem", "m-1", "--reward", "table"), "REWARD_NOT_ELIGIBLE"),
    (("redeem", "m-2", 100), "MEMBER_NOT_FOUND"),
    (("capture", "m-1", "h-1"), "HOLD_NOT_FOUND"),
    (("release", "m-1", "h-1"), "HOLD_NOT_FOUND"),
    (("extend", "m-1", "h-1"), "HOLD_NOT_FOUND"),
    (("reverse", "m-1", "r-1"), "REDEMPTION_NOT_FOUND"),
    (("rewards", "m-2"), "MEMBER_NOT_FOUND"),
)


def test_refusals_are_told_to_people_and_to_programs(ledger: Cli) -> None:
    for arguments, reason in REFUSALS:
        told, decoded = ledger(*arguments), ledger(*arguments, "--json")

        assert told.code == decoded.code == 1, arguments
        assert reason in told.err
        assert decoded.failure["reason"] == reason
        assert decoded.out == ""


def test_a_hold_ends_once(ledger: Cli) -> None:
    hold = hold_of(ledger, 100)

    much = ledger("capture", "m-1", hold, "--points", 101)
    ledger("release", "m-1", hold)
    late = ledger("capture", "m-1", hold, "--json")

    assert "CAPTURE_EXCEEDS_HOLD" in much.err
    assert late.failure["reason"] == "HOLD_CLOSED"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("hold", "m-1"), "points or a reward?"),
        (("redeem", "m-1", 100, "--reward", "coffee"), "points or a reward?"),
        (("redeem", "m-1", "1.5"), "POINTS must be a whole number such as 250, not '1.5'"),
        (("hold", "m-1", 100, "--ttl", "soon"), "--ttl must be a duration such as 90s, 15m"),
        (("capture", "m-1", "h-1", "--points", "all"), "--points must be a whole number"),
        (("reverse", "m-1", "r-1", "--points", "-1"), "--points must be a whole number"),
        (("capture", "m-1"), "HOLD"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_sent(
    arguments: tuple[object, ...], said: str, cli: Cli
) -> None:
    result = cli(*arguments, "--server", "127.0.0.1:1")

    assert result.code == 2
    assert said in result.err
