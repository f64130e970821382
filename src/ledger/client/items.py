"""An item of the offline queue: what is to be written, and what became of it.

Imports the messages and the standard library only.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from datetime import UTC, datetime
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
from ledger.client.queue_file import seal
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


def write_of(item: points_pb2.BatchWriteItem) -> Any:
    """The request that an item of a batch holds."""
    return getattr(item, item.WhichOneof("write") or "")


def message_of(row: sqlite3.Row) -> points_pb2.BatchWriteItem | None:
    """The item of a batch that a row holds; None when the row is not what was written."""
    request = row["request"]
    parts = request, row["points"], row["promised"], row["create_time"]
    if not isinstance(request, bytes) or seal(*parts) != row["checksum"]:
        return None
    try:
        message = points_pb2.BatchWriteItem.FromString(request)
    except DecodeError:
        return None
    return message if message.WhichOneof("write") in KINDS else None


def answer_of(row: sqlite3.Row) -> points_pb2.BatchWriteResult | None:
    """What the ledger answered; None when it has not, or the row is not what was written."""
    outcome, answer = row["outcome"], row["answer"]
    if outcome is None or seal(outcome, answer) != row["answer_checksum"]:
        return None
    return points_pb2.BatchWriteResult.FromString(answer)


def item_of(row: sqlite3.Row) -> Item:
    """The item of a row. One that is damaged is parked, with what is known of it."""
    message, answer = message_of(row), answer_of(row)
    state = WAITING
    receipt: Receipt | None = None
    error: LedgerError | None = None
    create_time = datetime.fromtimestamp(0, UTC)
    if message is None:
        state, error = PARKED, _DAMAGED
        message = points_pb2.BatchWriteItem(
            record_purchase={"member_id": row["member_id"], "request_id": row["request_id"]}
        )
    else:
        create_time = to_datetime(row["create_time"])
        if answer is not None:
            state = row["outcome"]
            receipt, error = _told(answer)
    write = write_of(message)
    return Item(
        item_id=row["item_id"],
        kind="damaged" if error is _DAMAGED else KINDS[message.WhichOneof("write") or ""],
        member_id=write.member_id,
        request_id=write.request_id,
        purchase_id=getattr(write, "purchase_id", ""),
        reward_id=getattr(write, "reward_id", ""),
        amount=_present(write, "amount", as_money),
        points=row["points"] if isinstance(row["points"], int) else 0,
        effective_time=_present(write, "effective_time", as_datetime),
        create_time=create_time,
        state=state,
        promised=bool(row["promised"]),
        tries=row["tries"] if isinstance(row["tries"], int) else 0,
        trouble=row["trouble"] if isinstance(row["trouble"], str) else "",
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
    receipt, error = _told(result)
    return replace(item, state=state, receipt=receipt, error=error)


def _told(result: points_pb2.BatchWriteResult) -> tuple[Receipt | None, LedgerError | None]:
    if result.WhichOneof("outcome") == "receipt":
        return Receipt.of(result.receipt), None
    return None, error_of(result.error)


def _present(message: Any, field: str, convert: Any) -> Any:
    if field not in message.DESCRIPTOR.fields_by_name or not message.HasField(field):
        return None
    return convert(getattr(message, field))
