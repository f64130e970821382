"""A program on a database of the test's own, and a proxy before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.engines import make_program
from tests.faults.postgres_proxy import PostgresProxy


@pytest.fixture
def shop_url(database_url: str) -> str:
    """The address of a database with one program, that enrols whoever buys."""
    make_program(database_url)
    return database_url


@pytest.fixture
def shop_proxy(shop_url: str) -> Iterator[PostgresProxy]:
    """A proxy before the shop's database."""
    with PostgresProxy(shop_url) as proxy:
        yield proxy
