"""What was answered with OK is in the journal exactly once, whatever is killed, and when."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.store.migrate import migrate
from tests.faults.load import Load, client_of, open_shop
from tests.faults.postgres_proxy import Fault, PostgresProxy
from tests.faults.processes import (
    PrivatePostgres,
    ServiceProcess,
    backend_pids,
    eventually,
    kill_backend,
    private_postgres,
    wait_for_backends,
    wait_until_accepting,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

#: Where the write path stands still when it is struck.
POINTS: dict[str, Callable[[PostgresProxy], Fault]] = {
    "before-lock": lambda proxy: proxy.hold_before("EXECUTE lock_accounts"),
    "after-insert": lambda proxy: proxy.hold_after("COPY entries"),
    "before-commit": lambda proxy: proxy.hold_commit(),
    "after-commit": lambda proxy: proxy.hold_commit_answer(),
}


class Stage:
    """A service behind a proxy on a database server of its own, and the ways to hurt them."""

    def __init__(
        self, postgres: PrivatePostgres, url: str, proxy: PostgresProxy, service: ServiceProcess
    ) -> None:
        self.postgres = postgres
        self.url = url
        self.proxy = proxy
        self.service = service

    def kill_service(self) -> None:
        """Its sessions end with it: nothing it had begun is left open."""
        sessions = set(backend_pids(self.url, "ledger"))
        self.service.kill()
        eventually("its sessions end", lambda: not sessions & set(backend_pids(self.url, "ledger")))
        self.proxy.disarm_all()
        self.service.start()

    def kill_backend(self) -> None:
        """One process of the database is killed; it then ends all others and recovers."""
        kill_backend(self.url, wait_for_backends(self.url, "ledger")[0])
        self.proxy.disarm_all()
        wait_until_accepting(self.url)

    def kill_database(self) -> None:
        self.postgres.kill()
        self.proxy.disarm_all()
        self.postgres.start()

    def kill_everything(self) -> None:
        self.postgres.kill()
        self.service.kill()
        self.proxy.disarm_all()
        self.postgres.start()
        self.service.start()

    def cut_connections(self) -> None:
        self.proxy.cut_all()
        self.proxy.disarm_all()


KILLS: dict[str, Callable[[Stage], None]] = {
    "service": Stage.kill_service,
    "backend": Stage.kill_backend,
    "database": Stage.kill_database,
    "everything": Stage.kill_everything,
    "connections": Stage.cut_connections,
}


@pytest.fixture(scope="module")
def postgres() -> Iterator[PrivatePostgres]:
    with private_postgres() as postgres:
        yield postgres


@pytest.fixture
def stage(postgres: PrivatePostgres, tmp_path: Path) -> Iterator[Stage]:
    url = postgres.create_database(f"crashes_{uuid.uuid4().hex}")
    migrate(url)
    with PostgresProxy(url) as proxy:
        environment = {"LEDGER_DATABASE_URL": proxy.url()}
        with ServiceProcess(environment, tmp_path / "service.log") as service:
            service.start()
            client = client_of(service.grpc_address)
            open_shop(client)
            client.close()
            yield Stage(postgres, url, proxy, service)


def strike(stage: Stage, load: Load, kill: str, point: str, chance: random.Random) -> None:
    """Kill something when the write path is at the point; return when writes are answered again."""
    if point == "at-random":
        time.sleep(chance.uniform(0, 0.2))
    else:
        POINTS[point](stage.proxy).wait()
    KILLS[kill](stage)
    load.wait_for_answers()
    load.check_answers(stage.url)


def run(stage: Stage, strikes: list[tuple[str, str]], seed: int) -> None:
    print(f"seed {seed}: {strikes}")
    chance = random.Random(seed)
    load = Load(stage.service.grpc_address, seed=seed)
    with load.running():
        load.wait_for_answers()
        for kill, point in strikes:
            strike(stage, load, kill, point, chance)
    load.settle()
    print(f"{len(load.sent)} requests, {len(load.receipts)} receipts, {dict(load.failures)}")
    load.check(stage.url)
    assert len(load.receipts) > 100


#: Every kill and every point, the service at each point.
STRIKES = [
    *(("service", point) for point in POINTS),
    ("backend", "before-commit"),
    ("backend", "after-commit"),
    ("database", "after-insert"),
    ("database", "at-random"),
    ("connections", "before-commit"),
    ("connections", "after-commit"),
    ("everything", "after-commit"),
]


def test_whatever_is_killed_no_answer_is_lost_and_nothing_is_there_twice(stage: Stage) -> None:
    seed = 20260110
    run(stage, random.Random(seed).sample(STRIKES, len(STRIKES)), seed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed",
    [0, *(pytest.param(seed, marks=pytest.mark.faults_long) for seed in range(1, 5))],
)
def test_the_same_for_every_kill_at_every_point_in_any_order(stage: Stage, seed: int) -> None:
    strikes = [(kill, point) for kill in KILLS for point in ("at-random", *POINTS)]
    run(stage, random.Random(seed).sample(strikes, len(strikes)), seed)
