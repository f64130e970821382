"""The gRPC port: generic handlers over the dispatcher, with reflection and health.

Messages are parsed here and not by grpc, so that malformed bytes are an INVALID_ARGUMENT, and so
that nothing is parsed for callers who are not admitted. Health and reflection ask for no
credential: they say what any client has to know, and nothing of what is recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from ledger.core.errors import invalid
from ledger.rpc.calls import HEADER, begin_call
from ledger.rpc.dispatch import (
    MAX_MESSAGE_BYTES,
    MAX_METADATA_BYTES,
    TURNED_AWAY,
    Call,
    Dispatcher,
    Method,
    StatusError,
)
from ledger.rpc.status import shortened

if TYPE_CHECKING:
    from ledger.rpc.tls import Tls

_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    # Calls that came faster than Python can even refuse them: gRPC then answers CANCELLED for it,
    # some at random from the first number on, all from the second. Were they kept, each would wait
    # for all before it, until nobody waits for any answer.
    ("grpc.server.max_pending_requests", 500),
    ("grpc.server.max_pending_requests_hard_limit", 1_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
    ("grpc.max_connection_age_ms", 30 * 60_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
]
#: clients refuse an answer whose trailers weigh more than 8 KiB, unless told otherwise
_MAX_STATUS_BYTES = 7 * 1024
_TURNED_AWAY = rpc_status.to_status(TURNED_AWAY)


def hang_up(port: int) -> None:
    """End what this process has on a port of its own: first the listening, then the connections.

    When gRPC stops a server, it answers CANCELLED to calls that it has read and not handed over,
    and to those that come before their client has learned of the stop. CANCELLED says that the
    caller wanted it, so nobody repeats it. It can not be told otherwise, and does not show its
    sockets, so they are found among the open files.
    """
    if not os.path.isdir("/dev/fd"):
        return  # Windows: gRPC then ends them in its own way
    for listening in (True, False):
        for number in map(int, os.listdir("/dev/fd")):
            with contextlib.suppress(OSError):  # closed meanwhile
                if stat.S_ISSOCK(os.fstat(number).st_mode):
                    with socket.fromfd(number, -1, -1) as found:
                        if _is_of(found, port, listening):
                            found.shutdown(socket.SHUT_RDWR)


def _is_of(found: socket.socket, port: int, listening: bool) -> bool:
    return (
        found.family in (socket.AF_INET, socket.AF_INET6)
        and found.getsockname()[1] == port
        and bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)) == listening
    )


class _Methods(grpc.GenericRpcHandler):
    """Every method of the dispatcher, unless it turns the call away."""

    def __init__(self, dispatcher: Dispatcher, handler: Callable[[Method], Any]) -> None:
        self._dispatcher = dispatcher
        self._methods: dict[str, tuple[Method, Any]] = {}
        for method in dispatcher.methods:
            make = (
                grpc.unary_stream_rpc_method_handler
                if method.streaming
                else grpc.unary_unary_rpc_method_handler
            )
            self._methods[method.path] = (
                method,
                make(
                    handler(method),
                    request_deserializer=None,
                    response_serializer=method.response_class.SerializeToString,
                ),
            )
        # A handler of streams need not wait for the request before it answers.
        self._refusal: Any = grpc.stream_stream_rpc_method_handler(_turn_away)

    def service(self, call: grpc.HandlerCallDetails) -> Any:
        method, handler = self._methods.get(call.method, (None, None))
        if method is not None and self._dispatcher.turns_away(method):
            return self._refusal
        return handler


async def _turn_away(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    context.set_code(_TURNED_AWAY.code)
    context.set_details(_TURNED_AWAY.details)
    context.set_trailing_metadata(_TURNED_AWAY.trailing_metadata)


def _authorization(metadata: Iterable[tuple[str, str | bytes]] | None) -> str | None:
    """What is said in the metadata; several are none that is known, as on the HTTP port."""
    said = [str(value) for key, value in metadata or () if key == "authorization"]
    return ", ".join(said) if said else None


def _certificate(context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
    """The client certificate (PEM) that the connection was made with."""
    return next(iter(context.auth_context().get("x509_pem_cert", ())), b"")


def _answer(status: status_pb2.Status, call: str) -> Any:
    """A failure as gRPC answers it, with the number of the call in its trailers."""
    answer: Any = rpc_status.to_status(shortened(status, _MAX_STATUS_BYTES))
    return answer._replace(trailing_metadata=(*answer.trailing_metadata, (HEADER, call)))


class GrpcServer:
    """A grpc.aio server on one address, which other workers may `share`."""

    def __init__(self, dispatcher: Dispatcher, address: str, share: bool, tls: Tls | None) -> None:
        self._dispatcher = dispatcher
        self._asks_for_certificates = tls is not None and tls.terminals is not None
        self._server = grpc.aio.server(options=[*_OPTIONS, ("grpc.so_reuseport", int(share))])
        self._health = health.aio.HealthServicer()
        self._server.add_generic_rpc_handlers((_Methods(dispatcher, self._handler),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        services = dict.fromkeys(method.service for method in dispatcher.methods)
        self._names = [*services, health.SERVICE_NAME, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(self._names, self._server)
        try:
            if tls is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, tls.grpc_credentials())
        except RuntimeError as error:
            raise OSError(f"can not listen on {address} for gRPC: {error}") from error

    def _handler(
        self, method: Method
    ) -> Callable[[bytes, grpc.aio.ServicerContext[Any, Any]], Awaitable[Any]]:
        dispatcher, parse = self._dispatcher, method.request_class.FromString

        async def handle(data: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            number = begin_call()
            remaining = context.time_remaining()
            deadline = None if remaining is None else time.monotonic() + remaining
            try:
                if dispatcher.tracing is not None:
                    dispatcher.tracing.begin(method, context.invocation_metadata() or ())
                authorization = _authorization(context.invocation_metadata())
                certificate = _certificate(context) if self._asks_for_certificates else b""
                principal = await dispatcher.admit(method, authorization, certificate)
                try:
                    request = parse(data)
                except DecodeError:
                    fault = invalid("request", f"is not a {method.request_class.DESCRIPTOR.name}")
                    raise dispatcher.refused(method, fault) from None
                call = Call(principal, deadline)
                if method.streaming:
                    return await self._stream(method, request, call, context)
                return await dispatcher.run(method, request, call)
            except StatusError as error:
                await context.abort_with_status(_answer(error.status, number))

        return handle

    async def _stream(
        self,
        method: Method,
        request: Message,
        call: Call,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> None:
        dispatcher = self._dispatcher
        async with contextlib.aclosing(dispatcher.stream(method, request, call)) as responses:
            async for response in responses:
                try:
                    async with asyncio.timeout(dispatcher.stall_seconds):
                        await context.write(response)
                except TimeoutError:
                    await responses.athrow(dispatcher.too_slow())

    async def start(self) -> None:
        await self._server.start()
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def leave(self) -> None:
        """Tell health checkers that this server is going."""
        await self._health.enter_graceful_shutdown()

    async def stop(self) -> None:
        """End, calls that are still running too: their callers learn that the connection is lost,
        which is UNAVAILABLE."""
        hang_up(self.port)
        await self._server.stop(None)
