"""Streams as clients of each transport read them: messages one by one, then a Failure or the end.

On HTTP the frames are taken apart by hand, so that what is tested is what a browser would receive.
"""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, Self, TypeVar

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message

from ledger.v1 import balance_pb2
from tests.conftest import RunningServer
from tests.faults.processes import ServiceProcess
from tests.service.client import Failure, connect_status, grpc_web_status, status_of

M = TypeVar("M", bound=Message)

#: for one message to come, heartbeats included
TIMEOUT_SECONDS = 20.0


class Stream(Generic[M]):
    """An open stream. Iterating ends with it; raises Failure when it does not end with OK."""

    def __init__(self, messages: Iterator[M], close: Callable[[], None]) -> None:
        self._messages = messages
        self._close = close

    def __iter__(self) -> Iterator[M]:
        return self._messages

    def __next__(self) -> M:
        return next(self._messages)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()


class Addresses(NamedTuple):
    """Where a server is, host:port."""

    grpc: str
    http: str


Open = Callable[[Addresses, str, Message, type[M]], Stream[M]]


def over_grpc(server: Addresses, method: str, request: Message, response: type[M]) -> Stream[M]:
    # A connection of its own: streams that are not read must not share one.
    channel = grpc.insecure_channel(server.grpc, options=[("grpc.use_local_subchannel_pool", 1)])
    begin: Callable[..., Any] = channel.unary_stream(f"/ledger.v1.{method}")
    call = begin(request.SerializeToString(), timeout=3 * TIMEOUT_SECONDS)

    def messages() -> Iterator[M]:
        try:
            for data in call:
                yield response.FromString(data)
        except grpc.RpcError as error:
            raise Failure(status_of(error)) from None

    return Stream(messages(), channel.close)


def _frames(
    server: Addresses, method: str, content_type: str, data: bytes
) -> tuple[Iterator[tuple[int, bytes]], Callable[[], None]]:
    """The frames of a streamed answer, with their flags."""
    connection = http.client.HTTPConnection(server.http, timeout=TIMEOUT_SECONDS)
    body = struct.pack(">BI", 0, len(data)) + data
    connection.request("POST", f"/ledger.v1.{method}", body, {"content-type": content_type})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["content-type"]) == (200, content_type)

    def frames() -> Iterator[tuple[int, bytes]]:
        while head := answer.read(5):
            flag, length = struct.unpack(">BI", head)
            yield flag, answer.read(length)

    return frames(), connection.close


def _connect(
    server: Addresses,
    method: str,
    content_type: str,
    data: bytes,
    parse: Callable[[bytes], M],
) -> Stream[M]:
    frames, close = _frames(server, method, content_type, data)

    def messages() -> Iterator[M]:
        for flag, payload in frames:
            if not flag & 2:
                yield parse(payload)
                continue
            error = json.loads(payload).get("error")
            if error is not None:
                raise Failure(connect_status(error))
            return
        raise AssertionError("the stream ended without its end")

    return Stream(messages(), close)


def over_json(server: Addresses, method: str, request: Message, response: type[M]) -> Stream[M]:
    data = json_format.MessageToJson(request).encode()
    kind = "application/connect+json"
    return _connect(server, method, kind, data, lambda text: json_format.Parse(text, response()))


def over_connect(server: Addresses, method: str, request: Message, response: type[M]) -> Stream[M]:
    data, kind = request.SerializeToString(), "application/connect+proto"
    return _connect(server, method, kind, data, response.FromString)


def over_grpc_web(server: Addresses, method: str, request: Message, response: type[M]) -> Stream[M]:
    data, kind = request.SerializeToString(), "application/grpc-web+proto"
    frames, close = _frames(server, method, kind, data)

    def messages() -> Iterator[M]:
        for flag, payload in frames:
            if not flag & 0x80:
                yield response.FromString(payload)
                continue
            status = grpc_web_status(payload)
            if status is not None:
                raise Failure(status)
            return
        raise AssertionError("the stream ended without its trailers")

    return Stream(messages(), close)


TRANSPORTS: dict[str, Open[Any]] = {
    "grpc": over_grpc,
    "connect-json": over_json,
    "connect-binary": over_connect,
    "grpc-web": over_grpc_web,
}


def of_server(server: RunningServer | ServiceProcess) -> Addresses:
    if isinstance(server, RunningServer):
        return Addresses(server.grpc_address, server.http_address)
    return Addresses(server.grpc_address, server.http_url.removeprefix("http://"))


def watch(
    server: RunningServer | ServiceProcess,
    request: balance_pb2.WatchBalanceRequest,
    transport: str = "grpc",
) -> Stream[balance_pb2.WatchBalanceResponse]:
    open_stream, method = TRANSPORTS[transport], "BalanceService/WatchBalance"
    return open_stream(of_server(server), method, request, balance_pb2.WatchBalanceResponse)


def events(
    server: RunningServer | ServiceProcess,
    request: balance_pb2.StreamEventsRequest,
    transport: str = "grpc",
) -> Stream[balance_pb2.StreamEventsResponse]:
    open_stream, method = TRANSPORTS[transport], "BalanceService/StreamEvents"
    return open_stream(of_server(server), method, request, balance_pb2.StreamEventsResponse)
