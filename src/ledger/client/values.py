"""Money and instants: messages from and to exact Python values. No floats.

Imports protobuf and the core's tables of currencies and calendars only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from google.type import money_pb2

from ledger.client.errors import InvalidRequest
from ledger.core.instants import to_datetime, to_instant
from ledger.core.money import CURRENCIES, MAX_AMOUNT, parse_decimal

NANOS: Final = 10**9

#: what a caller gives for an amount of the program's currency: Decimal("12.99"), or "12.99"
Amount = Decimal | str


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount of a currency (ISO 4217)."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


def malformed(field: str, description: str) -> InvalidRequest:
    """The fault of an argument, told as the ledger would tell it."""
    return InvalidRequest(
        f"{field}: {description}",
        code="INVALID_ARGUMENT",
        reason="INVALID_FIELD",
        violations=[(field, description)],
    )


def money(minor: int, currency: str) -> money_pb2.Money:
    """The message of so many minor units."""
    units, rest = divmod(minor, 10 ** CURRENCIES[currency])
    nanos = rest * NANOS // 10 ** CURRENCIES[currency]
    return money_pb2.Money(currency_code=currency, units=units, nanos=nanos)


def money_of(field: str, amount: Amount, currency: str) -> money_pb2.Money:
    """The message of an amount. Raises InvalidRequest for one that the ledger would not take."""
    if not isinstance(amount, Decimal | str):
        raise TypeError(f"{field} must be a Decimal or a str, not {type(amount).__name__}")
    decimals = CURRENCIES.get(currency)
    if decimals is None:
        raise malformed(f"{field}.currency_code", f"is no ISO 4217 code: {currency!r}")
    text = f"{amount:f}" if isinstance(amount, Decimal) else amount
    exact = parse_decimal(text)
    if exact is None:
        raise malformed(field, f"must be a plain decimal such as 12.99, not {text!r}")
    minor = exact * 10**decimals
    if minor.denominator != 1:
        raise malformed(field, f"has more decimals than {currency}, which has {decimals}: {text}")
    if minor > MAX_AMOUNT:
        raise malformed(field, f"is larger than the ledger takes: {text}")
    return money(int(minor), currency)


def as_money(message: money_pb2.Money) -> Money:
    """The value of a message, with the decimals of its currency."""
    exact = Decimal(message.units) + Decimal(message.nanos).scaleb(-9)
    decimals = CURRENCIES.get(message.currency_code)
    if decimals is not None:
        exact = exact.quantize(Decimal(1).scaleb(-decimals))
    return Money(exact, message.currency_code)


def timestamp(instant: int) -> Timestamp:
    """The message of an instant (µs since 1970)."""
    seconds, micros = divmod(instant, 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1_000)


def instant(stamp: Timestamp) -> int:
    """The instant (µs since 1970) of a message."""
    return stamp.seconds * 1_000_000 + stamp.nanos // 1_000


def timestamp_of(field: str, moment: datetime) -> Timestamp:
    """The message of a moment. Raises InvalidRequest for one without a time zone."""
    if moment.tzinfo is None:
        raise malformed(field, "has no time zone: use datetime.now(UTC) or a ZoneInfo")
    return timestamp(to_instant(moment.astimezone(UTC)))


def as_datetime(stamp: Timestamp) -> datetime:
    """The moment of a message, in UTC."""
    return to_datetime(instant(stamp))
