"""`verify` finds whatever was changed behind the ledger's back, and goes on to the next member."""

from __future__ import annotations

from contextlib import closing

import psycopg2
import pytest

from ledger.core.errors import ProgramNotFound
from ledger.store.migrate import MigrationResult, head_revision, migrate
from ledger.store.tables import APPEND_ONLY
from ledger.store.verify import verify
from tests.conftest import running_server
from tests.service.client import GrpcClient
from tests.service.requests import (
    PROGRAM,
    clock,
    hold,
    open_program,
    purchase,
    redemption,
    returned,
    transfer,
)

MEMBERS = ("m-1", "m-2", "m-3")
#: four purchases take 20 points of it, m-2's second gets the 10 that are left, m-3's none
PROMOTION = {"id": "opening", "points": 20, "budget": 90}
MUG = {"id": "mug", "name": "Mug", "points": 25, "kind": "ITEM", "stock": 10}


@pytest.fixture
def ledger(database_url: str) -> str:
    """A ledger in which three members bought twice, and one lot each has expired."""
    with (
        running_server(database_url) as server,
        closing(GrpcClient(server.grpc_address)) as client,
    ):
        open_program(client, enrolled=MEMBERS, expiry={"after_months": 1}, promotions=[PROMOTION])
        for index, member in enumerate(MEMBERS):
            client.record_purchase(purchase(f"{index}-a", "30.00", member_id=member))
        client.advance_clock(clock("2026-06-01T00:00:00Z"))
        for index, member in enumerate(MEMBERS):
            client.record_purchase(purchase(f"{index}-b", "12.00", member_id=member))
    return database_url


def tamper(url: str, sql: str) -> None:
    """What a superuser can do who knows how."""
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        for table in APPEND_ONLY:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        cursor.execute(sql)
        assert cursor.rowcount > 0, "nothing was tampered with"
    connection.close()


def test_a_sound_ledger_has_no_findings(ledger: str) -> None:
    report = verify(ledger, workers=1)

    assert report.findings == []
    assert (report.members, report.entries) == (3, 12)
    assert sum(report.totals[PROGRAM].values()) == 0


ENTRY = "WHERE member_id = 'm-2' AND sequence = 2"


@pytest.mark.parametrize(
    ("sql", "check"),
    [
        pytest.param(f"UPDATE entries SET points = points + 1 {ENTRY}", "chain", id="points"),
        pytest.param(f"UPDATE entries SET actor = 'me' {ENTRY}", "chain", id="actor"),
        pytest.param(f"UPDATE entries SET data = data || ' ' {ENTRY}", "chain", id="white space"),
        pytest.param(f"UPDATE entries SET data = '[]' {ENTRY}", "chain", id="data of no sense"),
        pytest.param(f"UPDATE entries SET data = 'x' {ENTRY}", "chain", id="data no JSON"),
        pytest.param(f"DELETE FROM entries {ENTRY}", "sequence", id="an entry in the middle"),
        pytest.param(
            "DELETE FROM entries WHERE member_id = 'm-2' AND sequence = 4", "account", id="the last"
        ),
        pytest.param("DELETE FROM entries WHERE member_id = 'm-2'", "account", id="all entries"),
        pytest.param("DELETE FROM accounts WHERE member_id = 'm-2'", "account", id="the account"),
        pytest.param(
            "UPDATE accounts SET available = 500 WHERE member_id = 'm-2'", "account", id="a balance"
        ),
        pytest.param(
            "UPDATE accounts SET state = replace(state, '22', '23') WHERE member_id = 'm-2'",
            "account",
            id="a lot",
        ),
        pytest.param("DELETE FROM purchases WHERE member_id = 'm-2'", "purchases", id="a receipt"),
        pytest.param(
            f"INSERT INTO purchases VALUES ('{PROGRAM}', 'made-up', 'm-2', 2)",
            "purchases",
            id="a receipt nobody had",
        ),
        pytest.param("DELETE FROM rules_versions", "rules", id="the rules"),
        pytest.param("UPDATE promotion_budgets SET spent = 80", "budget", id="a budget"),
        pytest.param("DELETE FROM promotion_budgets", "budget", id="what is known of a budget"),
    ],
)
def test_a_change_behind_its_back_is_found(ledger: str, sql: str, check: str) -> None:
    tamper(ledger, sql)

    report = verify(ledger, workers=1)

    assert check in {found.check for found in report.findings}
    assert {found.member_id for found in report.findings} <= {"m-2", ""}
    assert report.members == 3


@pytest.fixture
def spent(database_url: str) -> str:
    """A ledger in which one member holds points, one redeemed a reward and one owes points."""
    with (
        running_server(database_url) as server,
        closing(GrpcClient(server.grpc_address)) as client,
    ):
        open_program(client, enrolled=MEMBERS, rewards=[MUG])
        for member in MEMBERS:
            client.record_purchase(purchase(member, "100.00", member_id=member))
        client.hold_points(hold(1, 40, member_id="m-1"))
        client.transfer_points(transfer(1, 30, "m-2", member_id="m-1"))
        client.redeem_points(redemption(1, reward_id="mug", member_id="m-2"))
        client.redeem_points(redemption(1, 60, member_id="m-3"))
        client.record_return(returned(1, "m-3", full=True, member_id="m-3"))
    return database_url


def test_a_ledger_of_every_account_is_sound(spent: str) -> None:
    report = verify(spent, workers=2)

    assert report.findings == []
    assert report.totals[PROGRAM] == {
        "issuance": -200,
        "member:available": 30 + 105,
        "member:held": 40,
        "member:debt": -60,
        "redeemed": 25 + 60,
        "transfers": 0,
    }


GONE = "; ".join(
    f"DELETE FROM {table} WHERE member_id = 'm-2'" for table in ("purchases", "entries", "accounts")
)


@pytest.mark.parametrize(
    ("sql", "check"),
    [
        pytest.param("UPDATE rewards_stock SET taken = 0", "stock", id="units taken"),
        pytest.param("DELETE FROM rewards_stock", "stock", id="what is known of a stock"),
        pytest.param(
            f"INSERT INTO rewards_stock VALUES ('{PROGRAM}', 'made-up', 1)",
            "stock",
            id="a unit nobody took",
        ),
        pytest.param(
            "UPDATE accounts SET held = 39 WHERE member_id = 'm-1'", "trial_balance", id="held"
        ),
        pytest.param(
            "UPDATE accounts SET state = replace(state, '\"debt\":60', '\"debt\":6')"
            " WHERE member_id = 'm-3'",
            "account",
            id="a debt",
        ),
        pytest.param(
            "UPDATE entries SET subject_sequence = 1 WHERE kind = 'RETURN'", "chain", id="a subject"
        ),
        pytest.param(
            "DELETE FROM entries WHERE member_id = 'm-2' AND kind = 'REDEMPTION'",
            "stock",
            id="what took a unit",
        ),
        pytest.param(GONE, "trial_balance", id="a whole member to whom points were transferred"),
    ],
)
def test_a_change_to_what_is_held_owed_or_taken_is_found(spent: str, sql: str, check: str) -> None:
    tamper(spent, sql)

    assert check in {found.check for found in verify(spent, workers=1).findings}


def test_two_workers_find_what_one_finds(ledger: str) -> None:
    tamper(ledger, "UPDATE entries SET points = 7 WHERE sequence = 2")

    assert verify(ledger, workers=2).findings == verify(ledger, workers=1).findings


#: what migration 0003, and those after it, bring
BEFORE_SUBJECTS = """
DROP TABLE api_keys, background_work;
DROP FUNCTION refuse_change_of_key;
DROP INDEX entries_xid_idx;
DROP VIEW holds;
DROP TABLE rewards_stock, expiry_warnings;
ALTER TABLE entries DROP COLUMN subject_sequence;
UPDATE alembic_version SET version_num = '0002';
"""


def test_a_ledger_of_the_schema_before_stands_as_it_is_when_migrated(ledger: str) -> None:
    sound = verify(ledger, workers=1)
    tamper(ledger, BEFORE_SUBJECTS)

    assert migrate(ledger) == MigrationResult("0002", head_revision())

    report = verify(ledger, workers=1)
    assert report.findings == []
    assert (report.entries, report.totals) == (sound.entries, sound.totals)
    with running_server(ledger) as server, closing(GrpcClient(server.grpc_address)) as client:
        client.record_purchase(purchase("after", "5.00", member_id="m-1"))
    report = verify(ledger, workers=1)
    assert (report.findings, report.entries) == ([], sound.entries + 1)


def test_a_program_that_does_not_exist_is_not_well(ledger: str) -> None:
    with pytest.raises(ProgramNotFound):
        verify(ledger, program_id="nope", workers=1)
