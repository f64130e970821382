"""What a purchase earns, line by line, and the lots its points go to.

Every breakdown line is rounded once; promotions add, they do not compound. Caps come last, as
negative lines. Preview and posting call the same functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from ledger.core.instants import day_start, month_end, weekday
from ledger.core.model import Account, BreakdownLine, LotChange, MarkChange, PurchaseLine
from ledger.core.rules import Bonus, Promotion, Rules, round_points

#: of how many bonuses for a visit the number of the visit is remembered: more than are returned
_NUMBERS_KEPT = 10
#: minor units: Money has 64 bits for whole units
_MAX_WORTH = 2**63 - 1


class Basket(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A purchase as the rules see it: what was bought when and where, and by whom."""

    #: minor units that earn
    eligible: int
    lines: tuple[PurchaseLine, ...] = ()
    #: the local day, and the minute of it, of the purchase
    day: int = 0
    minute: int = 0
    location_id: str = ""
    #: the level held when the purchase is recorded; empty without tiers
    level: str = ""
    #: this is the member's n-th visit; 0: it is none
    visit: int = 0
    #: what purchases of the same local day have earned before
    earned_that_day: int = 0


class Earned(NamedTuple):
    """What a basket earns."""

    #: the sum of its lines is what is credited, ≥ 0
    breakdown: tuple[BreakdownLine, ...]
    #: points by the days they live, None for those that live as the expiry rule says
    parts: tuple[tuple[int, int | None], ...]
    marks: tuple[MarkChange, ...] = ()
    #: points taken from promotions that have a budget, by promotion id
    spent: Mapping[str, int] = {}


def eligible_amount(amount: int, lines: tuple[PurchaseLine, ...], rules: Rules) -> int:
    """Minor units that earn: the lines of no excluded category, or all when there are no lines."""
    if not lines:
        return amount
    excluded = rules.exclude_categories
    return sum([line.amount for line in lines if line.category not in excluded])


def earn(
    rules: Rules, basket: Basket, account: Account, budgets: Mapping[str, int] | None = None
) -> Earned:
    """What a basket earns under the rules. `budgets`: points that promotions have given so far."""
    lines = [BreakdownLine("base", _at(rules.rate, basket.eligible, rules))]
    if rules.tiers is not None:
        level = rules.tiers.levels[rules.tiers.rank(basket.level)]
        more = _at(level.extra_rate, basket.eligible, rules)
        if more:
            lines.append(BreakdownLine(f"tier:{level.id}", more))
    marks: list[MarkChange] = []
    spent: dict[str, int] = {}
    for promotion in rules.promotions:
        points = _promoted(rules, promotion, basket, account)
        if points and promotion.budget is not None:
            points = min(points, max(0, promotion.budget - (budgets or {}).get(promotion.id, 0)))
            spent[promotion.id] = points
        if points:
            rule = f"promotion:{promotion.id}"
            lines.append(BreakdownLine(rule, points))
            if promotion.once_per_member:
                marks.append(MarkChange(rule, basket.day, 1))
    own_life: list[tuple[int, int | None]] = []
    for bonus in _bonuses(rules, basket, account):
        lines.append(BreakdownLine(f"bonus:{bonus.id}", bonus.points))
        if bonus.on == "EVERY_NTH_VISIT":
            marks.append(MarkChange(_visit_rule(bonus), basket.visit, _NUMBERS_KEPT))
        if bonus.expires_days is not None:
            own_life.append((bonus.points, bonus.expires_days))
    uncapped = sum([line.points for line in lines])
    cut = _cap(rules, basket, lines, uncapped)
    return Earned(tuple(lines), _parts(uncapped, cut, own_life), tuple(marks), spent)


def _at(rate: Fraction, amount: int, rules: Rules) -> int:
    """Points of an amount at a rate, rounded as the rules say."""
    return round_points(rate.numerator * amount, rate.denominator, rules.rounding)


def _promoted(rules: Rules, promotion: Promotion, basket: Basket, account: Account) -> int:
    """Points that a promotion adds to a basket; 0 when it does not apply."""
    if not _applies(promotion, basket):
        return 0
    if promotion.once_per_member and account.marked(f"promotion:{promotion.id}"):
        return 0
    part = _part(rules, promotion, basket)
    if promotion.points is not None:
        return promotion.points if part else 0
    return _at(promotion.extra_rate, part, rules)


def _applies(promotion: Promotion, basket: Basket) -> bool:
    """Whether day, hour, place and tier are those of the promotion."""
    hours = promotion.hours
    return (
        (promotion.from_day is None or basket.day >= promotion.from_day)
        and (promotion.until_day is None or basket.day <= promotion.until_day)
        and (not promotion.weekdays or weekday(basket.day) in promotion.weekdays)
        and (hours is None or hours.start_minute <= basket.minute < hours.end_minute)
        and (not promotion.locations or basket.location_id in promotion.locations)
        and (not promotion.tiers or basket.level in promotion.tiers)
    )


def _part(rules: Rules, promotion: Promotion, basket: Basket) -> int:
    """Eligible minor units of what the promotion is about."""
    categories, skus = promotion.categories, promotion.skus
    if not categories and not skus:
        return basket.eligible
    return sum(
        [
            line.amount
            for line in basket.lines
            if line.category not in rules.exclude_categories
            and (not categories or line.category in categories)
            and (not skus or line.sku in skus)
        ]
    )


def _bonuses(rules: Rules, basket: Basket, account: Account) -> list[Bonus]:
    """The bonuses that a basket is an occasion for.

    A visit that takes the place of a returned one brings no bonus that is kept already.
    """
    found = [bonus for bonus in rules.purchase_bonuses if basket.eligible >= bonus.amount]
    if basket.visit:
        for bonus in rules.visit_bonuses:
            if not basket.visit % bonus.n:
                given = account.marked(_visit_rule(bonus))
                if not given or basket.visit > given[-1]:
                    found.append(bonus)
    return found


def _visit_rule(bonus: Bonus) -> str:
    """What the numbers of the visits are remembered under for which a bonus was given."""
    return f"visit:{bonus.id}"


def _cap(rules: Rules, basket: Basket, lines: list[BreakdownLine], points: int) -> int:
    """Add what caps take away as negative lines; answers how much that is."""
    capped = points
    if rules.cap_per_purchase is not None and capped > rules.cap_per_purchase:
        lines.append(BreakdownLine("cap:per_purchase", rules.cap_per_purchase - capped))
        capped = rules.cap_per_purchase
    if rules.cap_per_day is not None:
        room = max(0, rules.cap_per_day - basket.earned_that_day)
        if capped > room:
            lines.append(BreakdownLine("cap:per_day", room - capped))
            capped = room
    return points - capped


def _parts(
    uncapped: int, cut: int, own_life: list[tuple[int, int | None]]
) -> tuple[tuple[int, int | None], ...]:
    """The credited points by the days they live; a cap takes the last given bonuses first."""
    if not own_life:
        return ((uncapped - cut, None),) if uncapped > cut else ()
    main = uncapped
    kept: list[tuple[int, int | None]] = []
    for points, days in own_life:
        main -= points
        kept.append((points, days))
    for index in reversed(range(len(kept))):
        taken = min(cut, kept[index][0])
        kept[index] = (kept[index][0] - taken, kept[index][1])
        cut -= taken
    return tuple(part for part in ((main - cut, None), *kept) if part[0])


def lots_of(
    parts: Sequence[tuple[int, int | None]],
    day: int,
    zone: ZoneInfo,
    rules: Rules,
    *,
    pending_days: int = 0,
) -> tuple[LotChange, ...]:
    """The lots that points earned on local `day` go to, one for each part."""
    return tuple(
        [
            lot_of(points, day, zone, rules, pending_days=pending_days, expires_days=expires_days)
            for points, expires_days in parts
        ]
    )


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
    """Minor units that points are worth, rounded down.

    None when the program states no value, or when it is more than money can say.
    """
    if rules.value is None:
        return None
    value = rules.value.numerator * points // rules.value.denominator
    return value if value <= _MAX_WORTH else None
