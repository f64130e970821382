"""Checks on request fields: each says what, where and what is allowed; all faults at once."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from google.protobuf import duration_pb2, timestamp_pb2
from google.protobuf.message import Message
from google.type import money_pb2

from ledger.core.errors import InvalidArgument, Violation, invalid
from ledger.core.instants import EARLIEST, LATEST, SECOND, format_instant
from ledger.core.model import MAX_POINTS
from ledger.core.money import CURRENCIES, MAX_AMOUNT, format_minor
from ledger.v1 import types_pb2

MAX_ID = 128
MAX_PAGE = 1_000
DEFAULT_PAGE = 50
P = TypeVar("P", int, str)
#: by currency: minor units in a unit, and nanos in a minor unit
_SCALES = {code: (10**decimals, 10 ** (9 - decimals)) for code, decimals in CURRENCIES.items()}

PROGRAM_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


def is_text(value: str) -> bool:
    """Whether an optional text field may hold this."""
    return len(value) <= MAX_ID and value.isprintable()


def minor_units(amount: money_pb2.Money, currency: str) -> int | None:
    """Minor units of an amount that a field in that currency may hold; None for all others."""
    if amount.currency_code != currency:
        return None
    scale, nanos_each = _SCALES[currency]
    units, nanos = amount.units, amount.nanos
    if units < 0 or not 0 <= nanos < 1_000_000_000 or nanos % nanos_each:
        return None
    minor: int = units * scale + nanos // nanos_each
    return minor if minor <= MAX_AMOUNT else None


class Fields:
    """Collects the violations of one request."""

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def fault(self, field: str, description: str) -> None:
        self._violations.append(Violation(field, description))

    @property
    def faulty(self) -> bool:
        """Whether anything was wrong so far."""
        return bool(self._violations)

    def finish(self) -> None:
        """Raises INVALID_FIELD with everything found so far."""
        if self._violations:
            raise InvalidArgument(self._violations)

    def text(self, field: str, value: str, *, required: bool = False, most: int = MAX_ID) -> str:
        if not value:
            if required:
                self.fault(field, f"is required: 1 to {most} printable characters")
        elif len(value) > most:
            self.fault(field, f"has {len(value)} characters; 1 to {most} are allowed")
        elif not value.isprintable():
            self.fault(field, "has a character that is not printable")
        return value

    def program_id(self, value: str, field: str = "program_id") -> str:
        if not PROGRAM_ID.fullmatch(value):
            self.fault(
                field,
                "is required: 1 to 63 lower-case letters, digits and -, not beginning with -",
            )
        return value

    def instant(self, field: str, request: Message, *, required: bool = False) -> int | None:
        """Microseconds of an optional Timestamp field."""
        name = field.rpartition(".")[2] if "." in field else field
        if not request.HasField(name):
            if required:
                self.fault(field, "is required: an RFC 3339 time")
            return None
        stamp: timestamp_pb2.Timestamp = getattr(request, name)
        nanos = stamp.nanos
        instant = stamp.seconds * SECOND + nanos // 1_000
        if not 0 <= nanos < 1_000_000_000 or not EARLIEST <= instant < LATEST:
            self.fault(
                field, f"must be from {format_instant(EARLIEST)} to {format_instant(LATEST)}"
            )
            return None
        return instant

    def duration(self, field: str, request: Message, least: int, most: int) -> int | None:
        """Microseconds of an optional Duration field."""
        if not request.HasField(field):
            return None
        length: duration_pb2.Duration = getattr(request, field)
        micros = length.seconds * SECOND + length.nanos // 1_000
        if not 0 <= length.nanos < 1_000_000_000 or not least <= micros <= most:
            self.fault(field, f"must be from {least // SECOND} to {most // SECOND} seconds")
            return None
        return micros

    def kinds(self, values: Iterable[int]) -> list[str]:
        """The kinds of entry that a filter names, as the journal calls them."""
        kinds = []
        for index, kind in enumerate(values):
            if kind not in types_pb2.EntryKind.values() or not kind:
                self.fault(f"kinds[{index}]", "must be a kind of entry")
            else:
                kinds.append(types_pb2.EntryKind.Name(kind).removeprefix("ENTRY_KIND_"))
        return kinds

    def points(self, field: str, value: int) -> int:
        """A number of points above 0."""
        if not 1 <= value <= MAX_POINTS:
            self.fault(field, f"is required: from 1 to {MAX_POINTS}")
        return value

    def money(self, field: str, amount: money_pb2.Money, currency: str | None) -> int:
        """Minor units of an amount ≥ 0; with a currency given it must be that one."""
        if currency is not None and (sound := minor_units(amount, currency)) is not None:
            return sound
        code, units, nanos = amount.currency_code, amount.units, amount.nanos
        decimals = CURRENCIES.get(code)
        if decimals is None or (currency is not None and code != currency):
            expected = f"the program's currency {currency}" if currency else "an ISO 4217 code"
            self.fault(f"{field}.currency_code", f"must be {expected}, not {code[:10]!r}")
            return 0
        if units < 0 or nanos < 0:
            self.fault(field, "must not be negative")
            return 0
        part, rest = divmod(nanos, 10 ** (9 - decimals))
        if rest or nanos >= 1_000_000_000:
            self.fault(
                f"{field}.nanos", f"must be whole minor units: {code} has {decimals} decimals"
            )
            return 0
        minor: int = units * 10**decimals + part
        if minor > MAX_AMOUNT:
            self.fault(field, f"must be at most {format_minor(MAX_AMOUNT, code)}")
            return 0
        return minor

    def page_size(self, value: int) -> int:
        if not 0 <= value <= MAX_PAGE:
            self.fault("page_size", f"must be from 1 to {MAX_PAGE}, or 0 for {DEFAULT_PAGE}")
        return value or DEFAULT_PAGE


def page_token(filters: Sequence[object], position: int | str) -> str:
    """An opaque token that goes on after `position` under the same filters."""
    text = json.dumps([filters, position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def page_position(token: str, filters: Sequence[object], kind: type[P]) -> P | None:
    """Where a token goes on: a sequence or version (int) or a program_id (str).

    None without a token. Raises INVALID_FIELD for a foreign one.
    """
    if not token:
        return None
    try:
        made_for, position = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, RecursionError):
        raise invalid("page_token", "is not a token that a list has answered") from None
    if made_for != filters:
        raise invalid("page_token", "belongs to a list with other filters")
    if type(position) is not kind or not _is_position(position):
        raise invalid("page_token", "is not a token that a list has answered")
    return position


def _is_position(position: int | str) -> bool:
    if isinstance(position, str):
        return PROGRAM_ID.fullmatch(position) is not None
    return 0 <= position < 2**63
