"""What operators and tools ask: reflection, health, probes, metrics."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from ledger.metrics import Metrics
from ledger.v1 import program_pb2
from tests.conftest import RunningServer
from tests.service.client import Client, GrpcClient, JsonClient, failure_of
from tests.service.requests import (
    balance,
    batch,
    clock,
    enrollment,
    entries,
    instant,
    open_program,
    purchase,
)

SERVICES = {
    "ledger.v1.ProgramService",
    "ledger.v1.RedemptionService",
    "ledger.v1.MemberService",
    "ledger.v1.PointsService",
    "ledger.v1.BalanceService",
    "ledger.v1.AuditService",
}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def fetched(server: RunningServer, path: str) -> tuple[int, str, str]:
    """Status, content type and text of a page of the HTTP port."""
    try:
        with urllib.request.urlopen(f"http://{server.http_address}{path}", timeout=10) as answer:
            return answer.status, answer.headers["content-type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["content-type"], error.read().decode()


def metrics(server: RunningServer) -> Samples:
    """Every sample of /metrics by name and labels."""
    code, kind, text = fetched(server, "/metrics")
    assert code == 200
    assert kind.startswith("text/plain")
    samples: Samples = {}
    for row in text.splitlines():
        if not row.startswith("#"):
            found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", row)
            assert found is not None, row
            labels = frozenset(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
            samples[found[1], labels] = float(found[3])
    return samples


def sample(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_reflection_names_every_service_and_its_messages(server: RunningServer) -> None:
    with server.channel() as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        ask = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(
                file_containing_symbol="ledger.v1.PointsService"
            ),
        ]
        listed, file = stub.ServerReflectionInfo(iter(ask), timeout=10)
    names = {service.name for service in listed.list_services_response.service}
    assert names >= SERVICES | {"grpc.health.v1.Health"}
    assert b"RecordPurchaseRequest" in file.file_descriptor_response.file_descriptor_proto[0]


def test_health_is_serving(server: RunningServer) -> None:
    with server.channel() as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        for name in ("", *SERVICES):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_probes_answer(server: RunningServer) -> None:
    assert fetched(server, "/healthz")[0] == 200
    code, kind, text = fetched(server, "/readyz")
    assert (code, kind, text) == (200, "application/json", '{"ready":true}')
    assert fetched(server, "/nothing-here")[0] == 404


def test_metrics_are_there_from_the_start_at_zero(
    server: RunningServer, grpc_client: GrpcClient
) -> None:
    samples = metrics(server)
    assert sample(samples, "ledger_database_up") == 1
    assert sample(samples, "ledger_queue_depth") == 0
    assert sample(samples, "ledger_commit_unknown_total") == 0
    for cause in ("conflict", "lock_timeout", "connection", "bisect"):
        assert sample(samples, "ledger_retries_total", cause=cause) == 0
    rpc = {"grpc_type": "unary", "grpc_service": "ledger.v1.PointsService"}
    rpc |= {"grpc_method": "RecordPurchase"}
    assert sample(samples, "grpc_server_started_total", **rpc) == 0
    for code in ("OK", "InvalidArgument", "FailedPrecondition", "Unavailable", "Internal"):
        assert sample(samples, "grpc_server_handled_total", **rpc, grpc_code=code) == 0

    open_program(grpc_client, [])
    samples = metrics(server)
    for outcome in ("ok", "replayed", "refused", "error"):
        labels = {"program": "bean-street", "command": "record_purchase", "outcome": outcome}
        assert sample(samples, "ledger_commands_total", **labels) == 0
    for kind in ("PURCHASE", "BONUS", "EXPIRY", "ACTIVATION"):
        assert sample(samples, "ledger_points_total", program="bean-street", kind=kind) == 0


def test_metrics_count_requests_that_nobody_can_read(server: RunningServer) -> None:
    """On both ports, written in any way, once each."""
    torn = b"\x0a\x7f"
    with closing(GrpcClient(server.grpc_address)) as client:
        assert failure_of(partial(client.send, "BalanceService/GetBalance"), torn).code == (
            "INVALID_ARGUMENT"
        )
    with closing(JsonClient(server.http_address)) as http:
        for kind, body in (("json", b"{"), ("proto", torn)):
            headers = {"content-type": f"application/{kind}"}
            path = "/ledger.v1.BalanceService/GetBalance"
            assert http.exchange("POST", path, body, headers)[0] == 400
    rpc = {"grpc_type": "unary", "grpc_service": "ledger.v1.BalanceService"}
    rpc |= {"grpc_method": "GetBalance"}
    samples = metrics(server)
    assert sample(samples, "grpc_server_started_total", **rpc) == 3
    assert sample(samples, "grpc_server_handled_total", **rpc, grpc_code="InvalidArgument") == 3


def test_metrics_count_what_happened(client: Client, server: RunningServer) -> None:
    open_program(
        client,
        expiry={"after_months": 1},
        bonuses=[{"id": "welcome", "on": "ENROLLMENT", "points": 50}],
    )
    client.record_purchase(purchase(1))
    client.record_purchase(purchase(1))
    client.record_purchase(purchase(2, "100.00"))
    failure_of(client.record_purchase, purchase(1, request_id="again"))
    failure_of(client.record_purchase, purchase(1, "13.00"))
    failure_of(client.record_purchase, purchase(3, member_id="a-stranger"))
    failure_of(client.record_purchase, purchase(3, program_id="a-strange-program"))
    failure_of(client.get_balance, balance(""))
    client.batch_write(batch(purchase(4), purchase(5), purchase(5)))
    client.get_balance(balance())
    client.list_entries(entries())

    samples = metrics(server)

    def commands(command: str, outcome: str) -> float:
        labels = {"program": "bean-street", "command": command, "outcome": outcome}
        return sample(samples, "ledger_commands_total", **labels)

    def points(kind: str) -> float:
        return sample(samples, "ledger_points_total", program="bean-street", kind=kind)

    def handled(service: str, method: str, code: str) -> float:
        return sample(
            samples,
            "grpc_server_handled_total",
            grpc_type="unary",
            grpc_service=f"ledger.v1.{service}",
            grpc_method=method,
            grpc_code=code,
        )

    assert commands("enroll_member", "ok") == 1
    assert commands("record_purchase", "ok") == 4
    assert commands("record_purchase", "replayed") == 2
    assert commands("record_purchase", "refused") == 2
    assert commands("record_purchase", "error") == 0
    assert (points("BONUS"), points("PURCHASE")) == (50, 12 + 100 + 12 + 12)
    assert handled("PointsService", "RecordPurchase", "OK") == 3
    assert handled("PointsService", "RecordPurchase", "FailedPrecondition") == 1
    assert handled("PointsService", "RecordPurchase", "AlreadyExists") == 1
    assert handled("PointsService", "RecordPurchase", "NotFound") == 2
    assert handled("PointsService", "BatchWrite", "OK") == 1
    assert handled("BalanceService", "GetBalance", "OK") == 1
    assert handled("BalanceService", "GetBalance", "InvalidArgument") == 1
    rpc = {"grpc_type": "unary", "grpc_service": "ledger.v1.PointsService"}
    rpc |= {"grpc_method": "RecordPurchase"}
    assert sample(samples, "grpc_server_started_total", **rpc) == 7
    assert sample(samples, "grpc_server_handling_seconds_count", **rpc) == 7
    assert sample(samples, "ledger_batch_size_sum") >= 9
    assert sample(samples, "ledger_queue_wait_seconds_count") >= 7

    # Time's own entries are counted too, whoever's command comes first after they fell due.
    client.advance_clock(clock("2026-02-10T00:00:00Z"))
    client.record_purchase(purchase(6))
    client.advance_clock(clock("2027-01-01T00:00:00Z"))
    samples = metrics(server)
    assert points("EXPIRY") == 50 + 136 + 12
    assert commands("settle", "ok") == 1


def test_what_a_purchase_makes_expire_is_counted(
    grpc_client: GrpcClient, server: RunningServer
) -> None:
    open_program(grpc_client, expiry={"after_months": 1})
    grpc_client.record_purchase(purchase(1))
    # The clock moves behind the service's back, so that nothing has settled the member yet.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ledger.rpc.programs.settle_due", _settle_nothing)
        grpc_client.advance_clock(clock("2026-06-01T00:00:00Z"))
    receipt = grpc_client.record_purchase(purchase(2, "5.00"))
    assert [entry.points for entry in receipt.entries] == [5]
    assert receipt.balance.version == 4
    samples = metrics(server)
    assert sample(samples, "ledger_points_total", program="bean-street", kind="EXPIRY") == 12


async def _settle_nothing(*_: object) -> int:
    return 0


def test_no_label_names_a_member_a_receipt_or_a_stranger(
    client: Client, server: RunningServer
) -> None:
    open_program(client)
    client.record_purchase(purchase(1, location_id="in-berlin", terminal_id="till-9"))
    failure_of(client.record_purchase, purchase(2, member_id="a-stranger"))
    failure_of(client.record_purchase, purchase(2, program_id="a-strange-program"))
    failure_of(
        client.enroll_member, enrollment("late", effective_time=instant("2030-01-01T00:00:00Z"))
    )
    failure_of(client.get_program, program_pb2.GetProgramRequest(program_id="nowhere"))
    _, _, text = fetched(server, "/metrics")
    for secret in ("m-1", "receipt-", "request-", "stranger", "a-strange-program", "in-berlin",
                   "till-9", "late\"", "nowhere"):  # fmt: skip
        assert secret not in text


def test_metrics_of_a_known_program_are_there_on_every_replica(
    replicas: tuple[RunningServer, RunningServer],
) -> None:
    client = GrpcClient(replicas[0].grpc_address)
    open_program(client)
    client.close()
    other = GrpcClient(replicas[1].grpc_address)
    other.get_balance(balance())
    other.close()
    samples = metrics(replicas[1])
    labels = {"program": "bean-street", "command": "record_purchase", "outcome": "ok"}
    assert sample(samples, "ledger_commands_total", **labels) == 0


def test_every_metric_is_described() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    suffix = {"counter": "_total", "info": "_info"}
    names = {
        family.name + suffix.get(family.type, "")
        for family in Metrics().registry.collect()
        if family.name.startswith(("ledger_", "grpc_"))
    }
    assert len(names) > 25
    assert {name for name in names if name not in text} == set()
