"""A connection to the HTTP port is kept for as long as it is of use, and no longer."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ledger.rpc import http_protocol
from tests.conftest import RunningServer
from tests.service.client import GrpcClient
from tests.service.requests import PROGRAM, open_program, purchase
from tests.service.streams import watch
from tests.service.test_watching import eventually, open_streams, watching

PATIENCE = 0.5
BALANCE = "/ledger.v1.BalanceService/GetBalance"
HEAD = f"POST {BALANCE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
BODY = json.dumps({"programId": PROGRAM, "memberId": "m-1"}).encode()
WHOLE = f"{HEAD}content-length: {len(BODY)}\r\n\r\n".encode() + BODY


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "PATIENCE_SECONDS", PATIENCE)


@pytest.fixture
def connection(impatient: None, server: RunningServer) -> Iterator[socket.socket]:
    """A connection to a server that does not wait long for a request."""
    host, _, port = server.http_address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        yield connection


def slowly(connection: socket.socket, data: bytes, stop: threading.Event) -> None:
    """Send a byte at a time, until all of it is sent or nobody takes more."""
    for byte in data:
        try:
            connection.sendall(bytes([byte]))
        except OSError:
            return
        if stop.wait(PATIENCE / 5):
            return


def silent(connection: socket.socket, stop: threading.Event) -> None:
    pass


def in_the_head(connection: socket.socket, stop: threading.Event) -> None:
    connection.sendall(HEAD.encode())


def head_by_bytes(connection: socket.socket, stop: threading.Event) -> None:
    slowly(connection, HEAD.encode(), stop)


def in_the_body(connection: socket.socket, stop: threading.Event) -> None:
    connection.sendall(WHOLE[:-5])


def body_by_bytes(connection: socket.socket, stop: threading.Event) -> None:
    connection.sendall(f"{HEAD}content-length: 1000\r\n\r\n".encode())
    slowly(connection, b" " * 1000, stop)


def in_the_second_request(connection: socket.socket, stop: threading.Event) -> None:
    connection.sendall(WHOLE + WHOLE[:-5])


@pytest.mark.parametrize(
    "send",
    [silent, in_the_head, head_by_bytes, in_the_body, body_by_bytes, in_the_second_request],
)
def test_who_does_not_send_a_request_is_not_waited_for(
    send: Callable[[socket.socket, threading.Event], None],
    connection: socket.socket,
    server: RunningServer,
) -> None:
    open_connections = server.service._http._server.server_state.connections
    stop = threading.Event()
    sender = threading.Thread(target=send, args=(connection, stop))
    sender.start()
    received = b"?"
    try:
        while received:
            received = connection.recv(65_536)
    except ConnectionResetError:
        pass
    stop.set()
    sender.join()
    eventually(lambda: not open_connections)


def test_who_sends_requests_one_after_the_other_may_go_on_for_longer(
    connection: socket.socket, grpc_client: GrpcClient
) -> None:
    open_program(grpc_client)
    until = time.monotonic() + 3 * PATIENCE
    while time.monotonic() < until:
        connection.sendall(WHOLE)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert json.load(answer)["version"] == "1"
        time.sleep(PATIENCE / 5)


def test_who_waits_for_news_is_not_hurried(
    impatient: None, server: RunningServer, grpc_client: GrpcClient
) -> None:
    open_program(grpc_client)
    with watch(server, watching(), "connect-json") as stream:
        assert next(stream).balance.version == 1
        time.sleep(3 * PATIENCE)
        version = grpc_client.record_purchase(purchase(1)).balance.version
        assert next(stream).balance.version == version
    eventually(lambda: open_streams(server) == 0)
