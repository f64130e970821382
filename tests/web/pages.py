"""A shop's site, and a visitor who looks at its pages with a browser."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page

WIDGET = "loyalty-balance"

#: all that a widget has in the document, seen or not
CONTENT = "host => host.shadowRoot.textContent"

#: for what is not measured: a machine may be busy
PATIENCE_MS = 10_000


class Site:
    """A shop's web server on this machine, reached by two names: two origins for a browser.

    Its policy lets pages do only what the widget needs: no inline script or style, no markup made
    of text.
    """

    def __init__(self) -> None:
        #: of the ledger's HTTP port
        self.ledger = ""
        self.pages: dict[str, str] = {}
        #: what is answered to a POST, as JSON
        self.answers: dict[str, Callable[[], object]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="site")
        port = self._server.server_port
        self.origin, self.other_origin = f"http://127.0.0.1:{port}", f"http://localhost:{port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = site.pages.get(self.path)
                self.send_response(200 if page is not None else 404)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-security-policy", site.policy)
                self.end_headers()
                self.wfile.write((page or "").encode())

            def do_POST(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(site.answers[self.path]()).encode())

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler

    @property
    def policy(self) -> str:
        return (
            f"default-src 'none'; img-src data:; script-src {self.ledger}; connect-src 'self' "
            f"{self.ledger}; require-trusted-types-for 'script'; trusted-types 'none'"
        )

    def page(self, elements: str, lang: str = "en") -> str:
        """The path of a new page with the widget's script and these elements."""
        script = f'<script type="module" src="{self.ledger}/web/v1/loyalty-balance.js"></script>'
        return self.plain_page(f"{script}<main>{elements}</main>", lang)

    def plain_page(self, body: str, lang: str = "en") -> str:
        """The path of a new page."""
        path = f"/{len(self.pages) + 1}"
        self.pages[path] = (
            f'<!doctype html><html lang="{lang}"><head><title>Shop</title><meta charset="utf-8">'
            '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
            f"</head><body>{body}</body></html>"
        )
        return path

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Serve no more. May be called again."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Visitor:
    """Opens pages in Berlin, in windows of their own, and notes what they complain of."""

    def __init__(self, browser: Browser, site: Site) -> None:
        self._browser = browser
        self._site = site
        self._contexts: list[BrowserContext] = []
        self._complaints: list[str] = []
        self._expected: list[str] = []

    def expect(self, *patterns: str) -> None:
        """Complaints that are right."""
        self._expected += patterns

    def opens(
        self,
        elements: str,
        *,
        lang: str = "en-GB",
        other: bool = False,
        watching: bool = False,
        **window: Any,
    ) -> Page:
        """A page with these elements, at the site's first or `other` origin; once it is `watching`.
        `window` is what Browser.new_context takes, such as color_scheme."""
        page = self._window(**window)
        origin = self._site.other_origin if other else self._site.origin
        with page.expect_response("**/WatchBalance") if watching else nullcontext():
            page.goto(origin + self._site.page(elements, lang))
        return page

    def opens_plain(self, path: str) -> Page:
        """A page that the site has already."""
        page = self._window()
        page.goto(self._site.origin + path)
        return page

    def _window(self, **window: Any) -> Page:
        settings = {"timezone_id": "Europe/Berlin", "locale": "fr", **window}
        context = self._browser.new_context(**settings)
        context.set_default_timeout(PATIENCE_MS)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self._complaints.append(str(error)))
        return page

    def _note(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self._complaints.append(said.text)

    def sees(self, member: str, program: str = "bean-street", **how: Any) -> Page:
        """A page with the balance of one member, when it is there and is being watched."""
        page = self.opens(widget(member, program), watching=True, **how)
        page.locator(f"{WIDGET}[state=ready]").wait_for()
        return page

    def leave(self) -> None:
        """Close everything. Raises AssertionError for complaints that nobody expected."""
        for context in self._contexts:
            context.close()
        unexpected = [
            complaint
            for complaint in self._complaints
            if not any(re.search(pattern, complaint) for pattern in self._expected)
        ]
        assert not unexpected, unexpected


def widget(member: str, program: str = "bean-street", token: str = "t", more: str = "") -> str:
    """The element as a page has it."""
    return f'<{WIDGET} program="{program}" member="{member}" token="{token}" {more}></{WIDGET}>'


def part(page: Page, name: str) -> Locator:
    """A part of the only widget of a page."""
    return page.locator(f"{WIDGET} [part={name}]")


def texts(page: Page) -> dict[str, str]:
    """What each part that can be seen says."""
    found: dict[str, str] = page.eval_on_selector(
        WIDGET,
        """host => Object.fromEntries(
            [...host.shadowRoot.querySelectorAll("p[part], [part=inside], [part=note] span")]
                .filter((each) => each.checkVisibility())
                .map((each) => [each.getAttribute("part") ?? "note", each.textContent]))""",
    )
    return found


def append(page: Page, member: str, program: str = "bean-street") -> None:
    """Put a widget on a page that is open."""
    page.evaluate(
        """([program, member]) => {
            const made = document.createElement("loyalty-balance");
            Object.assign(made, {program, member, token: "t"});
            document.querySelector("main").append(made);
        }""",
        [program, member],
    )


def until(page: Page, expression: str, seconds: float = PATIENCE_MS / 1_000) -> None:
    """Return once it is true on the page. (wait_for_function needs a page that may use eval.)"""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"not within {seconds} s: {expression}"
        page.wait_for_timeout(20)
