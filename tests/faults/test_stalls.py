"""A database that is still there, and answers nothing: it stands still, or the network swallows it.

Nothing tells so but time. Callers are answered in bounded time all the same, and the service goes
on when the database does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.store.migrate import migrate
from tests.faults.load import Load, client_of, open_shop
from tests.faults.processes import (
    PrivatePostgres,
    ServiceProcess,
    backend_pids,
    private_directory,
    private_postgres,
    terminate_backend,
)

pytestmark = [pytest.mark.faults_long, pytest.mark.timeout(180)]

HEALING_SECONDS = 10.0


@contextlib.contextmanager
def loaded(address: str, log: Path, seed: int) -> Iterator[tuple[ServiceProcess, Load]]:
    """A service on a migrated database, under load until the block ends; then all is checked."""
    with ServiceProcess({"LEDGER_DATABASE_URL": address}, log) as service:
        service.start()
        with contextlib.closing(client_of(service.grpc_address)) as client:
            open_shop(client)
        load = Load(service.grpc_address, seed=seed)
        with load.running():
            load.wait_for_answers(50)
            yield service, load
            began = time.monotonic()
            load.wait_for_answers(20, HEALING_SECONDS)
            print(f"served again after {time.monotonic() - began:.1f} s; {dict(load.failures)}")
        assert "DEADLINE_EXCEEDED" not in load.failures, "somebody waited for 20 s"
        load.settle()
        load.check(address)
        assert service.terminate(25.0) == 0


def test_a_postmaster_that_stands_still_keeps_new_connections_waiting_and_no_others(
    tmp_path: Path,
) -> None:
    with private_postgres() as postgres:
        url = postgres.create_database("stalls")
        migrate(url)
        with loaded(url, tmp_path / "log", seed=51) as (_, load):
            with postgres.paused([postgres.postmaster_pid]):
                load.wait_for_answers(100)  # by the connections that are there
            load.wait_for_answers(50)
            sessions = backend_pids(url, "ledger")
            for pid in sessions[:-1]:
                terminate_backend(url, pid)
            with postgres.paused([postgres.postmaster_pid]):
                time.sleep(12)


def test_a_server_that_stands_still_as_a_whole_is_waited_for_in_bounded_time(
    tmp_path: Path,
) -> None:
    """As when its machine is moved to another host."""
    with private_postgres() as postgres:
        url = postgres.create_database("stalls")
        migrate(url)
        with loaded(url, tmp_path / "log", seed=52) as (service, load):
            for seconds in (3, 20):
                with postgres.paused(postgres.pids()):
                    before = time.monotonic()
                    while time.monotonic() < before + seconds:
                        assert not service.is_ready()
                        time.sleep(1)
                load.wait_for_answers(20, HEALING_SECONDS)


@contextlib.contextmanager
def other_network() -> Iterator[tuple[list[str], str, Callable[[bool], None]]]:
    """A network namespace: the command that runs something in it, its address, and how to have
    everything vanish that is sent from there. Skips the test where there can be none."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("only root can make a network namespace, with iproute2")
    name = f"ledger-{os.getpid()}"
    here, there = "10.231.77.1", "10.231.77.2"
    inside, outside = f"lgi{os.getpid()}", f"lgo{os.getpid()}"

    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)

    def vanish(on: bool) -> None:
        ip("-n", name, "route", "add" if on else "delete", "blackhole", f"{here}/32")

    try:
        ip("netns", "add", name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"a network namespace can not be made: {error.stderr.strip()}")
    try:
        ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
        ip("addr", "add", f"{here}/30", "dev", outside)
        ip("link", "set", outside, "up")
        ip("-n", name, "addr", "add", f"{there}/30", "dev", inside)
        ip("-n", name, "link", "set", inside, "up")
        yield ["ip", "netns", "exec", name], there, vanish
    finally:
        ip("netns", "delete", name)  # and both ends of the link with it


def test_a_network_that_swallows_every_answer_is_given_up_and_taken_up_again(
    tmp_path: Path,
) -> None:
    """What the service asks arrives, and is done; what the database answers goes into a route to
    nowhere, for less and for longer than TCP is patient."""
    with private_directory() as directory, other_network() as (command, address, vanish):
        settings = {"listen_addresses": address}
        postgres = PrivatePostgres(directory, settings=settings, prefix=command)
        with (postgres.data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.231.77.0/30 trust\n")
        postgres.start()
        try:
            postgres.create_database("far")
            url = f"postgresql://postgres@{address}/far"
            migrate(url)
            with loaded(url, tmp_path / "log", seed=53) as (service, load):
                for seconds in (4, 20):
                    vanish(True)
                    before = time.monotonic()
                    while time.monotonic() < before + seconds:
                        assert not service.is_ready()
                        time.sleep(1)
                    vanish(False)
                    load.wait_for_answers(20, HEALING_SECONDS)
        finally:
            postgres.stop()
