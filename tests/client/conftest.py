"""A shop with a program in real time, and a network to it that can be cut."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection

from ledger.client import Allowance, Event, LedgerClient, OfflineQueue, Till
from ledger.store.embedded import EmbeddedServer
from tests.client.tcp_proxy import TcpProxy
from tests.conftest import RunningServer, fresh_database, running_server
from tests.service.client import GrpcClient
from tests.service.requests import PROGRAM, program

REWARDS = [
    {"id": "coffee", "name": "Free coffee", "points": 80, "kind": "ITEM", "value": "4.50"},
    {"id": "mug", "name": "Mug", "points": 900, "kind": "ITEM", "stock": 5},
    {"id": "tasting", "name": "Tasting", "points": 0, "kind": "PERK"},
]


@dataclass(frozen=True)
class Shop:
    """A ledger with one program, its journal, and the way there."""

    server: RunningServer
    ledger: GrpcClient
    proxy: TcpProxy

    @property
    def address(self) -> str:
        """Where a till calls: through the proxy."""
        return self.proxy.address

    def client(self, **options: Any) -> LedgerClient:
        """A client that goes through the proxy; close it when done."""
        options.setdefault("terminal_id", "till-7")
        options.setdefault("timeout_seconds", 2.0)
        return LedgerClient(self.address, PROGRAM, **options)


@pytest.fixture(scope="module")
def shop_server(
    cluster: EmbeddedServer, administrator: Connection, template: str
) -> Iterator[tuple[RunningServer, GrpcClient]]:
    with (
        fresh_database(cluster, administrator, template) as database_url,
        running_server(database_url) as server,
        contextlib.closing(GrpcClient(server.grpc_address)) as ledger,
    ):
        ledger.create_program(
            program(
                sandbox=False,
                members={"auto_enroll": True},
                rewards=REWARDS,
                earning={"rate": {"points": 1, "per": "1.00"}, "exclude_categories": ["gift-card"]},
            )
        )
        yield server, ledger


@pytest.fixture
def shop(shop_server: tuple[RunningServer, GrpcClient]) -> Iterator[Shop]:
    """The shop of all tests of a module, behind a network of the test's own."""
    server, ledger = shop_server
    with TcpProxy(server.grpc_address) as proxy:
        yield Shop(server, ledger, proxy)


@pytest.fixture
def client(shop: Shop) -> Iterator[LedgerClient]:
    with shop.client() as client:
        yield client


@pytest.fixture
def queue_path(tmp_path: Path) -> Path:
    return tmp_path / "till.queue"


@pytest.fixture
def queue(queue_path: Path) -> Iterator[OfflineQueue]:
    with OfflineQueue(queue_path, PROGRAM, allowance=Allowance(100, 150)) as queue:
        yield queue


@dataclass(frozen=True)
class OpenTill:
    """A till, and what it has said by itself."""

    till: Till
    events: list[Event]


TillMaker = Callable[..., contextlib.AbstractContextManager[OpenTill]]


@pytest.fixture
def open_till(client: LedgerClient, queue: OfflineQueue) -> TillMaker:
    """Opens a till of the test's client and queue, for a block."""

    @contextlib.contextmanager
    def opened(**options: Any) -> Iterator[OpenTill]:
        events: list[Event] = []
        with Till(client, queue, listener=events.append, **options) as till:
            yield OpenTill(till, events)

    return opened
