"""Messages to commands and facts to messages. Fields are checked here, meaning in the core."""

from __future__ import annotations

import base64
import hashlib
import hmac
from calendar import monthrange
from typing import Any

from google.protobuf import json_format
from google.protobuf.unknown_fields import UnknownFieldSet

from ledger.core.commands import EnrollMember, OverrideTier, RecordActivity, RecordPurchase
from ledger.core.earning import worth
from ledger.core.errors import RulesInvalid, Violation
from ledger.core.explain import describe
from ledger.core.messages import messages
from ledger.core.model import Balance, Entry, PurchaseLine, Receipt
from ledger.core.program import Program
from ledger.core.status import status_after
from ledger.rpc.fields import Fields, is_text, minor_units
from ledger.rpc.tiers import fill_tier_change, fill_tier_status
from ledger.rpc.wellknown import fill_timestamp, money, timestamp
from ledger.v1 import member_pb2, points_pb2, program_pb2, rules_pb2, types_pb2

MAX_LINES = 1_000
#: characters of what an operator says
MAX_REASON = 500
_LEAP_YEAR = 2000

#: the proto numbers of the kinds of entry, by the names that the journal uses
KIND_NUMBERS = {
    name.removeprefix("ENTRY_KIND_"): types_pb2.EntryKind.Value(name)
    for name in types_pb2.EntryKind.keys()  # noqa: SIM118 (not a mapping)
}
MAX_QUANTITY = 1_000_000


def enroll_member(request: member_pb2.EnrollMemberRequest, program: Program | None) -> EnrollMember:
    """The command of a request. Raises INVALID_FIELD; an unknown program is left to the caller."""
    fields = Fields()
    fields.program_id(request.program_id)
    command = EnrollMember(
        program_id=request.program_id,
        member_id=fields.text("member_id", request.member_id)
        or (member_id_of(program, request.request_id) if program is not None else ""),
        request_id=fields.text("request_id", request.request_id, required=True),
        effective_time=fields.instant("effective_time", request),
        location_id=fields.text("location_id", request.location_id),
        terminal_id=fields.text("terminal_id", request.terminal_id),
        birthday=_birthday(fields, request.birthday) if request.HasField("birthday") else 0,
        referrer_member_id=fields.text("referrer_member_id", request.referrer_member_id),
    )
    fields.finish()
    return command


def member_id_of(program: Program, request_id: str) -> str:
    """The id of a member enrolled without one: a keyed hash, so that it says nothing of the request
    and a repeat finds the same member."""
    digest = hmac.digest(
        program.member_key, f"{program.program_id}\n{request_id}".encode(), hashlib.sha256
    )
    return "m-" + base64.b32encode(digest[:15]).decode().lower()


def record_purchase(
    request: points_pb2.RecordPurchaseRequest | points_pb2.PreviewPurchaseRequest,
    program: Program | None,
) -> RecordPurchase:
    """The command of a request. Raises INVALID_FIELD; an unknown program is left to the caller."""
    fields = Fields()
    request_id = ""
    posting = False
    if isinstance(request, points_pb2.RecordPurchaseRequest):
        posting = True
        request_id = fields.text("request_id", request.request_id, required=True)
    currency = None
    if program is not None:  # its id has been checked when it was created
        currency = program.currency
    else:
        fields.program_id(request.program_id)
    amount = 0
    if request.HasField("amount"):
        amount = fields.money("amount", request.amount, currency)
    else:
        fields.fault("amount", "is required: money in the program's currency")
    command = RecordPurchase(
        program_id=request.program_id,
        member_id=fields.text("member_id", request.member_id, required=True),
        request_id=request_id,
        purchase_id=fields.text("purchase_id", request.purchase_id, required=posting),
        amount=amount,
        lines=_lines(fields, request, amount, currency) if request.lines else (),
        effective_time=fields.instant("effective_time", request),
        location_id=fields.text("location_id", request.location_id),
        terminal_id=fields.text("terminal_id", request.terminal_id),
    )
    fields.finish()
    return command


def _lines(
    fields: Fields,
    request: points_pb2.RecordPurchaseRequest | points_pb2.PreviewPurchaseRequest,
    amount: int,
    currency: str | None,
) -> tuple[PurchaseLine, ...]:
    if len(request.lines) > MAX_LINES:
        fields.fault("lines", f"has {len(request.lines)} lines, at most {MAX_LINES} are allowed")
        return ()
    lines = []
    for index, line in enumerate(request.lines):
        sku, category, quantity = line.sku, line.category, line.quantity
        cost = minor_units(line.amount, currency) if currency is not None else None
        sound = cost is not None and 0 <= quantity <= MAX_QUANTITY
        if cost is None or not (sound and is_text(sku) and is_text(category)):
            cost = _check_line(fields, f"lines[{index}]", line, currency)
        lines.append(PurchaseLine(sku, category, quantity, cost))
    if not fields.faulty and sum([line.amount for line in lines]) != amount:
        fields.fault("lines", "must sum to the amount")
    return tuple(lines)


def _check_line(
    fields: Fields, path: str, line: types_pb2.PurchaseLine, currency: str | None
) -> int:
    """The amount of one line, whose faults are named. Most lines have none and do not come here."""
    if not 0 <= line.quantity <= MAX_QUANTITY:
        fields.fault(f"{path}.quantity", f"must be from 0 to {MAX_QUANTITY}")
    fields.text(f"{path}.sku", line.sku)
    fields.text(f"{path}.category", line.category)
    return fields.money(f"{path}.amount", line.amount, currency)


def rules_document(rules: rules_pb2.Rules) -> dict[str, Any]:
    """A rules message as the plain document that the core reads. Raises RULES_INVALID for fields
    that this version does not know: a rule must not be silently without effect."""
    if _has_unknown_fields(rules):
        raise RulesInvalid([Violation("rules", "has fields that this version does not know")])
    return json_format.MessageToDict(rules, preserving_proto_field_name=True)


def _has_unknown_fields(message: Any) -> bool:
    if len(UnknownFieldSet(message)):
        return True
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            parts = value if field.is_repeated else [value]
            if any(_has_unknown_fields(part) for part in parts):
                return True
    return False


def receipt_message(receipt: Receipt, program: Program) -> types_pb2.Receipt:
    message = types_pb2.Receipt()
    fill_receipt(message, receipt, program)
    return message


def balance_message(balance: Balance, program: Program) -> types_pb2.Balance:
    message = types_pb2.Balance()
    fill_balance(message, balance, program)
    return message


def entry_message(entry: Entry, program: Program) -> types_pb2.Entry:
    """An entry without its hashes, which a receipt does not need."""
    message = types_pb2.Entry()
    fill_entry(message, entry, program)
    return message


# Messages are filled in place: handing a message to another's constructor costs as much as ten
# fields set, and every write answers several.


def fill_receipt(message: types_pb2.Receipt, receipt: Receipt, program: Program) -> None:
    """The answer to a write."""
    for entry in receipt.entries:
        fill_entry(message.entries.add(), entry, program)
    fill_balance(message.balance, receipt.balance, program)
    message.replayed = receipt.replayed
    status = status_after(receipt.entries, program)
    if status is not None:
        fill_tier_status(message.tier, status, program)
    message.messages.extend(messages(receipt.entries, receipt.balance, status, program))


def fill_balance(message: types_pb2.Balance, balance: Balance, program: Program) -> None:
    """A balance, with what it is worth under the rules in force at its as_of_time."""
    message.available_points = balance.available
    message.held_points = balance.held
    message.pending_points = balance.pending
    message.lifetime_points = balance.lifetime
    message.tier_id = balance.tier_id
    message.version = balance.version
    fill_timestamp(message.as_of_time, balance.as_of_time)
    lot = balance.next_expiry
    if lot is not None and lot.expire_time is not None:
        expiry = message.next_expiry
        expiry.points = lot.points
        expiry.expire_time.CopyFrom(timestamp(lot.expire_time))
    value = worth(balance.available, program.in_force(balance.as_of_time).rules)
    if value is not None:
        message.value.CopyFrom(money(value, program.currency))


def fill_entry(message: types_pb2.Entry, entry: Entry, program: Program) -> None:
    """An entry without its hashes."""
    message.program_id = entry.program_id
    message.member_id = entry.member_id
    message.sequence = entry.sequence
    message.kind = KIND_NUMBERS[entry.kind]  # type: ignore[assignment]
    message.points = entry.points
    message.debit_account = entry.debit_account
    message.credit_account = entry.credit_account
    if entry.request_id:
        message.request_id = entry.request_id
    if entry.cause_sequence:
        message.cause_sequence = entry.cause_sequence
    if entry.purchase_id:
        message.purchase_id = entry.purchase_id
    message.rules_version = entry.rules_version
    message.actor = entry.actor
    if entry.location_id:
        message.location_id = entry.location_id
    if entry.terminal_id:
        message.terminal_id = entry.terminal_id
    fill_timestamp(message.effective_time, entry.effective_time)
    fill_timestamp(message.create_time, entry.create_time)
    message.available_points = entry.available_points
    if entry.held_points:
        message.held_points = entry.held_points
    if entry.tier_id:
        message.tier_id = entry.tier_id
    data = entry.data
    for line in data.breakdown:
        part = message.breakdown.add()
        part.rule = line.rule
        part.description = describe(line, entry, program)
        part.points = line.points
    for change in data.lots:
        lot = message.lots.add()
        lot.points = change.points
        if change.expire_time is not None:
            lot.expire_time.CopyFrom(timestamp(change.expire_time))
        if change.activate_time is not None:
            lot.activate_time.CopyFrom(timestamp(change.activate_time))
    if data.amount is not None:
        currency = program.currency
        message.amount.CopyFrom(money(data.amount, currency))
        message.eligible_amount.CopyFrom(money(data.eligible or 0, currency))
        for bought in data.lines:
            row = message.lines.add()
            row.sku = bought.sku
            row.category = bought.category
            row.quantity = bought.quantity
            row.amount.CopyFrom(money(bought.amount, currency))
    if data.activity:
        message.activity = data.activity
    if data.related_member_id:
        message.related_member_id = data.related_member_id
    if data.why is not None and data.tier is not None:
        fill_tier_change(message.tier_change, data.why, data.tier, entry, program)


def program_message(program: Program) -> program_pb2.Program:
    message = program_pb2.Program(
        program_id=program.program_id,
        display_name=program.display_name,
        currency=program.currency,
        time_zone=program.zone.key,
        sandbox=program.clock_time is not None,
        create_time=timestamp(program.create_time),
        rules_version=program.versions[-1].version,
    )
    if program.clock_time is not None:
        message.clock_time.CopyFrom(timestamp(program.clock_time))
    return message


def record_activity(
    request: points_pb2.RecordActivityRequest, program: Program | None
) -> RecordActivity:
    """The command of a request. Raises INVALID_FIELD; an unknown program is left to the caller."""
    fields = Fields()
    fields.program_id(request.program_id)
    command = RecordActivity(
        program_id=request.program_id,
        member_id=fields.text("member_id", request.member_id, required=True),
        request_id=fields.text("request_id", request.request_id, required=True),
        activity=fields.text("activity", request.activity, required=True),
        effective_time=fields.instant("effective_time", request),
        location_id=fields.text("location_id", request.location_id),
        terminal_id=fields.text("terminal_id", request.terminal_id),
    )
    fields.finish()
    return command


def override_tier(request: points_pb2.OverrideTierRequest, program: Program | None) -> OverrideTier:
    """The command of a request. Raises INVALID_FIELD; an unknown program is left to the caller."""
    fields = Fields()
    fields.program_id(request.program_id)
    command = OverrideTier(
        program_id=request.program_id,
        member_id=fields.text("member_id", request.member_id, required=True),
        request_id=fields.text("request_id", request.request_id, required=True),
        tier_id=fields.text("tier_id", request.tier_id, required=True),
        reason=fields.text("reason", request.reason, required=True, most=MAX_REASON),
        until_time=fields.instant("until_time", request, required=True) or 0,
    )
    fields.finish()
    return command


def _birthday(fields: Fields, birthday: member_pb2.Birthday) -> int:
    """month * 100 + day, which 29 February may be."""
    month, day = birthday.month, birthday.day
    if not 1 <= month <= 12:
        fields.fault("birthday.month", "must be from 1 to 12")
        return 0
    longest = monthrange(_LEAP_YEAR, month)[1]
    if not 1 <= day <= longest:
        fields.fault("birthday.day", f"must be from 1 to {longest} in month {month}")
    return month * 100 + day
