"""Instants and the local days and months they fall in.

An instant is an integer: microseconds since 1970-01-01T00:00Z. A local day is an integer: days
since 1970-01-01 in the program's zone. Intervals are half-open: what lives through a day ends at
the first instant of the next one, which is local midnight or, where a clock change skips midnight,
the first moment after it.
"""

from __future__ import annotations

from calendar import isleap
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
_EPOCH = datetime(1970, 1, 1)  # in UTC; quicker without saying so
_EPOCH_IN_UTC = datetime(1970, 1, 1, tzinfo=UTC)
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


def date_of(day: int) -> date:
    """The calendar date of a local day."""
    return date.fromordinal(day + _EPOCH_ORDINAL)


def day_of(local: date) -> int:
    """The local day of a calendar date."""
    return local.toordinal() - _EPOCH_ORDINAL


@lru_cache(maxsize=4096)
def yearly(month: int, day_of_month: int, from_day: int) -> int:
    """The first local day from `from_day` on that has this month and day.

    29 February is kept on 28 February in years that have none.
    """
    year = date_of(from_day).year
    this_year = _in_year(year, month, day_of_month)
    return this_year if this_year >= from_day else _in_year(year + 1, month, day_of_month)


def next_anniversary(first_day: int, day: int) -> int:
    """The first yearly return of local day `first_day` that is after `day`."""
    first = date_of(first_day)
    return yearly(first.month, first.day, day + 1)


@lru_cache(maxsize=4096)
def anniversary(first_day: int, day: int) -> int:
    """The latest yearly return of local day `first_day` that is not after `day`."""
    first, year = date_of(first_day), date_of(day).year
    this_year = _in_year(year, first.month, first.day)
    return this_year if this_year <= day else _in_year(year - 1, first.month, first.day)


def _in_year(year: int, month: int, day_of_month: int) -> int:
    if (month, day_of_month) == (2, 29) and not isleap(year):
        day_of_month = 28
    return day_of(date(year, month, day_of_month))


@lru_cache(maxsize=4096)
def local_minute(instant: int, zone: ZoneInfo) -> int:
    """The minute of the local day (0 to 1,439, by the clock on the wall) of an instant."""
    local = datetime.fromtimestamp(instant // SECOND, zone)
    return local.hour * 60 + local.minute


def weekday(day: int) -> int:
    """The day of the week of a local day, 0 = Monday."""
    return (day + 3) % 7  # 1970-01-01 was a Thursday


_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)


@lru_cache(maxsize=4096)
def format_day(day: int) -> str:
    """A local day for people, in English: `31 July 2027`."""
    local = date_of(day)
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}"


def format_instant(instant: int) -> str:
    """RFC 3339 in UTC, with only as many decimals as needed: `2027-07-31T22:00:00Z`."""
    text = (_EPOCH + timedelta(microseconds=instant)).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"


def to_instant(moment: datetime) -> int:
    """Microseconds of an aware datetime."""
    since = moment - _EPOCH_IN_UTC
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds


def to_datetime(instant: int) -> datetime:
    """The aware UTC datetime of an instant (µs)."""
    seconds, micros = divmod(instant, SECOND)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
