"""RedemptionService: what points are spent on."""

from __future__ import annotations

from ledger.engine import Engine
from ledger.rpc.dispatch import Call
from ledger.rpc.writes import write
from ledger.v1 import redemption_pb2, types_pb2


class RedemptionService:
    """See protos/ledger/v1/redemption.proto for what each method answers and refuses."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ListRewards(
        self, request: redemption_pb2.ListRewardsRequest, call: Call
    ) -> redemption_pb2.ListRewardsResponse:
        raise NotImplementedError

    async def HoldPoints(
        self, request: redemption_pb2.HoldPointsRequest, call: Call
    ) -> types_pb2.Receipt:
        return await write(self._engine, "hold_points", request, call)

    async def CaptureHold(
        self, request: redemption_pb2.CaptureHoldRequest, call: Call
    ) -> types_pb2.Receipt:
        return await write(self._engine, "capture_hold", request, call)

    async def ReleaseHold(
        self, request: redemption_pb2.ReleaseHoldRequest, call: Call
    ) -> types_pb2.Receipt:
        return await write(self._engine, "release_hold", request, call)

    async def ExtendHold(
        self, request: redemption_pb2.ExtendHoldRequest, call: Call
    ) -> types_pb2.Receipt:
        return await write(self._engine, "extend_hold", request, call)

    async def RedeemPoints(
        self, request: redemption_pb2.RedeemPointsRequest, call: Call
    ) -> types_pb2.Receipt:
        return await write(self._engine, "redeem_points", request, call)

    async def ReverseRedemption(
        self, request: redemption_pb2.ReverseRedemptionRequest, call: Call
    ) -> types_pb2.Receipt:
        return await write(self._engine, "reverse_redemption", request, call)
