"""Rows of `entries` and entries of the core, in both directions. No business rules."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from ledger.core.instants import format_instant, to_instant
from ledger.core.model import Entry, decode_entry_data, encode
from ledger.core.verify import Sealed

_COLUMNS = [
    *("program_id", "member_id", "sequence", "kind", "points", "debit_account", "credit_account"),
    *("request_id", "fingerprint", "cause_sequence", "consequences", "purchase_id"),
    *("rules_version", "actor", "location_id", "terminal_id", "effective_time", "create_time"),
    *("available_points", "held_points", "tier_id", "data", "hash"),
    "subject_sequence",
]
#: the columns an entry is written to, in the order `copy_text` writes them
COPY_COLUMNS = ", ".join(_COLUMNS)
#: the columns an entry is read from, in the order `entry_of` expects; `entries` must be called e
ENTRY_COLUMNS = ", ".join(f"e.{name}" for name in _COLUMNS).replace(
    "e.fingerprint", "encode(e.fingerprint, 'hex')"
)

#: stands for NULL in COPY text: the edge lets no control character in, so no value contains it
COPY_NULL = "\x01"


def entry_of(row: Sequence[Any]) -> Sealed:
    """The entry of one row read as ENTRY_COLUMNS."""
    data: str = row[21]
    entry = Entry(
        program_id=row[0],
        member_id=row[1],
        sequence=row[2],
        kind=row[3],
        points=row[4],
        debit_account=row[5],
        credit_account=row[6],
        request_id=row[7] or "",
        fingerprint=row[8] or "",
        cause_sequence=row[9] or 0,
        consequences=row[10],
        subject_sequence=row[23] or 0,
        purchase_id=row[11] or "",
        rules_version=row[12],
        actor=row[13],
        location_id=row[14] or "",
        terminal_id=row[15] or "",
        effective_time=to_instant(row[16]),
        create_time=to_instant(row[17]),
        available_points=row[18],
        held_points=row[19],
        tier_id=row[20],
        data=decode_entry_data(data),
    )
    return Sealed(entry, bytes(row[22]), data)


def sealed_of(row: Sequence[Any]) -> Sealed:
    """The entry of one row for verification: data that can not be read reads as none, and then its
    hash does not fit."""
    try:
        return entry_of(row)
    except (msgspec.DecodeError, ValueError):
        sealed = entry_of((*row[:21], "{}", *row[22:]))
        return sealed._replace(data=row[21])


def copy_text(entries: Collection[tuple[Entry, bytes]]) -> str:
    """COPY text of entries and their hashes, one line each, in the order of COPY_COLUMNS.

    Raises ValueError for a control character in a value: it would make other columns or rows,
    or nothing of something.
    """
    text = "".join([_copy_line(entry, digest) for entry, digest in entries])
    tabs = len(entries) * (len(_COLUMNS) - 1)
    blank = any(COPY_NULL in (entry.location_id, entry.terminal_id) for entry, _ in entries)
    if blank or text.count("\t") != tabs or text.count("\n") != len(entries):
        raise ValueError("a value contains a control character")
    return text


def _copy_line(entry: Entry, digest: bytes) -> str:
    null = COPY_NULL
    fingerprint = f"\\x{entry.fingerprint}" if entry.fingerprint else null
    # One formatted string: it is half as dear as joining its parts, and there is one per entry.
    line = (
        f"{entry.program_id}\t{entry.member_id}\t{entry.sequence}\t{entry.kind}\t{entry.points}\t"
        f"{entry.debit_account}\t{entry.credit_account}\t{entry.request_id or null}\t"
        f"{fingerprint}\t{entry.cause_sequence or null}\t{entry.consequences}\t"
        f"{entry.purchase_id or null}\t"
        f"{entry.rules_version}\t{entry.actor}\t{entry.location_id or null}\t"
        f"{entry.terminal_id or null}\t{sql_instant(entry.effective_time)}\t"
        f"{sql_instant(entry.create_time)}\t{entry.available_points}\t{entry.held_points}\t"
        f"{entry.tier_id}\t{encode(entry.data).decode()}\t\\x{digest.hex()}\t"
        f"{entry.subject_sequence or null}"
    )
    return line.replace("\\", "\\\\") + "\n"


#: text of an instant (µs) for SQL; a batch has few different ones
sql_instant = lru_cache(maxsize=1024)(format_instant)


def optional_instant(moment: datetime | None) -> int | None:
    return None if moment is None else to_instant(moment)
