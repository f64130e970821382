"""Limits of a day: what one member may redeem and hand on, what counts, and what counts no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.errors import (
    BelowMinimum,
    InsufficientPoints,
    LedgerError,
    RedemptionLimitReached,
    TransferLimitReached,
    recall,
)
from ledger.core.model import DayUse, Entry, encode
from ledger.core.rewards import offers
from ledger.core.verify import verify_member
from tests.core.spending import Till, redemption_of, sound
from tests.forging import change, copied, forged
from tests.memory import Document, at, document

PERK = {"id": "perk", "points": 0, "kind": "PERK"}
COFFEE = {"id": "coffee", "points": 45, "kind": "ITEM", "per_member": {"count": 9, "days": 9}}
NOON = at("2026-01-10T11:00Z")  # in Berlin
MIDNIGHT = at("2026-01-10T23:00Z")


def rules(**limits: Document) -> Document:
    """Limits of a day for `redemption` and `transfers`, and some rewards."""
    sections = {name: {"per_day": limit} for name, limit in limits.items()}
    return document(rewards=[PERK, COFFEE], **sections)


def open_till(points: int = 1_000, **limits: Document) -> Till:
    """ann has so many points, bob has none; it is noon."""
    till = Till(rules(**limits), now=NOON)
    for member_id in ("ann", "bob"):
        till.enroll(member_id)
    till.adjust(points)
    return till


def used(till: Till) -> tuple[int, int] | None:
    """How often, and how many points, count for ann's latest day."""
    use = till.accounts["ann"].redeemed
    return None if use is None else (use.count, use.points)


def redeem_hold_and_perk(till: Till) -> None:
    till.redeem(10)
    till.hold(20)
    till.redeem(reward_id="perk")


@pytest.mark.parametrize(
    ("limit", "spend", "refused"),
    [
        ({"count": 1}, lambda till: till.redeem(1), True),
        ({"count": 2}, lambda till: till.redeem(1), False),
        ({"count": 1}, lambda till: till.hold(1), True),
        ({"count": 3}, redeem_hold_and_perk, True),
        ({"count": 4}, redeem_hold_and_perk, False),
        ({"points": 100}, lambda till: till.redeem(55), True),
        ({"points": 100}, lambda till: till.hold(reward_id="coffee"), False),
        ({"points": 99}, lambda till: till.hold(reward_id="coffee"), True),
        ({"points": 55}, redeem_hold_and_perk, True),
        ({"points": 85}, redeem_hold_and_perk, False),
        ({"points": 84}, redeem_hold_and_perk, True),
        ({"count": 9, "points": 99}, lambda till: till.redeem(45), True),
        ({"count": 1, "points": 999}, lambda till: till.redeem(45), True),
    ],
)
def test_what_a_day_has_seen_decides_whether_55_points_are_redeemed(
    limit: Document, spend: Callable[[Till], object], refused: bool
) -> None:
    till = open_till(redemption=limit)
    spend(till)

    for ask in (lambda: till.redeem(55), lambda: till.hold(55)):
        before = encode(till.accounts["ann"])
        if refused:
            with pytest.raises(RedemptionLimitReached):
                ask()
            assert encode(till.accounts["ann"]) == before
    if not refused:
        till.redeem(55)
    sound(till)


def test_a_refusal_says_what_is_allowed_what_is_left_and_from_when_again() -> None:
    till = open_till(redemption={"count": 3, "points": 500})
    till.redeem(200)
    till.redeem(200)

    with pytest.raises(RedemptionLimitReached) as refused:
        till.redeem(101)

    assert refused.value.metadata == {
        "required": "101",
        "limit": "3 times and 500 points",
        "left": "once and 100 points",
        "count_left": "1",
        "points_left": "100",
        "again_time": "2026-01-10T23:00:00Z",
    }
    assert refused.value.message == (
        "101 points are more than this member may redeem now: 3 times and 500 points a day are "
        "allowed, once and 100 points are left today; all of it again from 2026-01-10T23:00:00Z"
    )
    told_again = recall(refused.value.reason, refused.value.metadata)
    assert (told_again.message, told_again.code) == (refused.value.message, "FAILED_PRECONDITION")


def test_a_limit_of_one_kind_says_nothing_of_the_other() -> None:
    till = open_till(redemption={"points": 50})
    till.redeem(49)
    with pytest.raises(RedemptionLimitReached, match="50 points a day are allowed, 1 point are"):
        till.redeem(2)
    till = open_till(transfers={"count": 1})
    till.transfer("bob", 1)
    with pytest.raises(TransferLimitReached, match="once a day are allowed, 0 times are") as no:
        till.transfer("bob", 1)
    assert "points_left" not in no.value.metadata


def test_a_day_ends_with_local_midnight() -> None:
    till = open_till(redemption={"count": 1})
    till.redeem(1)
    till.now = MIDNIGHT - 1
    with pytest.raises(RedemptionLimitReached):
        till.redeem(1)
    till.now = MIDNIGHT
    till.redeem(1)
    with pytest.raises(RedemptionLimitReached, match="again from 2026-01-11T23:00:00Z"):
        till.redeem(1)
    sound(till)


def test_a_redemption_told_late_counts_on_the_day_it_is_told() -> None:
    till = open_till(redemption={"count": 1})
    till.now = at("2026-01-12T11:00Z")
    till.redeem(1, effective_time=at("2026-01-11T11:00Z"))
    with pytest.raises(RedemptionLimitReached):
        till.redeem(1)


def test_a_capture_does_not_count_again_and_a_part_not_captured_counts_no_more() -> None:
    till = open_till(redemption={"count": 2, "points": 100})
    hold = till.hold(80)
    assert used(till) == (1, 80)
    till.capture(hold, 30)
    assert used(till) == (1, 30)
    till.redeem(70)
    assert used(till) == (2, 100)
    sound(till)


@pytest.mark.parametrize("way", ["release", "lapse"])
def test_a_hold_that_comes_back_counts_no_more(way: str) -> None:
    till = open_till(redemption={"count": 1, "points": 100})
    hold = till.hold(100, ttl=60_000_000)
    if way == "release":
        till.release(hold)
    else:
        till.now += 60_000_000
    till.redeem(100)
    assert used(till) == (1, 100)
    sound(till)


def test_a_reversal_counts_its_points_back_at_once_and_the_time_with_the_last_of_them() -> None:
    till = open_till(redemption={"count": 1, "points": 100})
    made = redemption_of(till, till.redeem(100))
    till.reverse(made, 60)
    assert used(till) == (1, 40)
    with pytest.raises(RedemptionLimitReached, match="0 times and 60 points are left"):
        till.redeem(60)
    till.reverse(made)
    assert used(till) is None
    till.redeem(100)
    sound(till)


def test_a_captured_reward_that_is_given_back_counts_towards_neither_limit() -> None:
    till = open_till(redemption={"count": 1})
    made = redemption_of(till, till.capture(till.hold(reward_id="coffee")))
    till.reverse(made)
    assert (till.accounts["ann"].marks, used(till)) == ((), None)
    sound(till)


def test_what_comes_back_on_a_later_day_leaves_that_day_as_it_is() -> None:
    till = open_till(redemption={"count": 1})
    hold = till.hold(10, ttl=3 * 86_400_000_000)
    till.now = MIDNIGHT
    till.redeem(5)
    till.release(hold)
    assert used(till) == (1, 5)
    with pytest.raises(RedemptionLimitReached):
        till.redeem(5)
    sound(till)


def test_transfers_and_redemptions_have_limits_of_their_own() -> None:
    till = open_till(redemption={"count": 1}, transfers={"points": 100})
    till.redeem(10)
    till.transfer("bob", 60)
    with pytest.raises(TransferLimitReached):
        till.transfer("bob", 41)
    till.transfer("bob", 40)
    # What comes in does not count: bob may hand on what he was given, and so on.
    till.transfer("ann", 100, member_id="bob")
    with pytest.raises(RedemptionLimitReached):
        till.redeem(10)
    sound(till)


def test_what_else_speaks_against_it_is_said_first() -> None:
    till = open_till(20, redemption={"count": 1}, transfers={"count": 1})
    till.redeem(1)
    till.transfer("bob", 1)
    with pytest.raises(InsufficientPoints):
        till.redeem(19)
    with pytest.raises(InsufficientPoints):
        till.transfer("bob", 19)
    till.publish(document(redemption={"minimum_points": 5, "per_day": {"count": 1}}), till.now)
    with pytest.raises(BelowMinimum):
        till.redeem(1)


def test_a_limit_counts_from_the_first_redemption_under_it() -> None:
    till = open_till()
    hold = till.hold(10)
    made = redemption_of(till, till.redeem(10))
    assert used(till) is None
    till.publish(rules(redemption={"count": 1}), till.now)
    till.redeem(10)
    # What was not counted is not counted back.
    till.release(hold)
    till.reverse(made)
    assert used(till) == (1, 10)
    sound(till)


def test_a_stricter_limit_counts_what_the_day_has_seen() -> None:
    till = open_till(redemption={"points": 100})
    made = redemption_of(till, till.redeem(90))
    till.publish(rules(redemption={"points": 50}), till.now)
    with pytest.raises(RedemptionLimitReached, match="0 points are left"):
        till.redeem(1)
    till.publish(rules(), till.now)
    till.redeem(100)
    till.reverse(made)
    assert used(till) is None
    sound(till)


def test_rewards_say_that_the_day_is_over_for_them() -> None:
    till = open_till(redemption={"count": 2, "points": 50})
    till.redeem(10)

    def obstacles() -> list[list[tuple[str, str]]]:
        account, version = till.accounts["ann"], till.program.versions[-1]
        found = offers(account, version.rules, till.program, till.now, till.units)
        return [[(each.reason, each.text) for each in offer.obstacles] for offer in found]

    told = ("DAILY_LIMIT", "2 times and 50 points a day are allowed")
    assert obstacles() == [[], [told]]
    till.redeem(10)
    assert obstacles() == [[told], [told]]
    with pytest.raises(RedemptionLimitReached):
        till.redeem(reward_id="coffee")


def test_the_state_remembers_one_day_only() -> None:
    till = open_till(redemption={"points": 1_000}, transfers={"points": 1_000})
    sizes = set()
    for _ in range(40):
        till.now += 86_400_000_000
        till.redeem(2)
        till.transfer("bob", 2)
        state = till.accounts["ann"]
        sizes.add((len(encode(state.redeemed)), len(encode(state.transferred))))
    assert len(sizes) == 1


@given(
    limit=st.fixed_dictionaries({"count": st.integers(1, 4), "points": st.integers(1, 120)}),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["redeem", "hold", "capture", "release", "reverse", "wait"]),
            st.integers(1, 60),
            st.integers(0, 5),
        ),
        max_size=25,
    ),
)
def test_no_history_brings_more_out_of_a_day_than_is_allowed(
    limit: Document, steps: list[tuple[str, int, int]]
) -> None:
    """Looks at the journal alone: what left on each day and did not come back."""
    till = open_till(redemption=limit)
    holds: list[str] = []
    made: list[str] = []
    for what, points, choice in steps:
        try:
            if what == "redeem":
                made.append(redemption_of(till, till.redeem(points)))
            elif what == "hold":
                holds.append(till.hold(points, ttl=7_200_000_000))
            elif what == "wait":
                till.now += points * 600_000_000
            elif what == "reverse" and made:
                till.reverse(made[choice % len(made)], points if choice % 2 else None)
            elif holds and what == "capture":
                hold = holds[choice % len(holds)]
                part = points if choice % 2 else None
                made.append(redemption_of(till, till.capture(hold, part)))
            elif holds and what == "release":
                till.release(holds[choice % len(holds)])
        except LedgerError:
            pass
        for times, out in days_of(till.journal()).values():
            assert times <= limit["count"]
            assert out <= limit["points"]
    sound(till)


def days_of(journal: list[Entry] | tuple[Entry, ...]) -> dict[int, tuple[int, int]]:
    """By local day, how many holds and redemptions were made on it and are not all back, and the
    points that they took and did not bring back."""
    began: dict[int, int] = {}
    out: dict[int, int] = {}
    for entry in journal:
        if entry.kind in ("HOLD", "REDEMPTION"):
            began[entry.sequence] = entry.sequence
            out[entry.sequence] = -entry.points
        elif entry.kind == "CAPTURE":
            began[entry.sequence] = entry.subject_sequence
        elif entry.kind in ("RELEASE", "REDEMPTION_REVERSAL"):
            out[began[entry.subject_sequence]] -= entry.points
    days: dict[int, tuple[int, int]] = {}
    hours_east, day_length = 3_600_000_000, 86_400_000_000  # Berlin in January
    for entry in journal:
        if out.get(entry.sequence):
            day = (entry.create_time + hours_east) // day_length
            times, points = days.get(day, (0, 0))
            days[day] = times + 1, points + out[entry.sequence]
    return days


# -- verify ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sequence", "counted", "says"),
    [
        (3, None, "counted"),
        (3, DayUse(20463, 1, 60), "counted"),
        (3, DayUse(20463, 2, 61), "counted"),
        (3, DayUse(20462, 1, 61), "counted"),
        (4, DayUse(20463, 1, 38), "counted"),
        (5, None, "counted"),
        (5, DayUse(20463, 0, -39), "counted"),
        (6, None, "counted"),
        (6, DayUse(20463, -1, -62), "takes back what its day has not counted"),
        (7, None, "counted"),
    ],
)
def test_verify_finds_what_was_not_counted_as_it_should(
    sequence: int, counted: DayUse | None, says: str
) -> None:
    till = open_till(redemption={"count": 2, "points": 100}, transfers={"count": 1})
    made = till.redeem(61)
    till.release(till.hold(39))
    till.reverse(redemption_of(till, made))
    till.transfer("bob", 5)
    kinds = ["REDEMPTION", "HOLD", "RELEASE", "REDEMPTION_REVERSAL", "TRANSFER_OUT"]
    assert [entry.kind for entry in till.journal()[2:]] == kinds
    assert till.journal()[2].data.counted == DayUse(20463, 1, 61)
    assert found(till, 3) == []

    assert any(says in each for each in found(till, sequence, counted=counted))


def test_verify_finds_a_redemption_above_the_limit() -> None:
    till = open_till(redemption={"points": 100})
    till.redeem(60)
    till.publish(rules(redemption={"points": 200}), till.now)
    till.redeem(60)
    assert found(till, 4) == []

    details = found(till, 4, rules_version=1)

    assert details == ["60 points are more than was left of 100 points a day"]


def found(till: Till, sequence: int, **fields: Any) -> list[str]:
    """What verify finds of ann once one of her entries says something else, under a new chain."""
    entries = copied(till.journal())
    change(sequence, **fields)(entries)
    return [each.detail for each in verify_member(*forged(entries), till.program).findings]
