"""The tiers that CDNOW's customers come to, worked out with dates and lists alone.

Imports nothing of the ledger, so that what it says is an independent answer to compare with. The
program: silver from 5 visits in 365 days, gold from 12; a visit is a day with a purchase of at
least 5.00. A level is kept to the end of the month twelve months ahead and 30 days longer; who
does not qualify then goes down by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from benchmarks.cdnow import Purchase

LEVELS: Final = ("member", "silver", "gold")
_VISITS_NEEDED: Final = (0, 5, 12)
_SMALLEST_VISIT: Final = Decimal("5.00")
_PERIOD: Final = timedelta(days=365)
_GRACE: Final = timedelta(days=30)


class Change(NamedTuple):
    """A level was reached, lost or found to be earned still, on a local day."""

    day: date
    #: PROMOTED, LOWERED or RENEWED
    reason: str
    #: the level held from then on
    level: str


def tier_changes(purchases: Iterable[Purchase], last_day: date) -> dict[str, list[Change]]:
    """For every member what changed through `last_day`, the first change first."""
    bought: dict[str, list[tuple[date, Decimal]]] = {}
    for purchase in purchases:
        day = purchase.effective_time.date()
        bought.setdefault(purchase.member_id, []).append((day, Decimal(purchase.amount)))
    return {member: _changes(sorted(days), last_day) for member, days in bought.items()}


def held_on(changes: Mapping[str, list[Change]], day: date) -> Counter[str]:
    """How many members hold each level when a day is over."""
    return Counter(
        next((change.level for change in reversed(own) if change.day <= day), LEVELS[0])
        for own in changes.values()
    )


def _changes(bought: list[tuple[date, Decimal]], last_day: date) -> list[Change]:
    """What changed for somebody who bought this, in order of time."""
    changes: list[Change] = []
    visits: list[date] = []
    rank, review = 0, date.max
    for day, amount in [*bought, (last_day, Decimal(0))]:
        while review <= day:  # it falls on the beginning of its day, before what is bought then
            earned = _rank(visits, review)
            reason = "RENEWED" if earned == rank else "PROMOTED" if earned > rank else "LOWERED"
            rank = max(earned, rank - 1)
            changes.append(Change(review, reason, LEVELS[rank]))
            review = _review_day(review) if rank else date.max
        if not amount:
            continue
        if amount >= _SMALLEST_VISIT and day not in visits:
            visits.append(day)
        earned = _rank(visits, day)
        if earned > rank:
            rank = earned
            changes.append(Change(day, "PROMOTED", LEVELS[rank]))
        if rank and earned == rank:
            review = _review_day(day)
    return changes


def _rank(visits: list[date], day: date) -> int:
    """The highest level that the visits of the 365 days up to `day` are enough for."""
    recent = [visit for visit in visits if day - _PERIOD < visit <= day]
    return max(rank for rank, needed in enumerate(_VISITS_NEEDED) if len(recent) >= needed)


def _review_day(day: date) -> date:
    """When a level held on `day` is looked at again: its month next year is over, and the grace."""
    month_after = date(day.year + 1 + day.month // 12, day.month % 12 + 1, 1)
    return month_after + _GRACE
