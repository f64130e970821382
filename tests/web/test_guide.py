"""docs/integrating-a-shop.md, run as it stands: the shell, the back end's Python, and the page."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from ledger.cli import run
from tests.conftest import running_server
from tests.faults.processes import ServiceProcess, free_port
from tests.guides import DOCS, Guide
from tests.web.pages import Site, Visitor, part
from tests.web.shop import PROGRAM, open_shop


class Reader:
    """Does what a guide's blocks say outside of the shell: starts servers, and uses a browser."""

    def __init__(self, visitor: Visitor, site: Site, directory: Path, database_url: str) -> None:
        self._visitor = visitor
        self._site = site
        self._directory = directory
        self._environment = {
            "LEDGER_DATABASE_URL": database_url,
            "LEDGER_HTTP_ADDRESS": site.ledger.removeprefix("http://"),
        }
        self._running = ExitStack()
        self._started: set[str] = set()
        self._page: Page | None = None
        self._said: list[str] = []
        self.shop = ""

    def starts(self, command: str) -> str:
        """A server that goes on running; once."""
        words = shlex.split(command)
        if command in self._started:
            return ""
        self._started.add(command)
        if words[:2] == ["ledger", "serve"]:
            log, options = self._directory / "serve.log", words[2:]
            service = ServiceProcess(self._environment, log, arguments=options)
            self._running.enter_context(service).start()
        else:
            assert words[:2] == ["python", str(PROGRAM)]
            self._site.close()  # the shop takes its place
            place = ["--ledger", self._site.ledger, "--port", self._site.origin.split(":")[-1]]
            shop = open_shop([*words[2:], *place], self._directory)
            self.shop = self._running.enter_context(shop)
        return ""

    def opens(self, body: str) -> str:
        """A page with this in it."""
        self._page = self._visitor.opens_plain(self._site.plain_page(body))
        self._page.on("console", lambda said: self._said.append(said.text))
        return ""

    def types(self, script: str) -> str:
        """A script, at the page's console."""
        session = self.page.context.new_cdp_session(self.page)
        settings = {"replMode": True, "awaitPromise": True}
        result = session.send("Runtime.evaluate", {"expression": script, **settings})
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        printed, self._said = "\n".join(self._said), []
        return printed

    def styles(self, sheet: str) -> str:
        """A style sheet, for the page."""
        self.page.evaluate(
            """text => { const sheet = new CSSStyleSheet(); sheet.replaceSync(text);
                         document.adoptedStyleSheets = [sheet]; }""",
            sheet,
        )
        return ""

    @property
    def page(self) -> Page:
        assert self._page is not None
        return self._page

    def leaves(self) -> None:
        if self._page is not None:
            self._page.context.close()  # it would complain when the servers go
        self._running.close()


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        site.ledger = f"http://127.0.0.1:{free_port()}"
        yield site


@pytest.fixture
def visitor(browser: Browser, site: Site) -> Iterator[Visitor]:
    visitor = Visitor(browser, site)
    yield visitor
    visitor.leave()


@pytest.fixture
def reader(visitor: Visitor, site: Site, tmp_path: Path, coffee_shop: str) -> Iterator[Reader]:
    reader = Reader(visitor, site, tmp_path, coffee_shop)
    yield reader
    reader.leaves()


@pytest.fixture
def coffee_shop(database_url: str) -> str:
    """The database of a ledger with the demo's program."""
    document = files("ledger") / "demo" / "coffee-shop.yaml"
    with running_server(database_url) as server:
        assert run(["program", "apply", str(document), "--server", server.grpc_address]) == 0
    return database_url


def test_what_the_guide_shows_is_what_happens(
    reader: Reader, site: Site, coffee_shop: str, tmp_path: Path
) -> None:
    files_of = ("shop.key", "token-keys.json", "shop.headers")
    guide = Guide(
        DOCS / "integrating-a-shop.md",
        tmp_path,
        names={
            "127.0.0.1:8080": site.ledger.removeprefix("http://"),
            "127.0.0.1:8000": site.origin.removeprefix("http://"),
            "deploy/shop/shop.py": str(PROGRAM),
            **{name: str(tmp_path / name) for name in files_of},
        },
        environment={"LEDGER_DATABASE_URL": coffee_shop},
        others={
            "sh": reader.starts,
            "html": reader.opens,
            "js": reader.types,
            "css": reader.styles,
        },
    )
    site.answers["/loyalty-token"] = lambda: {"token": guide.namespace["loyalty_token"]("web-7")}
    with guide:
        assert guide.run() >= 16

    expect(part(reader.page, "number")).to_have_text("92")
    expect(part(reader.page, "number")).to_have_css("font-family", "Georgia, serif")
    reader.page.goto(reader.shop)
    expect(part(reader.page, "number")).to_have_text("92")
