"""What a document may say of promotions."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from ledger.core.rules import Hours, Promotion, read_rules
from tests.core.documents import FULL, RATE, faults, with_levels
from tests.memory import Document


def promotion(**fields: Any) -> Document:
    """A document with tiers and one promotion; a field that is None is left out."""
    given = {"id": "a", "multiplier": "2", **fields}
    return {
        **with_levels({"id": "silver", "visits": 10}),
        "earning": {"rate": RATE, "exclude_categories": ["gift-card", "tobacco"]},
        "promotions": [{name: value for name, value in given.items() if value is not None}],
    }


def read(**fields: Any) -> Promotion:
    (found,) = read_rules(promotion(**fields), "EUR").promotions
    return found


def day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def test_the_full_document_compiles() -> None:
    assert read_rules(FULL, "EUR").promotions == (
        Promotion(
            id="double-tuesday",
            multiplier=Fraction(2),
            extra_rate=Fraction(1, 100),
            from_day=day("2027-01-01"),
            until_day=day("2027-03-31"),
            weekdays=frozenset({1}),
            categories=frozenset({"coffee"}),
        ),
    )


def test_a_promotion_need_not_say_when_or_where() -> None:
    assert read(multiplier=None, points="5") == Promotion(id="a", points=5)


def test_a_promotion_may_say_everything() -> None:
    assert read(
        multiplier="2.5",
        **{"from": "2028-02-29", "until": "2028-02-29"},
        weekdays=["SUN", "MON", "SUN"],
        hours={"from": "15:00", "until": "18:30"},
        locations=["Berlin Mitte"],
        categories=["coffee", "gift-card"],
        skus=["4711"],
        tiers=["silver", "member"],
        once_per_member=True,
        budget="1000",
    ) == Promotion(
        id="a",
        multiplier=Fraction(5, 2),
        extra_rate=Fraction(3, 200),
        from_day=day("2028-02-29"),
        until_day=day("2028-02-29"),
        weekdays=frozenset({0, 6}),
        hours=Hours(15 * 60, 18 * 60 + 30),
        locations=frozenset({"Berlin Mitte"}),
        categories=frozenset({"coffee", "gift-card"}),
        skus=frozenset({"4711"}),
        tiers=frozenset({"silver", "member"}),
        once_per_member=True,
        budget=1000,
    )


def test_hours_may_be_the_whole_day() -> None:
    assert read(hours={"from": "00:00", "until": "24:00"}).hours == Hours(0, 1440)
    assert read(hours={"from": "23:59", "until": "24:00"}).hours == Hours(1439, 1440)


@pytest.mark.parametrize(
    ("fields", "path", "says"),
    [
        ({"id": None}, ".id", "is required"),
        ({"id": "Double!"}, ".id", "lower-case"),
        ({"multiplier": None}, "", "either a multiplier or points"),
        ({"points": 5}, "", "either a multiplier or points"),
        ({"multiplier": "1"}, ".multiplier", "above 1"),
        ({"multiplier": "0.5"}, ".multiplier", "above 1"),
        ({"multiplier": "1001"}, ".multiplier", "at most 1000"),
        ({"multiplier": 2}, ".multiplier", "in quotes"),
        ({"multiplier": None, "points": 0}, ".points", "from 1 to"),
        ({"from": "2027-02-29"}, ".from", "a date such as"),
        ({"from": "20270101"}, ".from", "a date such as"),
        ({"from": "2027-W01-1"}, ".from", "a date such as"),
        ({"from": 20270101}, ".from", "not 20270101"),
        ({"until": "2027-01-01T00:00:00Z"}, ".until", "a date such as"),
        ({"from": "2027-01-02", "until": "2027-01-01"}, ".until", "before from"),
        ({"weekdays": "TUE"}, ".weekdays", "must be a list"),
        ({"weekdays": ["MON", "tue"]}, ".weekdays[1]", "one of MON, TUE"),
        ({"weekdays": [1]}, ".weekdays[0]", "not 1"),
        ({"hours": "15:00-18:00"}, ".hours", "must be a section"),
        ({"hours": {"from": "15:00"}}, ".hours.until", "is required"),
        ({"hours": {"until": "18:00"}}, ".hours.from", "is required"),
        ({"hours": {"from": "3 pm", "until": "18:00"}}, ".hours.from", "a time of day"),
        ({"hours": {"from": 900, "until": "18:00"}}, ".hours.from", "in quotes"),
        ({"hours": {"from": "9:00", "until": "18:00"}}, ".hours.from", "not '9:00'"),
        ({"hours": {"from": "09:60", "until": "18:00"}}, ".hours.from", "not '09:60'"),
        ({"hours": {"from": "15:00", "until": "24:01"}}, ".hours.until", "not '24:01'"),
        ({"hours": {"from": "15:00", "until": "15:00"}}, ".hours.until", "after from"),
        ({"hours": {"from": "22:00", "until": "02:00"}}, ".hours.until", "two promotions"),
        ({"hours": {"from": "15:00", "until": "18:00", "to": 1}}, ".hours.to", "not known"),
        ({"locations": "berlin"}, ".locations", "must be a list"),
        ({"locations": [7]}, ".locations[0]", "a printable text"),
        ({"categories": {"coffee": True}}, ".categories", "must be a list"),
        ({"categories": ["coffee", ""]}, ".categories[1]", "1 to 128"),
        ({"categories": ["tobacco"]}, ".categories", "earning.exclude_categories"),
        ({"skus": [4711]}, ".skus[0]", "not 4711"),
        ({"skus": ["x"] * 1001}, ".skus", "at most 1000"),
        ({"tiers": ["member", "gold"]}, ".tiers[1]", "one of member, silver, not 'gold'"),
        ({"tiers": "silver"}, ".tiers", "must be a list"),
        ({"once_per_member": "yes"}, ".once_per_member", "true or false"),
        ({"budget": 0}, ".budget", "from 1 to"),
        ({"weekday": ["MON"]}, ".weekday", "not known"),
    ],
)
def test_a_fault_is_named_with_its_path(fields: Document, path: str, says: str) -> None:
    found = faults(promotion(**fields))
    assert list(found) == [f"promotions[0]{path}"]
    assert says in found[f"promotions[0]{path}"]


def test_ids_are_unique_among_promotions_only() -> None:
    rules = promotion()
    rules["bonuses"] = [{"id": "a", "on": "ENROLLMENT", "points": 1}]
    assert len(read_rules(rules, "EUR").promotions) == 1
    rules["promotions"] *= 2
    assert faults(rules) == {"promotions[1].id": "a is taken by promotions[0].id"}


def test_without_tiers_a_promotion_can_not_be_for_some() -> None:
    rules = {name: part for name, part in promotion(tiers=["silver"]).items() if name != "tiers"}
    assert faults(rules) == {
        "promotions[0].tiers": "must not be given: the program has no tiers",
    }
