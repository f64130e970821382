"""A ledger that answers BatchWrite as a test says, and keeps what it was sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from ledger.v1 import points_pb2, points_pb2_grpc, types_pb2

Result: TypeAlias = types_pb2.Receipt | status_pb2.Status
#: answers an item by its request id and by how often it has come
Answer = Callable[[str, int], Result]


def status(code: str, reason: str = "", retry_after_seconds: float = 0.0) -> status_pb2.Status:
    """A failure as a ledger tells it."""
    made = status_pb2.Status(code=code_pb2.Code.Value(code), message=f"because of {reason or code}")
    if reason:
        made.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="ledger"))
    if retry_after_seconds:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(int(retry_after_seconds * 1_000))
        made.details.add().Pack(retry)
    return made


def recorded(request_id: str, times: int) -> Result:
    """The answer of a ledger that takes everything."""
    return types_pb2.Receipt(replayed=times > 1)


@dataclass
class FakeLedger:
    """Where it is, how it answers, and what it was sent."""

    answer: Answer = recorded
    #: what every call fails with, while it is set
    down: status_pb2.Status | None = None
    #: a request id that it fails at, with all that comes in the same batch
    fails_at: str = ""
    #: whether it leaves out the last answer of each batch
    forgets: bool = False
    #: whether it answers the last of each batch first
    reverses: bool = False
    address: str = ""
    #: the request ids of each batch
    batches: list[list[str]] = field(default_factory=list)
    #: the credential of each call
    credentials: list[str] = field(default_factory=list)

    @property
    def sent(self) -> list[str]:
        return [request_id for batch in self.batches for request_id in batch]


@contextmanager
def fake_ledger(answer: Answer = recorded) -> Iterator[FakeLedger]:
    """A ledger on a free port, for a block."""
    ledger = FakeLedger(answer)

    class Points(points_pb2_grpc.PointsServiceServicer):
        def BatchWrite(self, request: Any, context: Any) -> Any:  # noqa: N802
            metadata = dict(context.invocation_metadata())
            ledger.credentials.append(metadata.get("authorization", ""))
            if ledger.down is not None:
                context.abort_with_status(rpc_status.to_status(ledger.down))
            writes = [getattr(item, item.WhichOneof("write")) for item in request.items]
            ledger.batches.append([write.request_id for write in writes])
            if ledger.fails_at in ledger.batches[-1]:
                context.abort_with_status(rpc_status.to_status(status("INTERNAL")))
            response = points_pb2.BatchWriteResponse()
            for write in writes:
                outcome = ledger.answer(write.request_id, ledger.sent.count(write.request_id))
                if isinstance(outcome, types_pb2.Receipt):
                    response.results.add(receipt=outcome)
                else:
                    response.results.add(error=outcome)
            if ledger.forgets:
                del response.results[-1]
            if ledger.reverses:
                results = list(response.results)[::-1]
                response = points_pb2.BatchWriteResponse(results=results)
            return response

    server = grpc.server(ThreadPoolExecutor(2))
    points_pb2_grpc.add_PointsServiceServicer_to_server(Points(), server)
    ledger.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield ledger
    finally:
        server.stop(None).wait()
