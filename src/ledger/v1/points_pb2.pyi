import datetime

from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from google.type import money_pb2 as _money_pb2
from ledger.v1 import member_pb2 as _member_pb2
from ledger.v1 import redemption_pb2 as _redemption_pb2
from ledger.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RecordPurchaseRequest(_message.Message):
    __slots__ = ("request_id", "program_id", "member_id", "purchase_id", "amount", "lines", "effective_time", "location_id", "terminal_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    PURCHASE_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    LOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    program_id: str
    member_id: str
    purchase_id: str
    amount: _money_pb2.Money
    lines: _containers.RepeatedCompositeFieldContainer[_types_pb2.PurchaseLine]
    effective_time: _timestamp_pb2.Timestamp
    location_id: str
    terminal_id: str
    def __init__(self, request_id: _Optional[str] = ..., program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., purchase_id: _Optional[str] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., lines: _Optional[_Iterable[_Union[_types_pb2.PurchaseLine, _Mapping]]] = ..., effective_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., location_id: _Optional[str] = ..., terminal_id: _Optional[str] = ...) -> None: ...

class PreviewPurchaseRequest(_message.Message):
    __slots__ = ("program_id", "member_id", "purchase_id", "amount", "lines", "effective_time", "location_id", "terminal_id")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    PURCHASE_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    LOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_ID_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    member_id: str
    purchase_id: str
    amount: _money_pb2.Money
    lines: _containers.RepeatedCompositeFieldContainer[_types_pb2.PurchaseLine]
    effective_time: _timestamp_pb2.Timestamp
    location_id: str
    terminal_id: str
    def __init__(self, program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., purchase_id: _Optional[str] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., lines: _Optional[_Iterable[_Union[_types_pb2.PurchaseLine, _Mapping]]] = ..., effective_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., location_id: _Optional[str] = ..., terminal_id: _Optional[str] = ...) -> None: ...

class PreviewPurchaseResponse(_message.Message):
    __slots__ = ("points", "breakdown", "lots", "eligible_amount", "balance", "tier", "messages")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    BREAKDOWN_FIELD_NUMBER: _ClassVar[int]
    LOTS_FIELD_NUMBER: _ClassVar[int]
    ELIGIBLE_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    points: int
    breakdown: _containers.RepeatedCompositeFieldContainer[_types_pb2.BreakdownLine]
    lots: _containers.RepeatedCompositeFieldContainer[_types_pb2.LotChange]
    eligible_amount: _money_pb2.Money
    balance: _types_pb2.Balance
    tier: _types_pb2.TierStatus
    messages: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, points: _Optional[int] = ..., breakdown: _Optional[_Iterable[_Union[_types_pb2.BreakdownLine, _Mapping]]] = ..., lots: _Optional[_Iterable[_Union[_types_pb2.LotChange, _Mapping]]] = ..., eligible_amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., balance: _Optional[_Union[_types_pb2.Balance, _Mapping]] = ..., tier: _Optional[_Union[_types_pb2.TierStatus, _Mapping]] = ..., messages: _Optional[_Iterable[str]] = ...) -> None: ...

class RecordActivityRequest(_message.Message):
    __slots__ = ("request_id", "program_id", "member_id", "activity", "effective_time", "location_id", "terminal_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    LOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    program_id: str
    member_id: str
    activity: str
    effective_time: _timestamp_pb2.Timestamp
    location_id: str
    terminal_id: str
    def __init__(self, request_id: _Optional[str] = ..., program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., activity: _Optional[str] = ..., effective_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., location_id: _Optional[str] = ..., terminal_id: _Optional[str] = ...) -> None: ...

class OverrideTierRequest(_message.Message):
    __slots__ = ("request_id", "program_id", "member_id", "tier_id", "reason", "until_time")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    TIER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    program_id: str
    member_id: str
    tier_id: str
    reason: str
    until_time: _timestamp_pb2.Timestamp
    def __init__(self, request_id: _Optional[str] = ..., program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., tier_id: _Optional[str] = ..., reason: _Optional[str] = ..., until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RecordReturnRequest(_message.Message):
    __slots__ = ("request_id", "program_id", "member_id", "purchase_id", "amount", "lines", "effective_time", "location_id", "terminal_id", "full")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    PURCHASE_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    LOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_ID_FIELD_NUMBER: _ClassVar[int]
    FULL_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    program_id: str
    member_id: str
    purchase_id: str
    amount: _money_pb2.Money
    lines: _containers.RepeatedCompositeFieldContainer[_types_pb2.PurchaseLine]
    effective_time: _timestamp_pb2.Timestamp
    location_id: str
    terminal_id: str
    full: bool
    def __init__(self, request_id: _Optional[str] = ..., program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., purchase_id: _Optional[str] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., lines: _Optional[_Iterable[_Union[_types_pb2.PurchaseLine, _Mapping]]] = ..., effective_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., location_id: _Optional[str] = ..., terminal_id: _Optional[str] = ..., full: _Optional[bool] = ...) -> None: ...

class PreviewReturnRequest(_message.Message):
    __slots__ = ("program_id", "member_id", "purchase_id", "amount", "lines", "effective_time", "location_id", "terminal_id", "full")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    PURCHASE_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    LOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_ID_FIELD_NUMBER: _ClassVar[int]
    FULL_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    member_id: str
    purchase_id: str
    amount: _money_pb2.Money
    lines: _containers.RepeatedCompositeFieldContainer[_types_pb2.PurchaseLine]
    effective_time: _timestamp_pb2.Timestamp
    location_id: str
    terminal_id: str
    full: bool
    def __init__(self, program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., purchase_id: _Optional[str] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., lines: _Optional[_Iterable[_Union[_types_pb2.PurchaseLine, _Mapping]]] = ..., effective_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., location_id: _Optional[str] = ..., terminal_id: _Optional[str] = ..., full: _Optional[bool] = ...) -> None: ...

class PreviewReturnResponse(_message.Message):
    __slots__ = ("points", "pending_points", "available_points", "debt_points", "forgiven_points", "balance", "tier", "tier_at_risk", "messages")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    PENDING_POINTS_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_POINTS_FIELD_NUMBER: _ClassVar[int]
    DEBT_POINTS_FIELD_NUMBER: _ClassVar[int]
    FORGIVEN_POINTS_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    TIER_AT_RISK_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    points: int
    pending_points: int
    available_points: int
    debt_points: int
    forgiven_points: int
    balance: _types_pb2.Balance
    tier: _types_pb2.TierStatus
    tier_at_risk: str
    messages: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, points: _Optional[int] = ..., pending_points: _Optional[int] = ..., available_points: _Optional[int] = ..., debt_points: _Optional[int] = ..., forgiven_points: _Optional[int] = ..., balance: _Optional[_Union[_types_pb2.Balance, _Mapping]] = ..., tier: _Optional[_Union[_types_pb2.TierStatus, _Mapping]] = ..., tier_at_risk: _Optional[str] = ..., messages: _Optional[_Iterable[str]] = ...) -> None: ...

class AdjustPointsRequest(_message.Message):
    __slots__ = ("request_id", "program_id", "member_id", "points", "reason_code", "note", "approver")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    APPROVER_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    program_id: str
    member_id: str
    points: int
    reason_code: str
    note: str
    approver: str
    def __init__(self, request_id: _Optional[str] = ..., program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., points: _Optional[int] = ..., reason_code: _Optional[str] = ..., note: _Optional[str] = ..., approver: _Optional[str] = ...) -> None: ...

class TransferPointsRequest(_message.Message):
    __slots__ = ("request_id", "program_id", "member_id", "to_member_id", "points")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    TO_MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    program_id: str
    member_id: str
    to_member_id: str
    points: int
    def __init__(self, request_id: _Optional[str] = ..., program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., to_member_id: _Optional[str] = ..., points: _Optional[int] = ...) -> None: ...

class BatchWriteItem(_message.Message):
    __slots__ = ("enroll_member", "record_purchase", "record_activity", "record_return", "hold_points", "redeem_points", "override_tier", "adjust_points", "transfer_points", "capture_hold", "release_hold", "extend_hold", "reverse_redemption", "set_member_status")
    ENROLL_MEMBER_FIELD_NUMBER: _ClassVar[int]
    RECORD_PURCHASE_FIELD_NUMBER: _ClassVar[int]
    RECORD_ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    RECORD_RETURN_FIELD_NUMBER: _ClassVar[int]
    HOLD_POINTS_FIELD_NUMBER: _ClassVar[int]
    REDEEM_POINTS_FIELD_NUMBER: _ClassVar[int]
    OVERRIDE_TIER_FIELD_NUMBER: _ClassVar[int]
    ADJUST_POINTS_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_POINTS_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_HOLD_FIELD_NUMBER: _ClassVar[int]
    RELEASE_HOLD_FIELD_NUMBER: _ClassVar[int]
    EXTEND_HOLD_FIELD_NUMBER: _ClassVar[int]
    REVERSE_REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    SET_MEMBER_STATUS_FIELD_NUMBER: _ClassVar[int]
    enroll_member: _member_pb2.EnrollMemberRequest
    record_purchase: RecordPurchaseRequest
    record_activity: RecordActivityRequest
    record_return: RecordReturnRequest
    hold_points: _redemption_pb2.HoldPointsRequest
    redeem_points: _redemption_pb2.RedeemPointsRequest
    override_tier: OverrideTierRequest
    adjust_points: AdjustPointsRequest
    transfer_points: TransferPointsRequest
    capture_hold: _redemption_pb2.CaptureHoldRequest
    release_hold: _redemption_pb2.ReleaseHoldRequest
    extend_hold: _redemption_pb2.ExtendHoldRequest
    reverse_redemption: _redemption_pb2.ReverseRedemptionRequest
    set_member_status: _member_pb2.SetMemberStatusRequest
    def __init__(self, enroll_member: _Optional[_Union[_member_pb2.EnrollMemberRequest, _Mapping]] = ..., record_purchase: _Optional[_Union[RecordPurchaseRequest, _Mapping]] = ..., record_activity: _Optional[_Union[RecordActivityRequest, _Mapping]] = ..., record_return: _Optional[_Union[RecordReturnRequest, _Mapping]] = ..., hold_points: _Optional[_Union[_redemption_pb2.HoldPointsRequest, _Mapping]] = ..., redeem_points: _Optional[_Union[_redemption_pb2.RedeemPointsRequest, _Mapping]] = ..., override_tier: _Optional[_Union[OverrideTierRequest, _Mapping]] = ..., adjust_points: _Optional[_Union[AdjustPointsRequest, _Mapping]] = ..., transfer_points: _Optional[_Union[TransferPointsRequest, _Mapping]] = ..., capture_hold: _Optional[_Union[_redemption_pb2.CaptureHoldRequest, _Mapping]] = ..., release_hold: _Optional[_Union[_redemption_pb2.ReleaseHoldRequest, _Mapping]] = ..., extend_hold: _Optional[_Union[_redemption_pb2.ExtendHoldRequest, _Mapping]] = ..., reverse_redemption: _Optional[_Union[_redemption_pb2.ReverseRedemptionRequest, _Mapping]] = ..., set_member_status: _Optional[_Union[_member_pb2.SetMemberStatusRequest, _Mapping]] = ...) -> None: ...

class BatchWriteRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[BatchWriteItem]
    def __init__(self, items: _Optional[_Iterable[_Union[BatchWriteItem, _Mapping]]] = ...) -> None: ...

class BatchWriteResult(_message.Message):
    __slots__ = ("receipt", "error")
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    receipt: _types_pb2.Receipt
    error: _status_pb2.Status
    def __init__(self, receipt: _Optional[_Union[_types_pb2.Receipt, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class BatchWriteResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[BatchWriteResult]
    def __init__(self, results: _Optional[_Iterable[_Union[BatchWriteResult, _Mapping]]] = ...) -> None: ...
