"""A CSV file of purchases: read and checked as a whole, before anything is sent.

Imports the core and the standard library only.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from ledger.cli.failure import CommandFailed, usage
from ledger.cli.values import identifier_fault, parse_amount, parse_time
from ledger.core.instants import local_day

_MOST_FAULTS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column holds what; an empty name: none does."""

    purchase_id: str
    member_id: str
    effective_time: str
    amount: str
    category: str = ""
    location_id: str = ""
    terminal_id: str = ""
    #: checked against the program's currency, where the file has such a column
    currency: str = ""

    def missing_in(self, header: Sequence[str]) -> list[str]:
        """The columns that are wanted and not in the header."""
        wanted = (
            self.purchase_id,
            self.member_id,
            self.effective_time,
            self.amount,
            self.category,
            self.location_id,
            self.terminal_id,
        )
        return [name for name in wanted if name and name not in header]


@dataclass(frozen=True, slots=True)
class Purchase:
    """One row of the file. The amount is in minor units, the time in µs."""

    line: int
    purchase_id: str
    member_id: str
    effective_time: int
    amount: int
    category: str
    location_id: str
    terminal_id: str


def read(path: Path, columns: Columns, currency: str, zone: ZoneInfo) -> list[Purchase]:
    """The purchases of a file, by time; those of one instant in the order of the file.

    Times without an offset are local to `zone`. Raises CommandFailed: usage when the file or its
    columns are not there, otherwise CSV_INVALID with every bad row by its line, 20 of them shown.
    """
    faults: list[tuple[str, str]] = []
    purchases: list[Purchase] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            header = rows.fieldnames or []
            missing = columns.missing_in(header)
            if missing:
                raise usage(
                    f"{path} has no column {', '.join(missing)}; its columns are: "
                    f"{', '.join(header) or 'none'}. Name them with --…-column"
                )
            purchases.extend(_rows(rows, columns, currency, zone, faults))
    except OSError as error:
        raise usage(f"{path} can not be read: {error.strerror}") from None
    except UnicodeDecodeError:
        faults.append((str(path), "is not UTF-8 text"))
    except csv.Error as error:
        faults.append((f"line {rows.reader.line_num}", f"is not CSV: {error}"))
    if faults:
        count = len(faults)
        shown = faults[:_MOST_FAULTS_SHOWN]
        more = f"; the first {len(shown)} are" if count > len(shown) else ""
        raise CommandFailed(
            f"{path} has {count:,} fault{'s' if count > 1 else ''}, nothing was sent{more}",
            code="INVALID_ARGUMENT",
            reason="CSV_INVALID",
            metadata={"faults": str(count)},
            violations=shown,
        )
    purchases.sort(key=lambda purchase: purchase.effective_time)
    return purchases


def by_day(purchases: list[Purchase], zone: ZoneInfo) -> Iterator[list[Purchase]]:
    """The purchases of each local day, in order. They must be sorted by time."""
    for _, group in groupby(purchases, lambda one: local_day(one.effective_time, zone)):
        yield list(group)


def _rows(
    rows: csv.DictReader[str],
    columns: Columns,
    currency: str,
    zone: ZoneInfo,
    faults: list[tuple[str, str]],
) -> Iterator[Purchase]:
    seen: dict[str, int] = {}
    for row in rows:
        line = rows.line_num
        before = len(faults)
        if None in row or None in row.values():
            faults.append((f"line {line}", "has not as many fields as the header"))
            continue

        def text(name: str, row: dict[str, str] = row) -> str:
            return row[name].strip() if name else ""

        def checked(
            name: str,
            read_value: Callable[[str], int],
            text: Callable[[str], str] = text,
            line: int = line,
        ) -> int:
            try:
                return read_value(text(name))
            except ValueError as error:
                faults.append((f"line {line}", f"{name} {error}"))
                return 0

        for name in (columns.purchase_id, columns.member_id):
            fault = identifier_fault(text(name))
            if fault:
                faults.append((f"line {line}", f"{name} {fault}"))
        for name in (columns.category, columns.location_id, columns.terminal_id):
            fault = identifier_fault(text(name) or "-")
            if fault:
                faults.append((f"line {line}", f"{name} {fault}"))
        purchase_id = text(columns.purchase_id)
        first = seen.setdefault(purchase_id, line)
        if first != line and purchase_id:
            faults.append((f"line {line}", f"purchase {purchase_id} is on line {first} already"))
        instant = checked(columns.effective_time, lambda value: parse_time(value, zone))
        amount = checked(columns.amount, lambda value: parse_amount(value, currency))
        if columns.currency in row and text(columns.currency) != currency:
            faults.append(
                (f"line {line}", f"is in {text(columns.currency)}, the program in {currency}")
            )
        if len(faults) == before:
            yield Purchase(
                line,
                purchase_id,
                text(columns.member_id),
                instant,
                amount,
                text(columns.category),
                text(columns.location_id),
                text(columns.terminal_id),
            )
