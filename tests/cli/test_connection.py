"""Calls: retried on UNAVAILABLE only, with the same message; failures decoded in full."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from ledger.cli.connection import connect
from ledger.cli.failure import NO_ANSWER, REFUSED, CommandFailed
from ledger.cli.requests import telling_request_id
from ledger.client.connection import TRIES, retry_delay_seconds
from ledger.client.errors import error_of
from ledger.v1 import balance_pb2, balance_pb2_grpc, types_pb2
from tests.cli.conftest import Cli

REQUEST = balance_pb2.GetBalanceRequest(program_id="p", member_id="m")
Answer = Callable[[int], types_pb2.Balance | status_pb2.Status]


def status(code: int, reason: str = "", *details: Any) -> status_pb2.Status:
    packed = []
    for detail in details:
        packed.append(AnyMessage())
        packed[-1].Pack(detail)
    if reason:
        info = AnyMessage()
        info.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="ledger", metadata={"a": "1"}))
        packed.insert(0, info)
    return status_pb2.Status(code=code, message="it is so", details=packed)


@contextmanager
def answering(answer: Answer) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers GetBalance by the number of the call; its address, and the requests."""
    seen: list[bytes] = []

    class Balances(balance_pb2_grpc.BalanceServiceServicer):
        def GetBalance(self, request: Any, context: Any) -> types_pb2.Balance:  # noqa: N802
            seen.append(request.SerializeToString())
            answered = answer(len(seen))
            if isinstance(answered, status_pb2.Status):
                context.abort_with_status(rpc_status.to_status(answered))
            assert isinstance(answered, types_pb2.Balance)
            return answered

    server = grpc.server(
        ThreadPoolExecutor(2), options=[("grpc.absolute_max_metadata_size", 128 << 10)]
    )
    balance_pb2_grpc.add_BalanceServiceServicer_to_server(Balances(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", seen
    finally:
        server.stop(None).wait()


def get_balance(address: str, timeout_seconds: float = 10.0) -> types_pb2.Balance:
    with connect(address, timeout_seconds) as connection:
        return connection.call(connection.balances.GetBalance, REQUEST, types_pb2.Balance)


def failure_of(answer: Answer, timeout_seconds: float = 10.0) -> tuple[CommandFailed, int]:
    """How a call fails that is answered so, and after how many tries."""
    with (
        answering(answer) as (address, seen),
        pytest.raises(CommandFailed) as caught,
        telling_request_id("r-1"),
    ):
        get_balance(address, timeout_seconds)
    return caught.value, len(seen)


def test_unavailable_is_tried_again_with_the_same_message() -> None:
    overloaded = status(code_pb2.UNAVAILABLE, "OVERLOADED")

    def third_time_lucky(number: int) -> types_pb2.Balance | status_pb2.Status:
        return types_pb2.Balance(version=7) if number == 3 else overloaded

    with answering(third_time_lucky) as (address, seen):
        assert get_balance(address).version == 7

    assert len(seen) == 3
    assert len(set(seen)) == 1


def test_there_are_four_tries_at_most() -> None:
    failure, tries = failure_of(lambda number: status(code_pb2.UNAVAILABLE, "OVERLOADED"))

    assert tries == TRIES == 4
    assert (failure.exit_code, failure.reason) == (NO_ANSWER, "OVERLOADED")


def test_the_time_limit_holds_for_all_tries_together() -> None:
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=5))
    unavailable = status(code_pb2.UNAVAILABLE, "STORAGE_UNAVAILABLE", retry)
    started = time.monotonic()

    _, tries = failure_of(lambda number: unavailable, timeout_seconds=2)

    assert tries == 1
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (code_pb2.NOT_FOUND, REFUSED),
        (code_pb2.FAILED_PRECONDITION, REFUSED),
        (code_pb2.INTERNAL, REFUSED),
        (code_pb2.RESOURCE_EXHAUSTED, REFUSED),
        (code_pb2.DEADLINE_EXCEEDED, NO_ANSWER),
    ],
)
def test_nothing_else_is_tried_again(code: int, exit_code: int) -> None:
    failure, tries = failure_of(lambda number: status(code, "REASON"))

    assert tries == 1
    assert failure.exit_code == exit_code
    assert failure.metadata["a"] == "1"


def test_a_hundred_violations_arrive() -> None:
    faults = error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(
                field=f"rules.bonuses[{index}].expires_days",
                description="must be a whole number from 0 to 3660, not 'something else entirely'",
            )
            for index in range(100)
        ]
    )

    failure, _ = failure_of(lambda number: status(code_pb2.INVALID_ARGUMENT, "RULES", faults))

    assert len(failure.violations) == 100
    assert failure.violations[99][0] == "rules.bonuses[99].expires_days"


def test_delays_have_full_jitter_after_what_the_server_asks_for() -> None:
    plain = error_of(status(code_pb2.UNAVAILABLE))
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1))
    asking = error_of(status(code_pb2.UNAVAILABLE, "", retry))

    for attempt, most in ((1, 0.1), (2, 0.2), (3, 0.4), (20, 2.0)):
        delays = [retry_delay_seconds(attempt, plain) for _ in range(200)]
        assert 0 <= min(delays) < most / 4
        assert most * 3 / 4 < max(delays) <= most
    assert 1.0 <= retry_delay_seconds(1, asking) <= 1.1


def test_nobody_there_is_exit_code_3_and_says_what_to_do(cli: Cli) -> None:
    result = cli("balance", "m-1", "--program", "p", "--server", "127.0.0.1:1")

    assert result.code == 3
    assert "no ledger answers at 127.0.0.1:1" in result.err
    assert "ledger serve" in result.err


def test_without_an_answer_a_write_tells_how_to_repeat_it() -> None:
    failure, _ = failure_of(lambda number: status(code_pb2.UNAVAILABLE, "COMMIT_UNKNOWN"))

    assert "--request-id r-1" in failure.advice
    assert failure.metadata["request_id"] == "r-1"
