"""What a purchase earns, line by line, and the lots its points go to.

Every breakdown line is rounded once. Caps come last, as negative lines. Preview and posting call
the same functions.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from ledger.core.instants import day_start, month_end
from ledger.core.model import BreakdownLine, LotChange, PurchaseLine
from ledger.core.rules import Rules, round_points


def eligible_amount(amount: int, lines: tuple[PurchaseLine, ...], rules: Rules) -> int:
    """Minor units that earn: the lines of no excluded category, or all when there are no lines."""
    if not lines:
        return amount
    excluded = rules.exclude_categories
    return sum([line.amount for line in lines if line.category not in excluded])


def earn(rules: Rules, eligible: int, earned_that_day: int) -> tuple[BreakdownLine, ...]:
    """Breakdown of what `eligible` minor units earn; their sum is what is credited, ≥ 0.

    `earned_that_day` is what purchases of the same local day have earned before.
    """
    base = round_points(rules.rate.numerator * eligible, rules.rate.denominator, rules.rounding)
    lines = [BreakdownLine("base", base)]
    points = base
    if rules.cap_per_purchase is not None and points > rules.cap_per_purchase:
        lines.append(BreakdownLine("cap:per_purchase", rules.cap_per_purchase - points))
        points = rules.cap_per_purchase
    if rules.cap_per_day is not None:
        room = max(0, rules.cap_per_day - earned_that_day)
        if points > room:
            lines.append(BreakdownLine("cap:per_day", room - points))
    return tuple(lines)


def lot_of(
    points: int,
    day: int,
    zone: ZoneInfo,
    rules: Rules,
    *,
    pending_days: int = 0,
    expires_days: int | None = None,
) -> LotChange:
    """The lot that points earned on local `day` go to."""
    expire_time = None
    if expires_days is not None:
        expire_time = day_start(day + expires_days + 1, zone)
    elif rules.after_months is not None:
        expire_time = month_end(day, rules.after_months, zone)
    activate_time = day_start(day + pending_days, zone) if pending_days else None
    return LotChange(points, expire_time, activate_time)


def worth(points: int, rules: Rules) -> int | None:
    """Minor units that points are worth, rounded down; None when the program states no value."""
    if rules.value is None:
        return None
    return rules.value.numerator * points // rules.value.denominator
