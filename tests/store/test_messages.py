"""How many messages a batch sends to the database: each costs more than most statements in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ledger.core.commands import (
    AdjustPoints,
    Command,
    EnrollMember,
    HoldPoints,
    RecordPurchase,
    RecordReturn,
    RedeemPoints,
    ReleaseHold,
    Settle,
)
from ledger.core.ids import hold_id
from ledger.core.model import Receipt
from ledger.engine.batch import Item, Outcome
from ledger.engine.writer import Writer
from ledger.store.programs import create_program, load_program
from tests.memory import document
from tests.service.test_batches import NOON, Place, place

ANN: dict[str, Any] = {"program_id": "shop", "member_id": "ann"}
BOB: dict[str, Any] = {"program_id": "shop", "member_id": "bob"}
RULES = document(
    rewards=[
        {"id": "mug", "name": "Mug", "points": 1, "kind": "ITEM", "stock": 9},
        {"id": "perk", "name": "Perk", "points": 1, "kind": "PERK"},
    ]
)


class CountingCursor:
    """A cursor that counts what it sends."""

    def __init__(self, cursor: Any, sent: list[str]) -> None:
        self._cursor = cursor
        self._sent = sent

    def execute(self, statement: str, values: Any = None) -> None:
        self._sent.append(statement)
        self._cursor.execute(statement, values)

    def copy_expert(self, statement: str, *arguments: Any, **more: Any) -> None:
        self._sent.append(statement)
        self._cursor.copy_expert(statement, *arguments, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The messages that writers send."""
    messages: list[str] = []
    cursor_of = Writer._cursor

    def counting(writer: Writer) -> Any:
        return CountingCursor(cursor_of(writer), messages)

    monkeypatch.setattr(Writer, "_cursor", counting)
    return messages


@pytest.fixture
def shop(database_url: str) -> Iterator[Place]:
    with place(database_url) as shop:
        create_program(
            shop.database,
            program_id="shop",
            display_name="",
            currency="EUR",
            time_zone="Europe/Berlin",
            clock_time=None,
            document=RULES,
            actor="test",
            now=NOON,
        )
        for member in (ANN, BOB):
            write(
                shop,
                EnrollMember(**member, request_id="enroll"),
                AdjustPoints(**member, request_id="gift", points=50, reason_code="goodwill"),
                RecordPurchase(**member, request_id="b", purchase_id=str(member), amount=1000),
            )
        yield shop


def write(shop: Place, *commands: Command) -> list[Outcome]:
    outcomes = shop.writer.write([Item(command, "till") for command in commands])
    assert all(isinstance(outcome, Receipt) for outcome in outcomes), outcomes
    return outcomes


def test_plain_commands_are_three_messages_whatever_else_a_program_offers(
    shop: Place, sent: list[str]
) -> None:
    sent.clear()
    write(
        shop,
        RecordPurchase(**ANN, request_id="r-1", purchase_id="p-1", amount=1000),
        RecordPurchase(**BOB, request_id="r-2", purchase_id="p-2", amount=1000),
        EnrollMember(program_id="shop", member_id="cem", request_id="r-3"),
        Settle(**ANN),
        HoldPoints(**ANN, request_id="r-4", points=1),
        RedeemPoints(**ANN, request_id="r-5", reward_id="perk"),
        AdjustPoints(**ANN, request_id="r-6", points=1, reason_code="goodwill"),
    )
    assert len(sent) == 3, sent


def test_what_commands_are_about_is_one_message_more_and_so_is_a_stock(
    shop: Place, sent: list[str]
) -> None:
    with shop.database.connect() as connection:
        program = load_program(connection, "shop")
    first = write(shop, HoldPoints(**ANN, request_id="first", reward_id="mug"))[0]
    assert isinstance(first, Receipt)
    held = hold_id(program, "ann", first.entries[0].sequence)

    sent.clear()
    write(shop, RecordPurchase(**ANN, request_id="r-0", purchase_id="p-0", amount=1000))
    assert len(sent) == 3, "an open hold is nobody's concern until it ends"

    sent.clear()
    write(shop, RecordReturn(**BOB, request_id="r-1", purchase_id=str(BOB), full=True))
    assert [message for message in sent if "find_subjects" in message] == [sent[1]]
    assert len(sent) == 4, sent

    sent.clear()
    write(
        shop,
        HoldPoints(**BOB, request_id="r-2", reward_id="mug"),
        ReleaseHold(**ANN, request_id="r-3", hold_id=held),
        RecordPurchase(**ANN, request_id="r-4", purchase_id="p-4", amount=1000),
    )
    assert [message for message in sent if "lock_stock" in message] == [sent[2]]
    assert len(sent) == 5, sent
