"""Processes that tests start, stop, pause and kill: the service, a PostgreSQL, its backends.

Only processes that a test started are ever signalled, each by its pid: the service is a child, and
a backend is signalled only when it is a child of the postmaster that the test connects to by Unix
socket. Works on Linux (/proc). Of the ledger it imports only where PostgreSQL's binaries are: the
service is run as users run it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import psycopg2
from psycopg2.extensions import connection as Connection
from sqlalchemy.engine import make_url

from ledger.store.data_directory import (
    MAJOR_VERSION,
    as_server_account,
    binaries,
    server_account,
)

T = TypeVar("T")

_POLL_SECONDS = 0.05


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(what: str, attempt: Callable[[], T | None], timeout_seconds: float = 10.0) -> T:
    """The first true result of `attempt`, tried until the time is over; raises TimeoutError."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        result = attempt()
        if result:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not in {timeout_seconds} s")
        time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def meanwhile(work: Callable[[], None], pause: Callable[[], float]) -> Iterator[None]:
    """Within the block a thread works again and again, after so many seconds each time."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(pause()):
            work()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


# -- the service --------------------------------------------------------------------------------


class ServiceProcess:
    """`ledger serve` as a child process; killed, if it still runs, when the `with` block ends.

    `environment` is added to that of the test; addresses on free ports are chosen unless it names
    them. Output goes to `log_path`, appended over restarts.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        log_path: Path,
        *,
        arguments: Sequence[str] = (),
        command: Sequence[str] = (sys.executable, "-m", "ledger", "serve"),
    ) -> None:
        self.environment = {
            "LEDGER_GRPC_ADDRESS": f"127.0.0.1:{free_port()}",
            "LEDGER_HTTP_ADDRESS": f"127.0.0.1:{free_port()}",
            "LEDGER_LOG_FORMAT": "json",
            **environment,
        }
        self.log_path = log_path
        self._command = [*command, *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def grpc_address(self) -> str:
        """host:port of the gRPC server."""
        return self.environment["LEDGER_GRPC_ADDRESS"]

    @property
    def http_url(self) -> str:
        """http://host:port of the HTTP server."""
        return f"http://{self.environment['LEDGER_HTTP_ADDRESS']}"

    @property
    def pid(self) -> int:
        """Process id of the running service."""
        return self._running().pid

    def start(self, timeout_seconds: float = 30.0, *, wait: bool = True) -> Self:
        """Itself, started and (unless told not to `wait`) ready.

        Raises RuntimeError when it ends instead, TimeoutError when it is not ready in time; both
        show the end of its log.
        """
        assert self._process is None or self._process.poll() is not None, "it is running"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if wait:
            self.wait_until_ready(timeout_seconds)
        return self

    def wait_until_ready(self, timeout_seconds: float = 30.0) -> None:
        """Return when /readyz answers 200; raises as `start`."""

        def ready() -> bool:
            code = self._running().poll()
            if code is not None:
                raise RuntimeError(f"the service ended with {code}:\n{self.log_tail()}")
            return self.is_ready()

        try:
            eventually("the service is ready", ready, timeout_seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}:\n{self.log_tail()}") from None

    def is_ready(self) -> bool:
        """Whether /readyz answers 200 at this moment."""
        try:
            with urllib.request.urlopen(f"{self.http_url}/readyz", timeout=1.0) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def wait_for_log(self, text: str, timeout_seconds: float = 10.0) -> str:
        """The first line of the log that contains the text; raises TimeoutError."""
        return eventually(
            f"{text!r} in the log",
            lambda: next((line for line in self.log_lines() if text in line), None),
            timeout_seconds,
        )

    def log_lines(self) -> list[str]:
        """What the service has written so far."""
        if not self.log_path.exists():
            return []
        return self.log_path.read_text(errors="replace").splitlines()

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of the log."""
        return "\n".join(self.log_lines()[-lines:])

    def kill(self) -> None:
        """SIGKILL, as kill -9; returns when the process is gone."""
        process = self._running()
        process.kill()
        process.wait(10.0)

    def terminate(self, timeout_seconds: float = 15.0) -> int:
        """The exit code after SIGTERM; raises subprocess.TimeoutExpired when it does not end."""
        process = self._running()
        process.terminate()
        return process.wait(timeout_seconds)

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing until `resume`."""
        self._running().send_signal(signal.SIGSTOP)
        _wait_until_stopped(self.pid)

    def resume(self) -> None:
        """SIGCONT."""
        self._running().send_signal(signal.SIGCONT)

    def restart(self, timeout_seconds: float = 30.0) -> Self:
        """Itself, killed with SIGKILL if it runs, and started again on the same addresses."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        return self.start(timeout_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was not started"
        return self._process


# -- PostgreSQL ---------------------------------------------------------------------------------


def connect(url: str) -> Connection:
    """A psycopg2 connection in autocommit mode, by a SQLAlchemy-style URL."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = psycopg2.connect(plain, connect_timeout=3)
    connection.autocommit = True
    return connection


def backend_pids(url: str, application_name: str) -> list[int]:
    """Pids of the server's client backends in this database of that application_name, oldest
    first."""
    with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE application_name = %s AND datname = current_database()"
            " AND pid <> pg_backend_pid() ORDER BY backend_start, pid",
            (application_name,),
        )
        return [pid for (pid,) in cursor.fetchall()]


def wait_for_backends(url: str, application_name: str, timeout_seconds: float = 10.0) -> list[int]:
    """As `backend_pids`, waiting until there is at least one; raises TimeoutError."""
    return eventually(
        f"a backend of {application_name!r}",
        lambda: backend_pids(url, application_name),
        timeout_seconds,
    )


def terminate_backend(url: str, pid: int) -> bool:
    """Whether pg_terminate_backend could signal the backend; its client gets error 57P01.

    Needs a superuser, or the role of the backend. Other connections are not affected.
    """
    with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", (pid,))
        (signalled,) = cursor.fetchone() or (False,)
        return bool(signalled)


def kill_backend(url: str, pid: int) -> None:
    """SIGKILL one backend. PostgreSQL then ends all others and recovers from its log.

    Use it on a server that no other test is using (`private_postgres`); afterwards call
    `wait_until_accepting`. Raises ValueError when the pid is not a backend of the server at `url`.
    """
    _check_backend(url, pid)
    os.kill(pid, signal.SIGKILL)
    eventually(f"backend {pid} is gone", lambda: not _is_alive(pid))


@contextlib.contextmanager
def paused_backend(url: str, pid: int) -> Iterator[None]:
    """Within the block one backend is stopped (SIGSTOP); its locks stay held.

    Raises ValueError as `kill_backend`.
    """
    _check_backend(url, pid)
    os.kill(pid, signal.SIGSTOP)
    try:
        _wait_until_stopped(pid)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def wait_until_accepting(url: str, timeout_seconds: float = 30.0, *, writable: bool = True) -> None:
    """Return when the database accepts connections and (unless not `writable`) writes; raises
    TimeoutError."""

    def accepting() -> bool:
        try:
            with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT NOT pg_is_in_recovery()")
                (accepts,) = cursor.fetchone() or (False,)
                return bool(accepts) or not writable
        except psycopg2.OperationalError:
            return False

    eventually("the database accepts connections", accepting, timeout_seconds)


class PrivatePostgres:
    """A PostgreSQL server that only one test uses, so that it may be killed. See
    `private_postgres`. Its postmaster is a child of the test.

    It has the `settings` while it runs. With `initialize` false its data directory is somebody
    else's to fill, before it is started. `prefix` is a command that runs it by exec.
    """

    def __init__(
        self,
        directory: Path,
        *,
        settings: Mapping[str, str] | None = None,
        initialize: bool = True,
        prefix: Sequence[str] = (),
    ) -> None:
        self._prefix = [*prefix]
        self.data = directory / "data"
        self.settings = {"listen_addresses": "", **(settings or {})}
        self._binaries = binaries(MAJOR_VERSION)
        self._log = directory / "log"
        self._postmaster: subprocess.Popen[bytes] | None = None
        self.data.mkdir(mode=0o700)
        account = server_account()
        if account:
            os.chown(self.data, account["user"], account["group"])
        if initialize:
            self.run(
                "initdb",
                *("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-U", "postgres"),
                *("-D", str(self.data)),
            )

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs, as the user that the server runs as."""
        done = subprocess.run(
            [self._binaries / program, *arguments],
            capture_output=True,
            text=True,
            cwd="/",
            **server_account(),
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"

    def start(self, *, writable: bool = True) -> None:
        """Start the server, and return when it has recovered and accepts connections; one that
        stays a standby is not `writable`."""
        assert self._postmaster is None, "it is running"
        options = ["-k", str(self.data)]
        for name, value in self.settings.items():
            options += ["-c", f"{name}={value}"]
        with self._log.open("ab") as log:
            self._postmaster = subprocess.Popen(
                [
                    *self._prefix,
                    *as_server_account(
                        [str(self._binaries / "postgres"), "-D", str(self.data), *options]
                    ),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
            )
        try:
            wait_until_accepting(self.url(), writable=writable)
        except TimeoutError as error:
            raise TimeoutError(f"{error}:\n{self._log.read_text(errors='replace')}") from None

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy-style URL of a database, by Unix socket, as superuser."""
        port = self.settings.get("port", "5432")
        return f"postgresql+psycopg2://postgres@/{database}?host={self.data}&port={port}"

    def create_database(self, name: str) -> str:
        """The URL of a new, empty database."""
        with contextlib.closing(connect(self.url())) as connection:
            connection.cursor().execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    @property
    def postmaster_pid(self) -> int:
        """Process id of the running postmaster; another one after `kill` and `start`."""
        return self._running().pid

    def pids(self) -> list[int]:
        """The postmaster, and all processes that it has started."""
        return [self.postmaster_pid, *_children(self.postmaster_pid)]

    @contextlib.contextmanager
    def paused(self, pids: Sequence[int]) -> Iterator[None]:
        """Within the block these of its processes are stopped (SIGSTOP)."""
        assert set(pids) <= set(self.pids())
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL the whole server, as a crash of its machine; the data directory stays.

        `start` recovers. What a kill does not try is whether writes reached the disk.
        """
        postmaster = self._running()
        children = _children(postmaster.pid)
        postmaster.kill()
        for pid in children:
            # A child whose parent has died ends by itself, and may already have.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        postmaster.wait(10.0)
        self._postmaster = None
        eventually("the server is gone", lambda: not any(_is_alive(pid) for pid in children))

    def stop(self) -> None:
        """Shut it down in order, if it runs; open transactions are rolled back."""
        if self._postmaster is not None:
            self._postmaster.send_signal(signal.SIGINT)
            self._postmaster.wait(30.0)
            self._postmaster = None

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._postmaster is not None, "it does not run"
        return self._postmaster


@contextlib.contextmanager
def private_directory() -> Iterator[Path]:
    """A short path that other users can reach, deleted afterwards."""
    # Unix socket paths must be short; and the server may run as another user, who must get in.
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def private_postgres(**settings: str) -> Iterator[PrivatePostgres]:
    """A new server in a directory of its own, stopped and deleted afterwards."""
    with private_directory() as directory:
        server = PrivatePostgres(directory, settings=settings)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _check_backend(url: str, pid: int) -> None:
    """Raise ValueError unless the pid is a local backend of the server at `url`."""
    with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), inet_server_addr() IS NULL")
        row = cursor.fetchone()
        assert row is not None
        own_pid, by_unix_socket = row
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE pid = %s AND backend_type = 'client backend'",
            (pid,),
        )
        (known,) = cursor.fetchone() or (0,)
        if not by_unix_socket or not known or _parent_pid(pid) != _parent_pid(own_pid):
            raise ValueError(f"{pid} is no backend of the server at {url}")


def _status(pid: int) -> dict[str, str]:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def _parent_pid(pid: int) -> int:
    return int(_status(pid).get("PPid", "0"))


def _children(pid: int) -> list[int]:
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [child for child in pids if _parent_pid(child) == pid]


def _is_alive(pid: int) -> bool:
    return _status(pid).get("State", "Z")[0] not in "ZX"


def _wait_until_stopped(pid: int) -> None:
    eventually(f"{pid} is stopped", lambda: _status(pid).get("State", "")[:1] in ("T", "t"))
