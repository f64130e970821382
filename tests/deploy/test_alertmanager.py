"""A real Alertmanager with the routes that are deployed: who is told, and what is kept quiet."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.places import DEPLOY, program
from tests.faults.processes import eventually, free_port

pytestmark = pytest.mark.timeout(60)

#: a receiver, and job and name of an alert that was told to it
Told = tuple[str, str, str]


class Receiver:
    """What people's pagers are: notes who was told what."""

    def __init__(self) -> None:
        told: queue.SimpleQueue[Told] = queue.SimpleQueue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                for alert in body["alerts"]:
                    labels = alert["labels"]
                    told.put((self.path.strip("/"), labels["job"], labels["alertname"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self._told = told
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def told(self) -> set[Told]:
        """What has come since this was asked last."""
        found = set()
        while not self._told.empty():
            found.add(self._told.get())
        return found


def quick(config: dict[str, Any], address: str) -> dict[str, Any]:
    """The same, without waiting for more alerts before somebody is told."""
    text = yaml.safe_dump(config).replace("alert-receiver:9094", address)
    found: dict[str, Any] = yaml.safe_load(text)
    for route in (found["route"], *found["route"]["routes"]):
        route["group_wait"] = "300ms"
    return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def alertmanager(tmp_path: Path, receiver: Receiver) -> Iterator[str]:
    """The address of a running Alertmanager."""
    config = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text())
    (tmp_path / "config.yml").write_text(yaml.safe_dump(quick(config, receiver.address)))
    address = f"127.0.0.1:{free_port()}"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program("prometheus-alertmanager"),
                f"--config.file={tmp_path / 'config.yml'}",
                f"--storage.path={tmp_path / 'data'}",
                f"--web.listen-address={address}",
                "--cluster.listen-address=",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://{address}/-/ready", timeout=1):
                return True
        except OSError:
            return False

    try:
        eventually("Alertmanager is ready", ready, 15)
        yield address
    finally:
        process.kill()
        process.wait(10)


def fire(address: str, *alerts: dict[str, str]) -> None:
    body = json.dumps([{"labels": {"job": "ledger", **labels}} for labels in alerts]).encode()
    request = urllib.request.Request(
        f"http://{address}/api/v2/alerts", body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5):
        pass


def test_what_follows_from_a_fault_does_not_ring_as_well(
    alertmanager: str, receiver: Receiver
) -> None:
    fire(
        alertmanager,
        {"alertname": "LedgerDatabaseDown", "severity": "page", "instance": "one"},
        {"alertname": "LedgerCallsFailFast", "severity": "page", "slo": "availability"},
        {"alertname": "LedgerCallsFail", "severity": "ticket", "slo": "availability"},
        {"alertname": "LedgerDueLag", "severity": "ticket"},
        {"alertname": "LedgerDrift", "severity": "page", "check": "lots"},
        {"alertname": "LedgerDueLag", "severity": "ticket", "job": "another"},
        {"alertname": "LedgerWatchdog", "severity": "none"},
    )
    told: set[Told] = set()
    wanted = {
        ("pager", "ledger", "LedgerDatabaseDown"),
        ("pager", "ledger", "LedgerDrift"),
        ("tickets", "another", "LedgerDueLag"),
        ("heartbeat", "ledger", "LedgerWatchdog"),
    }

    def all_are_told() -> bool:
        told.update(receiver.told())
        return told >= wanted

    eventually("who is on call is told", all_are_told, 10)
    time.sleep(1)  # for what should not come
    assert told | receiver.told() == wanted
