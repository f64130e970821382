"""MemberService: enrolment, the membership itself, and tokens for members."""

from __future__ import annotations

from ledger.core.instants import SECOND
from ledger.engine import Engine
from ledger.rpc.access import Access
from ledger.rpc.dispatch import Call
from ledger.rpc.fields import Fields
from ledger.rpc.tokens import DEFAULT_TTL_SECONDS, MAX_TTL_SECONDS
from ledger.rpc.wellknown import timestamp
from ledger.rpc.writes import write
from ledger.v1 import member_pb2, types_pb2


class MemberService:
    """See protos/ledger/v1/member.proto for what each method answers and refuses."""

    def __init__(self, engine: Engine, access: Access) -> None:
        self._engine = engine
        self._access = access

    async def EnrollMember(
        self, request: member_pb2.EnrollMemberRequest, call: Call
    ) -> types_pb2.Receipt:
        return await write(self._engine, "enroll_member", request, call)

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

    async def SetMemberStatus(
        self, request: member_pb2.SetMemberStatusRequest, call: Call
    ) -> types_pb2.Receipt:
        return await write(self._engine, "set_member_status", request, call)

    async def CreateMemberToken(
        self, request: member_pb2.CreateMemberTokenRequest, call: Call
    ) -> member_pb2.CreateMemberTokenResponse:
        fields = Fields()
        fields.program_id(request.program_id)
        fields.text("member_id", request.member_id, required=True)
        ttl = fields.duration("ttl", request, SECOND, MAX_TTL_SECONDS * SECOND)
        fields.finish()
        await self._engine.read(request.program_id, request.member_id)
        token, ends = self._access.mint(
            call.principal,
            request.program_id,
            request.member_id,
            DEFAULT_TTL_SECONDS if ttl is None else ttl // SECOND,
            request.holds,
        )
        return member_pb2.CreateMemberTokenResponse(
            token=token, expire_time=timestamp(ends * SECOND)
        )
