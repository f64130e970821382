"""A real Prometheus looks at the real service: in health every picture has something to show and
nobody is told anything; and each fault that is made tells somebody.

Everything is made for real, but for two things that would take days: that nobody verified for three
days is written into the database, and so is that an entry has been due for an hour.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from ledger.store.migrate import migrate
from tests.deploy import scene
from tests.deploy.places import alerts, program, rules
from tests.deploy.watching import Prometheus, faster, panel_expressions
from tests.faults.postgres_proxy import PostgresProxy
from tests.faults.processes import PrivatePostgres, private_postgres
from tests.service.client import GrpcClient
from tests.service.requests import PROGRAM, enrollment
from tests.service.requests import program as new_program

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300), pytest.mark.xdist_group("prometheus")]

#: not for anybody
ALWAYS = {"LedgerWatchdog"}
#: how quick a service is that shares a busy machine with other tests says nothing of the rules
SLOW = {"LedgerCallsSlow", "LedgerCallsSlowFast"}
#: for an alert to fire; most take some seconds, and a busy machine takes its time
PATIENCE_SECONDS = 40.0


@dataclass
class Scene:
    """Everything that runs."""

    prometheus: Prometheus
    postgres: PrivatePostgres
    #: of the database, past the proxy
    url: str
    proxy: PostgresProxy
    #: two workers, which the tills call; and another instance, of one process
    first: scene.Service
    second: scene.Service
    tills: scene.Tills
    certificates: scene.Certificates
    disk: scene.NodeExporter


@pytest.fixture(scope="module")
def watched() -> Iterator[Scene]:
    """The service under load, and Prometheus, which has looked at it for a while."""
    program("prometheus")
    program("prometheus-node-exporter")
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="watched-")))
        certificates = scene.Certificates(directory / "tls")
        disk = stack.enter_context(scene.NodeExporter(directory))
        postgres = stack.enter_context(private_postgres())
        url = postgres.create_database("ledger")
        migrate(url)
        proxy = stack.enter_context(PostgresProxy(url))
        settings = {
            **certificates.settings,
            "LEDGER_DATABASE_URL": proxy.url(),
            "LEDGER_CENSUS_SECONDS": "1",
            "LEDGER_VERIFY_RATE": "5000",
            "LEDGER_QUEUE_LIMIT": "100",
        }
        first, second = (
            stack.enter_context(
                scene.Service({**settings, "LEDGER_WORKERS": workers}, directory / f"{workers}.log")
            ).start()
            for workers in ("2", "1")
        )
        client = GrpcClient(
            first.grpc_address,
            [("grpc.ssl_target_name_override", "ledger")],
            ca=certificates.ca.read_bytes(),
        )
        client.create_program(new_program(sandbox=False, members={"auto_enroll": True}))
        for member_id in ("left-behind", "contradicted", *scene.MEMBERS):
            client.enroll_member(enrollment(member_id))
        client.close()
        tills = stack.enter_context(scene.Tills(first.grpc_address, certificates.ca))
        targets = {
            "ledger": [each.environment["LEDGER_HTTP_ADDRESS"] for each in (first, second)],
            "ledger-database-node": [disk.address],
        }
        prometheus = stack.enter_context(Prometheus(directory, targets, certificates.ca))
        yield Scene(prometheus, postgres, url, proxy, first, second, tills, certificates, disk)


def test_in_health_every_panel_and_every_recorded_series_has_data_and_nobody_is_told(
    watched: Scene,
) -> None:
    asked = panel_expressions(PROGRAM)
    asked += [(rule["record"], faster(rule["expr"])) for rule in rules() if "record" in rule]
    asked += [(rule["record"], rule["record"]) for rule in rules() if "record" in rule]
    assert len(asked) > 60
    silent: list[tuple[str, str]] = []

    def all_have_data() -> bool:
        silent[:] = [(where, what) for where, what in asked if not watched.prometheus.query(what)]
        return not silent

    try:
        watched.prometheus.wait_until("every expression has data", all_have_data, 30)
    except TimeoutError:
        pytest.fail("\n".join(["no data for", *(f"{where}\n    {what}" for where, what in silent)]))
    assert watched.prometheus.firing() - SLOW == ALWAYS
    assert {rule["health"] for rule in watched.prometheus.rules()} == {"ok"}
    assert watched.first.is_healthy()
    assert watched.tills.ended["OK"] > 100
    assert set(watched.tills.ended) == {"OK", "FAILED_PRECONDITION"}


def test_each_alert_fires_when_its_fault_is_made(watched: Scene) -> None:
    prometheus, fired = watched.prometheus, set[str]()

    def expect(*names: str) -> None:
        prometheus.wait_for_alerts(set(names), PATIENCE_SECONDS)
        fired.update(names)

    expect("LedgerWatchdog")

    # What is wrong with the state.
    with scene.member_left_behind(watched.url, "left-behind"):
        scene.contradict(watched.url, "contradicted")
        scene.grow(watched.url)
        scene.replace_certificate(watched.certificates, timedelta(minutes=30))
        expect("LedgerDrift", "LedgerDueLag", "LedgerDatabaseGrows")
        expect("LedgerCertificateExpires", "LedgerCertificateExpiresSoon")
        scene.forget_to_verify(watched.url)
        with scene.key_spoiled(watched.certificates):
            expect("LedgerVerificationStale", "LedgerFilesUnusable")

    with watched.tills.watching("m-1"), scene.transaction_left_open(watched.url):
        expect("LedgerFeedLag")

    # Processes that end.
    watched.second.kill()
    second_worker = 'process_start_time_seconds{worker="2"}'
    with scene.worker_dying(watched.first.pid, lambda: prometheus.query(second_worker)):
        expect("LedgerInstanceDown", "LedgerRestarts")
    with scene.worker_dying(watched.first.pid, time.monotonic):
        expect("LedgerWorkerMissing")

    # Somebody locks what everybody needs, for moments, and then for good.
    watched.tills.width = 50
    with scene.accounts_contended(watched.url):
        expect("LedgerCallsSlowFast", "LedgerCallsSlow")
    watched.tills.width = 150
    with scene.accounts_locked(watched.url):
        expect("LedgerCallsFailFast", "LedgerCallsFail")
        expect("LedgerQueueWaits", "LedgerOverloaded")
    watched.tills.width = 6

    # The database is lost at the moment of a COMMIT, and stays away.
    watched.proxy.cut_after_commit().wait()
    watched.proxy.refuse_connections()
    watched.postgres.kill()
    expect("LedgerDatabaseDown", "LedgerCommitUnknown")

    # Nobody is there any more.
    watched.first.kill()
    expect("LedgerDown")

    assert fired == set(alerts()) - DISK


DISK = {"LedgerDiskFills", "LedgerDiskFull"}


def test_a_disk_that_fills_is_told(watched: Scene) -> None:
    if watched.disk.why_not:
        pytest.skip(f"no file system can be mounted here: {watched.disk.why_not}")
    watched.disk.fill()
    watched.prometheus.wait_for_alerts(DISK, PATIENCE_SECONDS)
