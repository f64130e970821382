import datetime

from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from google.type import money_pb2 as _money_pb2
from ledger.v1 import member_pb2 as _member_pb2
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

class BatchWriteItem(_message.Message):
    __slots__ = ("enroll_member", "record_purchase", "record_activity", "override_tier")
    ENROLL_MEMBER_FIELD_NUMBER: _ClassVar[int]
    RECORD_PURCHASE_FIELD_NUMBER: _ClassVar[int]
    RECORD_ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    OVERRIDE_TIER_FIELD_NUMBER: _ClassVar[int]
    enroll_member: _member_pb2.EnrollMemberRequest
    record_purchase: RecordPurchaseRequest
    record_activity: RecordActivityRequest
    override_tier: OverrideTierRequest
    def __init__(self, enroll_member: _Optional[_Union[_member_pb2.EnrollMemberRequest, _Mapping]] = ..., record_purchase: _Optional[_Union[RecordPurchaseRequest, _Mapping]] = ..., record_activity: _Optional[_Union[RecordActivityRequest, _Mapping]] = ..., override_tier: _Optional[_Union[OverrideTierRequest, _Mapping]] = ...) -> None: ...

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
