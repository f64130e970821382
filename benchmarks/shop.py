"""The benchmark's customers: purchases at the demo's coffee shop, drawn from a seed.

A few members come often and most rarely (Zipf), in the mornings and in the evenings, and buy one
to three things from the menu. What they should end up with is worked out here from the program
document alone; nothing of the ledger is imported, so that it is an independent answer.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from itertools import accumulate
from typing import Any, Final
from zoneinfo import ZoneInfo

#: The member of rank r comes in proportion to 1 / r ** ZIPF_EXPONENT. With 10,000 members the
#: first makes 3.7 % of all purchases, and the first hundred make 30 %.
ZIPF_EXPONENT: Final = 0.8

#: purchases are of this many complete days before the run, as uploaded from tills that were offline
DAYS: Final = 7

#: article, category, price in minor units; the gift card is rare, see `_WEIGHTS`
_MENU: Final = (
    ("flat-white", "coffee", 370),
    ("espresso", "coffee", 240),
    ("tea", "tea", 310),
    ("bagel", "food", 520),
    ("cake", "food", 435),
    ("beans-1kg", "beans", 2450),
    ("gift-card-40", "gift-card", 4000),
)
_WEIGHTS: Final = tuple(accumulate((40, 15, 12, 14, 12, 5, 2)))
_LINES: Final = (1, 1, 1, 1, 2, 2, 3)
_LOCATIONS: Final = ("station", "market", "harbour", "campus")

#: (mean, deviation) of the two peaks, and the opening hours, in seconds of the local day
_MORNING: Final = (8.25 * 3600, 0.9 * 3600)
_EVENING: Final = (17.5 * 3600, 1.5 * 3600)
_OPENS, _CLOSES = 6 * 3600, 22 * 3600


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a receipt; the amount is the whole line's, in minor units."""

    sku: str
    category: str
    quantity: int
    amount: int


@dataclass(frozen=True, slots=True)
class Purchase:
    """One receipt, as the till has it."""

    purchase_id: str
    member_id: str
    #: local date
    day: date
    #: seconds since 1970, UTC
    effective_time: int
    lines: tuple[Line, ...]
    location_id: str
    terminal_id: str

    @property
    def amount(self) -> int:
        """What was paid, in minor units."""
        return sum(line.amount for line in self.lines)


@dataclass(frozen=True)
class Shop:
    """Who comes, and when. Equal shops draw equal purchases from equal names."""

    seed: int
    members: int
    time_zone: str
    #: local date of the run; purchases are of the days before
    today: date
    #: how the members' ids begin
    prefix: str = "m"

    def member_ids(self) -> list[str]:
        """All members, the most frequent first. Their ids tell nothing of how often they come."""
        ids = [f"{self.prefix}-{number:06d}" for number in range(1, self.members + 1)]
        random.Random(f"{self.seed} members").shuffle(ids)
        return ids

    def visitors(self, name: str, count: int) -> list[str]:
        """`count` members in the order they come."""
        weights = (1 / rank**ZIPF_EXPONENT for rank in range(1, self.members + 1))
        draw = random.Random(f"{self.seed} visitors {name}")
        return draw.choices(self.member_ids(), cum_weights=list(accumulate(weights)), k=count)

    def purchases(self, name: str, count: int) -> Iterator[Purchase]:
        """`count` purchases, numbered within `name`."""
        draw = random.Random(f"{self.seed} purchases {name}")
        zone = ZoneInfo(self.time_zone)
        days = [self.today - timedelta(days=ago) for ago in range(1, DAYS + 1)]
        opening = time(hour=_OPENS // 3600)
        openings = {
            day: int(datetime.combine(day, opening, zone).timestamp()) - _OPENS for day in days
        }
        for number, member_id in enumerate(self.visitors(name, count), start=1):
            day = draw.choice(days)
            location = draw.choice(_LOCATIONS)
            yield Purchase(
                purchase_id=f"{name}-{number}",
                member_id=member_id,
                day=day,
                effective_time=openings[day] + _second_of_day(draw),
                lines=tuple(_line(draw) for _ in range(draw.choice(_LINES))),
                location_id=location,
                terminal_id=f"{location}-{draw.randrange(1, 4)}",
            )


def _second_of_day(draw: random.Random) -> int:
    peak = _MORNING if draw.random() < 0.6 else _EVENING
    return min(max(int(draw.gauss(*peak)), _OPENS), _CLOSES - 1)


def _line(draw: random.Random) -> Line:
    sku, category, price = draw.choices(_MENU, cum_weights=_WEIGHTS)[0]
    quantity = 2 if draw.random() < 0.15 else 1
    return Line(sku, category, quantity, price * quantity)


@dataclass(frozen=True)
class Earning:
    """What members earn by the rules of the document, in points."""

    per_minor_unit: Fraction
    excluded: frozenset[str]
    per_purchase: int
    per_day: int
    welcome: int

    @classmethod
    def of(cls, rules: Mapping[str, Any]) -> Earning:
        """Those of a document's rules. Raises ValueError for rules it does not know to work out."""
        sections = {"earning", "expiry", "redemption", "members", "bonuses"}
        earning = rules["earning"]
        bonuses = rules["bonuses"]
        known = (
            set(rules) <= sections
            and earning["rounding"] == "FLOOR"
            and not earning["pending_days"]
            and all(bonus["on"] == "ENROLLMENT" for bonus in bonuses)
        )
        if not known:
            raise ValueError("the program has rules that the benchmark can not check")
        rate = earning["rate"]
        return cls(
            per_minor_unit=Fraction(rate["points"]) / (Fraction(rate["per"]) * 100),
            excluded=frozenset(earning["exclude_categories"]),
            per_purchase=earning["caps"]["per_purchase"],
            per_day=earning["caps"]["per_day"],
            welcome=sum(bonus["points"] for bonus in bonuses),
        )

    def balances(self, members: Sequence[str], purchases: Iterable[Purchase]) -> dict[str, int]:
        """Points of every member after these purchases, in whatever order they arrived."""
        days: defaultdict[tuple[str, date], int] = defaultdict(int)
        for purchase in purchases:
            eligible = sum(
                line.amount for line in purchase.lines if line.category not in self.excluded
            )
            points = eligible * self.per_minor_unit.numerator // self.per_minor_unit.denominator
            days[purchase.member_id, purchase.day] += min(points, self.per_purchase)
        balances = dict.fromkeys(members, self.welcome)
        for (member_id, _), points in days.items():
            balances[member_id] += min(points, self.per_day)
        return balances
