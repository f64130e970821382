"""The program document: what it may say, and that every fault in it is named."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from ledger.core.instants import DAY, SECOND
from ledger.core.model import MAX_POINTS
from ledger.core.rules import Bonus, DailyLimit, read_rules
from tests.core.documents import FULL, RATE, faults
from tests.memory import document


def test_a_document_need_not_say_much() -> None:
    rules = read_rules({"earning": {"rate": RATE}}, "EUR")
    assert rules.rate == Fraction(1, 100)
    assert (rules.rounding, rules.pending_days, rules.backdate_days) == ("FLOOR", 0, 30)
    assert (rules.cap_per_purchase, rules.cap_per_day, rules.after_months) == (None, None, None)
    assert (rules.exclude_categories, rules.bonuses) == (frozenset(), ())
    assert (rules.value, rules.auto_enroll) == (None, False)
    assert (rules.inactivity_months, rules.warn_days) == (None, ())
    assert (rules.minimum_points, rules.hold_ttl, rules.restore_grace_days) == (1, 900 * SECOND, 30)
    assert (rules.redemption_limit, rules.transfer_limit) == (None, None)
    assert (rules.shortfall, rules.approval_above) == ("DEBT", None)
    assert (rules.reason_codes, rules.rewards) == (("goodwill", "correction"), ())


@pytest.mark.parametrize("empty", [{}, None])
def test_a_section_that_says_nothing_is_as_good_as_none(empty: object) -> None:
    names = ("visits", "expiry", "redemption", "transfers", "returns", "members", "adjustments")
    rules = {**document(bonuses=None, rewards=[]), **dict.fromkeys(names, empty)}
    assert read_rules(rules, "EUR") == read_rules(document(), "EUR")


def test_the_full_document_compiles() -> None:
    rules = read_rules(FULL, "EUR")
    assert (rules.after_months, rules.inactivity_months, rules.warn_days) == (12, 18, (30, 7))
    assert (rules.value, rules.minimum_points) == (Fraction(1), 100)
    assert (rules.hold_ttl, rules.restore_grace_days) == (900 * SECOND, 30)
    assert (rules.shortfall, rules.approval_above) == ("DEBT", 5000)
    assert rules.reason_codes == ("goodwill", "correction")


def test_a_document_may_say_everything() -> None:
    rules = read_rules(
        {
            "earning": {
                "rate": {"points": "3", "per": "0.5"},
                "rounding": "NEAREST",
                "exclude_categories": ["gift-card", "Geschenke für alle"],
                "caps": {"per_purchase": 5000, "per_day": "10000"},
                "pending_days": 14,
                "backdate_days": 0,
            },
            "expiry": {"after_months": 12, "inactivity_months": "18", "warn_days": [7, "30", 1]},
            "redemption": {
                "value": {"points": 100, "amount": "5.00"},
                "minimum_points": "250",
                "hold_ttl_seconds": 28 * 86_400,
                "restore_grace_days": 0,
                "per_day": {"count": "3", "points": 500},
            },
            "transfers": {"per_day": {"points": 1}},
            "returns": {"shortfall": "FORGIVE"},
            "members": {"auto_enroll": True},
            "adjustments": {"approval_above": 0, "reason_codes": ["late_delivery", "4-eyes"]},
            "bonuses": [{"id": "welcome", "on": "ENROLLMENT", "points": 50, "expires_days": 0}],
        },
        "EUR",
    )
    assert (rules.rate, rules.rate_text) == (Fraction(6, 100), "3 per 0.5")
    assert (rules.rounding, rules.pending_days, rules.backdate_days) == ("NEAREST", 14, 0)
    assert rules.exclude_categories == {"gift-card", "Geschenke für alle"}
    assert (rules.cap_per_purchase, rules.cap_per_day, rules.after_months) == (5000, 10000, 12)
    assert (rules.value, rules.auto_enroll) == (Fraction(5), True)
    assert rules.bonuses == (Bonus("welcome", "ENROLLMENT", 50, 0),)
    assert (rules.inactivity_months, rules.warn_days) == (18, (30, 7, 1))
    assert (rules.minimum_points, rules.hold_ttl, rules.restore_grace_days) == (250, 28 * DAY, 0)
    assert rules.redemption_limit == DailyLimit(3, 500)
    assert rules.transfer_limit == DailyLimit(None, 1)
    assert (rules.shortfall, rules.approval_above) == ("FORGIVE", 0)
    assert rules.reason_codes == ("late_delivery", "4-eyes")


@pytest.mark.parametrize(
    ("rules", "path", "says"),
    [
        # Shape.
        (None, "rules", "must be a section"),
        ([], "rules", "must be a section"),
        ("earning", "rules", "must be a section"),
        ({}, "earning", "is required"),
        ({"earning": None}, "earning", "is required"),
        ({"earning": 1}, "earning", "must be a section"),
        ({"earning": {}}, "earning.rate", "is required"),
        ({"earning": {"rate": "1 per 1.00"}}, "earning.rate", "must be a section"),
        (document(expiry=12), "expiry", "must be a section"),
        (document(members=True), "members", "must be a section"),
        (document(bonuses={}), "bonuses", "must be a list"),
        (document(bonuses=[None]), "bonuses[0]", "must be a section"),
        (document(bonuses=["welcome"]), "bonuses[0]", "must be a section"),
        # Names.
        (document(promotion=[]), "promotion", "is not known here"),
        (document({"rounding_mode": "FLOOR"}), "earning.rounding_mode", "is not known here"),
        (document({"caps": {"per_year": 1}}), "earning.caps.per_year", "is not known here"),
        (document(expiry={"months": 1}), "expiry.months", "after_months"),
        (document(members={"auto": True}), "members.auto", "auto_enroll"),
        (document(redemption={"ttl": 900}), "redemption.ttl", "known are: hold_ttl_seconds, min"),
        (document(expiry={"warn_day": 7}), "expiry.warn_day", "inactivity_months, warn_days"),
        (document(returns={"policy": "DEBT"}), "returns.policy", "known are: shortfall"),
        (document(adjustments={"reasons": []}), "adjustments.reasons", "reason_codes"),
        (document({7: 8}), "earning.7", "is not known here"),  # type: ignore[dict-item]
        # Whole numbers.
        ({"earning": {"rate": {"per": "1"}}}, "earning.rate.points", "is required"),
        ({"earning": {"rate": {**RATE, "points": 0}}}, "earning.rate.points", "from 1 to"),
        ({"earning": {"rate": {**RATE, "points": 1.0}}}, "earning.rate.points", "not 1.0"),
        ({"earning": {"rate": {**RATE, "points": True}}}, "earning.rate.points", "not True"),
        ({"earning": {"rate": {**RATE, "points": "one"}}}, "earning.rate.points", "not 'one'"),
        ({"earning": {"rate": {**RATE, "points": "１"}}}, "earning.rate.points", "not '１'"),
        (document({"caps": {"per_purchase": 0}}), "earning.caps.per_purchase", "from 1 to"),
        (document({"caps": {"per_day": MAX_POINTS + 1}}), "earning.caps.per_day", "from 1 to"),
        (document({"pending_days": -1}), "earning.pending_days", "from 0 to 3660"),
        (document({"backdate_days": 3661}), "earning.backdate_days", "from 0 to 3660"),
        (document(expiry={"after_months": 0}), "expiry.after_months", "from 1 to 1200"),
        (document(expiry={"after_months": "9" * 21}), "expiry.after_months", "from 1 to 1200"),
        (document(expiry={"inactivity_months": 0}), "expiry.inactivity_months", "from 1 to 1200"),
        (document(expiry={"inactivity_months": 1201}), "expiry.inactivity_months", "1 to 1200"),
        (document(expiry={"inactivity_months": "18m"}), "expiry.inactivity_months", "not '18m'"),
        (document(redemption={"minimum_points": 0}), "redemption.minimum_points", "from 1 to"),
        (
            document(redemption={"minimum_points": MAX_POINTS + 1}),
            "redemption.minimum_points",
            "from 1 to",
        ),
        (
            document(redemption={"hold_ttl_seconds": 0}),
            "redemption.hold_ttl_seconds",
            "from 1 to 2419200",
        ),
        (
            document(redemption={"hold_ttl_seconds": 28 * 86_400 + 1}),
            "redemption.hold_ttl_seconds",
            "from 1 to 2419200",
        ),
        (
            document(redemption={"hold_ttl_seconds": 0.5}),
            "redemption.hold_ttl_seconds",
            "not 0.5",
        ),
        (
            document(redemption={"restore_grace_days": -1}),
            "redemption.restore_grace_days",
            "from 0 to 3660",
        ),
        (
            document(redemption={"restore_grace_days": 3661}),
            "redemption.restore_grace_days",
            "from 0 to 3660",
        ),
        (
            document(redemption={"per_day": {"count": 0}}),
            "redemption.per_day.count",
            "from 1 to 1000000",
        ),
        (
            document(redemption={"per_day": {"points": 0}}),
            "redemption.per_day.points",
            "from 1 to",
        ),
        (document(redemption={"per_day": {}}), "redemption.per_day", "count, points or both"),
        (document(redemption={"per_day": 5}), "redemption.per_day", "must be a section"),
        (
            document(transfers={"per_day": {"count": 1, "times": 1}}),
            "transfers.per_day.times",
            "known are: count, points",
        ),
        (
            document(transfers={"per_day": {"count": 1_000_001}}),
            "transfers.per_day.count",
            "from 1 to 1000000",
        ),
        (document(transfers={"per_week": {}}), "transfers.per_week", "known are: per_day"),
        (document(adjustments={"approval_above": -1}), "adjustments.approval_above", "from 0 to"),
        (
            document(adjustments={"approval_above": MAX_POINTS + 1}),
            "adjustments.approval_above",
            "from 0 to",
        ),
        # Whole numbers in a list.
        (document(expiry={"warn_days": 30}), "expiry.warn_days", "must be a list, not 30"),
        (document(expiry={"warn_days": "30"}), "expiry.warn_days", "must be a list, not '30'"),
        (document(expiry={"warn_days": [30, 0]}), "expiry.warn_days[1]", "from 1 to 365, not 0"),
        (document(expiry={"warn_days": [366]}), "expiry.warn_days[0]", "from 1 to 365, not 366"),
        (
            document(expiry={"warn_days": list(range(1, 12))}),
            "expiry.warn_days",
            "at most 10 distances",
        ),
        (document(expiry={"warn_days": [7.0]}), "expiry.warn_days[0]", "not 7.0"),
        (document(expiry={"warn_days": [True]}), "expiry.warn_days[0]", "not True"),
        (document(expiry={"warn_days": [None]}), "expiry.warn_days[0]", "not None"),
        (document(expiry={"warn_days": [[7]]}), "expiry.warn_days[0]", "not [7]"),
        (document(expiry={"warn_days": [30, 7, 30]}), "expiry.warn_days[2]", "30 is there already"),
        (document(expiry={"warn_days": [7, "7"]}), "expiry.warn_days[1]", "7 is there already"),
        # Decimals.
        ({"earning": {"rate": {"points": 1}}}, "earning.rate.per", "is required"),
        ({"earning": {"rate": {**RATE, "per": 1}}}, "earning.rate.per", "in quotes"),
        ({"earning": {"rate": {**RATE, "per": "0.00"}}}, "earning.rate.per", "above 0"),
        ({"earning": {"rate": {**RATE, "per": "-1"}}}, "earning.rate.per", "not '-1'"),
        ({"earning": {"rate": {**RATE, "per": "1e3"}}}, "earning.rate.per", "not '1e3'"),
        ({"earning": {"rate": {**RATE, "per": "1/3"}}}, "earning.rate.per", "not '1/3'"),
        ({"earning": {"rate": {**RATE, "per": "1,50"}}}, "earning.rate.per", "not '1,50'"),
        (
            document(redemption={"value": {"points": 1}}),
            "redemption.value.amount",
            "is required",
        ),
        # Choices and flags.
        (document({"rounding": "UP"}), "earning.rounding", "FLOOR, NEAREST, CEILING, not 'UP'"),
        (document({"rounding": ["FLOOR"]}), "earning.rounding", "one of"),
        (document(members={"auto_enroll": "yes"}), "members.auto_enroll", "true or false"),
        (document(members={"auto_enroll": 1}), "members.auto_enroll", "true or false"),
        (document(returns={"shortfall": "OWE"}), "returns.shortfall", "DEBT, FORGIVE, REFUSE"),
        (document(returns={"shortfall": "debt"}), "returns.shortfall", "not 'debt'"),
        (document(returns={"shortfall": ""}), "returns.shortfall", "not ''"),
        (document(returns="DEBT"), "returns", "must be a section"),
        # Reason codes.
        (document(adjustments=[]), "adjustments", "must be a section"),
        (
            document(adjustments={"reason_codes": "goodwill"}),
            "adjustments.reason_codes",
            "must be a list",
        ),
        (document(adjustments={"reason_codes": []}), "adjustments.reason_codes", "must not be e"),
        (
            document(adjustments={"reason_codes": ["goodwill", "Good will"]}),
            "adjustments.reason_codes[1]",
            "lower-case",
        ),
        (
            document(adjustments={"reason_codes": ["a", "b", "a"]}),
            "adjustments.reason_codes[2]",
            "a is there already",
        ),
        (
            document(adjustments={"reason_codes": [7]}),
            "adjustments.reason_codes[0]",
            "not 7",
        ),
        (
            document(adjustments={"reason_codes": ["a" * 65]}),
            "adjustments.reason_codes[0]",
            "1 to 64",
        ),
        # Texts.
        (document({"exclude_categories": "x"}), "earning.exclude_categories", "must be a list"),
        (document({"exclude_categories": [""]}), "earning.exclude_categories[0]", "1 to 128"),
        (document({"exclude_categories": ["a", 1]}), "earning.exclude_categories[1]", "not 1"),
        (document({"exclude_categories": ["a\0"]}), "earning.exclude_categories[0]", "printable"),
        (
            document({"exclude_categories": ["a"] * 1001}),
            "earning.exclude_categories",
            "at most 1000",
        ),
        # Bonuses.
        (document(bonuses=[{"on": "ENROLLMENT", "points": 1}]), "bonuses[0].id", "is required"),
        (
            document(bonuses=[{"id": "Welcome!", "on": "ENROLLMENT", "points": 1}]),
            "bonuses[0].id",
            "lower-case",
        ),
        (document(bonuses=[{"id": "a", "points": 1}]), "bonuses[0].on", "is required"),
        (
            document(bonuses=[{"id": "a", "on": "FULL_MOON", "points": 1}]),
            "bonuses[0].on",
            "one of ENROLLMENT",
        ),
        (document(bonuses=[{"id": "a", "on": "ENROLLMENT"}]), "bonuses[0].points", "is required"),
        (
            document(bonuses=2 * [{"id": "a", "on": "ENROLLMENT", "points": 1}]),
            "bonuses[1].id",
            "taken by bonuses[0].id",
        ),
    ],
)
def test_a_fault_is_named_with_its_path(rules: object, path: str, says: str) -> None:
    found = faults(rules)
    assert list(found) == [path]
    assert says in found[path]


def test_a_section_that_is_missing_is_one_fault() -> None:
    assert list(faults({"bonuses": [{}]})) == [
        "earning",
        "bonuses[0].id",
        "bonuses[0].on",
        "bonuses[0].points",
    ]


def test_all_of_more_than_a_hundred_faults_are_reported() -> None:
    bonus: dict[str, Any] = {"id": "?", "on": "?", "points": -1, "expires_days": -1, "why": "?"}
    rules = {
        "earning": {
            "rate": {"points": 0, "per": "free", "currency": "EUR"},
            "rounding": "SOMEHOW",
            "exclude_categories": ["", 7, "fine"],
            "caps": {"per_purchase": -1, "per_day": -1, "per_week": 1},
            "pending_days": -1,
            "backdate_days": -1,
        },
        "expiry": {"after_months": -1},
        "redemption": {"value": {"points": 0, "amount": "much"}},
        "members": {"auto_enroll": "perhaps"},
        "bonuses": [bonus] * 20,
        "surprise": {},
    }

    found = faults(rules)

    expected = {
        *("earning.rate.points", "earning.rate.per", "earning.rate.currency"),
        *("earning.rounding", "earning.exclude_categories[0]", "earning.exclude_categories[1]"),
        *(f"earning.caps.{name}" for name in ("per_purchase", "per_day", "per_week")),
        *("earning.pending_days", "earning.backdate_days", "expiry.after_months"),
        *("redemption.value.points", "redemption.value.amount", "members.auto_enroll", "surprise"),
        *(f"bonuses[{index}].{name}" for index in range(20) for name in bonus),
    }
    assert set(found) == expected
    assert len(found) == 116
    assert all(found.values())


def test_long_values_are_shown_shortened() -> None:
    description = faults(document({"rounding": "x" * 1000}))["earning.rounding"]
    assert len(description) < 120
    assert "..." in description


@pytest.mark.parametrize(
    ("currency", "per_unit"), [("EUR", 100), ("JPY", 1), ("KWD", 1000), ("CLF", 10000)]
)
def test_rates_and_values_count_in_minor_units(currency: str, per_unit: int) -> None:
    rules = read_rules(document(redemption={"value": {"points": 100, "amount": "1"}}), currency)
    assert rules.rate == Fraction(1, per_unit)
    assert rules.value == Fraction(per_unit, 100)
