"""The program document: what it may say, and that every fault in it is named."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from ledger.core.model import MAX_POINTS
from ledger.core.rules import Bonus, read_rules
from tests.core.documents import FULL, RATE, faults
from tests.memory import document


def test_a_document_need_not_say_much() -> None:
    rules = read_rules({"earning": {"rate": RATE}}, "EUR")
    assert rules.rate == Fraction(1, 100)
    assert (rules.rounding, rules.pending_days, rules.backdate_days) == ("FLOOR", 0, 30)
    assert (rules.cap_per_purchase, rules.cap_per_day, rules.after_months) == (None, None, None)
    assert (rules.exclude_categories, rules.bonuses) == (frozenset(), ())
    assert (rules.value, rules.auto_enroll) == (None, False)


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
            "expiry": {"after_months": 12},
            "redemption": {"value": {"points": 100, "amount": "5.00"}},
            "members": {"auto_enroll": True},
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
        (document(redemption={"values": {}}), "redemption.values", "known are: value"),
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


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("redemption", "minimum_points", 100),
        ("redemption", "hold_ttl_seconds", 900),
        ("redemption", "restore_grace_days", 30),
        ("expiry", "inactivity_months", 18),
        ("expiry", "warn_days", [30, 7]),
        ("rewards", None, []),
        ("returns", None, {"shortfall": "DEBT"}),
        ("adjustments", None, {"approval_above": 5000}),
    ],
)
def test_what_is_not_there_yet_is_not_silently_without_effect(
    section: str, name: str | None, value: object
) -> None:
    part = value if name is None else {**FULL[section], name: value}
    path = section if name is None else f"{section}.{name}"
    assert list(faults({**FULL, section: part})) == [path]


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
