"""Short ways to write requests, and to look at all that a ledger holds."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg2
from google.protobuf import duration_pb2, json_format, timestamp_pb2
from google.type import money_pb2

from ledger.v1 import (
    balance_pb2,
    member_pb2,
    points_pb2,
    program_pb2,
    redemption_pb2,
    rules_pb2,
    types_pb2,
)
from tests.service.client import Client

PROGRAM = "bean-street"
CLOCK = "2026-01-10T09:00:00Z"
RULES: dict[str, Any] = {
    "earning": {"rate": {"points": 1, "per": "1.00"}},
    "expiry": {"after_months": 12},
    "redemption": {"value": {"points": 100, "amount": "1.00"}},
}


def rules(**sections: Any) -> rules_pb2.Rules:
    """The plain rules, with sections replaced; None leaves a section out."""
    document = {name: part for name, part in {**RULES, **sections}.items() if part is not None}
    return json_format.ParseDict(document, rules_pb2.Rules())


def instant(text: str | datetime) -> timestamp_pb2.Timestamp:
    """A Timestamp of RFC 3339 text or an aware datetime."""
    stamp = timestamp_pb2.Timestamp()
    if isinstance(text, str):
        stamp.FromJsonString(text)
    else:
        stamp.FromDatetime(text)
    return stamp


def now() -> datetime:
    return datetime.now(UTC)


def money(text: str, currency: str = "EUR") -> money_pb2.Money:
    """Money of a decimal such as 12.99."""
    units, _, decimals = text.partition(".")
    return money_pb2.Money(
        currency_code=currency, units=int(units), nanos=int(decimals.ljust(9, "0"))
    )


def program(
    program_id: str = PROGRAM, *, sandbox: bool = True, clock: str = CLOCK, **sections: Any
) -> program_pb2.CreateProgramRequest:
    """A sandbox in Berlin, or a program that lives in real time."""
    request = program_pb2.CreateProgramRequest(
        program=program_pb2.Program(
            program_id=program_id, currency="EUR", time_zone="Europe/Berlin", sandbox=sandbox
        ),
        rules=rules(**sections),
    )
    if sandbox:
        request.program.clock_time.CopyFrom(instant(clock))
    return request


def enrollment(
    member_id: str = "m-1", request_id: str | None = None, program_id: str = PROGRAM, **more: Any
) -> member_pb2.EnrollMemberRequest:
    return member_pb2.EnrollMemberRequest(
        program_id=program_id,
        member_id=member_id,
        request_id=f"enroll-{member_id}" if request_id is None else request_id,
        **more,
    )


def purchase(
    number: object,
    amount: str = "12.99",
    *,
    member_id: str = "m-1",
    program_id: str = PROGRAM,
    request_id: str | None = None,
    **more: Any,
) -> points_pb2.RecordPurchaseRequest:
    """A purchase whose receipt and request are named after a number."""
    return points_pb2.RecordPurchaseRequest(
        program_id=program_id,
        member_id=member_id,
        request_id=f"request-{number}" if request_id is None else request_id,
        purchase_id=f"receipt-{number}",
        amount=money(amount),
        **more,
    )


def line(amount: str, category: str = "", quantity: int = 1) -> types_pb2.PurchaseLine:
    return types_pb2.PurchaseLine(
        sku="sku", category=category, quantity=quantity, amount=money(amount)
    )


def activity(
    number: object, name: str = "survey-completed", *, member_id: str = "m-1", **more: Any
) -> points_pb2.RecordActivityRequest:
    """An activity whose request is named after a number."""
    more.setdefault("request_id", f"activity-{number}")
    more.setdefault("program_id", PROGRAM)
    return points_pb2.RecordActivityRequest(member_id=member_id, activity=name, **more)


def override(
    tier_id: str, until: str, *, member_id: str = "m-1", **more: Any
) -> points_pb2.OverrideTierRequest:
    """An override whose request is named after the tier."""
    more.setdefault("request_id", f"override-{tier_id}")
    more.setdefault("program_id", PROGRAM)
    more.setdefault("reason", "moved house")
    return points_pb2.OverrideTierRequest(
        member_id=member_id, tier_id=tier_id, until_time=instant(until), **more
    )


def tier_status(member_id: str = "m-1", program_id: str = PROGRAM) -> Any:
    return balance_pb2.GetTierStatusRequest(program_id=program_id, member_id=member_id)


def preview_of(
    request: points_pb2.RecordPurchaseRequest,
) -> points_pb2.PreviewPurchaseRequest:
    """The same purchase as a question."""
    fields = json_format.MessageToDict(request)
    del fields["requestId"]
    return json_format.ParseDict(fields, points_pb2.PreviewPurchaseRequest())


def _own(name: str, more: dict[str, Any]) -> dict[str, Any]:
    """The fields that all writes have, unless they are given."""
    return {"program_id": PROGRAM, "member_id": "m-1", "request_id": name, **more}


def seconds(count: int) -> duration_pb2.Duration:
    return duration_pb2.Duration(seconds=count)


def hold(
    number: object, points: int = 0, *, ttl: int | None = None, **more: Any
) -> redemption_pb2.HoldPointsRequest:
    """A hold whose request is named after a number; `ttl` in seconds."""
    if ttl is not None:
        more["ttl"] = seconds(ttl)
    return redemption_pb2.HoldPointsRequest(points=points, **_own(f"hold-{number}", more))


def capture(
    number: object, hold_id: str, points: int | None = None, **more: Any
) -> redemption_pb2.CaptureHoldRequest:
    return redemption_pb2.CaptureHoldRequest(
        hold_id=hold_id, points=points, **_own(f"capture-{number}", more)
    )


def release(number: object, hold_id: str, **more: Any) -> redemption_pb2.ReleaseHoldRequest:
    return redemption_pb2.ReleaseHoldRequest(hold_id=hold_id, **_own(f"release-{number}", more))


def extension(
    number: object, hold_id: str, *, ttl: int | None = None, **more: Any
) -> redemption_pb2.ExtendHoldRequest:
    """A longer life for a hold; `ttl` in seconds."""
    if ttl is not None:
        more["ttl"] = seconds(ttl)
    return redemption_pb2.ExtendHoldRequest(hold_id=hold_id, **_own(f"extend-{number}", more))


def redemption(number: object, points: int = 0, **more: Any) -> redemption_pb2.RedeemPointsRequest:
    return redemption_pb2.RedeemPointsRequest(points=points, **_own(f"redeem-{number}", more))


def reversal(
    number: object, redemption_id: str, points: int | None = None, **more: Any
) -> redemption_pb2.ReverseRedemptionRequest:
    return redemption_pb2.ReverseRedemptionRequest(
        redemption_id=redemption_id, points=points, **_own(f"reverse-{number}", more)
    )


def rewards(member_id: str = "m-1", program_id: str = PROGRAM) -> redemption_pb2.ListRewardsRequest:
    return redemption_pb2.ListRewardsRequest(program_id=program_id, member_id=member_id)


def returned(
    number: object,
    receipt: object,
    amount: str | None = None,
    *,
    currency: str = "EUR",
    **more: Any,
) -> points_pb2.RecordReturnRequest:
    """A return of the purchase that is named after `receipt`: an amount of it, or what `more` says
    (`lines` or `full`)."""
    if amount is not None:
        more["amount"] = money(amount, currency)
    more.setdefault("purchase_id", f"receipt-{receipt}")
    return points_pb2.RecordReturnRequest(**_own(f"return-{number}", more))


def preview_of_return(
    request: points_pb2.RecordReturnRequest,
) -> points_pb2.PreviewReturnRequest:
    """The same return as a question."""
    fields = json_format.MessageToDict(request)
    del fields["requestId"]
    return json_format.ParseDict(fields, points_pb2.PreviewReturnRequest())


def adjustment(number: object, points: int, **more: Any) -> points_pb2.AdjustPointsRequest:
    more.setdefault("reason_code", "goodwill")
    return points_pb2.AdjustPointsRequest(points=points, **_own(f"adjust-{number}", more))


def transfer(
    number: object, points: int, to_member_id: str = "m-2", **more: Any
) -> points_pb2.TransferPointsRequest:
    return points_pb2.TransferPointsRequest(
        points=points, to_member_id=to_member_id, **_own(f"transfer-{number}", more)
    )


def status(name: str, **more: Any) -> member_pb2.SetMemberStatusRequest:
    """A status for a member, by its name; its request is named after it."""
    more.setdefault("reason", "asked for it")
    return member_pb2.SetMemberStatusRequest(
        status=f"MEMBER_STATUS_{name}",
        **_own(f"status-{name}", more),
    )


def expiry_schedule(
    member_id: str = "m-1", program_id: str = PROGRAM
) -> balance_pb2.GetExpiryScheduleRequest:
    return balance_pb2.GetExpiryScheduleRequest(program_id=program_id, member_id=member_id)


Write = (
    member_pb2.EnrollMemberRequest
    | member_pb2.SetMemberStatusRequest
    | points_pb2.RecordPurchaseRequest
    | points_pb2.RecordActivityRequest
    | points_pb2.RecordReturnRequest
    | points_pb2.AdjustPointsRequest
    | points_pb2.TransferPointsRequest
    | points_pb2.OverrideTierRequest
    | redemption_pb2.HoldPointsRequest
    | redemption_pb2.CaptureHoldRequest
    | redemption_pb2.ReleaseHoldRequest
    | redemption_pb2.ExtendHoldRequest
    | redemption_pb2.RedeemPointsRequest
    | redemption_pb2.ReverseRedemptionRequest
)
#: the names of a batch's items, by the type of request they hold
_ITEMS = {
    field.message_type.name: field.name
    for field in points_pb2.BatchWriteItem.DESCRIPTOR.fields
    if field.message_type is not None
}


def batch(*writes: Write) -> points_pb2.BatchWriteRequest:
    request = points_pb2.BatchWriteRequest()
    for write in writes:
        getattr(request.items.add(), _ITEMS[write.DESCRIPTOR.name]).CopyFrom(write)
    return request


def balance(member_id: str = "m-1", **more: Any) -> balance_pb2.GetBalanceRequest:
    return balance_pb2.GetBalanceRequest(
        program_id=more.pop("program_id", PROGRAM), member_id=member_id, **more
    )


def entries(member_id: str = "m-1", **more: Any) -> balance_pb2.ListEntriesRequest:
    return balance_pb2.ListEntriesRequest(
        program_id=more.pop("program_id", PROGRAM), member_id=member_id, **more
    )


def clock(text: str, program_id: str = PROGRAM) -> program_pb2.AdvanceClockRequest:
    return program_pb2.AdvanceClockRequest(program_id=program_id, clock_time=instant(text))


def open_program(client: Client, enrolled: Sequence[str] = ("m-1",), **settings: Any) -> None:
    """A sandbox with members."""
    client.create_program(program(**settings))
    for member_id in enrolled:
        client.enroll_member(enrollment(member_id, program_id=settings.get("program_id", PROGRAM)))


def contents(database_url: str) -> dict[str, list[str]]:
    """Every row of every table, as a superuser sees them, in one snapshot. How far work in the
    background is goes on by itself, and is left out."""
    with contextlib.closing(psycopg2.connect(database_url)) as connection:
        connection.set_session(isolation_level="REPEATABLE READ")
        cursor = connection.cursor()
        cursor.execute(
            "SELECT relname FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            " AND relname <> 'background_work' ORDER BY 1"
        )
        tables = [name for (name,) in cursor.fetchall()]
        assert {"accounts", "entries", "refusals", "purchases"} <= set(tables)
        found = {}
        for table in tables:
            cursor.execute(f"SELECT t::text FROM {table} t ORDER BY 1")
            found[table] = [row for (row,) in cursor.fetchall()]
        return found
