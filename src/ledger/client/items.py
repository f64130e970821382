"""An item of the offline queue: what is to be written, and what became of it.

Imports the messages and the standard library only.
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from google.protobuf.message import DecodeError

from ledger.client.errors import (
    AlreadyExists,
    InvalidRequest,
    LedgerError,
    NotFound,
    Refused,
    error_of,
)
from ledger.client.results import Receipt
from ledger.client.values import Money, as_datetime, as_money
from ledger.core.instants import to_datetime
from ledger.v1 import points_pb2

#: what became of an item: it waits for the ledger
WAITING: Final = "waiting"
#: … the ledger has recorded it
RECORDED: Final = "recorded"
#: … the ledger has said no; sending it again would bring the same answer, or another fault
REFUSED: Final = "refused"
#: … it can never be recorded: it is malformed, or the file has damaged it
PARKED: Final = "parked"

#: what an item is, by the name of its write
KINDS: Final = {
    "record_purchase": "purchase",
    "record_return": "return",
    "redeem_points": "redemption",
    "reverse_redemption": "reversal",
}

_DAMAGED = InvalidRequest(
    "the file has damaged this write: its checksum does not fit",
    code="DATA_LOSS",
    reason="ITEM_DAMAGED",
)


@dataclass(frozen=True, slots=True)
class Item:
    """A write in the queue. `state` is waiting, recorded, refused or parked."""

    item_id: int
    #: purchase, return, redemption or reversal
    kind: str
    member_id: str
    request_id: str
    #: of a purchase, and of a return the receipt's number
    purchase_id: str
    reward_id: str
    #: of a purchase or a return; None where all of it comes back
    amount: Money | None
    #: of a redemption: what it takes; for a reward, what the till knew it to cost
    points: int
    #: the till's time, None where the ledger's counts
    effective_time: datetime | None
    create_time: datetime
    state: str
    #: False: a redemption that nobody was told of; what it takes is given back
    promised: bool
    #: uploads that did not bring an answer, and what the last one met
    tries: int
    trouble: str
    #: of a recorded item
    receipt: Receipt | None
    #: of a refused or parked item
    error: LedgerError | None


def checksum(request: bytes) -> bytes:
    """By which a request is known to be what was written."""
    return hashlib.sha256(request).digest()


def write_of(item: points_pb2.BatchWriteItem) -> Any:
    """The request that an item of a batch holds."""
    return getattr(item, item.WhichOneof("write") or "")


def message_of(row: sqlite3.Row) -> points_pb2.BatchWriteItem | None:
    """The item of a batch that a row holds; None when it is not what was written."""
    request = row["request"]
    if not isinstance(request, bytes) or checksum(request) != row["checksum"]:
        return None
    try:
        message = points_pb2.BatchWriteItem.FromString(request)
    except DecodeError:
        return None
    return message if message.WhichOneof("write") in KINDS else None


def item_of(row: sqlite3.Row) -> Item:
    """The item of a row. One that is damaged is parked, with what is known of it."""
    message = message_of(row)
    state = row["outcome"] or WAITING
    receipt: Receipt | None = None
    error: LedgerError | None = None
    if message is None:
        state, error = PARKED, _DAMAGED
        message = points_pb2.BatchWriteItem(
            record_purchase={"member_id": row["member_id"], "request_id": row["request_id"]}
        )
    elif state != WAITING:
        receipt, error = _answer(row["answer"])
    write = write_of(message)
    return Item(
        item_id=row["item_id"],
        kind="damaged" if error is _DAMAGED else KINDS[message.WhichOneof("write") or ""],
        member_id=write.member_id,
        request_id=write.request_id,
        purchase_id=getattr(write, "purchase_id", ""),
        reward_id=getattr(write, "reward_id", ""),
        amount=_present(write, "amount", as_money),
        points=row["points"],
        effective_time=_present(write, "effective_time", as_datetime),
        create_time=to_datetime(row["create_time"]),
        state=state,
        promised=bool(row["promised"]),
        tries=row["tries"],
        trouble=row["trouble"],
        receipt=receipt,
        error=error,
    )


def state_after(result: points_pb2.BatchWriteResult) -> tuple[str, LedgerError | None]:
    """What an item is after this answer; `waiting` when it is to be sent again, with the trouble.

    What lies with the till as a whole, such as its credentials or the program, makes no item fail:
    it is put right, and the item goes out.
    """
    if result.WhichOneof("outcome") == "receipt":
        return RECORDED, None
    error = error_of(result.error)
    if isinstance(error, InvalidRequest):
        return PARKED, error
    whole = error.reason == "PROGRAM_NOT_FOUND"
    if isinstance(error, Refused | AlreadyExists | NotFound) and not whole:
        return REFUSED, error
    return WAITING, error


def answered(item: Item, result: points_pb2.BatchWriteResult) -> Item:
    """The item as it is after this answer, where the file has it no more: somebody else has
    settled and acknowledged it."""
    state, _ = state_after(result)
    receipt, error = _answer(result.SerializeToString())
    return replace(item, state=state, receipt=receipt, error=error)


def _answer(data: bytes | None) -> tuple[Receipt | None, LedgerError | None]:
    result = points_pb2.BatchWriteResult.FromString(data or b"")
    if result.WhichOneof("outcome") == "receipt":
        return Receipt.of(result.receipt), None
    return None, error_of(result.error)


def _present(message: Any, field: str, convert: Any) -> Any:
    if field not in message.DESCRIPTOR.fields_by_name or not message.HasField(field):
        return None
    return convert(getattr(message, field))
