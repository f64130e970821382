"""A browser, a shop's site with pages that have the widget, and a ledger that they may call.

The browser is the system's Chromium; where there is none the tests that need it are skipped.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from psycopg2.extensions import connection as Connection

from ledger.store.embedded import EmbeddedServer
from tests.conftest import RunningServer, fresh_database, running_server
from tests.service.client import GrpcClient
from tests.service.requests import open_program
from tests.web.pages import PATIENCE_MS, Site, Visitor

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NAMES = ("chromium", "chromium-browser", "google-chrome")

RULES: dict[str, Any] = {
    "earning": {"rate": {"points": 1, "per": "1.00"}},
    "expiry": {"after_months": 12},
    "redemption": {"value": {"points": 100, "amount": "5.00"}},
    "returns": {"shortfall": "DEBT"},
    "members": {"auto_enroll": True},
    "adjustments": {"reason_codes": ["goodwill"]},
}
TIERS = {
    "period": {"rolling_days": 365},
    "levels": [
        {"id": "member", "name": "Member"},
        {"id": "silver", "name": "Silver", "visits": 3},
        {"id": "gold", "name": "Gold", "visits": 9, "spend": "1000.00", "match": "ANY"},
    ],
    "keep_months": 12,
    "grace_days": 30,
    "downgrade": "ONE_LEVEL",
}


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a browser, or a skip that says what is missing."""
    named = os.environ.get("LEDGER_CHROMIUM")
    path = named or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("there is no Chromium here (apt-get install chromium, or LEDGER_CHROMIUM=path)")
    return path


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """A browser for these tests; its event loop must be gone before others begin."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture(scope="package")
def ledger(
    cluster: EmbeddedServer, administrator: Connection, template: str, site: Site
) -> Iterator[RunningServer]:
    """A ledger that pages of the site's first origin may call, with a few programs."""
    with (
        fresh_database(cluster, administrator, template) as url,
        running_server(url, web_origins=(site.origin,)) as running,
    ):
        site.ledger = f"http://{running.http_address}"
        till = GrpcClient(running.grpc_address)
        open_program(till, (), tiers=TIERS, **RULES)
        open_program(till, (), program_id="plain", **RULES)
        slow = {**RULES, "earning": {**RULES["earning"], "pending_days": 3}}
        open_program(till, (), program_id="slow", **slow)
        till.close()
        yield running


@pytest.fixture
def till(ledger: RunningServer) -> Iterator[GrpcClient]:
    client = GrpcClient(ledger.grpc_address)
    yield client
    client.close()


@pytest.fixture
def member(request: pytest.FixtureRequest) -> str:
    """The id of a member that no other test uses."""
    return re.sub(r"[^a-z]+", "-", request.node.name.removeprefix("test_"))


@pytest.fixture
def visitor(browser: Browser, site: Site, ledger: RunningServer) -> Iterator[Visitor]:
    """Opens pages. What a page has to complain of fails the test, unless it expects it."""
    visitor = Visitor(browser, site)
    yield visitor
    visitor.leave()
