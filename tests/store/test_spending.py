"""Holds, returns, stock and transfers within batches: as if each command had been committed alone.

What a command is about may have been posted earlier in the same batch, and so may what it takes the
last unit of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection

from ledger.core.commands import (
    AdjustPoints,
    CaptureHold,
    Command,
    EnrollMember,
    ExtendHold,
    HoldPoints,
    RecordPurchase,
    RecordReturn,
    RedeemPoints,
    ReleaseHold,
    ReverseRedemption,
    SetMemberStatus,
    Settle,
    TransferPoints,
)
from ledger.core.ids import hold_id, redemption_id
from ledger.core.instants import DAY, MINUTE, SECOND
from ledger.core.model import Receipt
from ledger.core.program import Program
from ledger.engine.batch import Item, Outcome
from ledger.store.embedded import EmbeddedServer
from ledger.store.programs import create_program, load_program
from ledger.store.verify import verify
from tests.conftest import fresh_database
from tests.memory import document
from tests.service.test_batches import NOON, Place, place, said

MEMBERS = ["ann", "bob"]
RULES = document(
    {"pending_days": 1},
    expiry={"after_months": 1, "inactivity_months": 2, "warn_days": [7]},
    members={"auto_enroll": True},
    redemption={"value": {"points": 100, "amount": "1.00"}, "hold_ttl_seconds": 600},
    adjustments={"approval_above": 500},
    rewards=[
        {"id": "mug", "name": "Mug", "points": 20, "kind": "ITEM", "stock": 2},
        {
            "id": "tasting",
            "name": "Tasting",
            "points": 0,
            "kind": "PERK",
            "stock": 3,
            "per_member": {"count": 1, "days": 30},
        },
    ],
)
#: what a program has in the database, times of storing left out
CONTENTS = {
    "accounts": "member_id, version, available, held, status, due_at, state, head_hash",
    "entries": "member_id, sequence, kind, points, subject_sequence, data, hash",
    "refusals": "member_id, request_id, fingerprint, reason, metadata",
    "purchases": "purchase_id, member_id, sequence",
    "rewards_stock": "reward_id, taken",
    "expiry_warnings": "member_id, expire_time, days, points, inactivity",
}


class Shop(NamedTuple):
    """A place, and where its database is."""

    url: str
    place: Place


@pytest.fixture(scope="module")
def shops(
    cluster: EmbeddedServer, administrator: Connection, template: str
) -> Iterator[tuple[Shop, Shop]]:
    """Two databases that know nothing of each other."""
    with (
        fresh_database(cluster, administrator, template) as first_url,
        fresh_database(cluster, administrator, template) as second_url,
        place(first_url) as first,
        place(second_url) as second,
    ):
        yield Shop(first_url, first), Shop(second_url, second)


def found(shop: Shop, program_id: str) -> Program:
    """The same program wherever it is: ids of holds are made with its key."""
    create_program(
        shop.place.database,
        program_id=program_id,
        display_name="",
        currency="EUR",
        time_zone="Europe/Berlin",
        clock_time=None,
        document=RULES,
        actor="test",
        now=NOON - 365 * DAY,
    )
    with shop.place.database.connect() as connection:
        connection.exec_driver_sql(
            "UPDATE programs SET member_key = %s WHERE program_id = %s", (bytes(32), program_id)
        )
        return load_program(connection, program_id)


@st.composite
def commands(draw: st.DrawFn) -> Command:
    """One of few members, receipts and holds, so that they often meet again.

    An id of a hold or redemption says at first how many were made after it.
    """
    common: dict[str, Any] = {
        "program_id": "?",
        "member_id": draw(st.sampled_from(["ann", "ann", "bob"])),
        "request_id": f"r-{draw(st.integers(1, 200))}",
    }
    earlier = draw(st.sampled_from("0012"))
    points = draw(st.sampled_from([1, 20, 75, 400]))
    receipt = f"p-{draw(st.integers(1, 3))}"
    price: dict[str, Any] = draw(
        st.sampled_from([{"points": points}, {"reward_id": "mug"}, {"reward_id": "tasting"}])
    )
    part = draw(st.sampled_from([None, None, 1, 20]))
    returned: dict[str, Any] = draw(st.sampled_from([{"full": True}, {"amount": 1000}]))
    status = draw(st.sampled_from(["ACTIVE", "ACTIVE", "ACTIVE", "EARN_ONLY", "SUSPENDED"]))
    return draw(
        st.sampled_from(
            [
                Settle(program_id="?", member_id=common["member_id"]),
                RecordPurchase(**common, purchase_id=receipt, amount=points * 100),
                RecordPurchase(**common, purchase_id=receipt, amount=points * 100),
                RecordReturn(**common, purchase_id=receipt, **returned),
                HoldPoints(**common, **price),
                HoldPoints(**common, **price, ttl=SECOND),
                CaptureHold(**common, hold_id=earlier, points=part),
                ReleaseHold(**common, hold_id=earlier),
                ExtendHold(**common, hold_id=earlier),
                RedeemPoints(**common, **price),
                ReverseRedemption(**common, redemption_id=earlier, points=part),
                AdjustPoints(**common, points=points, reason_code="goodwill"),
                AdjustPoints(**common, points=-points, reason_code="correction"),
                TransferPoints(**common, to_member_id=draw(st.sampled_from(MEMBERS)), points=20),
                SetMemberStatus(**common, status=status, reason="asked"),
            ]
        )
    )


#: a batch is a list of commands; after each one, how long it is until the next
HISTORIES = st.lists(
    st.tuples(
        st.lists(commands(), min_size=5, max_size=25),
        st.sampled_from([0, SECOND, 11 * MINUTE, 2 * DAY, 40 * DAY]),
    ),
    min_size=1,
    max_size=4,
)
History = list[tuple[list[Command], int]]


class Made:
    """The holds and redemptions of a program's members, in the order in which they were made."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._holds: dict[str, list[int]] = {member: [] for member in MEMBERS}
        self._redemptions: dict[str, list[int]] = {member: [] for member in MEMBERS}

    def note(self, outcome: Outcome) -> None:
        for entry in outcome.entries if isinstance(outcome, Receipt) else ():
            if entry.kind == "HOLD" and not entry.subject_sequence:
                self._holds[entry.member_id].append(entry.sequence)
            elif entry.kind in ("CAPTURE", "REDEMPTION"):
                self._redemptions[entry.member_id].append(entry.sequence)

    def command(self, command: Command) -> Command:
        """The command in the program, with the ids that holds and redemptions have there."""
        changes: dict[str, Any] = {"program_id": self._program.program_id}
        for field, make, made in (
            ("hold_id", hold_id, self._holds),
            ("redemption_id", redemption_id, self._redemptions),
        ):
            if hasattr(command, field):
                sequences = made[command.member_id] or [1]
                later = min(int(getattr(command, field)), len(sequences) - 1)
                changes[field] = make(self._program, command.member_id, sequences[-1 - later])
        return msgspec.structs.replace(command, **changes)


def play_one_by_one(shop: Shop, program_id: str, history: History) -> tuple[list[Outcome], History]:
    """The outcome of every command, and the history with the ids that there were."""
    made = Made(found(shop, program_id))
    shop.place.clock[0] = NOON
    outcomes: list[Outcome] = []
    played: History = []
    for batch, pause in history:
        played.append(([], pause))
        for command in map(made.command, batch):
            outcomes += shop.place.writer.write([Item(command, "till")])
            made.note(outcomes[-1])
            played[-1][0].append(command)
        shop.place.clock[0] += pause
    return outcomes, played


def play_in_batches(shop: Shop, program_id: str, history: History) -> list[Outcome]:
    """The outcome of every command of a history that was played before."""
    found(shop, program_id)
    shop.place.clock[0] = NOON
    outcomes: list[Outcome] = []
    for batch, pause in history:
        outcomes += shop.place.writer.write([Item(command, "till") for command in batch])
        shop.place.clock[0] += pause
    return outcomes


def stored(shop: Shop, program_id: str) -> dict[str, list[str]]:
    """Every row of the program as text."""
    with shop.place.database.connect() as connection:
        return {
            table: list(
                connection.exec_driver_sql(
                    f"SELECT ROW({columns})::text FROM {table} WHERE program_id = %s ORDER BY 1",
                    (program_id,),
                ).scalars()
            )
            for table, columns in CONTENTS.items()
        }


def words(outcomes: Sequence[Outcome]) -> list[str]:
    return [type(outcome).__name__ for outcome in outcomes]


numbers = count(1)


@settings(
    max_examples=60,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(history=HISTORIES)
def test_a_batch_does_what_its_commands_do_one_by_one(
    shops: tuple[Shop, Shop], history: History
) -> None:
    program_id = f"program-{next(numbers)}"
    together, alone = shops
    opening: list[Command] = []
    for member in MEMBERS:
        common: dict[str, Any] = {"program_id": "?", "member_id": member}
        opening.append(EnrollMember(**common, request_id="enroll"))
        opening.append(
            AdjustPoints(**common, request_id="gift", points=400, reason_code="goodwill")
        )

    one_by_one, played = play_one_by_one(alone, program_id, [(opening, 0), *history])
    in_batches = play_in_batches(together, program_id, played)

    assert said(in_batches) == said(one_by_one)
    assert stored(together, program_id) == stored(alone, program_id)
    assert not {"Internal", "StorageUnavailable", "CommitUnknown"} & {*words(in_batches)}
    assert verify(together.url, program_id=program_id, workers=1).findings == []


def test_one_batch_may_hold_whole_lives_of_holds_returns_and_rewards(
    shops: tuple[Shop, Shop],
) -> None:
    """The example that every shortcut within a batch would break."""
    ann: dict[str, Any] = {"program_id": "?", "member_id": "ann"}
    bob: dict[str, Any] = {"program_id": "?", "member_id": "bob"}
    batch: list[tuple[Command, str]] = [
        (EnrollMember(**ann, request_id="r-1"), "Receipt"),
        (EnrollMember(**bob, request_id="r-1"), "Receipt"),
        (AdjustPoints(**ann, request_id="r-2", points=200, reason_code="goodwill"), "Receipt"),
        (TransferPoints(**ann, request_id="r-3", to_member_id="bob", points=60), "Receipt"),
        (RecordPurchase(**ann, request_id="r-4", purchase_id="p", amount=4000), "Receipt"),
        (RecordReturn(**ann, request_id="r-5", purchase_id="p", amount=1000), "Receipt"),
        (RecordReturn(**bob, request_id="r-5", purchase_id="p", amount=1000), "PurchaseNotFound"),
        (RecordReturn(**ann, request_id="r-6", purchase_id="p", full=True), "Receipt"),
        (RecordReturn(**ann, request_id="r-7", purchase_id="p", full=True), "ReturnExceeds"),
        (HoldPoints(**ann, request_id="r-8", reward_id="mug"), "Receipt"),
        (RedeemPoints(**bob, request_id="r-8", reward_id="mug"), "Receipt"),
        (RedeemPoints(**bob, request_id="r-9", reward_id="mug"), "RewardOutOfStock"),
        (ReleaseHold(**ann, request_id="r-9", hold_id="0"), "Receipt"),
        (CaptureHold(**ann, request_id="r-10", hold_id="0"), "HoldClosed"),
        (HoldPoints(**bob, request_id="r-10", reward_id="mug"), "Receipt"),
        (CaptureHold(**bob, request_id="r-11", hold_id="0"), "Receipt"),
        (RedeemPoints(**ann, request_id="r-11", reward_id="mug"), "RewardOutOfStock"),
        (ReverseRedemption(**bob, request_id="r-12", redemption_id="0"), "Receipt"),
        (ReverseRedemption(**bob, request_id="r-13", redemption_id="0"), "ReversalExceeds"),
        (RedeemPoints(**ann, request_id="r-12", reward_id="mug"), "Receipt"),
    ]
    program_id = f"program-{next(numbers)}"
    together, alone = shops

    one_by_one, played = play_one_by_one(alone, program_id, [([one for one, _ in batch], 0)])
    in_batches = play_in_batches(together, program_id, played)

    for word, (command, expected) in zip(words(in_batches), batch, strict=True):
        assert word.startswith(expected), command
    assert said(in_batches) == said(one_by_one)
    assert stored(together, program_id) == stored(alone, program_id)
    assert stored(together, program_id)["rewards_stock"] == ["(mug,2)"]
