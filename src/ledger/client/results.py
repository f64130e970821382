"""What calls answer: frozen values with the names of the API, made from its messages.

Points are int, money is `Money`, instants are aware datetimes in UTC; None is what the ledger left
out. Enums are their plain names: `PURCHASE`, `OPEN`, `ITEM`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from google.protobuf.message import Message

from ledger.client.values import Money, as_datetime, as_money
from ledger.v1 import member_pb2, points_pb2, program_pb2, redemption_pb2, types_pb2


def _optional(message: Message, field: str, convert: Any) -> Any:
    return convert(getattr(message, field)) if message.HasField(field) else None


def _name(enum: Any, value: int, prefix: str) -> str:
    """`PURCHASE`; a value that is newer than this version is its number."""
    return str(enum.Name(value)).removeprefix(prefix) if value in enum.values() else str(value)


@dataclass(frozen=True, slots=True)
class Program:
    """A program, as far as a till needs to know it."""

    program_id: str
    display_name: str
    currency: str
    time_zone: str
    sandbox: bool
    #: the time in a sandbox
    clock_time: datetime | None

    @classmethod
    def of(cls, message: program_pb2.Program) -> Self:
        return cls(
            message.program_id,
            message.display_name,
            message.currency,
            message.time_zone,
            message.sandbox,
            _optional(message, "clock_time", as_datetime),
        )


@dataclass(frozen=True, slots=True)
class NextExpiry:
    """The points that expire first: they can be spent before `expire_time`."""

    points: int
    expire_time: datetime

    @classmethod
    def of(cls, message: types_pb2.Balance.NextExpiry) -> Self:
        return cls(message.points, as_datetime(message.expire_time))


@dataclass(frozen=True, slots=True)
class Balance:
    """What a member has at `as_of_time`. `version` is good for `min_version`."""

    available_points: int
    held_points: int
    pending_points: int
    debt_points: int
    lifetime_points: int
    tier_id: str
    version: int
    as_of_time: datetime
    next_expiry: NextExpiry | None
    #: of the available points
    value: Money | None

    @classmethod
    def of(cls, message: types_pb2.Balance) -> Self:
        return cls(
            message.available_points,
            message.held_points,
            message.pending_points,
            message.debt_points,
            message.lifetime_points,
            message.tier_id,
            message.version,
            as_datetime(message.as_of_time),
            _optional(message, "next_expiry", NextExpiry.of),
            _optional(message, "value", as_money),
        )


@dataclass(frozen=True, slots=True)
class Missing:
    """What is missing for a level of the program. `either`: visits or spend is enough."""

    tier_id: str
    name: str
    visits: int
    spend: Money | None
    either: bool
    by_time: datetime | None

    @classmethod
    def of(cls, message: types_pb2.TierStatus.Missing) -> Self:
        return cls(
            message.tier_id,
            message.name,
            message.visits_missing,
            _optional(message, "spend_missing", as_money),
            message.either,
            _optional(message, "by_time", as_datetime),
        )


@dataclass(frozen=True, slots=True)
class Tier:
    """The tier a member holds, until when, and what is missing for the next and to keep it."""

    tier_id: str
    name: str
    benefits: tuple[str, ...]
    valid_until_time: datetime | None
    visits: int
    spend: Money | None
    next: Missing | None
    keep: Missing | None

    @classmethod
    def of(cls, message: types_pb2.TierStatus) -> Self:
        return cls(
            message.tier_id,
            message.name,
            tuple(message.benefits),
            _optional(message, "valid_until_time", as_datetime),
            message.visits,
            _optional(message, "spend", as_money),
            _optional(message, "next", Missing.of),
            _optional(message, "keep", Missing.of),
        )


@dataclass(frozen=True, slots=True)
class BreakdownLine:
    """One step in how points came about."""

    rule: str
    description: str
    points: int

    @classmethod
    def of(cls, message: types_pb2.BreakdownLine) -> Self:
        return cls(message.rule, message.description, message.points)


@dataclass(frozen=True, slots=True)
class Hold:
    """Reserved points. `state` is OPEN, CAPTURED, RELEASED or LAPSED."""

    hold_id: str
    state: str
    points: int
    captured_points: int
    reward_id: str
    expire_time: datetime

    @classmethod
    def of(cls, message: types_pb2.Hold) -> Self:
        return cls(
            message.hold_id,
            _name(types_pb2.HoldState, message.state, "HOLD_STATE_"),
            message.points,
            message.captured_points,
            message.reward_id,
            as_datetime(message.expire_time),
        )


@dataclass(frozen=True, slots=True)
class Redemption:
    """Points spent. `value` is what to take off the bill; `percent_off` such as "12.5"."""

    redemption_id: str
    points: int
    reversed_points: int
    reward_id: str
    value: Money | None
    percent_off: str

    @classmethod
    def of(cls, message: types_pb2.Redemption) -> Self:
        return cls(
            message.redemption_id,
            message.points,
            message.reversed_points,
            message.reward_id,
            _optional(message, "value", as_money),
            message.percent_off,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """An immutable fact in a member's journal."""

    member_id: str
    sequence: int
    kind: str
    points: int
    request_id: str
    purchase_id: str
    hold_id: str
    redemption_id: str
    reward_id: str
    amount: Money | None
    breakdown: tuple[BreakdownLine, ...]
    rules_version: int
    actor: str
    location_id: str
    terminal_id: str
    effective_time: datetime
    create_time: datetime
    available_points: int
    tier_id: str

    @classmethod
    def of(cls, message: types_pb2.Entry) -> Self:
        return cls(
            message.member_id,
            message.sequence,
            _name(types_pb2.EntryKind, message.kind, "ENTRY_KIND_"),
            message.points,
            message.request_id,
            message.purchase_id,
            message.hold_id,
            message.redemption_id,
            message.reward_id,
            _optional(message, "amount", as_money),
            tuple(BreakdownLine.of(line) for line in message.breakdown),
            message.rules_version,
            message.actor,
            message.location_id,
            message.terminal_id,
            as_datetime(message.effective_time),
            as_datetime(message.create_time),
            message.available_points,
            message.tier_id,
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to every write: durable. `messages` are lines to print for the customer."""

    entries: tuple[Entry, ...]
    balance: Balance
    #: absent where the write says nothing of the tier
    tier: Tier | None
    hold: Hold | None
    redemption: Redemption | None
    #: whether this repeats the answer of an earlier request with the same id
    replayed: bool
    messages: tuple[str, ...]

    @classmethod
    def of(cls, message: types_pb2.Receipt) -> Self:
        return cls(
            tuple(Entry.of(entry) for entry in message.entries),
            Balance.of(message.balance),
            _optional(message, "tier", Tier.of),
            _optional(message, "hold", Hold.of),
            _optional(message, "redemption", Redemption.of),
            message.replayed,
            tuple(message.messages),
        )

    @property
    def points(self) -> int:
        """What the write did to the member's points: positive when they came in."""
        return sum(entry.points for entry in self.entries)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a purchase would earn (`points`), or a return would take back."""

    points: int
    breakdown: tuple[BreakdownLine, ...]
    balance: Balance
    messages: tuple[str, ...]

    @classmethod
    def of_purchase(cls, message: points_pb2.PreviewPurchaseResponse) -> Self:
        breakdown = tuple(BreakdownLine.of(line) for line in message.breakdown)
        return cls(message.points, breakdown, Balance.of(message.balance), tuple(message.messages))

    @classmethod
    def of_return(cls, message: points_pb2.PreviewReturnResponse) -> Self:
        return cls(message.points, (), Balance.of(message.balance), tuple(message.messages))


@dataclass(frozen=True, slots=True)
class Reward:
    """Something to have for points, and whether this member can have it now."""

    reward_id: str
    name: str
    points: int
    kind: str
    value: Money | None
    percent_off: str
    available: bool
    #: what stands in the way, in English: "67 more points are needed"
    obstacles: tuple[str, ...]

    @classmethod
    def of(cls, message: redemption_pb2.RewardOffer) -> Self:
        return cls(
            message.reward_id,
            message.name,
            message.points,
            _name(redemption_pb2.RewardKind, message.kind, "REWARD_KIND_"),
            _optional(message, "value", as_money),
            message.percent_off,
            message.available,
            tuple(obstacle.text for obstacle in message.obstacles),
        )


@dataclass(frozen=True, slots=True)
class Member:
    """A member. `status` is ACTIVE, EARN_ONLY, SUSPENDED or CLOSED."""

    member_id: str
    status: str
    enroll_time: datetime
    version: int

    @classmethod
    def of(cls, message: member_pb2.Member) -> Self:
        return cls(
            message.member_id,
            _name(types_pb2.MemberStatus, message.status, "MEMBER_STATUS_"),
            as_datetime(message.enroll_time),
            message.version,
        )
