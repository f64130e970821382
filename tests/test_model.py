"""The model of `tests/model.py` against examples worked out by hand, so that it can be trusted."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.model import Model, Outcome, day_start, eligible_amount, rounded

UTC = ZoneInfo("UTC")
PROGRAM = "bean-street"
NOW = datetime(2026, 7, 6, 12, tzinfo=UTC)

RULES: dict[str, Any] = {
    "earning": {
        "rate": {"points": 1, "per": "1.00"},
        "rounding": "FLOOR",
        "exclude_categories": ["gift-card", "tobacco"],
        "caps": {"per_purchase": 5000, "per_day": 10000},
        "pending_days": 0,
        "backdate_days": 30,
    },
    "expiry": {"after_months": 12},
}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def with_earning(**changes: Any) -> dict[str, Any]:
    return {**RULES, "earning": {**RULES["earning"], **changes}}


class Shop:
    """A sandbox program with member m-1; requests get ids of their own unless given."""

    def __init__(self, rules: dict[str, Any] = RULES, now: datetime = NOW) -> None:
        self.model = Model(now)
        self._numbers = count(1)
        program = {
            "program_id": PROGRAM,
            "currency": "EUR",
            "time_zone": "Europe/Berlin",
            "sandbox": True,
            "clock_time": now,
        }
        assert self.model.create_program(program, rules)[0] == "ok"
        assert self.enroll("m-1")[0] == "ok"

    def enroll(self, member_id: str, **fields: Any) -> Outcome:
        request = {"request_id": "enroll", "program_id": PROGRAM, "member_id": member_id}
        return self.model.enroll({**request, **fields})

    def buy(self, amount: str, **fields: Any) -> Outcome:
        number = next(self._numbers)
        request = {
            "request_id": f"r-{number}",
            "program_id": PROGRAM,
            "member_id": "m-1",
            "purchase_id": f"p-{number}",
            "amount": amount,
        }
        return self.model.record_purchase({**request, **fields})

    def balance(self, as_of: datetime | None = None, member_id: str = "m-1") -> dict[str, Any]:
        state, balance = self.model.balance(PROGRAM, member_id, as_of)
        assert state == "ok"
        return dict(balance)

    def advance(self, clock_time: datetime) -> None:
        assert self.model.advance_clock(PROGRAM, clock_time)[0] == "ok"


def breakdown(outcome: Outcome) -> list[tuple[str, int]]:
    assert outcome[0] == "ok", outcome
    lines: list[tuple[str, int]] = outcome[1]["entries"][-1]["breakdown"]
    return lines


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
    assert shop.model.movements(PROGRAM, "m-1", end) == {("EXPIRY", end): -100}


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
    assert shop.model.movements(PROGRAM, "m-1", activates) == {("ACTIVATION", activates): 100}


def test_a_late_purchase_activates_and_expires_at_its_own_instants() -> None:
    rules = {**with_earning(pending_days=2, backdate_days=100), "expiry": {"after_months": 1}}
    shop = Shop(rules)
    late = instant("2026-04-10T12:00:00Z")
    shop.buy("100.00", effective_time=late)
    balance = shop.balance()
    assert (balance["available"], balance["pending"], balance["expired"]) == (0, 0, 100)
    assert shop.model.movements(PROGRAM, "m-1") == {
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
        "pending": 0,
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
