"""`OfflineQueue`: writes that are on the disk before anybody is told so, until the ledger has them.

    with OfflineQueue(Path("till.queue"), "bean-street") as queue:
        item = queue.add(request)           # durable from here on
        ...
        queue.settle(queue.next_batch(), results)
        for item in queue.answered():       # until somebody has seen them
            queue.acknowledge(item.item_id)

Every item goes out with the request id and the instant it was made with, so it may be sent as often
as need be: the ledger records it once. Any number of threads and processes may share a file.
Imports SQLite (the standard library's), the messages and the other modules of the client.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from google.protobuf.message import Message

from ledger.client import queue_file
from ledger.client.errors import AlreadyExists, LedgerError
from ledger.client.items import (
    KINDS,
    PARKED,
    RECORDED,
    WAITING,
    Item,
    answer_of,
    answered,
    item_of,
    message_of,
    state_after,
    write_of,
)
from ledger.client.queue_file import (
    QueueDamaged,
    QueueError,
    QueueUnusable,
    guarded,
    read_fact,
    seal,
    write_fact,
)
from ledger.client.values import malformed
from ledger.core.instants import to_instant
from ledger.v1 import points_pb2, redemption_pb2

#: what a batch may hold; the ledger takes a message of 1 MiB
MAX_ITEMS: Final = 1_000
MAX_BATCH_BYTES: Final = 900 * 1024
#: unlike uuids, numbers are read aloud and typed: 30 bits tell one opening from the next
_SERIES_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_MAX_ID: Final = 128

#: what can be queued: the field of a batch's item by the class of its request
_WRITES: Final = {
    field.message_type.full_name: field.name
    for field in points_pb2.BatchWriteItem.DESCRIPTOR.fields
    if field.message_type is not None and field.name in KINDS
}


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many points redemptions may take that the ledger has not confirmed yet: of one member,
    and in all. Whoever gives goods for them bears that risk; 0 is none."""

    per_member: int = 0
    in_total: int = 0


class AllowanceExceeded(LedgerError):
    """The redemption is more than may be given without the ledger. It is not queued."""


class OfflineQueue:
    """The queue of a till, in a file. Every method may raise QueueError; close it when done."""

    def __init__(
        self,
        path: Path,
        program_id: str,
        *,
        allowance: Allowance | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """The queue in the file, which is made where there is none. It belongs to one program."""
        self.path = path
        self.program_id = program_id
        self.allowance = allowance or Allowance()
        self._clock = clock
        # Not of the file: of that there may be copies, restored from a backup or on other tills.
        self._series = "".join(secrets.choice(_SERIES_ALPHABET) for _ in range(6))
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._connection = queue_file.open_file(path)
        self._connection.row_factory = sqlite3.Row
        try:
            with self._transaction():
                self._claim(program_id)
                self._ask_again_what_is_unreadable()
        except BaseException:
            self._connection.close()
            raise

    @staticmethod
    def program_of(path: Path) -> str:
        """The program that the queue in a file belongs to; empty where none is known yet."""
        with guarded(path), closing(queue_file.open_file(path)) as connection:
            return read_fact(connection, path, "program_id") or ""

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- what is to be written ------------------------------------------------------------------

    def add(self, request: Message, *, points: int = 0, promised: bool = True) -> Item:
        """The item of a write, on the disk. The same request once more is the same item.

        `points` is what a redemption takes of the allowance: what it names, and for a reward what
        that is known to cost. A redemption that is not `promised`
        is one that nobody has been told of yet: unless `promise` follows, what it takes is given
        back. Raises AllowanceExceeded, InvalidRequest for what no batch can hold, AlreadyExists for
        a request id that has been used for something else, QueueError: then it is not queued.
        """
        try:
            return self._add(batch_item(request), points, promised)
        except QueueError as error:
            raise type(error)(error.path, f"not queued: {error.message}") from None

    def _add(self, item: points_pb2.BatchWriteItem, points: int, promised: bool) -> Item:
        data = item.SerializeToString(deterministic=True)
        if len(data) > MAX_BATCH_BYTES:
            raise malformed("request", f"has {len(data)} bytes; {MAX_BATCH_BYTES} are allowed")
        write = write_of(item)
        if write.program_id != self.program_id:
            raise malformed("program_id", f"must be {self.program_id}, not {write.program_id!r}")
        if item.HasField("redeem_points"):
            points = max(points, write.points, 0)
        with self._transaction() as execute:
            known = execute(
                "SELECT * FROM items WHERE member_id = ? AND request_id = ?",
                (write.member_id, write.request_id),
            ).fetchone()
            if known is not None:
                if known["request"] != data:
                    raise _reused(write.request_id)
                return item_of(known)
            if promised and points:
                self._allow(write.member_id, points)
            item_id = self._insert(item, data, points, int(promised), to_instant(self._clock()))
            return self._item(item_id)

    def promise(self, item_id: int) -> Item:
        """The item, which somebody has been told of from now on. Raises AllowanceExceeded."""
        with self._transaction():
            item = self._item(item_id)
            if item.state == WAITING and not item.promised:
                self._allow(item.member_id, item.points)
                self._mark_promised(item_id)
            return self._item(item_id)

    def next_batch(self, without: Sequence[str] = (), member_id: str = "") -> list[Item]:
        """What can go out now: of each member the first that waits, in the order of the queue.

        One of each member only, so that nothing overtakes what is not recorded yet. `without` are
        members to leave out; with a `member_id` it is that member's alone. Damaged items are parked
        on the way, and do not come.
        """
        with self._transaction() as execute:
            while True:
                rows = execute(
                    "SELECT * FROM items WHERE item_id IN (SELECT min(item_id) FROM items"
                    " WHERE outcome IS NULL AND (?1 = '' OR member_id = ?1) GROUP BY member_id)"
                    " ORDER BY item_id",
                    (member_id,),
                ).fetchall()
                damaged = [row["item_id"] for row in rows if message_of(row) is None]
                if not damaged:
                    break
                self._park_damaged(damaged)
        chosen: list[Item] = []
        size = 0
        for row in rows:
            size += len(row["request"]) + 8
            if len(chosen) == MAX_ITEMS or (chosen and size > MAX_BATCH_BYTES):
                break
            if row["member_id"] not in without:
                chosen.append(item_of(row))
        return chosen

    def message(self, item_id: int) -> points_pb2.BatchWriteItem:
        """What goes over the wire for an item: the very bytes that were queued."""
        with self._guard():
            row = self._row(item_id)
        message = message_of(row)
        assert message is not None, "next_batch has parked what is damaged"
        return message

    # -- what became of it ----------------------------------------------------------------------

    def settle(
        self,
        items: Sequence[Item],
        results: Sequence[points_pb2.BatchWriteResult],
        *,
        telling: int = 0,
    ) -> list[Item]:
        """The items as they are after these answers, in one transaction.

        An item that another process has settled meanwhile stays as it is. A redemption that was
        recorded and not promised is followed by its reversal, unless it is `telling`: the item
        whose answer is being told to somebody now.
        """
        with self._transaction() as execute:
            for item, result in zip(items, results, strict=True):
                state, error = state_after(result)
                present = self._find(item.item_id)
                if present is None or present.state != WAITING:
                    continue
                if state == WAITING:
                    execute(
                        "UPDATE items SET tries = tries + 1, trouble = ? WHERE item_id = ?",
                        (str(error), item.item_id),
                    )
                    continue
                self._mark_answered(item.item_id, state, result.SerializeToString())
                if item.item_id == telling:
                    self._mark_promised(telling)
                elif state == RECORDED and not item.promised:
                    self._undo(item, result.receipt.redemption.redemption_id)
            return [
                self._find(item.item_id) or answered(item, result)
                for item, result in zip(items, results, strict=True)
            ]

    def get(self, item_id: int) -> Item:
        """The item. Raises KeyError when there is none, such as one that was acknowledged."""
        with self._guard():
            return self._item(item_id)

    def waiting(self) -> list[Item]:
        """What the ledger has not answered yet, in the order in which it was queued."""
        return self._items("outcome IS NULL")

    def answered(self) -> list[Item]:
        """What the ledger has answered and nobody has acknowledged yet, damaged items among it."""
        return self._items("outcome IS NOT NULL")

    def counts(self) -> tuple[int, int]:
        """How many items wait, and how many have been answered and not acknowledged."""
        with self._guard():
            row = self._connection.execute(
                "SELECT count(*) - count(outcome), count(outcome) FROM items"
            ).fetchone()
            return row[0], row[1]

    def acknowledge(self, *item_ids: int) -> None:
        """Forget answered items: somebody has seen what became of them. Others stay."""
        with self._transaction() as execute:
            for item_id in item_ids:
                execute("DELETE FROM items WHERE item_id = ? AND outcome IS NOT NULL", (item_id,))

    def retry(self, item_id: int) -> Item:
        """The item, which waits again, behind all others: for what may be right by now, such as a
        return that overtook its purchase. What the ledger remembers is answered as before."""
        with self._transaction() as execute:
            row = self._row(item_id)
            message = message_of(row)
            if row["outcome"] is None or row["outcome"] == RECORDED or message is None:
                return item_of(row)
            execute("DELETE FROM items WHERE item_id = ?", (item_id,))
            return self._item(self._insert_again(message, row))

    # -- what the till knows --------------------------------------------------------------------

    def remember(self, name: str, value: Any) -> None:
        """Keep a fact (anything that JSON can say) with the queue."""
        with self._transaction():
            write_fact(self._connection, name, value)

    def recall(self, name: str) -> Any:
        """A fact that was kept; None when there is none that can be read."""
        with self._guard():
            try:
                return read_fact(self._connection, self.path, name)
            except QueueDamaged:
                return None

    def next_number(self) -> str:
        """A number that no queue has given before, such as `k3fmx2-17`: neither this one, nor a
        copy of its file, nor a later one in the same place."""
        with self._transaction():
            number = (self.recall("numbers") or 0) + 1
            self.remember("numbers", number)
            return f"{self._series}-{number}"

    def take_over(self, row: sqlite3.Row) -> bool:
        """Put the item of another queue's row behind all others, answered or not; False where it is
        in this queue already. The row is sound, as `message_of` tells, and of this program."""
        message = message_of(row)
        assert message is not None
        write = write_of(message)
        with self._transaction() as execute:
            known = execute(
                "SELECT 1 FROM items WHERE member_id = ? AND request_id = ?",
                (write.member_id, write.request_id),
            ).fetchone()
            if known is None:
                item_id = self._insert_again(message, row)
                if answer_of(row) is not None:
                    self._mark_answered(item_id, row["outcome"], row["answer"])
            return known is None

    # -- inside ---------------------------------------------------------------------------------

    @contextmanager
    def _guard(self) -> Iterator[None]:
        with self._lock, guarded(self.path):
            if os.getpid() != self._process:
                raise QueueUnusable(
                    self.path, f"{self.path} was opened before a fork: open it in this process, too"
                )
            yield

    @contextmanager
    def _transaction(self) -> Iterator[Callable[..., sqlite3.Cursor]]:
        """One transaction, durable when the block is over; nothing of it stays if it fails."""
        with self._guard():
            if self._connection.in_transaction:  # part of a larger one
                yield self._connection.execute
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _claim(self, program_id: str) -> None:
        owner = read_fact(self._connection, self.path, "program_id")
        if owner is None:
            self.remember("program_id", program_id)
        elif owner != program_id:
            raise queue_file.of_another_program(self.path, owner)

    def _allow(self, member_id: str, points: int) -> None:
        row = self._connection.execute(
            "SELECT coalesce(sum(points), 0), coalesce(sum(points) FILTER (WHERE member_id = ?), 0)"
            " FROM items WHERE outcome IS NULL AND promised = 1",
            (member_id,),
        ).fetchone()
        for whose, allowed, taken in (
            ("member", self.allowance.per_member, row[1]),
            ("till", self.allowance.in_total, row[0]),
        ):
            if taken + points > allowed:
                told = f"redemptions of this {whose} may take {allowed} points, {taken} are taken"
                raise AllowanceExceeded(
                    f"without the ledger {told if allowed else 'nothing is redeemed here'}; this "
                    f"one is of {points}",
                    code="FAILED_PRECONDITION",
                    reason="OFFLINE_ALLOWANCE_EXCEEDED",
                    metadata={
                        "allowance": str(allowed),
                        "waiting": str(taken),
                        "required": str(points),
                    },
                )

    def _insert_again(self, item: points_pb2.BatchWriteItem, row: sqlite3.Row) -> int:
        parts = row["request"], row["points"], row["promised"], row["create_time"]
        return self._insert(item, *parts)

    def _insert(
        self,
        item: points_pb2.BatchWriteItem,
        data: bytes,
        points: int,
        promised: int,
        create_time: int,
    ) -> int:
        write = write_of(item)
        parts = data, points, promised, create_time
        cursor = self._connection.execute(
            "INSERT INTO items (request, points, promised, create_time, checksum, member_id,"
            " request_id) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*parts, seal(*parts), write.member_id, write.request_id),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _mark_promised(self, item_id: int) -> None:
        row = self._row(item_id)
        checksum = seal(row["request"], row["points"], 1, row["create_time"])
        self._connection.execute(
            "UPDATE items SET promised = 1, checksum = ? WHERE item_id = ?", (checksum, item_id)
        )

    def _mark_answered(self, item_id: int, outcome: str, answer: bytes) -> None:
        self._connection.execute(
            "UPDATE items SET outcome = ?, answer = ?, answer_checksum = ?, trouble = ''"
            " WHERE item_id = ?",
            (outcome, answer, seal(outcome, answer), item_id),
        )

    def _undo(self, item: Item, redemption_id: str) -> None:
        """Queue the reversal of a redemption, under a request id that follows from its own."""
        request_id = f"{item.request_id}/undo"
        if len(request_id) > _MAX_ID:
            request_id = f"undo/{hashlib.sha256(item.request_id.encode()).hexdigest()}"
        reversal = redemption_pb2.ReverseRedemptionRequest(
            request_id=request_id,
            program_id=self.program_id,
            member_id=item.member_id,
            redemption_id=redemption_id,
        )
        self._add(batch_item(reversal), points=0, promised=True)

    def _park_damaged(self, item_ids: Sequence[int]) -> None:
        for item_id in item_ids:
            self._mark_answered(item_id, PARKED, b"")

    def _ask_again_what_is_unreadable(self) -> None:
        """Let items wait again whose answer the file has damaged: it is the same once more."""
        for row in self._connection.execute("SELECT * FROM items WHERE outcome IS NOT NULL"):
            if answer_of(row) is None:
                self._connection.execute(
                    "UPDATE items SET outcome = NULL, answer = NULL, answer_checksum = NULL"
                    " WHERE item_id = ?",
                    (row["item_id"],),
                )

    def _items(self, condition: str) -> list[Item]:
        with self._guard():
            rows = self._connection.execute(
                f"SELECT * FROM items WHERE {condition} ORDER BY item_id"
            ).fetchall()
        return [item_of(row) for row in rows]

    def _item(self, item_id: int) -> Item:
        return item_of(self._row(item_id))

    def _find(self, item_id: int) -> Item | None:
        try:
            return self._item(item_id)
        except KeyError:
            return None

    def _row(self, item_id: int) -> sqlite3.Row:
        row = self._connection.execute(
            "SELECT * FROM items WHERE item_id = ?", (item_id,)
        ).fetchone()
        if row is None:
            raise KeyError(item_id)
        assert isinstance(row, sqlite3.Row)
        return row


def batch_item(request: Message) -> points_pb2.BatchWriteItem:
    """The item of a batch that holds a request. Raises InvalidRequest for one that can not wait."""
    name = _WRITES.get(request.DESCRIPTOR.full_name)
    if name is None:
        raise malformed("request", f"can not be queued: {request.DESCRIPTOR.name}")
    item = points_pb2.BatchWriteItem()
    getattr(item, name).CopyFrom(request)
    return item


def _reused(request_id: str) -> AlreadyExists:
    return AlreadyExists(
        f"request id {request_id} is in the queue already, with another content",
        code="ALREADY_EXISTS",
        reason="REQUEST_ID_REUSED",
        metadata={"request_id": request_id},
    )
