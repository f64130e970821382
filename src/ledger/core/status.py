"""What to tell a member about the tier: what is held, until when, and what is missing for more.

Made of what an account or an entry holds, so that an answer given again says what it said first.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ledger.core.instants import day_start, local_day
from ledger.core.model import Account, Entry, Progress, TierState
from ledger.core.program import Program
from ledger.core.rules import Level
from ledger.core.tier_rules import reaches
from ledger.core.tiers import first_state, progress, stand


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """What is missing for a level, and between which instants (µs) it would have to come."""

    tier_id: str
    name: str
    visits: int
    #: minor units
    spend: int
    #: whether either of them will do
    either: bool
    #: when some of what counts now will count no more; None: nothing does yet
    by_time: int | None
    #: what happens before this instant (µs) does not count towards it
    from_time: int


class TierStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The tier of a member, and the way from there. Instants in µs, spend in minor units."""

    tier_id: str
    name: str
    benefits: tuple[str, ...]
    since_time: int
    #: None: held for good
    valid_until_time: int | None
    grace_until_time: int | None
    #: an operator's decision stands in for what was earned
    overridden: bool
    period_start_time: int
    #: None: the period moves on with each day
    period_end_time: int | None
    visits: int
    spend: int
    #: None: the highest level is held
    next: Missing | None
    #: what is missing to hold the level beyond valid_until_time; None: nothing
    keep: Missing | None


def present_status(account: Account, program: Program, now: int) -> TierStatus | None:
    """The tier of an account that is settled up to `now` (µs); None in a program without tiers."""
    version = program.in_force(now)
    rules = version.rules
    if rules.tiers is None:
        return None
    zone = program.zone
    state = account.tier or first_state(rules.tiers, account.enroll_time)
    enroll_day = local_day(account.enroll_time, zone)
    standing = stand(account.days, rules, local_day(now, zone), enroll_day)
    told = progress(standing, account.days, version, state, zone, enroll_day)
    return _status(state, told, now, program)


def status_after(entries: Sequence[Entry], program: Program) -> TierStatus | None:
    """The tier as the last of a request's entries that says something of it tells it; None: no
    entry does."""
    for entry in reversed(entries):
        state, told = entry.data.tier, entry.data.progress
        if state is not None and told is not None:
            return _status(state, told, entry.create_time, program)
    return None


def _status(state: TierState, told: Progress, now: int, program: Program) -> TierStatus | None:
    tiers, zone = program.versions[told.version - 1].rules.tiers, program.zone
    if tiers is None:
        return None
    rank = tiers.rank(state.held)
    level = tiers.levels[rank]
    overridden = bool(state.override)
    ends = tiers.period != "rolling_days" and told.by_day is not None
    by_time = None if told.by_day is None else day_start(told.by_day, zone)
    start_time = day_start(told.start_day, zone)
    following = None
    if rank + 1 < len(tiers.levels):
        following = _missing(tiers.levels[rank + 1], told.visits, told.spend, by_time, start_time)
    keep = None
    if rank and not overridden and tiers.downgrade != "NEVER":
        keep_from = day_start(told.keep_day, zone)
        keep_until = state.valid_until
        if keep_until is not None and keep_until <= max(now, keep_from):
            keep_until = state.grace_until  # what would keep it comes within the grace
        keep = _missing(level, told.keep_visits, told.keep_spend, keep_until, keep_from)
    return TierStatus(
        tier_id=level.id,
        name=level.name,
        benefits=level.benefits,
        since_time=state.since,
        valid_until_time=state.override_until if overridden else state.valid_until,
        grace_until_time=state.override_until if overridden else state.grace_until,
        overridden=overridden,
        period_start_time=start_time,
        period_end_time=by_time if ends else None,
        visits=told.visits,
        spend=told.spend,
        next=following,
        keep=keep,
    )


def _missing(
    level: Level, visits: int, spend: int, by_time: int | None, from_time: int
) -> Missing | None:
    """What is missing for a level; None when it is reached."""
    if reaches(level, visits, spend):
        return None
    return Missing(
        tier_id=level.id,
        name=level.name,
        visits=max(0, (level.visits or 0) - visits),
        spend=max(0, (level.spend or 0) - spend),
        either=level.match == "ANY",
        by_time=by_time,
        from_time=from_time,
    )
