#!/usr/bin/env python3
"""A web shop that shows its customer's points. Needs Python's standard library only.

    $ python deploy/shop/shop.py --api-key-file shop.key

The API key of role `shop` stays in this process, which uses it for two things: to record what was
bought, and to mint member tokens. The browser gets such a token. It is good for some minutes and
for reading what this one member has, so it does no harm where the key would.

Which member a visitor is, is the shop's own business: it follows from who is signed in. This shop
has one customer, who is named when it is started. docs/integrating-a-shop.md tells the rest.
"""

from __future__ import annotations

import argparse
import html
import json
import random
import re
import time
import urllib.error
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from typing import Any

HERE = Path(__file__).parent
PAGES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/shop.js": ("shop.js", "text/javascript; charset=utf-8"),
    "/shop.css": ("shop.css", "text/css; charset=utf-8"),
}
#: what can be bought: category and price, in cents
GOODS = {"espresso": ("coffee", 280), "roast-250g": ("coffee", 1290), "grinder": ("goods", 11900)}
TOKEN_SECONDS = 600
TRIES = 4
#: codes after which nobody knows whether it was done, or which say to come back
PASSING = ("unavailable", "deadline_exceeded")
MAX_BYTES = 10_000


class Refused(Exception):
    """What the ledger answers instead: an HTTP status, a code, a message for the log."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status, self.code = status, code


class Ledger:
    """The ledger's JSON API, called with the shop's key."""

    def __init__(self, address: str, api_key: str) -> None:
        self.address = address.rstrip("/")
        self._authorization = f"Bearer {api_key}"

    def call(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        """The answer of `Service/Method`. What may pass is tried again, with the same request_id,
        so that nothing happens twice. Raises Refused."""
        for attempt in range(TRIES):
            try:
                return self._send(method, request)
            except Refused as refused:
                if refused.code not in PASSING or attempt == TRIES - 1:
                    raise
                time.sleep(random.uniform(0, 0.2 * 2**attempt))
        raise AssertionError("unreachable")

    def _send(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        headers = {"content-type": "application/json", "authorization": self._authorization}
        url = f"{self.address}/ledger.v1.{method}"
        post = urllib.request.Request(url, json.dumps(request).encode(), headers)
        try:
            with urllib.request.urlopen(post, timeout=5) as answer:
                document: dict[str, Any] = json.load(answer)
                return document
        except urllib.error.HTTPError as error:
            try:
                problem = json.load(error)
                code, message = problem["code"], problem.get("message", "")
            except (ValueError, KeyError, TypeError):
                code, message = "unavailable", f"HTTP {error.code}"
            raise Refused(error.code, code, message) from None
        except (OSError, HTTPException, ValueError) as error:  # whether it was done is not known
            raise Refused(503, "unavailable", str(error)) from None


class Shop:
    """What this shop does with the ledger, for its customer."""

    def __init__(self, ledger: Ledger, program: str, member: str) -> None:
        self.ledger = ledger
        self._customer = {"programId": program, "memberId": member}

    def token(self) -> dict[str, Any]:
        """What the page needs to show the customer's points, and for how long."""
        asked = {**self._customer, "ttl": f"{TOKEN_SECONDS}s"}
        try:
            made = self.ledger.call("MemberService/CreateMemberToken", asked)
        except Refused as refused:
            if refused.code != "not_found":
                raise
            joining = {**self._customer, "requestId": "joins-with-the-shop"}
            self.ledger.call("MemberService/EnrollMember", joining)
            made = self.ledger.call("MemberService/CreateMemberToken", asked)
        program, member = self._customer.values()
        return {"program": program, "member": member, "token": made["token"]}

    def buy(self, order: str, article: str) -> dict[str, Any]:
        """What a till would print. An order that is sent twice is one order."""
        category, cents = GOODS[article]
        price = {"currencyCode": "EUR", "units": str(cents // 100), "nanos": cents % 100 * 10**7}
        line = {"sku": article, "category": category, "quantity": 1, "amount": price}
        receipt = self.ledger.call(
            "PointsService/RecordPurchase",
            {
                **self._customer,
                "requestId": f"web/{order}",
                "purchaseId": f"web/{order}",
                "locationId": "web",
                "amount": price,
                "lines": [line],
            },
        )
        return {"messages": receipt["messages"]}


def handler(shop: Shop) -> type[BaseHTTPRequestHandler]:
    """Answers the page and its two questions."""
    ledger = shop.ledger.address
    policy = (
        f"default-src 'none'; script-src 'self' {ledger}; connect-src 'self' {ledger}; "
        "style-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path not in PAGES:
                return self._answer(404, "text/plain", b"there is no such page\n")
            name, kind = PAGES[self.path]
            text = (HERE / name).read_text("utf-8")
            if kind.startswith("text/html"):
                text = Template(text).substitute(ledger=html.escape(ledger))
            self._answer(200, kind, text.encode())

        def do_POST(self) -> None:
            # A page of another site can not send JSON here: its browser would have to ask first.
            if self.headers.get_content_type() != "application/json":
                return self._answer(415, "text/plain", b"send JSON\n")
            try:
                length = min(int(self.headers["content-length"] or 0), MAX_BYTES)
                request = json.loads(self.rfile.read(length))
                self._json(200, self._done(request))
            except Refused as refused:
                self.log_error("the ledger refused: %s", refused)
                self._json(502, {"error": "that did not work; please try again"})
            except (ValueError, KeyError, TypeError) as error:
                self._json(400, {"error": f"no such request: {error}"})

        def _done(self, request: dict[str, Any]) -> dict[str, Any]:
            if self.path == "/loyalty-token":
                return shop.token()
            if self.path == "/orders":
                order = request["order"]
                if not re.fullmatch(r"[0-9a-f-]{36}", order):
                    raise ValueError("an order has a UUID")
                return shop.buy(order, request["article"])
            raise KeyError(self.path)

        def _json(self, status: int, document: dict[str, Any]) -> None:
            self._answer(status, "application/json", json.dumps(document).encode())

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.send_header("content-security-policy", policy)
            self.send_header("cache-control", "no-store")
            self.send_header("x-content-type-options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser(description="A web shop that shows its customer's points.")
    parser.add_argument("--api-key-file", type=Path, required=True, help="a key of role shop")
    parser.add_argument("--ledger", default="http://127.0.0.1:8080", help="its HTTP port")
    parser.add_argument("--program", default="bean-street")
    parser.add_argument("--member", default="m-1", help="the customer who is signed in")
    parser.add_argument("--port", type=int, default=8000, help="of this shop, on 127.0.0.1")
    given = parser.parse_args()
    try:
        api_key = given.api_key_file.read_text().strip()
    except OSError as error:
        parser.error(f"--api-key-file {given.api_key_file}: {error.strerror}")
    shop = Shop(Ledger(given.ledger, api_key), given.program, given.member)
    server = ThreadingHTTPServer(("127.0.0.1", given.port), handler(shop))
    print(f"The shop is open at http://127.0.0.1:{server.server_port}", flush=True)
    with suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
