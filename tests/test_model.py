"""The model of `tests.model` against examples worked out by hand, so that it can be trusted."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.model import Model, day_start, eligible_amount, rounded
from tests.model.shop import (
    LEVELS,
    NOW,
    PROGRAM,
    RULES,
    Shop,
    breakdown,
    days,
    given_by_time,
    instant,
    status,
    with_bonus,
    with_earning,
    with_tiers,
)

# -- earning ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "lines"),
    [
        pytest.param("12.99", [("base", 12)], id="example 1"),
        pytest.param("0.00", [("base", 0)], id="nothing"),
        pytest.param("0.99", [("base", 0)], id="rounded down to nothing"),
        pytest.param("5000.99", [("base", 5000)], id="at the cap"),
        pytest.param(
            "6000.00", [("base", 6000), ("cap:per_purchase", -1000)], id="example 5, base only"
        ),
    ],
)
def test_a_purchase_earns(amount: str, lines: list[tuple[str, int]]) -> None:
    shop = Shop()
    assert breakdown(shop.buy(amount)) == lines
    assert shop.balance()["available"] == sum(points for _, points in lines)


def test_the_cap_of_a_day_counts_what_was_earned_after_caps() -> None:
    shop = Shop()
    assert breakdown(shop.buy("6000.00")) == [("base", 6000), ("cap:per_purchase", -1000)]
    assert breakdown(shop.buy("4999.00")) == [("base", 4999)]
    assert breakdown(shop.buy("6000.00")) == [
        ("base", 6000),
        ("cap:per_purchase", -1000),
        ("cap:per_day", -4999),
    ]
    assert breakdown(shop.buy("7.00")) == [("base", 7), ("cap:per_day", -7)]
    yesterday = NOW - timedelta(days=1)
    assert breakdown(shop.buy("7.00", effective_time=yesterday)) == [("base", 7)]
    # 22:00 UTC is midnight in Berlin.
    shop.advance(instant("2026-07-06T21:59:59Z"))
    assert breakdown(shop.buy("7.00")) == [("base", 7), ("cap:per_day", -7)]
    shop.advance(instant("2026-07-06T22:00:00Z"))
    assert breakdown(shop.buy("7.00")) == [("base", 7)]


def test_a_cap_lowered_during_the_day_takes_nothing_back() -> None:
    shop = Shop()
    shop.buy("100.00")
    shop.model.publish_rules(PROGRAM, with_earning(caps={"per_day": 60}))
    assert breakdown(shop.buy("10.00")) == [("base", 10), ("cap:per_day", -10)]
    assert shop.balance()["available"] == 100


def test_excluded_categories_earn_nothing() -> None:
    lines = [
        {"category": "gift-card", "amount": "5.00"},
        {"category": "coffee", "amount": "7.99"},
    ]
    assert eligible_amount({"amount": "12.99", "lines": lines}, ["gift-card"]) == Fraction("7.99")
    assert eligible_amount({"amount": "12.99", "lines": []}, ["gift-card"]) == Fraction("12.99")
    assert breakdown(Shop().buy("12.99", lines=lines)) == [("base", 7)]


@pytest.mark.parametrize(
    ("exact", "floor", "nearest", "ceiling"),
    [("2", 2, 2, 2), ("2.49", 2, 2, 3), ("2.5", 2, 3, 3), ("3.5", 3, 4, 4), ("0.01", 0, 0, 1)],
)
def test_rounding(exact: str, floor: int, nearest: int, ceiling: int) -> None:
    assert rounded(Fraction(exact), "FLOOR") == floor
    assert rounded(Fraction(exact), "NEAREST") == nearest
    assert rounded(Fraction(exact), "CEILING") == ceiling


def test_rates_are_exact() -> None:
    # 3 points per 0.10; in binary floating point 0.30 would earn 8.
    shop = Shop(with_earning(rate={"points": 3, "per": "0.10"}))
    assert breakdown(shop.buy("0.30")) == [("base", 9)]


def test_a_preview_is_what_a_purchase_would_earn_and_changes_nothing() -> None:
    shop = Shop()
    request = {
        "program_id": PROGRAM,
        "member_id": "m-1",
        "purchase_id": "p-1",
        "amount": "6000.00",
    }
    preview = shop.model.preview_purchase(request)
    assert preview == (
        "ok",
        {"points": 5000, "breakdown": [("base", 6000), ("cap:per_purchase", -1000)]},
    )
    assert shop.balance()["lifetime"] == 0
    assert breakdown(shop.buy("6000.00")) == preview[1]["breakdown"]
    assert shop.model.preview_purchase(request) == ("refused", "PURCHASE_ALREADY_RECORDED")


# -- lots ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("purchase", "months", "expires"),
    [
        pytest.param("2026-07-06T12:00:00Z", 12, "2027-07-31T22:00:00Z", id="example 6"),
        pytest.param("2026-02-28T23:30:00Z", 12, "2027-03-31T22:00:00Z", id="example 7"),
        pytest.param("2025-01-31T12:00:00Z", 1, "2025-02-28T23:00:00Z", id="example 8"),
        pytest.param("2026-12-31T22:59:59Z", 1, "2027-01-31T23:00:00Z", id="end of the year"),
        pytest.param("2026-12-31T23:00:00Z", 1, "2027-02-28T23:00:00Z", id="start of the year"),
    ],
)
def test_a_lot_lives_to_the_end_of_its_last_local_month(
    purchase: str, months: int, expires: str
) -> None:
    shop = Shop({**RULES, "expiry": {"after_months": months}}, now=instant(purchase))
    shop.buy("100.00")
    end = instant(expires)
    assert shop.balance()["next_expiry"] == (end, 100)
    assert shop.balance(end - timedelta(microseconds=1))["available"] == 100
    after = shop.balance(end)
    assert (after["available"], after["expired"], after["lifetime"]) == (0, 100, 100)
    assert shop.moved_by_time(end) == {("EXPIRY", end): -100}


def test_points_without_an_expiry_live_for_ever() -> None:
    shop = Shop({"earning": RULES["earning"]})
    shop.buy("100.00")
    later = shop.balance(NOW + timedelta(days=36500))
    assert (later["available"], later["next_expiry"]) == (100, None)


def test_pending_points_activate_when_the_nth_local_day_begins() -> None:
    # In Berlin 2026-03-28T23:30Z is the 29th, the day summer time begins.
    shop = Shop(with_earning(pending_days=14), now=instant("2026-03-28T23:30:00Z"))
    shop.buy("100.00")
    activates = instant("2026-04-11T22:00:00Z")
    before, after = shop.balance(activates - timedelta(seconds=1)), shop.balance(activates)
    assert (before["available"], before["pending"], before["next_expiry"]) == (0, 100, None)
    assert (after["available"], after["pending"]) == (100, 0)
    assert shop.moved_by_time(activates) == {("ACTIVATION", activates): 100}


def test_a_late_purchase_activates_and_expires_at_its_own_instants() -> None:
    rules = {**with_earning(pending_days=2, backdate_days=100), "expiry": {"after_months": 1}}
    shop = Shop(rules)
    late = instant("2026-04-10T12:00:00Z")
    shop.buy("100.00", effective_time=late)
    balance = shop.balance()
    assert (balance["available"], balance["pending"], balance["expired"]) == (0, 0, 100)
    assert shop.moved_by_time() == {
        ("ACTIVATION", instant("2026-04-11T22:00:00Z")): 100,
        ("EXPIRY", instant("2026-05-31T22:00:00Z")): -100,
    }


def test_the_past_knows_nothing_of_what_was_recorded_later() -> None:
    shop = Shop()
    shop.buy("10.00")
    shop.advance(NOW + timedelta(days=2))
    shop.buy("5.00", effective_time=NOW)
    assert shop.balance(NOW + timedelta(days=1))["available"] == 10
    assert shop.balance(NOW - timedelta(days=1))["lifetime"] == 0
    assert shop.balance()["available"] == 15
    assert shop.model.totals(PROGRAM) == {
        "members": 1,
        "available": 15,
        "held": 0,
        "pending": 0,
        "debt": 0,
        "expired": 0,
        "lifetime": 15,
    }


@pytest.mark.parametrize(
    ("day", "zone", "start"),
    [
        ((2026, 3, 29), "Europe/Berlin", "2026-03-28T23:00:00Z"),
        ((2026, 3, 30), "Europe/Berlin", "2026-03-29T22:00:00Z"),
        ((2026, 10, 26), "Europe/Berlin", "2026-10-25T23:00:00Z"),
        # The clock goes from 00:00 to 01:00: there is no midnight.
        ((2018, 11, 4), "America/Sao_Paulo", "2018-11-04T03:00:00Z"),
        # The whole of 30 December was skipped.
        ((2011, 12, 30), "Pacific/Apia", "2011-12-30T10:00:00Z"),
        ((2011, 12, 31), "Pacific/Apia", "2011-12-30T10:00:00Z"),
    ],
)
def test_a_local_day_begins(day: tuple[int, int, int], zone: str, start: str) -> None:
    assert day_start(date(*day), ZoneInfo(zone)) == instant(start)


# -- joining ------------------------------------------------------------------------------------

WELCOME = {
    **RULES,
    "members": {"auto_enroll": True},
    "bonuses": [{"id": "welcome", "on": "ENROLLMENT", "points": 50, "expires_days": 60}],
}


def test_joining_gives_the_bonus_of_enrollment() -> None:
    shop = Shop(WELCOME)
    kinds = [(entry["kind"], entry["points"]) for entry in shop.model.journal(PROGRAM, "m-1")]
    assert kinds == [("ENROLLED", 0), ("BONUS", 50)]
    # Through the 60th day after 6 July, which is 4 September.
    assert shop.balance()["next_expiry"] == (instant("2026-09-04T22:00:00Z"), 50)


def test_an_unknown_member_joins_with_a_purchase_where_the_program_says_so() -> None:
    shop = Shop(WELCOME)
    _, done = shop.buy("12.99", member_id="m-2")
    assert [entry["kind"] for entry in done["entries"]] == ["ENROLLED", "BONUS", "PURCHASE"]
    assert done["balance"]["available"] == 62
    assert Shop().buy("12.99", member_id="m-2") == ("refused", "MEMBER_NOT_FOUND")


def test_a_member_joins_once() -> None:
    shop = Shop()
    assert shop.enroll("m-1")[1]["replayed"]
    assert shop.enroll("m-1", location_id="here") == ("refused", "REQUEST_ID_REUSED")
    assert shop.enroll("m-1", request_id="again") == ("refused", "MEMBER_ALREADY_ENROLLED")
    # That is not remembered: the request_id is still free.
    assert shop.buy("1.00", request_id="again")[0] == "ok"


# -- idempotency and refusals -------------------------------------------------------------------


def test_a_repeat_gets_the_first_answer_and_changes_nothing() -> None:
    shop = Shop()
    _, first = shop.buy("12.99", request_id="r", purchase_id="p")
    shop.buy("100.00")
    shop.advance(NOW + timedelta(days=400))
    again = shop.buy("12.990", request_id="r", purchase_id="p", location_id="", lines=[])
    assert again == ("ok", {**first, "replayed": True})
    assert again[1]["balance"]["available"] == 12
    assert shop.balance()["lifetime"] == 112


@pytest.mark.parametrize(
    "changed",
    [
        {"amount": "13.00"},
        {"purchase_id": "other"},
        {"location_id": "here"},
        {"effective_time": NOW},
        {"lines": [{"category": "coffee", "amount": "12.99"}]},
    ],
)
def test_a_request_id_with_other_content_is_refused(changed: dict[str, Any]) -> None:
    shop = Shop()
    request = {"request_id": "r", "purchase_id": "p", "amount": "12.99"}
    assert shop.buy(**request)[0] == "ok"
    assert shop.buy(**{**request, **changed}) == ("refused", "REQUEST_ID_REUSED")
    assert shop.buy(**request)[1]["replayed"]
    assert shop.balance()["lifetime"] == 12


def test_a_request_id_belongs_to_one_member() -> None:
    shop = Shop()
    shop.enroll("m-2")
    assert shop.buy("1.00", request_id="r")[0] == "ok"
    assert shop.buy("2.00", request_id="r", member_id="m-2")[0] == "ok"


def test_a_receipt_earns_once_whoever_sends_it() -> None:
    shop = Shop(WELCOME)
    shop.enroll("m-2")
    assert shop.buy("10.00", purchase_id="p")[0] == "ok"
    for fields in ({}, {"member_id": "m-2"}, {"member_id": "unknown"}):
        outcome = shop.buy("10.00", purchase_id="p", **fields)
        assert outcome == ("refused", "PURCHASE_ALREADY_RECORDED")
    assert shop.balance()["lifetime"] == 60
    assert shop.balance(member_id="m-2")["lifetime"] == 50
    assert shop.model.balance(PROGRAM, "unknown") == ("refused", "MEMBER_NOT_FOUND")


def test_a_refusal_stays_the_answer_of_its_request_id() -> None:
    shop = Shop()
    tomorrow = {"request_id": "r", "purchase_id": "p", "effective_time": NOW + timedelta(days=1)}
    assert shop.buy("10.00", **tomorrow) == ("refused", "EFFECTIVE_TIME_OUT_OF_RANGE")
    shop.advance(NOW + timedelta(days=1))
    assert shop.buy("10.00", **tomorrow) == ("refused", "EFFECTIVE_TIME_OUT_OF_RANGE")
    assert shop.buy("11.00", **tomorrow) == ("refused", "REQUEST_ID_REUSED")
    assert shop.balance()["lifetime"] == 0
    # It left nothing behind: the receipt may still earn.
    assert shop.buy("10.00", **{**tomorrow, "request_id": "other"})[0] == "ok"


def test_a_refusal_of_an_unknown_member_is_forgotten() -> None:
    shop = Shop()
    request = {"request_id": "r", "purchase_id": "p", "member_id": "m-2"}
    assert shop.buy("10.00", **request) == ("refused", "MEMBER_NOT_FOUND")
    shop.enroll("m-2")
    assert shop.buy("11.00", **request)[0] == "ok"

    shop = Shop(WELCOME)
    early = {**request, "effective_time": NOW + timedelta(days=1)}
    assert shop.buy("10.00", **early) == ("refused", "EFFECTIVE_TIME_OUT_OF_RANGE")
    shop.advance(NOW + timedelta(days=1))
    assert shop.buy("11.00", **early)[0] == "ok"


@pytest.mark.parametrize(
    ("effective", "counts_as"),
    [
        (NOW + timedelta(minutes=5, microseconds=1), None),
        (NOW + timedelta(minutes=5), NOW),
        (NOW + timedelta(microseconds=1), NOW),
        (NOW, NOW),
        # 30 days before 6 July is 6 June, which begins at 22:00 UTC on the 5th.
        (instant("2026-06-05T22:00:00Z"), instant("2026-06-05T22:00:00Z")),
        (instant("2026-06-05T21:59:59Z"), None),
    ],
)
def test_the_window_of_effective_times(effective: datetime, counts_as: datetime | None) -> None:
    state, done = Shop().buy("1.00", effective_time=effective)
    if counts_as is None:
        assert (state, done) == ("refused", "EFFECTIVE_TIME_OUT_OF_RANGE")
    else:
        assert done["entries"][-1]["effective_time"] == counts_as


# -- programs -----------------------------------------------------------------------------------


def test_the_rules_in_force_when_a_purchase_happened_decide() -> None:
    shop = Shop()
    change = NOW + timedelta(days=10)
    double = with_earning(rate={"points": 2, "per": "1.00"}, backdate_days=5)
    assert shop.model.publish_rules(PROGRAM, double, change) == ("ok", {"version": 2})
    assert breakdown(shop.buy("10.00")) == [("base", 10)]
    shop.advance(change)
    assert breakdown(shop.buy("10.00")) == [("base", 20)]
    # The window is that of the version then in force, which allows 30 days.
    before = change - timedelta(microseconds=1)
    assert breakdown(shop.buy("10.00", effective_time=before)) == [("base", 10)]
    long_before = NOW - timedelta(days=15)
    assert breakdown(shop.buy("10.00", effective_time=long_before)) == [("base", 10)]
    shop.advance(change + timedelta(days=6))
    outcome = shop.buy("10.00", effective_time=change)
    assert outcome == ("refused", "EFFECTIVE_TIME_OUT_OF_RANGE")


def test_programs_clocks_and_versions_refuse() -> None:
    shop = Shop()
    model = shop.model
    program = {"program_id": PROGRAM, "currency": "EUR", "time_zone": "Europe/Berlin"}
    later, earlier = NOW + timedelta(days=1), NOW - timedelta(days=1)
    assert model.create_program(program, RULES) == ("refused", "PROGRAM_ALREADY_EXISTS")
    assert model.advance_clock("other", later) == ("refused", "PROGRAM_NOT_FOUND")
    assert model.advance_clock(PROGRAM, earlier) == ("refused", "EFFECTIVE_TIME_OUT_OF_RANGE")
    assert model.advance_clock(PROGRAM, NOW)[0] == "ok"
    assert model.publish_rules("other", RULES) == ("refused", "PROGRAM_NOT_FOUND")
    outcome = model.publish_rules(PROGRAM, RULES, earlier)
    assert outcome == ("refused", "EFFECTIVE_TIME_OUT_OF_RANGE")
    outcome = model.publish_rules(PROGRAM, RULES, later, expected_version=2)
    assert outcome == ("refused", "VERSION_MISMATCH")
    assert model.publish_rules(PROGRAM, RULES, later, expected_version=1)[0] == "ok"
    outcome = model.publish_rules(PROGRAM, RULES, NOW)
    assert outcome == ("refused", "EFFECTIVE_TIME_OUT_OF_RANGE")
    assert model.create_program({**program, "program_id": "real"}, RULES)[0] == "ok"
    assert model.advance_clock("real", later) == ("refused", "NOT_A_SANDBOX")
    for outcome in (
        model.balance("other", "m-1"),
        model.enroll({"program_id": "other", "member_id": "m", "request_id": "r"}),
        model.preview_purchase({"program_id": "other", "member_id": "m", "amount": "1"}),
    ):
        assert outcome == ("refused", "PROGRAM_NOT_FOUND")


def test_a_program_that_is_no_sandbox_follows_the_wall_clock() -> None:
    model = Model(NOW)
    program = {"program_id": "real", "currency": "EUR", "time_zone": "Europe/Berlin"}
    model.create_program(program, {**RULES, "expiry": {"after_months": 1}})
    request = {"program_id": "real", "member_id": "m-1", "request_id": "r"}
    model.enroll(request)
    buy = {**request, "request_id": "b", "purchase_id": "p", "amount": "10.00"}
    assert model.record_purchase(buy)[0] == "ok"
    model.wall_time = instant("2026-08-31T22:00:00Z")
    assert model.balance("real", "m-1")[1]["expired"] == 10


# -- visits and tiers ---------------------------------------------------------------------------


def changes(shop: Shop) -> list[tuple[str, str, datetime]]:
    """Reason, tier and instant of every change of the tier."""
    return [
        (entry["reason"], entry["tier_id"], entry["effective_time"])
        for entry in shop.model.journal(PROGRAM, "m-1")
        if entry["kind"] == "TIER_CHANGE"
    ]


def test_a_visit_is_a_day_with_a_purchase_large_enough() -> None:
    shop = Shop(with_tiers())
    for amount in ("3.00", "5.00", "2.99"):
        shop.buy(amount)
    assert (status(shop)["visits"], status(shop)["spend"]) == (1, Fraction("10.99"))
    shop.buy("2.99", effective_time=NOW - days(1))
    assert (status(shop)["visits"], status(shop)["spend"]) == (1, Fraction("13.98"))
    shop.buy("3.00", effective_time=NOW - days(29))
    assert status(shop)["visits"] == 2
    # 30 days before today, the window of today has begun after it.
    shop.buy("3.00", effective_time=NOW - days(30))
    assert status(shop)["visits"] == 2
    assert changes(shop) == [("PROMOTED", "silver", NOW)]


def test_several_visits_a_day_count_where_the_rules_say_so() -> None:
    shop = Shop({**with_tiers(), "visits": {"per_day": 2}})
    for _ in range(3):
        shop.buy("1.00")
    assert status(shop)["visits"] == 2


def test_the_tier_held_multiplies_and_the_next_one_is_reached_at_once() -> None:
    shop = Shop(with_tiers())
    assert status(shop)["next"] == {
        "tier_id": "silver",
        "visits": 2,
        "spend": 0,
        "by_time": None,
    }
    shop.buy("10.00", effective_time=NOW - days(1))
    state, done = shop.buy("10.00")
    assert state == "ok"
    assert [(e["kind"], e["tier_id"]) for e in done["entries"]] == [
        ("PURCHASE", "member"),
        ("TIER_CHANGE", "silver"),
    ]
    assert breakdown(shop.buy("10.00")) == [("base", 10), ("tier:silver", 2)]
    # By spend alone, over silver's head.
    shop = Shop(with_tiers())
    shop.buy("500.00")
    assert changes(shop) == [("PROMOTED", "gold", NOW)]
    assert status(shop)["valid_until"] == instant("2026-08-31T22:00:00Z")


@pytest.mark.parametrize(
    ("downgrade", "expected"),
    [
        ("ONE_LEVEL", [("LOWERED", "silver", "2026-09-09"), ("LOWERED", "member", "2026-11-09")]),
        ("TO_QUALIFIED", [("LOWERED", "member", "2026-09-09")]),
        ("NEVER", [("RENEWED", "gold", "2026-09-09"), ("RENEWED", "gold", "2026-11-09")]),
    ],
)
def test_a_tier_ends_after_its_grace(downgrade: str, expected: list[tuple[str, str, str]]) -> None:
    shop = Shop(with_tiers(grace_days=9, downgrade=downgrade))
    shop.buy("500.00")
    shop.advance(instant("2026-09-09T21:59:59Z"))
    assert (status(shop)["tier_id"], changes(shop)[1:]) == ("gold", [])
    # Its grace ends as 10 September begins, and that of a level held from then with 10 November.
    shop.advance(instant("2026-11-09T23:00:00Z"))
    assert [(reason, tier, f"{at:%Y-%m-%d}") for reason, tier, at in changes(shop)[1:]] == expected


def test_a_tier_is_renewed_by_what_counts_when_it_ends() -> None:
    shop = Shop(with_tiers(grace_days=20))
    shop.buy("10.00")
    shop.advance(NOW + days(1))
    shop.buy("10.00")
    assert status(shop)["valid_until"] == instant("2026-08-31T22:00:00Z")
    # One visit on 15 September is not enough for silver; two in the grace renew it at once.
    shop.advance(instant("2026-09-15T12:00:00Z"))
    shop.buy("10.00")
    assert status(shop)["valid_until"] == instant("2026-08-31T22:00:00Z")
    shop.advance(instant("2026-09-16T12:00:00Z"))
    shop.buy("10.00")
    assert status(shop)["valid_until"] == instant("2026-10-31T23:00:00Z")
    assert [reason for reason, _, _ in changes(shop)] == ["PROMOTED"]
    # In a long window they still count when the grace is over.
    shop = Shop(with_tiers(period={"rolling_days": 100}))
    shop.buy("10.00")
    shop.buy("10.00", effective_time=NOW - days(1))
    shop.advance(instant("2026-08-31T22:00:00Z"))
    assert changes(shop)[1:] == [("RENEWED", "silver", instant("2026-08-31T22:00:00Z"))]
    assert status(shop)["valid_until"] == instant("2026-10-31T23:00:00Z")


def test_a_promotion_never_shortens_what_was_promised() -> None:
    shop = Shop(with_tiers(keep_months=24))
    shop.buy("10.00")
    shop.buy("10.00", effective_time=NOW - days(1))
    promised = status(shop)["valid_until"]
    shop.model.publish_rules(PROGRAM, with_tiers(), NOW + days(1))
    shop.advance(NOW + days(2))
    shop.buy("500.00")
    assert (status(shop)["tier_id"], status(shop)["valid_until"]) == ("gold", promised)


def test_a_year_of_tiers_begins_anew() -> None:
    shop = Shop(with_tiers(period={"calendar_year": {}}), now=instant("2026-12-31T22:59:59Z"))
    shop.buy("500.00")
    assert status(shop)["valid_until"] == instant("2027-12-31T23:00:00Z")
    shop.advance(instant("2026-12-31T23:00:00Z"))
    assert (status(shop)["visits"], status(shop)["spend"]) == (0, 0)

    shop = Shop(with_tiers(period={"membership_year": {}}), now=instant("2028-02-29T12:00:00Z"))
    shop.advance(instant("2029-02-27T12:00:00Z"))
    shop.buy("3.00")
    assert status(shop)["visits"] == 1
    shop.advance(instant("2029-02-27T23:00:00Z"))
    assert status(shop)["visits"] == 0


def test_an_entry_bonus_is_given_once_in_each_period() -> None:
    levels = [LEVELS[0], {**LEVELS[1], "entry_bonus": 7}]
    shop = Shop(with_tiers(levels=levels, period={"rolling_days": 58}))
    shop.buy("3.00", effective_time=NOW - days(1))
    shop.buy("3.00")
    # On 1 September 6 July is the first day that counts, and with a visit more enough for silver.
    shop.advance(instant("2026-08-31T22:00:00Z"))
    shop.buy("3.00")
    shop.advance(instant("2026-10-31T23:00:00Z"))
    shop.buy("3.00")
    shop.advance(instant("2026-11-01T23:00:00Z"))
    shop.buy("3.00")
    assert [(reason, f"{at:%Y-%m-%d}") for reason, _, at in changes(shop)] == [
        ("PROMOTED", "2026-07-06"),
        ("LOWERED", "2026-08-31"),
        ("PROMOTED", "2026-08-31"),
        ("LOWERED", "2026-10-31"),
        ("PROMOTED", "2026-11-01"),
    ]
    assert [
        f"{entry['effective_time']:%Y-%m-%d}"
        for entry in shop.model.journal(PROGRAM, "m-1")
        if entry.get("breakdown") == [("entry:silver", 7)]
    ] == ["2026-07-06", "2026-11-01"]


def test_an_override_stands_in_until_its_end() -> None:
    shop = Shop(with_tiers())
    request = {"program_id": PROGRAM, "member_id": "m-1", "request_id": "o", "reason": "goodwill"}
    until = NOW + days(10)
    override = {**request, "tier_id": "gold", "until_time": until}
    assert shop.model.write("override_tier", override)[0] == "ok"
    for fields in ({"tier_id": "silver"}, {"tier_id": "other"}, {"until_time": NOW}):
        again = {**override, "request_id": "again", **fields}
        assert shop.model.write("override_tier", again) == ("refused", "INVALID_FIELD")
    assert breakdown(shop.buy("10.00")) == [("base", 10), ("tier:gold", 5)]
    shop.advance(NOW + days(1))
    shop.buy("10.00")
    assert status(shop)["tier_id"] == "gold"
    shop.advance(until)
    assert changes(shop) == [
        ("OVERRIDDEN", "gold", NOW),
        ("PROMOTED", "gold", NOW + days(1)),
        ("OVERRIDE_ENDED", "silver", until),
    ]
    # What is earned ends it when it has come as far.
    shop.model.write(
        "override_tier", {**override, "request_id": "more", "until_time": until + days(9)}
    )
    shop.buy("500.00")
    assert changes(shop)[-1] == ("PROMOTED", "gold", until)
    assert status(shop)["valid_until"] == instant("2026-08-31T22:00:00Z")


# -- bonuses ------------------------------------------------------------------------------------


def test_occasions_come_with_the_local_day() -> None:
    shop = Shop(with_bonus(on="MEMBERSHIP_ANNIVERSARY"))
    shop.advance(NOW + days(800))
    assert given_by_time(shop) == ["2027-07-05T22:00", "2028-07-05T22:00"]

    shop = Shop(with_bonus(on="BIRTHDAY"))
    shop.enroll("m-2", birthday={"month": 2, "day": 29})
    shop.advance(NOW + days(800))
    assert given_by_time(shop) == []
    assert given_by_time(shop, "m-2") == ["2027-02-27T23:00", "2028-02-28T23:00"]

    shop = Shop(with_bonus(on="INACTIVE_DAYS", n=10))
    shop.advance(NOW + days(20))
    # Reported late, of a day before that of the bonus: still the same absence.
    shop.buy("1.00", effective_time=NOW + days(9))
    shop.advance(NOW + days(40))
    shop.buy("1.00")
    shop.advance(NOW + days(100))
    assert given_by_time(shop) == ["2026-07-15T22:00", "2026-08-24T22:00"]


def test_bonuses_of_a_purchase() -> None:
    shop = Shop(with_bonus(on="PURCHASE_OVER", amount="20.00"))
    assert breakdown(shop.buy("20.00")) == [("base", 20), ("bonus:b", 40)]
    assert breakdown(shop.buy("19.99")) == [("base", 19)]

    shop = Shop(with_bonus(on="EVERY_NTH_VISIT", n=2))
    shop.buy("1.00")
    assert breakdown(shop.buy("1.00")) == [("base", 1)]
    shop.advance(NOW + days(400))
    assert breakdown(shop.buy("1.00")) == [("base", 1), ("bonus:b", 40)]
    assert breakdown(shop.buy("1.00")) == [("base", 1)]


def test_caps_take_from_bonuses_with_a_date_first() -> None:
    rules = with_bonus(on="PURCHASE_OVER", amount="1.00", expires_days=1)
    rules["earning"] = {**RULES["earning"], "caps": {"per_purchase": 30}}
    rules["bonuses"].append({**rules["bonuses"][0], "id": "c", "points": 5, "expires_days": 2})
    shop = Shop(rules)
    assert breakdown(shop.buy("10.00")) == [
        ("base", 10),
        ("bonus:b", 40),
        ("bonus:c", 5),
        ("cap:per_purchase", -25),
    ]
    assert shop.balance()["next_expiry"] == (instant("2026-07-07T22:00:00Z"), 20)
    assert shop.balance(NOW + days(2))["available"] == 10


def test_an_activity_is_given_as_often_as_its_limit_says() -> None:
    shop = Shop(with_bonus(on="ACTIVITY", activity="survey", per_member={"count": 2, "days": 10}))

    def do(activity: str, after: float) -> Any:
        request = {"program_id": PROGRAM, "member_id": "m-1", "request_id": f"{activity} {after}"}
        state, done = shop.model.write(
            "record_activity",
            {**request, "activity": activity, "effective_time": NOW + days(after)},
        )
        return done["entries"][0]["points"] if state == "ok" else done

    shop.advance(NOW + days(25))
    assert [do("survey", day) for day in (0, 9, 9.1, 10, 18, 19)] == [40, 40, 0, 40, 0, 40]
    # Told late: it would be the third in the days from the 10th to the 19th.
    assert do("survey", 12) == 0
    assert do("survey", 20) == 40
    assert do("other", 0) == "INVALID_FIELD"


def test_a_referral_is_thanked_for_at_the_first_visit() -> None:
    rules = {**with_bonus(on="REFERRAL", referee_points=9), "visits": {"minimum": "5.00"}}
    shop = Shop(rules)
    assert shop.enroll("m-2", referrer_member_id="m-2") == ("refused", "INVALID_FIELD")
    assert shop.enroll("m-2", referrer_member_id="m-3") == ("refused", "MEMBER_NOT_FOUND")
    assert shop.enroll("m-2", referrer_member_id="m-1")[0] == "ok"
    shop.buy("4.99", member_id="m-2")
    assert shop.balance()["lifetime"] == 0
    for _ in range(2):
        shop.buy("5.00", member_id="m-2")
        assert shop.balance()["lifetime"] == 40
    assert shop.balance(member_id="m-2")["lifetime"] == 4 + 5 + 9 + 5


# -- promotions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("promotion", "lines", "points"),
    [
        ({"multiplier": "2.5"}, [], 15),
        ({"points": 7}, [], 7),
        ({"points": 7, "categories": ["coffee"]}, [], 0),
        ({"multiplier": "2", "categories": ["coffee"]}, [("coffee", "", "4.00")], 4),
        ({"multiplier": "2", "skus": ["mug"]}, [("coffee", "mug", "4.00"), ("", "", "1.00")], 4),
        ({"multiplier": "2", "skus": ["mug"]}, [("tobacco", "mug", "4.00")], 0),
        ({"points": 7, "locations": ["here"]}, [], 7),
        ({"points": 7, "locations": ["there"]}, [], 0),
        # NOW is Monday 6 July, 14:00 in Berlin.
        ({"points": 7, "weekdays": ["MON", "TUE"]}, [], 7),
        ({"points": 7, "weekdays": ["TUE"]}, [], 0),
        ({"points": 7, "hours": {"from": "14:00", "until": "14:01"}}, [], 7),
        ({"points": 7, "hours": {"from": "12:00", "until": "14:00"}}, [], 0),
        ({"points": 7, "from": "2026-07-06", "until": "2026-07-06"}, [], 7),
        ({"points": 7, "from": "2026-07-07"}, [], 0),
        ({"points": 7, "until": "2026-07-05"}, [], 0),
        ({"points": 7, "budget": 5}, [], 5),
    ],
)
def test_what_a_promotion_gives(
    promotion: dict[str, Any], lines: list[tuple[str, str, str]], points: int
) -> None:
    shop = Shop({**RULES, "promotions": [{"id": "p", **promotion}]})
    bought = [{"category": c, "sku": s, "amount": amount} for c, s, amount in lines]
    earned = breakdown(shop.buy("10.00", lines=bought, location_id="here"))
    assert earned[1:] == ([("promotion:p", points)] if points else [])


def test_promotions_add_and_run_out() -> None:
    once = {"id": "once", "points": 5, "once_per_member": True}
    launch = {"id": "launch", "multiplier": "2", "budget": 25}
    shop = Shop({**RULES, "promotions": [once, launch]})
    shop.enroll("m-2")
    assert breakdown(shop.buy("10.00"))[1:] == [("promotion:once", 5), ("promotion:launch", 10)]
    assert breakdown(shop.buy("10.00"))[1:] == [("promotion:launch", 10)]
    assert breakdown(shop.buy("10.00", member_id="m-2"))[1:] == [
        ("promotion:once", 5),
        ("promotion:launch", 5),
    ]
    assert breakdown(shop.buy("10.00"))[1:] == []
