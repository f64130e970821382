"""Local days and month ends, where calendars and clocks are at their worst."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.core.instants import (
    DAY,
    EARLIEST,
    LATEST,
    day_start,
    format_instant,
    local_day,
    month_end,
    to_datetime,
    to_instant,
)
from tests.memory import at

EPOCH = date(1970, 1, 1).toordinal()


def day(text: str) -> int:
    """The number of a calendar day."""
    return date.fromisoformat(text).toordinal() - EPOCH


@pytest.mark.parametrize(
    ("zone", "instant", "expected"),
    [
        ("Europe/Berlin", "2026-02-28T22:59:59.999999Z", "2026-02-28"),
        ("Europe/Berlin", "2026-02-28T23:00Z", "2026-03-01"),
        ("Europe/Berlin", "2026-07-31T21:59:59.999999Z", "2026-07-31"),
        ("Europe/Berlin", "2026-07-31T22:00Z", "2026-08-01"),
        ("Europe/Berlin", "2025-12-31T23:00Z", "2026-01-01"),
        ("Europe/Berlin", "2028-02-29T12:00Z", "2028-02-29"),
        ("Pacific/Kiritimati", "2026-01-01T10:00Z", "2026-01-02"),
        ("Pacific/Kiritimati", "2026-01-01T09:59:59.999999Z", "2026-01-01"),
        ("Pacific/Honolulu", "2026-01-01T10:00Z", "2026-01-01"),
        ("Pacific/Honolulu", "2026-01-01T09:59:59.999999Z", "2025-12-31"),
        ("Asia/Kathmandu", "2026-01-01T18:15Z", "2026-01-02"),
        ("UTC", "1969-12-31T23:59:59.999999Z", "1969-12-31"),
        ("Africa/Cairo", "2023-04-27T22:00Z", "2023-04-28"),
        ("America/Havana", "2026-11-01T05:30Z", "2026-11-01"),
    ],
)
def test_an_instant_falls_on_a_local_day(zone: str, instant: str, expected: str) -> None:
    assert local_day(at(instant), ZoneInfo(zone)) == day(expected)


@pytest.mark.parametrize(
    ("zone", "local", "expected"),
    [
        pytest.param("Europe/Berlin", "2026-01-10", "2026-01-09T23:00:00Z", id="winter"),
        pytest.param("Europe/Berlin", "2026-07-10", "2026-07-09T22:00:00Z", id="summer"),
        pytest.param("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z", id="23 hours long"),
        pytest.param("Europe/Berlin", "2026-03-30", "2026-03-29T22:00:00Z", id="after 23 hours"),
        pytest.param("Europe/Berlin", "2026-10-26", "2026-10-25T23:00:00Z", id="after 25 hours"),
        pytest.param("Pacific/Kiritimati", "2026-01-01", "2025-12-31T10:00:00Z", id="first"),
        pytest.param("Pacific/Honolulu", "2026-01-01", "2026-01-01T10:00:00Z", id="among the last"),
        # Clocks that jump at midnight: the day begins with the first moment there is.
        pytest.param(
            "Africa/Cairo", "2023-04-28", "2023-04-27T22:00:00Z", id="from 00:00 to 01:00"
        ),
        pytest.param("America/Havana", "2026-03-08", "2026-03-08T05:00:00Z", id="Havana's spring"),
        pytest.param("Asia/Beirut", "2026-03-29", "2026-03-28T22:00:00Z", id="Beirut's spring"),
        pytest.param("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z", id="São Paulo's"),
        # Midnight that comes twice: the day begins with the first one.
        pytest.param("America/Havana", "2026-11-01", "2026-11-01T04:00:00Z", id="midnight twice"),
        # Clocks set back at midnight into the day before: only the second midnight begins a day.
        pytest.param("Africa/Cairo", "2023-10-27", "2023-10-26T22:00:00Z", id="23:00 twice"),
        # Days that were left out when the date line moved begin and end at once.
        pytest.param("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z", id="a day left out"),
        pytest.param("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z", id="and the next"),
        pytest.param("Pacific/Kiritimati", "1995-01-01", "1994-12-31T10:00:00Z", id="new year"),
    ],
)
def test_a_local_day_begins(zone: str, local: str, expected: str) -> None:
    assert format_instant(day_start(day(local), ZoneInfo(zone))) == expected


@pytest.mark.parametrize(
    ("zone", "local", "months", "expected"),
    [
        # The worked examples of the domain.
        pytest.param("Europe/Berlin", "2026-07-06", 12, "2027-07-31T22:00:00Z", id="example 6"),
        pytest.param("Europe/Berlin", "2026-03-01", 12, "2027-03-31T22:00:00Z", id="example 7"),
        pytest.param("Europe/Berlin", "2025-01-31", 1, "2025-02-28T23:00:00Z", id="example 8"),
        pytest.param("Europe/Berlin", "2028-01-31", 1, "2028-02-29T23:00:00Z", id="leap year"),
        pytest.param("Europe/Berlin", "2027-02-28", 12, "2028-02-29T23:00:00Z", id="to 29 Feb"),
        pytest.param("Europe/Berlin", "2028-02-29", 12, "2029-02-28T23:00:00Z", id="from 29 Feb"),
        pytest.param("Europe/Berlin", "2026-12-31", 1, "2027-01-31T23:00:00Z", id="over the year"),
        pytest.param("Europe/Berlin", "2026-11-30", 1, "2026-12-31T23:00:00Z", id="to its end"),
        pytest.param("Europe/Berlin", "2026-12-01", 0, "2026-12-31T23:00:00Z", id="this month"),
        pytest.param("Europe/Berlin", "2026-01-31", 1_200, "2126-01-31T23:00:00Z", id="a century"),
        pytest.param("Europe/Berlin", "2026-02-10", 1, "2026-03-31T22:00:00Z", id="into summer"),
        pytest.param("Pacific/Kiritimati", "2026-12-15", 0, "2026-12-31T10:00:00Z", id="first"),
        pytest.param("Pacific/Honolulu", "2026-12-15", 0, "2027-01-01T10:00:00Z", id="last"),
    ],
)
def test_a_local_month_ends(zone: str, local: str, months: int, expected: str) -> None:
    assert format_instant(month_end(day(local), months, ZoneInfo(zone))) == expected


ZONES = st.sampled_from(
    [
        "Africa/Cairo",
        "America/Asuncion",
        "America/Havana",
        "America/New_York",
        "America/Sao_Paulo",
        "America/St_Johns",
        "Asia/Beirut",
        "Asia/Kathmandu",
        "Asia/Tehran",
        "Australia/Lord_Howe",
        "Europe/Berlin",
        "Pacific/Apia",
        "Pacific/Chatham",
        "Pacific/Honolulu",
        "Pacific/Kiritimati",
        "UTC",
    ]
).map(ZoneInfo)
INSTANTS = st.integers(0, LATEST - 1)


@given(INSTANTS, ZONES)
@example(at("2023-04-27T22:00Z"), ZoneInfo("Africa/Cairo"))
@example(at("2011-12-30T10:00Z"), ZoneInfo("Pacific/Apia"))
def test_every_instant_lies_within_its_day(instant: int, zone: ZoneInfo) -> None:
    today = local_day(instant, zone)
    assert day_start(today, zone) <= instant


@given(st.integers(0, 84_000), ZONES)
def test_a_day_begins_where_the_one_before_ends(number: int, zone: ZoneInfo) -> None:
    start = day_start(number, zone)
    assert local_day(start - 1, zone) < number <= local_day(start, zone)


@given(st.integers(0, 84_000), ZONES)
def test_days_begin_in_order(number: int, zone: ZoneInfo) -> None:
    assert 0 <= day_start(number + 1, zone) - day_start(number, zone) <= 26 * DAY // 24


@given(st.integers(EARLIEST, LATEST - 1))
@example(-1)
def test_instants_survive_the_way_through_datetimes_and_text(instant: int) -> None:
    assert to_instant(to_datetime(instant)) == instant
    assert to_instant(datetime.fromisoformat(format_instant(instant))) == instant


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (1_500_000, "1970-01-01T00:00:01.5Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (EARLIEST, "1900-01-01T00:00:00Z"),
        (LATEST, "2200-01-01T00:00:00Z"),
    ],
)
def test_text_has_only_the_decimals_it_needs(instant: int, text: str) -> None:
    assert format_instant(instant) == text
