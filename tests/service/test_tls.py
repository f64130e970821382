"""TLS on both ports: who is answered, and files that change while the server runs."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.client import HTTPSConnection
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from structlog.testing import capture_logs

from ledger.client.connection import Connection
from ledger.client.credentials import Credentials
from ledger.client.errors import NoAnswer
from ledger.metrics import Metrics
from ledger.rpc import renewed
from ledger.rpc.options import TlsOptions
from ledger.rpc.renewed import FilesUnusable
from ledger.rpc.tls import Tls
from ledger.v1 import program_pb2
from tests.certificates import Files, chain_of, encrypted, expired, key_of, write
from tests.conftest import RunningServer, running_server
from tests.faults.processes import ServiceProcess, eventually

LIST = program_pb2.ListProgramsRequest()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> Files:
    return Files(tmp_path, authority)


@pytest.fixture
def secured(
    database_url: str, files: Files, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningServer]:
    """A server that speaks TLS, and looks at its files often."""
    monkeypatch.setattr(renewed, "LOOK_SECONDS", 0.05)
    with running_server(database_url, tls=files.options) as running:
        yield running


def port_of(address: str) -> str:
    return f"localhost:{address.rpartition(':')[2]}"


@contextlib.contextmanager
def connected(server: RunningServer, ca: Path) -> Iterator[Connection]:
    """A gRPC client that believes a CA."""
    credentials = Credentials(ca_file=ca)
    with Connection(port_of(server.grpc_address), 5.0, credentials) as connection:
        yield connection


def list_programs(connection: Connection) -> program_pb2.ListProgramsResponse:
    method, answer = connection.programs.ListPrograms, program_pb2.ListProgramsResponse
    return connection.call(method, LIST, answer)


def ask(connection: HTTPSConnection) -> int:
    """The status of a call over HTTP."""
    path, headers = "/ledger.v1.ProgramService/ListPrograms", {"content-type": "application/json"}
    connection.request("POST", path, b"{}", headers)
    with connection.getresponse() as response:
        response.read()
        return response.status


def https(server: RunningServer, ca: Path) -> HTTPSConnection:
    context = ssl.create_default_context(cafile=str(ca))
    return HTTPSConnection(port_of(server.http_address), timeout=5, context=context)


def serial_at(address: str) -> int:
    """The serial number of the certificate that is shown to a new connection."""
    host, _, port = address.rpartition(":")
    pem = ssl.get_server_certificate((host, int(port)), timeout=5)
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def shows(address: str, serial: int) -> bool:
    return serial_at(address) == serial


def metric(server: RunningServer, name: str, **labels: str) -> float | None:
    registry = server.service._metrics.registry
    value = registry.get_sample_value(name, labels)
    return value


def test_both_ports_speak_tls(secured: RunningServer, files: Files) -> None:
    with connected(secured, files.ca) as connection:
        list_programs(connection)
    assert ask(https(secured, files.ca)) == 200
    ends = metric(secured, "ledger_certificate_expiry_timestamp_seconds", certificate="server")
    pem = files.certificate.read_bytes()
    assert ends == x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()


def test_who_speaks_plain_text_is_not_answered(secured: RunningServer) -> None:
    plain = f"http://{secured.grpc_address}"
    with Connection(plain, 2.0) as connection, pytest.raises(NoAnswer):
        list_programs(connection)
    with pytest.raises(OSError, match=r"reset|closed|refused"):  # without a word of HTTP
        urllib.request.urlopen(f"http://{secured.http_address}/healthz", timeout=5)


def test_a_client_does_not_take_the_certificate_of_somebody_else(
    secured: RunningServer, tmp_path: Path
) -> None:
    other = write(tmp_path / "other.pem", trustme.CA().cert_pem.bytes())
    with connected(secured, other) as connection, pytest.raises(NoAnswer):
        list_programs(connection)
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(https(secured, other))


@pytest.mark.parametrize("port", ["grpc", "http"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_of_tls_are_refused(secured: RunningServer, port: str) -> None:
    address = secured.grpc_address if port == "grpc" else secured.http_address
    host, _, number = address.rpartition(":")

    def version(most: ssl.TLSVersion) -> str | None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.set_alpn_protocols(["h2"] if port == "grpc" else ["http/1.1"])
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, most
        with socket.create_connection((host, int(number)), timeout=5) as plain:
            return context.wrap_socket(plain).version()

    with pytest.raises(OSError, match=r"(?i)alert|version|protocol|reset"):
        version(ssl.TLSVersion.TLSv1_1)
    assert version(ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert version(ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


def test_a_new_certificate_is_shown_to_new_connections_and_open_ones_go_on(
    secured: RunningServer, files: Files
) -> None:
    before = serial_at(secured.grpc_address)
    assert before == serial_at(secured.http_address)
    web = https(secured, files.ca)
    with connected(secured, files.ca) as connection:
        list_programs(connection)
        assert ask(web) == 200
        socket_before = web.sock

        after = files.renew(trustme.CA())

        for address in (secured.grpc_address, secured.http_address):
            eventually("a new certificate", partial(shows, address, after))
        # Both clients would not believe the new one: they are still on their old connections.
        list_programs(connection)
        assert ask(web) == 200
        assert web.sock is socket_before
    web.close()
    with connected(secured, files.ca) as connection, pytest.raises(NoAnswer):
        list_programs(connection)


def test_a_broken_file_changes_nothing_and_is_told_of(secured: RunningServer, files: Files) -> None:
    before = serial_at(secured.grpc_address)
    unusable = "ledger_files_unusable"
    assert metric(secured, unusable, files="certificate") == 0
    with capture_logs() as logs:
        write(files.certificate, b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
        eventually("told of", lambda: metric(secured, unusable, files="certificate") == 1)
        assert serial_at(secured.grpc_address) == serial_at(secured.http_address) == before
        after = files.renew()
        eventually("all well", lambda: metric(secured, unusable, files="certificate") == 0)
    assert serial_at(secured.grpc_address) == serial_at(secured.http_address) == after
    [error] = [entry for entry in logs if entry["log_level"] == "error"]
    assert str(files.certificate) in error["detail"]
    assert "is no certificate in PEM" in error["detail"]


def test_files_that_were_there_a_moment_ago_are_missed(
    secured: RunningServer, files: Files
) -> None:
    before = serial_at(secured.http_address)
    files.key.unlink()
    eventually(
        "told of", lambda: metric(secured, "ledger_files_unusable", files="certificate") == 1
    )
    assert serial_at(secured.http_address) == before


def test_every_unusable_file_is_named(tmp_path: Path, authority: trustme.CA) -> None:
    good, other = (authority.issue_cert("localhost") for _ in range(2))
    past = expired(authority, "localhost")
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    cases = [
        (None, key_of(good), "LEDGER_TLS_CERTIFICATE", "No such file"),
        (chain_of(good), None, "LEDGER_TLS_KEY", "No such file"),
        (b"", key_of(good), "LEDGER_TLS_CERTIFICATE", "is no certificate in PEM"),
        (key_of(good), key_of(good), "LEDGER_TLS_CERTIFICATE", "is no certificate in PEM"),
        (chain_of(good) * 2, key_of(good), "", ""),
        (chain_of(good) + chain_of(good)[:-9], key_of(good), "LEDGER_TLS_CERTIFICATE", "not whole"),
        (chain_of(good) + b"-----BEGIN", key_of(good), "LEDGER_TLS_CERTIFICATE", "not whole"),
        (chain_of(good), b"", "LEDGER_TLS_KEY", "is no private key in PEM"),
        (chain_of(good), chain_of(good), "LEDGER_TLS_KEY", "is no private key in PEM"),
        (chain_of(good), encrypted(key_of(good)), "LEDGER_TLS_KEY", "is encrypted"),
        (chain_of(good), key_of(other), "LEDGER_TLS_KEY", "is not the key of"),
        (chain_of(past), key_of(past), "LEDGER_TLS_CERTIFICATE", "expired at"),
    ]
    for chain, secret, setting, says in cases:
        for path, data in ((certificate, chain), (key, secret)):
            path.unlink(missing_ok=True)
            if data is not None:
                path.write_bytes(data)
        if not setting:
            assert Tls(TlsOptions(certificate, key), Metrics())
            continue
        with pytest.raises(FilesUnusable) as unusable:
            Tls(TlsOptions(certificate, key), Metrics())
        told = str(unusable.value)
        assert told.startswith(f"{setting}: {certificate if 'CERT' in setting else key}: ")
        assert says in told
        assert "PRIVATE" not in told


def test_workers_speak_tls_and_renew_it(database_url: str, files: Files, tmp_path: Path) -> None:
    environment = {
        "LEDGER_DATABASE_URL": database_url,
        "LEDGER_TLS_CERTIFICATE": str(files.certificate),
        "LEDGER_TLS_KEY": str(files.key),
        "LEDGER_WORKERS": "2",
    }
    with ServiceProcess(environment, tmp_path / "log") as service:
        service.start(wait=False)
        web_address = service.environment["LEDGER_HTTP_ADDRESS"]
        web = f"localhost:{web_address.rpartition(':')[2]}"
        context = ssl.create_default_context(cafile=str(files.ca))

        def get(path: str) -> str | None:
            try:
                with urllib.request.urlopen(
                    f"https://{web}{path}", timeout=5, context=context
                ) as page:
                    return str(page.read().decode())
            except OSError:
                return None

        eventually("ready", lambda: get("/readyz"), 60)
        assert 'ledger_files_unusable{files="certificate"} 0.0' in (get("/metrics") or "")
        after = files.renew()
        seen = [0]

        def all_new() -> bool:
            """Many connections, so that every worker gets some."""
            seen[:] = [serial_at(service.grpc_address) for _ in range(8)]
            seen.extend(serial_at(web_address) for _ in range(8))
            return set(seen) == {after}

        eventually("renewed by all workers", all_new)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_refuses_files_that_it_can_not_use(
    database_url: str, files: Files, workers: str
) -> None:
    write(files.key, b"nonsense")
    environment = {
        **os.environ,
        "LEDGER_DATABASE_URL": database_url,
        "LEDGER_TLS_CERTIFICATE": str(files.certificate),
        "LEDGER_TLS_KEY": str(files.key),
        "LEDGER_WORKERS": workers,
    }
    command = [sys.executable, "-m", "ledger", "serve"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "is no private key in PEM" in " ".join(ended.stderr.split())


def test_a_demo_is_not_served_by_tls(files: Files) -> None:
    environment = {
        **os.environ,
        "LEDGER_TLS_CERTIFICATE": str(files.certificate),
        "LEDGER_TLS_KEY": str(files.key),
    }
    command = [sys.executable, "-m", "ledger", "serve", "--demo"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "ledger program apply" in ended.stderr


def test_without_tls_only_this_machine_is_served() -> None:
    command = [sys.executable, "-m", "ledger", "serve", "--grpc-address", "0.0.0.0:0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    told = " ".join(ended.stderr.split())
    assert "0.0.0.0 can be reached from other machines" in told
    assert "LEDGER_BEHIND_TLS_PROXY" in told
