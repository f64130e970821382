"""`ledger replay`: the clock follows, points expire on the way, a second run changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Result
from tests.conftest import RunningServer

HEADER = "purchase_id,member_id,effective_time,amount,currency,category\n"
ROWS = """\
r-3,m-1,2026-03-05T10:00:00Z,7.00,EUR,coffee
r-1,m-1,2026-01-10T10:00:00Z,12.99,EUR,coffee
r-2,m-2,2026-01-10T22:00:00Z,3.50,EUR,coffee
r-4,m-1,2027-02-05T10:00:00Z,9.00,EUR,gift-card
"""


@pytest.fixture
def ledger(cli: Cli, server: RunningServer, program_file: Path) -> Cli:
    def command(*arguments: object) -> Result:
        return cli(*arguments, "--server", server.grpc_address)

    assert command("program", "apply", program_file).code == 0
    return command


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "purchases.csv"
    path.write_text(HEADER + ROWS)
    return path


def test_days_are_uploaded_in_order_and_points_expire_on_the_way(ledger: Cli, file: Path) -> None:
    result = ledger("replay", file, "--json", "--category-column", "category")

    assert result.code == 0, result.err
    done = result.json
    assert (done["purchases"], done["new"], done["replayed"], done["refused"]) == (4, 4, 0, 0)
    assert done["enrolled"] == 2
    assert done["pointsIssued"] == 12 + 3 + 7 + 2 * 50  # nothing for the gift card
    entries = ledger("statement", "m-1", "--json").json["entries"]
    assert [entry["kind"].removeprefix("ENTRY_KIND_") for entry in reversed(entries)] == [
        "ENROLLED",
        "BONUS",
        "PURCHASE",
        "PURCHASE",
        "EXPIRY",
        "PURCHASE",
    ]
    assert ledger("balance", "m-1", "--json").json["availablePoints"] == "7"


def test_running_it_again_changes_nothing(ledger: Cli, file: Path) -> None:
    first = ledger("replay", file, "--json").json

    again = ledger("replay", file, "--json")

    assert again.code == 0
    assert (again.json["new"], again.json["replayed"], again.json["refused"]) == (0, 4, 0)
    assert again.json["pointsIssued"] == 0
    assert again.json["pointsReplayed"] == first["pointsIssued"]


def test_a_run_that_was_cut_off_goes_on(ledger: Cli, file: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun.csv"
    begun.write_text(HEADER + "".join(sorted(ROWS.splitlines(keepends=True))[:2]))
    ledger("replay", begun)

    result = ledger("replay", file, "--json", "--batch", "1").json

    assert (result["new"], result["replayed"], result["refused"]) == (2, 2, 0)


def test_until_moves_the_clock_at_the_end(ledger: Cli, file: Path) -> None:
    result = ledger("replay", file, "--until", "2028-04-01", "--json").json

    assert result["postedByClock"] > 0
    assert ledger("balance", "m-1", "--json").json["availablePoints"] == "0"
    clock = ledger("program", "show", "--json").json["program"]["clockTime"]
    assert clock == "2028-03-31T22:00:00Z"


def test_refusals_are_listed_by_reason_with_examples(
    ledger: Cli, file: Path, tmp_path: Path
) -> None:
    ledger("replay", file)
    late = tmp_path / "late.csv"
    late.write_text(
        HEADER
        + "late,m-1,2026-01-10T10:00:00Z,5.00,EUR,\n"
        + "r-4,m-1,2027-02-05T10:00:00Z,9.50,EUR,\n"
    )

    told, counted = ledger("replay", late), ledger("replay", late, "--json")

    assert told.code == counted.code == 1
    assert "EFFECTIVE_TIME_OUT_OF_RANGE" in told.out
    assert "line 2, late:" in told.out
    assert {one["reason"]: one["count"] for one in counted.json["refusals"]} == {
        "EFFECTIVE_TIME_OUT_OF_RANGE": 1,
        "REQUEST_ID_REUSED": 1,
    }


def test_members_are_enrolled_first_where_asked(
    ledger: Cli, file: Path, program_file: Path
) -> None:
    program_file.write_text(
        program_file.read_text()
        .replace("program_id: beans", "program_id: closed")
        .replace("auto_enroll: true", "auto_enroll: false")
    )
    ledger("program", "apply", program_file)
    refused = ledger("replay", file, "-p", "closed", "--json")
    assert refused.code == 1
    assert [one["reason"] for one in refused.json["refusals"]] == ["MEMBER_NOT_FOUND"]

    program_file.write_text(program_file.read_text().replace("id: closed", "id: closed-too"))
    ledger("program", "apply", program_file)
    first = ledger("replay", file, "-p", "closed-too", "--enroll", "--json")
    again = ledger("replay", file, "-p", "closed-too", "--enroll", "--json")

    assert (first.code, again.code) == (0, 0)
    assert (first.json["enrolled"], first.json["new"]) == (2, 4)
    assert (again.json["enrolled"], again.json["replayed"]) == (0, 4)


def test_a_program_in_real_time_has_no_clock_to_move(
    ledger: Cli, file: Path, program_file: Path
) -> None:
    program_file.write_text(
        program_file.read_text()
        .replace("program_id: beans", "program_id: real")
        .replace("sandbox: true, clock_time: 2026-01-10T09:00:00Z", "sandbox: false")
    )
    ledger("program", "apply", program_file)

    for arguments in (("--sandbox-clock",), ("--until", "2028-01-01")):
        result = ledger("replay", file, "-p", "real", *arguments, "--json")
        assert result.code == 1
        assert result.failure["reason"] == "NOT_A_SANDBOX"


def test_a_file_in_another_currency_is_not_sent(ledger: Cli, tmp_path: Path) -> None:
    file = tmp_path / "dollars.csv"
    file.write_text(HEADER + ROWS.replace("EUR", "USD"))

    result = ledger("replay", file, "--json")

    assert result.code == 1
    assert result.failure["reason"] == "CSV_INVALID"
    assert result.failure["metadata"] == {"faults": "4"}
