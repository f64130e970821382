import datetime

from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.type import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EntryKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENTRY_KIND_UNSPECIFIED: _ClassVar[EntryKind]
    ENTRY_KIND_ENROLLED: _ClassVar[EntryKind]
    ENTRY_KIND_PURCHASE: _ClassVar[EntryKind]
    ENTRY_KIND_ACTIVITY: _ClassVar[EntryKind]
    ENTRY_KIND_BONUS: _ClassVar[EntryKind]
    ENTRY_KIND_ADJUSTMENT: _ClassVar[EntryKind]
    ENTRY_KIND_RETURN: _ClassVar[EntryKind]
    ENTRY_KIND_HOLD: _ClassVar[EntryKind]
    ENTRY_KIND_CAPTURE: _ClassVar[EntryKind]
    ENTRY_KIND_RELEASE: _ClassVar[EntryKind]
    ENTRY_KIND_REDEMPTION: _ClassVar[EntryKind]
    ENTRY_KIND_REDEMPTION_REVERSAL: _ClassVar[EntryKind]
    ENTRY_KIND_EXPIRY: _ClassVar[EntryKind]
    ENTRY_KIND_ACTIVATION: _ClassVar[EntryKind]
    ENTRY_KIND_TRANSFER_OUT: _ClassVar[EntryKind]
    ENTRY_KIND_TRANSFER_IN: _ClassVar[EntryKind]
    ENTRY_KIND_TIER_CHANGE: _ClassVar[EntryKind]
    ENTRY_KIND_STATUS_CHANGE: _ClassVar[EntryKind]
    ENTRY_KIND_DEBT_PAYMENT: _ClassVar[EntryKind]

class MemberStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MEMBER_STATUS_UNSPECIFIED: _ClassVar[MemberStatus]
    MEMBER_STATUS_ACTIVE: _ClassVar[MemberStatus]
    MEMBER_STATUS_EARN_ONLY: _ClassVar[MemberStatus]
    MEMBER_STATUS_SUSPENDED: _ClassVar[MemberStatus]
    MEMBER_STATUS_CLOSED: _ClassVar[MemberStatus]

class HoldState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HOLD_STATE_UNSPECIFIED: _ClassVar[HoldState]
    HOLD_STATE_OPEN: _ClassVar[HoldState]
    HOLD_STATE_CAPTURED: _ClassVar[HoldState]
    HOLD_STATE_RELEASED: _ClassVar[HoldState]
    HOLD_STATE_LAPSED: _ClassVar[HoldState]

class TierChangeReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIER_CHANGE_REASON_UNSPECIFIED: _ClassVar[TierChangeReason]
    TIER_CHANGE_REASON_PROMOTED: _ClassVar[TierChangeReason]
    TIER_CHANGE_REASON_RENEWED: _ClassVar[TierChangeReason]
    TIER_CHANGE_REASON_LOWERED: _ClassVar[TierChangeReason]
    TIER_CHANGE_REASON_OVERRIDDEN: _ClassVar[TierChangeReason]
    TIER_CHANGE_REASON_OVERRIDE_ENDED: _ClassVar[TierChangeReason]
ENTRY_KIND_UNSPECIFIED: EntryKind
ENTRY_KIND_ENROLLED: EntryKind
ENTRY_KIND_PURCHASE: EntryKind
ENTRY_KIND_ACTIVITY: EntryKind
ENTRY_KIND_BONUS: EntryKind
ENTRY_KIND_ADJUSTMENT: EntryKind
ENTRY_KIND_RETURN: EntryKind
ENTRY_KIND_HOLD: EntryKind
ENTRY_KIND_CAPTURE: EntryKind
ENTRY_KIND_RELEASE: EntryKind
ENTRY_KIND_REDEMPTION: EntryKind
ENTRY_KIND_REDEMPTION_REVERSAL: EntryKind
ENTRY_KIND_EXPIRY: EntryKind
ENTRY_KIND_ACTIVATION: EntryKind
ENTRY_KIND_TRANSFER_OUT: EntryKind
ENTRY_KIND_TRANSFER_IN: EntryKind
ENTRY_KIND_TIER_CHANGE: EntryKind
ENTRY_KIND_STATUS_CHANGE: EntryKind
ENTRY_KIND_DEBT_PAYMENT: EntryKind
MEMBER_STATUS_UNSPECIFIED: MemberStatus
MEMBER_STATUS_ACTIVE: MemberStatus
MEMBER_STATUS_EARN_ONLY: MemberStatus
MEMBER_STATUS_SUSPENDED: MemberStatus
MEMBER_STATUS_CLOSED: MemberStatus
HOLD_STATE_UNSPECIFIED: HoldState
HOLD_STATE_OPEN: HoldState
HOLD_STATE_CAPTURED: HoldState
HOLD_STATE_RELEASED: HoldState
HOLD_STATE_LAPSED: HoldState
TIER_CHANGE_REASON_UNSPECIFIED: TierChangeReason
TIER_CHANGE_REASON_PROMOTED: TierChangeReason
TIER_CHANGE_REASON_RENEWED: TierChangeReason
TIER_CHANGE_REASON_LOWERED: TierChangeReason
TIER_CHANGE_REASON_OVERRIDDEN: TierChangeReason
TIER_CHANGE_REASON_OVERRIDE_ENDED: TierChangeReason

class Entry(_message.Message):
    __slots__ = ("program_id", "member_id", "sequence", "kind", "points", "debit_account", "credit_account", "request_id", "cause_sequence", "purchase_id", "hold_id", "reward_id", "breakdown", "lots", "rules_version", "actor", "location_id", "terminal_id", "effective_time", "create_time", "available_points", "held_points", "tier_id", "previous_hash", "hash", "canonical_form", "amount", "eligible_amount", "lines", "tier_change", "activity", "related_member_id", "subject_sequence", "hold", "redemption", "redemption_id", "forgiven_points", "reason_code", "note", "approver", "status", "inactivity", "returned")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    DEBIT_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CREDIT_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PURCHASE_ID_FIELD_NUMBER: _ClassVar[int]
    HOLD_ID_FIELD_NUMBER: _ClassVar[int]
    REWARD_ID_FIELD_NUMBER: _ClassVar[int]
    BREAKDOWN_FIELD_NUMBER: _ClassVar[int]
    LOTS_FIELD_NUMBER: _ClassVar[int]
    RULES_VERSION_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    LOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_ID_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_POINTS_FIELD_NUMBER: _ClassVar[int]
    HELD_POINTS_FIELD_NUMBER: _ClassVar[int]
    TIER_ID_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_HASH_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    CANONICAL_FORM_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    ELIGIBLE_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    TIER_CHANGE_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    RELATED_MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    REDEMPTION_ID_FIELD_NUMBER: _ClassVar[int]
    FORGIVEN_POINTS_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    APPROVER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    INACTIVITY_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    member_id: str
    sequence: int
    kind: EntryKind
    points: int
    debit_account: str
    credit_account: str
    request_id: str
    cause_sequence: int
    purchase_id: str
    hold_id: str
    reward_id: str
    breakdown: _containers.RepeatedCompositeFieldContainer[BreakdownLine]
    lots: _containers.RepeatedCompositeFieldContainer[LotChange]
    rules_version: int
    actor: str
    location_id: str
    terminal_id: str
    effective_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    available_points: int
    held_points: int
    tier_id: str
    previous_hash: bytes
    hash: bytes
    canonical_form: bytes
    amount: _money_pb2.Money
    eligible_amount: _money_pb2.Money
    lines: _containers.RepeatedCompositeFieldContainer[PurchaseLine]
    tier_change: TierChange
    activity: str
    related_member_id: str
    subject_sequence: int
    hold: Hold
    redemption: Redemption
    redemption_id: str
    forgiven_points: int
    reason_code: str
    note: str
    approver: str
    status: MemberStatus
    inactivity: bool
    returned: Returned
    def __init__(self, program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., sequence: _Optional[int] = ..., kind: _Optional[_Union[EntryKind, str]] = ..., points: _Optional[int] = ..., debit_account: _Optional[str] = ..., credit_account: _Optional[str] = ..., request_id: _Optional[str] = ..., cause_sequence: _Optional[int] = ..., purchase_id: _Optional[str] = ..., hold_id: _Optional[str] = ..., reward_id: _Optional[str] = ..., breakdown: _Optional[_Iterable[_Union[BreakdownLine, _Mapping]]] = ..., lots: _Optional[_Iterable[_Union[LotChange, _Mapping]]] = ..., rules_version: _Optional[int] = ..., actor: _Optional[str] = ..., location_id: _Optional[str] = ..., terminal_id: _Optional[str] = ..., effective_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., available_points: _Optional[int] = ..., held_points: _Optional[int] = ..., tier_id: _Optional[str] = ..., previous_hash: _Optional[bytes] = ..., hash: _Optional[bytes] = ..., canonical_form: _Optional[bytes] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., eligible_amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., lines: _Optional[_Iterable[_Union[PurchaseLine, _Mapping]]] = ..., tier_change: _Optional[_Union[TierChange, _Mapping]] = ..., activity: _Optional[str] = ..., related_member_id: _Optional[str] = ..., subject_sequence: _Optional[int] = ..., hold: _Optional[_Union[Hold, _Mapping]] = ..., redemption: _Optional[_Union[Redemption, _Mapping]] = ..., redemption_id: _Optional[str] = ..., forgiven_points: _Optional[int] = ..., reason_code: _Optional[str] = ..., note: _Optional[str] = ..., approver: _Optional[str] = ..., status: _Optional[_Union[MemberStatus, str]] = ..., inactivity: _Optional[bool] = ..., returned: _Optional[_Union[Returned, _Mapping]] = ...) -> None: ...

class Hold(_message.Message):
    __slots__ = ("hold_id", "state", "points", "captured_points", "reward_id", "expire_time")
    HOLD_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_POINTS_FIELD_NUMBER: _ClassVar[int]
    REWARD_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    hold_id: str
    state: HoldState
    points: int
    captured_points: int
    reward_id: str
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, hold_id: _Optional[str] = ..., state: _Optional[_Union[HoldState, str]] = ..., points: _Optional[int] = ..., captured_points: _Optional[int] = ..., reward_id: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Redemption(_message.Message):
    __slots__ = ("redemption_id", "points", "reversed_points", "reward_id", "value", "percent_off")
    REDEMPTION_ID_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    REVERSED_POINTS_FIELD_NUMBER: _ClassVar[int]
    REWARD_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PERCENT_OFF_FIELD_NUMBER: _ClassVar[int]
    redemption_id: str
    points: int
    reversed_points: int
    reward_id: str
    value: _money_pb2.Money
    percent_off: str
    def __init__(self, redemption_id: _Optional[str] = ..., points: _Optional[int] = ..., reversed_points: _Optional[int] = ..., reward_id: _Optional[str] = ..., value: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., percent_off: _Optional[str] = ...) -> None: ...

class Returned(_message.Message):
    __slots__ = ("amount", "eligible_amount", "points", "full")
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    ELIGIBLE_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    FULL_FIELD_NUMBER: _ClassVar[int]
    amount: _money_pb2.Money
    eligible_amount: _money_pb2.Money
    points: int
    full: bool
    def __init__(self, amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., eligible_amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., points: _Optional[int] = ..., full: _Optional[bool] = ...) -> None: ...

class TierChange(_message.Message):
    __slots__ = ("reason", "from_tier_id", "to_tier_id", "visits", "spend", "visits_needed", "spend_needed", "period_start_time", "period_end_time", "valid_until_time", "note")
    REASON_FIELD_NUMBER: _ClassVar[int]
    FROM_TIER_ID_FIELD_NUMBER: _ClassVar[int]
    TO_TIER_ID_FIELD_NUMBER: _ClassVar[int]
    VISITS_FIELD_NUMBER: _ClassVar[int]
    SPEND_FIELD_NUMBER: _ClassVar[int]
    VISITS_NEEDED_FIELD_NUMBER: _ClassVar[int]
    SPEND_NEEDED_FIELD_NUMBER: _ClassVar[int]
    PERIOD_START_TIME_FIELD_NUMBER: _ClassVar[int]
    PERIOD_END_TIME_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    reason: TierChangeReason
    from_tier_id: str
    to_tier_id: str
    visits: int
    spend: _money_pb2.Money
    visits_needed: int
    spend_needed: _money_pb2.Money
    period_start_time: _timestamp_pb2.Timestamp
    period_end_time: _timestamp_pb2.Timestamp
    valid_until_time: _timestamp_pb2.Timestamp
    note: str
    def __init__(self, reason: _Optional[_Union[TierChangeReason, str]] = ..., from_tier_id: _Optional[str] = ..., to_tier_id: _Optional[str] = ..., visits: _Optional[int] = ..., spend: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., visits_needed: _Optional[int] = ..., spend_needed: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., period_start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., period_end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., valid_until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., note: _Optional[str] = ...) -> None: ...

class BreakdownLine(_message.Message):
    __slots__ = ("rule", "description", "points")
    RULE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    rule: str
    description: str
    points: int
    def __init__(self, rule: _Optional[str] = ..., description: _Optional[str] = ..., points: _Optional[int] = ...) -> None: ...

class LotChange(_message.Message):
    __slots__ = ("points", "expire_time", "activate_time", "held")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    ACTIVATE_TIME_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    points: int
    expire_time: _timestamp_pb2.Timestamp
    activate_time: _timestamp_pb2.Timestamp
    held: bool
    def __init__(self, points: _Optional[int] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., activate_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., held: _Optional[bool] = ...) -> None: ...

class PurchaseLine(_message.Message):
    __slots__ = ("sku", "category", "quantity", "amount")
    SKU_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    sku: str
    category: str
    quantity: int
    amount: _money_pb2.Money
    def __init__(self, sku: _Optional[str] = ..., category: _Optional[str] = ..., quantity: _Optional[int] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class Balance(_message.Message):
    __slots__ = ("available_points", "held_points", "pending_points", "debt_points", "lifetime_points", "tier_id", "version", "as_of_time", "next_expiry", "value")
    class NextExpiry(_message.Message):
        __slots__ = ("points", "expire_time")
        POINTS_FIELD_NUMBER: _ClassVar[int]
        EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
        points: int
        expire_time: _timestamp_pb2.Timestamp
        def __init__(self, points: _Optional[int] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    AVAILABLE_POINTS_FIELD_NUMBER: _ClassVar[int]
    HELD_POINTS_FIELD_NUMBER: _ClassVar[int]
    PENDING_POINTS_FIELD_NUMBER: _ClassVar[int]
    DEBT_POINTS_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_POINTS_FIELD_NUMBER: _ClassVar[int]
    TIER_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_EXPIRY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    available_points: int
    held_points: int
    pending_points: int
    debt_points: int
    lifetime_points: int
    tier_id: str
    version: int
    as_of_time: _timestamp_pb2.Timestamp
    next_expiry: Balance.NextExpiry
    value: _money_pb2.Money
    def __init__(self, available_points: _Optional[int] = ..., held_points: _Optional[int] = ..., pending_points: _Optional[int] = ..., debt_points: _Optional[int] = ..., lifetime_points: _Optional[int] = ..., tier_id: _Optional[str] = ..., version: _Optional[int] = ..., as_of_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_expiry: _Optional[_Union[Balance.NextExpiry, _Mapping]] = ..., value: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class TierStatus(_message.Message):
    __slots__ = ("tier_id", "name", "benefits", "since_time", "valid_until_time", "grace_until_time", "overridden", "period_start_time", "period_end_time", "visits", "spend", "next", "keep")
    class Missing(_message.Message):
        __slots__ = ("tier_id", "visits_missing", "spend_missing", "by_time", "name", "either", "from_time")
        TIER_ID_FIELD_NUMBER: _ClassVar[int]
        VISITS_MISSING_FIELD_NUMBER: _ClassVar[int]
        SPEND_MISSING_FIELD_NUMBER: _ClassVar[int]
        BY_TIME_FIELD_NUMBER: _ClassVar[int]
        NAME_FIELD_NUMBER: _ClassVar[int]
        EITHER_FIELD_NUMBER: _ClassVar[int]
        FROM_TIME_FIELD_NUMBER: _ClassVar[int]
        tier_id: str
        visits_missing: int
        spend_missing: _money_pb2.Money
        by_time: _timestamp_pb2.Timestamp
        name: str
        either: bool
        from_time: _timestamp_pb2.Timestamp
        def __init__(self, tier_id: _Optional[str] = ..., visits_missing: _Optional[int] = ..., spend_missing: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., by_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., name: _Optional[str] = ..., either: _Optional[bool] = ..., from_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    TIER_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    BENEFITS_FIELD_NUMBER: _ClassVar[int]
    SINCE_TIME_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    GRACE_UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    OVERRIDDEN_FIELD_NUMBER: _ClassVar[int]
    PERIOD_START_TIME_FIELD_NUMBER: _ClassVar[int]
    PERIOD_END_TIME_FIELD_NUMBER: _ClassVar[int]
    VISITS_FIELD_NUMBER: _ClassVar[int]
    SPEND_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    tier_id: str
    name: str
    benefits: _containers.RepeatedScalarFieldContainer[str]
    since_time: _timestamp_pb2.Timestamp
    valid_until_time: _timestamp_pb2.Timestamp
    grace_until_time: _timestamp_pb2.Timestamp
    overridden: bool
    period_start_time: _timestamp_pb2.Timestamp
    period_end_time: _timestamp_pb2.Timestamp
    visits: int
    spend: _money_pb2.Money
    next: TierStatus.Missing
    keep: TierStatus.Missing
    def __init__(self, tier_id: _Optional[str] = ..., name: _Optional[str] = ..., benefits: _Optional[_Iterable[str]] = ..., since_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., valid_until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., grace_until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., overridden: _Optional[bool] = ..., period_start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., period_end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., visits: _Optional[int] = ..., spend: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., next: _Optional[_Union[TierStatus.Missing, _Mapping]] = ..., keep: _Optional[_Union[TierStatus.Missing, _Mapping]] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("entries", "balance", "tier", "hold", "redemption", "replayed", "messages")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    balance: Balance
    tier: TierStatus
    hold: Hold
    redemption: Redemption
    replayed: bool
    messages: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., balance: _Optional[_Union[Balance, _Mapping]] = ..., tier: _Optional[_Union[TierStatus, _Mapping]] = ..., hold: _Optional[_Union[Hold, _Mapping]] = ..., redemption: _Optional[_Union[Redemption, _Mapping]] = ..., replayed: _Optional[bool] = ..., messages: _Optional[_Iterable[str]] = ...) -> None: ...
