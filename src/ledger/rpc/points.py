"""PointsService: what is bought and returned, and what points do by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

from ledger.core.commands import Command
from ledger.core.errors import LedgerError, invalid
from ledger.core.program import Program
from ledger.engine import Engine
from ledger.engine.batch import Item
from ledger.rpc.access import Access
from ledger.rpc.answers import fill_receipt
from ledger.rpc.dispatch import Call
from ledger.rpc.lookup import program_covering, program_or_refuse
from ledger.rpc.permissions import check_item
from ledger.rpc.previews import preview_purchase, preview_return
from ledger.rpc.purchases import record_purchase, record_return
from ledger.rpc.status import to_status
from ledger.rpc.writes import WRITES, write
from ledger.v1 import points_pb2, types_pb2

MAX_ITEMS = 1_000
_ITEMS_BETWEEN_BREAKS = 100
T = TypeVar("T")


class PointsService:
    """See protos/ledger/v1/points.proto for what each method answers and refuses."""

    def __init__(self, engine: Engine, access: Access) -> None:
        self._engine = engine
        self._access = access

    async def RecordPurchase(
        self, request: points_pb2.RecordPurchaseRequest, call: Call
    ) -> types_pb2.Receipt:
        return await write(self._engine, "record_purchase", request, call)

    async def PreviewPurchase(
        self, request: points_pb2.PreviewPurchaseRequest, call: Call
    ) -> points_pb2.PreviewPurchaseResponse:
        _, command = await program_or_refuse(
            self._engine, request.program_id, record_purchase, request
        )
        return await preview_purchase(self._engine, command, call.actor)

    async def RecordActivity(
        self, request: points_pb2.RecordActivityRequest, call: Call
    ) -> types_pb2.Receipt:
        return await write(self._engine, "record_activity", request, call)

    async def RecordReturn(
        self, request: points_pb2.RecordReturnRequest, call: Call
    ) -> types_pb2.Receipt:
        return await write(self._engine, "record_return", request, call)

    async def PreviewReturn(
        self, request: points_pb2.PreviewReturnRequest, call: Call
    ) -> points_pb2.PreviewReturnResponse:
        _, command = await program_or_refuse(
            self._engine, request.program_id, record_return, request
        )
        return await preview_return(self._engine, command, call.actor)

    async def AdjustPoints(
        self, request: points_pb2.AdjustPointsRequest, call: Call
    ) -> types_pb2.Receipt:
        await self._access.approve(call.principal, request, time.monotonic())
        return await write(self._engine, "adjust_points", request, call)

    async def TransferPoints(
        self, request: points_pb2.TransferPointsRequest, call: Call
    ) -> types_pb2.Receipt:
        return await write(self._engine, "transfer_points", request, call)

    async def OverrideTier(
        self, request: points_pb2.OverrideTierRequest, call: Call
    ) -> types_pb2.Receipt:
        return await write(self._engine, "override_tier", request, call)

    async def BatchWrite(
        self, request: points_pb2.BatchWriteRequest, call: Call
    ) -> points_pb2.BatchWriteResponse:
        if not 1 <= len(request.items) <= MAX_ITEMS:
            raise invalid("items", f"has {len(request.items)} items; 1 to {MAX_ITEMS} are allowed")
        began = time.monotonic()
        response = points_pb2.BatchWriteResponse()
        waiting: list[tuple[points_pb2.BatchWriteResult, Program]] = []
        items: list[Item] = []
        async for item in _politely(request.items):
            result = response.results.add()
            try:
                program, command = await self._command(item, call, began)
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
                fill_receipt(result.receipt, outcome, program)
        return response

    async def _command(
        self, item: points_pb2.BatchWriteItem, call: Call, began: float
    ) -> tuple[Program, Command]:
        """The command of an item, whose sender may send it alone; of a batch that came by then."""
        name = item.WhichOneof("write")
        if name is None:
            raise invalid("items", "each item must hold one write")
        request = getattr(item, name)
        check_item(call.principal, name, request)
        if name == "adjust_points":
            await self._access.approve(call.principal, request, began)
        return await program_or_refuse(self._engine, request.program_id, WRITES[name], request)


async def _politely(items: Iterable[T]) -> AsyncIterator[T]:
    """The items, with a break for other calls now and then: a till must not wait for a whole batch
    to be converted."""
    for index, item in enumerate(items):
        if index % _ITEMS_BETWEEN_BREAKS == _ITEMS_BETWEEN_BREAKS - 1:
            await asyncio.sleep(0)
        yield item
