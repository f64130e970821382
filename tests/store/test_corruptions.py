"""Whatever is changed in the database behind the ledger's back, `verify` names what and where.

Each corruption is planted by a superuser, with the triggers that forbid it switched off; those of
`forging` also with all hashes, balances and the account made to fit.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from ledger.core.model import EXPIRED, LotChange
from ledger.store.database import open_database
from ledger.store.embedded import EmbeddedServer
from ledger.store.queries import read_member
from ledger.store.rows import COPY_COLUMNS, COPY_NULL, copy_text
from ledger.store.tables import APPEND_ONLY
from ledger.store.verify import verify
from tests.conftest import fresh_database, running_server
from tests.forging import Edit, change, copied, forged, lot, points, tell, without
from tests.service.client import Failure, GrpcClient
from tests.service.requests import (
    PROGRAM,
    capture,
    hold,
    open_program,
    purchase,
    redemption,
    returned,
    reversal,
    status,
    transfer,
)

#: does something to the database at an address that nobody should
Corruption = Callable[[str], None]

MUG = {"id": "mug", "name": "Mug", "points": 25, "kind": "ITEM", "stock": 10}
#: three purchases take 20 points of it each
PROMOTION = {"id": "opening", "points": 20, "budget": 90}


def fill(url: str) -> None:
    """Three members with journals of this kind, and 120 points each before anything is spent.

    m-1: 1 ENROLLED, 2 PURCHASE, 3 HOLD of 40, 4 CAPTURE of 30, 5 RELEASE, 6 REDEMPTION of a mug,
    7 its REDEMPTION_REVERSAL, 8 TRANSFER_OUT of 10 to m-2.
    m-2: 1 ENROLLED, 2 PURCHASE, 3 TRANSFER_IN, 4 REDEMPTION of a mug; another was refused.
    m-3: 1 ENROLLED, 2 PURCHASE, 3 REDEMPTION of 60, 4 RETURN of the other 60, 5 RETURN of 60 that
    are owed, 6 STATUS_CHANGE.
    """
    with running_server(url) as server, closing(GrpcClient(server.grpc_address)) as client:
        members = ("m-1", "m-2", "m-3")
        open_program(client, enrolled=members, rewards=[MUG], promotions=[PROMOTION])
        for member in members:
            client.record_purchase(purchase(member, "100.00", member_id=member))
        held = client.hold_points(hold(1, 40))
        client.capture_hold(capture(1, held.hold.hold_id, 30))
        redeemed = client.redeem_points(redemption(1, reward_id="mug"))
        client.reverse_redemption(reversal(1, redeemed.redemption.redemption_id))
        client.transfer_points(transfer(1, 10))
        client.redeem_points(redemption(1, reward_id="mug", member_id="m-2"))
        with contextlib.suppress(Failure):
            client.redeem_points(redemption(2, 1_000, member_id="m-2"))
        client.redeem_points(redemption(1, 60, member_id="m-3"))
        client.record_return(returned(1, "m-3", full=True, member_id="m-3"))
        client.set_member_status(status("EARN_ONLY", member_id="m-3"))


@pytest.fixture(scope="module")
def filled(
    cluster: EmbeddedServer, administrator: Connection, template: str
) -> Iterator[tuple[str, str]]:
    """The address and the name of a database that holds all of it, to clone."""
    with fresh_database(cluster, administrator, template) as url:
        fill(url)
        connection = psycopg2.connect(url)
        name = connection.info.dbname
        connection.close()
        yield url, name


@pytest.fixture
def ledger(
    cluster: EmbeddedServer, administrator: Connection, filled: tuple[str, str]
) -> Iterator[str]:
    """The address of a database of the test's own that holds all of it."""
    with fresh_database(cluster, administrator, filled[1]) as url:
        yield url


@contextlib.contextmanager
def superuser(url: str) -> Iterator[psycopg2.extensions.cursor]:
    """A transaction in which nothing is forbidden."""
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        for table in APPEND_ONLY:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        yield cursor
    connection.close()


def sql(statement: str) -> Corruption:
    """Change rows as they stand."""

    def corrupt(url: str) -> None:
        with superuser(url) as cursor:
            cursor.execute(statement)
            assert cursor.rowcount > 0, "nothing was changed"

    return corrupt


def forging(member_id: str, edit: Edit) -> Corruption:
    """Write a member's journal anew, with its hashes and the account it folds to."""

    def corrupt(url: str) -> None:
        database = open_database(url, pool_size=1, role=None)
        _, journal = read_member(database, (PROGRAM, member_id))
        database.dispose()
        entries = copied([sealed.entry for sealed in journal])
        edit(entries)
        sealed, account = forged(entries)
        key = (PROGRAM, member_id)
        with superuser(url) as cursor:
            cursor.execute("DELETE FROM entries WHERE program_id = %s AND member_id = %s", key)
            cursor.copy_expert(
                f"COPY entries ({COPY_COLUMNS}) FROM STDIN (NULL '{COPY_NULL}')",
                io.StringIO(copy_text([(each.entry, each.hash) for each in sealed])),
            )
            cursor.execute(
                "UPDATE accounts SET (version, available, held, tier_id, status, state, head_hash)"
                " = (%s, %s, %s, %s, %s, %s, %s), due_at = least(due_at, '2026-01-11')"
                " WHERE program_id = %s AND member_id = %s",
                (*account[:5], account.state, account.head_hash, *key),
            )

    return corrupt


def test_what_the_ledger_wrote_itself_is_sound(ledger: str) -> None:
    assert verify(ledger, workers=1).findings == []

    forging("m-1", change(1))(ledger)  # only written anew

    assert verify(ledger, workers=1).findings == []


E1 = "WHERE member_id = 'm-1' AND sequence"


@pytest.mark.parametrize(
    ("corrupt", "expected"),
    [
        # rows as they stand
        pytest.param(
            sql(f"UPDATE entries SET points = 13 {E1} = 2"), ("chain", "m-1", 2), id="points"
        ),
        pytest.param(
            sql(f"UPDATE entries SET actor = 'nobody' {E1} = 4"),
            ("chain", "m-1", 4),
            id="by whom",
        ),
        pytest.param(
            sql(f"UPDATE entries SET effective_time = '2026-01-01' {E1} = 4"),
            ("chain", "m-1", 4),
            id="when it happened",
        ),
        pytest.param(
            sql(f"UPDATE entries SET subject_sequence = 2 {E1} = 4"),
            ("chain", "m-1", 4),
            id="the hold that is captured",
        ),
        pytest.param(
            sql(f"UPDATE entries SET data = replace(data, '30', '31') {E1} = 4"),
            ("chain", "m-1", 4),
            id="data",
        ),
        pytest.param(
            sql(f"UPDATE entries SET hash = sha256('x') {E1} = 3"), ("chain", "m-1", 3), id="a hash"
        ),
        pytest.param(
            sql(f"DELETE FROM entries {E1} = 6"), ("sequence", "m-1", 7), id="an entry is gone"
        ),
        pytest.param(
            sql(f"DELETE FROM entries {E1} = 8"), ("account", "m-1", 0), id="the last entry is gone"
        ),
        pytest.param(
            sql(f"UPDATE entries SET member_id = 'm-3', sequence = 7 {E1} = 8"),
            ("chain", "m-3", 7),
            id="an entry handed to another member",
        ),
        pytest.param(
            sql("UPDATE accounts SET available = 500 WHERE member_id = 'm-2'"),
            ("account", "m-2", 0),
            id="a balance",
        ),
        pytest.param(
            sql("UPDATE accounts SET status = 'ACTIVE' WHERE member_id = 'm-3'"),
            ("account", "m-3", 0),
            id="a status",
        ),
        pytest.param(
            sql("UPDATE accounts SET state = replace(state, '\"debt\":60', '\"debt\":6')"),
            ("account", "m-3", 0),
            id="a debt",
        ),
        pytest.param(
            sql("UPDATE accounts SET due_at = NULL WHERE member_id = 'm-1'"),
            ("account", "m-1", 0),
            id="when time comes by",
        ),
        pytest.param(
            sql("DELETE FROM accounts WHERE member_id = 'm-2'"),
            ("account", "m-2", 0),
            id="an account is gone",
        ),
        pytest.param(
            sql(
                "INSERT INTO accounts SELECT program_id, 'm-4', version, available, held, tier_id,"
                " status, due_at, state, head_hash FROM accounts WHERE member_id = 'm-2'"
            ),
            ("account", "m-4", 0),
            id="an account without entries",
        ),
        pytest.param(
            sql("DELETE FROM purchases WHERE member_id = 'm-2'"),
            ("purchases", "m-2", 2),
            id="a receipt is gone",
        ),
        pytest.param(
            sql("UPDATE purchases SET member_id = 'm-1', sequence = 3 WHERE member_id = 'm-2'"),
            ("purchases", "m-1", 3),
            id="a receipt credited to somebody else",
        ),
        pytest.param(
            sql(
                "INSERT INTO refusals SELECT program_id, member_id, 'hold-1', fingerprint, reason,"
                " metadata, actor, create_time FROM refusals;"
                " UPDATE refusals SET member_id = 'm-1' WHERE request_id = 'hold-1'"
            ),
            ("outcome", "m-1", 3),
            id="a request refused that was granted",
        ),
        pytest.param(
            sql("UPDATE rewards_stock SET taken = 0"), ("stock", "", 0), id="the units taken"
        ),
        pytest.param(
            sql("UPDATE promotion_budgets SET spent = 20"), ("budget", "", 0), id="a budget"
        ),
        pytest.param(
            sql("UPDATE rules_versions SET version = 2"), ("rules", "", 0), id="the rules' version"
        ),
        pytest.param(
            sql("UPDATE rules_versions SET document = replace(document, '{', '[')"),
            ("rules", "", 0),
            id="rules that can not be read",
        ),
        pytest.param(
            sql(
                "INSERT INTO expiry_warnings (program_id, member_id, expire_time, days, points,"
                f" inactivity, create_time) VALUES ('{PROGRAM}', 'm-9', now(), 7, 10, false, now())"
            ),
            ("warnings", "m-9", 0),
            id="a warning to nobody",
        ),
        # journals that fit in themselves: every hash, balance and account made anew
        pytest.param(
            forging("m-1", points(2, 300)), ("shape", "m-1", 2), id="forged: points appear"
        ),
        pytest.param(
            forging("m-2", change(4, credit_account=EXPIRED)),
            ("shape", "m-2", 4),
            id="forged: a redemption expires",
        ),
        pytest.param(
            forging("m-2", lot(2, 0, expire_time=None)),
            ("lots", "m-2", 4),
            id="forged: points that live for ever are taken first",
        ),
        pytest.param(
            forging("m-1", tell(4, "hold", captured_points=20)),
            ("holds", "m-1", 4),
            id="forged: less is captured than moved",
        ),
        pytest.param(
            forging("m-1", without(5)), ("holds", "m-1", 4), id="forged: a rest stays held for ever"
        ),
        pytest.param(
            forging("m-1", change(7, units=0)),
            ("redemptions", "m-1", 7),
            id="forged: the mug is not given back",
        ),
        pytest.param(
            forging("m-1", change(7, units=0)),
            ("stock", "", 0),
            id="forged: units that nobody has",
        ),
        pytest.param(
            forging("m-1", lot(7, 0, expire_time=None)),
            ("redemptions", "m-1", 7),
            id="forged: points come back to live for ever",
        ),
        pytest.param(
            forging("m-3", points(4, -50)), ("returns", "m-3", 4), id="forged: less is taken back"
        ),
        pytest.param(
            forging("m-3", without(5)),
            ("returns", "m-3", 4),
            id="forged: a debt is forgotten",
        ),
        pytest.param(
            forging("m-3", change(3, create_time=1_800_000_000_000_000)),
            ("create_time", "m-3", 4),
            id="forged: recorded next year",
        ),
        pytest.param(
            forging("m-3", change(6, status="ACTIVE")),
            ("status", "m-3", 6),
            id="forged: a status that was held before",
        ),
        pytest.param(
            forging("m-1", change(8, related_member_id="m-3")),
            ("transfers", "m-1", 8),
            id="forged: sent to somebody else",
        ),
        pytest.param(
            forging("m-2", change(3, related_member_id="m-3")),
            ("transfers", "m-2", 3),
            id="forged: received from somebody else",
        ),
        pytest.param(
            forging("m-2", lot(3, 0, expire_time=None)),
            ("transfers", "m-2", 3),
            id="forged: points live for ever once they are given",
        ),
        pytest.param(
            forging("m-2", change(3, points=15, lots=(LotChange(15),))),
            ("trial_balance", "", 0),
            id="forged: more arrives than was sent",
        ),
        pytest.param(
            forging("m-1", change(8, kind="ADJUSTMENT", reason_code="goodwill")),
            ("transfers", "m-2", 3),
            id="forged: received though nobody sent it",
        ),
        pytest.param(
            forging("m-2", change(2, purchase_id="receipt-m-1")),
            ("purchases", "m-2", 2),
            id="forged: another's receipt",
        ),
        pytest.param(
            forging("m-2", change(4, rules_version=9)),
            ("rules", "m-2", 4),
            id="forged: rules of none",
        ),
        pytest.param(
            forging("m-1", tell(4, "redemption", value=3_000)),
            ("rules", "m-1", 4),
            id="forged: points worth more",
        ),
        pytest.param(
            forging("m-2", lot(2, 0, expire_time=None)),
            ("rules", "m-2", 2),
            id="forged: points live for ever",
        ),
    ],
)
def test_a_corruption_is_found_and_named(
    ledger: str, corrupt: Corruption, expected: tuple[str, str, int]
) -> None:
    corrupt(ledger)

    findings = verify(ledger, workers=1).findings

    assert expected in [(found.check, found.member_id, found.sequence) for found in findings]
