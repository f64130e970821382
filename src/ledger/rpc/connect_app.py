"""Every method of the dispatcher over Connect JSON and gRPC-Web, as one ASGI application.

connectrpc is kept behind this module. Its errors carry the same google.rpc details as on gRPC.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any

from connectrpc.code import Code
from connectrpc.codec import Codec
from connectrpc.compat import google_protobuf_binary_codec
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication, Endpoint
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, status_pb2
from protobuf.wkt import Any as AnyDetail
from starlette.responses import JSONResponse, Response

from ledger.core.errors import LedgerError, invalid
from ledger.rpc.calls import HEADER, begin_call
from ledger.rpc.dispatch import (
    MAX_MESSAGE_BYTES,
    TURNED_AWAY,
    Call,
    Dispatcher,
    Method,
    StatusError,
)
from ledger.rpc.http_protocol import UNHEARD_SECONDS
from ledger.rpc.principals import Principal
from ledger.rpc.status import to_status


def connect_error(status: status_pb2.Status) -> ConnectError:
    """The same status in Connect's terms."""
    code = Code(code_pb2.Code.Name(status.code).lower().replace("cancelled", "canceled"))
    details = [AnyDetail(type_url=any_.type_url, value=any_.value) for any_ in status.details]
    return ConnectError(code, status.message, details)


class JsonCodec(Codec[Message, Message]):
    """protojson whose faults are answered like any other malformed field."""

    def name(self) -> str:
        return "json"

    def encode(self, message: Message) -> bytes:
        return json_format.MessageToJson(message, indent=None).encode()

    def decode(self, data: bytes | bytearray, message_class: type[Message]) -> Message:
        try:
            text = bytes(data).strip() or b"{}"
            if not text.startswith(b"{"):
                raise ValueError("must be a JSON object")
            return json_format.Parse(text, message_class())
        except (json_format.ParseError, ValueError, RecursionError) as error:
            raise _malformed(error) from None


class BinaryCodec(Codec[Message, Message]):
    """Binary protobuf whose faults are answered like any other malformed field."""

    _codec = google_protobuf_binary_codec()

    def name(self) -> str:
        return "proto"

    def encode(self, message: Message) -> bytes:
        return message.SerializeToString()

    def decode(self, data: bytes | bytearray, message_class: type[Message]) -> Message:
        try:
            return message_class.FromString(bytes(data))
        except DecodeError as error:
            raise _malformed(error) from None


class _Malformed(ConnectError):
    """Nobody can read the request."""

    def __init__(self, fault: LedgerError) -> None:
        answer = connect_error(to_status(fault))
        super().__init__(answer.code, answer.message, answer.details)
        self.fault = fault


def _malformed(error: Exception) -> ConnectError:
    text = str(error).encode(errors="replace").decode()
    return _Malformed(invalid("request", text[:300]))


class _Reader:
    """Whoever reads a stream: it has so many seconds to take a message.

    When it takes longer the message is left out and the stream ends. Its status waits for the
    reader as long as the connection may, when nothing but the connection is left of the stream.
    """

    def __init__(self, send: Callable[[Any], Awaitable[None]], stall_seconds: float) -> None:
        self._send = send
        self._stall_seconds = stall_seconds
        self.stalled = False

    async def send(self, event: Any) -> None:
        patience = UNHEARD_SECONDS if self.stalled else self._stall_seconds
        try:
            async with asyncio.timeout(patience):
                await self._send(event)
        except TimeoutError:
            if self.stalled:
                raise
            self.stalled = True


#: of the stream that is answered in this context
_reader: ContextVar[_Reader] = ContextVar("reader")


class _Admission:
    """Admits callers before anything of their request is read, which is when connectrpc calls it.

    The rest of the call runs in the same task, and finds there who was admitted.
    """

    def __init__(self, dispatcher: Dispatcher, methods: Mapping[str, Method]) -> None:
        self._dispatcher = dispatcher
        #: by path
        self._methods = methods
        self.admitted: ContextVar[Principal] = ContextVar("admitted")
        #: the Authorization and the certificate (PEM) that the client has shown, if any
        self.shown: ContextVar[tuple[str | None, bytes]] = ContextVar("shown")

    async def on_start(self, context: RequestContext[Any, Any]) -> None:
        method = self._method(context)
        authorization, certificate = self.shown.get()
        try:
            self.admitted.set(await self._dispatcher.admit(method, authorization, certificate))
        except StatusError as error:
            raise connect_error(error.status) from None

    async def on_end(
        self, token: None, context: RequestContext[Any, Any], error: Exception | None
    ) -> None:
        if isinstance(error, _Malformed):  # no codec knows which method it reads for
            self._dispatcher.refused(self._method(context), error.fault)

    def _method(self, context: RequestContext[Any, Any]) -> Method:
        return self._methods[f"/{context.method.service_name}/{context.method.name}"]


class ConnectApplication(ConnectASGIApplication[Dispatcher]):
    """Every method of the dispatcher as one Connect application."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._methods = {method.path: method for method in dispatcher.methods}
        self._admission = _Admission(dispatcher, self._methods)
        super().__init__(
            service=dispatcher,
            endpoints=self._endpoints_of,
            interceptors=[self._admission],
            read_max_bytes=MAX_MESSAGE_BYTES,
            codecs=[JsonCodec(), BinaryCodec()],
        )

    @property
    def path(self) -> str:
        return "/"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if not all(value.isascii() for _, value in scope["headers"]):
            scope = {**scope, "headers": [*_as_utf8(scope["headers"])]}
        self._admission.shown.set((authorization_of(scope), certificate_of(scope)))
        method = self._methods.get(scope["path"])
        content_type = _content_type(scope)
        if method is None:
            await _unimplemented(scope)(scope, receive, send)
        elif _is_native_grpc(content_type):
            # It needs HTTP/2 and trailers: there is a port for it.
            await Response(status_code=415)(scope, receive, send)
        elif _is_plain(content_type) and self._dispatcher.turns_away(method):
            await _TURN_AWAY(scope, receive, send)
        elif method.streaming:
            reader = _Reader(self._begun(method, scope, send), self._dispatcher.stall_seconds)
            _reader.set(reader)
            await super().__call__(scope, receive, reader.send)
        else:
            await super().__call__(scope, receive, self._begun(method, scope, send))

    def _begun(self, method: Method, scope: Any, send: Any) -> Callable[[Any], Awaitable[None]]:
        """Sends the answer to a call that begins here."""
        numbered = _numbered(send)
        if self._dispatcher.tracing is not None:
            headers = ((name.decode(), value.decode("latin-1")) for name, value in scope["headers"])
            self._dispatcher.tracing.begin(method, headers)
        return numbered

    def _endpoints_of(self, dispatcher: Dispatcher) -> Mapping[str, Any]:
        return {method.path: self._endpoint(dispatcher, method) for method in dispatcher.methods}

    def _endpoint(self, dispatcher: Dispatcher, method: Method) -> Endpoint[Any, Any]:
        async def call(request: Any, context: RequestContext[Any, Any]) -> Any:
            try:
                return await dispatcher.run(method, request, self._call(context))
            except StatusError as error:
                raise connect_error(error.status) from None

        async def stream(request: Any, context: RequestContext[Any, Any]) -> AsyncIterator[Any]:
            reader = _reader.get()
            responses = dispatcher.stream(method, request, self._call(context))
            try:
                async with aclosing(responses):
                    async for response in responses:
                        yield response
                        if reader.stalled:
                            await responses.athrow(dispatcher.too_slow())
            except StatusError as error:
                raise connect_error(error.status) from None

        level = IdempotencyLevel.NO_SIDE_EFFECTS if method.safe else IdempotencyLevel.IDEMPOTENT
        info: MethodInfo[Any, Any] = MethodInfo(
            name=method.name,
            service_name=method.service,
            input=method.request_class,
            output=method.response_class,
            idempotency_level=level,
            stream_type=StreamType.SERVER_STREAM if method.streaming else StreamType.UNARY,
        )
        if method.streaming:
            return Endpoint.server_stream(method=info, function=stream)
        return Endpoint.unary(method=info, function=call)

    def _call(self, context: RequestContext[Any, Any]) -> Call:
        remaining = context.timeout_ms
        deadline = None if remaining is None else time.monotonic() + remaining / 1_000
        return Call(self._admission.admitted.get(), deadline)


def _as_utf8(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """The headers, in whatever encoding they are, so that connectrpc can read them."""
    return ((name, value.decode("latin-1").encode()) for name, value in headers)


def authorization_of(scope: Any) -> str | None:
    """What is said in Authorization. Several are none that is known, whichever one of them is: who
    is in between may have looked at another one."""
    said = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
    return ", ".join(said) if said else None


def certificate_of(scope: Any) -> bytes:
    """The client certificate (PEM) of the TLS extension of ASGI; empty: there is none."""
    shown = scope.get("extensions", {}).get("tls", {}).get("client_cert_chain", ())
    return shown[0].encode() if shown else b""


def _numbered(send: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    """Sends the answer to a call that begins here, with the number of that call."""
    header = (HEADER.encode(), begin_call().encode())

    async def answer(event: Any) -> None:
        if event["type"] == "http.response.start":
            event["headers"] = [*event["headers"], header]
        await send(event)

    return answer


def _unimplemented(scope: Any) -> Response:
    """404, which every protocol reads as UNIMPLEMENTED, saying so to those who speak Connect."""
    error = {"code": "unimplemented", "message": f"no method {scope['path'][:200]}"}
    return JSONResponse(error, status_code=404)


def _content_type(scope: Any) -> bytes:
    return next((value for name, value in scope["headers"] if name == b"content-type"), b"")


def _is_native_grpc(content_type: bytes) -> bool:
    return content_type.startswith(b"application/grpc") and not content_type.startswith(
        b"application/grpc-web"
    )


def _is_plain(content_type: bytes) -> bool:
    """Whether an error is answered as JSON, whatever the request is written in."""
    return content_type in (b"application/json", b"application/proto", b"")


def _refusal(status: status_pb2.Status) -> Response:
    """What Connect would answer, for whom it need not even read the request."""
    details = [
        {
            "type": any_.type_url.rpartition("/")[2],
            "value": base64.b64encode(any_.value).decode().rstrip("="),
        }
        for any_ in status.details
    ]
    code = code_pb2.Code.Name(status.code).lower()
    error = {"code": code, "message": status.message, "details": details}
    return JSONResponse(error, status_code=503)


_TURN_AWAY = _refusal(TURNED_AWAY)
