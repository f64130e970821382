"""A gRPC connection to a server: limits, deadlines, retries, and errors as CommandFailed.

The one place of the command line that knows grpc. At most 4 tries, on UNAVAILABLE only, with full
jitter from 0.1 s to 2 s; every try sends the same message, so the same request_id.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from ledger.cli.failure import NO_ANSWER, REFUSED, CommandFailed, usage
from ledger.cli.output import note
from ledger.core.money import CURRENCIES
from ledger.v1 import (
    balance_pb2_grpc,
    member_pb2_grpc,
    points_pb2_grpc,
    program_pb2,
    program_pb2_grpc,
    redemption_pb2_grpc,
)

TRIES: Final = 4
FIRST_DELAY_SECONDS: Final = 0.1
LONGEST_DELAY_SECONDS: Final = 2.0

_OPTIONS: Final = [
    ("grpc.enable_retries", 0),  # one layer of retries only: ours
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", 16 << 20),
    # A document with a hundred faults is answered in the trailing metadata.
    ("grpc.max_metadata_size", 64 << 10),
    ("grpc.absolute_max_metadata_size", 64 << 10),
]

AnswerT = TypeVar("AnswerT", bound=Message)


class Failure:
    """A google.rpc.Status, unpacked. Its parts are empty where the server said nothing."""

    def __init__(self, status: status_pb2.Status) -> None:
        self.code: str = code_pb2.Code.Name(status.code)
        self.message: str = status.message
        self.reason = ""
        self.metadata: dict[str, str] = {}
        self.violations: list[tuple[str, str]] = []
        self.retry_after_seconds = 0.0
        for detail in status.details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            retry = error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                self.reason = info.reason
                self.metadata = dict(info.metadata)
            elif detail.Unpack(bad):
                self.violations = [(v.field, v.description) for v in bad.field_violations]
            elif detail.Unpack(retry):
                self.retry_after_seconds = retry.retry_delay.ToTimedelta().total_seconds()

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed a moment later."""
        return self.code == "UNAVAILABLE"

    def as_command_failed(self, address: str) -> CommandFailed:
        """What the command ends with."""
        no_answer = self.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")
        message, reason, advice = self.message, self.reason, ""
        if no_answer and not reason:  # nothing that a ledger would say: it was not reached
            reason = "UNREACHABLE" if self.code == "UNAVAILABLE" else self.code
            cause = " ".join(message.split()).rpartition(": ")[2]
            message = f"no ledger answers at {address} ({cause})"
            advice = (
                "Start one with `ledger serve`, or name another with --server or LEDGER_SERVER."
            )
        return CommandFailed(
            message,
            exit_code=NO_ANSWER if no_answer else REFUSED,
            code=self.code,
            reason=reason,
            metadata=self.metadata,
            violations=self.violations,
            advice=advice,
        )


class Connection:
    """The services of one server. Made by `connect`."""

    def __init__(self, address: str, timeout_seconds: float) -> None:
        self.address = address
        self.timeout_seconds = timeout_seconds
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self.programs = program_pb2_grpc.ProgramServiceStub(self._channel)
        self.members = member_pb2_grpc.MemberServiceStub(self._channel)
        self.points = points_pb2_grpc.PointsServiceStub(self._channel)
        self.redemptions = redemption_pb2_grpc.RedemptionServiceStub(self._channel)
        self.balances = balance_pb2_grpc.BalanceServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def call(
        self, method: Any, request: Message, answer: type[AnswerT], timeout_seconds: float = 0.0
    ) -> AnswerT:
        """What a method of a stub answers; `answer` is its type.

        The time limit holds for all tries together. Raises CommandFailed.
        """
        limit = max(timeout_seconds, self.timeout_seconds)
        deadline = time.monotonic() + limit
        for attempt in range(1, TRIES + 1):
            try:
                result = method(request, timeout=max(0.001, deadline - time.monotonic()))
            except grpc.RpcError as error:
                failure = decode(error)
                wait = retry_delay_seconds(attempt, failure)
                out_of_time = time.monotonic() + wait >= deadline
                if not failure.transient or attempt == TRIES or out_of_time:
                    raise failure.as_command_failed(self.address) from None
                time.sleep(wait)
            else:
                assert isinstance(result, answer)
                return result
        raise AssertionError("the last try returns or raises")

    def program(self, program_id: str) -> program_pb2.Program:
        """The named program, or, without a name, the only one of the server.

        Raises CommandFailed when it does not exist, or a name is needed.
        """
        if program_id:
            request = program_pb2.GetProgramRequest(program_id=program_id)
            return self.call(self.programs.GetProgram, request, program_pb2.Program)
        page = self.call(
            self.programs.ListPrograms,
            program_pb2.ListProgramsRequest(page_size=10),
            program_pb2.ListProgramsResponse,
        )
        if len(page.programs) == 1:
            program = page.programs[0]
            note(f"Using program {program.program_id}, the only one here.")
            return program
        if not page.programs:
            raise usage("this server has no program yet: `ledger program apply FILE` makes one")
        names = ", ".join(program.program_id for program in page.programs)
        more = " …" if page.next_page_token else ""
        raise usage(f"which program? Name one with --program or LEDGER_PROGRAM: {names}{more}")


@contextmanager
def connect(address: str, timeout_seconds: float) -> Iterator[Connection]:
    """A connection, closed at the end. Nothing is sent before the first call."""
    connection = Connection(address, timeout_seconds)
    try:
        yield connection
    finally:
        connection.close()


def decode(error: grpc.RpcError) -> Failure:
    """The failure of a call, with the details the server packed."""
    assert isinstance(error, grpc.Call)
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # details that contradict the call: believe the call
        status = None
    if status is None:
        code, _ = error.code().value
        status = status_pb2.Status(code=code, message=error.details() or "")
    return Failure(status)


def retry_delay_seconds(attempt: int, failure: Failure) -> float:
    """How long to wait after the n-th failed try: full jitter, after what the server asked for."""
    most = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** (attempt - 1))
    return failure.retry_after_seconds + random.uniform(0, most)


def zone_of(program: program_pb2.Program) -> ZoneInfo:
    """The program's time zone; one this machine does not know is a CommandFailed."""
    try:
        return ZoneInfo(program.time_zone)
    except (OSError, ValueError, KeyError):
        raise usage(f"this machine does not know the time zone {program.time_zone}") from None


def currency_of(program: program_pb2.Program) -> str:
    """The program's currency; one this version does not know is a CommandFailed."""
    if program.currency not in CURRENCIES:
        raise usage(f"this version does not know the currency {program.currency}: update it")
    return program.currency
