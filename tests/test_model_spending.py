"""The model against examples of spending, returning and losing points, worked out by hand."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from tests.model.shop import (
    NOW,
    PROGRAM,
    RULES,
    Shop,
    breakdown,
    by_time,
    days,
    given_by_time,
    instant,
    lots,
    rows,
    state,
    status,
    with_bonus,
    with_earning,
    with_tiers,
)

# -- holds and redemptions ------------------------------------------------------------------------


def test_example_9_last_taken_is_first_given_back() -> None:
    rules = {**with_earning(backdate_days=60), "expiry": {"after_months": 2}}
    shop = Shop(rules, now=instant("2027-02-20T12:00:00Z"))
    shop.buy("100.00", effective_time=instant("2027-01-20T12:00:00Z"))
    shop.buy("50.00")
    assert lots(shop) == {"2027-03-31": 100, "2027-04-30": 50}
    outcome = shop.write("redeem_points", points=120)
    assert rows(outcome) == [("REDEMPTION", -120)]
    assert lots(shop) == {"2027-04-30": 30}
    redemption = outcome[1]["redemption"]
    assert (redemption["points"], redemption["reversed"]) == (120, 0)
    outcome = shop.write("reverse_redemption", redemption_id=redemption["redemption_id"], points=60)
    assert outcome[1]["redemption"]["reversed"] == 60
    assert lots(shop) == {"2027-03-31": 40, "2027-04-30": 50}


def test_example_10_an_expiry_takes_what_is_left_of_its_lot() -> None:
    rules = {**with_earning(backdate_days=60), "expiry": {"after_months": 1}}
    shop = Shop(rules, now=instant("2027-04-20T12:00:00Z"))
    shop.buy("100.00", effective_time=instant("2027-03-20T12:00:00Z"))
    shop.buy("80.00")
    shop.write("redeem_points", points=30)
    shop.advance(instant("2027-04-30T22:00:00Z"))
    assert by_time(shop) == [("EXPIRY", -70, "2027-04-30T22:00")]
    assert state(shop) == (80, 0, 0, 0)


@pytest.mark.parametrize(
    ("price", "parts", "taken"),
    [
        pytest.param("30.00", ["10.00", "10.00", "10.00"], [-10, -10, -10], id="example 11"),
        pytest.param("9.99", ["3.33", "3.33", "3.33"], [-3, -3, -3], id="example 12"),
        pytest.param("10.00", ["3.33", "3.33", "3.34"], [-3, -3, -4], id="the rest at last"),
        pytest.param("5.00", ["0.10", "4.90"], [0, -5], id="first nothing"),
    ],
)
def test_partial_returns_add_up(price: str, parts: list[str], taken: list[int]) -> None:
    shop = Shop()
    shop.buy(price, purchase_id="p")
    for amount, points in zip(parts, taken, strict=True):
        assert rows(shop.write("record_return", purchase_id="p", amount=amount)) == [
            ("RETURN", points)
        ]
    assert state(shop) == (0, 0, 0, 0)
    assert shop.balance()["lifetime"] == 0
    again = shop.write("record_return", purchase_id="p", amount="0.01")
    assert again == ("refused", "RETURN_EXCEEDS_PURCHASE")


def test_example_13_a_debt_is_paid_by_what_comes_next() -> None:
    shop = Shop()
    shop.buy("10.00", purchase_id="p")
    shop.write("redeem_points", points=10)
    assert rows(shop.write("record_return", purchase_id="p", full=True)) == [("RETURN", -10)]
    assert state(shop) == (0, 0, 0, 10)
    assert rows(shop.buy("25.00")) == [("PURCHASE", 25), ("DEBT_PAYMENT", -10)]
    assert state(shop) == (15, 0, 0, 0)
    assert shop.model.trial_balance(PROGRAM) == {
        "issuance": -25,
        "redeemed": 10,
        "member:available": 15,
    }


def test_example_14_held_points_expire_when_they_come_back() -> None:
    rules = {**with_earning(), "expiry": {"after_months": 1}}
    shop = Shop(rules, now=instant("2027-03-20T12:00:00Z"))
    shop.buy("100.00")
    shop.advance(instant("2027-04-30T12:00:00Z"))
    _, done = shop.write("hold_points", points=100, ttl=days(4))
    shop.advance(instant("2027-05-02T12:00:00Z"))
    assert state(shop) == (0, 100, 0, 0)
    assert by_time(shop) == []
    assert rows(shop.write("release_hold", hold_id=done["hold"]["hold_id"])) == [("RELEASE", 100)]
    assert by_time(shop) == [("EXPIRY", -100, "2027-05-02T12:00")]
    assert state(shop) == (0, 0, 0, 0)


def test_examples_18_and_19_a_refusal_stays_though_points_come() -> None:
    shop = Shop()
    shop.buy("100.00")
    assert shop.write("redeem_points", points=80)[0] == "ok"
    second = {"request_id": "second", "points": 80}
    assert shop.write("redeem_points", **second) == ("refused", "INSUFFICIENT_POINTS")
    assert state(shop) == (20, 0, 0, 0)
    shop.buy("500.00")
    assert shop.write("redeem_points", **second) == ("refused", "INSUFFICIENT_POINTS")
    assert state(shop) == (520, 0, 0, 0)


def test_example_20_a_request_id_has_one_content() -> None:
    shop = Shop()
    shop.buy("100.00")
    assert shop.write("redeem_points", request_id="r", points=80)[0] == "ok"
    other = shop.write("redeem_points", request_id="r", points=20)
    assert other == ("refused", "REQUEST_ID_REUSED")
    again = shop.write("redeem_points", request_id="r", points=80)
    assert again[1]["replayed"]
    assert state(shop) == (20, 0, 0, 0)


def test_a_hold_ends_once_and_by_itself() -> None:
    shop = Shop()
    shop.buy("100.00")
    hold = {"hold_id": shop.write("hold_points", points=60)[1]["hold"]["hold_id"]}
    assert state(shop) == (40, 60, 0, 0)
    assert shop.write("capture_hold", points=61, **hold) == ("refused", "CAPTURE_EXCEEDS_HOLD")
    shop.advance(NOW + timedelta(minutes=10))
    assert shop.write("extend_hold", **hold)[1]["hold"]["expires"] == NOW + timedelta(minutes=25)
    shop.advance(NOW + timedelta(minutes=20))
    assert rows(shop.write("capture_hold", points=50, **hold)) == [
        ("CAPTURE", -50),
        ("RELEASE", 10),
    ]
    assert state(shop) == (50, 0, 0, 0)
    assert shop.write("release_hold", **hold) == ("refused", "HOLD_CLOSED")
    hold = {"hold_id": shop.write("hold_points", points=50)[1]["hold"]["hold_id"]}
    shop.advance(NOW + timedelta(minutes=35))
    assert by_time(shop) == [("RELEASE", 50, "2026-07-06T12:35")]
    assert shop.write("capture_hold", **hold) == ("refused", "HOLD_EXPIRED")
    assert shop.write("capture_hold", hold_id="m-1/h-9") == ("refused", "HOLD_NOT_FOUND")
    shop.enroll("m-2")
    assert shop.write("release_hold", member_id="m-2", **hold) == ("refused", "HOLD_NOT_FOUND")


@pytest.mark.parametrize(("grace", "left"), [(30, {"2027-06-01": 60, "2027-05-31": 0}), (0, {})])
def test_points_given_back_past_their_date_live_some_days_more(
    grace: int, left: dict[str, int]
) -> None:
    rules = {**with_earning(), "expiry": {"after_months": 1}}
    shop = Shop(
        {**rules, "redemption": {"restore_grace_days": grace}},
        now=instant("2027-03-20T12:00:00Z"),
    )
    shop.buy("100.00")
    _, done = shop.write("redeem_points", points=60)
    # Through the 30th day after 2 May, which is 1 June.
    shop.advance(instant("2027-05-02T12:00:00Z"))
    made = {"redemption_id": done["redemption"]["redemption_id"]}
    assert rows(shop.write("reverse_redemption", **made)) == [("REDEMPTION_REVERSAL", 60)]
    assert lots(shop) == {date: points for date, points in left.items() if points}
    again = shop.write("reverse_redemption", **made)
    assert again == ("refused", "REVERSAL_EXCEEDS_REDEMPTION")


def test_what_points_are_worth() -> None:
    value = {"value": {"points": 30, "amount": "1.00"}, "minimum_points": 10}
    shop = Shop({**RULES, "redemption": value})
    shop.buy("100.00")
    assert shop.write("redeem_points", points=9) == ("refused", "BELOW_MINIMUM")
    done = shop.write("redeem_points", points=50)[1]
    assert done["redemption"]["value"] == Fraction("1.66")


# -- rewards --------------------------------------------------------------------------------------

MUG = {"id": "mug", "kind": "ITEM", "value": "9.00", "points": 30, "stock": 1}
WARRANTY = {"id": "warranty", "kind": "PERK", "points": 0, "per_member": {"count": 1, "days": 10}}


def test_a_unit_is_taken_once_and_comes_back() -> None:
    shop = Shop({**RULES, "rewards": [MUG, WARRANTY]})
    shop.enroll("m-2")
    shop.buy("100.00")
    shop.buy("100.00", member_id="m-2")
    _, held = shop.write("hold_points", reward_id="mug")
    assert shop.model.offers(PROGRAM, "m-2") == {"mug": (False, 0), "warranty": (True, None)}
    outcome = shop.write("redeem_points", member_id="m-2", reward_id="mug")
    assert outcome == ("refused", "REWARD_OUT_OF_STOCK")
    part = shop.write("capture_hold", hold_id=held["hold"]["hold_id"], points=10)
    assert part == ("refused", "INVALID_FIELD")
    shop.advance(NOW + timedelta(minutes=15))
    done = shop.write("redeem_points", member_id="m-2", reward_id="mug")[1]["redemption"]
    assert (done["points"], done["value"]) == (30, 9)
    assert shop.model.units(PROGRAM) == {"mug": 1}
    back = {"member_id": "m-2", "redemption_id": done["redemption_id"]}
    shop.write("reverse_redemption", points=29, **back)
    assert shop.model.units(PROGRAM) == {"mug": 1}
    shop.write("reverse_redemption", **back)
    assert shop.model.units(PROGRAM) == {"mug": 0}


def test_a_reward_has_its_limit_its_tier_and_its_days() -> None:
    spring = {"id": "spring", "kind": "PERK", "points": 0, "until": "2026-07-05"}
    silver = {"id": "silver", "kind": "PERK", "points": 0, "minimum_tier": "silver"}
    shop = Shop({**with_tiers(), "rewards": [WARRANTY, spring, silver]})
    assert shop.write("redeem_points", reward_id="mug") == ("refused", "REWARD_NOT_FOUND")
    assert shop.write("redeem_points", reward_id="spring") == ("refused", "REWARD_NOT_ELIGIBLE")
    assert shop.write("redeem_points", reward_id="silver") == ("refused", "REWARD_NOT_ELIGIBLE")
    assert rows(shop.write("redeem_points", reward_id="warranty")) == [("REDEMPTION", 0)]
    for after, reason in ((9, "REWARD_LIMIT_REACHED"), (10, None)):
        shop.advance(NOW + days(after))
        outcome = shop.write("hold_points", reward_id="warranty")
        assert outcome[1] == reason if reason else outcome[0] == "ok"


# -- returns --------------------------------------------------------------------------------------


def test_a_return_takes_the_purchases_own_points_first() -> None:
    shop = Shop({**with_earning(pending_days=3, backdate_days=60), "expiry": {"after_months": 1}})
    shop.buy("10.00", effective_time=NOW - days(10))
    shop.buy("20.00", effective_time=NOW - days(20))
    assert (lots(shop), state(shop)) == ({"2026-07-31": 30}, (30, 0, 0, 0))
    shop.buy("15.00", purchase_id="p")
    assert rows(shop.write("record_return", purchase_id="p", amount="5.00")) == [("RETURN", -5)]
    assert state(shop) == (30, 0, 10, 0)
    shop.advance(NOW + days(3))
    assert lots(shop) == {"2026-07-31": 30, "2026-08-31": 10}
    shop.write("redeem_points", points=35)
    # The 5 that are left are its own, the others are owed.
    outcome = shop.write("record_return", purchase_id="p", full=True)
    assert rows(outcome) == [("RETURN", -5), ("RETURN", -5)]
    assert outcome[1]["entries"][0]["returned"] == {
        "amount": 15,
        "eligible": 15,
        "points": 15,
        "full": True,
    }
    assert state(shop) == (0, 0, 0, 5)


@pytest.mark.parametrize(
    ("shortfall", "outcome", "after"),
    [
        ("DEBT", [("RETURN", -4), ("RETURN", -6)], (0, 0, 0, 6)),
        ("FORGIVE", [("RETURN", -4)], (0, 0, 0, 0)),
        ("REFUSE", "RETURNED_POINTS_SPENT", (4, 0, 0, 0)),
    ],
)
def test_what_is_missing(shortfall: str, outcome: Any, after: tuple[int, ...]) -> None:
    shop = Shop({**RULES, "returns": {"shortfall": shortfall}})
    shop.buy("10.00", purchase_id="p")
    shop.write("redeem_points", points=6)
    returned = shop.write("record_return", purchase_id="p", full=True)
    assert (returned[1] if shortfall == "REFUSE" else rows(returned)) == outcome
    assert state(shop) == after


def test_lines_come_back_as_they_were_bought() -> None:
    shop = Shop()
    coffee = {"sku": "espresso", "category": "coffee", "quantity": 2, "amount": "6.00"}
    card = {"sku": "", "category": "gift-card", "quantity": 0, "amount": "14.00"}
    shop.buy("20.00", purchase_id="p", lines=[coffee, card])
    one = {**coffee, "quantity": 1, "amount": "3.00"}

    def give_back(*lines: dict[str, Any]) -> Any:
        outcome = shop.write("record_return", purchase_id="p", lines=list(lines))
        return rows(outcome) if outcome[0] == "ok" else outcome[1]

    assert give_back({**one, "quantity": 3}) == "RETURN_EXCEEDS_PURCHASE"
    assert give_back({**one, "sku": "mug"}) == "RETURN_EXCEEDS_PURCHASE"
    assert give_back(card) == [("RETURN", 0)]
    assert give_back(one) == [("RETURN", -3)]
    assert give_back(coffee) == "RETURN_EXCEEDS_PURCHASE"
    assert give_back(one) == [("RETURN", -3)]
    assert give_back(one) == "RETURN_EXCEEDS_PURCHASE"
    assert shop.write("record_return", purchase_id="q", full=True)[1] == "PURCHASE_NOT_FOUND"


def test_bonuses_go_with_the_whole_purchase_only() -> None:
    shop = Shop(with_bonus(on="PURCHASE_OVER", amount="20.00"))
    shop.buy("20.00", purchase_id="p")
    assert rows(shop.write("record_return", purchase_id="p", amount="19.99")) == [("RETURN", -19)]
    assert rows(shop.write("record_return", purchase_id="p", amount="0.01")) == [("RETURN", -41)]
    # A cap has cut the bonus before all else: 10 of its 40 points are left.
    rules = with_bonus(on="PURCHASE_OVER", amount="20.00")
    rules["earning"] = {**RULES["earning"], "caps": {"per_purchase": 30}}
    shop = Shop(rules)
    shop.buy("20.00", purchase_id="p")
    assert rows(shop.write("record_return", purchase_id="p", amount="10.00")) == [("RETURN", -10)]
    assert rows(shop.write("record_return", purchase_id="p", amount="10.00")) == [("RETURN", -20)]


def test_example_16_a_visit_is_left_where_another_purchase_makes_one() -> None:
    shop = Shop(with_tiers())
    for purchase_id in ("p", "q"):
        shop.buy("5.00", purchase_id=purchase_id)
    shop.write("record_return", purchase_id="p", full=True)
    assert (status(shop)["visits"], status(shop)["spend"]) == (1, 5)
    shop.write("record_return", purchase_id="q", amount="2.00")
    assert (status(shop)["visits"], status(shop)["spend"]) == (1, 3)
    shop.write("record_return", purchase_id="q", full=True)
    assert (status(shop)["visits"], status(shop)["spend"]) == (0, 0)


def test_a_returned_visit_makes_room_for_its_bonus_again() -> None:
    shop = Shop(with_bonus(on="EVERY_NTH_VISIT", n=2))
    shop.buy("1.00", purchase_id="a")
    shop.advance(NOW + days(1))
    assert breakdown(shop.buy("1.00", purchase_id="b")) == [("base", 1), ("bonus:b", 40)]
    shop.write("record_return", purchase_id="a", full=True)
    shop.advance(NOW + days(2))
    # The second visit again, and it was given for that.
    assert breakdown(shop.buy("1.00", purchase_id="c")) == [("base", 1)]
    shop.write("record_return", purchase_id="b", full=True)
    shop.advance(NOW + days(3))
    assert breakdown(shop.buy("1.00")) == [("base", 1), ("bonus:b", 40)]


# -- for want of activity -------------------------------------------------------------------------


def with_inactivity(**expiry: Any) -> dict[str, Any]:
    return {**with_earning(), "expiry": {"inactivity_months": 1, **expiry}}


def test_a_balance_expires_for_want_of_activity() -> None:
    shop = Shop(with_inactivity(warn_days=[30, 7]))
    shop.buy("10.00")
    shop.advance(NOW + days(20))
    shop.write("redeem_points", points=1)
    shop.advance(instant("2026-08-31T22:00:00Z"))
    assert by_time(shop) == [("EXPIRY", -9, "2026-08-31T22:00")]
    over = instant("2026-08-31T22:00:00Z")
    assert shop.model.warnings(PROGRAM, "m-1") == {(over, 30, True): 9, (over, 7, True): 9}
    # What comes in later has until the next such end, two months on.
    shop.advance(NOW + days(60))
    shop.write("adjust_points", points=5, reason_code="goodwill")
    shop.advance(instant("2026-10-31T23:00:00Z"))
    assert by_time(shop)[1:] == [("EXPIRY", -5, "2026-10-31T23:00")]


def test_held_points_fade_when_they_come_back() -> None:
    shop = Shop(with_inactivity())
    shop.buy("10.00")
    shop.advance(NOW + days(40))
    shop.write("hold_points", points=4, ttl=days(28))
    shop.advance(NOW + days(60))
    assert by_time(shop) == [("EXPIRY", -6, "2026-08-31T22:00")]
    shop.write("release_hold", hold_id="m-1/h-1")
    assert by_time(shop)[1:] == [("EXPIRY", -4, "2026-09-04T12:00")]


def test_a_new_rule_of_inactivity_counts_from_its_own_day() -> None:
    shop = Shop({**RULES, "expiry": {}})
    shop.buy("10.00")
    shop.model.publish_rules(PROGRAM, with_inactivity(), NOW + days(100))
    shop.advance(NOW + days(200))
    # 6 July and 100 days is 14 October.
    assert by_time(shop) == [("EXPIRY", -10, "2026-11-30T23:00")]


def test_a_gift_of_the_moment_at_which_a_balance_ends_stays() -> None:
    rules = with_inactivity()
    rules["bonuses"] = [{"id": "b", "on": "BIRTHDAY", "points": 40}]
    shop = Shop(rules)
    shop.enroll("m-2", birthday={"month": 9, "day": 1})
    shop.advance(instant("2026-08-31T22:00:00Z"))
    assert shop.balance(member_id="m-2")["available"] == 40


def test_warnings_come_once_for_each_lot_and_distance() -> None:
    shop = Shop({**with_earning(), "expiry": {"after_months": 1, "warn_days": [30, 7]}})
    shop.buy("10.00")
    shop.advance(NOW + days(50))
    over = instant("2026-08-31T22:00:00Z")
    # The first was 30 days ahead, when there were 10; this lot is born within 30 days.
    shop.write("redeem_points", points=4)
    shop.advance(NOW + days(60))
    assert shop.model.warnings(PROGRAM, "m-1") == {(over, 30, False): 10, (over, 7, False): 10}
    shop.buy("10.00")
    over = instant("2026-10-31T23:00:00Z")
    shop.advance(over - days(1))
    assert list(shop.model.warnings(PROGRAM, "m-1"))[2:] == [(over, 30, False), (over, 7, False)]


# -- by hand --------------------------------------------------------------------------------------


def test_adjustments_need_a_reason_and_from_some_size_on_a_second_principal() -> None:
    shop = Shop({**RULES, "adjustments": {"approval_above": 50, "reason_codes": ["oops"]}})
    wrong = shop.write("adjust_points", points=1, reason_code="goodwill")
    assert wrong == ("refused", "INVALID_FIELD")
    alone = shop.write("adjust_points", points=51, reason_code="oops")
    assert alone == ("refused", "APPROVAL_REQUIRED")
    assert shop.write("adjust_points", points=51, reason_code="oops", approver="b")[0] == "ok"
    assert rows(shop.write("adjust_points", points=-50, reason_code="oops")) == [
        ("ADJUSTMENT", -50)
    ]
    too_many = shop.write("adjust_points", points=-2, reason_code="oops")
    assert too_many == ("refused", "INSUFFICIENT_POINTS")
    assert (shop.balance()["available"], shop.balance()["lifetime"]) == (1, 0)
    assert shop.model.trial_balance(PROGRAM) == {"adjustments": -1, "member:available": 1}


def test_a_transfer_keeps_dates_and_pays_debts() -> None:
    shop = Shop({**with_earning(), "expiry": {"after_months": 1}})
    shop.enroll("m-2")
    shop.buy("10.00", member_id="m-2", purchase_id="p")
    shop.write("redeem_points", member_id="m-2", points=10)
    shop.write("record_return", member_id="m-2", purchase_id="p", full=True)
    shop.buy("30.00")
    assert rows(shop.write("transfer_points", to_member_id="m-2", points=25)) == [
        ("TRANSFER_OUT", -25)
    ]
    assert (state(shop), state(shop, "m-2")) == ((5, 0, 0, 0), (15, 0, 0, 0))
    assert lots(shop, "m-2") == {"2026-08-31": 15}
    assert "transfers" not in shop.model.trial_balance(PROGRAM)
    for fields, reason in (
        ({"to_member_id": "m-1", "points": 1}, "INVALID_FIELD"),
        ({"to_member_id": "m-3", "points": 1}, "MEMBER_NOT_FOUND"),
        ({"to_member_id": "m-2", "points": 6}, "INSUFFICIENT_POINTS"),
    ):
        assert shop.write("transfer_points", **fields) == ("refused", reason)


@pytest.mark.parametrize(
    ("name", "earns", "spends"),
    [("EARN_ONLY", True, False), ("SUSPENDED", False, False), ("CLOSED", False, False)],
)
def test_a_status_says_what_a_member_may_do(name: str, earns: bool, spends: bool) -> None:
    shop = Shop(with_bonus(on="MEMBERSHIP_ANNIVERSARY"))
    shop.buy("10.00")
    shop.write("hold_points", points=5, ttl=days(1))
    shop.write("set_member_status", status=name, reason="asked for it")
    refused = ("refused", "MEMBER_NOT_ACTIVE")
    assert (shop.buy("1.00") == refused) != earns
    assert (shop.write("redeem_points", points=1) == refused) != spends
    assert (shop.write("extend_hold", hold_id="m-1/h-1") == refused) != spends
    assert (shop.write("capture_hold", hold_id="m-1/h-1", points=4) == refused) != earns
    assert state(shop) == ((7, 0, 0, 0) if earns else (5, 5, 0, 0))
    # Time goes on, but what a suspension passes over is lost.
    shop.advance(NOW + days(370))
    assert state(shop)[:2] == ((47, 0) if earns else (10, 0))
    again = shop.write("set_member_status", status="ACTIVE", reason="asked for it")
    assert (again == refused) == (name == "CLOSED")
    assert given_by_time(shop) == (["2027-07-05T22:00"] if earns else [])
