"""ProgramService: programs, their rules, and the clocks of sandboxes."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from google.protobuf import json_format
from google.protobuf.unknown_fields import UnknownFieldSet

from ledger.core.errors import RulesInvalid, Violation, invalid
from ledger.core.instants import to_instant, zone_names
from ledger.core.money import CURRENCIES
from ledger.engine import Engine
from ledger.metrics import Metrics
from ledger.rpc.answers import program_message
from ledger.rpc.dispatch import Call
from ledger.rpc.fields import Fields, page_position, page_token
from ledger.rpc.wellknown import timestamp
from ledger.scheduler import note_due, settle_due
from ledger.store import programs as store
from ledger.store.queries import read_due_version
from ledger.v1 import program_pb2, rules_pb2


class ProgramService:
    """See protos/ledger/v1/program.proto for what each method answers and refuses."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics

    async def CreateProgram(
        self, request: program_pb2.CreateProgramRequest, call: Call
    ) -> program_pb2.Program:
        asked = request.program
        fields = Fields()
        fields.program_id(asked.program_id, "program.program_id")
        fields.text("program.display_name", asked.display_name)
        if asked.currency not in CURRENCIES:
            fields.fault("program.currency", "must be an ISO 4217 code such as EUR")
        if asked.time_zone not in zone_names():
            fields.fault("program.time_zone", "must be an IANA zone such as Europe/Berlin")
        clock_time = fields.instant("program.clock_time", asked)
        if clock_time is not None and not asked.sandbox:
            fields.fault("program.clock_time", "only a sandbox has a clock of its own")
        fields.finish()
        now = self._engine.clock()
        await self._engine.run(
            lambda: store.create_program(
                self._engine.database,
                program_id=asked.program_id,
                display_name=asked.display_name or asked.program_id,
                currency=asked.currency,
                time_zone=asked.time_zone,
                clock_time=(now if clock_time is None else clock_time) if asked.sandbox else None,
                document=rules_document(request.rules),
                actor=call.actor,
                now=now,
            )
        )
        self._metrics.know_program(asked.program_id)
        return await self._program(asked.program_id)

    async def GetProgram(
        self, request: program_pb2.GetProgramRequest, call: Call
    ) -> program_pb2.Program:
        fields = Fields()
        fields.program_id(request.program_id)
        fields.finish()
        return await self._program(request.program_id)

    async def ListPrograms(
        self, request: program_pb2.ListProgramsRequest, call: Call
    ) -> program_pb2.ListProgramsResponse:
        fields = Fields()
        size = fields.page_size(request.page_size)
        fields.finish()
        after = page_position(request.page_token, ["programs"], str)
        own = call.principal.programs
        if after is not None and own is not None and after not in own:
            # Where the list would go on tells whether there is such a program.
            raise invalid("page_token", "is not a token that a list has answered")
        ids = await self._engine.query(store.list_programs, after, size + 1, own)
        response = program_pb2.ListProgramsResponse(
            programs=[await self._program(program_id) for program_id in ids[:size]]
        )
        if len(ids) > size:
            response.next_page_token = page_token(["programs"], ids[size - 1])
        return response

    async def PublishRules(
        self, request: program_pb2.PublishRulesRequest, call: Call
    ) -> program_pb2.RulesVersion:
        fields = Fields()
        fields.program_id(request.program_id)
        effective_time = fields.instant("effective_time", request)
        fields.finish()
        expected = request.expected_version if request.HasField("expected_version") else None
        version = await self._engine.run(
            lambda: store.publish_rules(
                self._engine.database,
                program_id=request.program_id,
                document=rules_document(request.rules),
                effective_time=effective_time,
                expected_version=expected,
                actor=call.actor,
                now=self._engine.clock(),
            )
        )
        await self._engine.run(self._engine.catalog.refresh, request.program_id)
        rows = await self._engine.query(
            store.list_rules_versions, request.program_id, version + 1, 1
        )
        return _version_message(rows[0])

    async def ListRulesVersions(
        self, request: program_pb2.ListRulesVersionsRequest, call: Call
    ) -> program_pb2.ListRulesVersionsResponse:
        fields = Fields()
        fields.program_id(request.program_id)
        size = fields.page_size(request.page_size)
        fields.finish()
        await self._engine.program(request.program_id)
        filters = ["rules", request.program_id]
        before = page_position(request.page_token, filters, int)
        rows = await self._engine.query(
            store.list_rules_versions, request.program_id, before, size + 1
        )
        response = program_pb2.ListRulesVersionsResponse(
            rules_versions=[_version_message(row) for row in rows[:size]]
        )
        if len(rows) > size:
            response.next_page_token = page_token(filters, rows[size - 1].version)
        return response

    async def AdvanceClock(
        self, request: program_pb2.AdvanceClockRequest, call: Call
    ) -> program_pb2.AdvanceClockResponse:
        fields = Fields()
        fields.program_id(request.program_id)
        clock_time = fields.instant("clock_time", request, required=True)
        fields.finish()
        assert clock_time is not None
        program_id = request.program_id
        await self._engine.run(store.advance_clock, self._engine.database, program_id, clock_time)
        program = await self._engine.run(self._engine.catalog.refresh, program_id)
        version = program.versions[-1].version
        if await self._engine.query(read_due_version, program_id) < version:
            await note_due(self._engine, program_id, version)
        posted = await settle_due(self._engine, program_id, clock_time, call.actor)
        return program_pb2.AdvanceClockResponse(
            program=await self._program(program_id), posted_entries=posted
        )

    async def _program(self, program_id: str) -> program_pb2.Program:
        program = await self._engine.run(self._engine.catalog.refresh, program_id)
        return program_message(program)


def _version_message(row: sa.Row[Any]) -> program_pb2.RulesVersion:
    return program_pb2.RulesVersion(
        program_id=row.program_id,
        version=row.version,
        effective_time=timestamp(to_instant(row.effective_time)),
        create_time=timestamp(to_instant(row.create_time)),
        actor=row.actor,
        rules=json_format.ParseDict(json.loads(row.document), rules_pb2.Rules()),
    )


def rules_document(rules: rules_pb2.Rules) -> dict[str, Any]:
    """A rules message as the plain document that the core reads. Raises RULES_INVALID for fields
    that this version does not know: a rule must not be silently without effect."""
    if _has_unknown_fields(rules):
        raise RulesInvalid([Violation("rules", "has fields that this version does not know")])
    return json_format.MessageToDict(rules, preserving_proto_field_name=True)


def _has_unknown_fields(message: Any) -> bool:
    if len(UnknownFieldSet(message)):
        return True
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            parts = value if field.is_repeated else [value]
            if any(_has_unknown_fields(part) for part in parts):
                return True
    return False
