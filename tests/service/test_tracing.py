"""Traces: each call with its wait and its transaction, within the trace of who calls."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

from ledger.metrics import PHASES
from ledger.rpc import tracing
from ledger.v1 import balance_pb2, points_pb2
from tests.conftest import RunningServer, running_server
from tests.faults.processes import ServiceProcess, eventually
from tests.service.client import Client, Failure, GrpcClient, JsonClient, failure_of
from tests.service.requests import PROGRAM, balance, batch, open_program, purchase

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
METHOD = "ledger.v1.PointsService/RecordPurchase"


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Where the spans of servers go."""
    exporter = InMemorySpanExporter()

    def provider() -> TracerProvider:
        made = TracerProvider()
        made.add_span_processor(SimpleSpanProcessor(exporter))
        return made

    monkeypatch.setattr(tracing, "make_provider", provider)
    return exporter


@pytest.fixture
def server(exporter: InMemorySpanExporter, database_url: str) -> Iterator[RunningServer]:
    with running_server(database_url, tracing=True) as running:
        yield running


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def spans_after(
    exporter: InMemorySpanExporter, act: Callable[[], object], name: str = METHOD
) -> tuple[ReadableSpan, dict[str, ReadableSpan]]:
    """The span of the one call of that name that something makes, and those of its trace."""
    exporter.clear()
    act()

    def found() -> list[ReadableSpan]:
        return [span for span in exporter.get_finished_spans() if span.name == name]

    (call,) = eventually("the call has a span", found)
    trace = call.context.trace_id
    within = {
        span.name: span for span in exporter.get_finished_spans() if span.context.trace_id == trace
    }
    return call, within


def begins(span: ReadableSpan) -> int:
    assert span.start_time is not None
    return span.start_time


def ends(span: ReadableSpan) -> int:
    assert span.end_time is not None
    return span.end_time


def test_a_write_shows_its_wait_and_the_phases_of_its_transaction(
    server: RunningServer, exporter: InMemorySpanExporter
) -> None:
    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        open_program(client)
        call, within = spans_after(exporter, lambda: client.record_purchase(purchase(1)))
    assert call.parent is None
    assert within.keys() == {METHOD, "queue", "batch", *PHASES}
    known = attributes(call)
    assert known.pop("ledger.call_id")
    assert known == {
        "rpc.system": "grpc",
        "rpc.service": "ledger.v1.PointsService",
        "rpc.method": "RecordPurchase",
        "rpc.grpc.status_code": 0,
    }
    batch_span = within["batch"]
    assert attributes(batch_span) == {"ledger.commands": 1}
    for name in ("queue", "batch"):
        parent = within[name].parent
        assert parent is not None
        assert parent.span_id == call.context.span_id
    # 2 ms: the clocks that they were measured with are not read at once.
    slack = 2_000_000
    order = [within["queue"], *(within[phase] for phase in PHASES)]
    assert begins(call) - slack <= begins(order[0])
    for before, after in pairwise(order):
        assert ends(before) == pytest.approx(begins(after), abs=1000)
    assert ends(order[-1]) <= ends(call) + slack
    for phase in PHASES:
        parent = within[phase].parent
        assert parent is not None
        assert parent.span_id == batch_span.context.span_id


@pytest.mark.parametrize("transport", ["grpc", "json"])
def test_a_call_is_part_of_its_callers_trace(
    server: RunningServer, exporter: InMemorySpanExporter, transport: str
) -> None:
    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        open_program(client)

    def act() -> None:
        if transport == "grpc":
            with contextlib.closing(GrpcClient(server.grpc_address)) as client:
                data = purchase(1).SerializeToString()
                metadata = (("traceparent", TRACEPARENT),)
                client.send("PointsService/RecordPurchase", data, metadata=metadata)
        else:
            with contextlib.closing(JsonClient(server.http_address)) as web:
                document = b'{"programId":"bean-street","memberId":"m-1","requestId":"r",'
                document += b'"purchaseId":"p","amount":{"currencyCode":"EUR","units":"5"}}'
                headers = {"traceparent": TRACEPARENT}
                web.send("PointsService/RecordPurchase", document, headers=headers)

    call, within = spans_after(exporter, act)
    assert f"{call.context.trace_id:032x}" == TRACE
    assert call.parent is not None
    assert f"{call.parent.span_id:016x}" == PARENT
    assert "commit" in within


@pytest.mark.parametrize("traceparent", ["", "nonsense", f"00-{'0' * 32}-{PARENT}-01"])
def test_a_traceparent_that_is_none_begins_a_trace(
    server: RunningServer, exporter: InMemorySpanExporter, traceparent: str
) -> None:
    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        open_program(client)
        call, _ = spans_after(
            exporter,
            lambda: client.send(
                "BalanceService/GetBalance",
                balance().SerializeToString(),
                metadata=(("traceparent", traceparent),),
            ),
            "ledger.v1.BalanceService/GetBalance",
        )
    assert call.parent is None


def test_failures_have_their_code_and_only_the_ledgers_own_are_errors(
    server: RunningServer, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        open_program(client)
        request = purchase(1, member_id="nobody")
        refused, _ = spans_after(exporter, lambda: failure_of(client.record_purchase, request))
        known = attributes(refused)
        assert (known["rpc.grpc.status_code"], known["ledger.reason"]) == (5, "MEMBER_NOT_FOUND")
        assert refused.status.status_code is StatusCode.UNSET
        monkeypatch.setattr("ledger.rpc.writes.program_covering", None)
        failed, _ = spans_after(exporter, lambda: failure_of(client.record_purchase, purchase(2)))
    assert attributes(failed)["rpc.grpc.status_code"] == 13
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.status.description is None
    assert failed.events == ()  # an exception is told by its text, too


@pytest.mark.parametrize("transport", ["grpc", "json"])
def test_a_stream_is_one_span_that_ends_with_it(
    server: RunningServer, exporter: InMemorySpanExporter, transport: str
) -> None:
    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        open_program(client)
    request = balance_pb2.WatchBalanceRequest(program_id=PROGRAM, member_id="m-1")

    def watch() -> None:
        if transport == "grpc":
            with server.channel() as channel:
                call: Any = channel.unary_stream("/ledger.v1.BalanceService/WatchBalance")
                stream = call(request.SerializeToString(), timeout=10)
                next(stream)
                stream.cancel()
        else:
            host, _, port = server.http_address.rpartition(":")
            text = json_format.MessageToJson(request).encode()
            body = b"\0" + len(text).to_bytes(4, "big") + text
            head = (
                "POST /ledger.v1.BalanceService/WatchBalance HTTP/1.1\r\nhost: localhost\r\n"
                f"content-type: application/connect+json\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(head.encode() + body)
                assert b"200 OK" in connection.recv(65536)

    call, _ = spans_after(exporter, watch, "ledger.v1.BalanceService/WatchBalance")
    assert attributes(call)["rpc.grpc.status_code"] == 1


def test_commands_of_one_batch_have_one_wait_and_one_transaction(
    server: RunningServer, exporter: InMemorySpanExporter
) -> None:
    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        open_program(client)
        name = "ledger.v1.PointsService/BatchWrite"
        request = batch(*(purchase(number) for number in range(20)))
        _, within = spans_after(exporter, lambda: client.batch_write(request), name)
    finished = [span.name for span in exporter.get_finished_spans()]
    assert finished.count("batch") == finished.count("queue") == 1
    assert attributes(within["batch"])["ledger.commands"] == 20


def test_spans_carry_nothing_that_is_somebodys_own(
    server: RunningServer, exporter: InMemorySpanExporter
) -> None:
    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        open_program(client, enrolled=("zq7-ann",))
        more = {"member_id": "zq7-ann", "request_id": "zq7-request"}
        client.record_purchase(purchase("zq7-1", **more))
        failure_of(client.record_purchase, purchase("zq7-2", "3.00", **more))
        failure_of(client.get_balance, balance("zq7-nobody"))
    shown = [span.to_json() for span in exporter.get_finished_spans()]
    assert len(shown) > 10
    assert "zq7" not in "".join(shown)


def test_calls_that_are_not_sampled_are_not_watched(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "make_provider", lambda: provider)
    with (
        running_server(database_url, tracing=True) as server,
        contextlib.closing(GrpcClient(server.grpc_address)) as client,
    ):
        open_program(client)
        client.record_purchase(purchase(1))
        held = server.service._tracing
        assert held is not None
        assert held._waiting == {}
    assert exporter.get_finished_spans() == ()


def test_nobody_is_kept_waiting_for_after_their_calls(server: RunningServer) -> None:
    def work(number: int) -> None:
        client: Client = GrpcClient(server.grpc_address)
        with contextlib.closing(client):
            for serial in range(20):
                request = purchase(f"{number}-{serial}")
                if serial % 4 == 3:
                    request.ClearField("amount")
                with contextlib.suppress(Failure):
                    client.record_purchase(request)

    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        open_program(client)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = server.service._tracing
    assert held is not None
    assert held._waiting == {}


# -- as it is run --------------------------------------------------------------------------------


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """What traces are sent to by OTLP."""

    def __init__(self) -> None:
        self.spans: list[tuple[dict[str, str], str]] = []

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
        for resource in request.resource_spans:
            known = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.spans += [
                (known, span.name) for scope in resource.scope_spans for span in scope.spans
            ]
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    """A collector, and its address."""
    collector = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield collector, f"http://127.0.0.1:{port}"
    server.stop(0)


def test_a_service_sends_its_traces_to_a_collector(
    database_url: str, tmp_path: Path, collector: tuple[Collector, str]
) -> None:
    environment = {
        "LEDGER_DATABASE_URL": database_url,
        "LEDGER_TRACING": "true",
        "LEDGER_LOG_LEVEL": "debug",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector[1],
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
    }
    with ServiceProcess(environment, tmp_path / "service.log") as service:
        service.start()
        with contextlib.closing(GrpcClient(service.grpc_address)) as client:
            open_program(client)
            client.record_purchase(purchase(1))
            data = points_pb2.RecordPurchaseRequest().SerializeToString()
            metadata = (("traceparent", TRACEPARENT),)
            with pytest.raises(Failure):
                client.send("PointsService/RecordPurchase", data, metadata=metadata)
        assert service.terminate() == 0
        logged = "\n".join(service.log_lines())
    names = [name for _, name in collector[0].spans]
    assert names.count(METHOD) == 2
    assert names.count("commit") >= 2
    resource = collector[0].spans[0][0]
    assert resource["service.name"] == "ledger"
    assert resource["deployment.environment"] == "test"
    assert f'"trace": "{TRACE}"' in logged


def test_without_opentelemetry_a_service_runs_and_tracing_is_refused(database_url: str) -> None:
    hidden = (
        "import sys; sys.modules['opentelemetry.sdk'] = None;"
        " sys.modules['opentelemetry.exporter'] = None;"
        " from ledger.cli import main; main()"
    )
    command = [sys.executable, "-c", hidden, "serve", "--database-url", database_url]
    command += ["--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0", "--json"]
    refused = subprocess.run(
        [*command, "--tracing"], capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode == 1
    assert "TRACING_UNAVAILABLE" in refused.stderr
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            assert b"grpcAddress" in process.stdout.readline()
        finally:
            process.terminate()
        assert process.wait(30) == 0


def test_tracing_that_is_off_imports_nothing_of_it() -> None:
    code = "import sys, ledger.rpc.serve; print('opentelemetry.sdk' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
