"""The HTTP port: Connect JSON and gRPC-Web for the same methods, metrics, probes, the widget."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import uvicorn
from google.rpc import code_pb2
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from ledger.rpc.connect_app import ConnectApplication, authorization_of, certificate_of
from ledger.rpc.dispatch import Dispatcher, StatusError
from ledger.rpc.http_protocol import UNHEARD_SECONDS, PatientProtocol
from ledger.rpc.web import SCRIPT_PATH, LoopbackNames, Script, cross_origin

if TYPE_CHECKING:
    from ledger.rpc.tls import Tls

#: HTTP's statuses for those who may not see /metrics
_METRICS_REFUSALS: Mapping[int, int] = {code_pb2.UNAUTHENTICATED: 401, code_pb2.UNAVAILABLE: 503}


class HttpServer:
    """uvicorn on one address, which other workers may `share`, in the running event loop.

    Pages of `web_origins` may call it, too. `exposition` has what /metrics shows, or raises
    TimeoutError.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        address: str,
        share: bool,
        tls: Tls | None,
        *,
        web_origins: Sequence[str],
        exposition: Callable[[], Awaitable[CollectorRegistry]],
        is_ready: Callable[[], Awaitable[bool]],
    ) -> None:
        self._dispatcher = dispatcher
        self._exposition = exposition
        self._is_ready = is_ready
        application = Starlette(
            routes=[
                Route("/metrics", self._metrics_page),
                Route("/healthz", self._alive),
                Route("/readyz", self._ready),
                Route(SCRIPT_PATH, Script()),
                Mount("/", ConnectApplication(dispatcher)),
            ],
            middleware=[
                Middleware(LoopbackNames, only_loopback=lambda: dispatcher.access.in_development),
                *cross_origin(web_origins),
            ],
        )
        host, _, port = address.rpartition(":")
        self._socket = _listen(host.strip("[]"), int(port), share)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            application,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            h11_max_incomplete_event_size=64 * 1024,
            timeout_graceful_shutdown=10,
            http=PatientProtocol if tls is None else tls.http_protocol,
            ssl_context_factory=None if tls is None else lambda _, __: tls.http_context(),
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Take no new request, let the running ones finish."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._socket.close()

    async def _metrics_page(self, request: Request) -> Response:
        try:
            scope = request.scope
            await self._dispatcher.admit_to_metrics(authorization_of(scope), certificate_of(scope))
        except StatusError as error:
            text, code = f"{error.status.message}\n", error.status.code
            return PlainTextResponse(text, status_code=_METRICS_REFUSALS.get(code, 403))
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        try:
            shown = await self._exposition()
        except TimeoutError:
            return PlainTextResponse("other workers do not answer\n", status_code=503)
        return Response(encode(shown), media_type=content_type)

    async def _alive(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, request: Request) -> Response:
        ready = await self._is_ready()
        return JSONResponse({"ready": ready}, status_code=200 if ready else 503)


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: the process decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def _listen(host: str, port: int, share: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio turns Nagle's algorithm off: answers would wait 40 ms for it.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if share:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sys.platform == "linux":  # inherited by connections, whose other ends may just be gone
        patience = int(UNHEARD_SECONDS * 1_000)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(f"can not listen on {host}:{port} for HTTP: {error.strerror}") from error
    listener.set_inheritable(True)
    return listener
