"""A gRPC connection to a ledger: the services, deadlines, and the one layer of retries.

At most 4 tries, on UNAVAILABLE only, with full jitter from 0.1 s to 2 s after whatever the ledger
asks to wait; every try sends the same message, so the same request id. It takes and answers
messages: what people use is `LedgerClient`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc
from google.protobuf.message import Message

from ledger.client.credentials import Credentials, open_channel
from ledger.client.errors import LedgerError, NoAnswer, error_of_call
from ledger.v1 import (
    balance_pb2_grpc,
    member_pb2_grpc,
    points_pb2_grpc,
    program_pb2_grpc,
    redemption_pb2_grpc,
)

TRIES: Final = 4
FIRST_DELAY_SECONDS: Final = 0.1
LONGEST_DELAY_SECONDS: Final = 2.0

AnswerT = TypeVar("AnswerT", bound=Message)


class Connection:
    """The services of one ledger, for any number of threads. Close it when done."""

    def __init__(
        self, address: str, timeout_seconds: float, credentials: Credentials | None = None
    ) -> None:
        """`timeout_seconds` is how long a call may take, all its tries together.

        Raises as `open_channel`; nothing is sent yet.
        """
        self.address = address
        self.timeout_seconds = timeout_seconds
        chosen = credentials or Credentials()
        self._metadata = chosen.metadata
        self._channel = open_channel(address, chosen)
        self._closed = threading.Event()
        self.programs = program_pb2_grpc.ProgramServiceStub(self._channel)
        self.members = member_pb2_grpc.MemberServiceStub(self._channel)
        self.points = points_pb2_grpc.PointsServiceStub(self._channel)
        self.redemptions = redemption_pb2_grpc.RedemptionServiceStub(self._channel)
        self.balances = balance_pb2_grpc.BalanceServiceStub(self._channel)

    def close(self) -> None:
        """Drop the connection; calls that run end with NoAnswer, and so does any after it."""
        self._closed.set()
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def call(
        self, method: Any, request: Message, answer: type[AnswerT], timeout_seconds: float = 0.0
    ) -> AnswerT:
        """What a method of a stub answers; `answer` is its type.

        `timeout_seconds` is for calls that take longer than others. Raises LedgerError, with the
        request id of a write.
        """
        limit = max(timeout_seconds, self.timeout_seconds)
        deadline = time.monotonic() + limit
        for attempt in range(1, TRIES + 1):
            try:
                left = max(0.001, deadline - time.monotonic())
                result = method(request, timeout=left, metadata=self._metadata)
            except (grpc.RpcError, ValueError) as failure:
                error = self._error_of(failure)
                error.request_id = getattr(request, "request_id", "")
                wait = retry_delay_seconds(attempt, error)
                out_of_time = time.monotonic() + wait >= deadline
                if not may_try_again(error) or attempt == TRIES or out_of_time:
                    raise error from None
                self._closed.wait(wait)
            else:
                assert isinstance(result, answer)
                return result
        raise AssertionError("the last try returns or raises")

    def stream(self, method: Any, request: Message, answer: type[AnswerT]) -> Iterator[AnswerT]:
        """What a method of a stub answers one after the other, without an end.

        A stream that ends, as any may, is opened again with the request as it then is: whoever
        reads keeps in it where to go on. Raises LedgerError when that fails until the time limit of
        a call is over, or is of no use.
        """
        failed_at = 0.0
        attempt = 0
        while True:
            try:
                for result in method(request, metadata=self._metadata):
                    attempt = 0
                    assert isinstance(result, answer)
                    yield result
                self._closed.wait(FIRST_DELAY_SECONDS)
            except (grpc.RpcError, ValueError) as failure:
                error = self._error_of(failure)
                attempt += 1
                if attempt == 1:
                    failed_at = time.monotonic()
                wait = retry_delay_seconds(min(attempt, TRIES), error)
                out_of_time = time.monotonic() + wait >= failed_at + self.timeout_seconds
                if out_of_time or not (may_try_again(error) or error.reason == "READER_TOO_SLOW"):
                    raise error from None
                self._closed.wait(wait)

    def _error_of(self, failure: grpc.RpcError | ValueError) -> LedgerError:
        """What a call failed with. After a close it is that, whatever grpc calls it."""
        if self._closed.is_set():
            return NoAnswer(
                f"the connection to {self.address} was closed here",
                code="CANCELLED",
                reason="CLOSED",
            )
        if isinstance(failure, ValueError):
            raise failure
        return error_of_call(failure, self.address)


def may_try_again(error: LedgerError) -> bool:
    """Whether the very same request may succeed a moment later."""
    return error.code == "UNAVAILABLE"


def retry_delay_seconds(attempt: int, error: LedgerError) -> float:
    """How long to wait after the n-th failed try: full jitter, after what the ledger asks for."""
    most = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** (attempt - 1))
    return error.retry_after_seconds + random.uniform(0, most)
