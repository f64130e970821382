"""Prepares the CDNOW purchase history as a CSV file that `ledger replay` can upload.

Run as `python -m benchmarks.cdnow SOURCE DEST [--members N]`. Uses the standard library only and
imports nothing of the ledger, so that its totals are an independent answer to compare with.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

HEADER = ("purchase_id", "member_id", "effective_time", "amount", "currency")
CURRENCY = "USD"

#: The shop was American and the file has no times of day: noon is on the same date everywhere
#: between Honolulu and Moscow.
TIME_ZONE = ZoneInfo("America/New_York")
TIME_OF_DAY = time(12, 0)

_SOURCE_COLUMNS = ["customer_id", "date", "number_of_cds", "dollar_value"]
_CUSTOMER = re.compile(r"[0-9]{5}")
_DATE = re.compile(r"[0-9]{8}")
_QUANTITY = re.compile(r"[1-9][0-9]{0,3}")
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,5})\.[0-9]{2}")


class SourceError(Exception):
    """A line of the source that is not what the format says, with its number in the file."""

    def __init__(self, line_number: int, fault: str) -> None:
        super().__init__(f"line {line_number}: {fault}")
        self.line_number = line_number


@dataclass(frozen=True)
class Purchase:
    """One line of the source; its fields are the columns of the CSV file."""

    purchase_id: str
    member_id: str
    effective_time: datetime
    #: US dollars with two decimals, exactly as the source has them.
    amount: str

    @property
    def whole_dollars(self) -> int:
        """The amount rounded down: the points at 1 point per 1.00 USD."""
        return int(self.amount.partition(".")[0])

    def row(self) -> tuple[str, str, str, str, str]:
        """The fields in the order of `HEADER`; the time as RFC 3339 in UTC."""
        instant = self.effective_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self.purchase_id, self.member_id, instant, self.amount, CURRENCY


@dataclass(frozen=True)
class Totals:
    """What a set of purchases adds up to."""

    purchases: int
    members: int
    #: Sum of the amounts, each rounded down.
    whole_dollars: int


def parse(lines: Iterable[str]) -> Iterator[Purchase]:
    """The purchases in the order of the source, numbered from cdnow-000001.

    Raises `SourceError` for the first line that does not fit the format.
    """
    numbered = iter(enumerate(lines, start=1))
    _, header = next(numbered, (1, ""))
    if header.split() != _SOURCE_COLUMNS:
        raise SourceError(1, f"expected the header {' '.join(_SOURCE_COLUMNS)!r}")
    for line_number, line in numbered:
        # The first data line is the second of the file.
        yield _parse_line(line_number, f"cdnow-{line_number - 1:06d}", line)


def _parse_line(line_number: int, purchase_id: str, line: str) -> Purchase:
    fields = line.split()
    if len(fields) != len(_SOURCE_COLUMNS):
        raise SourceError(
            line_number, f"expected {len(_SOURCE_COLUMNS)} columns, found {len(fields)}"
        )
    customer, day, quantity, amount = fields
    for name, value, pattern, wanted in (
        ("customer_id", customer, _CUSTOMER, "five digits"),
        ("date", day, _DATE, "a date as YYYYMMDD"),
        ("number_of_cds", quantity, _QUANTITY, "a number from 1 to 9999"),
        ("dollar_value", amount, _AMOUNT, "dollars with two decimals, not negative"),
    ):
        if not pattern.fullmatch(value):
            raise SourceError(line_number, f"{name} {value!r} is not {wanted}")
    try:
        local_day = date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError as error:
        raise SourceError(line_number, f"date {day!r} does not exist: {error}") from None
    effective_time = datetime.combine(local_day, TIME_OF_DAY, TIME_ZONE)
    return Purchase(purchase_id, customer, effective_time, amount)


def first_members(purchases: Iterable[Purchase], limit: int) -> Iterator[Purchase]:
    """The purchases of the first `limit` members, in order of their first appearance."""
    members: set[str] = set()
    for purchase in purchases:
        if purchase.member_id not in members:
            if len(members) == limit:
                continue
            members.add(purchase.member_id)
        yield purchase


def convert(source: Path, destination: Path, members: int | None = None) -> Totals:
    """The totals of what was written: all purchases, or those of the first `members` members.

    Rows are sorted by time; those of one time keep the order of the source. Raises `SourceError`,
    having written nothing.
    """
    with source.open(encoding="ascii", errors="replace") as lines:
        parsed = parse(lines)
        if members is not None:
            parsed = first_members(parsed, members)
        purchases = sorted(parsed, key=lambda purchase: purchase.effective_time)
    with destination.open("w", encoding="ascii", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(purchase.row() for purchase in purchases)
    return Totals(
        purchases=len(purchases),
        members=len({purchase.member_id for purchase in purchases}),
        whole_dollars=sum(purchase.whole_dollars for purchase in purchases),
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 1 when the source can not be read or has a fault."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cdnow",
        description="Convert CDNOW_master.txt to CSV, sorted by time; prints the totals as JSON.",
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="CDNOW_master.txt")
    parser.add_argument("destination", type=Path, metavar="DEST", help="the CSV file to write")
    parser.add_argument(
        "--members", type=_positive, metavar="N", help="only the first N customers of the file"
    )
    options = parser.parse_args(arguments)
    try:
        totals = convert(options.source, options.destination, options.members)
    except SourceError as error:
        print(f"{options.source}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    print(json.dumps(asdict(totals)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
