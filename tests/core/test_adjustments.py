"""Points moved by hand: adjustments, and transfers between members."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.core.commands import AdjustPoints, TransferPoints
from ledger.core.errors import (
    ApprovalRequired,
    InsufficientPoints,
    InvalidArgument,
    LedgerError,
    MemberNotFound,
)
from ledger.core.instants import DAY
from ledger.core.model import MAX_POINTS, Receipt
from tests.core.spending import Till, lots, rows, sound
from tests.memory import Document, at, document

A_MONTH = {"after_months": 1}


def member(rules: Document | None = None, points: int = 0, **fields: Any) -> Till:
    till = Till(rules or document(), **fields)
    till.enroll()
    till.enroll("bob")
    if points:
        till.adjust(points)
    return till


# -- adjustments ----------------------------------------------------------------------------------


def test_points_are_given_as_if_they_were_earned_now() -> None:
    till = member(document(expiry=A_MONTH))

    command = till.request(AdjustPoints, points=40, reason_code="goodwill", note="cold coffee")
    receipt = till.write(command, "desk")

    assert isinstance(receipt, Receipt)
    (entry,) = receipt.entries
    assert (entry.kind, entry.points, entry.actor) == ("ADJUSTMENT", 40, "desk")
    assert (entry.debit_account, entry.credit_account) == ("adjustments", "member:available")
    assert (entry.data.reason_code, entry.data.note, entry.data.approver) == (
        "goodwill",
        "cold coffee",
        "",
    )
    assert lots(till) == [("2026-03-01T00:00", 40)]
    # They were not earned.
    assert till.accounts["ann"].lifetime == 0
    sound(till)


def test_points_are_taken_from_what_ends_soonest() -> None:
    till = member(document(expiry=A_MONTH), 40)
    till.publish(document(), till.now)
    till.adjust(10)

    (entry,) = till.adjust(-45, "correction").entries

    assert (entry.points, entry.debit_account, entry.credit_account) == (
        -45,
        "member:available",
        "adjustments",
    )
    assert lots(till) == [("never", 5)]
    sound(till)


def test_what_waits_or_is_held_can_not_be_taken() -> None:
    till = member(document({"pending_days": 5}), 40)
    till.buy("10.00")
    till.hold(30)
    with pytest.raises(InsufficientPoints) as refused:
        till.adjust(-11)
    assert refused.value.metadata == {"available": "10", "required": "11"}
    till.adjust(-10)
    assert till.state() == (0, 10, 30, 0)


@pytest.mark.parametrize(
    ("codes", "code", "known"),
    [
        (None, "goodwill", True),
        (None, "correction", True),
        (None, "present", False),
        (None, "Goodwill", False),
        (None, "", False),
        (["late-delivery"], "late-delivery", True),
        (["late-delivery"], "goodwill", False),
    ],
)
def test_the_rules_say_what_points_may_be_adjusted_for(
    codes: list[str] | None, code: str, known: bool
) -> None:
    till = member(document(adjustments={"reason_codes": codes}))
    outcome = till.write(till.request(AdjustPoints, points=5, reason_code=code))
    if known:
        assert isinstance(outcome, Receipt)
    else:
        assert isinstance(outcome, InvalidArgument)
        assert [violation.field for violation in outcome.violations] == ["reason_code"]


@pytest.mark.parametrize(
    ("limit", "points", "approver", "fits"),
    [
        (None, MAX_POINTS, "", True),
        (50, 50, "", True),
        (50, -50, "", True),
        (50, 51, "", False),
        (50, -51, "", False),
        (50, 51, "desk", False),  # oneself is no second principal
        (50, 51, "boss", True),
        (50, -51, "boss", True),
        (0, 1, "", False),
        (0, -1, "boss", True),
    ],
)
def test_large_adjustments_need_a_second_principal(
    limit: int | None, points: int, approver: str, fits: bool
) -> None:
    till = member(document(adjustments={"approval_above": limit}))
    first = till.request(AdjustPoints, points=100, reason_code="goodwill", approver="boss")
    assert isinstance(till.write(first, "desk"), Receipt)

    command = till.request(AdjustPoints, points=points, reason_code="goodwill", approver=approver)
    outcome = till.write(command, "desk")

    if fits:
        assert isinstance(outcome, Receipt)
        assert outcome.entries[0].data.approver == approver
    else:
        assert isinstance(outcome, ApprovalRequired)
        assert outcome.metadata == {"limit": str(limit)}
    sound(till)


def test_an_account_holds_only_so_much() -> None:
    till = member()
    for _ in range(10):
        till.adjust(MAX_POINTS)
    with pytest.raises(InvalidArgument):
        till.adjust(1)
    assert till.state() == (10 * MAX_POINTS, 0, 0, 0)
    sound(till)


# -- transfers ------------------------------------------------------------------------------------


def test_transferred_points_keep_their_dates() -> None:
    till = member(document(expiry=A_MONTH), 40)
    till.publish(document(), till.now)
    till.adjust(10)

    receipt = till.transfer("bob", 45)

    (out,) = receipt.entries
    assert (out.kind, out.points, out.data.related_member_id) == ("TRANSFER_OUT", -45, "bob")
    assert (out.debit_account, out.credit_account) == ("member:available", "transfers")
    incoming = till.journal("bob")[-1]
    assert (incoming.kind, incoming.points) == ("TRANSFER_IN", 45)
    assert (incoming.debit_account, incoming.credit_account) == ("transfers", "member:available")
    assert (incoming.data.related_member_id, incoming.actor) == ("ann", "till")
    assert incoming.request_id == ""
    assert lots(till, "bob") == [("2026-03-01T00:00", 40), ("never", 5)]
    assert lots(till) == [("never", 5)]
    assert till.trial_balance()["transfers"] == 0
    assert till.accounts["bob"].lifetime == 0
    sound(till)


def test_what_time_made_due_to_the_other_comes_first() -> None:
    till = member(document(expiry=A_MONTH))
    till.adjust(7, member_id="bob")
    till.now = at("2026-03-10T09:00Z")
    till.adjust(40)
    till.transfer("bob", 40)
    assert rows(till.journal("bob")[-2:]) == [("EXPIRY", -7), ("TRANSFER_IN", 40)]
    assert lots(till, "bob") == [("2026-05-01T00:00", 40)]


@pytest.mark.parametrize(
    ("to", "points", "refusal"),
    [
        ("bob", 101, InsufficientPoints),
        ("cid", 5, MemberNotFound),
        ("cid", 101, MemberNotFound),
        ("ann", 5, InvalidArgument),
    ],
)
def test_what_can_not_be_transferred(to: str, points: int, refusal: type[LedgerError]) -> None:
    till = member(points=100)
    outcome = till.write(till.request(TransferPoints, to_member_id=to, points=points))
    assert type(outcome) is refusal
    if isinstance(outcome, MemberNotFound):
        assert outcome.metadata["member_id"] == "cid"
    if isinstance(outcome, InvalidArgument):
        assert outcome.violations[0].field == "to_member_id"
    assert (till.state(), till.state("bob")) == ((100, 0, 0, 0), (0, 0, 0, 0))


def test_the_others_account_holds_only_so_much_too() -> None:
    till = member(points=5)
    for _ in range(10):
        till.adjust(MAX_POINTS, member_id="bob")
    with pytest.raises(InvalidArgument) as invalid:
        till.transfer("bob", 1)
    assert invalid.value.violations[0].field == "points"
    assert till.state() == (5, 0, 0, 0)


def test_a_transfer_there_and_back_changes_nothing() -> None:
    till = member(document(expiry=A_MONTH), 40)
    before = till.accounts["ann"].lots
    till.transfer("bob", 40)
    till.now += DAY
    till.transfer("ann", 40, member_id="bob")
    assert till.accounts["ann"].lots == before
    sound(till)


def test_a_repeated_transfer_moves_points_once() -> None:
    till = member(points=100)
    command = till.request(TransferPoints, to_member_id="bob", points=60)
    first, again = till.write(command), till.write(command)
    assert isinstance(first, Receipt)
    assert isinstance(again, Receipt)
    assert again.entries == first.entries
    assert (till.state(), till.state("bob")) == ((40, 0, 0, 0), (60, 0, 0, 0))
