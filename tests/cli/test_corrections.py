"""Returns, adjustments, transfers, statuses and expiry at the command line, on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Result
from tests.cli.test_spending import available, lines, rows
from tests.conftest import RunningServer

PROGRAM = """
program: {program_id: beans, display_name: Beans, currency: EUR, time_zone: Europe/Berlin,
          sandbox: true, clock_time: 2026-01-10T09:00:00Z}
rules:
  earning: {rate: {points: 1, per: "1.00"}, exclude_categories: [gift-card], pending_days: PENDING}
  expiry: {after_months: 12, inactivity_months: 6}
  redemption: {value: {points: 100, amount: "5.00"}}
  returns: {shortfall: SHORTFALL}
  adjustments: {approval_above: 1000, reason_codes: [goodwill, "typo"]}
"""


@pytest.fixture
def ledger(cli: Cli, server: RunningServer, tmp_path: Path) -> Cli:
    """Runs commands against a server with one program, whose members m-1 and m-2 have no points."""

    def command(*arguments: object) -> Result:
        return cli(*arguments, "--server", server.grpc_address)

    publish(command, tmp_path)
    for member in ("m-1", "m-2"):
        assert command("member", "enroll", member).code == 0
    return command


def publish(ledger: Cli, directory: Path, *, pending: int = 0, shortfall: str = "DEBT") -> None:
    """Apply the program with these rules."""
    file = directory / "beans.yaml"
    text = PROGRAM.replace("PENDING", str(pending)).replace("SHORTFALL", shortfall)
    file.write_text(text)
    assert ledger("program", "apply", file).code == 0


def buy(ledger: Cli, purchase: str, amount: str, *arguments: object) -> None:
    """A purchase of m-1."""
    assert ledger("purchase", "m-1", amount, "--purchase-id", purchase, *arguments).code == 0


def test_a_purchase_is_returned_bit_by_bit(ledger: Cli) -> None:
    buy(ledger, "p-1", "40.00", "--line", "a:coffee:3:30.00", "--line", "b:gift-card:1:10.00")

    line = ledger("return", "m-1", "p-1", "--line", "a:coffee:1:10.00")
    amount = ledger("return", "m-1", "p-1", "--amount", "15.00")
    rest = ledger("return", "m-1", "p-1", "--full")

    assert "return of purchase p-1 is recorded for member m-1" in line.out
    assert "Return -10" in lines(line)
    assert "25.00 EUR of it so far" in amount.out
    assert "all of it is back" in rest.out
    first, second, third, fourth = rows(ledger)[:4]
    assert first.startswith("Return p-1 15.00 EUR -10 0 / all of it is back")
    assert second.startswith("Return p-1 15.00 EUR -10 10 / 25.00 EUR of it so far")
    assert third == "Return p-1 10.00 EUR -10 20"
    assert fourth.startswith("Purchase p-1 40.00 EUR +30 30")


def test_a_preview_of_a_return_writes_nothing(ledger: Cli) -> None:
    buy(ledger, "p-1", "40.00")
    ledger("redeem", "m-1", 30)

    told = lines(ledger("return", "m-1", "p-1", "--full", "--preview"))
    decoded = ledger("return", "m-1", "p-1", "--full", "--preview", "--json").json

    assert told[:4] == [
        "It would take back 40 points",
        "10 of those that can be spent",
        "30 owed, because they were spent already",
        "Balance 0 points, 30 owed",
    ]
    assert "To print:" in told
    assert (decoded["points"], decoded["debtPoints"]) == ("40", "30")
    assert available(ledger) == "10"


def test_what_was_spent_is_owed_and_paid_by_what_comes_in(ledger: Cli) -> None:
    buy(ledger, "p-1", "40.00")
    ledger("redeem", "m-1", 30)

    returned = ledger("return", "m-1", "p-1", "--full")
    owed = lines(ledger("balance", "m-1"))
    bought = ledger("purchase", "m-1", "50.00", "--purchase-id", "p-2")

    assert "Return (-30) owed, because they were spent already" in lines(returned)
    assert "│ Debt 30 the next points that come in pay it │" in owed
    assert "Debt paid -30" in lines(bought)
    told = rows(ledger)
    assert told[0] == "Debt paid -30 20"
    assert told[2:4] == [
        "Return p-1 (-30) 0 / owed, because they were spent already",
        "Return p-1 40.00 EUR -10 0 / all of it is back",
    ]


def test_what_is_let_go_or_was_still_to_come_says_so(ledger: Cli, tmp_path: Path) -> None:
    publish(ledger, tmp_path, shortfall="FORGIVE")
    buy(ledger, "p-1", "40.00")
    ledger("redeem", "m-1", 30)
    preview = lines(ledger("return", "m-1", "p-1", "--full", "--preview"))
    forgiven = ledger("return", "m-1", "p-1", "--full")
    publish(ledger, tmp_path, pending=5)
    buy(ledger, "p-2", "40.00")
    waiting = lines(ledger("return", "m-1", "p-2", "--amount", "7.00", "--preview"))
    ledger("return", "m-1", "p-2", "--amount", "7.00")

    assert "30 let go, though they were spent already" in preview
    assert "30 points let go, spent already" in forgiven.out
    assert "7 of those that were to come" in waiting
    assert rows(ledger)[0] == "Return p-2 7.00 EUR -7 0 / of the points that were to come"


def test_a_return_may_be_refused(ledger: Cli, tmp_path: Path) -> None:
    publish(ledger, tmp_path, shortfall="REFUSE")
    buy(ledger, "p-1", "40.00")
    ledger("redeem", "m-1", 30)

    refused = ledger("return", "m-1", "p-1", "--full", "--json")
    much = ledger("return", "m-1", "p-1", "--amount", "40.01")
    unknown = ledger("return", "m-2", "p-1", "--full")

    assert refused.failure["reason"] == "RETURNED_POINTS_SPENT"
    assert "RETURN_EXCEEDS_PURCHASE" in much.err
    assert "PURCHASE_NOT_FOUND" in unknown.err
    assert (refused.code, much.code, unknown.code) == (1, 1, 1)


def test_points_are_given_and_taken_by_hand(ledger: Cli) -> None:
    given = ledger("adjust", "m-1", "+250", "--reason", "goodwill", "--note", "waited [/b]")
    taken = ledger("adjust", "m-1", -1, "--reason", "typo")

    assert "250 points are given to member m-1" in given.out
    assert any(
        line.startswith("Adjustment goodwill +250 waited [/b] · by") for line in lines(given)
    )
    assert "1 point is taken from member m-1" in taken.out
    minus, plus = rows(ledger)[:2]
    assert minus.startswith("Adjustment typo -1 249 / by ")
    assert plus.startswith("Adjustment goodwill +250 250 31 Jan 2027 / waited [/b] / by ")


def test_many_points_need_a_second_person(ledger: Cli) -> None:
    arguments = ("adjust", "m-1", 1001, "--reason", "goodwill")

    refused = ledger(*arguments)
    approved = ledger(*arguments, "--approver", "maria")

    assert refused.code == 1
    assert "APPROVAL_REQUIRED" in refused.err
    assert "approved by maria" in approved.out


def test_a_reason_that_is_none_is_told_once_with_those_that_are(ledger: Cli) -> None:
    refused = ledger("adjust", "m-1", 10, "--reason", "because")

    assert refused.code == 1
    assert refused.err.count("goodwill, typo") == 1


def test_points_are_handed_to_another_member(ledger: Cli) -> None:
    buy(ledger, "p-1", "100.00")

    handed = ledger("transfer", "m-1", "m-2", 60)
    more = ledger("transfer", "m-1", "m-2", 60, "--json")

    assert "60 points are handed from member m-1 to member m-2" in handed.out
    assert "Transfer to m-2 -60" in lines(handed)
    assert rows(ledger)[0] == "Transfer to m-2 -60 40"
    assert "Transfer from m-1 +60 60 31 Jan 2027" in " ".join(lines(ledger("statement", "m-2")))
    assert more.failure["reason"] == "INSUFFICIENT_POINTS"


def test_a_status_is_set_and_shown(ledger: Cli) -> None:
    limited = ledger("member", "status", "m-1", "EARN_ONLY", "--reason", "returns a lot")
    shown = ledger("member", "show", "m-1")
    refused = ledger("redeem", "m-1", 1)
    closed = ledger("member", "status", "m-1", "closed", "--reason", "asked [/b]")
    late = ledger("member", "status", "m-1", "active", "--reason", "x", "--json")

    assert "member m-1 is earn-only now" in limited.out
    assert "Earn-only" in shown.out
    assert "MEMBER_NOT_ACTIVE" in refused.err
    assert "member m-1 is closed now" in closed.out
    assert late.failure["reason"] == "MEMBER_NOT_ACTIVE"
    assert rows(ledger)[0].startswith("Status closed 0 / asked [/b] / by ")


def test_what_expires_when_is_shown(ledger: Cli, tmp_path: Path) -> None:
    buy(ledger, "p-1", "100.00")
    ledger("hold", "m-1", 30)
    publish(ledger, tmp_path, pending=5)
    buy(ledger, "p-2", "40.00")

    told = lines(ledger("expiring", "m-1"))

    assert "70 31 Jan 2027 in 12 months" in told
    assert "30 31 Jan 2027 in 12 months held" in told
    assert "40 31 Jan 2027 in 12 months spendable from 15 Jan 2026" in told
    assert "Unless something is bought or redeemed through 31 Jul 2026, all ends then." in told
    decoded = ledger("expiring", "m-1", "--json").json
    assert sorted(item["points"] for item in decoded["items"]) == ["30", "40", "70"]
    assert "No points." in ledger("expiring", "m-2").out


def test_a_balance_is_foreseen(ledger: Cli) -> None:
    buy(ledger, "p-1", "100.00")
    ledger("hold", "m-1", 30)

    now = ledger("balance", "m-1", "--json").json
    soon = ledger("balance", "m-1", "--at", "2026-01-11", "--json").json
    late = lines(ledger("balance", "m-1", "--at", "2026-08-01"))

    assert (now["availablePoints"], now["heldPoints"]) == ("70", "30")
    assert (soon["availablePoints"], soon["heldPoints"]) == ("100", "0")
    assert "│ Available 0 worth 0.00 EUR │" in late
    assert any("As of 1 Aug 2026 00:00 CEST" in line for line in late)


def test_points_that_expire_for_want_of_activity_say_so(ledger: Cli, tmp_path: Path) -> None:
    buy(ledger, "p-1", "100.00")
    file = tmp_path / "none.csv"
    file.write_text("purchase_id,member_id,effective_time,amount\n")

    assert ledger("replay", file, "--until", "2026-08-02T00:00:00Z").code == 0

    assert rows(ledger)[0] == "Expired -100 0 / nothing was bought or redeemed for long"


def test_every_answer_is_json_when_asked_for(ledger: Cli) -> None:
    buy(ledger, "p-1", "100.00")

    returned = ledger("return", "m-1", "p-1", "--amount", "9.00", "--json").json
    adjusted = ledger("adjust", "m-1", -1, "--reason", "typo", "--json").json
    handed = ledger("transfer", "m-1", "m-2", 60, "--json").json
    status = ledger("member", "status", "m-1", "suspended", "--reason", "x", "--json").json

    kinds = [answer["entries"][0]["kind"] for answer in (returned, adjusted, handed, status)]
    assert kinds == [
        "ENTRY_KIND_RETURN", "ENTRY_KIND_ADJUSTMENT", "ENTRY_KIND_TRANSFER_OUT",
        "ENTRY_KIND_STATUS_CHANGE",
    ]  # fmt: skip
    assert returned["entries"][0]["returned"]["points"] == "9"
    assert status["entries"][0]["status"] == "MEMBER_STATUS_SUSPENDED"


def test_a_repeated_request_repeats_the_first_answer(ledger: Cli) -> None:
    buy(ledger, "p-1", "100.00")

    for arguments, said in (
        (("return", "m-1", "p-1", "--amount", "9.00"), "was recorded before"),
        (("adjust", "m-1", 5, "--reason", "typo"), "were given to member m-1 before"),
        (("transfer", "m-1", "m-2", 1), "was handed from member m-1 to member m-2 before"),
        (("member", "status", "m-1", "earn-only", "--reason", "x"), "became earn-only before"),
    ):
        first = ledger(*arguments, "--request-id", f"q-{arguments[0]}")
        again = ledger(*arguments, "--request-id", f"q-{arguments[0]}")

        assert (first.code, again.code) == (0, 0)
        assert f"{said}; this repeats the first answer" in again.out
        assert lines(again)[1:] == lines(first)[1:]
        assert f"request id q-{arguments[0]}" in again.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("return", "m-1", "p-1"), "what came back?"),
        (("return", "m-1", "p-1", "--full", "--amount", "1.00"), "what came back?"),
        (
            ("adjust", "m-1", "many", "--reason", "typo"),
            "POINTS must be a whole number such as 250",
        ),
        (("adjust", "m-1", "-1.5", "--reason", "typo"), "or -250, not '-1.5'"),
        (("adjust", "m-1", "5"), "--reason"),
        (("adjust", "m-1", "5", "--raeson", "typo"), "--re"),
        (("adjust", "m-1", "1" + "0" * 16, "--reason", "typo"), "is more than the ledger takes"),
        (("transfer", "m-1", "m-2", "-5"), "No such option"),
        (("member", "status", "m-1", "gone", "--reason", "x"), "active, earn-only, suspended"),
        (("member", "status", "m-1", "active"), "--reason"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_sent(
    arguments: tuple[object, ...], said: str, cli: Cli
) -> None:
    result = cli(*arguments, "--server", "127.0.0.1:1")

    assert result.code == 2
    assert said in result.err


def test_amounts_of_a_return_are_those_of_the_currency(ledger: Cli) -> None:
    amount = ledger("return", "m-1", "p-1", "--amount", "1.234")
    line = ledger("return", "m-1", "p-1", "--line", "a:1.00")

    assert (amount.code, line.code) == (2, 2)
    assert "--amount has more decimals than EUR" in amount.err
    assert "--line must be SKU:CATEGORY:QUANTITY:AMOUNT" in line.err
