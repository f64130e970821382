import datetime

from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.type import money_pb2 as _money_pb2
from ledger.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RewardKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REWARD_KIND_UNSPECIFIED: _ClassVar[RewardKind]
    REWARD_KIND_AMOUNT_OFF: _ClassVar[RewardKind]
    REWARD_KIND_PERCENT_OFF: _ClassVar[RewardKind]
    REWARD_KIND_ITEM: _ClassVar[RewardKind]
    REWARD_KIND_PERK: _ClassVar[RewardKind]

class ObstacleReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OBSTACLE_REASON_UNSPECIFIED: _ClassVar[ObstacleReason]
    OBSTACLE_REASON_POINTS: _ClassVar[ObstacleReason]
    OBSTACLE_REASON_TIER: _ClassVar[ObstacleReason]
    OBSTACLE_REASON_STOCK: _ClassVar[ObstacleReason]
    OBSTACLE_REASON_LIMIT: _ClassVar[ObstacleReason]
    OBSTACLE_REASON_WINDOW: _ClassVar[ObstacleReason]
    OBSTACLE_REASON_STATUS: _ClassVar[ObstacleReason]
    OBSTACLE_REASON_DAILY_LIMIT: _ClassVar[ObstacleReason]
REWARD_KIND_UNSPECIFIED: RewardKind
REWARD_KIND_AMOUNT_OFF: RewardKind
REWARD_KIND_PERCENT_OFF: RewardKind
REWARD_KIND_ITEM: RewardKind
REWARD_KIND_PERK: RewardKind
OBSTACLE_REASON_UNSPECIFIED: ObstacleReason
OBSTACLE_REASON_POINTS: ObstacleReason
OBSTACLE_REASON_TIER: ObstacleReason
OBSTACLE_REASON_STOCK: ObstacleReason
OBSTACLE_REASON_LIMIT: ObstacleReason
OBSTACLE_REASON_WINDOW: ObstacleReason
OBSTACLE_REASON_STATUS: ObstacleReason
OBSTACLE_REASON_DAILY_LIMIT: ObstacleReason

class ListRewardsRequest(_message.Message):
    __slots__ = ("program_id", "member_id")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    member_id: str
    def __init__(self, program_id: _Optional[str] = ..., member_id: _Optional[str] = ...) -> None: ...

class Obstacle(_message.Message):
    __slots__ = ("reason", "points_missing", "text")
    REASON_FIELD_NUMBER: _ClassVar[int]
    POINTS_MISSING_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    reason: ObstacleReason
    points_missing: int
    text: str
    def __init__(self, reason: _Optional[_Union[ObstacleReason, str]] = ..., points_missing: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class RewardOffer(_message.Message):
    __slots__ = ("reward_id", "name", "points", "kind", "value", "percent_off", "minimum_tier", "stock_left", "available", "obstacles")
    REWARD_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PERCENT_OFF_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_TIER_FIELD_NUMBER: _ClassVar[int]
    STOCK_LEFT_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    OBSTACLES_FIELD_NUMBER: _ClassVar[int]
    reward_id: str
    name: str
    points: int
    kind: RewardKind
    value: _money_pb2.Money
    percent_off: str
    minimum_tier: str
    stock_left: int
    available: bool
    obstacles: _containers.RepeatedCompositeFieldContainer[Obstacle]
    def __init__(self, reward_id: _Optional[str] = ..., name: _Optional[str] = ..., points: _Optional[int] = ..., kind: _Optional[_Union[RewardKind, str]] = ..., value: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., percent_off: _Optional[str] = ..., minimum_tier: _Optional[str] = ..., stock_left: _Optional[int] = ..., available: _Optional[bool] = ..., obstacles: _Optional[_Iterable[_Union[Obstacle, _Mapping]]] = ...) -> None: ...

class ListRewardsResponse(_message.Message):
    __slots__ = ("available_points", "rewards")
    AVAILABLE_POINTS_FIELD_NUMBER: _ClassVar[int]
    REWARDS_FIELD_NUMBER: _ClassVar[int]
    available_points: int
    rewards: _containers.RepeatedCompositeFieldContainer[RewardOffer]
    def __init__(self, available_points: _Optional[int] = ..., rewards: _Optional[_Iterable[_Union[RewardOffer, _Mapping]]] = ...) -> None: ...

class HoldPointsRequest(_message.Message):
    __slots__ = ("request_id", "program_id", "member_id", "points", "reward_id", "ttl", "location_id", "terminal_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    REWARD_ID_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    LOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    program_id: str
    member_id: str
    points: int
    reward_id: str
    ttl: _duration_pb2.Duration
    location_id: str
    terminal_id: str
    def __init__(self, request_id: _Optional[str] = ..., program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., points: _Optional[int] = ..., reward_id: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., location_id: _Optional[str] = ..., terminal_id: _Optional[str] = ...) -> None: ...

class CaptureHoldRequest(_message.Message):
    __slots__ = ("request_id", "program_id", "member_id", "hold_id", "points", "location_id", "terminal_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    HOLD_ID_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    LOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    program_id: str
    member_id: str
    hold_id: str
    points: int
    location_id: str
    terminal_id: str
    def __init__(self, request_id: _Optional[str] = ..., program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., hold_id: _Optional[str] = ..., points: _Optional[int] = ..., location_id: _Optional[str] = ..., terminal_id: _Optional[str] = ...) -> None: ...

class ReleaseHoldRequest(_message.Message):
    __slots__ = ("request_id", "program_id", "member_id", "hold_id", "location_id", "terminal_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    HOLD_ID_FIELD_NUMBER: _ClassVar[int]
    LOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    program_id: str
    member_id: str
    hold_id: str
    location_id: str
    terminal_id: str
    def __init__(self, request_id: _Optional[str] = ..., program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., hold_id: _Optional[str] = ..., location_id: _Optional[str] = ..., terminal_id: _Optional[str] = ...) -> None: ...

class ExtendHoldRequest(_message.Message):
    __slots__ = ("request_id", "program_id", "member_id", "hold_id", "ttl", "location_id", "terminal_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    HOLD_ID_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    LOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    program_id: str
    member_id: str
    hold_id: str
    ttl: _duration_pb2.Duration
    location_id: str
    terminal_id: str
    def __init__(self, request_id: _Optional[str] = ..., program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., hold_id: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., location_id: _Optional[str] = ..., terminal_id: _Optional[str] = ...) -> None: ...

class RedeemPointsRequest(_message.Message):
    __slots__ = ("request_id", "program_id", "member_id", "points", "reward_id", "effective_time", "location_id", "terminal_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    REWARD_ID_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    LOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    program_id: str
    member_id: str
    points: int
    reward_id: str
    effective_time: _timestamp_pb2.Timestamp
    location_id: str
    terminal_id: str
    def __init__(self, request_id: _Optional[str] = ..., program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., points: _Optional[int] = ..., reward_id: _Optional[str] = ..., effective_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., location_id: _Optional[str] = ..., terminal_id: _Optional[str] = ...) -> None: ...

class ReverseRedemptionRequest(_message.Message):
    __slots__ = ("request_id", "program_id", "member_id", "redemption_id", "points", "location_id", "terminal_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    REDEMPTION_ID_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    LOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    program_id: str
    member_id: str
    redemption_id: str
    points: int
    location_id: str
    terminal_id: str
    def __init__(self, request_id: _Optional[str] = ..., program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., redemption_id: _Optional[str] = ..., points: _Optional[int] = ..., location_id: _Optional[str] = ..., terminal_id: _Optional[str] = ...) -> None: ...
