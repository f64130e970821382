from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Rules(_message.Message):
    __slots__ = ("earning", "expiry", "redemption", "members", "bonuses")
    EARNING_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_FIELD_NUMBER: _ClassVar[int]
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    BONUSES_FIELD_NUMBER: _ClassVar[int]
    earning: Earning
    expiry: Expiry
    redemption: Redemption
    members: Members
    bonuses: _containers.RepeatedCompositeFieldContainer[Bonus]
    def __init__(self, earning: _Optional[_Union[Earning, _Mapping]] = ..., expiry: _Optional[_Union[Expiry, _Mapping]] = ..., redemption: _Optional[_Union[Redemption, _Mapping]] = ..., members: _Optional[_Union[Members, _Mapping]] = ..., bonuses: _Optional[_Iterable[_Union[Bonus, _Mapping]]] = ...) -> None: ...

class Earning(_message.Message):
    __slots__ = ("rate", "rounding", "exclude_categories", "caps", "pending_days", "backdate_days")
    class Rate(_message.Message):
        __slots__ = ("points", "per")
        POINTS_FIELD_NUMBER: _ClassVar[int]
        PER_FIELD_NUMBER: _ClassVar[int]
        points: int
        per: str
        def __init__(self, points: _Optional[int] = ..., per: _Optional[str] = ...) -> None: ...
    class Caps(_message.Message):
        __slots__ = ("per_purchase", "per_day")
        PER_PURCHASE_FIELD_NUMBER: _ClassVar[int]
        PER_DAY_FIELD_NUMBER: _ClassVar[int]
        per_purchase: int
        per_day: int
        def __init__(self, per_purchase: _Optional[int] = ..., per_day: _Optional[int] = ...) -> None: ...
    RATE_FIELD_NUMBER: _ClassVar[int]
    ROUNDING_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    CAPS_FIELD_NUMBER: _ClassVar[int]
    PENDING_DAYS_FIELD_NUMBER: _ClassVar[int]
    BACKDATE_DAYS_FIELD_NUMBER: _ClassVar[int]
    rate: Earning.Rate
    rounding: str
    exclude_categories: _containers.RepeatedScalarFieldContainer[str]
    caps: Earning.Caps
    pending_days: int
    backdate_days: int
    def __init__(self, rate: _Optional[_Union[Earning.Rate, _Mapping]] = ..., rounding: _Optional[str] = ..., exclude_categories: _Optional[_Iterable[str]] = ..., caps: _Optional[_Union[Earning.Caps, _Mapping]] = ..., pending_days: _Optional[int] = ..., backdate_days: _Optional[int] = ...) -> None: ...

class Expiry(_message.Message):
    __slots__ = ("after_months",)
    AFTER_MONTHS_FIELD_NUMBER: _ClassVar[int]
    after_months: int
    def __init__(self, after_months: _Optional[int] = ...) -> None: ...

class Redemption(_message.Message):
    __slots__ = ("value",)
    class Value(_message.Message):
        __slots__ = ("points", "amount")
        POINTS_FIELD_NUMBER: _ClassVar[int]
        AMOUNT_FIELD_NUMBER: _ClassVar[int]
        points: int
        amount: str
        def __init__(self, points: _Optional[int] = ..., amount: _Optional[str] = ...) -> None: ...
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: Redemption.Value
    def __init__(self, value: _Optional[_Union[Redemption.Value, _Mapping]] = ...) -> None: ...

class Members(_message.Message):
    __slots__ = ("auto_enroll",)
    AUTO_ENROLL_FIELD_NUMBER: _ClassVar[int]
    auto_enroll: bool
    def __init__(self, auto_enroll: _Optional[bool] = ...) -> None: ...

class Bonus(_message.Message):
    __slots__ = ("id", "on", "points", "expires_days")
    ID_FIELD_NUMBER: _ClassVar[int]
    ON_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_DAYS_FIELD_NUMBER: _ClassVar[int]
    id: str
    on: str
    points: int
    expires_days: int
    def __init__(self, id: _Optional[str] = ..., on: _Optional[str] = ..., points: _Optional[int] = ..., expires_days: _Optional[int] = ...) -> None: ...
