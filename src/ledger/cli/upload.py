"""Uploads purchases through BatchWrite, day by day, moving a sandbox's clock along.

Every write has a request_id made from the purchase's own id, so that running an upload again (or
after it was cut off) writes nothing twice. One call at a time keeps the items of a member in order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from ledger.cli.connection import Connection, command_failed, currency_of
from ledger.cli.failure import CommandFailed
from ledger.cli.messages import instant, money, timestamp
from ledger.cli.purchases_csv import Purchase, by_day
from ledger.client.connection import TRIES, retry_delay_seconds
from ledger.client.errors import LedgerError, NoAnswer, error_of
from ledger.v1 import member_pb2, points_pb2, program_pb2, types_pb2

#: a batch, or a clock that has a whole program to settle, takes longer than one write
BATCH_TIMEOUT_SECONDS = 60.0
CLOCK_TIMEOUT_SECONDS = 600.0

_EXAMPLES = 3


@dataclass
class Refusals:
    """The purchases that were refused for one reason: how many, and the first of them."""

    count: int = 0
    examples: list[tuple[Purchase, str]] = field(default_factory=list)


@dataclass
class Outcome:
    """What an upload has done so far."""

    purchases: int = 0
    new: int = 0
    replayed: int = 0
    enrolled: int = 0
    #: points that new purchases earned, with the bonuses of members they enrolled
    points_issued: int = 0
    #: points of purchases that had been recorded before
    points_replayed: int = 0
    posted_by_clock: int = 0
    seconds: float = 0.0
    refusals: dict[str, Refusals] = field(default_factory=dict)

    @property
    def refused(self) -> int:
        return sum(refusals.count for refusals in self.refusals.values())

    @property
    def rate(self) -> float:
        """Purchases per second."""
        return self.purchases / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The outcome as a JSON document."""
        return {
            "purchases": self.purchases,
            "new": self.new,
            "replayed": self.replayed,
            "refused": self.refused,
            "enrolled": self.enrolled,
            "pointsIssued": self.points_issued,
            "pointsReplayed": self.points_replayed,
            "postedByClock": self.posted_by_clock,
            "seconds": round(self.seconds, 3),
            "purchasesPerSecond": round(self.rate, 1),
            "refusals": [
                {
                    "reason": reason,
                    "count": refusals.count,
                    "examples": [
                        {"line": one.line, "purchaseId": one.purchase_id, "message": message}
                        for one, message in refusals.examples
                    ],
                }
                for reason, refusals in sorted(self.refusals.items())
            ],
        }


#: an item, and the purchase it is or whose member it enrolls
_Item = tuple[points_pb2.BatchWriteItem, Purchase]


class Upload:
    """One run. `outcome` counts along, also when the run ends with a failure."""

    def __init__(
        self,
        connection: Connection,
        program: program_pb2.Program,
        zone: ZoneInfo,
        *,
        move_clock: bool,
        batch: int,
        enroll: bool,
        progress: Callable[[int], None] = lambda done: None,
    ) -> None:
        self.outcome = Outcome()
        self._connection = connection
        self._program_id = program.program_id
        self._currency = currency_of(program)
        self._zone = zone
        self._clock = instant(program.clock_time) if move_clock else None
        self._batch = batch
        self._unseen: set[str] | None = set() if enroll else None
        self._not_enrolled: dict[str, LedgerError] = {}
        self._progress = progress

    def run(self, purchases: list[Purchase], until: int | None) -> Outcome:
        """Upload purchases that are sorted by time; then the clock goes to `until` (µs).

        Raises CommandFailed when the server stops answering; whatever was sent by then stays.
        """
        started = time.monotonic()
        try:
            days = [purchases] if self._clock is None else by_day(purchases, self._zone)
            for day in days:
                if day:
                    self._advance(day[-1].effective_time)
                    for items in self._batches(day):
                        self._send(items)
            if until is not None:
                self._advance(until)
        finally:
            self.outcome.seconds = time.monotonic() - started
        return self.outcome

    def _advance(self, clock: int) -> None:
        """Move the sandbox's clock, if it has not come so far yet."""
        if self._clock is None or clock <= self._clock:
            return
        answer = self._connection.call(
            self._connection.programs.AdvanceClock,
            program_pb2.AdvanceClockRequest(
                program_id=self._program_id, clock_time=timestamp(clock)
            ),
            program_pb2.AdvanceClockResponse,
            CLOCK_TIMEOUT_SECONDS,
        )
        self._clock = clock
        self.outcome.posted_by_clock += answer.posted_entries

    def _batches(self, purchases: list[Purchase]) -> Iterator[list[_Item]]:
        items: list[_Item] = []
        for purchase in purchases:
            if self._unseen is not None and purchase.member_id not in self._unseen:
                self._unseen.add(purchase.member_id)
                items.append((self._enroll_item(purchase), purchase))
            items.append((self._purchase_item(purchase), purchase))
            if len(items) >= self._batch:
                yield items
                items = []
        if items:
            yield items

    def _enroll_item(self, first: Purchase) -> points_pb2.BatchWriteItem:
        return points_pb2.BatchWriteItem(
            enroll_member=member_pb2.EnrollMemberRequest(
                request_id="replay-enroll",  # unique within the member, which is all it has to be
                program_id=self._program_id,
                member_id=first.member_id,
                effective_time=timestamp(first.effective_time),
            )
        )

    def _purchase_item(self, purchase: Purchase) -> points_pb2.BatchWriteItem:
        amount = money(purchase.amount, self._currency)
        lines = (
            [types_pb2.PurchaseLine(category=purchase.category, quantity=1, amount=amount)]
            if purchase.category
            else []
        )
        return points_pb2.BatchWriteItem(
            record_purchase=points_pb2.RecordPurchaseRequest(
                request_id=f"replay-{purchase.purchase_id}",
                program_id=self._program_id,
                member_id=purchase.member_id,
                purchase_id=purchase.purchase_id,
                amount=amount,
                lines=lines,
                effective_time=timestamp(purchase.effective_time),
                location_id=purchase.location_id,
                terminal_id=purchase.terminal_id,
            )
        )

    def _send(self, items: list[_Item]) -> None:
        """Send a batch; items that failed for the moment only are sent again."""
        for attempt in range(1, TRIES + 1):
            response = self._connection.call(
                self._connection.points.BatchWrite,
                points_pb2.BatchWriteRequest(items=[item for item, _ in items]),
                points_pb2.BatchWriteResponse,
                BATCH_TIMEOUT_SECONDS,
            )
            again: list[_Item] = []
            last: LedgerError | None = None
            for item, result in zip(items, response.results, strict=True):
                if result.WhichOneof("outcome") == "receipt":
                    self._count(item, result.receipt)
                    continue
                error = error_of(result.error)
                if isinstance(error, NoAnswer):
                    again.append(item)
                    last = error
                else:
                    self._refuse(item, error)
            if last is None:
                return
            if attempt == TRIES:
                raise command_failed(last)
            time.sleep(retry_delay_seconds(attempt, last))
            items = again

    def _count(self, item: _Item, receipt: types_pb2.Receipt) -> None:
        issued = sum(entry.points for entry in receipt.entries if entry.debit_account == "issuance")
        if receipt.replayed:
            self.outcome.points_replayed += issued
        else:
            self.outcome.points_issued += issued
            self.outcome.enrolled += sum(
                entry.kind == types_pb2.ENTRY_KIND_ENROLLED for entry in receipt.entries
            )
        if item[0].HasField("record_purchase"):
            self.outcome.new += not receipt.replayed
            self.outcome.replayed += receipt.replayed
            self._purchase_done()

    def _refuse(self, item: _Item, error: LedgerError) -> None:
        message, purchase = item
        if not message.HasField("record_purchase"):
            # Enrolled before, in whatever way; or else its purchases are refused, and tell why.
            if error.reason not in ("MEMBER_ALREADY_ENROLLED", "REQUEST_ID_REUSED"):
                self._not_enrolled[purchase.member_id] = error
            return
        if error.reason == "MEMBER_NOT_FOUND":
            error = self._not_enrolled.get(purchase.member_id, error)
        refusals = self.outcome.refusals.setdefault(error.reason or error.code, Refusals())
        refusals.count += 1
        if len(refusals.examples) < _EXAMPLES:
            refusals.examples.append((purchase, error.message))
        self._purchase_done()

    def _purchase_done(self) -> None:
        self.outcome.purchases += 1
        self._progress(self.outcome.purchases)


def check_clock(program: program_pb2.Program, wanted: bool | None, until: str) -> bool:
    """Whether an upload shall move the program's clock. Raises CommandFailed if it can not."""
    if wanted and not program.sandbox:
        raise CommandFailed(
            f"program {program.program_id} is not a sandbox: its clock is the real one",
            reason="NOT_A_SANDBOX",
            metadata={"program_id": program.program_id},
        )
    move = program.sandbox if wanted is None else wanted
    if until and not move:
        raise CommandFailed("--until needs a sandbox whose clock is moved", reason="NOT_A_SANDBOX")
    return move
