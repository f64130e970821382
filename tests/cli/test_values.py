"""Amounts, receipt lines and times from text: exact, or refused with what is allowed."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from ledger.cli.values import (
    Line,
    identifier_fault,
    parse_amount,
    parse_duration,
    parse_line,
    parse_points,
    parse_time,
)
from ledger.core.instants import format_instant

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.99", "EUR", 1299),
        ("12.9", "EUR", 1290),
        ("12", "EUR", 1200),
        ("0", "EUR", 0),
        ("0.01", "EUR", 1),
        ("1.500", "EUR", 150),
        ("500", "JPY", 500),
        ("1.234", "KWD", 1234),
        ("10000000000000.00", "EUR", 10**15),
        ("90071992547409.93", "JPY", None),
        ("12.999", "EUR", None),
        ("1.5", "JPY", None),
        ("-1", "EUR", None),
        ("+1", "EUR", None),
        ("1e3", "EUR", None),
        ("1,50", "EUR", None),
        ("1.", "EUR", None),
        (".5", "EUR", None),
        ("", "EUR", None),
        ("NaN", "EUR", None),
        ("١٢", "EUR", None),
        (" 1", "EUR", None),
        ("10000000000000.01", "EUR", None),
    ],
)
def test_amounts_are_exact_minor_units(text: str, currency: str, minor: int | None) -> None:
    if minor is None:
        with pytest.raises(ValueError, match=r"must be|has more|is larger"):
            parse_amount(text, currency)
    else:
        assert parse_amount(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("espresso:coffee:2:6.40", Line("espresso", "coffee", 2, 640)),
        ("::1:7.00", Line("", "", 1, 700)),
        (":coffee::4.50", Line("", "coffee", 0, 450)),
        ("urn:ean:123:food:1:2", Line("urn:ean:123", "food", 1, 200)),
        ("coffee:1:2.00", None),
        ("a:b:one:2.00", None),
        ("a:b:-1:2.00", None),
        ("a:b:1:", None),
    ],
)
def test_receipt_lines(text: str, line: Line | None) -> None:
    if line is None:
        with pytest.raises(ValueError, match="must be"):
            parse_line(text, "EUR")
    else:
        assert parse_line(text, "EUR") == line


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-07-06T12:00:00Z", "2026-07-06T12:00:00Z"),
        ("2026-07-06T14:00:00+02:00", "2026-07-06T12:00:00Z"),
        ("2026-07-06 14:00", "2026-07-06T12:00:00Z"),
        ("2026-07-06", "2026-07-05T22:00:00Z"),
        ("2026-07-06T12:00:00.123456Z", "2026-07-06T12:00:00.123456Z"),
        ("2026-10-25 02:30", "2026-10-25T00:30:00Z"),  # twice on that day: the first
        ("2026-02-30", None),
        ("yesterday", None),
        ("", None),
        ("0001-01-01", None),
        ("9999-12-31T23:59:59-12:00", None),
    ],
)
def test_times_without_an_offset_are_local(text: str, instant: str | None) -> None:
    if instant is None:
        with pytest.raises(ValueError, match="must be"):
            parse_time(text, BERLIN)
    else:
        assert format_instant(parse_time(text, BERLIN)) == instant


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("m-1", None),
        ("é" * 128, None),
        ("", "is empty"),
        ("x" * 129, "has 129 characters, at most 128 are allowed"),
        ("a\nb", "has characters that are not printable"),
    ],
)
def test_identifiers(text: str, fault: str | None) -> None:
    assert identifier_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "signed", "points"),
    [
        ("250", False, 250),
        ("0", False, 0),
        ("250", True, 250),
        ("+250", True, 250),
        ("-250", True, -250),
        ("1000000000000000", False, 10**15),
        ("1000000000000001", False, None),
        ("-1000000000000001", True, None),
        ("9" * 30, False, None),
        ("-250", False, None),
        ("+250", False, None),
        ("1,000", False, None),
        ("1_000", False, None),
        ("1.5", False, None),
        ("--1", True, None),
        ("\u0661\u0662", False, None),
        ("", False, None),
    ],
)
def test_points_are_whole_numbers(text: str, signed: bool, points: int | None) -> None:
    if points is None:
        with pytest.raises(ValueError, match=r"must be a whole number|is more than"):
            parse_points(text, signed=signed)
    else:
        assert parse_points(text, signed=signed) == points


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("90", 90),
        ("15m", 900),
        ("2h", 7_200),
        ("1d", 86_400),
        ("1h30m", 5_400),
        ("1d2h3m4s", 93_784),
        ("0s", 0),
        ("", None),
        ("m", None),
        ("15 m", None),
        ("15min", None),
        ("30m1h", None),
        ("-5m", None),
        ("1.5h", None),
        ("9" * 12, None),
    ],
)
def test_durations_are_whole_seconds(text: str, seconds: int | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match="must be a duration such as 90s, 15m, 2h or 1d"):
            parse_duration(text)
    else:
        assert parse_duration(text) == seconds
