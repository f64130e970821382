"""MemberService: enrolment and the membership itself."""

from __future__ import annotations

from ledger.engine import Engine
from ledger.rpc import convert
from ledger.rpc.dispatch import Call
from ledger.rpc.fields import Fields
from ledger.rpc.lookup import program_covering, program_or_refuse
from ledger.rpc.wellknown import timestamp
from ledger.v1 import member_pb2, types_pb2


class MemberService:
    """See protos/ledger/v1/member.proto for what each method answers and refuses."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def EnrollMember(
        self, request: member_pb2.EnrollMemberRequest, call: Call
    ) -> types_pb2.Receipt:
        program, command = await program_or_refuse(
            self._engine, request.program_id, convert.enroll_member, request
        )
        receipt = await self._engine.submit(command, call.actor, call.deadline)
        program = await program_covering(self._engine, program, receipt.entries)
        return convert.receipt_message(receipt, program)

    async def GetMember(
        self, request: member_pb2.GetMemberRequest, call: Call
    ) -> member_pb2.Member:
        fields = Fields()
        fields.program_id(request.program_id)
        fields.text("member_id", request.member_id, required=True)
        fields.finish()
        _, read = await self._engine.read(request.program_id, request.member_id)
        return member_pb2.Member(
            program_id=request.program_id,
            member_id=request.member_id,
            status=f"MEMBER_STATUS_{read.account.status}",
            enroll_time=timestamp(read.account.enroll_time),
            version=read.account.version,
        )
