"""The service under load, what it stands on, and the faults that are made for its alerts."""

from __future__ import annotations

import contextlib
import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import psutil
import trustme

from ledger.v1 import (
    balance_pb2,
    balance_pb2_grpc,
    points_pb2_grpc,
    redemption_pb2,
    redemption_pb2_grpc,
)
from tests.deploy.places import DEPLOY, program, run
from tests.faults.processes import ServiceProcess, connect, eventually, free_port
from tests.service.requests import PROGRAM, purchase

MEMBERS = [f"m-{number}" for number in range(1, 21)]


class Tills:
    """Clients that buy, look and redeem, now and then more than there is, in rounds of `width`
    calls at once, until stopped."""

    def __init__(self, address: str, ca: Path) -> None:
        self.width = 6
        #: how calls ended, by status
        self.ended: Counter[str] = Counter()
        credentials = grpc.ssl_channel_credentials(ca.read_bytes())
        options = [
            ("grpc.ssl_target_name_override", "ledger"),
            ("grpc.max_reconnect_backoff_ms", 250),
            ("grpc.initial_reconnect_backoff_ms", 50),
        ]
        self._channel = grpc.secure_channel(address, credentials, options)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tills")

    def __enter__(self) -> Tills:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopping.set()
        self._thread.join(30)
        self._channel.close()
        assert not self._thread.is_alive(), "a call was not answered"

    @contextlib.contextmanager
    def watching(self, member_id: str) -> Iterator[None]:
        """Within the block somebody watches the balance of a member."""
        stub = balance_pb2_grpc.BalanceServiceStub(self._channel)
        request = balance_pb2.WatchBalanceRequest(program_id=PROGRAM, member_id=member_id)
        stream = stub.WatchBalance(request)
        next(stream)
        try:
            yield
        finally:
            stream.cancel()

    def _run(self) -> None:
        points = points_pb2_grpc.PointsServiceStub(self._channel)
        balances = balance_pb2_grpc.BalanceServiceStub(self._channel)
        redemptions = redemption_pb2_grpc.RedemptionServiceStub(self._channel)
        serial = 0
        while not self._stopping.is_set():
            calls: list[Any] = []
            for _ in range(self.width):
                serial += 1
                member = MEMBERS[serial % len(MEMBERS)]
                request = purchase(serial, "12.00", member_id=member)
                calls.append(points.RecordPurchase.future(request, timeout=15))
                if serial % 4 == 0:
                    look = balance_pb2.GetBalanceRequest(program_id=PROGRAM, member_id=member)
                    calls.append(balances.GetBalance.future(look, timeout=15))
                    spend = redemption_pb2.RedeemPointsRequest(
                        program_id=PROGRAM,
                        member_id=member,
                        request_id=f"redeem-{serial}",
                        points=1 if serial % 20 else 1_000_000,
                    )
                    calls.append(redemptions.RedeemPoints.future(spend, timeout=15))
            for call in calls:
                self.ended[call.code().name] += 1
            self._stopping.wait(0.1)


class Service(ServiceProcess):
    """`ledger serve` with TLS, as it is deployed. `CA` of its environment is the authority."""

    def is_ready(self) -> bool:
        context = ssl.create_default_context(cafile=self.environment["CA"])
        context.check_hostname = False
        url = f"https://{self.environment['LEDGER_HTTP_ADDRESS']}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=1, context=context) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def is_healthy(self) -> bool:
        """What the check of the container says."""
        check = [sys.executable, str(DEPLOY / "docker" / "healthcheck.py")]
        environment = {**os.environ, **self.environment}
        return subprocess.run(check, env=environment, capture_output=True).returncode == 0


class NodeExporter:
    """Debian's node_exporter, with one small file system of the test's own to fill.

    Mounting needs root, and a machine that lets it: `why_not` says what it said otherwise.
    """

    def __init__(self, directory: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._mount = directory / "disk"
        self._mount.mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", self._mount],
            capture_output=True,
            text=True,
        )
        self.why_not = mounted.stderr.strip()

    def __enter__(self) -> NodeExporter:
        self._process = subprocess.Popen(
            [
                program("prometheus-node-exporter"),
                *("--collector.disable-defaults", "--collector.filesystem"),
                f"--web.listen-address={self.address}",
            ],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)
        if not self.why_not:
            subprocess.run(["umount", "--lazy", self._mount], check=True)

    def fill(self) -> None:
        """Leave little of the disk, as a log that nobody rotates does: bit by bit."""
        for piece in range(15):
            (self._mount / f"log.{piece}").write_bytes(b"\0" * (2 << 20))
            time.sleep(0.15)


@dataclass
class Certificates:
    """What certificates.sh of deploy/compose makes."""

    directory: Path

    def __post_init__(self) -> None:
        run("sh", DEPLOY / "compose" / "certificates.sh", self.directory)

    @property
    def ca(self) -> Path:
        return self.directory / "ca.crt"

    @property
    def settings(self) -> dict[str, str]:
        return {
            "LEDGER_TLS_CERTIFICATE": str(self.directory / "ledger.crt"),
            "LEDGER_TLS_KEY": str(self.directory / "ledger.key"),
            "CA": str(self.ca),
        }


# -- faults --------------------------------------------------------------------------------------


def execute(url: str, *statements: str) -> None:
    with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@contextlib.contextmanager
def member_left_behind(url: str, member_id: str) -> Iterator[None]:
    """Within the block something of a member has been due for an hour, and cannot be posted:
    somebody holds the account locked."""
    with (
        contextlib.closing(connect(url)) as first,
        contextlib.closing(connect(url)) as second,
        first.cursor() as change,
        second.cursor() as hold,
    ):
        change.execute("BEGIN")
        change.execute(
            "UPDATE accounts SET due_at = now() - interval '1 hour' WHERE member_id = %s",
            (member_id,),
        )
        hold.execute("BEGIN")
        # It waits for the change, and has the account before the service can see what is due.
        lock = "SELECT FROM accounts WHERE member_id = %s FOR UPDATE"
        waiting = threading.Thread(target=hold.execute, args=(lock, (member_id,)))
        waiting.start()
        eventually("the lock is waited for", lambda: _waits_for_lock(url), 5.0)
        change.execute("COMMIT")
        waiting.join(5)
        yield


def _waits_for_lock(url: str) -> bool:
    with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND query LIKE 'SELECT FROM accounts%%'"
        )
        return cursor.fetchone() is not None


@contextlib.contextmanager
def transaction_left_open(url: str) -> Iterator[None]:
    """Within the block somebody has a transaction open that may yet write."""
    with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN; SELECT pg_current_xact_id()")
        yield


_LOCK = "LOCK TABLE accounts IN EXCLUSIVE MODE"


@contextlib.contextmanager
def accounts_locked(url: str) -> Iterator[None]:
    """Within the block somebody has locked every account, as a careless migration does."""
    with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"BEGIN; {_LOCK}")
        yield


@contextlib.contextmanager
def accounts_contended(url: str) -> Iterator[None]:
    """Within the block somebody locks every account again and again, for a moment each time."""
    stopping = threading.Event()

    def lock() -> None:
        with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
            while not stopping.wait(0.02):
                cursor.execute(f"BEGIN; {_LOCK}")
                stopping.wait(0.3)
                cursor.execute("COMMIT")

    thread = threading.Thread(target=lock, name="locks-accounts")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def contradict(url: str, member_id: str) -> None:
    """Give a member points that are in no journal, as somebody with superuser rights may, and have
    the members be verified now rather than in a minute."""
    execute(
        url,
        f"UPDATE accounts SET available = available + 1000 WHERE member_id = '{member_id}'",
        "UPDATE background_work SET due_time = now() WHERE name = 'verification'",
    )


def forget_to_verify(url: str) -> None:
    """Make it three days since all members were verified, and no time to do it now."""
    days = 3 * 86_400
    execute(
        url,
        "UPDATE background_work SET due_time = now() + interval '1 hour', state ="
        f" json_build_object('last_ended', {time.time() - days})::text WHERE name = 'verification'",
    )


def grow(url: str) -> None:
    """Have the database grow by some 200 MB within seconds."""
    execute(url, "CREATE TABLE ballast AS SELECT repeat('x', 800) FROM generate_series(1, 250000)")


@contextlib.contextmanager
def worker_dying(parent: int, seen: Callable[[], object]) -> Iterator[None]:
    """Within the block the second worker of a service is killed (SIGKILL) at once, and whenever
    what is `seen` of it has changed."""
    stopping = threading.Event()

    def kill() -> None:
        killed: object = None
        while not stopping.wait(0.1):
            if (now := seen()) and now != killed:
                killed = now
                for child in psutil.Process(parent).children():
                    with contextlib.suppress(psutil.NoSuchProcess):
                        if child.cmdline()[2:4] == ["ledger.cli.worker", "2"]:
                            child.kill()

    thread = threading.Thread(target=kill, name="kills-workers")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


@contextlib.contextmanager
def key_spoiled(certificates: Certificates) -> Iterator[None]:
    """Within the block the file of the key is cut short, as a full disk does."""
    key = certificates.directory / "ledger.key"
    whole = key.read_bytes()
    key.write_bytes(whole[:50])
    yield
    key.write_bytes(whole)


def replace_certificate(certificates: Certificates, lasting: timedelta) -> None:
    """Present a certificate that ends so soon."""
    directory = certificates.directory
    authority = trustme.CA.from_pem(
        (directory / "ca.crt").read_bytes(), (directory / "ca.key").read_bytes()
    )
    issued = authority.issue_cert("ledger", not_after=datetime.now(UTC) + lasting)
    issued.private_key_pem.write_to_path(directory / "ledger.key.new")
    issued.cert_chain_pems[0].write_to_path(directory / "ledger.crt.new")
    os.replace(directory / "ledger.key.new", directory / "ledger.key")
    os.replace(directory / "ledger.crt.new", directory / "ledger.crt")
