"""What a reward costs a member, whether it can be had now, and if not, why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from ledger.core.earning import worth
from ledger.core.errors import (
    BelowMinimum,
    InsufficientPoints,
    RewardLimitReached,
    RewardNotEligible,
    RewardNotFound,
    RewardOutOfStock,
)
from ledger.core.explain import tier_name
from ledger.core.instants import format_day, local_day
from ledger.core.limits import (
    count_redemption,
    fits_today,
    has_room,
    limit_rule,
    limit_text,
    mark_of,
)
from ledger.core.model import Account, DayUse, Hold, MarkChange
from ledger.core.posting import Posting
from ledger.core.program import Program
from ledger.core.rules import Limit, Reward, Rules

_STATUS_TEXTS: Final = {
    "EARN_ONLY": "the membership is for earning only",
    "SUSPENDED": "the membership is suspended",
    "CLOSED": "the membership is closed",
}


class Worth(NamedTuple):
    """What a redemption is worth: money, a part of the price, or nothing that is said."""

    #: minor units
    value: int | None
    percent_off: str = ""


class Price(NamedTuple):
    """What a redemption takes."""

    points: int
    #: of the reward's stock
    units: int = 0
    #: where the reward has a limit
    mark: MarkChange | None = None
    #: where redemptions have a limit
    counted: DayUse | None = None

    @property
    def marks(self) -> tuple[MarkChange, ...]:
        return () if self.mark is None else (self.mark,)

    @property
    def day(self) -> int:
        """The local day that it counts towards the limits of; 0: there is none."""
        if self.counted is not None:
            return self.counted.day
        return 0 if self.mark is None else self.mark.day


class Obstacle(NamedTuple):
    """Why a reward can not be had now."""

    #: STATUS, POINTS, TIER, WINDOW, STOCK, LIMIT or DAILY_LIMIT
    reason: str
    #: how many more are needed, with POINTS
    missing_points: int
    #: for people
    text: str


class Offer(NamedTuple):
    """A reward as one member sees it; without obstacles it can be had now."""

    reward: Reward
    #: None: as many as are wanted
    stock_left: int | None
    obstacles: tuple[Obstacle, ...]


def offers(
    account: Account, rules: Rules, program: Program, now: int, taken: Mapping[str, int]
) -> list[Offer]:
    """Every reward of the rules, in their order, for an account settled up to `now` (µs)."""
    day = local_day(now, program.zone)
    return [
        Offer(reward, _left(reward, taken), tuple(_obstacles(reward, account, rules, day, taken)))
        for reward in rules.rewards
    ]


def wanted_reward(posting: Posting, reward_id: str) -> Reward | None:
    """The reward of this id in the rules in force; None for an empty one.

    Raises REWARD_NOT_FOUND.
    """
    if not reward_id:
        return None
    reward = posting.rules_now.rules.reward(reward_id)
    if reward is None:
        raise RewardNotFound(reward_id=reward_id, program_id=posting.program.program_id)
    return reward


def price(posting: Posting, reward: Reward | None, points: int, taken: Mapping[str, int]) -> Price:
    """What a reward, or so many points, take of the member now.

    Raises INSUFFICIENT_POINTS, REWARD_NOT_ELIGIBLE, REWARD_OUT_OF_STOCK, REWARD_LIMIT_REACHED,
    BELOW_MINIMUM, REDEMPTION_LIMIT_REACHED.
    """
    account, rules = posting.account, posting.rules_now.rules
    required = points if reward is None else reward.points
    if account.available < required:
        raise InsufficientPoints(available=account.available, required=required)
    if reward is None:
        if required < rules.minimum_points:
            raise BelowMinimum(points=required, minimum=rules.minimum_points)
        return Price(required, counted=count_redemption(posting, required))
    # What time has just given back to the shelf can be had at once.
    units = taken.get(reward.id, 0) + posting.taken.get(reward.id, 0)
    for obstacle in _obstacles(reward, account, rules, posting.today, {reward.id: units}):
        if obstacle.reason == "STOCK":
            raise RewardOutOfStock(reward_id=reward.id)
        if obstacle.reason == "DAILY_LIMIT":
            continue  # it says more than an obstacle does
        if obstacle.reason == "LIMIT":
            raise RewardLimitReached(reward_id=reward.id, limit=obstacle.text)
        raise RewardNotEligible(reward_id=reward.id, why=obstacle.text)
    mark = None
    if reward.per_member is not None:
        mark = mark_of(posting, limit_rule(reward.id), posting.today, reward.per_member)
    counted = count_redemption(posting, required)
    return Price(required, int(reward.stock is not None), mark, counted)


def worth_of(reward: Reward | None, points: int, rules: Rules) -> Worth:
    """What a reward, or so many points, are worth under the rules."""
    if reward is None:
        return Worth(worth(points, rules))
    return Worth(reward.value, reward.percent_off)


def worth_of_hold(program: Program, hold: Hold, points: int) -> Worth:
    """What a hold, or so many points of it, are worth under the rules that it was made under."""
    rules = program.versions[hold.version - 1].rules
    return worth_of(rules.reward(hold.reward_id) if hold.reward_id else None, points, rules)


def _left(reward: Reward, taken: Mapping[str, int]) -> int | None:
    return None if reward.stock is None else max(0, reward.stock - taken.get(reward.id, 0))


def _obstacles(
    reward: Reward, account: Account, rules: Rules, day: int, taken: Mapping[str, int]
) -> Iterator[Obstacle]:
    """Everything that keeps a member from a reward on a local day."""
    if account.status != "ACTIVE":
        yield Obstacle("STATUS", 0, _STATUS_TEXTS[account.status])
    missing = reward.points - account.available
    if missing > 0:
        yield Obstacle("POINTS", missing, f"{missing} more points are needed")
    tiers = rules.tiers
    beneath = tiers is not None and tiers.rank(account.tier_id) < tiers.rank(reward.minimum_tier)
    if reward.minimum_tier and beneath:
        yield Obstacle("TIER", 0, f"it is for {tier_name(reward.minimum_tier, rules)} and up")
    if reward.from_day is not None and day < reward.from_day:
        yield Obstacle("WINDOW", 0, f"it can be had from {format_day(reward.from_day)} on")
    if reward.until_day is not None and day > reward.until_day:
        yield Obstacle("WINDOW", 0, f"it could be had until {format_day(reward.until_day)}")
    if _left(reward, taken) == 0:
        yield Obstacle("STOCK", 0, "it is out of stock")
    if not has_room(account, limit_rule(reward.id), reward.per_member, day):
        assert reward.per_member is not None
        yield Obstacle("LIMIT", 0, _limit(reward.per_member))
    limit = rules.redemption_limit
    if limit is not None and not fits_today(limit, account.redeemed, day, reward.points):
        yield Obstacle("DAILY_LIMIT", 0, f"{limit_text(limit)} a day are allowed")


def _limit(limit: Limit) -> str:
    """`once`, `2 times`, `once in 365 days`."""
    times = "once" if limit.count == 1 else f"{limit.count} times"
    return times if limit.days is None else f"{times} in {limit.days} days"
