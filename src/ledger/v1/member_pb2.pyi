import datetime

from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from ledger.v1 import types_pb2 as _types_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Member(_message.Message):
    __slots__ = ("program_id", "member_id", "status", "enroll_time", "version")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ENROLL_TIME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    member_id: str
    status: _types_pb2.MemberStatus
    enroll_time: _timestamp_pb2.Timestamp
    version: int
    def __init__(self, program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., status: _Optional[_Union[_types_pb2.MemberStatus, str]] = ..., enroll_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ...) -> None: ...

class Birthday(_message.Message):
    __slots__ = ("month", "day")
    MONTH_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    month: int
    day: int
    def __init__(self, month: _Optional[int] = ..., day: _Optional[int] = ...) -> None: ...

class EnrollMemberRequest(_message.Message):
    __slots__ = ("request_id", "program_id", "member_id", "effective_time", "location_id", "terminal_id", "birthday", "referrer_member_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    LOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_ID_FIELD_NUMBER: _ClassVar[int]
    BIRTHDAY_FIELD_NUMBER: _ClassVar[int]
    REFERRER_MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    program_id: str
    member_id: str
    effective_time: _timestamp_pb2.Timestamp
    location_id: str
    terminal_id: str
    birthday: Birthday
    referrer_member_id: str
    def __init__(self, request_id: _Optional[str] = ..., program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., effective_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., location_id: _Optional[str] = ..., terminal_id: _Optional[str] = ..., birthday: _Optional[_Union[Birthday, _Mapping]] = ..., referrer_member_id: _Optional[str] = ...) -> None: ...

class GetMemberRequest(_message.Message):
    __slots__ = ("program_id", "member_id")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    member_id: str
    def __init__(self, program_id: _Optional[str] = ..., member_id: _Optional[str] = ...) -> None: ...

class SetMemberStatusRequest(_message.Message):
    __slots__ = ("request_id", "program_id", "member_id", "status", "reason")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    program_id: str
    member_id: str
    status: _types_pb2.MemberStatus
    reason: str
    def __init__(self, request_id: _Optional[str] = ..., program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., status: _Optional[_Union[_types_pb2.MemberStatus, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class CreateMemberTokenRequest(_message.Message):
    __slots__ = ("program_id", "member_id", "ttl", "holds")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    member_id: str
    ttl: _duration_pb2.Duration
    holds: bool
    def __init__(self, program_id: _Optional[str] = ..., member_id: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., holds: _Optional[bool] = ...) -> None: ...

class CreateMemberTokenResponse(_message.Message):
    __slots__ = ("token", "expire_time")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    token: str
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, token: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
