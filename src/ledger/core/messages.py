"""Short lines for a till's printer and a shop's page: what a request did, in numbers and dates.

English. Everything is told from the entries themselves, so that a repeated answer reads the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from zoneinfo import ZoneInfo

from ledger.core.explain import tier_name
from ledger.core.instants import date_of, local_day
from ledger.core.model import Balance, Entry
from ledger.core.money import format_minor
from ledger.core.program import Program
from ledger.core.status import Missing, TierStatus

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)


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
    if entry.kind == "ENROLLED":
        return "Welcome."
    if entry.kind == "TIER_CHANGE":
        return _tier_change(entry, program)
    if entry.kind in ("PURCHASE", "ACTIVITY", "BONUS"):
        return _earned(entry, program)
    return ""


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


def _balance(balance: Balance, program: Program) -> str:
    waiting = f", {balance.pending} more to come" if balance.pending else ""
    lot = balance.next_expiry
    if lot is None or lot.expire_time is None:
        return f"Balance {balance.available}{waiting}."
    share = "all" if lot.points == balance.available else f"{lot.points} of them"
    until = _last_day(lot.expire_time, program)
    return f"Balance {balance.available}{waiting}, {share} to be used by {until}."


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
    return _date_in(instant, program.zone)


@lru_cache(maxsize=4096)
def _date_in(instant: int, zone: ZoneInfo) -> str:
    local = date_of(local_day(instant, zone))
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}"


def _last_day(instant: int, program: Program) -> str:
    """The last local day that is before an instant: what ends at midnight ends the day before."""
    return _date(instant - 1, program)
