"""`ledger explain`: why a member has so many points."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Result
from tests.conftest import RunningServer


@pytest.fixture
def ledger(cli: Cli, server: RunningServer, program_file: Path) -> Cli:
    """Runs commands against a server that has one program and one member."""

    def command(*arguments: object) -> Result:
        return cli(*arguments, "--server", server.grpc_address)

    assert command("program", "apply", program_file).code == 0
    assert command("member", "enroll", "m-1").code == 0
    assert command("purchase", "m-1", "30.00", "--purchase-id", "r-1").code == 0
    return command


def test_a_lot_is_shown_with_what_made_it(ledger: Cli) -> None:
    assert ledger("redeem", "m-1", "60").code == 0

    told = ledger("explain", "m-1")

    assert told.code == 0
    assert told.out.splitlines() == [
        "m-1 · Beans has 20 points to spend",
        "└── 20 good through 31 Jan 2027",
        "    ├── +50 on 10 January 2026: bonus welcome  #2",
        "    ├── +30 on 10 January 2026: purchase r-1  #3",
        "    └── -60 on 10 January 2026: redeemed  #4",
    ]


def test_what_is_owed_is_shown_as_such(ledger: Cli) -> None:
    assert ledger("redeem", "m-1", "80").code == 0
    assert ledger("return", "m-1", "r-1", "--full").code == 0

    assert ledger("explain", "m-1").out.splitlines() == [
        "m-1 · Beans has 0 points to spend",
        "└── 30 owed: what comes in next pays them",
        "    └── +30 on 10 January 2026: return of purchase r-1  #5",
    ]


def test_programs_get_the_same_as_json(ledger: Cli) -> None:
    origins = ledger("explain", "m-1", "--json").json["origins"]

    assert [origin["points"] for origin in origins] == ["80"]
    assert [source["sequence"] for source in origins[0]["sources"]] == ["2", "3"]


def test_nobody_is_not_explained(ledger: Cli) -> None:
    told = ledger("explain", "nobody", "--json")

    assert told.code == 1
    assert told.failure["reason"] == "MEMBER_NOT_FOUND"
