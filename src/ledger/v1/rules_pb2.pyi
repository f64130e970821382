from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Rules(_message.Message):
    __slots__ = ("earning", "visits", "tiers", "expiry", "redemption", "returns", "members", "adjustments", "bonuses", "promotions", "rewards", "transfers")
    EARNING_FIELD_NUMBER: _ClassVar[int]
    VISITS_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_FIELD_NUMBER: _ClassVar[int]
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    RETURNS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    ADJUSTMENTS_FIELD_NUMBER: _ClassVar[int]
    BONUSES_FIELD_NUMBER: _ClassVar[int]
    PROMOTIONS_FIELD_NUMBER: _ClassVar[int]
    REWARDS_FIELD_NUMBER: _ClassVar[int]
    TRANSFERS_FIELD_NUMBER: _ClassVar[int]
    earning: Earning
    visits: Visits
    tiers: Tiers
    expiry: Expiry
    redemption: RedemptionRules
    returns: Returns
    members: Members
    adjustments: Adjustments
    bonuses: _containers.RepeatedCompositeFieldContainer[Bonus]
    promotions: _containers.RepeatedCompositeFieldContainer[Promotion]
    rewards: _containers.RepeatedCompositeFieldContainer[Reward]
    transfers: Transfers
    def __init__(self, earning: _Optional[_Union[Earning, _Mapping]] = ..., visits: _Optional[_Union[Visits, _Mapping]] = ..., tiers: _Optional[_Union[Tiers, _Mapping]] = ..., expiry: _Optional[_Union[Expiry, _Mapping]] = ..., redemption: _Optional[_Union[RedemptionRules, _Mapping]] = ..., returns: _Optional[_Union[Returns, _Mapping]] = ..., members: _Optional[_Union[Members, _Mapping]] = ..., adjustments: _Optional[_Union[Adjustments, _Mapping]] = ..., bonuses: _Optional[_Iterable[_Union[Bonus, _Mapping]]] = ..., promotions: _Optional[_Iterable[_Union[Promotion, _Mapping]]] = ..., rewards: _Optional[_Iterable[_Union[Reward, _Mapping]]] = ..., transfers: _Optional[_Union[Transfers, _Mapping]] = ...) -> None: ...

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

class Visits(_message.Message):
    __slots__ = ("minimum", "per_day")
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    PER_DAY_FIELD_NUMBER: _ClassVar[int]
    minimum: str
    per_day: int
    def __init__(self, minimum: _Optional[str] = ..., per_day: _Optional[int] = ...) -> None: ...

class Tiers(_message.Message):
    __slots__ = ("period", "levels", "keep_months", "grace_days", "downgrade")
    class Period(_message.Message):
        __slots__ = ("rolling_days", "calendar_year", "membership_year")
        class CalendarYear(_message.Message):
            __slots__ = ()
            def __init__(self) -> None: ...
        class MembershipYear(_message.Message):
            __slots__ = ()
            def __init__(self) -> None: ...
        ROLLING_DAYS_FIELD_NUMBER: _ClassVar[int]
        CALENDAR_YEAR_FIELD_NUMBER: _ClassVar[int]
        MEMBERSHIP_YEAR_FIELD_NUMBER: _ClassVar[int]
        rolling_days: int
        calendar_year: Tiers.Period.CalendarYear
        membership_year: Tiers.Period.MembershipYear
        def __init__(self, rolling_days: _Optional[int] = ..., calendar_year: _Optional[_Union[Tiers.Period.CalendarYear, _Mapping]] = ..., membership_year: _Optional[_Union[Tiers.Period.MembershipYear, _Mapping]] = ...) -> None: ...
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    KEEP_MONTHS_FIELD_NUMBER: _ClassVar[int]
    GRACE_DAYS_FIELD_NUMBER: _ClassVar[int]
    DOWNGRADE_FIELD_NUMBER: _ClassVar[int]
    period: Tiers.Period
    levels: _containers.RepeatedCompositeFieldContainer[Level]
    keep_months: int
    grace_days: int
    downgrade: str
    def __init__(self, period: _Optional[_Union[Tiers.Period, _Mapping]] = ..., levels: _Optional[_Iterable[_Union[Level, _Mapping]]] = ..., keep_months: _Optional[int] = ..., grace_days: _Optional[int] = ..., downgrade: _Optional[str] = ...) -> None: ...

class Level(_message.Message):
    __slots__ = ("id", "name", "visits", "spend", "match", "multiplier", "benefits", "entry_bonus")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VISITS_FIELD_NUMBER: _ClassVar[int]
    SPEND_FIELD_NUMBER: _ClassVar[int]
    MATCH_FIELD_NUMBER: _ClassVar[int]
    MULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    BENEFITS_FIELD_NUMBER: _ClassVar[int]
    ENTRY_BONUS_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    visits: int
    spend: str
    match: str
    multiplier: str
    benefits: _containers.RepeatedScalarFieldContainer[str]
    entry_bonus: int
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., visits: _Optional[int] = ..., spend: _Optional[str] = ..., match: _Optional[str] = ..., multiplier: _Optional[str] = ..., benefits: _Optional[_Iterable[str]] = ..., entry_bonus: _Optional[int] = ...) -> None: ...

class Expiry(_message.Message):
    __slots__ = ("after_months", "inactivity_months", "warn_days")
    AFTER_MONTHS_FIELD_NUMBER: _ClassVar[int]
    INACTIVITY_MONTHS_FIELD_NUMBER: _ClassVar[int]
    WARN_DAYS_FIELD_NUMBER: _ClassVar[int]
    after_months: int
    inactivity_months: int
    warn_days: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, after_months: _Optional[int] = ..., inactivity_months: _Optional[int] = ..., warn_days: _Optional[_Iterable[int]] = ...) -> None: ...

class RedemptionRules(_message.Message):
    __slots__ = ("value", "minimum_points", "hold_ttl_seconds", "restore_grace_days", "per_day")
    class Value(_message.Message):
        __slots__ = ("points", "amount")
        POINTS_FIELD_NUMBER: _ClassVar[int]
        AMOUNT_FIELD_NUMBER: _ClassVar[int]
        points: int
        amount: str
        def __init__(self, points: _Optional[int] = ..., amount: _Optional[str] = ...) -> None: ...
    VALUE_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_POINTS_FIELD_NUMBER: _ClassVar[int]
    HOLD_TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RESTORE_GRACE_DAYS_FIELD_NUMBER: _ClassVar[int]
    PER_DAY_FIELD_NUMBER: _ClassVar[int]
    value: RedemptionRules.Value
    minimum_points: int
    hold_ttl_seconds: int
    restore_grace_days: int
    per_day: DailyLimit
    def __init__(self, value: _Optional[_Union[RedemptionRules.Value, _Mapping]] = ..., minimum_points: _Optional[int] = ..., hold_ttl_seconds: _Optional[int] = ..., restore_grace_days: _Optional[int] = ..., per_day: _Optional[_Union[DailyLimit, _Mapping]] = ...) -> None: ...

class Transfers(_message.Message):
    __slots__ = ("per_day",)
    PER_DAY_FIELD_NUMBER: _ClassVar[int]
    per_day: DailyLimit
    def __init__(self, per_day: _Optional[_Union[DailyLimit, _Mapping]] = ...) -> None: ...

class DailyLimit(_message.Message):
    __slots__ = ("count", "points")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    count: int
    points: int
    def __init__(self, count: _Optional[int] = ..., points: _Optional[int] = ...) -> None: ...

class Returns(_message.Message):
    __slots__ = ("shortfall",)
    SHORTFALL_FIELD_NUMBER: _ClassVar[int]
    shortfall: str
    def __init__(self, shortfall: _Optional[str] = ...) -> None: ...

class Adjustments(_message.Message):
    __slots__ = ("approval_above", "reason_codes")
    APPROVAL_ABOVE_FIELD_NUMBER: _ClassVar[int]
    REASON_CODES_FIELD_NUMBER: _ClassVar[int]
    approval_above: int
    reason_codes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, approval_above: _Optional[int] = ..., reason_codes: _Optional[_Iterable[str]] = ...) -> None: ...

class Members(_message.Message):
    __slots__ = ("auto_enroll",)
    AUTO_ENROLL_FIELD_NUMBER: _ClassVar[int]
    auto_enroll: bool
    def __init__(self, auto_enroll: _Optional[bool] = ...) -> None: ...

class Bonus(_message.Message):
    __slots__ = ("id", "on", "points", "expires_days", "n", "amount", "activity", "per_member", "referee_points")
    class Limit(_message.Message):
        __slots__ = ("count", "days")
        COUNT_FIELD_NUMBER: _ClassVar[int]
        DAYS_FIELD_NUMBER: _ClassVar[int]
        count: int
        days: int
        def __init__(self, count: _Optional[int] = ..., days: _Optional[int] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    ON_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_DAYS_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    PER_MEMBER_FIELD_NUMBER: _ClassVar[int]
    REFEREE_POINTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    on: str
    points: int
    expires_days: int
    n: int
    amount: str
    activity: str
    per_member: Bonus.Limit
    referee_points: int
    def __init__(self, id: _Optional[str] = ..., on: _Optional[str] = ..., points: _Optional[int] = ..., expires_days: _Optional[int] = ..., n: _Optional[int] = ..., amount: _Optional[str] = ..., activity: _Optional[str] = ..., per_member: _Optional[_Union[Bonus.Limit, _Mapping]] = ..., referee_points: _Optional[int] = ...) -> None: ...

class Promotion(_message.Message):
    __slots__ = ("id", "multiplier", "points", "until", "weekdays", "hours", "locations", "categories", "skus", "tiers", "once_per_member", "budget")
    class Hours(_message.Message):
        __slots__ = ("until",)
        FROM_FIELD_NUMBER: _ClassVar[int]
        UNTIL_FIELD_NUMBER: _ClassVar[int]
        until: str
        def __init__(self, until: _Optional[str] = ..., **kwargs) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    MULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    WEEKDAYS_FIELD_NUMBER: _ClassVar[int]
    HOURS_FIELD_NUMBER: _ClassVar[int]
    LOCATIONS_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    SKUS_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    ONCE_PER_MEMBER_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    id: str
    multiplier: str
    points: int
    until: str
    weekdays: _containers.RepeatedScalarFieldContainer[str]
    hours: Promotion.Hours
    locations: _containers.RepeatedScalarFieldContainer[str]
    categories: _containers.RepeatedScalarFieldContainer[str]
    skus: _containers.RepeatedScalarFieldContainer[str]
    tiers: _containers.RepeatedScalarFieldContainer[str]
    once_per_member: bool
    budget: int
    def __init__(self, id: _Optional[str] = ..., multiplier: _Optional[str] = ..., points: _Optional[int] = ..., until: _Optional[str] = ..., weekdays: _Optional[_Iterable[str]] = ..., hours: _Optional[_Union[Promotion.Hours, _Mapping]] = ..., locations: _Optional[_Iterable[str]] = ..., categories: _Optional[_Iterable[str]] = ..., skus: _Optional[_Iterable[str]] = ..., tiers: _Optional[_Iterable[str]] = ..., once_per_member: _Optional[bool] = ..., budget: _Optional[int] = ..., **kwargs) -> None: ...

class Reward(_message.Message):
    __slots__ = ("id", "name", "points", "kind", "value", "percent", "minimum_tier", "stock", "per_member", "until")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_TIER_FIELD_NUMBER: _ClassVar[int]
    STOCK_FIELD_NUMBER: _ClassVar[int]
    PER_MEMBER_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    points: int
    kind: str
    value: str
    percent: str
    minimum_tier: str
    stock: int
    per_member: Bonus.Limit
    until: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., points: _Optional[int] = ..., kind: _Optional[str] = ..., value: _Optional[str] = ..., percent: _Optional[str] = ..., minimum_tier: _Optional[str] = ..., stock: _Optional[int] = ..., per_member: _Optional[_Union[Bonus.Limit, _Mapping]] = ..., until: _Optional[str] = ..., **kwargs) -> None: ...
