"""Plain values to messages and back: money, points, times, JSON. Imports protobuf and the core."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money

from ledger.cli.failure import usage
from ledger.cli.values import (
    Line,
    parse_amount,
    parse_birthday,
    parse_duration,
    parse_line,
    parse_points,
    parse_time,
)
from ledger.core.instants import format_instant, to_datetime
from ledger.core.money import CURRENCIES, format_minor
from ledger.v1 import member_pb2, types_pb2

NANOS = 10**9

_STATUSES = (
    types_pb2.MEMBER_STATUS_ACTIVE,
    types_pb2.MEMBER_STATUS_EARN_ONLY,
    types_pb2.MEMBER_STATUS_SUSPENDED,
    types_pb2.MEMBER_STATUS_CLOSED,
)

MessageT = TypeVar("MessageT", bound=Message)


def as_json(message: Message) -> dict[str, Any]:
    """The message as protojson, zeros and empty lists included."""
    return json_format.MessageToDict(message, always_print_fields_with_no_presence=True)


def as_document(message: Message) -> dict[str, Any]:
    """What is set in the message, as a person writes it: names of the proto, numbers as numbers."""
    document: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.message_type is None:
            document[field.name] = list(value) if field.is_repeated else value
        elif field.is_repeated:
            document[field.name] = [as_document(item) for item in value]
        elif isinstance(value, Timestamp):
            document[field.name] = format_instant(instant(value))
        else:
            document[field.name] = as_document(value)
    return document


def money(minor: int, currency: str) -> Money:
    """The amount of so many minor units."""
    units, rest = divmod(minor, 10 ** CURRENCIES[currency])
    nanos = rest * NANOS // 10 ** CURRENCIES[currency]
    return Money(currency_code=currency, units=units, nanos=nanos)


def format_money(amount: Money) -> str:
    """`12.99 EUR`; amounts of currencies this version does not know are shown to the nano."""
    currency = amount.currency_code
    if currency not in CURRENCIES:
        return f"{amount.units}.{amount.nanos:09d} {currency}"
    scale = 10 ** CURRENCIES[currency]
    return format_minor(amount.units * scale + amount.nanos * scale // NANOS, currency)


def nanos(amount: Money) -> int:
    """The amount in billionths of its unit."""
    billionths: int = amount.units * NANOS + amount.nanos
    return billionths


def plural(number: int, noun: str) -> str:
    """`1 visit`, `1,234 visits`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def timestamp(instant: int) -> Timestamp:
    """The message of an instant (µs)."""
    seconds, micros = divmod(instant, 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1_000)


def instant(stamp: Timestamp) -> int:
    """The instant (µs) of a message."""
    return stamp.seconds * 1_000_000 + stamp.nanos // 1_000


def local(stamp: Timestamp, zone: ZoneInfo) -> datetime:
    """The moment as the program's clocks show it."""
    return to_datetime(instant(stamp)).astimezone(zone)


def flag_time(name: str, text: str, zone: ZoneInfo) -> Timestamp | None:
    """The time given with a flag, None if there is none. Raises CommandFailed (usage)."""
    if not text:
        return None
    try:
        return timestamp(parse_time(text, zone))
    except ValueError as error:
        raise usage(f"{name} {error}") from None


def flag_duration(name: str, text: str) -> Duration | None:
    """The length of time given with a flag, None if there is none. Raises CommandFailed (usage)."""
    if not text:
        return None
    try:
        return Duration(seconds=parse_duration(text))
    except ValueError as error:
        raise usage(f"{name} {error}") from None


def flag_points(name: str, text: str) -> int | None:
    """The points given with a flag, None if there are none. Raises CommandFailed (usage)."""
    return argument_points(name, text) if text else None


def argument_points(name: str, text: str, *, signed: bool = False) -> int:
    """The points given as an argument. Raises CommandFailed (usage)."""
    try:
        return parse_points(text, signed=signed)
    except ValueError as error:
        raise usage(f"{name} {error}") from None


def points_or_reward(points: str, reward_id: str) -> int:
    """The points given as an argument, 0 with a reward. Raises CommandFailed (usage)."""
    if bool(points) == bool(reward_id):
        raise usage("points or a reward? Name one of POINTS and --reward")
    return argument_points("POINTS", points) if points else 0


def argument_status(name: str, text: str) -> types_pb2.MemberStatus:
    """The status given as an argument: `earn-only`. Raises CommandFailed (usage)."""
    statuses = {status_name(status): status for status in _STATUSES}
    wanted = statuses.get(text.lower().replace("_", "-"))
    if wanted is None:
        raise usage(f"{name} must be one of {', '.join(statuses)}, not {text!r}")
    return wanted


def status_name(status: types_pb2.MemberStatus) -> str:
    """`earn-only`; one that is newer than this version is shown by its number."""
    if status not in types_pb2.MemberStatus.values():
        return f"status {status}"
    name = types_pb2.MemberStatus.Name(status)
    return name.removeprefix("MEMBER_STATUS_").lower().replace("_", "-")


def flag_birthday(text: str) -> member_pb2.Birthday | None:
    """The day of --birthday, None if there is none. Raises CommandFailed (usage)."""
    if not text:
        return None
    try:
        month, day = parse_birthday(text)
    except ValueError as error:
        raise usage(f"--birthday {error}") from None
    return member_pb2.Birthday(month=month, day=day)


def argument_money(name: str, text: str, currency: str) -> Money:
    """The amount given as an argument. Raises CommandFailed (usage)."""
    try:
        return money(parse_amount(text, currency), currency)
    except ValueError as error:
        raise usage(f"{name} {error}") from None


def argument_lines(
    texts: list[str], category: str, amount: Money, currency: str
) -> list[types_pb2.PurchaseLine]:
    """The receipt's lines: those of --line, or one of the whole amount for --category."""
    if texts and category:
        raise usage("--category is for purchases without --line; give each line its category")
    if category:
        return [types_pb2.PurchaseLine(category=category, quantity=1, amount=amount)]
    return flag_lines(texts, currency)


def flag_lines(texts: list[str], currency: str) -> list[types_pb2.PurchaseLine]:
    """The receipt's lines given with --line. Raises CommandFailed (usage)."""
    try:
        return [purchase_line(parse_line(text, currency), currency) for text in texts]
    except ValueError as error:
        raise usage(f"--line {error}") from None


def purchase_line(line: Line, currency: str) -> types_pb2.PurchaseLine:
    """The message of a receipt's line."""
    return types_pb2.PurchaseLine(
        sku=line.sku,
        category=line.category,
        quantity=line.quantity,
        amount=money(line.amount, currency),
    )


def as_preview(request: Message, preview: type[MessageT]) -> MessageT:
    """The same write as a question: what would it do? `preview` is the question's type."""
    fields = json_format.MessageToDict(request)
    fields.pop("requestId", None)
    return json_format.ParseDict(fields, preview())
