"""Every way in leads to the same service: gRPC, Connect with JSON, binary and GET, gRPC-Web."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ledger.v1 import program_pb2
from tests.conftest import RunningServer, running_server
from tests.service.client import (
    Client,
    ConnectClient,
    ConnectGetClient,
    GrpcClient,
    GrpcWebClient,
    HttpClient,
    JsonClient,
    failure_of,
)
from tests.service.requests import PROGRAM, balance, open_program, purchase

Make = Callable[[RunningServer], Client]

CLIENTS: dict[str, Make] = {
    "grpc": lambda server: GrpcClient(server.grpc_address),
    "connect-json": lambda server: JsonClient(server.http_address),
    "connect-binary": lambda server: ConnectClient(server.http_address),
    "connect-get": lambda server: ConnectGetClient(server.http_address),
    "grpc-web": lambda server: GrpcWebClient(server.http_address),
}


@pytest.mark.parametrize("transport", CLIENTS)
def test_every_transport_answers_and_refuses_alike(
    transport: str, shared_server: RunningServer
) -> None:
    setup = GrpcClient(shared_server.grpc_address)
    program_id = f"by-{transport}"
    open_program(setup, program_id=program_id)
    client = CLIENTS[transport](shared_server)
    writer = setup if isinstance(client, ConnectGetClient) else client

    receipt = writer.record_purchase(purchase(1, "12.99", program_id=program_id))
    assert [entry.points for entry in receipt.entries] == [12]
    assert client.get_balance(balance(program_id=program_id)) == receipt.balance

    unknown = failure_of(client.get_balance, balance("nobody", program_id=program_id))
    assert (unknown.code, unknown.reason, unknown.domain) == (
        "NOT_FOUND",
        "MEMBER_NOT_FOUND",
        "ledger",
    )
    assert unknown.metadata == {"program_id": program_id, "member_id": "nobody"}
    malformed = failure_of(client.get_balance, balance("", program_id=program_id))
    assert (malformed.code, malformed.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert malformed.fields == ["member_id"]
    client.close()
    setup.close()


def test_a_method_that_writes_is_not_answered_to_get(shared_server: RunningServer) -> None:
    client = HttpClient(shared_server.http_address)
    code, _, _ = client.exchange(
        "GET", "/ledger.v1.PointsService/RecordPurchase?encoding=json&message={}", None, {}
    )
    assert code == 405
    client.close()


def test_json_is_what_protojson_says(shared_server: RunningServer) -> None:
    client = JsonClient(shared_server.http_address)
    open_program(client)
    receipt = client.post(
        "PointsService/RecordPurchase",
        {
            "programId": PROGRAM,
            "member_id": "m-1",  # protojson takes both spellings
            "requestId": "r-1",
            "purchaseId": "p-1",
            "amount": {"currencyCode": "EUR", "units": "12", "nanos": 990000000},
        },
    )
    assert receipt["balance"]["availablePoints"] == "12"
    assert receipt["entries"][0]["kind"] == "ENTRY_KIND_PURCHASE"
    assert receipt["entries"][0]["createTime"] == "2026-01-10T09:00:00Z"
    client.close()


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/json"])
def test_an_empty_body_is_an_empty_request(content_type: str, shared_server: RunningServer) -> None:
    client = JsonClient(shared_server.http_address)
    answer = client.send("ProgramService/ListPrograms", b"", headers={"content-type": content_type})
    assert isinstance(json.loads(answer), dict)
    client.close()


@pytest.mark.parametrize("transport", CLIENTS)
def test_an_unknown_method_is_unimplemented(transport: str, shared_server: RunningServer) -> None:
    client = CLIENTS[transport](shared_server)
    if isinstance(client, HttpClient):
        # Every protocol on HTTP reads a 404 as UNIMPLEMENTED; a body can say so besides.
        code, body, kind = client.exchange(
            "POST",
            "/ledger.v1.PointsService/StealPoints",
            b"{}",
            {"content-type": client.content_type},
        )
        assert (code, kind) == (404, "application/json")
        assert json.loads(body)["code"] == "unimplemented"
    else:
        failure = failure_of(
            lambda request: client.call("PointsService/StealPoints", request, type(request)),
            program_pb2.GetProgramRequest(),
        )
        assert failure.code == "UNIMPLEMENTED"
    client.close()


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("localhost:8080", 200),
        ("LOCALHOST", 200),
        ("127.9.8.7:1", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("localhost.evil.example:8080", 421),
        ("127.0.0.1.evil.example", 421),
        ("10.0.0.1", 421),
    ],
)
def test_in_development_mode_only_names_of_this_machine_are_answered(
    host: str, code: int, shared_server: RunningServer
) -> None:
    """A page whose name was made to point here would be an administrator."""
    client = HttpClient(shared_server.http_address)
    list_programs = "/ledger.v1.ProgramService/ListPrograms"
    headers = {"Host": host, "Content-Type": "application/json"}
    answered, body, _ = client.exchange("POST", list_programs, b"{}", headers)
    assert answered == code
    assert (b"Host must be localhost" in body) == (code == 421)
    assert client.exchange("GET", "/metrics", None, {"Host": host})[0] == code
    client.close()


def test_with_credentials_any_name_is_answered(database_url: str) -> None:
    with running_server(database_url, development=False) as server:
        client = HttpClient(server.http_address)
        assert client.exchange("GET", "/healthz", None, {"Host": "ledger.example"})[0] == 200
        client.close()
