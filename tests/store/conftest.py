"""Servers that a test may do anything to, and an older PostgreSQL where Debian's is installed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.store import embedded
from ledger.store.data_directory import server_account
from ledger.store.embedded import EmbeddedServer
from tests.conftest import make_directory

POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture
def directory() -> Iterator[Path]:
    """A place for a data directory; a server in `directory / "data"` is stopped in the end."""
    path = make_directory()
    yield path
    embedded.stop(path / "data")
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def own_server() -> Iterator[EmbeddedServer]:
    """A server that nobody else uses, with nothing in it."""
    path = make_directory()
    with embedded.start(path / "data") as server:
        yield server
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def postgres_15() -> Iterator[str]:
    """The address of an empty database on PostgreSQL 15, as a superuser."""
    if not (POSTGRES_15 / "postgres").exists():
        pytest.skip(f"no PostgreSQL 15 in {POSTGRES_15}: apt-get install postgresql-15")
    parent = make_directory()
    cluster = parent / "cluster"
    cluster.mkdir(mode=0o700)
    account = server_account()
    if account:
        os.chown(cluster, account["user"], account["group"])

    def run(program: str, *arguments: str) -> None:
        command = [str(POSTGRES_15 / program), "-D", str(cluster), *arguments]
        log = parent / "log"
        with log.open("ab") as output:
            done = subprocess.run(command, cwd="/", stdout=output, stderr=output, **account)
        assert done.returncode == 0, log.read_text()

    run("initdb", "--username=postgres", "--encoding=UTF8", "--locale=C")
    run("pg_ctl", "start", "-w", "-o", f"-k {cluster} -c listen_addresses=''")
    yield f"postgresql://postgres@/postgres?host={cluster}&port=5432"
    run("pg_ctl", "stop", "-w", "-m", "immediate")
    shutil.rmtree(parent)
