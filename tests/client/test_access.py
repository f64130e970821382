"""Tills that show a key, over TLS: accepted, refused when it is revoked, and nothing lost of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from ledger.client import Credentials, LedgerClient, NoAnswer, NotAllowed, OfflineQueue, Till
from ledger.rpc import access
from tests.certificates import Files
from tests.conftest import RunningServer, running_server
from tests.faults.processes import eventually
from tests.service.client import GrpcClient
from tests.service.credentials import make_key, revoke
from tests.service.requests import PROGRAM, program


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path, trustme.CA())


@pytest.fixture
def secured(
    database_url: str, files: Files, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningServer]:
    """A server that speaks TLS, has a program, and wants a credential."""
    monkeypatch.setattr(access, "REFRESH_SECONDS", 0.1)
    with running_server(database_url) as plain:
        ledger = GrpcClient(plain.grpc_address)
        ledger.create_program(program(sandbox=False, members={"auto_enroll": True}))
        ledger.close()
    make_key(database_url, "admin")
    with running_server(database_url, tls=files.options) as running:
        yield running


def client_of(server: RunningServer, files: Files, key: str) -> LedgerClient:
    port = server.grpc_address.rpartition(":")[2]
    return LedgerClient(
        f"localhost:{port}",
        PROGRAM,
        credentials=Credentials(api_key=key, ca_file=files.ca),
        timeout_seconds=3.0,
    )


def test_a_till_is_known_by_its_key_and_keeps_what_is_refused_for_it(
    secured: RunningServer, files: Files, queue_path: Path
) -> None:
    first = make_key(secured.database_url, "till", [PROGRAM], name="till-7")
    with OfflineQueue(queue_path, PROGRAM) as queue:
        with client_of(secured, files, first) as client, Till(client, queue) as till:
            item = till.purchase("m-1", "5.00")
            assert item.receipt is not None
            assert item.receipt.entries[0].actor.startswith("key:till-7")
            till.acknowledge(item)

            revoke(secured.database_url, first)
            eventually("the key is refused", lambda: _refused(client))
            waiting = till.purchase("m-1", "6.00")
            assert waiting.state == "waiting"
            assert not till.online
            with pytest.raises(NotAllowed):
                till.upload()
            assert first not in str(till.queue.waiting())

        second = make_key(secured.database_url, "till", [PROGRAM], name="till-7")
        with client_of(secured, files, second) as client:
            (recorded,) = Till(client, queue).upload()
            assert recorded.request_id == waiting.request_id
            assert recorded.state == "recorded"
            assert [entry.points for entry in client.entries("m-1")] == [6, 5, 0]


def test_a_key_for_another_program_keeps_everything_in_the_queue(
    secured: RunningServer, files: Files, queue: OfflineQueue
) -> None:
    key = make_key(secured.database_url, "till", ["tea"])
    queue.remember(
        "program",
        {"program_id": PROGRAM, "display_name": "", "currency": "EUR", "time_zone": "Europe/Berlin",
         "sandbox": False},
    )  # fmt: skip
    with client_of(secured, files, key) as client, Till(client, queue) as till:
        assert till.purchase("m-1", "5.00").state == "waiting"
        assert not till.online
        assert queue.counts() == (1, 0)


def test_who_is_not_known_by_its_ca_is_not_talked_to(
    secured: RunningServer, files: Files, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(trustme.CA().cert_pem.bytes())
    port = secured.grpc_address.rpartition(":")[2]
    for address, credentials in (
        (f"localhost:{port}", Credentials(ca_file=other)),
        (f"http://localhost:{port}", Credentials()),
    ):
        with (
            LedgerClient(address, PROGRAM, credentials=credentials, timeout_seconds=2.0) as client,
            pytest.raises(NoAnswer),
        ):
            client.program()


def _refused(client: LedgerClient) -> bool:
    try:
        client.program()
    except NotAllowed:
        return True
    return False
