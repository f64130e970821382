"""How each kind of workload is sent: its prepared requests, its channel, and what an answer says.

Runs in the load generators. Requests are packed before the clock runs, and answers are unpacked
after it has stopped: the generators share the machine with what they measure.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import pyqwest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import money_pb2

from benchmarks.shop import Purchase, Shop
from benchmarks.workloads import EMPTY_RPC, Kind, Workload
from ledger.v1 import balance_pb2, points_pb2, types_pb2

_TIMEOUT_SECONDS: Final = 30.0

_PATHS: Final = {
    Kind.EMPTY: "/{}/{}".format(*EMPTY_RPC),
    Kind.PURCHASE: "/ledger.v1.PointsService/RecordPurchase",
    Kind.BATCH: "/ledger.v1.PointsService/BatchWrite",
    Kind.BALANCE: "/ledger.v1.BalanceService/GetBalance",
}

Send = Callable[[Any], Awaitable[Any]]


@dataclass(frozen=True)
class Call:
    """A request, and what it is about: its purchases, or the member whose balance is asked for."""

    request: Any
    purchases: tuple[Purchase, ...] = ()
    member_id: str = ""


@dataclass
class Answers:
    """What a load generator was told."""

    #: purchases that are in the ledger, and the points they were told to have earned
    acknowledged: list[Purchase] = field(default_factory=list)
    credited_points: int = 0
    #: (member, available points), each as often as it was answered
    balances: Counter[tuple[str, int]] = field(default_factory=Counter)
    #: anything but the answer that was due, in words, with how often it came
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, other: Answers) -> None:
        """Take in what another load generator was told."""
        self.acknowledged += other.acknowledged
        self.credited_points += other.credited_points
        self.balances += other.balances
        self.failures += other.failures


def prepare(
    workload: Workload, shop: Shop, program_id: str, currency: str, name: str, count: int
) -> list[Call]:
    """`count` calls; `name` is unique in the run and becomes part of the purchases' ids."""
    match workload.kind:
        case Kind.EMPTY:
            return [Call(Empty().SerializeToString())] * count
        case Kind.PURCHASE:
            return [
                Call(_request(purchase, program_id, currency).SerializeToString(), (purchase,))
                for purchase in shop.purchases(name, count)
            ]
        case Kind.BATCH:
            purchases = list(shop.purchases(name, count * workload.commands))
            return [
                _batch(tuple(purchases[at : at + workload.commands]), program_id, currency)
                for at in range(0, len(purchases), workload.commands)
            ]
        case Kind.BALANCE:
            make = _balance_call
        case Kind.JSON_BALANCE:
            make = _json_balance_call
    calls = {member_id: make(program_id, member_id) for member_id in shop.member_ids()}
    return [calls[member_id] for member_id in shop.visitors(name, count)]


@asynccontextmanager
async def senders(kind: Kind, address: str, connections: int) -> AsyncIterator[list[Send]]:
    """How to send the requests of this kind to an address (host:port, or a URL for JSON), once for
    each connection. For JSON the one client opens as many connections as it needs."""
    if kind is Kind.JSON_BALANCE:
        yield [_post(pyqwest.Client(), f"{address}/ledger.v1.BalanceService/GetBalance")]
        return
    async with AsyncExitStack() as stack:
        yield [
            await _call(await stack.enter_async_context(_channel(address)), kind)
            for _ in range(connections)
        ]


def _channel(address: str) -> grpc.aio.Channel:
    options = [
        ("grpc.max_receive_message_length", 16 << 20),
        ("grpc.use_local_subchannel_pool", 1),  # or all channels would share one connection
    ]
    return grpc.aio.insecure_channel(address, options=options)


async def _call(channel: grpc.aio.Channel, kind: Kind) -> Send:
    await asyncio.wait_for(channel.channel_ready(), _TIMEOUT_SECONDS)
    method: Any = channel.unary_unary(_PATHS[kind])

    async def send(request: Any) -> Any:
        return await method(request, timeout=_TIMEOUT_SECONDS)

    return send


def read(kind: Kind, call: Call, answer: Any, answers: Answers) -> None:
    """Note what an answer says. A grpc.RpcError or another exception is an answer too."""
    if isinstance(answer, grpc.RpcError):
        status = answer.code().name if isinstance(answer, grpc.Call) else "UNKNOWN"
        details = answer.details() if isinstance(answer, grpc.Call) else ""
        answers.failures[f"{kind.value}: {status} {details}"[:200]] += 1
        return
    if isinstance(answer, BaseException):
        answers.failures[f"{kind.value}: {answer!r}"[:200]] += 1
        return
    match kind:
        case Kind.EMPTY:
            Empty.FromString(answer)
        case Kind.PURCHASE:
            _read_receipt(call.purchases[0], types_pb2.Receipt.FromString(answer), answers)
        case Kind.BATCH:
            response = points_pb2.BatchWriteResponse.FromString(answer)
            _read_batch(call.purchases, response, answers)
        case Kind.BALANCE:
            balance = types_pb2.Balance.FromString(answer)
            answers.balances[call.member_id, balance.available_points] += 1
        case Kind.JSON_BALANCE:
            answers.balances[call.member_id, int(answer.get("availablePoints", 0))] += 1


def _read_receipt(purchase: Purchase, receipt: types_pb2.Receipt, answers: Answers) -> None:
    entries = [entry for entry in receipt.entries if entry.purchase_id == purchase.purchase_id]
    if len(entries) != 1 or receipt.replayed:
        answers.failures["a receipt that is not of the purchase that was sent"] += 1
        return
    answers.acknowledged.append(purchase)
    answers.credited_points += sum(entry.points for entry in receipt.entries)


def _read_batch(
    purchases: tuple[Purchase, ...], answer: points_pb2.BatchWriteResponse, answers: Answers
) -> None:
    if len(answer.results) != len(purchases):
        answers.failures["a batch with more or fewer results than items"] += 1
        return
    for purchase, result in zip(purchases, answer.results, strict=True):
        if result.HasField("receipt"):
            _read_receipt(purchase, result.receipt, answers)
        else:
            answers.failures[f"item of a batch: {result.error.message}"[:200]] += 1


def _request(
    purchase: Purchase, program_id: str, currency: str
) -> points_pb2.RecordPurchaseRequest:
    return points_pb2.RecordPurchaseRequest(
        request_id=purchase.purchase_id,
        program_id=program_id,
        member_id=purchase.member_id,
        purchase_id=purchase.purchase_id,
        amount=_money(purchase.amount, currency),
        lines=[
            types_pb2.PurchaseLine(
                sku=line.sku,
                category=line.category,
                quantity=line.quantity,
                amount=_money(line.amount, currency),
            )
            for line in purchase.lines
        ],
        effective_time=Timestamp(seconds=purchase.effective_time),
        location_id=purchase.location_id,
        terminal_id=purchase.terminal_id,
    )


def _money(amount: int, currency: str) -> money_pb2.Money:
    units, cents = divmod(amount, 100)
    return money_pb2.Money(currency_code=currency, units=units, nanos=cents * 10_000_000)


def _batch(purchases: tuple[Purchase, ...], program_id: str, currency: str) -> Call:
    items = [
        points_pb2.BatchWriteItem(record_purchase=_request(purchase, program_id, currency))
        for purchase in purchases
    ]
    return Call(points_pb2.BatchWriteRequest(items=items).SerializeToString(), purchases)


def _balance_call(program_id: str, member_id: str) -> Call:
    request = balance_pb2.GetBalanceRequest(program_id=program_id, member_id=member_id)
    return Call(request.SerializeToString(), member_id=member_id)


def _json_balance_call(program_id: str, member_id: str) -> Call:
    return Call({"programId": program_id, "memberId": member_id}, member_id=member_id)


def _post(client: pyqwest.Client, url: str) -> Send:
    headers = {"content-type": "application/json"}

    async def send(request: Any) -> Any:
        answer = await client.post(url, headers, json.dumps(request).encode())
        if answer.status != 200:
            raise RuntimeError(f"HTTP {answer.status}: {answer.text()}")
        return answer.json()

    return send
