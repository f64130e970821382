"""AuditService: prove that what is shown is what was recorded."""

from __future__ import annotations

from ledger.core.verify import verify_member
from ledger.engine import Engine
from ledger.rpc.dispatch import Call
from ledger.rpc.fields import Fields
from ledger.rpc.wellknown import timestamp
from ledger.store.queries import read_member, read_totals
from ledger.v1 import audit_pb2


class AuditService:
    """See protos/ledger/v1/audit.proto for what each method answers and refuses."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def VerifyMember(
        self, request: audit_pb2.VerifyMemberRequest, call: Call
    ) -> audit_pb2.VerifyMemberResponse:
        fields = Fields()
        fields.program_id(request.program_id)
        fields.text("member_id", request.member_id, required=True)
        fields.finish()
        await self._engine.read(request.program_id, request.member_id)
        stored, journal = await self._engine.run(
            read_member, self._engine.database, (request.program_id, request.member_id)
        )
        # Read after the journal, so that it knows every rules version that an entry names.
        program = await self._engine.run(self._engine.catalog.refresh, request.program_id)
        verified = verify_member(journal, stored, program)
        return audit_pb2.VerifyMemberResponse(
            entries=verified.entries,
            head_hash=verified.head_hash,
            findings=[audit_pb2.Finding(**found._asdict()) for found in verified.findings],
        )

    async def GetTrialBalance(
        self, request: audit_pb2.GetTrialBalanceRequest, call: Call
    ) -> audit_pb2.GetTrialBalanceResponse:
        fields = Fields()
        fields.program_id(request.program_id)
        fields.finish()
        await self._engine.program(request.program_id)
        totals = await self._engine.query(read_totals, request.program_id)
        return audit_pb2.GetTrialBalanceResponse(
            accounts=[
                audit_pb2.AccountTotal(account=account, points=points)
                for account, points in totals.points.items()
            ],
            total_points=sum(totals.points.values()),
            entries=totals.entries,
            as_of_time=timestamp(totals.as_of_time),
        )
