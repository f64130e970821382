"""PointsService: what is bought, and what it earns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

from ledger.core.commands import Command
from ledger.core.decide import decide
from ledger.core.errors import LedgerError, MemberNotFound, invalid
from ledger.core.model import PurchaseRef, balance_after
from ledger.core.posting import Context
from ledger.core.program import Program
from ledger.engine import Engine
from ledger.engine.batch import Item
from ledger.rpc import convert
from ledger.rpc.dispatch import Call
from ledger.rpc.lookup import program_covering, program_or_refuse
from ledger.rpc.status import to_status
from ledger.store.queries import ReadAccount, read_purchase
from ledger.v1 import points_pb2, types_pb2

MAX_ITEMS = 1_000
_ITEMS_BETWEEN_BREAKS = 100
T = TypeVar("T")


class PointsService:
    """See protos/ledger/v1/points.proto for what each method answers and refuses."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def RecordPurchase(
        self, request: points_pb2.RecordPurchaseRequest, call: Call
    ) -> types_pb2.Receipt:
        program, command = await program_or_refuse(
            self._engine, request.program_id, convert.record_purchase, request
        )
        receipt = await self._engine.submit(command, call.actor, call.deadline)
        program = await program_covering(self._engine, program, receipt.entries)
        return convert.receipt_message(receipt, program)

    async def PreviewPurchase(
        self, request: points_pb2.PreviewPurchaseRequest, call: Call
    ) -> points_pb2.PreviewPurchaseResponse:
        program, command = await program_or_refuse(
            self._engine, request.program_id, convert.record_purchase, request
        )
        read: ReadAccount | None = None
        try:
            program, read = await self._engine.read(request.program_id, request.member_id)
        except MemberNotFound:
            program = await self._engine.run(self._engine.catalog.refresh, request.program_id)
        credited = None
        if request.purchase_id:
            credited = await self._engine.query(
                read_purchase, request.program_id, request.purchase_id
            )
        account = read.account if read is not None else None
        context = Context(
            program=program,
            now=self._engine.now(program, account),
            actor=call.actor,
            purchases={request.purchase_id: PurchaseRef(*credited)} if credited else {},
        )
        posting = decide(account, command, context)
        purchase = next(entry for entry in posting.entries if entry.kind == "PURCHASE")
        message = convert.entry_message(purchase, program)
        return points_pb2.PreviewPurchaseResponse(
            points=message.points,
            breakdown=message.breakdown,
            lots=message.lots,
            eligible_amount=message.eligible_amount,
            balance=convert.balance_message(balance_after(posting.entries[-1]), program),
        )

    async def BatchWrite(
        self, request: points_pb2.BatchWriteRequest, call: Call
    ) -> points_pb2.BatchWriteResponse:
        if not 1 <= len(request.items) <= MAX_ITEMS:
            raise invalid("items", f"has {len(request.items)} items; 1 to {MAX_ITEMS} are allowed")
        response = points_pb2.BatchWriteResponse()
        waiting: list[tuple[points_pb2.BatchWriteResult, Program]] = []
        items: list[Item] = []
        async for item in _politely(request.items):
            result = response.results.add()
            try:
                program, command = await self._command(item)
            except LedgerError as error:
                result.error.CopyFrom(to_status(error))
            else:
                waiting.append((result, program))
                items.append(Item(command, call.actor))
        outcomes = await self._engine.submit_all(items, call.deadline)
        async for (result, program), outcome in _politely(zip(waiting, outcomes, strict=True)):
            if isinstance(outcome, LedgerError):
                result.error.CopyFrom(to_status(outcome))
            else:
                program = await program_covering(self._engine, program, outcome.entries)
                convert.fill_receipt(result.receipt, outcome, program)
        return response

    async def _command(self, item: points_pb2.BatchWriteItem) -> tuple[Program, Command]:
        match item.WhichOneof("write"):
            case "enroll_member":
                return await program_or_refuse(
                    self._engine,
                    item.enroll_member.program_id,
                    convert.enroll_member,
                    item.enroll_member,
                )
            case "record_purchase":
                return await program_or_refuse(
                    self._engine,
                    item.record_purchase.program_id,
                    convert.record_purchase,
                    item.record_purchase,
                )
            case _:
                raise invalid("items", "each item must hold one write")


async def _politely(items: Iterable[T]) -> AsyncIterator[T]:
    """The items, with a break for other calls now and then: a till must not wait for a whole batch
    to be converted."""
    for index, item in enumerate(items):
        if index % _ITEMS_BETWEEN_BREAKS == _ITEMS_BETWEEN_BREAKS - 1:
            await asyncio.sleep(0)
        yield item
