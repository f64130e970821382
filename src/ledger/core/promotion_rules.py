"""Promotions: more points for a time, a place, some goods or some tiers."""

from __future__ import annotations

from fractions import Fraction

import msgspec


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
