"""A real PostgreSQL for all tests: one server per run, one database per test.

The server is the embedded one, shared by all workers of a run. Each test that asks for
`database_url` gets a database of its own, cloned from a migrated template.
"""

import asyncio
import fcntl
import logging
import os
import queue
import shutil
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psycopg2
import pytest
import structlog
from psycopg2.extensions import connection as Connection

from ledger.engine import real_clock
from ledger.rpc import serve
from ledger.rpc.serve import ServeOptions, Server
from ledger.store import embedded
from ledger.store.embedded import EmbeddedServer
from ledger.store.migrate import migrate

RUN_DIRECTORY = "LEDGER_TEST_RUN_DIRECTORY"
"""Environment variable by which workers learn of the run's directory."""

TEMPLATE = "ledger_template"

# Servers within the tests are many, and nobody calls them when they stop, or else says so.
serve.NOTICE_SECONDS = 0.05


def make_directory() -> Path:
    """A new short path that other users can reach, unlike pytest's temporary directories."""
    directory = Path(tempfile.mkdtemp(prefix="ledger-", dir="/tmp"))
    directory.chmod(0o755)
    return directory


def pytest_configure(config: pytest.Config) -> None:
    # The default shows every variable of every frame, which takes seconds.
    renderer = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    # What a server in this process logs is not what a command in it prints.
    # Loggers that keep what was configured first would take it from one test to the next.
    configure = structlog.configure
    structlog.configure = lambda **given: configure(**{**given, "cache_logger_on_first_use": False})
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, renderer],
        logger_factory=structlog.PrintLoggerFactory(sys.__stderr__),
    )
    if not hasattr(config, "workerinput"):
        os.environ[RUN_DIRECTORY] = str(make_directory())


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A test that sets logging up leaves no handler behind that writes to what it captured."""
    root, configured = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configured)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave `faults_long` out unless -m names it."""
    if "faults_long" in config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("faults_long")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        directory = Path(os.environ.pop(RUN_DIRECTORY))
        embedded.stop(directory / "data")
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def cluster() -> Iterator[EmbeddedServer]:
    """The server of this run. Do not stop it, or change settings outside a test's own database."""
    with embedded.start(Path(os.environ[RUN_DIRECTORY]) / "data") as server:
        yield server


@pytest.fixture(scope="session")
def administrator(cluster: EmbeddedServer) -> Iterator[Connection]:
    """A superuser's connection to the server, outside of any test's database."""
    connection = psycopg2.connect(cluster.url("postgres"))
    connection.autocommit = True
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def template(cluster: EmbeddedServer, administrator: Connection) -> str:
    """The name of a migrated database, made once in a run, to clone with CREATE DATABASE."""
    with (
        open(Path(os.environ[RUN_DIRECTORY]) / "template.lock", "w") as lock,
        administrator.cursor() as cursor,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", (TEMPLATE,))
        if cursor.fetchone() is None:
            cursor.execute("CREATE DATABASE ledger_unfinished")
            migrate(cluster.url("ledger_unfinished"))
            cursor.execute(f"ALTER DATABASE ledger_unfinished RENAME TO {TEMPLATE}")
            cursor.execute(f"ALTER DATABASE {TEMPLATE} WITH ALLOW_CONNECTIONS false")
    return TEMPLATE


@contextmanager
def fresh_database(
    cluster: EmbeddedServer, administrator: Connection, template: str
) -> Iterator[str]:
    """The address of a migrated, empty database, as a superuser; dropped when the block ends."""
    name = f"test_{uuid.uuid4().hex}"
    with administrator.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield cluster.url(name)
        finally:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(
    cluster: EmbeddedServer, administrator: Connection, template: str
) -> Iterator[str]:
    """The address of a migrated, empty database of the test's own, as a superuser."""
    with fresh_database(cluster, administrator, template) as url:
        yield url


@dataclass(frozen=True)
class RunningServer:
    """A server in a thread of this process, on a database of the test's own."""

    grpc_address: str
    http_address: str
    #: of the superuser, for looking behind the service's back
    database_url: str
    service: Server
    #: that it runs on
    loop: asyncio.AbstractEventLoop

    def channel(self) -> grpc.Channel:
        """A new channel; close it when done."""
        return grpc.insecure_channel(self.grpc_address)


ANY_PORTS = {"grpc_address": "127.0.0.1:0", "http_address": "127.0.0.1:0"}


@contextmanager
def running_server(
    database_url: str, *, clock: Callable[[], int] = real_clock, **options: Any
) -> Iterator[RunningServer]:
    """Serve a database from a thread of this process until the block ends.

    `clock` is the server's real time (µs); `options` are those of ServeOptions. Until the first API
    key is made, every caller is an administrator.
    """
    options.setdefault("development", True)
    ready: queue.Queue[tuple[Server, asyncio.AbstractEventLoop] | BaseException] = queue.Queue()
    stop = threading.Event()

    async def run() -> None:
        try:
            server = Server(
                ServeOptions(database_url, **{**ANY_PORTS, **options}),
                clock=clock,
            )
            await server.start()
        except BaseException as error:
            ready.put(error)
            raise
        ready.put((server, asyncio.get_running_loop()))
        await asyncio.to_thread(stop.wait)
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="test-server")
    thread.start()
    started = ready.get(timeout=30)
    if isinstance(started, BaseException):
        thread.join()
        raise started
    service, loop = started
    try:
        yield RunningServer(
            f"127.0.0.1:{service.grpc_port}",
            f"127.0.0.1:{service.http_port}",
            database_url,
            service,
            loop,
        )
    finally:
        stop.set()
        thread.join(timeout=30)
    assert not thread.is_alive(), "the server did not stop within 30 s"


@pytest.fixture
def server(database_url: str) -> Iterator[RunningServer]:
    """A server on an empty database of the test's own."""
    with running_server(database_url) as running:
        yield running


@pytest.fixture
def cdnow_file() -> Path:
    """The published file; the test is skipped where it is not at hand."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "cdnow" / "CDNOW_master.txt"
    path = Path(os.environ.get("LEDGER_CDNOW_FILE", default))
    if not path.is_file():
        pytest.skip("CDNOW_master.txt is not here; name it in LEDGER_CDNOW_FILE")
    return path
