"""Credentials for tests: keys made in the database, token keys in a file, and one way to ask any
method on either port with them."""

from __future__ import annotations

import contextlib
import http.client
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ledger.engine import real_clock
from ledger.rpc.tokens import TokenKey, new_token_key, save_token_keys
from ledger.store.api_keys import create_key, revoke_key
from ledger.store.database import open_database
from ledger.v1 import audit_pb2, balance_pb2, member_pb2, points_pb2, program_pb2, redemption_pb2
from tests.conftest import RunningServer
from tests.service.client import Failure, connect_status, status_of

#: longer than anything but a stream takes that has nothing to say
TIMEOUT_SECONDS = 5.0
STREAM_SECONDS = 1.0

SERVICES = [
    service
    for module in (audit_pb2, balance_pb2, member_pb2, points_pb2, program_pb2, redemption_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
]
#: every method there is, by `Service/Method`
METHODS: Mapping[str, MethodDescriptor] = {
    f"{service.name}/{method.name}": method for service in SERVICES for method in service.methods
}


def make_key(
    database_url: str,
    role: str,
    programs: Sequence[str] | None = None,
    *,
    name: str = "",
    expires: int | None = None,
    now: int | None = None,
) -> str:
    """A new key as its owner has it. `expires` and `now` are instants (µs)."""
    database = open_database(database_url, role=None)
    with database.connect() as connection:
        _, secret = create_key(
            connection,
            name=name or role,
            role=role,
            programs=programs,
            now=real_clock() if now is None else now,
            expire_time=expires,
        )
    database.dispose()
    return secret


def id_of(key: str) -> str:
    return key.split("_", 2)[1]


def revoke(database_url: str, key: str) -> None:
    database = open_database(database_url, role=None)
    with database.connect() as connection:
        assert revoke_key(connection, id_of(key), real_clock()) is not None
    database.dispose()


def token_keys_file(directory: Path) -> tuple[Path, TokenKey]:
    """A file with one signing key."""
    path, key = directory / "token-keys.json", new_token_key()
    save_token_keys(path, [key])
    return path, key


def request_for(method: MethodDescriptor, program_id: str, member_id: str = "nobody") -> Message:
    """A request that names a program, and a member where it can, and nothing else."""
    request: Any = GetMessageClass(method.input_type)()
    fields = method.input_type.fields_by_name
    if "program_id" in fields:
        request.program_id = program_id
    if "program" in fields:
        request.program.program_id = program_id
    if "member_id" in fields:
        request.member_id = member_id
    made: Message = request
    return made


def ask(
    server: RunningServer,
    transport: str,
    method: MethodDescriptor,
    request: Message,
    headers: Mapping[str, str],
) -> Failure | None:
    """How a call is refused; None when it is answered with OK, or is still going on."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    if transport == "grpc":
        return _ask_grpc(server, path, method.server_streaming, request, headers)
    return _ask_http(server, path, method.server_streaming, request, headers)


def _ask_grpc(
    server: RunningServer, path: str, streaming: bool, request: Message, headers: Mapping[str, str]
) -> Failure | None:
    with server.channel() as channel:
        begin: Any = channel.unary_stream(path) if streaming else channel.unary_unary(path)
        timeout = STREAM_SECONDS if streaming else TIMEOUT_SECONDS
        try:
            answer = begin(
                request.SerializeToString(), timeout=timeout, metadata=list(headers.items())
            )
            if streaming:
                next(iter(answer), None)
                answer.cancel()
        except grpc.RpcError as error:
            return _unless_open(Failure(status_of(error)), streaming)
    return None


def _ask_http(
    server: RunningServer, path: str, streaming: bool, request: Message, headers: Mapping[str, str]
) -> Failure | None:
    data = json_format.MessageToJson(request).encode()
    kind = "application/json"
    if streaming:
        data, kind = struct.pack(">BI", 0, len(data)) + data, "application/connect+json"
        headers = {**headers, "connect-timeout-ms": f"{1_000 * STREAM_SECONDS:.0f}"}
    connection = http.client.HTTPConnection(server.http_address, timeout=TIMEOUT_SECONDS)
    with contextlib.closing(connection):
        connection.request("POST", path, data, {"content-type": kind, **headers})
        answer = connection.getresponse()
        if not streaming:
            body = answer.read()
            return None if answer.status == 200 else Failure(connect_status(json.loads(body)))
        flag, length = struct.unpack(">BI", answer.read(5))
        error = json.loads(answer.read(length)).get("error") if flag & 2 else None
        return None if error is None else _unless_open(Failure(connect_status(error)), streaming)


def _unless_open(failure: Failure, streaming: bool) -> Failure | None:
    """A stream that said nothing until it was given up was not refused."""
    return None if streaming and failure.code == "DEADLINE_EXCEEDED" else failure


def bearer(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}"}


def described(failure: Failure | None) -> tuple[Any, ...]:
    """All that an answer says."""
    if failure is None:
        return ("OK",)
    return (failure.code, failure.reason, failure.message, failure.metadata, failure.violations)


def reasons(failure: Failure | None) -> str:
    """`OK`, or the reason of a refusal; empty where there is none."""
    return "OK" if failure is None else failure.reason
