"""A server per module for tests that leave nothing behind, and clients of both transports."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from psycopg2.extensions import connection as Connection

from ledger.store.embedded import EmbeddedServer
from tests.conftest import RunningServer, fresh_database, running_server
from tests.service.client import Client, GrpcClient, JsonClient
from tests.service.journals import require_sound

TRANSPORTS = ("grpc", "json")


def client_of(server: RunningServer, transport: str) -> Client:
    """A client of one transport; close it when done."""
    if transport == "grpc":
        return GrpcClient(server.grpc_address)
    return JsonClient(server.http_address)


@pytest.fixture(scope="module")
def shared_server(
    cluster: EmbeddedServer, administrator: Connection, template: str
) -> Iterator[RunningServer]:
    """A server whose database all tests of a module share."""
    with (
        fresh_database(cluster, administrator, template) as database_url,
        running_server(database_url) as running,
    ):
        yield running


@pytest.fixture(params=TRANSPORTS)
def client(request: pytest.FixtureRequest, server: RunningServer) -> Iterator[Client]:
    """A client of the test's own server, once per transport."""
    client = client_of(server, request.param)
    yield client
    client.close()


@pytest.fixture
def grpc_client(server: RunningServer) -> Iterator[GrpcClient]:
    """A gRPC client of the test's own server."""
    client = GrpcClient(server.grpc_address)
    yield client
    client.close()


@pytest.fixture
def sound(request: pytest.FixtureRequest, database_url: str) -> Iterator[None]:
    """Whatever a test did, no journal contradicts itself afterwards."""
    with contextlib.ExitStack() as stack:
        if "replicas" in request.fixturenames:
            running = request.getfixturevalue("replicas")[0]
        elif "server" in request.fixturenames:
            running = request.getfixturevalue("server")
        else:
            running = stack.enter_context(running_server(database_url, scheduler_seconds=0))
        yield
        client = GrpcClient(running.grpc_address)
        stack.callback(client.close)
        require_sound(client, database_url)


@pytest.fixture
def replicas(database_url: str) -> Iterator[tuple[RunningServer, RunningServer]]:
    """Two servers that share nothing but their database."""
    with running_server(database_url) as first, running_server(database_url) as second:
        yield first, second
