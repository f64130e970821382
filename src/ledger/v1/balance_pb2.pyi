import datetime

from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from ledger.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LotState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOT_STATE_UNSPECIFIED: _ClassVar[LotState]
    LOT_STATE_AVAILABLE: _ClassVar[LotState]
    LOT_STATE_PENDING: _ClassVar[LotState]
    LOT_STATE_HELD: _ClassVar[LotState]
LOT_STATE_UNSPECIFIED: LotState
LOT_STATE_AVAILABLE: LotState
LOT_STATE_PENDING: LotState
LOT_STATE_HELD: LotState

class GetBalanceRequest(_message.Message):
    __slots__ = ("program_id", "member_id", "as_of_time", "min_version")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    AS_OF_TIME_FIELD_NUMBER: _ClassVar[int]
    MIN_VERSION_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    member_id: str
    as_of_time: _timestamp_pb2.Timestamp
    min_version: int
    def __init__(self, program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., as_of_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., min_version: _Optional[int] = ...) -> None: ...

class WatchBalanceRequest(_message.Message):
    __slots__ = ("program_id", "member_id", "min_version")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    MIN_VERSION_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    member_id: str
    min_version: int
    def __init__(self, program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., min_version: _Optional[int] = ...) -> None: ...

class WatchBalanceResponse(_message.Message):
    __slots__ = ("balance", "as_of_time")
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    AS_OF_TIME_FIELD_NUMBER: _ClassVar[int]
    balance: _types_pb2.Balance
    as_of_time: _timestamp_pb2.Timestamp
    def __init__(self, balance: _Optional[_Union[_types_pb2.Balance, _Mapping]] = ..., as_of_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StreamEventsRequest(_message.Message):
    __slots__ = ("program_id", "cursor", "from_now", "kinds", "expiry_warnings")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    FROM_NOW_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_WARNINGS_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    cursor: str
    from_now: bool
    kinds: _containers.RepeatedScalarFieldContainer[_types_pb2.EntryKind]
    expiry_warnings: bool
    def __init__(self, program_id: _Optional[str] = ..., cursor: _Optional[str] = ..., from_now: _Optional[bool] = ..., kinds: _Optional[_Iterable[_Union[_types_pb2.EntryKind, str]]] = ..., expiry_warnings: _Optional[bool] = ...) -> None: ...

class ExpiryWarning(_message.Message):
    __slots__ = ("program_id", "member_id", "points", "expire_time", "days", "inactivity", "create_time")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    DAYS_FIELD_NUMBER: _ClassVar[int]
    INACTIVITY_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    member_id: str
    points: int
    expire_time: _timestamp_pb2.Timestamp
    days: int
    inactivity: bool
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., points: _Optional[int] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., days: _Optional[int] = ..., inactivity: _Optional[bool] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StreamEventsResponse(_message.Message):
    __slots__ = ("entry", "expiry_warning", "cursor", "caught_up")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_WARNING_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    CAUGHT_UP_FIELD_NUMBER: _ClassVar[int]
    entry: _types_pb2.Entry
    expiry_warning: ExpiryWarning
    cursor: str
    caught_up: bool
    def __init__(self, entry: _Optional[_Union[_types_pb2.Entry, _Mapping]] = ..., expiry_warning: _Optional[_Union[ExpiryWarning, _Mapping]] = ..., cursor: _Optional[str] = ..., caught_up: _Optional[bool] = ...) -> None: ...

class GetTierStatusRequest(_message.Message):
    __slots__ = ("program_id", "member_id")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    member_id: str
    def __init__(self, program_id: _Optional[str] = ..., member_id: _Optional[str] = ...) -> None: ...

class ListEntriesRequest(_message.Message):
    __slots__ = ("program_id", "member_id", "page_size", "page_token", "kinds", "purchase_id", "include_canonical_form")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    PURCHASE_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_CANONICAL_FORM_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    member_id: str
    page_size: int
    page_token: str
    kinds: _containers.RepeatedScalarFieldContainer[_types_pb2.EntryKind]
    purchase_id: str
    include_canonical_form: bool
    def __init__(self, program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., kinds: _Optional[_Iterable[_Union[_types_pb2.EntryKind, str]]] = ..., purchase_id: _Optional[str] = ..., include_canonical_form: _Optional[bool] = ...) -> None: ...

class ListEntriesResponse(_message.Message):
    __slots__ = ("entries", "next_page_token")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[_types_pb2.Entry]
    next_page_token: str
    def __init__(self, entries: _Optional[_Iterable[_Union[_types_pb2.Entry, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetEntryRequest(_message.Message):
    __slots__ = ("program_id", "member_id", "sequence", "include_canonical_form")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_CANONICAL_FORM_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    member_id: str
    sequence: int
    include_canonical_form: bool
    def __init__(self, program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., sequence: _Optional[int] = ..., include_canonical_form: _Optional[bool] = ...) -> None: ...

class GetExpiryScheduleRequest(_message.Message):
    __slots__ = ("program_id", "member_id")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    member_id: str
    def __init__(self, program_id: _Optional[str] = ..., member_id: _Optional[str] = ...) -> None: ...

class GetExpiryScheduleResponse(_message.Message):
    __slots__ = ("items", "never_expiring_points", "inactivity_expire_time", "inactivity_points", "as_of_time")
    class Item(_message.Message):
        __slots__ = ("points", "expire_time", "state", "activate_time")
        POINTS_FIELD_NUMBER: _ClassVar[int]
        EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
        STATE_FIELD_NUMBER: _ClassVar[int]
        ACTIVATE_TIME_FIELD_NUMBER: _ClassVar[int]
        points: int
        expire_time: _timestamp_pb2.Timestamp
        state: LotState
        activate_time: _timestamp_pb2.Timestamp
        def __init__(self, points: _Optional[int] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[_Union[LotState, str]] = ..., activate_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEVER_EXPIRING_POINTS_FIELD_NUMBER: _ClassVar[int]
    INACTIVITY_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    INACTIVITY_POINTS_FIELD_NUMBER: _ClassVar[int]
    AS_OF_TIME_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[GetExpiryScheduleResponse.Item]
    never_expiring_points: int
    inactivity_expire_time: _timestamp_pb2.Timestamp
    inactivity_points: int
    as_of_time: _timestamp_pb2.Timestamp
    def __init__(self, items: _Optional[_Iterable[_Union[GetExpiryScheduleResponse.Item, _Mapping]]] = ..., never_expiring_points: _Optional[int] = ..., inactivity_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., inactivity_points: _Optional[int] = ..., as_of_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ExplainBalanceRequest(_message.Message):
    __slots__ = ("program_id", "member_id")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    member_id: str
    def __init__(self, program_id: _Optional[str] = ..., member_id: _Optional[str] = ...) -> None: ...

class ExplainBalanceResponse(_message.Message):
    __slots__ = ("origins", "version")
    class Source(_message.Message):
        __slots__ = ("sequence", "kind", "points", "effective_time", "text")
        SEQUENCE_FIELD_NUMBER: _ClassVar[int]
        KIND_FIELD_NUMBER: _ClassVar[int]
        POINTS_FIELD_NUMBER: _ClassVar[int]
        EFFECTIVE_TIME_FIELD_NUMBER: _ClassVar[int]
        TEXT_FIELD_NUMBER: _ClassVar[int]
        sequence: int
        kind: _types_pb2.EntryKind
        points: int
        effective_time: _timestamp_pb2.Timestamp
        text: str
        def __init__(self, sequence: _Optional[int] = ..., kind: _Optional[_Union[_types_pb2.EntryKind, str]] = ..., points: _Optional[int] = ..., effective_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., text: _Optional[str] = ...) -> None: ...
    class Origin(_message.Message):
        __slots__ = ("points", "state", "expire_time", "activate_time", "hold_id", "sources", "owed")
        POINTS_FIELD_NUMBER: _ClassVar[int]
        STATE_FIELD_NUMBER: _ClassVar[int]
        EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
        ACTIVATE_TIME_FIELD_NUMBER: _ClassVar[int]
        HOLD_ID_FIELD_NUMBER: _ClassVar[int]
        SOURCES_FIELD_NUMBER: _ClassVar[int]
        OWED_FIELD_NUMBER: _ClassVar[int]
        points: int
        state: LotState
        expire_time: _timestamp_pb2.Timestamp
        activate_time: _timestamp_pb2.Timestamp
        hold_id: str
        sources: _containers.RepeatedCompositeFieldContainer[ExplainBalanceResponse.Source]
        owed: bool
        def __init__(self, points: _Optional[int] = ..., state: _Optional[_Union[LotState, str]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., activate_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., hold_id: _Optional[str] = ..., sources: _Optional[_Iterable[_Union[ExplainBalanceResponse.Source, _Mapping]]] = ..., owed: _Optional[bool] = ...) -> None: ...
    ORIGINS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    origins: _containers.RepeatedCompositeFieldContainer[ExplainBalanceResponse.Origin]
    version: int
    def __init__(self, origins: _Optional[_Iterable[_Union[ExplainBalanceResponse.Origin, _Mapping]]] = ..., version: _Optional[int] = ...) -> None: ...
