"""The embedded PostgreSQL: a durable server under one data directory, shared by its processes.

Only the server's binaries come from the `embedded` extra; starting and stopping is done here. All
bookkeeping is locks (flock), which the kernel drops with the process that held them, so a killed
process leaves nothing behind that has to be told from the living:

    postgres/          the database
    postgres.log       what the server says
    postgres.gate      held while somebody starts or stops the server
    postgres.users     shared by all who use it: who gets it alone was the last, and stops it
    postgres.server    held by the server's processes, inherited from whoever started it

The server listens on a Unix socket inside `postgres/`, which only its owner (and root) can enter.
PostgreSQL does not run as root: started by root, it runs as the system user `pgserver`.
"""

import atexit
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from ledger.store.data_directory import (
    MAJOR_VERSION,
    PORT,
    EmbeddedServerError,
    as_server_account,
    binaries,
    cluster,
    prepare,
    server_account,
)

__all__ = [
    "EmbeddedServer",
    "EmbeddedServerError",
    "Progress",
    "ServerStatus",
    "start",
    "status",
    "stop",
]

START_TIMEOUT_SECONDS = 600
"""How long to wait for the server; recovery after a crash takes its time."""

STOP_TIMEOUT_SECONDS = 60

KEEP_SECONDS = 0.5
"""How often a server that is to be kept running is looked after."""

RESTART_TIMEOUT_SECONDS = 10
"""How long it is then waited for. One that takes longer to recover is looked after again."""

NO_PID = 2**31 - 1
"""A pid beyond any system's largest."""

LOG_LIMIT_BYTES = 10_000_000

#: What a small durable server needs to differ from the defaults in. Nothing here, nor anything
#: left out, trades durability for speed. Statements and row values stay out of the log.
SERVER_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "max_connections": "100",
    "shared_buffers": "128MB",
    "jit": "off",
    "checkpoint_timeout": "15min",
    "max_wal_size": "1GB",
    "log_checkpoints": "off",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
}

Progress = Callable[[str], None]
"""Called about once a second while the server is awaited, with a line for people."""


@dataclass(frozen=True)
class ServerStatus:
    """What is known of a data directory's server without touching it."""

    #: ABSENT (never started here), STOPPED, STARTING, RUNNING or STOPPING.
    state: str
    #: Of the server's first process, while there is one.
    pid: int | None


class EmbeddedServer:
    """One process's use of a data directory's server. Made by `start`.

    Ends with `stop_if_last`, as a context manager, or with the process.
    """

    def __init__(self, data_dir: Path, users: int) -> None:
        self.data_dir = data_dir
        self._users: int | None = users
        self._owner = os.getpid()
        atexit.register(self.stop_if_last)

    def url(self, database: str = "ledger") -> str:
        """The address of a database, as the server's superuser."""
        host = quote(str(cluster(self.data_dir)), safe="/")
        return f"postgresql://postgres@/{quote(database)}?host={host}&port={PORT}"

    def ensure_running(
        self,
        on_progress: Progress | None = None,
        timeout_seconds: float = START_TIMEOUT_SECONDS,
    ) -> None:
        """Starts the server if it does not run, say after a crash, and waits until it serves."""
        deadline = time.monotonic() + timeout_seconds
        with _gate(self.data_dir, deadline):
            _initialize(self.data_dir)
            connection = _connection(self.data_dir, deadline, on_progress or (lambda _: None))
            try:
                _ensure_database(connection, "ledger")
            finally:
                connection.close()

    @contextlib.contextmanager
    def kept_running(self, on_progress: Progress) -> Iterator[None]:
        """Within the block the server is started again when it ends, by a crash or by `stop`."""
        over = threading.Event()

        def keep() -> None:
            while not over.wait(KEEP_SECONDS):
                try:
                    if status(self.data_dir).state == "STOPPED":
                        on_progress("PostgreSQL has ended: starting it again")
                        self.ensure_running(on_progress, RESTART_TIMEOUT_SECONDS)
                except (
                    EmbeddedServerError,
                    OSError,
                    psycopg2.Error,
                    subprocess.SubprocessError,
                ) as error:
                    on_progress(f"PostgreSQL does not start: {error}")

        keeper = threading.Thread(target=keep, name="embedded-server", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()

    def stop_if_last(self) -> bool:
        """Ends this use, and stops the server if nobody else uses it; whether it did."""
        if self._users is None or os.getpid() != self._owner:
            return False  # ended already, or this is a forked child's copy
        self._leave()
        try:
            deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
            with _gate(self.data_dir, deadline):
                alone = _try_lock(self.data_dir / "postgres.users", fcntl.LOCK_EX)
                if alone is None:
                    return False
                try:
                    return _stop(self.data_dir, deadline)
                finally:
                    os.close(alone)
        except FileNotFoundError:
            return False  # the directory is gone; a server notices that itself

    def _leave(self) -> None:
        if self._users is not None:
            os.close(self._users)
            self._users = None
            atexit.unregister(self.stop_if_last)

    def __enter__(self) -> "EmbeddedServer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop_if_last()


def start(
    data_dir: str | Path,
    *,
    on_progress: Progress | None = None,
    timeout_seconds: float = START_TIMEOUT_SECONDS,
) -> EmbeddedServer:
    """The running server of a data directory, made and started if need be.

    Raises EmbeddedServerError if the place is not fit (see `prepare`), or the server does not come
    up in time.
    """
    directory = prepare(data_dir)
    deadline = time.monotonic() + timeout_seconds
    users = _lock(directory / "postgres.users", fcntl.LOCK_SH, deadline)
    server = EmbeddedServer(directory, users)
    try:
        server.ensure_running(on_progress, timeout_seconds)
    except EmbeddedServerError:
        server._leave()  # if it is still recovering, that is not to begin again from the start
        raise
    except BaseException:
        server.stop_if_last()
        raise
    return server


def status(data_dir: str | Path) -> ServerStatus:
    """What the server of a data directory does; changes nothing."""
    directory = Path(data_dir).expanduser().resolve()
    try:
        if not (cluster(directory) / "PG_VERSION").exists():
            return ServerStatus("ABSENT", None)
        free = _try_lock(directory / "postgres.server", fcntl.LOCK_SH)
    except PermissionError as error:
        raise EmbeddedServerError(f"{error.filename} is not yours to look into") from error
    if free is not None:
        os.close(free)
        return ServerStatus("STOPPED", None)
    pid, said = _postmaster(directory)
    states = {"ready": "RUNNING", "stopping": "STOPPING"}
    return ServerStatus(states.get(said, "STARTING"), pid)


def stop(data_dir: str | Path) -> bool:
    """Stops the server, whoever uses it; whether it ran. Raises EmbeddedServerError if it can not.

    A running transaction is rolled back; what was confirmed is kept.
    """
    directory = Path(data_dir).expanduser().resolve()
    if status(directory).state in ("ABSENT", "STOPPED"):
        return False
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    with _gate(directory, deadline):
        return _stop(directory, deadline)


# Locks -------------------------------------------------------------------------------------------


def _try_lock(path: Path, operation: int) -> int | None:
    """A descriptor that holds the lock until it is closed everywhere; None if others hold it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(path: Path, operation: int, deadline: float) -> int:
    while (descriptor := _try_lock(path, operation)) is None:
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"another process has been starting or stopping the database in {path.parent} "
                "for too long: try again"
            )
        time.sleep(0.02)
    return descriptor


@contextlib.contextmanager
def _gate(data_dir: Path, deadline: float) -> Iterator[None]:
    descriptor = _lock(data_dir / "postgres.gate", fcntl.LOCK_EX, deadline)
    try:
        yield
    finally:
        os.close(descriptor)


# The server; all of these with the gate held --------------------------------------------------


def _initialize(data_dir: Path) -> None:
    """Makes the database in a directory aside, so that one half made is never taken for whole."""
    postgres = cluster(data_dir)
    if postgres.exists():
        return
    aside = data_dir / "postgres.new"
    if aside.exists():
        shutil.rmtree(aside)
    aside.mkdir(mode=0o700)
    account = server_account()
    if account:
        os.chown(aside, account["user"], account["group"])
    settings = [f"--set={name}={value}" for name, value in SERVER_SETTINGS.items()]
    made = subprocess.run(
        [
            str(binaries(MAJOR_VERSION) / "initdb"),
            f"--pgdata={aside}",
            "--username=postgres",
            "--auth=trust",  # whoever can enter the directory with the socket
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            *settings,
        ],
        env=_environment(),
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        **account,
    )
    if made.returncode != 0:
        shutil.rmtree(aside, ignore_errors=True)
        raise EmbeddedServerError(
            f"the database in {data_dir} can not be made: {made.stderr.strip()[-1000:]}"
        )
    aside.rename(postgres)
    _sync(data_dir)


def _connection(data_dir: Path, deadline: float, on_progress: Progress) -> Connection:
    """A connection to the server, started if it does not run."""
    begun = said = time.monotonic()
    log_start: int | None = None
    while (connection := _connect(data_dir)) is None:
        server = _try_lock(data_dir / "postgres.server", fcntl.LOCK_EX)
        if server is not None:
            try:
                if log_start is not None:
                    raise EmbeddedServerError(
                        f"the database in {data_dir} does not start:\n{_log(data_dir, log_start)}"
                    )
                log_start = _launch(data_dir, server)
            finally:
                os.close(server)
        now = time.monotonic()
        last_line = _log(data_dir).rpartition("\n")[2]
        if now > deadline:
            raise EmbeddedServerError(
                f"the database in {data_dir} is not ready after {now - begun:.0f} s; it may "
                f"still become so, start again then: {last_line}"
            )
        if now - said >= 1:
            said = now
            on_progress(f"waiting for PostgreSQL, {now - begun:.0f} s: {last_line}")
        time.sleep(0.01)
    return connection


def _launch(data_dir: Path, server: int) -> int:
    """Starts the server as nobody's child, with the lock in the given descriptor for its life.

    Returns where in the log it begins.
    """
    postgres = cluster(data_dir)
    for name in ("postmaster.pid", f".s.PGSQL.{PORT}.lock"):
        _forget_stale_pid(postgres / name)
    log = data_dir / "postgres.log"
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.rename(data_dir / "postgres.log.old")
    binary = binaries(int((postgres / "PG_VERSION").read_text())) / "postgres"
    log.touch(mode=0o600)
    log_start = log.stat().st_size
    with log.open("ab") as output:
        subprocess.run(
            # Through a shell that leaves at once: no zombie here if the server ends, and a
            # Ctrl-C meant for this process does not reach it.
            as_server_account(["/bin/sh", "-c", '"$@" &', "sh", str(binary), "-D", str(postgres)]),
            check=True,
            env=_environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(server,),
            start_new_session=True,
        )

    return log_start


def _forget_stale_pid(pid_file: Path) -> None:
    """Makes a crashed server's pid file name no process, if its pid belongs to something else now.

    PostgreSQL would take that process (or the server's zombie, where nobody reaps) for the server
    and not start, which happens often in containers, where pids are small. No server of ours
    lives, or the lock would not be free; one that somebody started by hand works in its directory.
    The rest of the file stays: by it PostgreSQL looks for memory still shared.
    """
    try:
        pid, newline, rest = pid_file.read_text().partition("\n")
        if not Path("/proc", pid).is_dir():
            return
    except FileNotFoundError:
        return
    try:
        lives = Path("/proc", pid, "cwd").readlink() == pid_file.parent
    except OSError:
        lives = False
    if not lives:
        pid_file.write_text(f"{NO_PID}{newline}{rest}")


def _stop(data_dir: Path, deadline: float) -> bool:
    """Whether a server ran, and was stopped."""
    asked = False
    while True:
        free = _try_lock(data_dir / "postgres.server", fcntl.LOCK_EX)
        if free is not None:
            os.close(free)
            return asked
        pid, _ = _postmaster(data_dir)
        if not asked and pid is not None:
            try:
                os.kill(pid, signal.SIGINT)  # "fast": roll back, write a checkpoint, leave
            except ProcessLookupError:
                pass  # it crashed, and its last processes are leaving
            except PermissionError as error:
                raise EmbeddedServerError(
                    f"the database in {data_dir} is not yours to stop (process {pid})"
                ) from error
            asked = True
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"the database in {data_dir} is still shutting down; it will finish by itself"
            )
        time.sleep(0.01)


def _connect(data_dir: Path) -> Connection | None:
    """A connection to the server; None: it does not serve (yet, or any more)."""
    if _postmaster(data_dir)[1] != "ready":
        return None
    try:
        return psycopg2.connect(
            host=str(cluster(data_dir)), port=PORT, user="postgres", dbname="postgres"
        )
    except psycopg2.OperationalError:
        return None


def _postmaster(data_dir: Path) -> tuple[int | None, str]:
    """Pid and state of the server, as it wrote them down; both may be of one that is gone."""
    try:
        lines = (cluster(data_dir) / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), lines[7].strip() if len(lines) > 7 else "starting"
    except (FileNotFoundError, IndexError, ValueError):
        return None, ""


def _ensure_database(connection: Connection, name: str) -> None:
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
        if cursor.fetchone() is None:
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _log(data_dir: Path, start: int = 0) -> str:
    """The end of what the server said, from a position in its log on."""
    log = data_dir / "postgres.log"
    if not log.exists():
        return ""
    with log.open("rb") as text:
        text.seek(max(start, log.stat().st_size - 2000))
        return text.read().decode(errors="replace").strip()


def _environment() -> dict[str, str]:
    """Nothing of the caller's: PGPORT and its like would reach into the server."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
