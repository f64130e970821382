"""When points become spendable and when they end."""

from __future__ import annotations

import pytest

from ledger.core.instants import MINUTE, format_instant
from ledger.core.model import Entry
from tests.memory import Document, MemoryLedger, at, document

A_YEAR = document(expiry={"after_months": 12})
A_MONTH = document(expiry={"after_months": 1})
NEVER = document()


def posted(entries: list[Entry] | tuple[Entry, ...]) -> list[tuple[str, int, str]]:
    """Kind, points and effective time of entries."""
    return [(entry.kind, entry.points, format_instant(entry.effective_time)) for entry in entries]


def lots(ledger: MemoryLedger) -> list[tuple[str, int]]:
    """Spendable lots: when they end, and their points."""
    return [
        ("never" if lot.expire_time is None else format_instant(lot.expire_time), lot.points)
        for lot in ledger.accounts["ann"].lots
    ]


@pytest.mark.parametrize(
    ("rules", "bought", "ends"),
    [
        pytest.param(A_YEAR, "2026-07-06T12:00Z", "2027-07-31T22:00:00Z", id="example 6"),
        pytest.param(A_YEAR, "2026-02-28T23:30Z", "2027-03-31T22:00:00Z", id="example 7"),
        pytest.param(A_MONTH, "2025-01-31T12:00Z", "2025-02-28T23:00:00Z", id="example 8"),
        pytest.param(NEVER, "2026-07-06T12:00Z", "never", id="without an expiry rule"),
    ],
)
def test_a_lot_lives_to_the_end_of_a_month(rules: Document, bought: str, ends: str) -> None:
    ledger = MemoryLedger(rules, now=bought)
    ledger.enroll()

    ledger.buy("10.00")

    assert lots(ledger) == [(ends, 10)]


def test_lots_that_end_together_are_one() -> None:
    ledger = MemoryLedger(A_YEAR, now="2026-07-06T12:00Z")
    ledger.enroll()
    ledger.buy("10.00")
    ledger.buy("5.00", when="2026-06-10T12:00Z")

    ledger.buy("7.00", when="2026-07-02T12:00Z")

    assert lots(ledger) == [("2027-06-30T22:00:00Z", 5), ("2027-07-31T22:00:00Z", 17)]


def test_what_never_ends_comes_last() -> None:
    ledger = MemoryLedger(NEVER, now="2026-07-06T12:00Z")
    ledger.enroll()
    ledger.buy("10.00")
    ledger.publish(A_YEAR, ledger.now)

    ledger.buy("5.00")

    assert lots(ledger) == [("2027-07-31T22:00:00Z", 5), ("never", 10)]


def test_a_lot_keeps_its_end_whatever_later_rules_say() -> None:
    ledger = MemoryLedger(A_YEAR, now="2026-07-06T12:00Z")
    ledger.enroll()
    ledger.buy("10.00")
    ledger.publish(A_MONTH, ledger.now)

    ledger.buy("5.00")

    assert lots(ledger) == [("2026-08-31T22:00:00Z", 5), ("2027-07-31T22:00:00Z", 10)]


def test_a_bonus_may_live_for_days() -> None:
    bonus = {"id": "welcome", "on": "ENROLLMENT", "points": 50, "expires_days": 60}
    ledger = MemoryLedger(document(bonuses=[bonus], expiry={"after_months": 12}))

    ledger.enroll()

    # Through the 60th local day after 10 January.
    assert lots(ledger) == [("2026-03-11T23:00:00Z", 50)]


def test_a_lot_expires_at_its_instant_and_not_before() -> None:
    ledger = MemoryLedger(A_MONTH)
    ledger.enroll()
    ledger.buy("10.00")
    midnight = at("2026-02-28T23:00Z")

    ledger.now = midnight - 1
    assert ledger.settle() == ()
    assert ledger.accounts["ann"].available == 10

    ledger.now = midnight
    assert posted(ledger.settle()) == [("EXPIRY", -10, "2026-02-28T23:00:00Z")]
    assert ledger.accounts["ann"].available == 0
    assert ledger.settle() == ()


def test_what_is_due_is_posted_before_the_command_that_finds_it() -> None:
    ledger = MemoryLedger(A_MONTH)
    ledger.enroll()
    ledger.buy("10.00")
    ledger.now = at("2026-05-05T12:00Z")

    receipt = ledger.buy("7.00")

    assert posted(ledger.journal()[-2:]) == [
        ("EXPIRY", -10, "2026-02-28T23:00:00Z"),
        ("PURCHASE", 7, "2026-05-05T12:00:00Z"),
    ]
    assert [entry.kind for entry in receipt.entries] == ["PURCHASE"]
    assert receipt.balance.available == 7


@pytest.mark.parametrize(
    ("bought", "pending_days", "spendable"),
    [
        pytest.param("2026-01-10T09:00Z", 14, "2026-01-23T23:00:00Z", id="the 14th day after"),
        pytest.param("2026-01-10T23:30Z", 1, "2026-01-11T23:00:00Z", id="counted in local days"),
        pytest.param("2026-03-28T12:00Z", 2, "2026-03-29T22:00:00Z", id="over a short day"),
        pytest.param("2028-02-28T12:00Z", 1, "2028-02-28T23:00:00Z", id="to 29 February"),
    ],
)
def test_pending_points_become_spendable(bought: str, pending_days: int, spendable: str) -> None:
    ledger = MemoryLedger(document({"pending_days": pending_days}), now=bought)
    ledger.enroll()

    balance = ledger.buy("10.00").balance
    assert (balance.available, balance.pending, balance.lifetime) == (0, 10, 10)

    ledger.now = at(spendable) - 1
    assert ledger.settle() == ()
    ledger.now = at(spendable)
    assert posted(ledger.settle()) == [("ACTIVATION", 10, spendable)]
    account = ledger.accounts["ann"]
    assert (account.available, account.pending, account.lifetime) == (10, 0, 10)


def test_a_purchase_that_earns_nothing_has_no_lot() -> None:
    ledger = MemoryLedger(document({"pending_days": 3}, expiry={"after_months": 1}))
    ledger.enroll()

    entry = ledger.buy("0.50").entries[0]

    assert (entry.points, entry.debit_account, entry.credit_account) == (0, "", "")
    assert entry.data.lots == ()
    assert ledger.accounts["ann"].due_time is None


def test_what_activates_together_is_one_entry() -> None:
    ledger = MemoryLedger(document({"pending_days": 1}))
    ledger.enroll()
    ledger.buy("10.00")
    ledger.buy("5.00")
    ledger.now = at("2026-01-12T12:00Z")

    assert posted(ledger.settle()) == [("ACTIVATION", 15, "2026-01-10T23:00:00Z")]


def test_at_one_instant_points_activate_before_lots_expire() -> None:
    ledger = MemoryLedger(A_MONTH, now="2026-01-31T12:00Z")
    ledger.enroll()
    ledger.buy("10.00")
    # 28 days pending: until the month's end at which both lots expire.
    ledger.publish(document({"pending_days": 29}, expiry={"after_months": 1}), ledger.now)
    ledger.buy("5.00")
    ledger.now = at("2026-03-10T12:00Z")

    assert posted(ledger.settle()) == [
        ("ACTIVATION", 5, "2026-02-28T23:00:00Z"),
        ("EXPIRY", -15, "2026-02-28T23:00:00Z"),
    ]


def test_points_that_end_while_they_wait_expire_when_they_would_have_become_spendable() -> None:
    ledger = MemoryLedger(document({"pending_days": 60}, expiry={"after_months": 1}))
    ledger.enroll()
    ledger.buy("10.00")
    ledger.now = at("2026-03-01T12:00Z")  # after the lot's end, before it activates
    assert ledger.settle() == ()
    assert ledger.accounts["ann"].pending == 10

    ledger.now = at("2026-06-01T12:00Z")

    assert posted(ledger.settle()) == [
        ("ACTIVATION", 10, "2026-03-10T23:00:00Z"),
        ("EXPIRY", -10, "2026-03-10T23:00:00Z"),
    ]


def test_time_passes_in_order() -> None:
    ledger = MemoryLedger(A_MONTH, now="2026-01-31T12:00Z")
    ledger.enroll()
    ledger.buy("1.00")
    ledger.publish(document({"pending_days": 7}, expiry={"after_months": 1}), ledger.now)
    ledger.buy("2.00")
    ledger.now = at("2026-02-20T12:00Z")
    ledger.buy("4.00")

    ledger.now = at("2027-01-01T12:00Z")
    ledger.settle()

    assert posted(ledger.journal()[3:]) == [
        ("ACTIVATION", 2, "2026-02-06T23:00:00Z"),
        ("PURCHASE", 4, "2026-02-20T12:00:00Z"),
        ("ACTIVATION", 4, "2026-02-26T23:00:00Z"),
        ("EXPIRY", -3, "2026-02-28T23:00:00Z"),
        ("EXPIRY", -4, "2026-03-31T22:00:00Z"),
    ]
    assert [entry.actor for entry in ledger.journal()[3:]] == ["time", "till", *["time"] * 3]


def test_what_a_late_upload_brings_may_be_over_already() -> None:
    earning = {"pending_days": 2, "backdate_days": 100}
    ledger = MemoryLedger(document(earning, expiry={"after_months": 1}), now="2026-07-06T12:00Z")
    ledger.enroll()

    receipt = ledger.buy("100.00", when="2026-04-10T12:00Z")

    assert posted(receipt.entries) == [
        ("PURCHASE", 100, "2026-04-10T12:00:00Z"),
        ("ACTIVATION", 100, "2026-04-11T22:00:00Z"),
        ("EXPIRY", -100, "2026-05-31T22:00:00Z"),
    ]
    assert receipt.balance.available == receipt.balance.pending == 0
    assert {entry.create_time for entry in receipt.entries} == {ledger.now}


def test_the_balance_shows_the_next_expiry() -> None:
    ledger = MemoryLedger(A_YEAR, now="2026-07-06T12:00Z")
    ledger.enroll()
    assert ledger.buy("0.10").balance.next_expiry is None
    ledger.buy("10.00")

    soonest = ledger.buy("5.00", when="2026-06-10T12:00Z").balance.next_expiry

    assert soonest is not None
    assert (soonest.expire_time, soonest.points) == (at("2027-06-30T22:00Z"), 5)


def test_a_clock_that_goes_back_does_not_take_create_time_along() -> None:
    ledger = MemoryLedger(A_MONTH)
    ledger.enroll()
    first = ledger.now
    ledger.now -= 10 * MINUTE

    entry = ledger.buy("10.00").entries[0]

    assert (entry.effective_time, entry.create_time) == (first, first)


def test_a_ledger_may_live_before_1970() -> None:
    ledger = MemoryLedger(A_MONTH, now="1965-01-10T09:00Z")
    ledger.enroll()
    ledger.buy("10.00")
    assert ledger.journal()[-1].create_time == at("1965-01-10T09:00Z")

    ledger.now = at("1969-12-31T23:59Z")

    assert posted(ledger.settle()) == [("EXPIRY", -10, "1965-02-28T23:00:00Z")]
    assert ledger.verify() == []
