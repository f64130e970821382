"""Short lines for a till's printer and a shop's page: what a request did, in numbers and dates.

English. Everything is told from the entries themselves, so that a repeated answer reads the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from ledger.core.explain import tier_name
from ledger.core.instants import SECOND, format_day, local_day
from ledger.core.model import DEBT, Balance, Entry
from ledger.core.money import format_minor
from ledger.core.program import Program
from ledger.core.status import Missing, TierStatus


def messages(
    entries: Sequence[Entry], balance: Balance, status: TierStatus | None, program: Program
) -> list[str]:
    """What to print about a request that posted these entries and left this balance and tier."""
    lines = []
    for entry in entries:
        line = _about(entry, program)
        if line:
            lines.append(line)
    lines.append(_balance(balance, program))
    if status is not None:
        lines += _ahead(status, program, balance.as_of_time)
    return lines


def _about(entry: Entry, program: Program) -> str:
    """One line about an entry; empty when there is nothing to say of it."""
    told = _TOLD.get(entry.kind)
    return told(entry, program) if told is not None else ""


def _enrolled(entry: Entry, program: Program) -> str:
    return "Welcome."


def _held(entry: Entry, program: Program) -> str:
    hold = entry.data.hold
    assert hold is not None
    return (
        f"{_subject(entry, hold.points, program)} held until {_moment(hold.expire_time, program)}."
    )


def _redeemed(entry: Entry, program: Program) -> str:
    redemption = entry.data.redemption
    assert redemption is not None
    what = _subject(entry, redemption.points, program)
    if entry.data.reward_id:
        return f"{what} for {redemption.points} {_points(redemption.points)}."
    if redemption.value is None:
        return f"{what} spent."
    return f"{what} spent, worth {format_minor(redemption.value, program.currency)}."


def _released(entry: Entry, program: Program) -> str:
    if entry.points:
        return f"{entry.points:+} {_points(entry.points)} that were held."
    return f"{_subject(entry, 0, program)} is held no longer."


def _reversed(entry: Entry, program: Program) -> str:
    return f"{entry.points:+} {_points(entry.points)} given back."


def _returned(entry: Entry, program: Program) -> str:
    points, forgiven = entry.points, entry.data.forgiven_points
    if entry.debit_account == DEBT:
        return f"{-points} {_points(points)} owed: what comes in next pays them."
    parts = []
    if points or not forgiven:
        parts.append(f"{points:+} {_points(points)} for the return." if points else "Returned.")
    if forgiven:
        parts.append(f"{forgiven} {_points(forgiven)} that were spent already are let go.")
    return " ".join(parts)


def _paid(entry: Entry, program: Program) -> str:
    return f"{entry.points:+} {_points(entry.points)} for what was owed."


def _adjusted(entry: Entry, program: Program) -> str:
    return f"{entry.points:+} {_points(entry.points)} ({entry.data.reason_code})."


def _transferred(entry: Entry, program: Program) -> str:
    other = entry.data.related_member_id
    return f"{entry.points:+} {_points(entry.points)} handed over to {other}."


def _expired(entry: Entry, program: Program) -> str:
    if not entry.points:
        return ""
    why = "unused for too long" if entry.data.inactivity else "past their date"
    return f"{entry.points:+} {_points(entry.points)} {why}."


def _status(entry: Entry, program: Program) -> str:
    return _STATUSES[entry.data.status]


def _subject(entry: Entry, points: int, program: Program) -> str:
    """What is held or redeemed: a reward by its name, else points."""
    reward_id = entry.data.reward_id
    if not reward_id:
        return f"{points} {_points(points)}"
    reward = program.versions[entry.rules_version - 1].rules.reward(reward_id)
    return reward_id if reward is None else reward.name


def _earned(entry: Entry, program: Program) -> str:
    if not entry.points:
        return "No points this time."
    parts = ", ".join(
        f"{line.points} {_short(line.rule, entry, program)}" for line in entry.data.breakdown
    )
    because = f" ({parts})" if parts else ""
    later = ""
    waits = [lot.activate_time for lot in entry.data.lots if lot.activate_time is not None]
    if waits:
        later = f", to be spent from {_date(min(waits), program)}"
    return f"{entry.points:+} {_points(entry.points)}{because}{later}."


def _short(rule: str, entry: Entry, program: Program) -> str:
    """A rule as a receipt names it: `Gold` for the tier of that name."""
    kind, _, detail = rule.partition(":")
    if kind == "tier":
        return _tier_name(detail, entry, program)
    if kind == "entry":
        return f"for {_tier_name(detail, entry, program)}"
    if kind == "cap":
        return "over the limit"
    return detail or kind


def _tier_name(tier_id: str, entry: Entry, program: Program) -> str:
    return tier_name(tier_id, program.versions[entry.rules_version - 1].rules)


def _tier_change(entry: Entry, program: Program) -> str:
    why, state = entry.data.why, entry.data.tier
    if why is None or state is None:
        return ""
    level, until = state.held, state.override_until if state.override else state.valid_until
    if why.reason == "PROMOTED":  # also beneath an override
        level, until = state.level, state.valid_until
    name = _tier_name(level, entry, program)
    lasting = f" until {_last_day(until, program)}" if until is not None else ""
    words = {
        "PROMOTED": f"Welcome to {name}",
        "RENEWED": f"{name} goes on",
        "OVERRIDDEN": f"You have {name}",
    }
    return f"{words.get(why.reason, f'You are now {name}')}{lasting}."


_STATUSES: Final = {
    "ACTIVE": "The membership is active.",
    "EARN_ONLY": "Points can be earned now, not spent.",
    "SUSPENDED": "The membership is suspended.",
    "CLOSED": "The membership is closed.",
}

#: what tells of an entry, by its kind
_TOLD: Final[Mapping[str, Callable[[Entry, Program], str]]] = {
    "ENROLLED": _enrolled,
    "PURCHASE": _earned,
    "ACTIVITY": _earned,
    "BONUS": _earned,
    "TIER_CHANGE": _tier_change,
    "HOLD": _held,
    "CAPTURE": _redeemed,
    "REDEMPTION": _redeemed,
    "RELEASE": _released,
    "REDEMPTION_REVERSAL": _reversed,
    "RETURN": _returned,
    "DEBT_PAYMENT": _paid,
    "ADJUSTMENT": _adjusted,
    "TRANSFER_OUT": _transferred,
    "EXPIRY": _expired,
    "STATUS_CHANGE": _status,
}


def _balance(balance: Balance, program: Program) -> str:
    held = f"; {balance.held} held" if balance.held else ""
    waiting = f", {balance.pending} more to come" if balance.pending else ""
    waiting += f", {balance.debt} owed" if balance.debt else ""
    lot = balance.next_expiry
    if lot is None or lot.expire_time is None:
        return f"Balance {balance.available}{waiting}{held}."
    share = "all" if lot.points == balance.available else f"{lot.points} of them"
    until = _last_day(lot.expire_time, program)
    return f"Balance {balance.available}{waiting}, {share} to be used by {until}{held}."


def _ahead(status: TierStatus, program: Program, now: int) -> list[str]:
    """What would keep the tier, and what would bring the next."""
    return [
        _needed(missing, program, now, f"to {verb} {missing.name}")
        for verb, missing in (("keep", status.keep), ("reach", status.next))
        if missing is not None
    ]


def _needed(missing: Missing, program: Program, now: int, purpose: str) -> str:
    more = " more" if missing.from_time <= now else ""
    asked = []
    if missing.visits:
        asked.append(f"{missing.visits}{more} visit{'' if missing.visits == 1 else 's'}")
    if missing.spend:
        asked.append(f"{format_minor(missing.spend, program.currency)}{more}")
    between = ""
    if missing.by_time is not None:
        between = f" by {_last_day(missing.by_time, program)}"
        if not more:
            between = f" from {_date(missing.from_time, program)}{between}"
    return f"{(' or ' if missing.either else ' and ').join(asked)}{between} {purpose}."


def _points(points: int) -> str:
    return "point" if abs(points) == 1 else "points"


def _date(instant: int, program: Program) -> str:
    return format_day(local_day(instant, program.zone))


def _moment(instant: int, program: Program) -> str:
    """The minute in which something ends: `14:05 on 3 May 2026`."""
    local = datetime.fromtimestamp(instant // SECOND, program.zone)
    return f"{local:%H:%M} on {_date(instant, program)}"


def _last_day(instant: int, program: Program) -> str:
    """The last local day that is before an instant: what ends at midnight ends the day before."""
    return _date(instant - 1, program)
