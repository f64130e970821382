"""Redemptions: which points are spent, what they are worth, rewards, and giving back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.commands import RedeemPoints, ReverseRedemption
from ledger.core.errors import (
    BelowMinimum,
    EffectiveTimeOutOfRange,
    InsufficientPoints,
    LedgerError,
    RedemptionNotFound,
    RequestIdReused,
    ReversalExceedsRedemption,
    RewardLimitReached,
    RewardNotEligible,
    RewardNotFound,
    RewardOutOfStock,
)
from ledger.core.ids import hold_id, redemption_id
from ledger.core.instants import MINUTE
from ledger.core.model import MAX_POINTS, Mark, Receipt, RedemptionData
from ledger.core.rewards import offers
from tests.core.spending import Till, lots, redemption_of, rows, sound
from tests.memory import Document, at, document

A_MONTH = {"after_months": 1}
COFFEE = {"id": "coffee", "points": 45, "kind": "ITEM", "value": "4.50"}
PERK = {"id": "perk", "points": 0, "kind": "PERK"}


def rules(*rewards: Document, **sections: Any) -> Document:
    """Points worth a cent each, and rewards."""
    redemption = {"value": {"points": 100, "amount": "1.00"}, **sections.pop("redemption", {})}
    return document(redemption=redemption, rewards=list(rewards), **sections)


def rich(document_: Document, points: int = 100, now: str = "2026-01-10T09:00Z") -> Till:
    """A till with ann, who has so many points."""
    till = Till(document_, now=now)
    till.enroll()
    if points:
        till.adjust(points)
    return till


def march_and_april() -> Till:
    """ann has 100 points that end with March and 50 that end with April; it is 10 March."""
    till = rich(rules(expiry=A_MONTH), 0, "2026-03-10T09:00Z")
    till.buy("100.00", when="2026-02-20T12:00Z")
    till.buy("50.00")
    assert lots(till) == [("2026-04-01T00:00", 100), ("2026-05-01T00:00", 50)]
    return till


# -- what is spent --------------------------------------------------------------------------------


def test_example_9_what_was_taken_last_goes_back_first() -> None:
    till = march_and_april()

    spent = till.redeem(120)
    assert lots(till) == [("2026-05-01T00:00", 30)]
    till.now = at("2026-03-30T09:00Z")
    till.reverse(redemption_of(till, spent), 60)

    assert lots(till) == [("2026-04-01T00:00", 40), ("2026-05-01T00:00", 50)]
    sound(till)


def test_example_10_an_expiry_takes_what_is_left_of_its_lot() -> None:
    till = rich(rules(expiry=A_MONTH), 0, "2026-04-10T09:00Z")
    till.buy("100.00", when="2026-03-20T12:00Z")
    till.buy("80.00")

    till.redeem(30)
    till.now = at("2026-05-01T00:00+02:00")

    assert rows(till.settle()) == [("EXPIRY", -70)]
    assert till.state() == (80, 0, 0, 0)


@pytest.mark.parametrize(
    ("points", "left"),
    [
        (1, [99, 50, 7]),
        (100, [50, 7]),
        (101, [49, 7]),
        (150, [7]),
        (156, [1]),
        (157, []),
    ],
)
def test_the_soonest_to_expire_is_spent_first_and_what_never_ends_last(
    points: int, left: list[int]
) -> None:
    till = march_and_april()
    till.publish(rules(), till.now)
    till.adjust(7)
    assert lots(till)[-1] == ("never", 7)

    till.redeem(points)

    assert [lot.points for lot in till.accounts["ann"].lots] == left
    sound(till)


def test_a_redemption_moves_what_it_takes_and_names_what_it_is_worth() -> None:
    till = rich(rules())

    receipt = till.redeem(60, location_id="mitte", terminal_id="t-7")

    (entry,) = receipt.entries
    assert (entry.kind, entry.points, entry.subject_sequence) == ("REDEMPTION", -60, 0)
    assert (entry.debit_account, entry.credit_account) == ("member:available", "redeemed")
    assert (entry.location_id, entry.terminal_id, entry.actor) == ("mitte", "t-7", "till")
    made = entry.data.redemption
    assert made is not None
    assert (made.sequence, made.points, made.value) == (entry.sequence, 60, 60)
    assert (made.reversed_points, made.reversed) == (0, False)
    assert receipt.balance.available == 40
    # What was earned stays earned.
    assert receipt.balance.lifetime == 0
    assert till.trial_balance() == {"adjustments": -100, "member:available": 40, "redeemed": 60}


@pytest.mark.parametrize(
    ("value", "points", "worth"),
    [
        (None, 99, None),
        ({"points": 100, "amount": "1.00"}, 99, 99),
        ({"points": 100, "amount": "5.00"}, 99, 495),
        ({"points": 3, "amount": "0.01"}, 8, 2),
        ({"points": 3, "amount": "0.01"}, 2, 0),
        ({"points": 1, "amount": "0.00"}, 99, 0),
    ],
)
def test_points_are_worth_what_the_rules_say_rounded_down(
    value: Document | None, points: int, worth: int | None
) -> None:
    till = rich(document(redemption={"value": value}))
    made = till.redeem(points).entries[0].data.redemption
    assert made is not None
    assert made.value == worth


def test_the_rules_of_the_present_price_what_happened_before() -> None:
    till = rich(rules())
    till.publish(rules(redemption={"value": {"points": 1, "amount": "1.00"}}), till.now)

    (entry,) = till.redeem(5, effective_time=at("2026-01-09T12:00Z")).entries

    assert entry.data.redemption is not None
    assert entry.data.redemption.value == 500
    assert (entry.rules_version, entry.effective_time) == (2, at("2026-01-09T12:00Z"))


def test_what_is_spent_is_what_is_spendable_now() -> None:
    till = rich(rules(), 0)
    till.buy("10.00")

    # Yesterday there was nothing yet.
    assert rows(till.redeem(10, effective_time=at("2026-01-09T12:00Z")).entries) == [
        ("REDEMPTION", -10)
    ]


@pytest.mark.parametrize(
    ("when", "recorded"),
    [
        ("2025-12-10T23:00Z", "2025-12-10T23:00Z"),
        ("2026-01-10T09:00Z", "2026-01-10T09:00Z"),
        ("2026-01-10T09:05Z", "2026-01-10T09:00Z"),
        ("2025-12-10T22:59Z", None),
        ("2026-01-10T09:06Z", None),
    ],
)
def test_it_may_have_happened_as_long_ago_as_a_purchase(when: str, recorded: str | None) -> None:
    till = rich(rules())
    if recorded is None:
        with pytest.raises(EffectiveTimeOutOfRange):
            till.redeem(1, effective_time=at(when))
    else:
        (entry,) = till.redeem(1, effective_time=at(when)).entries
        assert entry.effective_time == at(recorded)


# -- what is refused ------------------------------------------------------------------------------


def test_examples_18_19_and_20_of_two_only_one_is_served_and_stays_so() -> None:
    till = rich(rules())
    first = till.request(RedeemPoints, points=80, request_id="a")
    second = till.request(RedeemPoints, points=80, request_id="b")
    assert isinstance(till.write(first), Receipt)

    refused = till.write(second)
    assert isinstance(refused, InsufficientPoints)
    assert refused.metadata == {"available": "20", "required": "80"}

    till.adjust(500)
    again = till.write(second)
    assert isinstance(again, InsufficientPoints)
    assert again.metadata == refused.metadata
    other = till.request(RedeemPoints, points=70, request_id="b")
    assert isinstance(till.write(other), RequestIdReused)
    assert till.state() == (520, 0, 0, 0)


@pytest.mark.parametrize(
    ("points", "refusal", "metadata"),
    [
        (100, None, {}),
        (99, BelowMinimum, {"points": "99", "minimum": "100"}),
        (1, BelowMinimum, {"points": "1", "minimum": "100"}),
        (151, InsufficientPoints, {"available": "150", "required": "151"}),
    ],
)
def test_there_is_a_least_that_is_spent_at_once(
    points: int, refusal: type[LedgerError] | None, metadata: dict[str, str]
) -> None:
    till = rich(rules(redemption={"minimum_points": 100}), 150)
    outcome = till.write(till.request(RedeemPoints, points=points))
    if refusal is None:
        assert isinstance(outcome, Receipt)
    else:
        assert type(outcome) is refusal
        assert isinstance(outcome, LedgerError)
        assert outcome.metadata == metadata
        assert till.state() == (150, 0, 0, 0)


def test_too_little_is_said_before_less_than_the_least() -> None:
    till = rich(rules(redemption={"minimum_points": 100}), 50)
    with pytest.raises(InsufficientPoints):
        till.redeem(60)


def test_what_waits_can_not_be_spent() -> None:
    till = Till(document({"pending_days": 14}))
    till.enroll()
    till.buy("100.00")
    with pytest.raises(InsufficientPoints):
        till.redeem(1)
    till.now = at("2026-01-24T00:00+01:00")
    till.redeem(100)


def test_what_has_expired_can_not_be_spent_whoever_comes_first() -> None:
    till = march_and_april()
    till.now = at("2026-04-01T00:00+02:00")
    before = len(till.journal())

    with pytest.raises(InsufficientPoints) as refused:
        till.redeem(51)
    assert refused.value.metadata["available"] == "50"
    assert len(till.journal()) == before  # a refusal posts nothing, not even what is due

    till.redeem(50)
    assert rows(till.journal()[before:]) == [("EXPIRY", -100), ("REDEMPTION", -50)]


# -- giving back ----------------------------------------------------------------------------------


def test_a_reversal_gives_back_all_that_is_left_when_it_does_not_say() -> None:
    till = rich(rules())
    redemption = redemption_of(till, till.redeem(60))

    first = till.reverse(redemption, 25).entries[0]
    last = till.reverse(redemption).entries[0]

    assert [(entry.kind, entry.points) for entry in (first, last)] == [
        ("REDEMPTION_REVERSAL", 25),
        ("REDEMPTION_REVERSAL", 35),
    ]
    for entry in (first, last):
        assert (entry.debit_account, entry.credit_account) == ("redeemed", "member:available")
        assert entry.subject_sequence == 3
    told = [entry.data.redemption for entry in (first, last)]
    assert [(one.reversed_points, one.reversed) for one in told if one is not None] == [
        (25, False),
        (60, True),
    ]
    assert till.state() == (100, 0, 0, 0)
    sound(till)


@pytest.mark.parametrize(
    ("before", "points", "left"),
    [
        ([], 61, 60),
        ([60], 1, 0),
        ([60], None, 0),
        ([None], None, 0),
        ([25, 25], 11, 10),
        ([59, 1], 1, 0),
    ],
)
def test_never_is_more_given_back_than_was_redeemed(
    before: list[int | None], points: int | None, left: int
) -> None:
    till = rich(rules())
    redemption = redemption_of(till, till.redeem(60))
    for part in before:
        till.reverse(redemption, part)

    with pytest.raises(ReversalExceedsRedemption) as refused:
        till.reverse(redemption, points)

    required = left if points is None else points
    assert refused.value.metadata == {
        "redemption_id": redemption,
        "left": str(left),
        "required": str(required),
    }


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=4),
    st.data(),
)
def test_however_it_is_split_every_point_goes_back_to_its_lot(
    amounts: list[int], data: st.DataObject
) -> None:
    till = Till(rules(expiry=A_MONTH), now="2026-06-10T09:00Z")
    till.enroll()
    for months, amount in enumerate(amounts, 1):
        till.publish(rules(expiry={"after_months": months}), till.now)
        till.buy(f"{amount}.00")
    before = till.accounts["ann"].lots
    total = sum(amounts)
    spent = data.draw(st.integers(1, total))
    redemption = redemption_of(till, till.redeem(spent))

    left = spent
    while left:
        part = data.draw(st.integers(1, left))
        till.reverse(redemption, part)
        left -= part
        # What has come back is what was taken last: the lots that end first are still short.
        short = [
            full.points
            - next(
                (
                    lot.points
                    for lot in till.accounts["ann"].lots
                    if lot.expire_time == full.expire_time
                ),
                0,
            )
            for full in before
        ]
        assert sum(short) == left
        open_lots = [index for index, points in enumerate(short) if points]
        assert all(
            short[index] == before[index].points for index in (open_lots[:-1] if left else [])
        )

    assert till.accounts["ann"].lots == before
    sound(till)


@pytest.mark.parametrize(
    ("grace", "ends"),
    [
        (30, "2026-05-11T00:00"),  # through the 30th day after 10 April
        (1, "2026-04-12T00:00"),
        (21, "2026-05-02T00:00"),
        (0, None),
    ],
)
def test_what_comes_back_past_its_date_lives_some_days_more(grace: int, ends: str | None) -> None:
    till = march_and_april()
    redemption = redemption_of(till, till.redeem(120))
    till.publish(rules(expiry=A_MONTH, redemption={"restore_grace_days": grace}), till.now)
    till.now = at("2026-04-10T09:00Z")

    receipt = till.reverse(redemption)

    if ends is None:
        assert rows(receipt.entries) == [("REDEMPTION_REVERSAL", 120), ("EXPIRY", -100)]
        assert {entry.effective_time for entry in receipt.entries} == {till.now}
        assert lots(till) == [("2026-05-01T00:00", 50)]
    else:
        assert rows(receipt.entries) == [("REDEMPTION_REVERSAL", 120)]
        assert lots(till) == sorted([("2026-05-01T00:00", 50), (ends, 100)])
    sound(till)


def test_what_is_not_past_its_date_keeps_it_however_near_it_is() -> None:
    till = march_and_april()
    redemption = redemption_of(till, till.redeem(100))
    till.now = at("2026-04-01T00:00+02:00") - 1

    till.reverse(redemption)

    assert lots(till)[0] == ("2026-04-01T00:00", 100)
    till.now += 1
    assert rows(till.settle()) == [("EXPIRY", -100)]


def test_two_parts_given_back_on_two_days_live_for_two_times() -> None:
    till = march_and_april()
    redemption = redemption_of(till, till.redeem(100))
    till.now = at("2026-04-10T09:00Z")
    till.reverse(redemption, 60)
    till.now = at("2026-04-11T09:00Z")
    till.reverse(redemption, 40)

    assert lots(till) == [
        ("2026-05-01T00:00", 50),
        ("2026-05-11T00:00", 60),
        ("2026-05-12T00:00", 40),
    ]


@pytest.mark.parametrize("what", ["other member", "hold", "purchase", "future", "zero", "noise"])
def test_an_id_that_is_no_redemption_of_the_member_is_not_found(what: str) -> None:
    till = rich(rules())
    till.enroll("bob")
    own = redemption_of(till, till.redeem(10))
    wrong = {
        "other member": redemption_id(till.program, "bob", 3),
        "hold": hold_id(till.program, "ann", 3),
        "purchase": redemption_id(till.program, "ann", 2),
        "future": redemption_id(till.program, "ann", 99),
        "zero": redemption_id(till.program, "ann", 0),
        "noise": f"{own} ",
    }[what]
    command = till.request(ReverseRedemption, redemption_id=wrong)

    outcome = till.write(command)

    assert isinstance(outcome, RedemptionNotFound)
    assert outcome.metadata == {"member_id": "ann", "redemption_id": wrong}
    # Nothing is remembered: what is there later may be found under the same request.
    assert (command.member_id, command.request_id) not in till.answered


def test_somebody_elses_redemption_is_not_found() -> None:
    till = rich(rules())
    till.enroll("bob")
    redemption = redemption_of(till, till.redeem(10))
    outcome = till.write(till.request(ReverseRedemption, "bob", redemption_id=redemption))
    assert isinstance(outcome, RedemptionNotFound)


def test_a_capture_can_be_given_back_too() -> None:
    till = march_and_april()
    receipt = till.capture(till.hold(120), 110)

    till.reverse(redemption_of(till, receipt), 30)

    assert lots(till) == [("2026-04-01T00:00", 20), ("2026-05-01T00:00", 50)]
    till.reverse(redemption_of(till, receipt))
    assert till.state() == (150, 0, 0, 0)
    sound(till)


def test_more_points_than_floats_can_count_go_and_come_back() -> None:
    huge = 2**53 + 1
    till = Till(rules())
    till.enroll()
    for part in 9 * [MAX_POINTS] + [huge - 9 * MAX_POINTS]:
        till.adjust(part)
    assert till.state() == (huge, 0, 0, 0)

    redemption = redemption_of(till, till.redeem(MAX_POINTS))
    assert till.state() == (huge - MAX_POINTS, 0, 0, 0)
    till.reverse(redemption, 1)
    till.reverse(redemption)

    assert till.state() == (huge, 0, 0, 0)
    sound(till)


# -- rewards --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reward", "points", "value", "percent_off"),
    [
        (COFFEE, 45, 450, ""),
        ({"id": "a", "points": 50, "kind": "AMOUNT_OFF", "value": "7.00"}, 50, 700, ""),
        ({"id": "a", "points": 50, "kind": "PERCENT_OFF", "percent": "12.50"}, 50, None, "12.50"),
        ({"id": "a", "points": 50, "kind": "ITEM"}, 50, None, ""),
        (PERK, 0, None, ""),
    ],
)
def test_a_reward_costs_its_points_and_is_worth_what_it_says(
    reward: Document, points: int, value: int | None, percent_off: str
) -> None:
    till = rich(rules(reward))

    (entry,) = till.redeem(reward_id=reward["id"]).entries

    made = entry.data.redemption
    assert made is not None
    assert (entry.points, made.points) == (-points, points)
    assert (made.value, made.percent_off, entry.data.reward_id) == (
        value,
        percent_off,
        reward["id"],
    )
    assert bool(entry.debit_account) == bool(entry.credit_account) == bool(points)
    assert till.state() == (100 - points, 0, 0, 0)
    sound(till)


def test_rewards_are_not_asked_for_the_least() -> None:
    till = rich(rules(COFFEE, PERK, redemption={"minimum_points": 100}))
    till.redeem(reward_id="coffee")
    till.redeem(reward_id="perk")
    assert till.state() == (55, 0, 0, 0)


def silver_rules(*rewards: Document) -> Document:
    levels = [
        {"id": "member"},
        {"id": "silver", "name": "Silver", "visits": 2},
        {"id": "gold", "visits": 9},
    ]
    return rules(*rewards, tiers={"period": {"rolling_days": 365}, "levels": levels})


@pytest.mark.parametrize(
    ("fields", "refusal", "metadata"),
    [
        ({}, None, {}),
        ({"points": 101}, InsufficientPoints, {"available": "100", "required": "101"}),
        (
            {"minimum_tier": "silver"},
            RewardNotEligible,
            {"reward_id": "a", "why": "it is for Silver and up"},
        ),
        ({"minimum_tier": "member"}, None, {}),
        ({"from": "2026-01-10", "until": "2026-01-10"}, None, {}),
        (
            {"from": "2026-01-11"},
            RewardNotEligible,
            {"reward_id": "a", "why": "it can be had from 11 January 2026 on"},
        ),
        (
            {"until": "2026-01-09"},
            RewardNotEligible,
            {"reward_id": "a", "why": "it could be had until 9 January 2026"},
        ),
        ({"stock": 0}, RewardOutOfStock, {"reward_id": "a"}),
        ({"stock": 1}, None, {}),
        # Each of these breaks every rule that is looked at later, too.
        (
            {"points": 101, "minimum_tier": "gold", "until": "2026-01-09", "stock": 0},
            InsufficientPoints,
            {"available": "100", "required": "101"},
        ),
        (
            {"minimum_tier": "gold", "until": "2026-01-09", "stock": 0},
            RewardNotEligible,
            {"reward_id": "a", "why": "it is for gold and up"},
        ),
        (
            {"until": "2026-01-09", "stock": 0},
            RewardNotEligible,
            {"reward_id": "a", "why": "it could be had until 9 January 2026"},
        ),
    ],
)
def test_a_reward_is_had_when_every_condition_holds(
    fields: Document, refusal: type[LedgerError] | None, metadata: dict[str, str]
) -> None:
    reward = {"id": "a", "points": 10, "kind": "ITEM", **fields}
    till = rich(silver_rules(reward))
    outcome = till.write(till.request(RedeemPoints, reward_id="a"))
    if refusal is None:
        assert isinstance(outcome, Receipt)
    else:
        assert type(outcome) is refusal
        assert isinstance(outcome, LedgerError)
        assert outcome.metadata == metadata
        assert till.units["a"] == 0


def test_out_of_stock_is_said_before_the_limit() -> None:
    reward = {**PERK, "stock": 1, "per_member": {"count": 1}}
    till = rich(rules(reward))
    till.redeem(reward_id="perk")
    with pytest.raises(RewardOutOfStock):
        till.redeem(reward_id="perk")


def test_a_higher_tier_may_have_what_a_lower_one_may() -> None:
    till = rich(silver_rules({**PERK, "minimum_tier": "silver"}))
    with pytest.raises(RewardNotEligible):
        till.redeem(reward_id="perk")
    till.override("gold", "2026-02-01T00:00Z")
    till.redeem(reward_id="perk")


def test_a_reward_that_nobody_knows_is_not_found_and_may_come() -> None:
    till = rich(rules())
    command = till.request(RedeemPoints, reward_id="coffee")
    outcome = till.write(command)
    assert isinstance(outcome, RewardNotFound)
    assert outcome.metadata == {"reward_id": "coffee", "program_id": "bean-street"}

    till.publish(rules(COFFEE), till.now)
    assert isinstance(till.write(command), Receipt)


def test_the_rules_of_the_present_decide_what_can_be_had() -> None:
    till = rich(rules(COFFEE))
    till.publish(rules({**COFFEE, "points": 90}), till.now)
    receipt = till.redeem(reward_id="coffee", effective_time=at("2026-01-09T12:00Z"))
    assert receipt.entries[0].points == -90
    till.publish(rules(), till.now)
    with pytest.raises(RewardNotFound):
        till.redeem(reward_id="coffee", effective_time=at("2026-01-09T12:00Z"))


# -- stock ----------------------------------------------------------------------------------------


def test_stock_is_never_oversold_and_comes_back_when_all_is_given_back() -> None:
    till = rich(rules({**COFFEE, "points": 10, "stock": 2}))
    first = redemption_of(till, till.redeem(reward_id="coffee"))
    assert till.journal()[-1].data.units == 1
    hold = till.hold(reward_id="coffee")
    for attempt in (till.redeem, till.hold):
        with pytest.raises(RewardOutOfStock):
            attempt(reward_id="coffee")

    till.reverse(first, 9)
    assert till.units["coffee"] == 2
    till.reverse(first, 1)
    assert till.journal()[-1].data.units == -1
    assert till.units["coffee"] == 1

    till.release(hold)
    assert till.units["coffee"] == 0
    assert till.state() == (100, 0, 0, 0)
    sound(till)


def test_a_larger_stock_in_a_later_version_tops_up() -> None:
    reward = {**PERK, "stock": 2}
    till = rich(rules(reward))
    for _ in range(2):
        till.redeem(reward_id="perk")

    till.publish(rules({**reward, "stock": 1}), till.now)
    with pytest.raises(RewardOutOfStock):
        till.redeem(reward_id="perk")
    till.publish(rules({**reward, "stock": 3}), till.now)
    till.redeem(reward_id="perk")
    with pytest.raises(RewardOutOfStock):
        till.redeem(reward_id="perk")
    assert till.units["perk"] == 3


def test_units_count_only_while_there_is_a_stock() -> None:
    till = rich(rules(PERK))
    before = redemption_of(till, till.redeem(reward_id="perk"))
    assert till.units["perk"] == 0
    till.publish(rules({**PERK, "stock": 1}), till.now)
    counted = redemption_of(till, till.redeem(reward_id="perk"))
    assert till.units["perk"] == 1

    till.reverse(before)
    assert till.units["perk"] == 1
    till.publish(rules(PERK), till.now)
    till.redeem(reward_id="perk")
    assert till.units["perk"] == 1
    # What was counted is given back, whether there is a stock now or not.
    till.reverse(counted)
    assert till.units["perk"] == 0


# -- limits ---------------------------------------------------------------------------------------


def test_a_member_has_a_reward_as_often_as_its_limit_says() -> None:
    till = rich(rules({**PERK, "per_member": {"count": 2, "days": 30}}))
    till.redeem(reward_id="perk")
    till.now = at("2026-01-20T09:00Z")
    redemption = redemption_of(till, till.redeem(reward_id="perk"))
    with pytest.raises(RewardLimitReached) as refused:
        till.redeem(reward_id="perk")
    assert refused.value.metadata == {"reward_id": "perk", "limit": "2 times in 30 days"}

    # Given back, it may be had again.
    till.reverse(redemption)
    till.redeem(reward_id="perk")

    till.now = at("2026-02-08T23:59+01:00")
    with pytest.raises(RewardLimitReached):
        till.redeem(reward_id="perk")
    till.now = at("2026-02-09T00:00+01:00")  # 10 January is 30 days ago
    till.redeem(reward_id="perk")
    with pytest.raises(RewardLimitReached):
        till.redeem(reward_id="perk")


def test_a_limit_without_days_is_for_ever_and_outlives_versions() -> None:
    reward = {**PERK, "per_member": {"count": 1}}
    till = rich(rules(reward))
    redemption = redemption_of(till, till.redeem(reward_id="perk"))
    assert till.accounts["ann"].marks[-1] == Mark(
        "reward:perk", (at("2026-01-10T00:00Z") // 86_400_000_000,)
    )
    till.now = at("2036-01-10T09:00Z")
    till.publish(rules({**reward, "points": 1}), till.now)
    with pytest.raises(RewardLimitReached) as refused:
        till.redeem(reward_id="perk")
    assert refused.value.metadata["limit"] == "once"
    till.reverse(redemption)
    assert till.accounts["ann"].marks == ()
    till.redeem(reward_id="perk")


def test_what_is_given_back_in_part_still_counts() -> None:
    till = rich(rules({**COFFEE, "per_member": {"count": 1}}))
    redemption = redemption_of(till, till.redeem(reward_id="coffee"))
    till.reverse(redemption, 44)
    with pytest.raises(RewardLimitReached):
        till.redeem(reward_id="coffee")
    till.reverse(redemption)
    till.redeem(reward_id="coffee")


def test_a_perk_is_given_back_once() -> None:
    till = rich(rules({**PERK, "stock": 1}))
    redemption = redemption_of(till, till.redeem(reward_id="perk"))

    (entry,) = till.reverse(redemption).entries

    assert (entry.points, entry.debit_account, entry.data.units) == (0, "", -1)
    assert entry.data.redemption is not None
    assert entry.data.redemption.reversed
    with pytest.raises(ReversalExceedsRedemption):
        till.reverse(redemption)
    assert till.units["perk"] == 0


# -- what is offered ------------------------------------------------------------------------------


def test_offers_say_what_can_be_had_and_why_not() -> None:
    rewards = [
        {"id": "now", "points": 100, "kind": "ITEM", "stock": 3},
        {"id": "dear", "points": 130, "kind": "ITEM"},
        {"id": "high", "points": 0, "kind": "PERK", "minimum_tier": "silver"},
        {"id": "later", "points": 0, "kind": "PERK", "from": "2026-02-01"},
        {"id": "gone", "points": 0, "kind": "PERK", "stock": 2},
        {"id": "once", "points": 0, "kind": "PERK", "per_member": {"count": 1}},
        {
            "id": "never",
            "points": 101,
            "kind": "ITEM",
            "minimum_tier": "gold",
            "until": "2026-01-09",
            "stock": 0,
        },
    ]
    till = rich(silver_rules(*rewards))
    till.redeem(reward_id="once")
    for _ in range(2):
        till.redeem(reward_id="gone")

    account, version = till.accounts["ann"], till.program.versions[0]
    found = offers(account, version.rules, till.program, till.now, till.units)

    assert [
        (offer.reward.id, offer.stock_left, [obstacle.reason for obstacle in offer.obstacles])
        for offer in found
    ] == [
        ("now", 3, []),
        ("dear", None, ["POINTS"]),
        ("high", None, ["TIER"]),
        ("later", None, ["WINDOW"]),
        ("gone", 0, ["STOCK"]),
        ("once", None, ["LIMIT"]),
        ("never", 0, ["POINTS", "TIER", "WINDOW", "STOCK"]),
    ]
    assert found[1].obstacles[0].missing_points == 30
    # What is offered without obstacles is had, and nothing else.
    for offer in found:
        outcome = till.write(till.request(RedeemPoints, reward_id=offer.reward.id))
        assert isinstance(outcome, Receipt) == (not offer.obstacles)


def test_a_redemption_counts_from_a_till_whose_clock_is_ahead() -> None:
    till = rich(rules(COFFEE))
    (entry,) = till.redeem(reward_id="coffee", effective_time=till.now + 5 * MINUTE).entries
    assert entry.effective_time == till.now


def test_points_that_are_worth_more_than_money_can_say_are_points_still() -> None:
    till = Till(document(redemption={"value": {"points": 1, "amount": "10000.00"}}))
    till.enroll()
    till.adjust(10**15)

    receipt = till.redeem(10**15)

    assert receipt.entries[0].data.redemption is not None
    assert receipt.entries[0].data.redemption.value is None
    till.adjust(1)
    assert till.redeem(1).entries[0].data.redemption == RedemptionData(5, 1, 10_000_00)
