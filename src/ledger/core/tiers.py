"""Which level a member has come to, how long it is kept, and what time makes of it.

A level is reached by visits and spend over the period that ends with a local day; what is spendable
plays no part. Everything here is a function of an account, the tiers of a rules version and a day.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from ledger.core.instants import (
    anniversary,
    date_of,
    day_of,
    day_start,
    local_day,
    month_end,
    next_anniversary,
)
from ledger.core.model import Day, Progress, TierReason, TierState
from ledger.core.program import RulesVersion
from ledger.core.rules import Level, Rules, Tiers
from ledger.core.tier_rules import reaches


class Standing(NamedTuple):
    """Where a member stands on a day: what counts, and the highest level it is enough for."""

    rank: int
    visits: int
    #: eligible minor units
    spend: int
    start_day: int
    end_day: int
    #: first local day on which something counts; None: nothing does
    first_day: int | None


def period_start(tiers: Tiers, day: int, enroll_day: int) -> int:
    """The first local day of the period that ends with `day`."""
    if tiers.period == "rolling_days":
        return day - tiers.rolling_days + 1
    if tiers.period == "calendar_year":
        return _year_start(day)
    return anniversary(enroll_day, day)


def period_end(tiers: Tiers, day: int, enroll_day: int) -> int | None:
    """The first local day of the period after that of `day`; None where it moves with each day."""
    if tiers.period == "rolling_days":
        return None
    if tiers.period == "calendar_year":
        return day_of(date(date_of(day).year + 1, 1, 1))
    return next_anniversary(enroll_day, day)


def count(days: tuple[Day, ...], start: int, per_day: int) -> tuple[int, int, int | None]:
    """Visits, spend and the first day of what happened on local day `start` or later."""
    visits = spend = 0
    first = None
    for day in days:
        if day.day >= start:
            visits += day.purchases if day.purchases < per_day else per_day
            spend += day.spend
            if first is None and (day.purchases or day.spend):
                first = day.day
    return visits, spend, first


def stand(days: tuple[Day, ...], rules: Rules, day: int, enroll_day: int) -> Standing:
    """Where somebody with these days stands at the end of local day `day`."""
    tiers = rules.tiers
    assert tiers is not None
    start = period_start(tiers, day, enroll_day)
    visits, spend, first = count(days, start, rules.visits_per_day)
    rank = len(tiers.levels) - 1
    while rank and not reaches(tiers.levels[rank], visits, spend):
        rank -= 1
    return Standing(rank, visits, spend, start, day, first)


def progress(
    standing: Standing,
    days: tuple[Day, ...],
    version: RulesVersion,
    state: TierState,
    zone: ZoneInfo,
    enroll_day: int,
) -> Progress:
    """What to tell about a standing: what counts, until when, and what of it still counts when the
    tier held is decided anew.

    In a rolling period that is the day the grace is over; else the last day of validity, since the
    next period begins at nothing, or of the grace once that has begun.
    """
    rules = version.rules
    tiers = rules.tiers
    assert tiers is not None
    by_day = period_end(tiers, standing.end_day, enroll_day)
    if by_day is None and standing.first_day is not None:
        by_day = standing.first_day + tiers.rolling_days
    keep_visits = keep_spend = keep_day = 0
    if state.valid_until is not None and state.grace_until is not None:
        valid_day, grace_day = (
            local_day(state.valid_until, zone),
            local_day(state.grace_until, zone),
        )
        if tiers.period == "rolling_days":
            last_day = grace_day
        else:
            last_day = (valid_day if standing.end_day < valid_day else grace_day) - 1
        keep_day = period_start(tiers, max(last_day, standing.end_day), enroll_day)
        keep_visits, keep_spend, _ = count(days, keep_day, rules.visits_per_day)
    return Progress(
        standing.visits,
        standing.spend,
        standing.start_day,
        by_day,
        keep_visits,
        keep_spend,
        keep_day,
        version.version,
    )


def held_for(tiers: Tiers, rank: int, day: int, zone: ZoneInfo) -> tuple[int | None, int | None]:
    """Until when (µs) a level that is held on local day `day` is valid, and its grace lasts."""
    if rank == 0:
        return None, None
    if tiers.period == "calendar_year":
        valid_until = day_start(day_of(date(date_of(day).year + 2, 1, 1)), zone)
    else:
        valid_until = month_end(day, tiers.keep_months, zone)
    return valid_until, grace_end(tiers, valid_until, zone)


def grace_end(tiers: Tiers, valid_until: int, zone: ZoneInfo) -> int:
    """When the grace after `valid_until` is over (µs)."""
    if not tiers.grace_days:
        return valid_until
    return day_start(local_day(valid_until, zone) + tiers.grace_days, zone)


def first_state(tiers: Tiers, since: int) -> TierState:
    """The tier of a member who has just come."""
    return TierState(tiers.levels[0].id, since)


def extended(state: TierState, tiers: Tiers, day: int, zone: ZoneInfo) -> TierState:
    """The state with its validity counted from local day `day`, if that is later."""
    valid_until, grace_until = held_for(tiers, tiers.rank(state.level), day, zone)
    if valid_until is None or grace_until is None:
        return state
    valid_until, grace_until = _later(state, valid_until, grace_until)
    if valid_until == state.valid_until:
        return state
    return msgspec.structs.replace(state, valid_until=valid_until, grace_until=grace_until)


def _later(state: TierState, valid_until: int, grace_until: int) -> tuple[int, int]:
    """The later of two promises: what other rules have promised before is not shortened."""
    if state.valid_until is None or state.grace_until is None:
        return valid_until, grace_until
    if state.valid_until >= valid_until:
        return state.valid_until, state.grace_until
    return valid_until, max(grace_until, state.grace_until)


def moved(
    state: TierState, tiers: Tiers, rank: int, now: int, day: int, zone: ZoneInfo
) -> TierState:
    """The state with another level (or the same, anew) held from now (µs) on.

    An override ends when the level earned has come up to it.
    """
    level = tiers.levels[rank].id
    valid_until, grace_until = held_for(tiers, rank, day, zone)
    if valid_until is not None and grace_until is not None:
        valid_until, grace_until = _later(state, valid_until, grace_until)
    if state.override and rank < tiers.rank(state.override):
        override, override_until = state.override, state.override_until
    else:
        override, override_until = "", None
    since = state.since if (override or level) == state.held else now
    return TierState(level, since, valid_until, grace_until, override, override_until)


def overridden(state: TierState, level: str, until: int | None, now: int) -> TierState:
    """The state with an override from now (µs) on; an empty level ends it."""
    changed = msgspec.structs.replace(state, override=level, override_until=until)
    since = state.since if changed.held == state.held else now
    return msgspec.structs.replace(changed, since=since)


def rank_after_end(tiers: Tiers, held: int, qualified: int) -> int:
    """The rank held when the grace is over, by what the member qualifies for then."""
    if qualified >= held or tiers.downgrade == "TO_QUALIFIED":
        return qualified
    if tiers.downgrade == "NEVER":
        return held
    return max(held - 1, qualified)


def reason(
    name: str, from_tier: str, standing: Standing, level: Level, note: str = ""
) -> TierReason:
    """Why a tier changed, with what was counted and what `level` asks for."""
    return TierReason(
        name,
        from_tier,
        standing.visits,
        standing.spend,
        standing.start_day,
        standing.end_day,
        level.visits,
        level.spend,
        note,
    )


@lru_cache(maxsize=1024)
def _year_start(day: int) -> int:
    return day_of(date(date_of(day).year, 1, 1))
