"""Promotions: more points for a time, a place, some goods or some tiers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import Final

import msgspec

from ledger.core.model import MAX_POINTS
from ledger.core.section import Section

WEEKDAYS: Final = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


class Hours(msgspec.Struct, frozen=True):
    """A part of the local day by the clock on the wall, half-open, in minutes from midnight."""

    start_minute: int
    #: at most 1,440, which is midnight
    end_minute: int


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """Points a purchase earns on top, when every condition holds. An empty set means any."""

    id: str
    #: above 1; None = fixed points
    multiplier: Fraction | None = None
    #: points per minor unit on top of the program's rate: rate * (multiplier - 1), 0 when fixed
    extra_rate: Fraction = Fraction(0)
    #: fixed points; None = by multiplier
    points: int | None = None
    #: first and last local day, in days since 1970-01-01; None = open
    from_day: int | None = None
    until_day: int | None = None
    #: 0 = Monday
    weekdays: frozenset[int] = frozenset()
    hours: Hours | None = None
    locations: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    skus: frozenset[str] = frozenset()
    #: level ids
    tiers: frozenset[str] = frozenset()
    once_per_member: bool = False
    #: points it may ever give, over all members; None = no bound
    budget: int | None = None


def read_promotion(
    section: Section, rate: Fraction, levels: Sequence[str], excluded: Collection[str]
) -> Promotion:
    """One item of the list `promotions`; `levels` are the ids it may name as tiers.

    `excluded` are the categories that earn nothing, with a promotion or without.
    """
    identifier = section.identifier("id")
    multiplier = section.multiplier("multiplier", above_one=True)
    points = section.integer("points", 1, MAX_POINTS)
    if section.present and section.given("multiplier") == section.given("points"):
        section.fault(None, "must have either a multiplier or points")
    from_day, until_day = section.days("from", "until")
    weekdays = section.choices("weekdays", WEEKDAYS)
    hours = _read_hours(section.section("hours"))
    locations = section.texts("locations")
    categories = section.texts("categories")
    if categories and all(category in excluded for category in categories):
        section.fault("categories", "earn nothing: all are in earning.exclude_categories")
    return Promotion(
        id=identifier,
        multiplier=multiplier,
        extra_rate=Fraction(0) if multiplier is None else rate * (multiplier - 1),
        points=points,
        from_day=from_day,
        until_day=until_day,
        weekdays=frozenset(WEEKDAYS.index(day) for day in weekdays),
        hours=hours,
        locations=frozenset(locations),
        categories=frozenset(categories),
        skus=frozenset(section.texts("skus")),
        tiers=frozenset(_read_tiers(section, levels)),
        once_per_member=section.flag("once_per_member"),
        budget=section.integer("budget", 1, MAX_POINTS),
    )


def _read_hours(section: Section) -> Hours | None:
    start = section.minute("from", required=True)
    end = section.minute("until", required=True)
    if start is None or end is None:
        return None
    if end <= start:
        section.fault("until", "must be after from; hours past midnight are two promotions")
    return Hours(start, end)


def _read_tiers(section: Section, levels: Sequence[str]) -> list[str]:
    if not levels and section.given("tiers"):
        section.fault("tiers", "must not be given: the program has no tiers")
        return []
    return section.choices("tiers", levels)
