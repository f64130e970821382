"""Streams end when a server is killed, and go on from another one as if nothing had happened."""

from __future__ import annotations

import contextlib
import http.client
import threading
from pathlib import Path

import pytest

from ledger.store.migrate import migrate
from ledger.v1 import balance_pb2
from tests.conftest import running_server
from tests.faults.processes import ServiceProcess, connect, private_postgres
from tests.service.client import Failure, GrpcClient
from tests.service.requests import PROGRAM, open_program, purchase
from tests.service.streams import TRANSPORTS, events, watch

pytestmark = pytest.mark.faults
PURCHASES = 300
#: streams are killed with their server after so many events
KILLED_AFTER = 100


@pytest.mark.parametrize("transport", ["grpc", "connect-json"])
def test_a_stream_goes_on_elsewhere_when_its_server_is_killed(
    transport: str, database_url: str, tmp_path: Path
) -> None:
    environment = {"LEDGER_DATABASE_URL": database_url}
    with (
        ServiceProcess(environment, tmp_path / "first.log") as first,
        ServiceProcess(environment, tmp_path / "second.log") as second,
    ):
        first.start(wait=False)
        second.start()
        first.wait_until_ready()
        writer = GrpcClient(second.grpc_address)
        open_program(writer)

        def write() -> None:
            for number in range(PURCHASES):
                writer.record_purchase(purchase(number, "1.00"))

        writing = threading.Thread(target=write)
        writing.start()
        sequences: list[int] = []
        request = balance_pb2.StreamEventsRequest(program_id=PROGRAM)
        watched = balance_pb2.WatchBalanceRequest(program_id=PROGRAM, member_id="m-1")
        with (
            watch(first, watched, transport) as balances,
            events(first, request, transport) as stream,
        ):
            watched.min_version = next(balances).balance.version
            # Not a Failure where HTTP just breaks off in the middle.
            with contextlib.suppress(Failure, OSError, http.client.HTTPException):
                for message in stream:
                    if message.HasField("entry"):
                        sequences.append(message.entry.sequence)
                    request.cursor = message.cursor
                    if len(sequences) == KILLED_AFTER:
                        first.kill()
        assert len(sequences) >= KILLED_AFTER
        with events(second, request, transport) as stream:
            while len(sequences) < PURCHASES + 1:
                message = next(stream)
                if message.HasField("entry"):
                    sequences.append(message.entry.sequence)
        writing.join()
        assert sequences == list(range(1, PURCHASES + 2))
        with watch(second, watched, transport) as balances:
            assert next(balances).balance.available_points == PURCHASES
        writer.close()
        assert second.terminate() == 0


def test_workers_tell_each_others_streams(database_url: str, tmp_path: Path) -> None:
    """Each connection is with one of the workers; streams are on as many as there are."""
    environment = {"LEDGER_DATABASE_URL": database_url, "LEDGER_WORKERS": "2"}
    with ServiceProcess(environment, tmp_path / "log") as service, contextlib.ExitStack() as stack:
        service.start()
        writer = GrpcClient(service.grpc_address)
        open_program(writer)
        watched = balance_pb2.WatchBalanceRequest(program_id=PROGRAM, member_id="m-1")
        streams = [
            stack.enter_context(watch(service, watched, transport))
            for transport in TRANSPORTS
            for _ in range(4)
        ]
        for stream in streams:
            assert next(stream).balance.version == 1
        balance = writer.record_purchase(purchase(1)).balance
        for stream in streams:
            assert next(message.balance for message in stream if message.HasField("balance")) == (
                balance
            )
        writer.close()


@pytest.mark.parametrize("from_now", [False, True])
def test_no_event_is_left_out_when_a_crash_has_ids_given_again(from_now: bool) -> None:
    """Of transactions that came to nothing, the database may know nothing after a crash: others get
    their ids."""
    request = balance_pb2.StreamEventsRequest(program_id=PROGRAM, from_now=from_now)
    with private_postgres() as postgres:
        migrate(postgres.url())
        with running_server(postgres.url(), scheduler_seconds=0, verify_rate=0) as server:
            client = GrpcClient(server.grpc_address)
            open_program(client)
            with contextlib.closing(connect(postgres.url())) as session:
                session.autocommit = True
                for _ in range(20):
                    session.cursor().execute("BEGIN; SELECT pg_current_xact_id(); ROLLBACK")
            with events(server, request) as stream:
                request.cursor = next(message for message in stream if message.caught_up).cursor
                request.from_now = False
            postgres.kill()
            client.close()
        postgres.start()
        with running_server(postgres.url(), scheduler_seconds=0, verify_rate=0) as server:
            client = GrpcClient(server.grpc_address)
            client.record_purchase(purchase(1))
            with events(server, request) as stream:
                assert next(stream).entry.purchase_id == "receipt-1"
            client.close()
