"""Warnings: who is told ahead that points will expire, when, and how often."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.commands import Settle
from ledger.core.decide import decide
from ledger.core.instants import DAY, day_start, local_day
from ledger.core.model import Account, Lot
from ledger.core.posting import Context, Warning
from tests.core.spending import Till, sound
from tests.memory import PROGRAM, Document, at, document

#: what ends with March
MARCH = "2026-03-31T22:00:00Z"
APRIL = "2026-04-30T22:00:00Z"


def rules(warn_days: list[int] | None = None, months: int | None = 1, **expiry: Any) -> Document:
    after = {"after_months": months} if months else {}
    return document(expiry={"warn_days": warn_days or [], **after, **expiry})


def member(document_: Document | None = None, now: str = "2026-02-10T09:00Z") -> Till:
    """A till with ann, who has 100 points that end with March; it is 10 February."""
    till = Till(document_ or rules([30, 7]), now=now)
    till.enroll()
    till.adjust(100)
    return till


def pass_time(till: Till, until: str, step: int | None = None) -> None:
    """Let time pass, with or without somebody who looks in between."""
    end = at(until)
    while step and till.now + step < end:
        till.now += step
        till.settle()
    till.now = end
    till.settle()


# -- when -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "begins"),
    [
        (30, "2026-03-02T00:00+01:00"),
        (7, "2026-03-25T00:00+01:00"),
        (3, "2026-03-29T00:00+01:00"),
        (2, "2026-03-30T00:00+02:00"),  # the clock has changed in the night before
        (1, "2026-03-31T00:00+02:00"),
    ],
)
def test_a_warning_is_given_when_the_day_begins_that_lies_so_far_ahead(
    days: int, begins: str
) -> None:
    till = member(rules([days]))
    till.now = at(begins) - 1
    till.settle()
    assert till.warnings() == []
    till.now += 1
    assert till.settle() == ()  # it is no entry
    assert till.warnings() == [(MARCH, days, 100, False)]
    sound(till)


@pytest.mark.parametrize("step", [None, DAY // 2, 5 * DAY])
def test_each_lot_is_warned_of_once_at_each_distance(step: int | None) -> None:
    till = member(rules([30, 7, 1]))
    till.now = at("2026-03-10T09:00Z")
    till.adjust(40)
    pass_time(till, "2026-06-01T00:00Z", step)
    assert till.warnings() == [
        (MARCH, 30, 100, False),
        (MARCH, 7, 100, False),
        (MARCH, 1, 100, False),
        (APRIL, 30, 40, False),
        (APRIL, 7, 40, False),
        (APRIL, 1, 40, False),
    ]
    sound(till)


def test_a_warning_names_what_is_in_the_lot_at_that_moment() -> None:
    till = member()
    till.now = at("2026-02-25T09:00Z")
    till.redeem(30)
    till.now = at("2026-03-10T09:00Z")
    till.redeem(25)
    till.publish(rules([30, 7], 1), till.now)
    till.now = at("2026-04-10T09:00Z")
    till.settle()
    assert till.warnings() == [(MARCH, 30, 70, False), (MARCH, 7, 45, False)]


def test_nobody_is_warned_of_what_is_gone() -> None:
    till = member()
    till.now = at("2026-03-10T09:00Z")
    till.redeem(100)
    pass_time(till, "2026-06-01T00:00Z", DAY)
    assert till.warnings() == [(MARCH, 30, 100, False)]


def test_what_is_held_or_waits_is_not_warned_of() -> None:
    till = Till(
        document({"pending_days": 60}, expiry={"after_months": 3, "warn_days": [30]}),
        now="2026-02-10T09:00Z",
    )
    till.enroll()
    till.buy("10.00")  # spendable from 11 April, ends with May
    till.adjust(5)
    till.now = at("2026-04-25T09:00Z")
    till.hold(15, ttl=20 * DAY)
    pass_time(till, "2026-05-10T00:00Z")
    assert till.warnings() == []
    pass_time(till, "2026-06-10T00:00Z")
    # It came back within the distance.
    assert till.warnings() == []


def test_points_earned_within_the_distance_are_not_warned_of() -> None:
    till = Till(rules([30, 7]), now="2026-02-10T09:00Z")
    till.enroll()
    till.now = at("2026-04-05T09:00Z")
    till.buy("10.00", when="2026-03-20T12:00Z")  # ends with April
    pass_time(till, "2026-06-01T00:00Z", DAY)
    assert till.warnings() == [(APRIL, 7, 10, False)]


def test_a_lot_that_is_there_when_its_day_begins_is_warned_of_and_one_a_moment_later_is_not() -> (
    None
):
    for offset, expected in ((-1, [(MARCH, 7, 10, False)]), (0, [])):
        till = Till(rules([7]), now="2026-02-10T09:00Z")
        till.enroll()
        till.now = at("2026-03-25T00:00+01:00") + offset
        till.buy("10.00", when="2026-02-28T12:00Z")
        pass_time(till, "2026-06-01T00:00Z", DAY)
        assert till.warnings() == expected


def test_points_that_join_a_lot_within_the_distance_bring_no_second_warning() -> None:
    till = member(rules([30]))
    till.now = at("2026-03-10T09:00Z")
    till.settle()
    till.buy("10.00", when="2026-02-20T12:00Z")
    pass_time(till, "2026-06-01T00:00Z", DAY)
    assert till.warnings() == [(MARCH, 30, 100, False)]


@pytest.mark.parametrize("settled", [True, False])
def test_what_is_due_before_a_command_sees_what_was_there_then(settled: bool) -> None:
    till = member(rules([7]))
    till.now = at("2026-03-26T09:00Z")
    if settled:
        till.settle()
    till.redeem(60)
    assert till.warnings() == [(MARCH, 7, 100, False)]


def test_a_bonus_with_a_life_of_its_own_is_warned_of_too() -> None:
    bonus = {"id": "birthday", "on": "BIRTHDAY", "points": 9, "expires_days": 10}
    till = Till(document(expiry={"warn_days": [30, 10, 3]}, bonuses=[bonus]))
    till.enroll(birthday=301)
    pass_time(till, "2026-06-01T00:00Z")
    # It lives through 11 March, so that there are 11 days to 12 March.
    assert till.warnings() == [
        ("2026-03-11T23:00:00Z", 10, 9, False),
        ("2026-03-11T23:00:00Z", 3, 9, False),
    ]


def test_what_never_ends_is_not_warned_of() -> None:
    till = member(rules([30, 7], None))
    pass_time(till, "2036-01-01T00:00Z")
    assert till.warnings() == []


# -- versions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [None, DAY])
@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        pytest.param([("2026-03-10T00:00Z", [7])], [(30, 100), (7, 100)], id="one goes on"),
        pytest.param([("2026-03-02T00:00+01:00", [7])], [(7, 100)], id="gone at its moment"),
        pytest.param([("2026-03-02T00:00+01:00", [30])], [(30, 100)], id="there at its moment"),
        pytest.param([("2026-03-10T00:00Z", [14])], [(30, 100), (14, 100)], id="another one"),
        pytest.param([("2026-03-10T00:00Z", [28])], [(30, 100)], id="too late for a new one"),
        pytest.param([("2026-03-10T00:00Z", [])], [(30, 100)], id="none any more"),
        pytest.param(
            [("2026-03-10T00:00Z", []), ("2026-03-20T00:00Z", [7])],
            [(30, 100), (7, 100)],
            id="none for a while",
        ),
    ],
)
def test_the_rules_in_force_when_the_day_begins_decide(
    versions: list[tuple[str, list[int]]], expected: list[tuple[int, int]], step: int | None
) -> None:
    till = member()
    for instant, warn_days in versions:
        till.publish(rules(warn_days), at(instant))
    pass_time(till, "2026-06-01T00:00Z", step)
    assert till.warnings() == [(MARCH, days, points, False) for days, points in expected]


# -- the date for want of activity ----------------------------------------------------------------


@pytest.mark.parametrize("step", [None, DAY])
def test_the_date_for_want_of_activity_is_warned_of_with_all_that_is_there(
    step: int | None,
) -> None:
    till = member(rules([30, 7], None, inactivity_months=1))
    till.now = at("2026-03-10T09:00Z")
    till.adjust(11)
    pass_time(till, "2026-06-01T00:00Z", step)
    assert till.warnings() == [(MARCH, 30, 100, True), (MARCH, 7, 111, True)]
    sound(till)


def test_who_comes_again_is_warned_of_the_new_date_only() -> None:
    till = member(rules([30, 7], None, inactivity_months=1))
    till.now = at("2026-03-20T09:00Z")
    till.redeem(1)
    pass_time(till, "2026-06-01T00:00Z", DAY)
    assert till.warnings() == [
        (MARCH, 30, 100, True),
        (APRIL, 30, 99, True),
        (APRIL, 7, 99, True),
    ]


def test_lots_and_the_balance_have_dates_of_their_own() -> None:
    till = member(rules([7], 1, inactivity_months=2))
    till.publish(rules([7], None, inactivity_months=2), till.now)
    till.adjust(5)
    pass_time(till, "2026-06-01T00:00Z", DAY)
    assert till.warnings() == [(MARCH, 7, 100, False), (APRIL, 7, 5, True)]


def test_a_date_within_the_distance_of_the_latest_entry_is_not_warned_of() -> None:
    till = member(rules([60, 7], None, inactivity_months=1))
    # From 10 February to the end of March are fewer than 60 days.
    pass_time(till, "2026-06-01T00:00Z", DAY)
    assert till.warnings() == [(MARCH, 7, 100, True)]


# -- when to come by ------------------------------------------------------------------------------


def due(till: Till) -> int | None:
    return till.decide(Settle(program_id=PROGRAM, member_id="ann")).due_time


def test_the_next_warning_is_a_reason_to_come_by() -> None:
    till = member()
    instants = []
    while True:
        instant = due(till)
        if instant is None:
            break
        instants.append(instant)
        till.now = instant
        till.settle()
    assert instants == [
        at("2026-03-02T00:00+01:00"),
        at("2026-03-25T00:00+01:00"),
        at(MARCH),
    ]


def test_settling_twice_tells_the_same() -> None:
    till = member()
    till.now = at("2026-03-26T09:00Z")
    for _ in range(2):
        posting = till.decide(Settle(program_id=PROGRAM, member_id="ann"))
        assert posting.entries == []
        assert posting.warnings == [
            Warning(at(MARCH), 30, 100),
            Warning(at(MARCH), 7, 100),
        ]
        till.settle()
    assert len(till.told) == 2


# -- everything at once ---------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(
            st.integers(0, 40), st.sampled_from(["buy", "late", "redeem"]), st.integers(1, 9)
        ),
        min_size=1,
        max_size=6,
    ),
    st.lists(st.integers(1, 60), min_size=1, max_size=3, unique=True),
    st.integers(1, 3),
)
def test_of_lots_that_expire_exactly_those_were_warned_of_that_were_there(
    steps: list[tuple[int, str, int]], warn_days: list[int], months: int
) -> None:
    till = Till(rules(warn_days, months))
    till.enroll()
    zone = till.program.zone
    changes: list[tuple[int, dict[int, int]]] = []

    def note() -> None:
        lots = till.accounts["ann"].lots
        changes.append((till.now, {lot.expire_time or 0: lot.points for lot in lots}))

    for days, action, points in [*steps, (200, "buy", 1)]:
        till.now += days * DAY + 1
        till.settle()
        note()
        if action == "redeem" and till.accounts["ann"].available >= points:
            till.redeem(points)
        elif action != "redeem":
            when = till.now - 25 * DAY if action == "late" else None
            till.buy(f"{points}.00", when=when)
        note()

    expected = {}
    for ends in {entry_end for _, lots in changes for entry_end in lots}:
        for days in warn_days:
            moment = day_start(local_day(ends, zone) - days, zone)
            known: dict[int, int] = {}
            for instant, lots in changes:
                if instant < moment:
                    known = lots
            if moment < till.now and ends in known:
                expected[ends, days] = known[ends]
    told = {(ends, days): each.points for (_, ends, days, _), each in till.told.items()}
    assert told == expected


def test_a_thousand_lots_are_warned_of_and_expire_in_order() -> None:
    till = Till(rules([30, 7]))
    first = local_day(till.now, till.program.zone) + 40
    lots = tuple(Lot(day_start(first + day, till.program.zone), 3) for day in range(1000))
    account = Account(
        version=1,
        status="ACTIVE",
        available=3000,
        lots=lots,
        enroll_time=till.now,
        create_time=till.now,
    )
    context = Context(program=till.program, now=till.now + 1100 * DAY, actor="time")

    began = process_time()
    posting = decide(account, Settle(program_id=PROGRAM, member_id="ann"), context)
    took = process_time() - began

    assert len(posting.entries) == 1000
    assert len(posting.warnings) == 2000
    assert sum(warning.points for warning in posting.warnings) == 6000
    assert took < 10.0


def test_a_lot_and_the_balance_that_end_on_one_day_are_both_warned_of() -> None:
    rules = document(expiry={"after_months": 2, "inactivity_months": 2, "warn_days": [7]})
    till = Till(rules, now="2026-01-10T09:00Z")
    till.enroll()
    till.buy("100.00")
    till.now = at("2026-02-10T09:00Z")
    till.adjust(5)
    till.now = at("2026-03-30T09:00Z")
    till.settle()

    assert till.warnings() == [
        ("2026-03-31T22:00:00Z", 7, 100, False),
        ("2026-03-31T22:00:00Z", 7, 105, True),
    ]
