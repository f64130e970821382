"""The tiers of a program: what its levels need and give, and how long they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from typing import Final

import msgspec

from ledger.core.model import MAX_POINTS
from ledger.core.section import Section

PERIODS: Final = ("rolling_days", "calendar_year", "membership_year")
DOWNGRADES: Final = ("ONE_LEVEL", "TO_QUALIFIED", "NEVER")
_MAX_DAYS = 3_660
_MAX_MONTHS = 1_200
_MAX_VISITS = 1_000_000
_MAX_LEVELS = 100
_MAX_BENEFITS = 50


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One tier, as the document describes it."""

    id: str
    name: str
    #: visits needed within the period; None = visits do not matter
    visits: int | None = None
    #: minor units needed within the period; None = spend does not matter
    spend: int | None = None
    #: "ALL" or "ANY" of those given
    match: str = "ALL"
    #: of what a purchase earns at the program's rate; at least 1
    multiplier: Fraction = Fraction(1)
    #: points per minor unit on top of the program's rate: rate * (multiplier - 1)
    extra_rate: Fraction = Fraction(0)
    benefits: tuple[str, ...] = ()
    #: points on reaching the level; 0 = none
    entry_bonus: int = 0


class Tiers(msgspec.Struct, frozen=True, kw_only=True):
    """The levels of a program, lowest first, and the period they are judged over."""

    #: one of PERIODS
    period: str
    #: length of the period in local days; 0 unless it is rolling
    rolling_days: int = 0
    #: never empty; the first needs nothing
    levels: tuple[Level, ...]
    keep_months: int = 12
    grace_days: int = 0
    #: one of DOWNGRADES
    downgrade: str = "ONE_LEVEL"

    #: the position of each level, by its id
    ranks: dict[str, int] = {}

    def __post_init__(self) -> None:
        ranks = {level.id: position for position, level in enumerate(self.levels)}
        msgspec.structs.force_setattr(self, "ranks", ranks)

    def rank(self, level_id: str) -> int:
        """The position of a level, the lowest being 0; 0 also for an id that is not known."""
        return self.ranks.get(level_id, 0)


def reaches(level: Level, visits: int, spend: int) -> bool:
    """Whether visits and spend are enough for a level."""
    enough_visits = level.visits is None or visits >= level.visits
    enough_spend = level.spend is None or spend >= level.spend
    if level.match == "ANY":  # only where both are asked for
        return enough_visits or enough_spend
    return enough_visits and enough_spend


def read_tiers(
    section: Section, currency: str, rate: Fraction, visits_per_day: int, previous: Tiers | None
) -> Tiers | None:
    """The section `tiers`; None when it is absent. What members hold of `previous` must remain."""
    if not section.present:
        if previous is not None and section.absent:
            _check_kept(section, None, (), previous)
        return None
    period, rolling_days = _read_period(section.section("period", required=True))
    items = section.sections("levels", _MAX_LEVELS, required=True)
    levels = tuple(
        _read_level(item, currency, rate, first=index == 0) for index, item in enumerate(items)
    )
    section.unique("levels", [level.id for level in levels])
    period_days = 366 if period.endswith("_year") else rolling_days
    if period_days:
        _check_reach(items, levels, period_days, visits_per_day)
    _check_order(items, levels)
    if previous is not None and levels:
        _check_kept(section, "levels", levels, previous)
    return Tiers(
        period=period,
        rolling_days=rolling_days,
        levels=levels,
        keep_months=section.integer("keep_months", 1, _MAX_MONTHS) or 12,
        grace_days=section.integer("grace_days", 0, _MAX_DAYS) or 0,
        downgrade=section.choice("downgrade", DOWNGRADES, default="ONE_LEVEL"),
    )


def _read_period(section: Section) -> tuple[str, int]:
    """The kind of period, empty when it is faulty, and its length when it is rolling."""
    given = [name for name in PERIODS if section.given(name)]
    rolling_days = section.integer("rolling_days", 1, _MAX_DAYS)
    section.section("calendar_year")
    section.section("membership_year")
    if len(given) == 1:
        return given[0], rolling_days or 0
    if section.present:
        section.fault(None, f"must be exactly one of {', '.join(PERIODS)}")
    return "", 0


def _read_level(section: Section, currency: str, rate: Fraction, *, first: bool) -> Level:
    identifier = section.identifier("id")
    name = section.text("name")
    visits = spend = None
    if first:
        for asked in ("visits", "spend"):
            if section.given(asked):
                section.fault(asked, "is not for the first level, which every member has")
    else:
        visits = section.integer("visits", 1, _MAX_VISITS)
        spend = section.amount("spend", currency)
        if section.present and not section.given("visits") and not section.given("spend"):
            section.fault(None, "must ask for visits or spend: only the first level needs nothing")
    if section.given("match") and not (section.given("visits") and section.given("spend")):
        section.fault("match", "is only for a level that asks for both visits and spend")
        match = "ALL"
    else:
        match = section.choice("match", ("ALL", "ANY"), default="ALL")
    multiplier = section.multiplier("multiplier") or Fraction(1)
    entry_bonus = section.integer("entry_bonus", 1, MAX_POINTS) or 0
    if first and entry_bonus:
        section.fault("entry_bonus", "is not for the first level; give a bonus on: ENROLLMENT")
    return Level(
        id=identifier,
        name=name or identifier,
        visits=visits,
        spend=spend,
        match=match,
        multiplier=multiplier,
        extra_rate=rate * (multiplier - 1),
        benefits=tuple(section.texts("benefits", _MAX_BENEFITS)),
        entry_bonus=entry_bonus,
    )


def _check_reach(
    items: Sequence[Section], levels: Sequence[Level], period_days: int, visits_per_day: int
) -> None:
    """Fault thresholds of visits that no member could come to."""
    most = period_days * visits_per_day
    for item, level in zip(items, levels, strict=True):
        if level.visits is not None and level.visits > most:
            item.fault("visits", f"can not be reached: the period counts at most {most} visits")


def _check_order(items: Sequence[Section], levels: Sequence[Level]) -> None:
    """Fault levels that ask for less than one below, or for nothing that one does not ask for."""
    faulty = set()
    read = {index for index, level in enumerate(levels) if _is_read(items[index], level)}
    for (low, lower), (high, higher) in combinations(enumerate(levels), 2):
        if high in faulty:
            continue
        below = lower.id or f"levels[{low}]"
        less = [name for name in ("visits", "spend") if _asks_less(higher, lower, name)]
        if less:
            for name in less:
                items[high].fault(name, f"must not be below what {below} asks for")
        elif low in read and high in read and _implies(lower, higher):
            items[high].fault(None, f"must ask for more than {below}, which nobody would hold")
        else:
            continue
        faulty.add(high)


def _is_read(item: Section, level: Level) -> bool:
    """Whether a level asks for something, all of which could be read."""
    asks = level.visits is not None or level.spend is not None
    return asks and all(
        item.given(name) == (asked is not None)
        for name, asked in (("visits", level.visits), ("spend", level.spend))
    )


def _asks_less(higher: Level, lower: Level, name: str) -> bool:
    asked, least = getattr(higher, name), getattr(lower, name)
    return asked is not None and least is not None and asked < least


def _implies(lower: Level, higher: Level) -> bool:
    """Whether everybody who comes to `lower` has thereby come to `higher`."""
    return all(reaches(higher, visits, spend) for visits, spend in _least(lower))


def _least(level: Level) -> list[tuple[int, int]]:
    """The least visits and spend that a level's condition holds for."""
    visits, spend = level.visits or 0, level.spend or 0
    return [(visits, 0), (0, spend)] if level.match == "ANY" else [(visits, spend)]


def _check_kept(
    section: Section, name: str | None, levels: Sequence[Level], previous: Tiers
) -> None:
    """Fault levels of the version before that are gone or have moved: members hold them."""
    ids = [level.id for level in levels]
    before = [level.id for level in previous.levels]
    missing = [level_id for level_id in before if level_id not in ids]
    kept = [level_id for level_id in ids if level_id in before]
    if missing:
        gone = ", ".join(missing)
        section.fault(name, f"must still have {gone}: what members hold can not be removed")
    elif kept != before or ids[0] != before[0]:
        order = ", ".join(before)
        section.fault(name, f"must keep the order {order}; new ones go between or above them")
