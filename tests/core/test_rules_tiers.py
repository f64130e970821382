"""What a document may say of visits and tiers, and what of an earlier version it must keep."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from ledger.core.rules import Level, Tiers, read_rules
from tests.core.documents import FULL, RATE, ROLLING, faults, with_levels
from tests.memory import Document, document

SILVER = {"id": "silver", "visits": 10}
GOLD = {"id": "gold", "visits": 25, "spend": "500.00"}


def tiers_of(rules: Document, currency: str = "EUR") -> Tiers:
    tiers = read_rules(rules, currency).tiers
    assert tiers is not None
    return tiers


def test_without_the_sections_every_purchase_is_a_visit_and_nobody_has_a_tier() -> None:
    rules = read_rules(document(), "EUR")
    assert (rules.visit_minimum, rules.visits_per_day, rules.tiers) == (0, 1, None)


def test_the_full_document_compiles() -> None:
    rules = read_rules(FULL, "EUR")
    assert (rules.visit_minimum, rules.visits_per_day) == (300, 1)
    assert rules.tiers == Tiers(
        period="rolling_days",
        rolling_days=365,
        levels=(
            Level(id="member", name="Member"),
            Level(
                id="silver",
                name="Silver",
                visits=10,
                multiplier=Fraction(5, 4),
                extra_rate=Fraction(1, 400),
                benefits=("free-delivery",),
            ),
            Level(
                id="gold",
                name="Gold",
                visits=25,
                spend=50_000,
                match="ANY",
                multiplier=Fraction(3, 2),
                extra_rate=Fraction(1, 200),
                benefits=("free-delivery", "extended-warranty", "event-invitations"),
                entry_bonus=100,
            ),
        ),
        keep_months=12,
        grace_days=30,
        downgrade="ONE_LEVEL",
    )


def test_tiers_need_not_say_much() -> None:
    tiers = tiers_of(with_levels(SILVER))
    assert (tiers.keep_months, tiers.grace_days, tiers.downgrade) == (12, 0, "ONE_LEVEL")
    member, silver = tiers.levels
    assert (member.name, silver.name) == ("member", "silver")
    assert (silver.match, silver.multiplier, silver.extra_rate) == ("ALL", Fraction(1), Fraction(0))
    assert (silver.benefits, silver.entry_bonus) == ((), 0)


@pytest.mark.parametrize(
    ("period", "name", "days"),
    [
        ({"rolling_days": 90}, "rolling_days", 90),
        ({"rolling_days": "3660"}, "rolling_days", 3660),
        ({"calendar_year": {}}, "calendar_year", 0),
        ({"membership_year": {}}, "membership_year", 0),
        ({"membership_year": {}, "rolling_days": None}, "membership_year", 0),
    ],
)
def test_there_are_three_kinds_of_period(period: Document, name: str, days: int) -> None:
    tiers = tiers_of(with_levels(SILVER, period=period))
    assert (tiers.period, tiers.rolling_days) == (name, days)


@pytest.mark.parametrize(
    ("currency", "minor"), [("EUR", 500_00), ("JPY", 500), ("KWD", 500_000), ("CLF", 500_0000)]
)
def test_spend_and_minimum_count_in_minor_units(currency: str, minor: int) -> None:
    rules = with_levels({"id": "silver", "spend": "500.000000000"})
    rules["visits"] = {"minimum": "500"}
    assert tiers_of(rules, currency).levels[1].spend == minor
    assert read_rules(rules, currency).visit_minimum == minor


def test_levels_have_ranks() -> None:
    tiers = tiers_of(FULL)
    ids = ["member", "silver", "gold", "platinum", ""]
    assert [tiers.rank(level_id) for level_id in ids] == [0, 1, 2, 0, 0]


def level(**fields: Any) -> Document:
    """A document whose second level is silver with these fields."""
    return with_levels({"id": "silver", "visits": 10, **fields})


def lowest(**fields: Any) -> Document:
    """A document whose first level has these fields."""
    levels = [{"id": "member", **fields}, SILVER]
    return document(tiers={"period": ROLLING, "levels": levels})


@pytest.mark.parametrize(
    ("rules", "path", "says"),
    [
        # Visits.
        (document(visits=3), "visits", "must be a section"),
        (document(visits={"least": "3.00"}), "visits.least", "known are: minimum, per_day"),
        (document(visits={"minimum": 3}), "visits.minimum", "in quotes"),
        (document(visits={"minimum": "-3"}), "visits.minimum", "not '-3'"),
        (document(visits={"minimum": "3.005"}), "visits.minimum", "EUR with 2 decimals"),
        (document(visits={"minimum": "10000000000000.01"}), "visits.minimum", "at most"),
        (document(visits={"per_day": 0}), "visits.per_day", "from 1 to 1000"),
        (document(visits={"per_day": 1001}), "visits.per_day", "from 1 to 1000"),
        # The period.
        (document(tiers=[]), "tiers", "must be a section"),
        (document(tiers={"levels": [{"id": "a"}]}), "tiers.period", "is required"),
        (with_levels(period=365), "tiers.period", "must be a section"),
        (with_levels(period={}), "tiers.period", "exactly one of rolling_days, calendar_year"),
        (with_levels(period={"days": 1, **ROLLING}), "tiers.period.days", "not known"),
        (
            with_levels(period={**ROLLING, "calendar_year": {}}),
            "tiers.period",
            "exactly one of",
        ),
        (with_levels(period={"rolling_days": 0}), "tiers.period.rolling_days", "from 1 to 3660"),
        (with_levels(period={"rolling_days": 3661}), "tiers.period.rolling_days", "from 1 to 3660"),
        (
            with_levels(period={"calendar_year": True}),
            "tiers.period.calendar_year",
            "must be a section",
        ),
        (
            with_levels(period={"membership_year": {"from": "2026-01-01"}}),
            "tiers.period.membership_year.from",
            "not known",
        ),
        # How long a level is kept.
        (with_levels(keep_months=0), "tiers.keep_months", "from 1 to 1200"),
        (with_levels(keep_months=1201), "tiers.keep_months", "from 1 to 1200"),
        (with_levels(grace_days=-1), "tiers.grace_days", "from 0 to 3660"),
        (with_levels(downgrade="SLOWLY"), "tiers.downgrade", "ONE_LEVEL, TO_QUALIFIED, NEVER"),
        (with_levels(upgrade="NOW"), "tiers.upgrade", "not known"),
        # The list of levels.
        (document(tiers={"period": ROLLING}), "tiers.levels", "is required"),
        (document(tiers={"period": ROLLING, "levels": []}), "tiers.levels", "is required"),
        (document(tiers={"period": ROLLING, "levels": {}}), "tiers.levels", "must be a list"),
        (with_levels("silver"), "tiers.levels[1]", "must be a section"),
        (
            with_levels(*({"id": f"l-{n}", "visits": n} for n in range(1, 101))),
            "tiers.levels",
            "has 101 items, at most 100",
        ),
        (level(id="member"), "tiers.levels[1].id", "taken by tiers.levels[0].id"),
        (level(colour="silver"), "tiers.levels[1].colour", "not known"),
        # One level.
        (with_levels({"visits": 1}), "tiers.levels[1].id", "is required"),
        (level(id="Silver"), "tiers.levels[1].id", "lower-case"),
        (level(id="s" * 65), "tiers.levels[1].id", "1 to 64"),
        (level(name=""), "tiers.levels[1].name", "1 to 128"),
        (level(name="Sil\nver"), "tiers.levels[1].name", "printable"),
        (level(name=["Silver"]), "tiers.levels[1].name", "a printable text"),
        (level(visits=0), "tiers.levels[1].visits", "from 1 to 1000000"),
        (level(visits="many"), "tiers.levels[1].visits", "not 'many'"),
        (level(spend="0.00"), "tiers.levels[1].spend", "above 0"),
        (level(spend=500), "tiers.levels[1].spend", "in quotes"),
        (level(spend="500.001"), "tiers.levels[1].spend", "EUR with 2 decimals"),
        (level(visits=None), "tiers.levels[1]", "must ask for visits or spend"),
        (level(match="ANY"), "tiers.levels[1].match", "both visits and spend"),
        (level(spend="1", match="SOME"), "tiers.levels[1].match", "one of ALL, ANY"),
        (level(multiplier="0.99"), "tiers.levels[1].multiplier", "at least 1"),
        (level(multiplier="1000.1"), "tiers.levels[1].multiplier", "at most 1000"),
        (level(multiplier=1.25), "tiers.levels[1].multiplier", "in quotes"),
        (level(multiplier="0"), "tiers.levels[1].multiplier", "above 0"),
        (level(benefits="delivery"), "tiers.levels[1].benefits", "must be a list"),
        (level(benefits=["a", ""]), "tiers.levels[1].benefits[1]", "1 to 128"),
        (level(entry_bonus=0), "tiers.levels[1].entry_bonus", "from 1 to"),
        (level(entry_bonus=10**15 + 1), "tiers.levels[1].entry_bonus", "from 1 to"),
        # The first level.
        (lowest(visits=1), "tiers.levels[0].visits", "every member has"),
        (lowest(spend="1.00"), "tiers.levels[0].spend", "every member has"),
        (lowest(match="ALL"), "tiers.levels[0].match", "both visits and spend"),
        (lowest(entry_bonus=1), "tiers.levels[0].entry_bonus", "on: ENROLLMENT"),
        # Thresholds out of reach.
        (level(visits=366), "tiers.levels[1].visits", "at most 365 visits"),
        (
            with_levels({"id": "silver", "visits": 367}, period={"calendar_year": {}}),
            "tiers.levels[1].visits",
            "at most 366 visits",
        ),
        (
            {**level(visits=731), "visits": {"per_day": 2}},
            "tiers.levels[1].visits",
            "at most 730 visits",
        ),
        # Levels out of order.
        (
            with_levels(GOLD, {"id": "silver", "visits": 10, "spend": "600.00"}),
            "tiers.levels[2].visits",
            "below what gold asks for",
        ),
        (
            with_levels(GOLD, {"id": "silver", "visits": 30, "spend": "499.99"}),
            "tiers.levels[2].spend",
            "below what gold asks for",
        ),
        (
            with_levels(SILVER, {"id": "saver", "spend": "9.00"}, {"id": "low", "visits": 9}),
            "tiers.levels[3].visits",
            "below what silver asks for",
        ),
        (
            with_levels(SILVER, {"id": "twin", "visits": 10}),
            "tiers.levels[2]",
            "must ask for more than silver",
        ),
        (
            with_levels(SILVER, {"id": "any", "visits": 10, "spend": "9.00", "match": "ANY"}),
            "tiers.levels[2]",
            "must ask for more than silver",
        ),
        (
            with_levels(GOLD, {"id": "big", "spend": "500.00"}),
            "tiers.levels[2]",
            "must ask for more than gold",
        ),
    ],
)
def test_a_fault_is_named_with_its_path(rules: object, path: str, says: str) -> None:
    found = faults(rules)
    assert list(found) == [path]
    assert says in found[path]


@pytest.mark.parametrize(
    "levels",
    [
        # One asks for visits, the other for spend: some come to the one, some to the other.
        [SILVER, {"id": "gold", "spend": "10.00"}],
        # Of two thresholds one is enough to tell the levels apart.
        [{**GOLD, "id": "silver"}, {**GOLD, "spend": "500.01"}],
        [{**GOLD, "id": "silver", "match": "ANY"}, GOLD],
        [SILVER, {"id": "gold", "visits": 10, "spend": "0.01"}],
        [SILVER, {"id": "gold", "visits": 365}],
    ],
)
def test_levels_are_in_order_when_each_asks_for_something_more(levels: list[Document]) -> None:
    tiers = tiers_of(with_levels(*levels))
    assert [found.id for found in tiers.levels] == ["member", *(one["id"] for one in levels)]


def test_what_can_not_be_read_is_not_compared() -> None:
    rules = with_levels(
        SILVER,
        {"id": "gold", "visits": "25", "spend": "lots"},
        {"id": "platinum", "visits": "many", "spend": "500.00", "match": "ANY"},
        {"id": "black", "visits": 400},
        period={"rolling_days": "all"},
    )
    assert set(faults(rules)) == {
        "tiers.period.rolling_days",
        "tiers.levels[2].spend",
        "tiers.levels[3].visits",
    }


def test_every_fault_of_tiers_is_reported_at_once() -> None:
    rules = document(
        visits={"minimum": "-1", "per_day": 0},
        tiers={
            "period": {"rolling_days": 0, "calendar_year": {}},
            "levels": [
                {"id": "Member", "visits": 1},
                {"id": "silver", "match": "ANY", "multiplier": "0.5", "entry_bonus": -1},
                {"id": "silver", "visits": 9, "spend": "lots", "benefits": [1], "name": ""},
                {"id": "gold", "visits": 8},
            ],
            "keep_months": 0,
            "grace_days": -1,
            "downgrade": "DOWN",
            "other": 1,
        },
    )
    tiers = "tiers.levels"
    assert set(faults(rules)) == {
        *("visits.minimum", "visits.per_day", "tiers.period", "tiers.period.rolling_days"),
        *(f"{tiers}[0].id", f"{tiers}[0].visits"),
        *(f"{tiers}[1]", f"{tiers}[1].match", f"{tiers}[1].multiplier", f"{tiers}[1].entry_bonus"),
        *(f"{tiers}[2].{name}" for name in ("id", "spend", "benefits[0]", "name")),
        *(f"{tiers}[3].visits", "tiers.keep_months", "tiers.grace_days", "tiers.downgrade"),
        "tiers.other",
    }


# -- a version that follows another ---------------------------------------------------------------


def named(*ids: str) -> Document:
    """A document with levels of these ids, each asking for more visits than the one below."""
    levels = [{"id": one} | ({"visits": n} if n else {}) for n, one in enumerate(ids)]
    return document(tiers={"period": ROLLING, "levels": levels})


@pytest.mark.parametrize(
    "following",
    [
        named("member", "silver", "gold"),
        named("member", "silver", "gold", "platinum"),
        named("member", "bronze", "silver", "electrum", "gold"),
    ],
)
def test_a_version_may_put_levels_between_or_above(following: Document) -> None:
    previous = read_rules(named("member", "silver", "gold"), "EUR")
    assert read_rules(following, "EUR", previous) == read_rules(following, "EUR")


@pytest.mark.parametrize(
    ("following", "path", "says"),
    [
        (named("member", "gold"), "tiers.levels", "must still have silver: what members hold"),
        (named("member", "palladium"), "tiers.levels", "must still have silver, gold:"),
        (named("member", "gold", "silver"), "tiers.levels", "the order member, silver, gold"),
        (named("guest", "member", "silver", "gold"), "tiers.levels", "between or above"),
        (document(), "tiers", "must still have member, silver, gold:"),
        (document(tiers=[]), "tiers", "must be a section"),
    ],
)
def test_a_version_can_not_take_levels_away(following: Document, path: str, says: str) -> None:
    previous = read_rules(named("member", "silver", "gold"), "EUR")
    found = faults(following, previous=previous)
    assert list(found) == [path]
    assert says in found[path]


def test_a_version_may_bring_tiers_or_change_what_they_ask_for() -> None:
    plain = read_rules(document(), "EUR")
    assert read_rules(FULL, "EUR", plain).tiers is not None
    changed = with_levels(SILVER, {"id": "gold", "spend": "9.00"}, period={"calendar_year": {}})
    assert read_rules(changed, "EUR", read_rules(FULL, "EUR")) == read_rules(changed, "EUR")


def test_what_is_removed_is_one_of_all_faults() -> None:
    previous = read_rules(named("member", "silver"), "EUR")
    rules = {**named("member", "gold"), "earning": {"rate": {**RATE, "points": 0}}}
    assert list(faults(rules, previous=previous)) == ["earning.rate.points", "tiers.levels"]
