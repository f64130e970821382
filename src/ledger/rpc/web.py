"""What the HTTP port has for browsers: the widget's script, and leave for other origins to call.

The script is one ES module, put together of the parts in ledger/web, so that a page never gets
parts of two releases. Its URL names the version of the interface that pages are written against;
what changes within it is found by ETag.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Sequence
from importlib.resources import files

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

SCRIPT_PATH = "/web/v1/loyalty-balance.js"

#: each may use what the ones before it declare
_PARTS = ("texts", "words", "ledger", "follow", "style", "view", "element")

#: how long a browser may use a script without asking whether it has changed
_FRESH_SECONDS = 300

#: how long a browser may remember what it may send (two hours are the most that any takes)
_PREFLIGHT_SECONDS = 7200

#: what Connect and gRPC-Web clients send and read, besides what every page may
_REQUEST_HEADERS = (
    "authorization",
    "connect-protocol-version",
    "connect-timeout-ms",
    "grpc-timeout",
    "x-grpc-web",
    "x-user-agent",
)
_RESPONSE_HEADERS = ("grpc-message", "grpc-status", "grpc-status-details-bin")


def cross_origin(origins: Sequence[str]) -> list[Middleware]:
    """Lets pages of exactly these origins call the port. None: same origin only.

    Credentials are bearer tokens that a page sends itself, so cookies are never allowed.
    """
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=tuple(origins),
            allow_methods=("GET", "POST"),
            allow_headers=_REQUEST_HEADERS,
            allow_credentials=False,
            expose_headers=_RESPONSE_HEADERS,
            max_age=_PREFLIGHT_SECONDS,
        )
    ]


class LoopbackNames:
    """An ASGI application that, while `only_loopback`, answers 421 to requests for other hosts.

    The name of a page's own site may be made to point to this machine. What the page then sends
    comes from the same origin and from loopback; only Host still tells.
    """

    def __init__(self, app: ASGIApp, only_loopback: Callable[[], bool]) -> None:
        self._app = app
        self._only_loopback = only_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and self._only_loopback():
            hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            if len(hosts) != 1 or not is_loopback(hosts[0]):
                app = _MISDIRECTED
        await app(scope, receive, send)


_MISDIRECTED = PlainTextResponse(
    "in development mode Host must be localhost, 127.x.x.x or [::1], with or without a port\n",
    status_code=421,
)


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine, with or without a port."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost" or name.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def script() -> str:
    """The source of the widget."""
    folder = files("ledger") / "web"
    return "\n".join((folder / f"{part}.js").read_text("utf-8") for part in _PARTS)


class Script:
    """An ASGI application that answers the script, or 304 to whoever has it."""

    def __init__(self) -> None:
        self._content = script().encode()
        self._headers = {
            "cache-control": f"public, max-age={_FRESH_SECONDS}",
            # A page that isolates itself (COEP) may load it, too.
            "cross-origin-resource-policy": "cross-origin",
            "etag": f'"{hashlib.sha256(self._content).hexdigest()[:32]}"',
            "x-content-type-options": "nosniff",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(Request(scope))(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return Response(status_code=405, headers={"allow": "GET, HEAD"})
        if _names(request.headers.get("if-none-match", ""), self._headers["etag"]):
            return Response(status_code=304, headers=self._headers)
        return Response(self._content, media_type="text/javascript", headers=self._headers)


def _names(if_none_match: str, etag: str) -> bool:
    """Whether one of the listed tags is this one; weak ones count (RFC 9110, 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags
