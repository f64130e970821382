"""Local days of a time zone, and the instants at which they begin."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


def local_day(instant: datetime, zone: ZoneInfo) -> date:
    """The date at which clocks of the zone stand."""
    return instant.astimezone(zone).date()


@lru_cache(maxsize=100_000)
def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day: midnight, or when the clock jumps over midnight, later.

    Found by search, so that nothing need be known of the zone's rules: the first second at which
    the local date is the day, or after it.
    """
    utc = ZoneInfo("UTC")
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=utc)
    # No zone is more than 15 hours from UTC, but one that moved across the date line skipped a day.
    before, after = noon - timedelta(hours=60), noon + timedelta(hours=60)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if local_day(middle, zone) >= day:
            after = middle
        else:
            before = middle
    return after


def anniversary(first: date, year: int) -> date:
    """The same day of another year; 28 February for a 29th that it does not have."""
    try:
        return first.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def months_end(day: date, months: int, zone: ZoneInfo) -> datetime:
    """The end of the local month that lies some months after that of a day."""
    following = day.year * 12 + (day.month - 1) + months + 1
    return day_start(date(following // 12, following % 12 + 1, 1), zone)


def expires(
    day: date, expires_days: int | None, rules: dict[str, Any], zone: ZoneInfo
) -> datetime | None:
    """When points earned on a day are over: after their own days, or as `expiry` says, or never."""
    if expires_days is not None:
        return day_start(day + timedelta(expires_days + 1), zone)
    months = (rules.get("expiry") or {}).get("after_months")
    return None if months is None else months_end(day, months, zone)
