"""What is measured: a database of its own, the service and other servers, as real processes.

Everything lives in a temporary directory and ends with the `with` block, also on errors.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import psycopg2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from psycopg2.extensions import make_dsn

from ledger.store import embedded
from ledger.store.migrate import migrate

REPOSITORY: Final = Path(__file__).resolve().parents[1]

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0


class ProcessFailed(Exception):
    """A process did not start, or ended by itself; the message ends with what it said."""


@dataclass(frozen=True)
class System:
    """A service with its database. The pids are those of the roots of process trees."""

    #: its processes that serve
    workers: int
    #: host:port
    grpc_address: str
    http_url: str
    database_url: str
    #: gone afterwards; whoever runs the system may add to it
    directory: Path
    service_pid: int
    postgres_pid: int

    def metric(self, name: str) -> float:
        """The present value of one of the service's metrics, which must have no labels."""
        with urllib.request.urlopen(f"{self.http_url}/metrics", timeout=10.0) as page:
            for line in page.read().decode().splitlines():
                if line.startswith(f"{name} "):
                    return float(line.split()[1])
        raise KeyError(name)

    def new_database(self, name: str) -> str:
        """The address of another, empty database on the same server."""
        connection = psycopg2.connect(self.database_url)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {name}")
        finally:
            connection.close()
        return str(make_dsn(self.database_url, dbname=name))


@dataclass(frozen=True)
class Server:
    """A server that something is compared with."""

    #: host:port
    address: str
    pid: int


@contextlib.contextmanager
def running_system(parent: Path, workers: int = 1) -> Iterator[System]:
    """A service of `workers` processes that is ready, with an empty ledger.

    Its new directory is below `parent`. Raises ProcessFailed, or EmbeddedServerError for the
    database.
    """
    # Unix socket paths must be short; and the server may run as another user, who must get in.
    directory = Path(tempfile.mkdtemp(prefix="bench-", dir=parent))
    try:
        directory.chmod(0o755)
        with _running_in(directory, workers) as system:
            yield system
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def running_empty_server(directory: Path, workers: int = 1) -> Iterator[Server]:
    """A server of the empty RPC that is ready; it logs to a directory. Raises ProcessFailed."""
    command = (sys.executable, "-m", "benchmarks.empty_server", str(workers))
    with _child(command, _environment(), directory / "empty.log") as (process, address):
        yield Server(address, process.pid)


@contextlib.contextmanager
def running_naive_server(system: System, members: int) -> Iterator[Server]:
    """A server of the naive implementation that is ready, with a database of its own on the same
    PostgreSQL. Raises ProcessFailed."""
    dsn = system.new_database("naive")
    command = (sys.executable, "-m", "benchmarks.naive", dsn, str(members))
    log = system.directory / "naive.log"
    with _child(command, _environment(), log) as (process, address):
        yield Server(address, process.pid)


def seconds_to_first_answer(parent: Path, times: int) -> list[float]:
    """How long `ledger serve` takes from nothing to its first answer over gRPC, each time, where
    its embedded database exists and is stopped. Raises ProcessFailed."""
    directory = Path(tempfile.mkdtemp(prefix="bench-", dir=parent))
    try:
        directory.chmod(0o755)
        environment = {
            **_environment(),
            "LEDGER_DATA_DIR": str(directory / "data"),
            "LEDGER_GRPC_ADDRESS": "127.0.0.1:0",
            "LEDGER_HTTP_ADDRESS": "127.0.0.1:0",
        }
        command = (sys.executable, "-m", "ledger", "serve", "--json")
        taken = []
        for number in range(times + 1):
            began = time.monotonic()
            log = directory / f"start-{number}.log"
            with _child(command, environment, log) as (_, said):
                address = json.loads(said)["grpcAddress"]
                with grpc.insecure_channel(address) as channel:
                    health: Any = health_pb2_grpc.HealthStub(channel)
                    health.Check(health_pb2.HealthCheckRequest(), timeout=_START_SECONDS)
                taken.append(time.monotonic() - began)
        return taken[1:]  # the first one made the database
    finally:
        embedded.stop(directory / "data")
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def _running_in(directory: Path, workers: int) -> Iterator[System]:
    data = directory / "data"
    with contextlib.ExitStack() as stack:
        stack.callback(embedded.stop, data)
        database = stack.enter_context(embedded.start(data))
        migrate(database.url())
        postgres_pid = embedded.status(data).pid
        assert postgres_pid is not None
        service, said = stack.enter_context(
            _child(
                (sys.executable, "-m", "ledger", "serve", "--json", "--workers", str(workers)),
                {
                    **_environment(),
                    "LEDGER_DATABASE_URL": database.url(),
                    "LEDGER_GRPC_ADDRESS": "127.0.0.1:0",
                    "LEDGER_HTTP_ADDRESS": "127.0.0.1:0",
                },
                directory / "service.log",
            )
        )
        addresses = json.loads(said)
        yield System(
            workers=workers,
            grpc_address=addresses["grpcAddress"],
            http_url=f"http://{addresses['httpAddress']}",
            database_url=database.url(),
            directory=directory,
            service_pid=service.pid,
            postgres_pid=postgres_pid,
        )


def _environment() -> dict[str, str]:
    """That of this process, without settings that are meant for another ledger."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}


@contextlib.contextmanager
def _child(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A child process and what it printed when it was ready; it is ended with the block."""
    said = log.with_suffix(".out")
    with said.open("wb") as output, log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,  # a Ctrl-C is ours to handle
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _complete(text := said.read_text()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ProcessFailed(f"{' '.join(command[1:])} did not start:\n{_tail(log)}")
            time.sleep(0.02)
        try:
            yield process, text.strip()
        finally:
            if (code := process.poll()) is not None:
                raise ProcessFailed(f"{' '.join(command[1:])} ended with {code}:\n{_tail(log)}")
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2_000:]


def _complete(text: str) -> bool:
    """Whether a whole answer was printed: a line, or the lines of a JSON document."""
    return text.endswith("}\n" if text.startswith("{") else "\n")
