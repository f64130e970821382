"""One way from a request to an answer, whichever transport it came by.

The methods are found in the proto descriptors: a service object has a coroutine method of the RPC's
name, `async def Name(self, request, call) -> response`. Here it is timed, counted, and its errors
become a Status.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2

from ledger.core.errors import Internal, LedgerError, ShuttingDown
from ledger.metrics import Metrics
from ledger.rpc.status import to_status

log = structlog.get_logger(__name__)

#: what a caller may send, and what its headers may weigh
MAX_MESSAGE_BYTES = 1024 * 1024
MAX_METADATA_BYTES = 16 * 1024

#: how long a call that comes too late is kept: who asks again at once must not fill the last moment
REFUSAL_SECONDS = 0.1

#: the principal of every call while the server has no credentials configured
DEVELOPER = "developer"


class Call(NamedTuple):
    """Who calls, and until when (monotonic seconds) an answer is of use; None = no limit."""

    actor: str
    deadline: float | None


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
    #: whether it writes nothing, so that a cache may answer
    safe: bool
    call: Callable[[Any, Call], Awaitable[Message]]

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
        safe=level == 1,  # NO_SIDE_EFFECTS
        call=getattr(service, method.name),
    )


class Dispatcher:
    """Runs methods, times and counts them, and knows when the server is stopping."""

    def __init__(self, methods: list[Method], metrics: Metrics) -> None:
        self.methods = methods
        self._stopping = False
        self._meters = {
            method.path: metrics.know_method(method.service, method.name) for method in methods
        }

    async def run(self, method: Method, request: Message, call: Call) -> Message:
        """The response of one call. Raises StatusError, and nothing else but a cancellation."""
        meter = self._meters[method.path]
        began = time.perf_counter()
        meter.begin()
        code = "OK"
        try:
            if self._stopping:
                await asyncio.sleep(REFUSAL_SECONDS)
                raise ShuttingDown()
            return await method.call(request, call)
        except LedgerError as error:
            code = error.code
            raise StatusError(to_status(error)) from None
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except Exception:
            code = "INTERNAL"
            log.exception("call failed", service=method.service, method=method.name)
            raise StatusError(to_status(Internal())) from None
        finally:
            meter.end(code, time.perf_counter() - began)

    def stop(self) -> None:
        """Answer every new call with SHUTTING_DOWN."""
        self._stopping = True
