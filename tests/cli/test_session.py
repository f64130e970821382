"""A session at the command line, against a real server on a real database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Result
from tests.conftest import RunningServer

Ledger = Cli


@pytest.fixture
def ledger(cli: Cli, server: RunningServer, program_file: Path) -> Ledger:
    """Runs commands against a server that has one program."""

    def command(*arguments: object) -> Result:
        return cli(*arguments, "--server", server.grpc_address)

    assert command("program", "apply", program_file).code == 0
    return command


def test_applying_a_document_again_changes_nothing(ledger: Ledger, program_file: Path) -> None:
    again = ledger("program", "apply", program_file, "--json")

    assert again.code == 0
    assert again.json["outcome"] == "unchanged"
    assert again.json["program"]["rulesVersion"] == 1


def test_changed_rules_are_published(ledger: Ledger, program_file: Path) -> None:
    program_file.write_text(program_file.read_text().replace("after_months: 12", "after_months: 6"))

    applied = ledger("program", "apply", program_file, "--json")

    assert applied.json["outcome"] == "published"
    shown = ledger("program", "show", "--json").json
    assert shown["rulesVersion"]["version"] == 2
    assert shown["rulesVersion"]["rules"]["expiry"]["afterMonths"] == 6


def test_what_can_not_be_changed_is_named(ledger: Ledger, program_file: Path) -> None:
    program_file.write_text(program_file.read_text().replace("EUR", "USD"))

    applied = ledger("program", "apply", program_file, "--json")

    assert applied.code == 1
    assert applied.failure["reason"] == "PROGRAM_DIFFERS"
    assert [fault["field"] for fault in applied.failure["violations"]] == ["program.currency"]


def test_a_program_that_is_shown_can_be_applied(ledger: Ledger, tmp_path: Path) -> None:
    shown = tmp_path / "shown.yaml"
    shown.write_text(ledger("program", "show", "beans").out)

    assert ledger("program", "apply", shown, "--json").json["outcome"] == "unchanged"


def test_programs_are_listed(ledger: Ledger) -> None:
    listed = ledger("program", "list")

    assert "beans" in listed.out
    assert "sandbox at 10 Jan 2026 10:00" in listed.out
    assert [one["programId"] for one in ledger("program", "list", "--json").json["programs"]] == [
        "beans"
    ]


def test_from_enrollment_to_a_statement(ledger: Ledger) -> None:
    enrolled = ledger("member", "enroll", "m-1")
    bought = ledger(
        "purchase", "m-1", "1234.56", "--purchase-id", "r-1", "--at", "2026-01-10 09:30"
    )
    balance = ledger("balance", "m-1")
    statement = ledger("statement", "m-1")
    shown = ledger("member", "show", "m-1")

    assert {one.code for one in (enrolled, bought, balance, statement, shown)} == {0}
    assert "m-1 is enrolled" in enrolled.out
    assert "+50" in enrolled.out
    assert "+1,234" in bought.out
    assert "1,284" in balance.out
    assert "worth 12.84 EUR" in balance.out
    assert "good through 31 Jan 2027" in balance.out
    rows = [line.split() for line in statement.out.splitlines() if line[:3].strip().isdigit()]
    assert [row[0] for row in rows] == ["3", "2", "1"]
    assert rows[0][4:8] == ["09:30", "Purchase", "r-1", "1234.56"]
    assert rows[0][-5:] == ["+1,234", "1,284", "31", "Jan", "2027"]
    assert "Active" in shown.out


def test_a_purchase_is_repeated_by_its_request_id(ledger: Ledger) -> None:
    arguments = ("purchase", "m-1", "12.99", "--request-id", "q-1", "--json")

    first, again = ledger(*arguments), ledger(*arguments)

    assert first.json["replayed"] is False
    assert again.json == {**first.json, "replayed": True}
    assert first.json["entries"][0]["kind"] == "ENTRY_KIND_ENROLLED"
    assert first.json["balance"]["availablePoints"] == "62"


def test_a_preview_writes_nothing(ledger: Ledger) -> None:
    ledger("member", "enroll", "m-1")

    preview = ledger(
        "purchase", "m-1", "13.40", "--line", "a:coffee:2:6.40", "--line", "b:gift-card:1:7.00",
        "--preview", "--json",
    )  # fmt: skip

    assert preview.json["points"] == "6"
    assert preview.json["eligibleAmount"] == {
        "currencyCode": "EUR",
        "units": "6",
        "nanos": 400_000_000,
    }
    assert ledger("balance", "m-1", "--json").json["availablePoints"] == "50"


def test_a_refusal_is_told_to_people_and_to_programs(ledger: Ledger) -> None:
    ledger("purchase", "m-1", "1.00", "--purchase-id", "r-1")

    told = ledger("purchase", "m-2", "1.00", "--purchase-id", "r-1")
    decoded = ledger("purchase", "m-2", "1.00", "--purchase-id", "r-1", "--json")

    assert told.code == decoded.code == 1
    assert "PURCHASE_ALREADY_RECORDED" in told.err
    assert decoded.out == ""
    assert decoded.failure["code"] == "FAILED_PRECONDITION"
    assert decoded.failure["metadata"]["purchase_id"] == "r-1"


def test_a_malformed_request_shows_every_violation(ledger: Ledger) -> None:
    result = ledger("purchase", "x" * 129, "1.00", "--location", "y" * 129, "--json")

    assert result.code == 1
    assert {fault["field"] for fault in result.failure["violations"]} == {
        "member_id",
        "location_id",
    }


@pytest.mark.parametrize("amount", ["12.999", "1e3", "abc", "1,50"])
def test_an_amount_that_is_none_is_wrong_usage(amount: str, ledger: Ledger) -> None:
    result = ledger("purchase", "m-1", amount)

    assert result.code == 2
    assert "AMOUNT" in result.err


def test_without_a_program_the_only_one_is_used_and_said(ledger: Ledger, tmp_path: Path) -> None:
    assert "Using program beans" in ledger("purchase", "m-1", "1.00").err

    other = tmp_path / "other.yaml"
    other.write_text((tmp_path / "beans.yaml").read_text().replace("beans", "other"))
    ledger("program", "apply", other)

    undecided = ledger("balance", "m-1")
    assert undecided.code == 2
    assert "beans" in undecided.err
    assert "other" in undecided.err


def test_a_statement_pages_through_all_entries(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "purchases.csv"
    rows = [f"r-{index},m-1,2026-01-10,1.00" for index in range(1, 1101)]
    file.write_text("\n".join(["purchase_id,member_id,effective_time,amount", *rows]))
    assert ledger("replay", file).code == 0

    assert len(ledger("statement", "m-1", "--json").json["entries"]) == 50
    short = ledger("statement", "m-1", "-n", "3")
    assert "newest 3 of 1,102 entries" in short.err
    entries = ledger("statement", "m-1", "--all", "--json").json["entries"]
    assert [int(entry["sequence"]) for entry in entries] == list(range(1102, 0, -1))
