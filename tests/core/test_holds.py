"""Holds: points reserved until they are captured, released or the time is over; ended once."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.apply import JournalCorrupt, apply, fold
from ledger.core.commands import (
    CaptureHold,
    Command,
    ExtendHold,
    HoldPoints,
    ReleaseHold,
)
from ledger.core.decide import decide
from ledger.core.errors import (
    BelowMinimum,
    CaptureExceedsHold,
    HoldClosed,
    HoldExpired,
    HoldNotFound,
    InsufficientPoints,
    InvalidArgument,
    LedgerError,
    RewardLimitReached,
    RewardNotFound,
    RewardOutOfStock,
)
from ledger.core.ids import hold_id, redemption_id
from ledger.core.instants import DAY, MINUTE, SECOND, day_start
from ledger.core.model import Account, Hold, Lot, Receipt
from ledger.core.posting import Context, Subject
from tests.core.spending import Till, lots, redemption_of, rows, sound
from tests.memory import PROGRAM, Document, at, document

A_MONTH = {"after_months": 1}
COFFEE = {"id": "coffee", "points": 45, "kind": "ITEM", "value": "4.50"}
VALUE = {"value": {"points": 100, "amount": "1.00"}}
NOW = at("2026-01-10T09:00Z")


def rich(rules: Document | None = None, points: int = 100) -> Till:
    """A till with ann, who has so many points; it is 10 January."""
    till = Till(rules or document(redemption=VALUE))
    till.enroll()
    if points:
        till.adjust(points)
    return till


def march_and_april() -> Till:
    """ann has 100 points that end with March and 50 that end with April; it is 10 March."""
    till = Till(document(expiry=A_MONTH, redemption=VALUE), now="2026-03-10T09:00Z")
    till.enroll()
    till.buy("100.00", when="2026-02-20T12:00Z")
    till.buy("50.00")
    return till


# -- holding --------------------------------------------------------------------------------------


def test_a_hold_puts_points_aside() -> None:
    till = march_and_april()

    receipt = till.write(till.request(HoldPoints, points=120, location_id="mitte"))

    assert isinstance(receipt, Receipt)
    (entry,) = receipt.entries
    assert (entry.kind, entry.points, entry.subject_sequence) == ("HOLD", -120, 0)
    assert (entry.debit_account, entry.credit_account) == ("member:available", "member:held")
    assert (entry.available_points, entry.held_points, entry.location_id) == (30, 120, "mitte")
    told = entry.data.hold
    assert told is not None
    assert (told.sequence, told.state, told.points) == (entry.sequence, "OPEN", 120)
    march, april = at("2026-04-01T00:00+02:00"), at("2026-05-01T00:00+02:00")
    assert [(lot.points, lot.expire_time, lot.hold) for lot in entry.data.lots] == [
        (-100, march, 0),
        (-20, april, 0),
        (100, march, entry.sequence),
        (20, april, entry.sequence),
    ]
    assert till.accounts["ann"].holds == (
        Hold(entry.sequence, till.now + 900 * SECOND, 120, (Lot(march, 100), Lot(april, 20)), 1),
    )
    assert lots(till) == [("2026-05-01T00:00", 30)]
    assert till.trial_balance()["member:held"] == 120
    sound(till)


def test_what_is_held_can_not_be_spent_or_held_again() -> None:
    till = rich()
    till.hold(80)
    for attempt in (till.redeem, till.hold):
        with pytest.raises(InsufficientPoints) as refused:
            attempt(21)
        assert refused.value.metadata == {"available": "20", "required": "21"}
    till.hold(20)
    assert till.state() == (0, 0, 100, 0)


@pytest.mark.parametrize(
    ("rules", "ttl", "lasts"),
    [
        ({}, None, 900 * SECOND),
        ({"hold_ttl_seconds": 60}, None, MINUTE),
        ({"hold_ttl_seconds": 60}, 2 * MINUTE, 2 * MINUTE),
        ({"hold_ttl_seconds": 60}, SECOND, SECOND),
        ({}, 28 * DAY, 28 * DAY),
    ],
)
def test_a_hold_lasts_as_asked_or_as_the_rules_say(
    rules: Document, ttl: int | None, lasts: int
) -> None:
    till = rich(document(redemption=rules))
    till.hold(10, ttl=ttl)
    (hold,) = till.accounts["ann"].holds
    assert hold.expire_time == NOW + lasts
    assert till.accounts["ann"].due_time == NOW + lasts


def test_there_is_a_least_that_is_held_at_once_but_not_for_rewards() -> None:
    till = rich(document(redemption={"minimum_points": 50}, rewards=[COFFEE]))
    with pytest.raises(BelowMinimum):
        till.hold(49)
    till.hold(reward_id="coffee")
    till.hold(50)


def test_a_hold_of_a_reward_that_is_not_there_is_not_found() -> None:
    till = rich()
    with pytest.raises(RewardNotFound):
        till.hold(reward_id="coffee")


# -- capturing ------------------------------------------------------------------------------------


def test_a_capture_spends_what_is_held() -> None:
    till = march_and_april()
    hold = till.hold(120)

    (entry,) = till.capture(hold, terminal_id="t-7").entries

    assert (entry.kind, entry.points, entry.subject_sequence) == ("CAPTURE", -120, 4)
    assert (entry.debit_account, entry.credit_account) == ("member:held", "redeemed")
    assert (entry.available_points, entry.held_points, entry.terminal_id) == (30, 0, "t-7")
    assert entry.data.hold is not None
    assert (entry.data.hold.state, entry.data.hold.captured_points) == ("CAPTURED", 120)
    made = entry.data.redemption
    assert made is not None
    assert (made.sequence, made.points, made.value) == (entry.sequence, 120, 120)
    assert till.accounts["ann"].holds == ()
    assert till.accounts["ann"].due_time == at("2026-05-01T00:00+02:00")
    sound(till)


@pytest.mark.parametrize(
    ("points", "left"),
    [
        (1, [("2026-04-01T00:00", 99), ("2026-05-01T00:00", 50)]),
        (99, [("2026-04-01T00:00", 1), ("2026-05-01T00:00", 50)]),
        (100, [("2026-05-01T00:00", 50)]),
        (110, [("2026-05-01T00:00", 40)]),
        (119, [("2026-05-01T00:00", 31)]),
    ],
)
def test_of_a_part_the_soonest_goes_and_the_rest_comes_back(
    points: int, left: list[tuple[str, int]]
) -> None:
    till = march_and_april()
    hold = till.hold(120)

    receipt = till.capture(hold, points)

    captured, rest = receipt.entries
    assert rows((captured, rest)) == [("CAPTURE", -points), ("RELEASE", 120 - points)]
    assert (rest.subject_sequence, rest.cause_sequence) == (4, captured.sequence)
    assert (rest.debit_account, rest.credit_account) == ("member:held", "member:available")
    for entry in (captured, rest):
        assert entry.data.hold is not None
        assert (entry.data.hold.state, entry.data.hold.captured_points) == ("CAPTURED", points)
    assert lots(till) == left
    assert till.state() == (150 - points, 0, 0, 0)
    sound(till)


def test_more_than_is_held_can_not_be_captured() -> None:
    till = rich()
    hold = till.hold(50)
    with pytest.raises(CaptureExceedsHold) as refused:
        till.capture(hold, 51)
    assert refused.value.metadata == {"hold_id": hold, "held": "50", "required": "51"}
    assert till.state() == (50, 0, 50, 0)
    till.capture(hold, 50)


def test_a_capture_is_worth_what_the_rules_of_the_hold_say() -> None:
    till = rich()
    hold = till.hold(50)
    till.publish(document(redemption={"value": {"points": 1, "amount": "1.00"}}), till.now)

    (entry,) = till.capture(hold).entries

    assert entry.data.redemption is not None
    assert (entry.data.redemption.value, entry.rules_version) == (50, 1)


# -- how a hold ends ------------------------------------------------------------------------------


def lapse(till: Till, hold: str) -> None:
    till.now += 900 * SECOND


def lapse_and_settle(till: Till, hold: str) -> None:
    lapse(till, hold)
    till.settle()


ENDS: dict[str, Callable[[Till, str], object]] = {
    "captured": lambda till, hold: till.capture(hold),
    "captured in part": lambda till, hold: till.capture(hold, 10),
    "released": lambda till, hold: till.release(hold),
    "lapsed": lapse_and_settle,
    "lapsed unseen": lapse,
}


@pytest.mark.parametrize("again", ["capture", "release", "extend"])
@pytest.mark.parametrize(
    ("end", "state"),
    [
        ("captured", "CAPTURED"),
        ("captured in part", "CAPTURED"),
        ("released", "RELEASED"),
        ("lapsed", "LAPSED"),
        ("lapsed unseen", "LAPSED"),
    ],
)
def test_a_hold_ends_exactly_once(end: str, state: str, again: str) -> None:
    till = rich()
    hold = till.hold(50)
    ENDS[end](till, hold)
    before = len(till.journal())

    with pytest.raises(LedgerError) as refused:
        getattr(till, again)(hold)

    if state == "LAPSED":
        assert type(refused.value) is HoldExpired
        assert refused.value.metadata == {"hold_id": hold, "expire_time": "2026-01-10T09:15:00Z"}
    else:
        assert type(refused.value) is HoldClosed
        assert refused.value.metadata == {"hold_id": hold, "state": state}
    assert len(till.journal()) == before
    till.settle()
    sound(till)
    assert till.accounts["ann"].holds == ()


def test_a_released_hold_comes_back_to_its_lots() -> None:
    till = march_and_april()
    before = till.accounts["ann"].lots
    hold = till.hold(120)

    (entry,) = till.release(hold).entries

    assert (entry.kind, entry.points, entry.subject_sequence) == ("RELEASE", 120, 4)
    assert (entry.debit_account, entry.credit_account) == ("member:held", "member:available")
    assert entry.data.hold is not None
    assert (entry.data.hold.state, entry.data.hold.captured_points) == ("RELEASED", 0)
    assert till.accounts["ann"].lots == before
    sound(till)


def test_a_hold_lapses_at_its_instant_and_not_before() -> None:
    till = rich()
    till.hold(50)
    till.now = NOW + 900 * SECOND - 1
    assert till.settle() == ()
    assert till.state() == (50, 0, 50, 0)

    till.now += 1
    (entry,) = till.settle()

    assert (entry.kind, entry.points, entry.actor) == ("RELEASE", 50, "time")
    assert (entry.effective_time, entry.subject_sequence) == (NOW + 900 * SECOND, 3)
    assert entry.data.hold is not None
    assert entry.data.hold.state == "LAPSED"
    assert till.state() == (100, 0, 0, 0)
    sound(till)


def test_in_its_last_microsecond_a_hold_can_be_captured() -> None:
    till = rich()
    hold = till.hold(50)
    till.now = NOW + 900 * SECOND - 1
    till.capture(hold)
    till.now += 1
    assert till.settle() == ()


def test_points_are_free_at_the_instant_whoever_comes_first() -> None:
    till = rich()
    till.hold(100)
    till.now = NOW + 900 * SECOND
    receipt = till.redeem(100)
    assert rows(till.journal()[-2:]) == [("RELEASE", 100), ("REDEMPTION", -100)]
    assert rows(receipt.entries) == [("REDEMPTION", -100)]


def test_holds_lapse_in_the_order_of_their_ends() -> None:
    till = rich()
    till.hold(10, ttl=3 * MINUTE)
    till.hold(20, ttl=MINUTE)
    till.hold(30, ttl=3 * MINUTE)
    till.hold(40, ttl=2 * MINUTE)
    till.now += 3 * MINUTE
    assert [(entry.points, entry.effective_time - NOW) for entry in till.settle()] == [
        (20, MINUTE),
        (40, 2 * MINUTE),
        (10, 3 * MINUTE),
        (30, 3 * MINUTE),
    ]
    sound(till)


# -- extending ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ttl", "ends"),
    [
        (None, 600 * SECOND + 900 * SECOND),
        (1000 * SECOND, 1600 * SECOND),
        (SECOND, 900 * SECOND),  # never sooner
        (300 * SECOND, 900 * SECOND),
        (28 * DAY, 600 * SECOND + 28 * DAY),
    ],
)
def test_an_extended_hold_lasts_at_least_so_long_from_now(ttl: int | None, ends: int) -> None:
    till = rich()
    hold = till.hold(50)
    till.now = NOW + 600 * SECOND

    (entry,) = till.extend(hold, ttl).entries

    assert (entry.kind, entry.points, entry.subject_sequence) == ("HOLD", 0, 3)
    assert (entry.debit_account, entry.credit_account, entry.data.lots) == ("", "", ())
    assert entry.data.hold is not None
    assert (entry.data.hold.sequence, entry.data.hold.state) == (3, "OPEN")
    assert (entry.data.hold.points, entry.data.hold.expire_time) == (50, NOW + ends)
    till.now = NOW + ends - 1
    assert till.settle() == ()
    till.now += 1
    assert rows(till.settle()) == [("RELEASE", 50)]
    sound(till)


def test_an_extended_hold_is_the_same_hold() -> None:
    till = march_and_april()
    till.hold(10, ttl=20 * MINUTE)
    hold = till.hold(120)
    till.extend(hold, 30 * MINUTE)
    till.extend(hold, 40 * MINUTE)
    assert [one.sequence for one in till.accounts["ann"].holds] == [4, 5]

    till.capture(hold, 100)

    assert till.state() == (40, 0, 10, 0)
    # The id of an extension is no hold's.
    extension = hold_id(till.program, "ann", 6)
    with pytest.raises(HoldNotFound):
        till.release(extension)
    with pytest.raises(HoldClosed):
        till.release(hold)


def test_extending_may_change_which_hold_lapses_first() -> None:
    till = rich()
    first = till.hold(10, ttl=MINUTE)
    till.hold(20, ttl=2 * MINUTE)
    till.extend(first, 3 * MINUTE)
    assert [hold.points for hold in till.accounts["ann"].holds] == [20, 10]
    assert till.accounts["ann"].due_time == NOW + 2 * MINUTE


# -- ids ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [CaptureHold, ReleaseHold, ExtendHold])
@pytest.mark.parametrize(
    "what", ["other member", "redemption", "adjustment", "capture", "future", "noise", "empty"]
)
def test_an_id_that_is_no_hold_of_the_member_is_not_found(what: str, kind: type[Command]) -> None:
    till = rich()
    till.enroll("bob")
    till.capture(till.hold(50))
    wrong = {
        "other member": hold_id(till.program, "bob", 3),
        "redemption": redemption_id(till.program, "ann", 4),
        "adjustment": hold_id(till.program, "ann", 2),
        "capture": hold_id(till.program, "ann", 4),
        "future": hold_id(till.program, "ann", 5),
        "noise": hold_id(till.program, "ann", 3).upper(),
        "empty": "",
    }[what]
    command = till.request(kind, hold_id=wrong)

    outcome = till.write(command)

    assert isinstance(outcome, HoldNotFound)
    assert (command.member_id, command.request_id) not in till.answered


def test_a_strangers_hold_is_not_found() -> None:
    till = rich()
    till.enroll("bob")
    hold = till.hold(50)
    assert isinstance(till.write(till.request(ReleaseHold, "bob", hold_id=hold)), HoldNotFound)


# -- held points and their dates ------------------------------------------------------------------


def a_lot_to_hold() -> tuple[Till, str]:
    """100 points that end with April, all held from 28 April to beyond that."""
    till = Till(document(expiry=A_MONTH), now="2026-04-28T09:00Z")
    till.enroll()
    till.buy("100.00", when="2026-03-30T12:00Z")
    return till, till.hold(100, ttl=5 * DAY)


def test_example_14_held_points_expire_when_they_come_back() -> None:
    till, hold = a_lot_to_hold()

    till.now = at("2026-05-01T00:00+02:00")
    assert till.settle() == ()
    till.now = at("2026-05-02T09:00Z")
    receipt = till.release(hold)

    assert rows(receipt.entries) == [("RELEASE", 100), ("EXPIRY", -100)]
    assert {entry.effective_time for entry in receipt.entries} == {till.now}
    assert till.state() == (0, 0, 0, 0)
    assert till.trial_balance()["expired"] == 100
    sound(till)


def test_held_points_may_be_captured_past_their_date() -> None:
    till, hold = a_lot_to_hold()
    till.now = at("2026-05-02T09:00Z")

    receipt = till.capture(hold, 60)

    assert rows(receipt.entries) == [("CAPTURE", -60), ("RELEASE", 40), ("EXPIRY", -40)]
    sound(till)


def test_what_lapses_past_its_date_expires_at_that_instant() -> None:
    till, _ = a_lot_to_hold()
    lapse = at("2026-05-03T09:00Z")
    till.now = lapse + DAY

    assert [(entry.kind, entry.effective_time) for entry in till.settle()] == [
        ("RELEASE", lapse),
        ("EXPIRY", lapse),
    ]


def test_at_one_instant_a_hold_lapses_then_pending_points_activate_then_lots_expire() -> None:
    end = at("2026-03-01T00:00+01:00")
    till = Till(document(expiry=A_MONTH), now="2026-01-31T12:00Z")
    till.enroll()
    till.buy("10.00")
    till.publish(document({"pending_days": 29}, expiry=A_MONTH), till.now)
    till.buy("5.00")
    till.now = end - DAY
    till.hold(4, ttl=DAY)
    till.now = end

    assert [(e.kind, e.points, e.effective_time) for e in till.settle()] == [
        ("RELEASE", 4, end),
        ("ACTIVATION", 5, end),
        ("EXPIRY", -15, end),
    ]
    sound(till)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.data())
def test_whatever_is_captured_no_point_is_lost_and_none_changes_its_date(
    amounts: list[int], data: st.DataObject
) -> None:
    till = Till(document(), now="2026-06-10T09:00Z")
    till.enroll()
    for months, amount in enumerate(amounts, 1):
        till.publish(document(expiry={"after_months": months}), till.now)
        till.buy(f"{amount}.00")
    before = till.accounts["ann"].lots
    total = sum(amounts)
    held = data.draw(st.integers(1, total))
    captured = data.draw(st.integers(0, held))
    hold = till.hold(held)

    if captured:
        till.capture(hold, captured)
    else:
        till.release(hold)

    left = captured
    expected = []
    for lot in before:
        part = min(left, lot.points)
        left -= part
        if lot.points > part:
            expected.append(Lot(lot.expire_time, lot.points - part))
    assert till.accounts["ann"].lots == tuple(expected)
    sound(till)


# -- holds of rewards -----------------------------------------------------------------------------


def test_a_reward_is_captured_whole() -> None:
    till = rich(document(rewards=[COFFEE], redemption=VALUE))
    hold = till.hold(reward_id="coffee")
    with pytest.raises(InvalidArgument) as invalid:
        till.capture(hold, 44)
    assert invalid.value.violations[0].field == "points"
    with pytest.raises(CaptureExceedsHold):
        till.capture(hold, 46)

    (entry,) = till.capture(hold, 45).entries

    assert entry.data.reward_id == "coffee"
    assert entry.data.redemption is not None
    assert (entry.points, entry.data.redemption.value) == (-45, 450)


def test_a_reward_for_nothing_is_held_and_captured_without_points() -> None:
    perk = {"id": "perk", "points": 0, "kind": "PERK", "stock": 1, "per_member": {"count": 1}}
    till = rich(document(rewards=[perk]), 0)
    hold = till.hold(reward_id="perk")
    assert till.accounts["ann"].holds[0].lots == ()

    receipt = till.capture(hold)

    assert rows(till.journal()[1:]) == [("HOLD", 0), ("CAPTURE", 0)]
    assert all(not entry.debit_account for entry in till.journal())
    assert till.accounts["ann"].holds == ()
    assert till.units["perk"] == 1
    till.reverse(redemption_of(till, receipt))
    assert till.units["perk"] == 0
    assert till.accounts["ann"].marks == ()
    sound(till)


@pytest.mark.parametrize("end", ["released", "lapsed", "lapsed unseen"])
@pytest.mark.parametrize("points", [0, 45])
def test_a_hold_that_comes_to_nothing_gives_back_the_unit_and_the_use(
    end: str, points: int
) -> None:
    reward = {"id": "a", "points": points, "kind": "ITEM", "stock": 1, "per_member": {"count": 1}}
    till = rich(document(rewards=[reward]))
    hold = till.hold(reward_id="a")
    with pytest.raises(RewardOutOfStock):
        till.hold(reward_id="a")

    ENDS[end](till, hold)
    till.settle()

    ended = till.journal()[-1]
    assert (ended.kind, ended.points, ended.data.units) == ("RELEASE", points, -1)
    assert ended.data.reward_id == "a"
    assert till.units["a"] == 0
    assert till.accounts["ann"].marks == ()
    till.hold(reward_id="a")
    sound(till)


def test_a_captured_reward_keeps_its_unit_and_its_use() -> None:
    reward = {**COFFEE, "stock": 5, "per_member": {"count": 1}}
    till = rich(document(rewards=[reward]))
    receipt = till.capture(till.hold(reward_id="coffee"))
    assert till.units["coffee"] == 1
    with pytest.raises(RewardLimitReached):
        till.hold(reward_id="coffee")

    redemption = redemption_of(till, receipt)
    till.reverse(redemption, 20)
    with pytest.raises(RewardLimitReached):
        till.hold(reward_id="coffee")
    till.reverse(redemption)
    assert till.units["coffee"] == 0
    till.hold(reward_id="coffee")
    sound(till)


def test_an_open_hold_keeps_what_it_reserved_whatever_new_rules_say() -> None:
    reward = {**COFFEE, "stock": 1, "per_member": {"count": 1}}
    till = rich(document(rewards=[reward]))
    kept, dropped = till.hold(reward_id="coffee"), None
    till.publish(document(rewards=[{**reward, "points": 90, "stock": 2}]), till.now)
    till.enroll("bob")
    till.adjust(100, member_id="bob")
    dropped = till.hold(reward_id="coffee", member_id="bob")
    till.publish(document(), till.now)

    (entry,) = till.capture(kept).entries
    till.release(dropped, member_id="bob")

    assert entry.points == -45
    assert entry.data.redemption is not None
    assert entry.data.redemption.value == 450
    assert till.units["coffee"] == 1
    assert till.state("bob") == (100, 0, 0, 0)
    sound(till)


# -- limits ---------------------------------------------------------------------------------------


def test_ten_thousand_lots_are_held_and_released_in_no_time() -> None:
    till = rich(points=0)
    start = at("2030-01-01T00:00Z")
    crowd = (*(Lot(start + number, 7) for number in range(9_999)), Lot(None, 7))
    account = Account(
        version=1, status="ACTIVE", available=70_000, lots=crowd, enroll_time=NOW, create_time=NOW
    )
    context = Context(program=till.program, now=NOW, actor="till")

    began = process_time()
    held = decide(account, till.request(HoldPoints, points=70_000), context)
    (entry,) = held.entries
    again = Context(program=till.program, now=NOW, actor="till", subject=Subject(entry, None))
    hold = hold_id(till.program, "ann", entry.sequence)
    released = decide(held.account, till.request(ReleaseHold, hold_id=hold), again)
    took = process_time() - began

    assert held.account.lots == ()
    assert len(held.account.holds[0].lots) == 10_000
    assert released.account.lots == crowd
    assert took < 1.0


def test_a_capture_of_a_half_of_ten_thousand_lots_is_quick_too() -> None:
    till = rich(points=0)
    crowd = tuple(Lot(day_start(30_000 + number, till.program.zone), 7) for number in range(10_000))
    account = Account(
        version=1, status="ACTIVE", available=70_000, lots=crowd, enroll_time=NOW, create_time=NOW
    )
    context = Context(program=till.program, now=NOW, actor="till")
    held = decide(account, till.request(HoldPoints, points=70_000), context)
    again = Context(
        program=till.program, now=NOW, actor="till", subject=Subject(held.entries[0], None)
    )
    hold = hold_id(till.program, "ann", 2)

    began = process_time()
    captured = decide(held.account, till.request(CaptureHold, hold_id=hold, points=35_001), again)
    took = process_time() - began

    assert [entry.points for entry in captured.entries] == [-35_001, 34_999]
    assert captured.account.lots == (Lot(crowd[5000].expire_time, 6), *crowd[5001:])
    assert took < 1.0
    assert fold(captured.entries, held.account) == captured.account


def test_a_thousand_open_holds_end_one_by_one() -> None:
    till = rich(points=1000)
    ids = [till.hold(1, ttl=DAY) for _ in range(1000)]
    assert till.state() == (0, 0, 1000, 0)
    for hold in ids[::3]:
        till.capture(hold)
    till.now += DAY
    began = process_time()
    assert len(till.settle()) == 666
    assert process_time() - began < 5.0
    assert till.state() == (666, 0, 0, 0)


def test_a_journal_can_not_end_a_hold_that_is_not_open() -> None:
    till = rich()
    till.release(till.hold(50))
    *others, last = till.journal()
    account = fold(others)
    assert apply(account, last).holds == ()
    again = fold([*others, last])
    last.sequence += 1
    with pytest.raises(JournalCorrupt) as found:
        apply(again, last)
    assert found.value.check == "holds"


def test_a_request_for_a_hold_has_one_outcome() -> None:
    till = rich()
    command = till.request(HoldPoints, points=50)
    assert command.program_id == PROGRAM
    first, again = till.write(command), till.write(command)
    assert isinstance(first, Receipt)
    assert isinstance(again, Receipt)
    assert (again.entries, again.replayed) == (first.entries, True)
    assert till.state() == (50, 0, 50, 0)


def test_a_unit_that_has_lapsed_can_be_had_by_whoever_held_it() -> None:
    mug = {"id": "mug", "name": "Mug", "points": 10, "kind": "ITEM", "stock": 1}
    till = Till(document(rewards=[mug]), now="2026-01-10T09:00Z")
    till.enroll()
    till.adjust(100)
    till.hold(reward_id="mug")
    till.now = at("2026-01-10T10:00Z")

    assert rows(till.redeem(reward_id="mug").entries) == [("REDEMPTION", -10)]
    sound(till)
