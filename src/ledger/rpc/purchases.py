"""Requests about purchases to commands: what was bought, and what of it came back.

As `commands`: INVALID_FIELD for a malformed request, and an unknown program is left to the caller.
"""

from __future__ import annotations

from ledger.core.commands import RecordPurchase, RecordReturn
from ledger.core.model import PurchaseLine
from ledger.core.program import Program
from ledger.rpc.commands import place
from ledger.rpc.fields import Fields, is_text, minor_units
from ledger.v1 import points_pb2, types_pb2

MAX_LINES = 1_000
MAX_QUANTITY = 1_000_000

_Purchase = points_pb2.RecordPurchaseRequest | points_pb2.PreviewPurchaseRequest
_Return = points_pb2.RecordReturnRequest | points_pb2.PreviewReturnRequest


def record_purchase(request: _Purchase, program: Program | None) -> RecordPurchase:
    fields = Fields()
    posting = isinstance(request, points_pb2.RecordPurchaseRequest)
    request_id = _request_id(fields, request)
    currency = _currency(fields, request, program)
    amount = 0
    if request.HasField("amount"):
        amount = fields.money("amount", request.amount, currency)
    else:
        fields.fault("amount", "is required: money in the program's currency")
    lines = _lines(fields, request, currency) if request.lines else ()
    if lines and not fields.faulty and sum([line.amount for line in lines]) != amount:
        fields.fault("lines", "must sum to the amount")
    command = RecordPurchase(
        program_id=request.program_id,
        member_id=fields.text("member_id", request.member_id, required=True),
        request_id=request_id,
        purchase_id=fields.text("purchase_id", request.purchase_id, required=posting),
        amount=amount,
        lines=lines,
        effective_time=fields.instant("effective_time", request),
        **place(fields, request),
    )
    fields.finish()
    return command


def record_return(request: _Return, program: Program | None) -> RecordReturn:
    fields = Fields()
    request_id = _request_id(fields, request)
    currency = _currency(fields, request, program)
    amount = None
    if request.HasField("amount"):
        amount = fields.money("amount", request.amount, currency)
        if not amount and not fields.faulty:
            fields.fault("amount", "must be above 0")
    given = [amount is not None, bool(request.lines), request.full]
    if sum(given) != 1:
        fields.fault("amount", "is required, or lines, or full: exactly one of the three")
    command = RecordReturn(
        program_id=request.program_id,
        member_id=fields.text("member_id", request.member_id, required=True),
        request_id=request_id,
        purchase_id=fields.text("purchase_id", request.purchase_id, required=True),
        amount=amount,
        lines=_lines(fields, request, currency) if request.lines else (),
        full=request.full,
        effective_time=fields.instant("effective_time", request),
        **place(fields, request),
    )
    fields.finish()
    return command


def _request_id(fields: Fields, request: _Purchase | _Return) -> str:
    """The id of a request to record; a preview has none."""
    if isinstance(request, (points_pb2.RecordPurchaseRequest, points_pb2.RecordReturnRequest)):
        return fields.text("request_id", request.request_id, required=True)
    return ""


def _currency(fields: Fields, request: _Purchase | _Return, program: Program | None) -> str | None:
    """The currency that amounts must have; None when the program is not known."""
    if program is not None:  # its id has been checked when it was created
        return program.currency
    fields.program_id(request.program_id)
    return None


def _lines(
    fields: Fields, request: _Purchase | _Return, currency: str | None
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
