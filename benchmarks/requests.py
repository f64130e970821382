"""The calls of a workload, packed before the clock runs: load generators share the machine with
what they measure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import money_pb2

from benchmarks.shop import Purchase, Shop
from benchmarks.workloads import EMPTY_RPC, MIX, Kind, Workload
from ledger.v1 import balance_pb2, points_pb2, redemption_pb2, types_pb2

#: of the full rules: they let nobody spend less at once
HOLD_POINTS: Final = 100
REWARD_ID: Final = "free-coffee"

_PATHS: Final = {
    Kind.EMPTY: "/{}/{}".format(*EMPTY_RPC),
    Kind.PURCHASE: "/ledger.v1.PointsService/RecordPurchase",
    Kind.BATCH: "/ledger.v1.PointsService/BatchWrite",
    Kind.BALANCE: "/ledger.v1.BalanceService/GetBalance",
    Kind.HOLD: "/ledger.v1.RedemptionService/HoldPoints",
    Kind.REDEEM: "/ledger.v1.RedemptionService/RedeemPoints",
    Kind.RETURN: "/ledger.v1.PointsService/RecordReturn",
    Kind.NAIVE: "/ledger.v1.PointsService/RecordPurchase",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A request, and what it is about: its purchases, or its member."""

    kind: Kind
    path: str
    request: bytes
    purchases: tuple[Purchase, ...] = ()
    member_id: str = ""


@dataclass(frozen=True)
class Requests:
    """Makes the calls that are sent to one program."""

    shop: Shop
    program_id: str
    currency: str
    #: as JSON
    json: bool

    def prepare(
        self, workload: Workload, name: str, count: int, returnable: Sequence[Purchase]
    ) -> list[Call]:
        """`count` calls; `name` is unique in the run and becomes part of their ids.

        A mixed day returns what was bought before, in the order of `returnable`, and buys something
        instead when there is no more of it.
        """
        match workload.kind:
            case Kind.EMPTY:
                return [self._call(Kind.EMPTY, Empty())] * count
            case Kind.BATCH:
                purchases = list(self.shop.purchases(name, count * workload.commands))
                return [
                    self._batch(tuple(purchases[at : at + workload.commands]))
                    for at in range(0, len(purchases), workload.commands)
                ]
            case Kind.MIXED:
                return list(self._mixed(name, count, returnable))
            case kind:
                return list(self._all_of(kind, name, count))

    def _all_of(self, kind: Kind, name: str, count: int) -> Iterator[Call]:
        if kind in (Kind.PURCHASE, Kind.NAIVE):
            for purchase in self.shop.purchases(name, count):
                yield self._call(kind, self._purchase(purchase), (purchase,))
            return
        known: dict[str, Call] = {}
        for number, member_id in enumerate(self.shop.visitors(name, count), start=1):
            if kind is Kind.HOLD:
                yield self._call(kind, self._hold(f"{name}-{number}", member_id))
            else:
                if member_id not in known:
                    known[member_id] = self._balance(member_id)
                yield known[member_id]

    def _mixed(self, name: str, count: int, returnable: Sequence[Purchase]) -> Iterator[Call]:
        draw = random.Random(f"{self.shop.seed} mixed {name}")
        kinds = draw.choices(list(MIX), weights=list(MIX.values()), k=count)
        bought = iter(returnable)
        for number, (kind, purchase) in enumerate(
            zip(kinds, self.shop.purchases(name, count), strict=True)
        ):
            # Not to be taken for a purchase, whose receipts are numbered too.
            request_id, member_id = f"{name}-other-{number}", purchase.member_id
            if kind is Kind.BALANCE:
                yield self._balance(member_id)
            elif kind is Kind.REDEEM:
                yield self._call(kind, self._redemption(request_id, member_id))
            elif kind is Kind.RETURN and (returned := next(bought, None)) is not None:
                yield self._call(kind, self._return(request_id, returned))
            else:
                yield self._call(Kind.PURCHASE, self._purchase(purchase), (purchase,))

    def _call(
        self,
        kind: Kind,
        message: Message,
        purchases: tuple[Purchase, ...] = (),
        member_id: str = "",
    ) -> Call:
        packed = (
            json_format.MessageToJson(message, indent=None).encode()
            if self.json
            else message.SerializeToString()
        )
        return Call(kind, _PATHS[kind], packed, purchases, member_id)

    def _balance(self, member_id: str) -> Call:
        request = balance_pb2.GetBalanceRequest(program_id=self.program_id, member_id=member_id)
        return self._call(Kind.BALANCE, request, member_id=member_id)

    def _batch(self, purchases: tuple[Purchase, ...]) -> Call:
        items = [
            points_pb2.BatchWriteItem(record_purchase=self._purchase(purchase))
            for purchase in purchases
        ]
        return self._call(Kind.BATCH, points_pb2.BatchWriteRequest(items=items), purchases)

    def _purchase(self, purchase: Purchase) -> points_pb2.RecordPurchaseRequest:
        return points_pb2.RecordPurchaseRequest(
            request_id=purchase.purchase_id,
            program_id=self.program_id,
            member_id=purchase.member_id,
            purchase_id=purchase.purchase_id,
            amount=self._money(purchase.amount),
            lines=[
                types_pb2.PurchaseLine(
                    sku=line.sku,
                    category=line.category,
                    quantity=line.quantity,
                    amount=self._money(line.amount),
                )
                for line in purchase.lines
            ],
            effective_time=Timestamp(seconds=purchase.effective_time),
            location_id=purchase.location_id,
            terminal_id=purchase.terminal_id,
        )

    def _money(self, amount: int) -> money_pb2.Money:
        units, cents = divmod(amount, 100)
        return money_pb2.Money(currency_code=self.currency, units=units, nanos=cents * 10_000_000)

    def _hold(self, request_id: str, member_id: str) -> Message:
        return redemption_pb2.HoldPointsRequest(
            request_id=request_id,
            program_id=self.program_id,
            member_id=member_id,
            points=HOLD_POINTS,
        )

    def _redemption(self, request_id: str, member_id: str) -> Message:
        return redemption_pb2.RedeemPointsRequest(
            request_id=request_id,
            program_id=self.program_id,
            member_id=member_id,
            reward_id=REWARD_ID,
        )

    def _return(self, request_id: str, purchase: Purchase) -> Message:
        return points_pb2.RecordReturnRequest(
            request_id=request_id,
            program_id=self.program_id,
            member_id=purchase.member_id,
            purchase_id=purchase.purchase_id,
            full=True,
        )


def capture_of(answer: bytes) -> bytes:
    """The request that captures the whole of what a HoldPoints answered with."""
    receipt: Any = types_pb2.Receipt.FromString(answer)
    (entry,) = (entry for entry in receipt.entries if entry.request_id)
    return redemption_pb2.CaptureHoldRequest(
        request_id=f"{entry.request_id}-capture",
        program_id=entry.program_id,
        member_id=entry.member_id,
        hold_id=receipt.hold.hold_id,
    ).SerializeToString()
