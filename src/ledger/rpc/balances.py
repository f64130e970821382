"""BalanceService: what a member has, had and will have, and why."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from ledger.core.apply import fold
from ledger.core.errors import EntryNotFound, VersionMismatch, invalid
from ledger.core.ids import hold_id
from ledger.core.instants import DAY, format_instant
from ledger.core.program import Program
from ledger.core.provenance import Origin, origins, sentence
from ledger.core.schedule import schedule
from ledger.core.status import present_status
from ledger.engine import Engine, balance_at, settled
from ledger.feed import Feed
from ledger.rpc.answers import KIND_NUMBERS, balance_message, sealed_message
from ledger.rpc.dispatch import Call
from ledger.rpc.events import stream_events
from ledger.rpc.fields import Fields, page_position, page_token
from ledger.rpc.lookup import program_covering
from ledger.rpc.tiers import fill_tier_status
from ledger.rpc.watching import watch_balance
from ledger.rpc.wellknown import timestamp
from ledger.store.queries import read_entries, read_journal
from ledger.v1 import balance_pb2, types_pb2

#: how far into the future a balance can be asked for: 10 years (µs)
MAX_AHEAD = 3_653 * DAY
_LOT_STATES = {
    name.removeprefix("LOT_STATE_"): balance_pb2.LotState.Value(name)
    for name in balance_pb2.LotState.keys()  # noqa: SIM118 (not a mapping)
}


class BalanceService:
    """See protos/ledger/v1/balance.proto for what each method answers and refuses."""

    def __init__(self, engine: Engine, feed: Feed) -> None:
        self._engine = engine
        self._feed = feed

    async def GetBalance(
        self, request: balance_pb2.GetBalanceRequest, call: Call
    ) -> types_pb2.Balance:
        fields = _member_fields(request)
        as_of_time = fields.instant("as_of_time", request)
        if request.min_version < 0:
            fields.fault("min_version", "must not be negative")
        fields.finish()
        program, read = await self._engine.read(request.program_id, request.member_id)
        account = read.account
        now = self._engine.now(program, account)
        if as_of_time is None:
            as_of_time = now
        elif as_of_time < now:
            key = (request.program_id, request.member_id)
            journal = await self._engine.query(read_journal, key, as_of_time)
            account = fold(stored.entry for stored in journal)
        elif as_of_time > now + MAX_AHEAD:
            latest = format_instant(now + MAX_AHEAD)
            raise invalid("as_of_time", f"must be at most 10 years ahead: until {latest}")
        if account.version < request.min_version:
            raise VersionMismatch(expected=request.min_version, actual=account.version)
        balance, _ = balance_at(account, program, request.member_id, as_of_time)
        return balance_message(balance, program)

    def WatchBalance(
        self, request: balance_pb2.WatchBalanceRequest, call: Call
    ) -> AsyncGenerator[balance_pb2.WatchBalanceResponse, None]:
        return watch_balance(self._engine, self._feed, request, call)

    def StreamEvents(
        self, request: balance_pb2.StreamEventsRequest, call: Call
    ) -> AsyncGenerator[balance_pb2.StreamEventsResponse, None]:
        return stream_events(self._engine, self._feed, request)

    async def GetTierStatus(
        self, request: balance_pb2.GetTierStatusRequest, call: Call
    ) -> types_pb2.TierStatus:
        _member_fields(request).finish()
        program, read = await self._engine.read(request.program_id, request.member_id)
        now = self._engine.now(program, read.account)
        account = settled(read.account, program, request.member_id, now).account
        message = types_pb2.TierStatus()
        fill_tier_status(message, present_status(account, program, now), program)
        return message

    async def ListEntries(
        self, request: balance_pb2.ListEntriesRequest, call: Call
    ) -> balance_pb2.ListEntriesResponse:
        fields = _member_fields(request)
        size = fields.page_size(request.page_size)
        fields.text("purchase_id", request.purchase_id)
        kinds = fields.kinds(request.kinds)
        fields.finish()
        program, _ = await self._engine.read(request.program_id, request.member_id)
        key = (request.program_id, request.member_id)
        filters = ["entries", *key, sorted(kinds), request.purchase_id]
        position = page_position(request.page_token, filters, int)
        rows = await self._engine.query(
            lambda connection: read_entries(
                connection,
                key,
                below=position,
                kinds=kinds,
                purchase_id=request.purchase_id,
                limit=size + 1,
            )
        )
        program = await program_covering(self._engine, program, (row.stored.entry for row in rows))
        response = balance_pb2.ListEntriesResponse(
            entries=[
                sealed_message(row, program, request.include_canonical_form) for row in rows[:size]
            ]
        )
        if len(rows) > size:
            response.next_page_token = page_token(filters, rows[size - 1].stored.entry.sequence)
        return response

    async def GetEntry(self, request: balance_pb2.GetEntryRequest, call: Call) -> types_pb2.Entry:
        fields = _member_fields(request)
        if request.sequence < 1:
            fields.fault("sequence", "is required: 1 or more")
        fields.finish()
        program, _ = await self._engine.read(request.program_id, request.member_id)
        rows = await self._engine.query(
            lambda connection: read_entries(
                connection,
                (request.program_id, request.member_id),
                sequence=request.sequence,
                limit=1,
            )
        )
        if not rows:
            raise EntryNotFound(member_id=request.member_id, sequence=request.sequence)
        program = await program_covering(self._engine, program, [rows[0].stored.entry])
        return sealed_message(rows[0], program, request.include_canonical_form)

    async def ExplainBalance(
        self, request: balance_pb2.ExplainBalanceRequest, call: Call
    ) -> balance_pb2.ExplainBalanceResponse:
        _member_fields(request).finish()
        program, _ = await self._engine.read(request.program_id, request.member_id)
        key = (request.program_id, request.member_id)
        stored = await self._engine.query(read_journal, key)
        journal = [each.entry for each in stored]
        program = await program_covering(self._engine, program, journal)
        response = balance_pb2.ExplainBalanceResponse(
            version=journal[-1].sequence if journal else 0
        )
        for origin in origins(journal):
            _fill_origin(response.origins.add(), origin, request.member_id, program)
        return response

    async def GetExpirySchedule(
        self, request: balance_pb2.GetExpiryScheduleRequest, call: Call
    ) -> balance_pb2.GetExpiryScheduleResponse:
        _member_fields(request).finish()
        program, read = await self._engine.read(request.program_id, request.member_id)
        now = self._engine.now(program, read.account)
        account = settled(read.account, program, request.member_id, now).account
        planned = schedule(account, program, now)
        response = balance_pb2.GetExpiryScheduleResponse(
            never_expiring_points=planned.never_expiring, as_of_time=timestamp(now)
        )
        for item in planned.items:
            row = response.items.add()
            row.points = item.points
            row.expire_time.CopyFrom(timestamp(item.expire_time))
            row.state = _LOT_STATES[item.state]  # type: ignore[assignment]
            if item.activate_time is not None:
                row.activate_time.CopyFrom(timestamp(item.activate_time))
        if planned.inactivity_time is not None:
            response.inactivity_expire_time.CopyFrom(timestamp(planned.inactivity_time))
            response.inactivity_points = planned.inactivity_points
        return response


def _fill_origin(
    message: balance_pb2.ExplainBalanceResponse.Origin,
    origin: Origin,
    member_id: str,
    program: Program,
) -> None:
    """Points that stand together, with the entries that add up to them."""
    message.points = origin.points
    message.owed = origin.state == "DEBT"
    if not message.owed:
        message.state = _LOT_STATES[origin.state]  # type: ignore[assignment]
    if origin.expire_time is not None:
        message.expire_time.CopyFrom(timestamp(origin.expire_time))
    if origin.activate_time is not None:
        message.activate_time.CopyFrom(timestamp(origin.activate_time))
    if origin.hold:
        message.hold_id = hold_id(program, member_id, origin.hold)
    for source in origin.sources:
        message.sources.add(
            sequence=source.entry.sequence,
            kind=KIND_NUMBERS[source.entry.kind],
            points=source.points,
            effective_time=timestamp(source.entry.effective_time),
            text=sentence(source, program),
        )


def _member_fields(
    request: balance_pb2.GetBalanceRequest
    | balance_pb2.GetTierStatusRequest
    | balance_pb2.ListEntriesRequest
    | balance_pb2.GetEntryRequest
    | balance_pb2.GetExpiryScheduleRequest
    | balance_pb2.ExplainBalanceRequest,
) -> Fields:
    fields = Fields()
    fields.program_id(request.program_id)
    fields.text("member_id", request.member_id, required=True)
    return fields
