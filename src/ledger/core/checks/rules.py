"""Re-check an entry against the rules it names: what was earned, how long it lives, what things
cost and what they are worth.

What depends on more than the entry itself, such as tiers, promotions and caps, is not computed
again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.core.checks.finding import Finding, compare
from ledger.core.earning import lot_of
from ledger.core.instants import local_day, month_end
from ledger.core.limits import fits_today, limit_text
from ledger.core.model import Account, DayUse, Entry
from ledger.core.program import Program
from ledger.core.rewards import worth_of
from ledger.core.rules import Bonus, DailyLimit, Rules, round_points

#: what gives points that live as long as the rules say
_GIVING: Final = frozenset({"PURCHASE", "BONUS", "ACTIVITY", "ADJUSTMENT"})
_TAKING: Final = frozenset({"HOLD", "REDEMPTION"})
_REDEEMING: Final = frozenset({"REDEMPTION", "CAPTURE"})
_BONUS: Final = "bonus:"


def check_rules(entry: Entry, before: Account, program: Program) -> Iterator[Finding]:
    """What an entry contradicts of the rules; `before` is the account without it."""
    if not 1 <= entry.rules_version <= len(program.versions):
        detail = f"names rules version {entry.rules_version}, which is not there"
        yield Finding("rules", entry.sequence, detail)
        return
    rules = program.versions[entry.rules_version - 1].rules
    if entry.kind in _GIVING:
        if entry.points > 0:
            yield from _check_given(entry, rules, program)
        if entry.kind == "ADJUSTMENT":
            yield from _check_adjustment(entry, rules)
        return
    if entry.kind in _TAKING and not entry.subject_sequence:
        if entry.data.reward_id:
            yield from _check_reward(entry, rules)
        yield from _check_limit(entry, rules.redemption_limit, before.redeemed, program)
    elif entry.kind == "TRANSFER_OUT":
        yield from _check_limit(entry, rules.transfer_limit, before.transferred, program)
    if entry.kind in _REDEEMING:
        yield from _check_worth(entry, rules)
    if entry.data.inactivity:
        yield from _check_inactivity(entry, before, rules, program)


def _check_given(entry: Entry, rules: Rules, program: Program) -> Iterator[Finding]:
    """Points are those of the rate and of the bonuses, and live as long as these say."""
    data, timed = entry.data, entry.kind != "ADJUSTMENT"
    # the days that points live; None: as long as all that say nothing of it
    lives: set[int | None] = {None} if entry.kind == "PURCHASE" or not data.breakdown else set()
    for line in data.breakdown:
        if line.rule == "base":
            rate, eligible = rules.rate, data.eligible or 0
            due = round_points(rate.numerator * eligible, rate.denominator, rules.rounding)
            if line.points != due:
                yield Finding("rules", entry.sequence, f"{line.points} base points, not {due}")
        elif line.rule.startswith(_BONUS):
            bonus = _bonus(line.rule.removeprefix(_BONUS), rules)
            lives.add(None if bonus is None else bonus.expires_days)
            if bonus is None or line.points not in (bonus.points, bonus.referee_points):
                detail = f"gives {line.points} points for {line.rule}"
                yield Finding("rules", entry.sequence, detail)
        else:
            lives.add(None)
    day = local_day(entry.effective_time if timed else entry.create_time, program.zone)
    pending_days = rules.pending_days if entry.kind == "PURCHASE" else 0
    dates = [
        lot_of(0, day, program.zone, rules, pending_days=pending_days, expires_days=days)
        for days in lives
    ]
    for change in data.lots:
        for due_lot in dates:
            if (
                change.expire_time == due_lot.expire_time
                and change.activate_time == due_lot.activate_time
            ):
                break
        else:
            detail = f"points live until {change.expire_time}, not as long as the rules say"
            yield Finding("rules", entry.sequence, detail)


def _check_adjustment(entry: Entry, rules: Rules) -> Iterator[Finding]:
    """It has a reason that the rules know, and somebody else approved a large one."""
    data, limit = entry.data, rules.approval_above
    if data.reason_code not in rules.reason_codes:
        yield Finding("rules", entry.sequence, f"is adjusted for {data.reason_code!r}")
    alone = data.approver in ("", entry.actor)
    if limit is not None and abs(entry.points) > limit and alone:
        yield Finding("rules", entry.sequence, f"more than {limit} points, and nobody approved")


def _bonus(bonus_id: str, rules: Rules) -> Bonus | None:
    for bonus in rules.bonuses:
        if bonus.id == bonus_id:
            return bonus
    return None


def _check_reward(entry: Entry, rules: Rules) -> Iterator[Finding]:
    """A reward takes its price, a unit where it has a stock, a use where it has a limit."""
    reward = rules.reward(entry.data.reward_id)
    if reward is None:
        detail = f"takes reward {entry.data.reward_id}, which there is none of"
        yield Finding("rules", entry.sequence, detail)
        return
    yield from compare(
        "rules",
        entry.sequence,
        ("points", entry.points, -reward.points),
        ("units", entry.data.units, int(reward.stock is not None)),
        ("uses", len(entry.data.marks), int(reward.per_member is not None)),
    )


def _check_limit(
    entry: Entry, limit: DailyLimit | None, use: DayUse | None, program: Program
) -> Iterator[Finding]:
    """What has a limit of the day is counted, and within it; nothing else is."""
    day = local_day(entry.create_time, program.zone)
    due = None if limit is None else DayUse(day, 1, -entry.points)
    yield from compare("rules", entry.sequence, ("counted", entry.data.counted, due))
    if limit is not None and not fits_today(limit, use, day, -entry.points):
        detail = f"{-entry.points} points are more than was left of {limit_text(limit)} a day"
        yield Finding("rules", entry.sequence, detail)


def _check_worth(entry: Entry, rules: Rules) -> Iterator[Finding]:
    """What is redeemed is worth what the rules say."""
    told, reward_id = entry.data.redemption, entry.data.reward_id
    reward = rules.reward(reward_id) if reward_id else None
    if told is None or (reward_id and reward is None):
        return
    due = worth_of(reward, -entry.points, rules)
    yield from compare(
        "rules",
        entry.sequence,
        ("value", told.value, due.value),
        ("percent_off", told.percent_off, due.percent_off),
    )


def _check_inactivity(
    entry: Entry, before: Account, rules: Rules, program: Program
) -> Iterator[Finding]:
    """A balance expires for want of activity only after as many months as the rules say."""
    months = rules.inactivity_months
    active_time = before.active_time or before.enroll_time
    due = None
    if months is not None:
        due = month_end(local_day(active_time, program.zone), months, program.zone)
    if due is None or entry.effective_time < due:
        detail = f"expires for want of activity, not before {due}"
        yield Finding("expiry", entry.sequence, detail)
