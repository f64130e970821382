"""What is posted about tiers: rising after a purchase, ending in time, overriding by hand."""

from __future__ import annotations

from ledger.core.change import change_day
from ledger.core.commands import Command, OverrideTier
from ledger.core.errors import invalid
from ledger.core.giving import give
from ledger.core.instants import format_instant, local_day
from ledger.core.membership import require_allowed
from ledger.core.model import (
    DayChange,
    EntryData,
    TierReason,
    TierState,
)
from ledger.core.posting import Context, Posting
from ledger.core.program import RulesVersion
from ledger.core.tiers import (
    Standing,
    extended,
    first_state,
    moved,
    overridden,
    period_start,
    progress,
    rank_after_end,
    reason,
    stand,
)


def tell_tier(
    posting: Posting,
    data: EntryData,
    change: DayChange | None = None,
    enroll_time: int | None = None,
) -> Standing | None:
    """Put the tier held into the data of an entry about to be posted, so that it can be told again.

    With a `change`, what a purchase brings counts, and pushes out how long its level is kept. Who
    has no tier yet gets the lowest, since enrolment (µs; given while that is not posted yet).
    Answers where the member stands; None in a program without tiers.
    """
    version, program, account = posting.rules_now, posting.program, posting.account
    tiers = version.rules.tiers
    if tiers is None:
        return None
    if enroll_time is None:
        enroll_time = account.enroll_time
    enroll_day = local_day(enroll_time, program.zone)
    state = account.tier or first_state(tiers, enroll_time)
    days = account.days if change is None else change_day(account.days, change)
    standing = stand(days, version.rules, posting.today, enroll_day)
    if change is not None and change.spend > 0 and standing.rank == tiers.rank(state.level):
        state = extended(state, tiers, posting.today, program.zone)
    data.tier = state
    data.progress = progress(standing, days, version, state, program.zone, enroll_day)
    return standing


def rise(posting: Posting, standing: Standing | None, command: Command) -> None:
    """Promote the member at once when a standing is enough for a higher level."""
    version = posting.rules_now
    tiers, state = version.rules.tiers, posting.account.tier
    if standing is None or tiers is None or state is None:
        return
    if standing.rank > tiers.rank(state.level):
        zone = posting.program.zone
        after = moved(state, tiers, standing.rank, posting.now, posting.today, zone)
        why = reason("PROMOTED", state.held, standing, tiers.levels[standing.rank])
        _change(posting, version, standing, after, why, posting.now, command)
        _give_entry_bonus(posting, version, standing, posting.now, command)


def end_tier(posting: Posting, instant: int) -> bool:
    """End an override or decide anew on a level whose grace is over; False: neither was due.

    An override ends first, so that the level beneath it is what time then looks at.
    """
    state = posting.account.tier
    if state is None or state.due_time is None or state.due_time > instant:
        return False
    version = posting.program.in_force(instant)
    zone = posting.program.zone
    day = local_day(instant, zone)
    tiers = version.rules.tiers
    assert tiers is not None  # no version takes away what members hold
    standing = stand(posting.account.days, version.rules, day, posting.enroll_day)
    held = tiers.rank(state.level)
    if state.override_until is not None and state.override_until <= instant:
        after = overridden(state, "", None, instant)
        why = reason("OVERRIDE_ENDED", state.held, standing, tiers.levels[held])
        _change(posting, version, standing, after, why, instant, None)
        return True
    rank = rank_after_end(tiers, held, standing.rank)
    name = "LOWERED" if rank < held else "RENEWED" if rank == held else "PROMOTED"
    after = moved(state, tiers, rank, instant, day, zone)
    why = reason(name, state.held, standing, tiers.levels[max(rank, held)])
    _change(posting, version, standing, after, why, instant, None)
    if rank > held:
        _give_entry_bonus(posting, version, standing, instant, None)
    return True


def override_tier(posting: Posting, command: OverrideTier, context: Context) -> None:
    """Let a member hold a level for a while, whatever has been earned.

    Raises MEMBER_NOT_ACTIVE, and INVALID_FIELD for a level that the program does not have or that
    is below the one held, and for an end that is not ahead.
    """
    require_allowed(posting, command)
    version, now = posting.rules_now, posting.now
    tiers = version.rules.tiers
    known = [level.id for level in tiers.levels] if tiers is not None else []
    if tiers is None or command.tier_id not in known:
        allowed = "one of " + ", ".join(known) if known else "absent: the program has no tiers"
        raise invalid("tier_id", f"must be {allowed}")
    state = posting.account.tier or first_state(tiers, posting.account.enroll_time)
    if tiers.rank(command.tier_id) < tiers.rank(state.held):
        raise invalid("tier_id", f"is below {state.held}, which the member holds already")
    if command.until_time <= now:
        raise invalid("until_time", f"must be later than now, {format_instant(now)}")
    standing = stand(posting.account.days, version.rules, posting.today, posting.enroll_day)
    after = overridden(state, command.tier_id, command.until_time, now)
    level = tiers.levels[tiers.rank(command.tier_id)]
    why = reason("OVERRIDDEN", state.held, standing, level, command.reason)
    _change(posting, version, standing, after, why, now, command)


def _change(
    posting: Posting,
    version: RulesVersion,
    standing: Standing,
    after: TierState,
    why: TierReason,
    instant: int,
    command: Command | None,
) -> None:
    days, zone = posting.account.days, posting.program.zone
    told = progress(standing, days, version, after, zone, posting.enroll_day)
    posting.post(
        "TIER_CHANGE",
        0,
        EntryData(tier=after, why=why, progress=told),
        effective_time=instant,
        rules_version=version.version,
        command=command,
    )


def _give_entry_bonus(
    posting: Posting,
    version: RulesVersion,
    standing: Standing,
    instant: int,
    command: Command | None,
) -> None:
    """Give what a level gives for reaching it, once in each period."""
    assert version.rules.tiers is not None
    level = version.rules.tiers.levels[standing.rank]
    rule = f"entry:{level.id}"
    given = posting.account.marked(rule)
    if level.entry_bonus and not (given and given[-1] >= standing.start_day):
        give(posting, rule, level.entry_bonus, instant, version, once=True, command=command)


def remember_from(posting: Posting) -> int:
    """The oldest local day that a rule may still look at, now or later."""
    program, today = posting.program, posting.today
    oldest = today - program.longest_backdate_days
    for tiers in program.all_tiers:
        oldest = min(oldest, period_start(tiers, today, posting.enroll_day))
    return oldest
