"""RedemptionService: what points are spent on."""

from __future__ import annotations

from ledger.core.program import Program
from ledger.core.rewards import Offer, offers
from ledger.engine import Engine, settled
from ledger.rpc.dispatch import Call
from ledger.rpc.fields import Fields
from ledger.rpc.wellknown import money
from ledger.rpc.writes import write
from ledger.store.queries import read_stock
from ledger.v1 import redemption_pb2, types_pb2

_KIND_NUMBERS = {
    name.removeprefix("REWARD_KIND_"): redemption_pb2.RewardKind.Value(name)
    for name in redemption_pb2.RewardKind.keys()  # noqa: SIM118 (not a mapping)
}


class RedemptionService:
    """See protos/ledger/v1/redemption.proto for what each method answers and refuses."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ListRewards(
        self, request: redemption_pb2.ListRewardsRequest, call: Call
    ) -> redemption_pb2.ListRewardsResponse:
        fields = Fields()
        fields.program_id(request.program_id)
        fields.text("member_id", request.member_id, required=True)
        fields.finish()
        program, read = await self._engine.read(request.program_id, request.member_id)
        now = self._engine.now(program, read.account)
        page = settled(read.account, program, request.member_id, now)
        rules = program.in_force(now).rules
        taken = {}
        if any(reward.stock is not None for reward in rules.rewards):
            taken = await self._engine.query(read_stock, request.program_id)
        # What time has given back to the shelf, whether or not it has been written yet.
        taken = {reward: units + page.taken.get(reward, 0) for reward, units in taken.items()}
        response = redemption_pb2.ListRewardsResponse(available_points=page.account.available)
        for offer in offers(page.account, rules, program, now, taken):
            _fill_offer(response.rewards.add(), offer, program)
        return response

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


def _fill_offer(message: redemption_pb2.RewardOffer, offer: Offer, program: Program) -> None:
    """A reward as one member sees it."""
    reward = offer.reward
    message.reward_id = reward.id
    message.name = reward.name
    message.points = reward.points
    message.kind = _KIND_NUMBERS[reward.kind]  # type: ignore[assignment]
    if reward.value is not None:
        message.value.CopyFrom(money(reward.value, program.currency))
    message.percent_off = reward.percent_off
    message.minimum_tier = reward.minimum_tier
    if offer.stock_left is not None:
        message.stock_left = offer.stock_left
    message.available = not offer.obstacles
    for obstacle in offer.obstacles:
        message.obstacles.add(
            reason=f"OBSTACLE_REASON_{obstacle.reason}",
            points_missing=obstacle.missing_points,
            text=obstacle.text,
        )
