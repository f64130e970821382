"""Fingerprints: two contents under one request id are told apart, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.core.commands import Command, EnrollMember, RecordPurchase, Settle, fingerprint, name
from ledger.core.model import PurchaseLine

CONTENT: dict[str, Any] = {
    "program_id": "bean-street",
    "member_id": "m-1",
    "request_id": "r-1",
    "purchase_id": "p-1",
    "amount": 1299,
}
LINE = PurchaseLine("sku", "coffee", 2, 1299)


class PurchaseOfTomorrow(RecordPurchase, frozen=True, kw_only=True, tag="record_purchase"):
    """What a later version might make of the command: with fields that nobody sends yet."""

    channel: str = ""
    weight: int = 0


def test_a_field_added_later_does_not_change_the_fingerprint() -> None:
    assert fingerprint(PurchaseOfTomorrow(**CONTENT)) == fingerprint(RecordPurchase(**CONTENT))
    assert fingerprint(PurchaseOfTomorrow(**CONTENT, channel="app")) != fingerprint(
        RecordPurchase(**CONTENT)
    )


def test_a_default_that_is_sent_is_the_same_as_one_left_out() -> None:
    sent = RecordPurchase(**CONTENT, lines=(), effective_time=None, location_id="")
    assert fingerprint(sent) == fingerprint(RecordPurchase(**CONTENT))


@pytest.mark.parametrize(
    "change",
    [
        {"program_id": "other"},
        {"member_id": "m-2"},
        {"purchase_id": "p-2"},
        {"amount": 1300},
        {"lines": (LINE,)},
        {"effective_time": 0},
        {"location_id": "mitte"},
        {"terminal_id": "mitte"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_content_has_another_fingerprint(change: dict[str, Any]) -> None:
    assert fingerprint(RecordPurchase(**{**CONTENT, **change})) != fingerprint(
        RecordPurchase(**CONTENT)
    )


@pytest.mark.parametrize(
    "lines",
    [
        (PurchaseLine("other", "coffee", 2, 1299),),
        (PurchaseLine("sku", "other", 2, 1299),),
        (PurchaseLine("sku", "coffee", 1, 1299),),
        (PurchaseLine("sku", "coffee", 2, 1298),),
        (LINE, LINE),
        (),
    ],
)
def test_other_lines_have_another_fingerprint(lines: tuple[PurchaseLine, ...]) -> None:
    assert fingerprint(RecordPurchase(**CONTENT, lines=lines)) != fingerprint(
        RecordPurchase(**CONTENT, lines=(LINE,))
    )


def test_text_does_not_flow_from_one_field_into_another() -> None:
    one = RecordPurchase(**CONTENT, location_id="a", terminal_id="b")
    other = RecordPurchase(**CONTENT, location_id="b", terminal_id="a")
    assert fingerprint(one) != fingerprint(other)


def test_commands_differ_in_kind() -> None:
    common: dict[str, Any] = {"program_id": "bean-street", "member_id": "m-1", "request_id": "r-1"}
    assert fingerprint(EnrollMember(**common)) != fingerprint(Settle(**common))


def test_a_fingerprint_is_forever() -> None:
    """Changing it would turn every repeat of an old request into REQUEST_ID_REUSED."""
    plain = RecordPurchase(**CONTENT)
    full = RecordPurchase(**CONTENT, lines=(LINE,), effective_time=1, location_id="é")
    assert (fingerprint(plain), fingerprint(full)) == (
        "1f9bf71c9a72c2a30c5caff4a526ca96",
        "ff4f91a5c96ee9db4a64e9c57dd48b6f",
    )


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (EnrollMember(program_id="p", member_id="m"), "enroll_member"),
        (
            RecordPurchase(program_id="p", member_id="m", purchase_id="", amount=0),
            "record_purchase",
        ),
        (Settle(program_id="p", member_id="m"), "settle"),
    ],
)
def test_a_command_has_the_name_of_its_batch_item(command: Command, expected: str) -> None:
    assert name(command) == expected
