"""Text from flags and files to exact values: amounts, points, receipt lines, times.

Faults are ValueErrors that say what is allowed. Imports the core and the standard library only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from ledger.core.instants import EARLIEST, LATEST, to_instant
from ledger.core.money import CURRENCIES, MAX_AMOUNT, parse_decimal

MAX_POINTS: Final = 10**15

_POINTS = re.compile(r"[+-]?[0-9]{1,18}")
_DURATION = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,9})s?)?", re.ASCII)
_SECONDS = (86_400, 3_600, 60, 1)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a receipt; the amount is in minor units."""

    sku: str
    category: str
    quantity: int
    amount: int


def parse_amount(text: str, currency: str) -> int:
    """Minor units of a plain decimal: `12.99` EUR is 1299.

    Raises ValueError for a sign, an exponent, separators, or more decimals than the currency has.
    """
    exact = parse_decimal(text)
    if exact is None:
        raise ValueError(f"must be a plain decimal such as 12.99, not {text!r}")
    decimals = CURRENCIES[currency]
    minor = exact * 10**decimals
    if minor.denominator != 1:
        raise ValueError(f"has more decimals than {currency}, which has {decimals}: {text}")
    if minor > MAX_AMOUNT:
        raise ValueError(f"is larger than the ledger takes: {text}")
    return int(minor)


def parse_points(text: str, *, signed: bool = False) -> int:
    """A number of points: `250`; with `signed` also `-250` and `+250`.

    Raises ValueError with what is allowed.
    """
    if not _POINTS.fullmatch(text) or (not signed and text[0] in "+-"):
        example = "250 or -250" if signed else "250"
        raise ValueError(f"must be a whole number such as {example}, not {text!r}")
    points = int(text)
    if abs(points) > MAX_POINTS:
        raise ValueError(f"is more than the ledger takes: {text}")
    return points


def parse_duration(text: str) -> int:
    """Seconds of `90s`, `15m`, `2h`, `1d` or `1h30m`; a bare number is seconds.

    Raises ValueError with what is allowed.
    """
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        raise ValueError(f"must be a duration such as 90s, 15m, 2h or 1d, not {text!r}")
    return sum(
        int(number or 0) * unit for number, unit in zip(found.groups(), _SECONDS, strict=True)
    )


def parse_line(text: str, currency: str) -> Line:
    """The receipt line of `SKU:CATEGORY:QUANTITY:AMOUNT`; all but the amount may be empty.

    An SKU may have colons of its own. Raises ValueError with what is allowed.
    """
    parts = text.rsplit(":", 3)
    if len(parts) != 4:
        raise ValueError(f"must be SKU:CATEGORY:QUANTITY:AMOUNT, not {text!r}")
    sku, category, quantity, amount = parts
    if quantity and not (quantity.isascii() and quantity.isdigit() and len(quantity) <= 7):
        raise ValueError(f"the quantity must be a whole number, not {quantity!r}")
    return Line(sku, category, int(quantity or 0), parse_amount(amount, currency))


def parse_time(text: str, zone: ZoneInfo) -> int:
    """The instant (µs) of an ISO 8601 time or date; without an offset it is local to `zone`.

    A date is its first moment; of a time that a clock change repeats, the first is taken. Raises
    ValueError with what is allowed.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"must be a time such as 2026-11-22T16:00:00Z or a date such as 2026-11-22, "
            f"not {text!r}"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    try:
        instant = to_instant(moment.astimezone(UTC))
    except (OverflowError, ValueError):
        instant = LATEST + 1
    if not EARLIEST <= instant <= LATEST:
        raise ValueError(f"must be between the years 1900 and 2200, not {text!r}")
    return instant


def parse_birthday(text: str) -> tuple[int, int]:
    """Month and day of `02-29`. Raises ValueError with what is allowed."""
    try:
        day = datetime.strptime(f"2000-{text.strip()}", "%Y-%m-%d")
    except ValueError:
        raise ValueError(f"must be a month and a day such as 02-29, not {text!r}") from None
    return day.month, day.day


def identifier_fault(text: str) -> str | None:
    """What is wrong with an id (1 to 128 printable characters); None if nothing is."""
    if not text:
        return "is empty"
    if len(text) > 128:
        return f"has {len(text)} characters, at most 128 are allowed"
    if not text.isprintable():
        return "has characters that are not printable"
    return None


def format_date(day: date) -> str:
    """`31 Jul 2027`, in English whatever the locale."""
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    return f"{day.day} {months[day.month - 1]} {day.year}"
