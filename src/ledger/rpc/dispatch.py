"""One way from a request to an answer, whichever transport it came by.

The methods are found in the proto descriptors: a service object has a coroutine method of the RPC's
name, `async def Name(self, request, call) -> response`, or for a stream of responses a generator of
that form. Here it is timed, counted, and its errors become a Status.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2

from ledger.core.errors import (
    Internal,
    LedgerError,
    Overloaded,
    ReaderTooSlow,
    ShuttingDown,
    Unavailable,
)
from ledger.metrics import Metrics
from ledger.rpc.access import Access
from ledger.rpc.calls import CallLog, call_id
from ledger.rpc.permissions import TABLE, check_metrics, check_role, check_scope
from ledger.rpc.principals import Principal
from ledger.rpc.quotas import Quotas
from ledger.rpc.status import to_status, with_call

if TYPE_CHECKING:
    from ledger.rpc.tracing import Tracing

log = structlog.get_logger(__name__)

#: what a caller may send, and what its headers may weigh
MAX_MESSAGE_BYTES = 1024 * 1024
MAX_METADATA_BYTES = 16 * 1024

#: how long a reader of a stream may take for one message before it is cut off
STALL_SECONDS = 30.0

#: the answer to calls that are not even looked at
TURNED_AWAY = to_status(Overloaded())


class Call(NamedTuple):
    """Who calls, and until when (monotonic seconds) an answer is of use; None = no limit."""

    principal: Principal
    deadline: float | None

    @property
    def actor(self) -> str:
        """What entries call the caller."""
        return self.principal.actor


class StatusError(Exception):
    """The answer to a call that failed."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status


@dataclass(frozen=True)
class Method:
    """One RPC: its names, its message classes, and how to call it."""

    service: str
    name: str
    request_class: type[Message]
    response_class: type[Message]
    #: its name in the table of permissions
    rule: str
    #: whether it writes nothing, so that a cache may answer
    safe: bool
    #: whether it answers a stream of responses
    streaming: bool
    #: answers an awaitable response, or an asynchronous generator of responses
    call: Callable[[Any, Call], Any]

    @property
    def path(self) -> str:
        return f"/{self.service}/{self.name}"


def methods_of(descriptor: ServiceDescriptor, service: object) -> list[Method]:
    """The methods that a proto service declares, bound to the object that answers them."""
    return [_method(descriptor, method, service) for method in descriptor.methods]


def _method(descriptor: ServiceDescriptor, method: MethodDescriptor, service: object) -> Method:
    level = method.GetOptions().idempotency_level
    return Method(
        service=descriptor.full_name,
        name=method.name,
        request_class=GetMessageClass(method.input_type),
        response_class=GetMessageClass(method.output_type),
        rule=f"{descriptor.name}/{method.name}",
        safe=level == 1,  # NO_SIDE_EFFECTS
        streaming=method.server_streaming,
        call=getattr(service, method.name),
    )


class Dispatcher:
    """Admits callers, runs methods, times and counts them, and knows when the server is stopping.

    A transport calls `admit` with what it knows of the caller before it reads the request, then
    `run` or `stream`: all of them refuse, so that no method has to. `overloaded(reads)` tells
    whether more reads, or writes, would be refused.
    """

    def __init__(
        self,
        methods: list[Method],
        metrics: Metrics,
        access: Access,
        quotas: Quotas,
        overloaded: Callable[[bool], bool],
        calls: CallLog,
        tracing: Tracing | None = None,
    ) -> None:
        unruled = [method.rule for method in methods if method.rule not in TABLE]
        if unruled:
            raise LookupError(f"nobody has said who may call {', '.join(unruled)}")
        self.methods = methods
        self.access = access
        self._calls = calls
        #: makes spans of calls, which transports begin; None: there are none
        self.tracing = tracing
        #: for the reader of a stream to take one message
        self.stall_seconds = STALL_SECONDS
        self._quotas = quotas
        self._overloaded = overloaded
        self._stopping = False
        self._running = 0
        self._drained = asyncio.Event()
        self._unavailable = metrics.unavailable
        self._turned_away = metrics.unavailable.labels(Overloaded.reason)
        self._meters = {
            method.path: metrics.know_method(method.service, method.name, method.streaming)
            for method in methods
        }

    async def admit(
        self, method: Method, authorization: str | None, certificate: bytes = b""
    ) -> Principal:
        """Who calls a method that their role may call: by the `authorization` of the metadata or
        headers, or the `certificate` (PEM) that TLS was spoken with. Raises StatusError."""
        try:
            principal = await self.access.authenticate(authorization, certificate)
            check_role(principal, method.rule)
            return principal
        except Exception as error:
            raise self.refused(method, error) from None

    def refused(self, method: Method, error: Exception) -> BaseException:
        """What to raise for a call that ends before it runs. It then counts as answered."""
        self._meters[method.path].begin()
        code, reason, raised = _judged(method, error)
        self._ended(method, code, reason, 0.0)
        return raised

    async def admit_to_metrics(self, authorization: str | None, certificate: bytes) -> None:
        """Let somebody see the metrics, which tell of every program, and also of a database that
        does not answer. Raises StatusError."""
        try:
            principal = await self.access.authenticate(authorization, certificate, believing=True)
            check_metrics(principal)
        except LedgerError as error:
            raise StatusError(to_status(error)) from None

    async def run(self, method: Method, request: Message, call: Call) -> Message:
        """The response of one call. Raises StatusError, and nothing else but a cancellation."""
        began = time.perf_counter()
        self._meters[method.path].begin()
        code, reason = "OK", ""
        try:
            with self._accepted(method, request, call):
                response: Message = await method.call(request, call)
                return response
        except BaseException as error:
            code, reason, raised = _judged(method, error)
            raise raised from None
        finally:
            self._ended(method, code, reason, time.perf_counter() - began)

    async def stream(
        self, method: Method, request: Message, call: Call
    ) -> AsyncGenerator[Message, None]:
        """The responses of one call to a streaming method. Raises as `run`.

        Whoever sends them on has `stall_seconds` for each, and throws `too_slow` in when it takes
        longer.
        """
        began = time.perf_counter()
        self._meters[method.path].begin()
        code, reason = "OK", ""
        try:
            with self._accepted(method, request, call):
                async with aclosing(method.call(request, call)) as responses:
                    async for response in responses:
                        self.access.check(call.principal)
                        yield response
                        if self._stopping:
                            raise ShuttingDown()
        except BaseException as error:
            code, reason, raised = _judged(method, error)
            raise raised from None
        finally:
            self._ended(method, code, reason, time.perf_counter() - began)

    def _ended(self, method: Method, code: str, reason: str, seconds: float) -> None:
        self._meters[method.path].end(code, seconds)
        if self.tracing is not None:
            self.tracing.end(code, reason)
        if code == Unavailable.code:
            self._unavailable.labels(reason).inc()
        if not method.streaming:  # a stream is there to last
            self._calls.ended(method.path, code, reason, seconds)

    @contextmanager
    def _accepted(self, method: Method, request: Message, call: Call) -> Iterator[None]:
        """Within the block a call runs that the server waits for when it stops.

        Its caller was admitted, may do this, and as often, and is still good: between the headers
        of a request and its end may be as much time as its sender likes. Raises SHUTTING_DOWN,
        what `Access.check` does, PROGRAM_NOT_ALLOWED, MEMBER_NOT_ALLOWED, QUOTA_EXCEEDED.
        """
        if self._stopping:
            raise ShuttingDown()
        self.access.check(call.principal)
        check_scope(call.principal, method.rule, request)
        self._quotas.spend(call.principal, request)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            if self._stopping and not self._running:
                self._drained.set()

    def too_slow(self) -> ReaderTooSlow:
        """What ends a stream whose reader takes longer than it may."""
        return ReaderTooSlow(seconds=f"{self.stall_seconds:g}")

    def turns_away(self, method: Method) -> bool:
        """Whether a call that has just come is to be answered with `TURNED_AWAY` and nothing more.

        It then counts as answered. What a refusal costs is taken from those who are served, so it
        is made before the request is read.
        """
        if self._stopping or method.streaming or not self._overloaded(method.safe):
            return False
        meter = self._meters[method.path]
        meter.begin()
        meter.end(Overloaded.code, 0.0)
        self._turned_away.inc()
        return True

    def stop(self) -> None:
        """Answer every new call, and the next message of every stream, with SHUTTING_DOWN."""
        self._stopping = True

    async def drain(self, seconds: float) -> None:
        """After `stop`: wait until every call that was accepted is answered, but no longer."""
        if self._running:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), seconds)


def _judged(method: Method, error: BaseException) -> tuple[str, str, BaseException]:
    """Code and reason to tell of a failed call, and what to raise: its status, or a cancellation.

    A failure of the ledger's own is logged, and the caller is told the number to find it by.
    """
    if not isinstance(error, Exception):  # cancelled, or nobody takes more of a stream
        return "CANCELLED", "", error
    known = error if isinstance(error, LedgerError) else Internal()
    status = to_status(known)
    if isinstance(known, Internal):
        log.error("call failed", method=method.path, exc_info=error)
        status = with_call(status, call_id.get())
    return known.code, known.reason, StatusError(status)
