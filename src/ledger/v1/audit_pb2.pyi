import datetime

from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VerifyMemberRequest(_message.Message):
    __slots__ = ("program_id", "member_id")
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    member_id: str
    def __init__(self, program_id: _Optional[str] = ..., member_id: _Optional[str] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("check", "sequence", "detail")
    CHECK_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    check: str
    sequence: int
    detail: str
    def __init__(self, check: _Optional[str] = ..., sequence: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class VerifyMemberResponse(_message.Message):
    __slots__ = ("entries", "head_hash", "findings")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    HEAD_HASH_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    entries: int
    head_hash: bytes
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    def __init__(self, entries: _Optional[int] = ..., head_hash: _Optional[bytes] = ..., findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ...) -> None: ...

class GetTrialBalanceRequest(_message.Message):
    __slots__ = ("program_id",)
    PROGRAM_ID_FIELD_NUMBER: _ClassVar[int]
    program_id: str
    def __init__(self, program_id: _Optional[str] = ...) -> None: ...

class AccountTotal(_message.Message):
    __slots__ = ("account", "points")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    account: str
    points: int
    def __init__(self, account: _Optional[str] = ..., points: _Optional[int] = ...) -> None: ...

class GetTrialBalanceResponse(_message.Message):
    __slots__ = ("accounts", "total_points", "entries", "as_of_time")
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_POINTS_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    AS_OF_TIME_FIELD_NUMBER: _ClassVar[int]
    accounts: _containers.RepeatedCompositeFieldContainer[AccountTotal]
    total_points: int
    entries: int
    as_of_time: _timestamp_pb2.Timestamp
    def __init__(self, accounts: _Optional[_Iterable[_Union[AccountTotal, _Mapping]]] = ..., total_points: _Optional[int] = ..., entries: _Optional[int] = ..., as_of_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
