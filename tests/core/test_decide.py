"""Commands: what they post together, what they refuse, and in which order they look."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.core.commands import Command, EnrollMember, RecordPurchase, Settle
from ledger.core.decide import decide
from ledger.core.errors import (
    EffectiveTimeOutOfRange,
    LedgerError,
    MemberAlreadyEnrolled,
    MemberNotFound,
    PurchaseAlreadyRecorded,
    RequestIdReused,
)
from ledger.core.model import Receipt
from ledger.core.posting import Context
from tests.memory import PROGRAM, MemoryLedger, at, document

WELCOME = {"id": "welcome", "on": "ENROLLMENT", "points": 50}
OPEN_DOOR = {"auto_enroll": True}
LONG_AGO = at("2020-01-01T12:00Z")


def purchase(member_id: str = "ann", **fields: Any) -> RecordPurchase:
    content = {"request_id": "r", "purchase_id": "p", "amount": 1000}
    return RecordPurchase(program_id=PROGRAM, member_id=member_id, **{**content, **fields})


def enrolment(member_id: str = "ann", **fields: Any) -> EnrollMember:
    content = {"request_id": "e", **fields}
    return EnrollMember(program_id=PROGRAM, member_id=member_id, **content)


# -- what is posted together ----------------------------------------------------------------------


def test_enrolling_opens_an_account_and_gives_what_the_program_gives() -> None:
    ledger = MemoryLedger(document(bonuses=[WELCOME, {**WELCOME, "id": "more", "points": 5}]))

    enrolled, first, second = ledger.enroll().entries

    assert (enrolled.kind, enrolled.points, enrolled.debit_account) == ("ENROLLED", 0, "")
    assert [(e.kind, e.points, e.data.breakdown[0].rule) for e in (first, second)] == [
        ("BONUS", 50, "bonus:welcome"),
        ("BONUS", 5, "bonus:more"),
    ]
    assert ledger.accounts["ann"].status == "ACTIVE"
    assert ledger.accounts["ann"].available == 55


def test_a_first_purchase_enrols_where_the_program_says_so() -> None:
    ledger = MemoryLedger(document(members=OPEN_DOOR, bonuses=[WELCOME]))

    receipt = ledger.buy("10.00", when="2026-01-08T12:00Z")

    assert [entry.kind for entry in receipt.entries] == ["ENROLLED", "BONUS", "PURCHASE"]
    assert {entry.effective_time for entry in receipt.entries} == {at("2026-01-08T12:00Z")}
    assert receipt.balance.available == 60
    assert [e.kind for e in ledger.buy("1.00").entries] == ["PURCHASE"]


def test_the_first_entry_speaks_for_its_group() -> None:
    ledger = MemoryLedger(document(members=OPEN_DOOR, bonuses=[WELCOME]))

    first, *others = ledger.buy("10.00", request_id="r-1").entries

    assert (first.request_id, first.consequences, first.cause_sequence) == ("r-1", 2, 0)
    assert len(first.fingerprint) == 32
    for entry in others:
        assert (entry.request_id, entry.fingerprint, entry.consequences) == ("", "", 0)
        assert entry.cause_sequence == first.sequence


def test_what_time_made_due_belongs_to_no_group() -> None:
    ledger = MemoryLedger(document(expiry={"after_months": 1}))
    ledger.enroll()
    ledger.buy("10.00")
    ledger.now = at("2026-05-01T12:00Z")

    receipt = ledger.buy("10.00")

    expiry = ledger.journal()[-2]
    assert (expiry.kind, expiry.request_id, expiry.cause_sequence) == ("EXPIRY", "", 0)
    assert receipt.entries == (ledger.journal()[-1],)


def test_entries_name_who_where_and_what() -> None:
    ledger = MemoryLedger(document(members=OPEN_DOOR))

    command = purchase(location_id="mitte", terminal_id="t-7")
    receipt = ledger.write(command, actor="till-7")

    assert isinstance(receipt, Receipt)
    for entry in receipt.entries:
        assert (entry.actor, entry.location_id, entry.terminal_id) == ("till-7", "mitte", "t-7")
    bought = receipt.entries[-1]
    assert (bought.purchase_id, bought.data.amount, bought.data.eligible) == ("p", 1000, 1000)


def test_every_entry_is_balanced() -> None:
    rules = document({"pending_days": 3}, expiry={"after_months": 1}, bonuses=[WELCOME])
    ledger = MemoryLedger(rules)
    ledger.enroll()
    ledger.buy("10.00")
    ledger.now = at("2026-06-01T12:00Z")
    ledger.settle()

    moves = {(e.kind, e.debit_account, e.credit_account) for e in ledger.journal() if e.points}

    assert moves == {
        ("BONUS", "issuance", "member:available"),
        ("PURCHASE", "issuance", "member:pending"),
        ("ACTIVATION", "member:pending", "member:available"),
        ("EXPIRY", "member:available", "expired"),
    }
    assert ledger.trial_balance() == {
        "issuance": -60,
        "member:available": 0,
        "member:pending": 0,
        "expired": 60,
    }


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auto_enroll", "command", "refusal"),
    [
        # Each line also breaks every rule that is looked at later.
        (False, enrolment("ann", effective_time=LONG_AGO), MemberAlreadyEnrolled),
        (False, enrolment("bob", effective_time=LONG_AGO), EffectiveTimeOutOfRange),
        (False, purchase("bob", purchase_id="old", effective_time=LONG_AGO), MemberNotFound),
        (
            False,
            purchase("ann", purchase_id="old", effective_time=LONG_AGO),
            PurchaseAlreadyRecorded,
        ),
        (
            True,
            purchase("bob", purchase_id="old", effective_time=LONG_AGO),
            PurchaseAlreadyRecorded,
        ),
        (False, purchase("ann", effective_time=LONG_AGO), EffectiveTimeOutOfRange),
        (True, purchase("bob", effective_time=LONG_AGO), EffectiveTimeOutOfRange),
    ],
)
def test_refusals_come_in_order_and_leave_nothing(
    auto_enroll: bool, command: Command, refusal: type[LedgerError]
) -> None:
    rules = document(members={"auto_enroll": auto_enroll}, expiry={"after_months": 1})
    ledger = MemoryLedger(rules)
    ledger.enroll("ann")
    ledger.buy("1.00", "ann", purchase_id="old")
    ledger.now = at("2026-05-01T12:00Z")  # something is due, too
    before = (dict(ledger.accounts), len(ledger.journal("ann")), dict(ledger.purchases))

    assert type(ledger.write(command)) is refusal

    assert (dict(ledger.accounts), len(ledger.journal("ann")), dict(ledger.purchases)) == before


def test_only_its_owner_learns_where_a_receipt_stands() -> None:
    ledger = MemoryLedger()
    ledger.enroll("ann")
    ledger.enroll("bob")
    ledger.buy("1.00", "ann", purchase_id="p")

    with pytest.raises(PurchaseAlreadyRecorded) as own:
        ledger.buy("1.00", "ann", purchase_id="p")
    with pytest.raises(PurchaseAlreadyRecorded) as foreign:
        ledger.buy("1.00", "bob", purchase_id="p")

    assert own.value.metadata == {"purchase_id": "p", "sequence": "2"}
    assert foreign.value.metadata == {"purchase_id": "p"}


def test_nobody_decides_what_no_rule_knows() -> None:
    ledger = MemoryLedger()
    context = Context(program=ledger.program, now=ledger.now, actor="", purchases={})
    with pytest.raises(TypeError, match="no rule decides Command"):
        decide(None, Command(program_id=PROGRAM, member_id="ann"), context)


def test_settling_a_stranger_does_nothing() -> None:
    ledger = MemoryLedger()
    context = Context(program=ledger.program, now=ledger.now, actor="", purchases={})
    posting = decide(None, Settle(program_id=PROGRAM, member_id="ann"), context)
    assert posting.entries == []


# -- one request, one outcome ---------------------------------------------------------------------


def test_a_repeat_answers_what_the_first_answered() -> None:
    ledger = MemoryLedger(document(members=OPEN_DOOR))
    first = ledger.write(purchase())
    ledger.now = at("2026-03-01T12:00Z")

    again = ledger.write(purchase())

    assert isinstance(first, Receipt)
    assert isinstance(again, Receipt)
    assert (again.entries, again.balance, again.replayed) == (first.entries, first.balance, True)
    assert len(ledger.journal()) == 2


def test_a_request_id_stands_for_one_content() -> None:
    ledger = MemoryLedger(document(members=OPEN_DOOR))
    ledger.write(purchase())
    assert type(ledger.write(purchase(amount=1001))) is RequestIdReused
    assert type(ledger.write(enrolment(request_id="r"))) is RequestIdReused
    assert len(ledger.journal()) == 2


def test_a_refusal_stays_one() -> None:
    ledger = MemoryLedger()
    ledger.enroll()
    tomorrow = purchase(effective_time=at("2026-01-11T09:00Z"))
    refused = ledger.write(tomorrow)
    ledger.now = at("2026-01-11T12:00Z")

    again = ledger.write(tomorrow)

    assert isinstance(refused, EffectiveTimeOutOfRange)
    assert isinstance(again, EffectiveTimeOutOfRange)
    assert again.metadata == refused.metadata
    assert isinstance(ledger.write(purchase(request_id="another")), Receipt)
