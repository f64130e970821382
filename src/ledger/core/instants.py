"""Instants and the local days and months they fall in.

An instant is an integer: microseconds since 1970-01-01T00:00Z. A local day is an integer: days
since 1970-01-01 in the program's zone. Intervals are half-open: what lives through a day ends at
the first instant of the next one, which is local midnight or, where a clock change skips midnight,
the first moment after it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """IANA names of time zones; not those that mean another zone on another machine."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


#: the instants a request may name: they fit every calendar computation with room to spare
EARLIEST = -2_208_988_800 * SECOND  # 1900-01-01T00:00Z
LATEST = 7_258_118_400 * SECOND  # 2200-01-01T00:00Z


@lru_cache(maxsize=4096)
def local_day(instant: int, zone: ZoneInfo) -> int:
    """The local day in which `instant` (µs) falls."""
    return datetime.fromtimestamp(instant // SECOND, zone).toordinal() - _EPOCH_ORDINAL


@lru_cache(maxsize=4096)
def day_start(day: int, zone: ZoneInfo) -> int:
    """The first instant (µs) of a local day."""
    first = date.fromordinal(day + _EPOCH_ORDINAL)
    return int(datetime(first.year, first.month, first.day, tzinfo=zone).timestamp()) * SECOND


@lru_cache(maxsize=4096)
def month_end(day: int, months: int, zone: ZoneInfo) -> int:
    """The instant (µs) at which the local month that lies `months` after that of `day` is over."""
    local = date.fromordinal(day + _EPOCH_ORDINAL)
    month = local.year * 12 + local.month + months  # 0-based index of the month after
    following = date(month // 12, month % 12 + 1, 1)
    return day_start(following.toordinal() - _EPOCH_ORDINAL, zone)


def format_instant(instant: int) -> str:
    """RFC 3339 in UTC, with only as many decimals as needed: `2027-07-31T22:00:00Z`."""
    seconds, micros = divmod(instant, SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{micros:06d}".rstrip("0") + "Z" if micros else f"{text}Z"


def to_instant(moment: datetime) -> int:
    """Microseconds of an aware datetime."""
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * SECOND + moment.microsecond


def to_datetime(instant: int) -> datetime:
    """The aware UTC datetime of an instant (µs)."""
    seconds, micros = divmod(instant, SECOND)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
