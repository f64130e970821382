"""How late a purchase may be reported, and under which rules it then counts."""

from __future__ import annotations

import pytest

from ledger.core.errors import EffectiveTimeOutOfRange, MemberNotFound
from ledger.core.instants import MINUTE, SECOND
from ledger.core.timing import CLOCK_TOLERANCE
from tests.memory import MemoryLedger, at, document

NOON = at("2026-07-06T12:00Z")

#: zone, backdate_days, and the first instant that is allowed at NOON
WINDOWS = [
    ("Europe/Berlin", 30, "2026-06-05T22:00Z"),
    ("Europe/Berlin", 0, "2026-07-05T22:00Z"),
    ("Europe/Berlin", 120, "2026-03-07T23:00Z"),  # over a clock change
    ("Pacific/Kiritimati", 1, "2026-07-05T10:00Z"),
    ("Pacific/Honolulu", 1, "2026-07-05T10:00Z"),
    ("Africa/Cairo", 73, "2026-04-23T22:00Z"),  # a day whose midnight is skipped
    ("America/Havana", 120, "2026-03-08T05:00Z"),  # another one
]


@pytest.mark.parametrize(("zone", "days", "earliest"), WINDOWS)
def test_the_window_opens_with_a_local_day(zone: str, days: int, earliest: str) -> None:
    ledger = MemoryLedger(document({"backdate_days": days}), now=NOON, zone=zone)
    ledger.enroll()

    entry = ledger.buy("1.00", when=earliest).entries[0]
    assert (entry.effective_time, entry.create_time) == (at(earliest), NOON)

    with pytest.raises(EffectiveTimeOutOfRange) as refused:
        ledger.buy("1.00", when=at(earliest) - 1)
    assert at(refused.value.metadata["earliest"]) == at(earliest)


def test_the_window_is_30_days_unless_the_program_says_otherwise() -> None:
    ledger = MemoryLedger(document(), now=NOON)
    ledger.enroll()
    ledger.buy("1.00", when="2026-06-05T22:00Z")
    with pytest.raises(EffectiveTimeOutOfRange):
        ledger.buy("1.00", when="2026-06-05T21:59:59Z")


@pytest.mark.parametrize("ahead", [0, 1, SECOND, CLOCK_TOLERANCE])
def test_a_clock_slightly_ahead_counts_as_now(ahead: int) -> None:
    ledger = MemoryLedger(now=NOON)
    ledger.enroll(effective_time=NOON + ahead)

    entry = ledger.buy("1.00", when=NOON + ahead).entries[0]

    assert (entry.effective_time, entry.create_time) == (NOON, NOON)
    assert ledger.accounts["ann"].enroll_time == NOON


def test_a_clock_too_far_ahead_is_refused() -> None:
    assert CLOCK_TOLERANCE == 5 * MINUTE
    ledger = MemoryLedger(now=NOON)
    ledger.enroll()

    with pytest.raises(EffectiveTimeOutOfRange) as refused:
        ledger.buy("1.00", when=NOON + CLOCK_TOLERANCE + 1)

    assert refused.value.metadata == {
        "effective_time": "2026-07-06T12:05:00.000001Z",
        "earliest": "2026-06-05T22:00:00Z",
        "latest": "2026-07-06T12:05:00Z",
    }


def test_an_enrolment_keeps_the_same_window() -> None:
    ledger = MemoryLedger(now=NOON)
    ledger.enroll("ann", effective_time=at("2026-06-05T22:00Z"))
    assert ledger.accounts["ann"].enroll_time == at("2026-06-05T22:00Z")
    for effective_time in (at("2026-06-05T21:59:59Z"), NOON + CLOCK_TOLERANCE + 1):
        with pytest.raises(EffectiveTimeOutOfRange):
            ledger.enroll("bob", effective_time=effective_time)


def test_a_late_purchase_counts_under_the_rules_of_its_time() -> None:
    ledger = MemoryLedger(now=NOON)
    ledger.enroll()
    change = NOON + 60 * MINUTE
    ledger.publish(document({"rate": {"points": 2, "per": "1.00"}}), change)
    ledger.now = NOON + 120 * MINUTE

    entries = [
        ledger.buy("10.00", when=when).entries[0] for when in (change - 1, change, ledger.now)
    ]

    assert [(entry.points, entry.rules_version) for entry in entries] == [(10, 1), (20, 2), (20, 2)]


def test_the_window_is_that_of_the_rules_of_its_time() -> None:
    ledger = MemoryLedger(document({"backdate_days": 5}), now=NOON)
    ledger.enroll()
    change = at("2026-07-10T12:00Z")
    ledger.publish(document({"backdate_days": 0}), change)
    ledger.now = at("2026-07-11T12:00Z")

    ledger.buy("1.00", when=change - 1)
    with pytest.raises(EffectiveTimeOutOfRange):
        ledger.buy("1.00", when=change)


def test_the_first_rules_also_cover_the_time_before_them() -> None:
    ledger = MemoryLedger(now=NOON)
    ledger.enroll()
    assert ledger.buy("1.00", when=NOON - 60 * MINUTE).entries[0].rules_version == 1


def test_a_clock_ahead_of_new_rules_is_still_under_the_old_ones() -> None:
    ledger = MemoryLedger(now=NOON)
    ledger.publish(document(members={"auto_enroll": True}), NOON + 2 * MINUTE)
    with pytest.raises(MemberNotFound):
        ledger.buy("1.00", when=NOON + 3 * MINUTE)
