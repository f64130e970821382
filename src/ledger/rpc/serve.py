"""Wires a database, the engine and both ports together, and stops them in the right order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog
from prometheus_client import CollectorRegistry

from ledger import signals
from ledger.census import Census
from ledger.engine import Engine, real_clock
from ledger.exposition import Exposition
from ledger.feed import Feed
from ledger.metrics import Metrics
from ledger.repeated import Repeated
from ledger.rpc.access import Access
from ledger.rpc.audit import AuditService
from ledger.rpc.balances import BalanceService
from ledger.rpc.calls import CallLog
from ledger.rpc.dispatch import Dispatcher, Method, methods_of
from ledger.rpc.grpc_server import GrpcServer
from ledger.rpc.http_server import HttpServer
from ledger.rpc.link import Sibling
from ledger.rpc.members import MemberService
from ledger.rpc.options import ServeOptions
from ledger.rpc.points import PointsService
from ledger.rpc.programs import ProgramService
from ledger.rpc.quotas import Quotas
from ledger.rpc.redemptions import RedemptionService
from ledger.scheduler import Scheduler
from ledger.store.database import SERVICE_POOL, open_database
from ledger.store.migrate import require_current
from ledger.store.programs import list_programs
from ledger.v1 import audit_pb2, balance_pb2, member_pb2, points_pb2, program_pb2, redemption_pb2
from ledger.verifier import RETRY_SECONDS, Verifier

if TYPE_CHECKING:
    from ledger.rpc.tls import Tls
    from ledger.rpc.tracing import Tracing

__all__ = ["ServeOptions", "Server", "run"]

log = structlog.get_logger(__name__)

#: how long calls that were accepted may take to finish after a stop signal
GRACE_SECONDS = 10.0
#: how long the last answers have to get out, while new calls are told of the stop
NOTICE_SECONDS = 0.5
_MAX_PROGRAMS_AT_START = 1_000
#: between two looks whether the database answers, when nobody asks for it
_WATCH_SECONDS = 2.0


class Server:
    """A running service. `grpc_port` and `http_port` tell the ports that 0 was replaced by.

    `clock` answers the present instant (µs); tests bring their own. `sibling` is given to one of
    several workers: it knows what the others measured.
    """

    def __init__(
        self,
        options: ServeOptions,
        *,
        clock: Callable[[], int] = real_clock,
        sibling: Sibling | None = None,
    ) -> None:
        self._metrics = Metrics()
        self._sibling = sibling
        self._tls = _tls(options, self._metrics)
        self._attending: asyncio.Task[None] | None = None
        self._database = open_database(
            options.database_url,
            pool_size=SERVICE_POOL,
            application_name="ledger",
            allow_unsafe=options.allow_unsafe_database,
        )
        try:
            require_current(self._database)
            with self._database.connect() as connection:
                for program_id in list_programs(connection, None, _MAX_PROGRAMS_AT_START):
                    self._metrics.know_program(program_id)
        except BaseException:
            self._database.dispose()
            raise
        self.engine = Engine(
            self._database,
            self._metrics,
            clock=clock,
            batch_limit=options.batch_limit,
            queue_limit=options.queue_limit,
        )
        self.access = Access(
            self._database,
            self.engine.query_apart,
            self._metrics,
            development=options.development,
            token_keys=options.token_keys,
            terminals=None if self._tls is None else self._tls.terminals,
        )
        self._feed = Feed(self.engine, self._metrics, limit=options.stream_limit)
        methods = _methods(self.engine, self._feed, self._metrics, self.access)
        quotas = Quotas(options.quota_per_second, self._metrics)
        self._tracing = _tracing(options, self.engine)
        self._dispatcher = Dispatcher(
            methods,
            self._metrics,
            self.access,
            quotas,
            lambda reads: self.engine.overloaded(reads=reads),
            CallLog(options.slow_seconds),
            self._tracing,
        )
        share = options.share_ports
        self._grpc = GrpcServer(self._dispatcher, options.grpc_address, share, self._tls)
        self._http = HttpServer(
            self._dispatcher,
            options.http_address,
            share,
            self._tls,
            web_origins=options.web_origins,
            exposition=self._exposition,
            is_ready=self._is_ready,
        )
        self._background = _background(self.engine, self._metrics, options)
        self._watching: asyncio.Task[None] | None = None
        self._show_pool()
        self.grpc_port = self._grpc.port
        self.http_port = self._http.port
        self._stopping = False

    async def start(self, on_orphaned: Callable[[], None] = lambda: None) -> None:
        """Serve. `on_orphaned` is called when the process that started this worker has ended."""
        self.access.start()
        if self._tls is not None:
            self._tls.start()
        await self._grpc.start()
        await self._http.start()
        self._metrics.database_up.set(1)
        self._feed.start()
        for work in self._background:
            work.start()
        self._watching = asyncio.create_task(self._watch())
        if self._sibling is not None:
            attend = self._sibling.attend(self._metrics, on_orphaned)
            self._attending = asyncio.create_task(attend)
        log.info("serving", grpc_port=self.grpc_port, http_port=self.http_port)

    async def stop(self) -> None:
        """Leave the load balancer, finish what was accepted, then let go of the database."""
        self._stopping = True
        if self._watching is not None:
            self._watching.cancel()
        for work in self._background:
            await work.stop()
        await self._grpc.leave()
        self._dispatcher.stop()
        await self._feed.stop()
        await self._dispatcher.drain(GRACE_SECONDS)
        await asyncio.sleep(NOTICE_SECONDS)
        await asyncio.gather(self._grpc.stop(), self._http.stop())
        if self._tls is not None:
            await self._tls.stop()
        await self.access.stop()
        await asyncio.to_thread(self.engine.close)
        self._database.dispose()
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)
        log.info("stopped")

    async def _exposition(self) -> CollectorRegistry:
        """What /metrics shows: all of the service, whichever worker is asked. Raises TimeoutError
        when the others do not say."""
        if self._sibling is None:
            return self._metrics.registry
        return Exposition(await self._sibling.all_metrics(self._metrics.registry.collect()))

    def _show_pool(self) -> None:
        """Have the metrics tell of the connections to the database."""

        def count(of: str) -> int:  # the pool itself is replaced when its connections are lost
            return int(getattr(self._database.pool, of)())

        metrics = self._metrics
        metrics.pool_size.set(SERVICE_POOL)
        metrics.pool_connections.labels("in_use").set_function(lambda: count("checkedout"))
        metrics.pool_connections.labels("idle").set_function(lambda: count("checkedin"))

    async def _watch(self) -> None:
        """Know whether the database answers, also when nobody asks for anything."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            await self._is_ready()

    async def _is_ready(self) -> bool:
        if self._stopping:
            return False
        try:
            await asyncio.wait_for(self.engine.query(_ping), 2)
        except Exception:
            self._metrics.database_up.set(0)
            return False
        self._metrics.database_up.set(1)
        return True


def run(
    options: ServeOptions,
    on_ready: Callable[[Server], None] | None = None,
    sibling: Sibling | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, or, as a `sibling`, until its parent has ended.

    `on_ready` is called once both ports answer.
    """
    if sys.platform == "win32":
        asyncio.run(_serve(options, on_ready, sibling))
        return
    import resource

    import uvloop

    # Each till is an open file, and 1,024 of them is what most systems begin with.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # where unlimited is more than can be had
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # What is there now stays; batches make many objects and no cycles.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    # A thread that comes back from the database should not wait 5 ms for the event loop to yield.
    sys.setswitchinterval(0.0005)
    uvloop.run(_serve(options, on_ready, sibling))


async def _serve(
    options: ServeOptions,
    on_ready: Callable[[Server], None] | None,
    sibling: Sibling | None,
) -> None:
    server = Server(options, sibling=sibling)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_tell_failure)
    with signals.calling(stop.set):
        await server.start(on_orphaned=stop.set)
        if on_ready is not None:
            on_ready(server)
        await stop.wait()
        await server.stop()


def _tell_failure(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio would log with the values that it was about: a failure that nobody waits for."""
    log.error("something failed beside any call", exc_info=context.get("exception"))


def _background(engine: Engine, metrics: Metrics, options: ServeOptions) -> list[Repeated]:
    """What this server does unasked."""
    works: list[Repeated] = []
    if seconds := options.scheduler_seconds:
        works.append(Repeated("scheduler", Scheduler(engine, metrics, seconds).look, seconds))
    if seconds := options.census_seconds:
        works.append(Repeated("census", Census(engine, metrics, seconds).run_once, seconds))
    if rate := options.verify_rate:
        verifier = Verifier(engine, metrics, rate)
        works.append(Repeated("verification", verifier.run_once, RETRY_SECONDS))
    return works


def _tracing(options: ServeOptions, engine: Engine) -> Tracing | None:
    """What makes the spans of this process, if it shall; OpenTelemetry is imported only then."""
    if not options.tracing:
        return None
    from ledger.rpc.tracing import Tracing

    tracing = Tracing()
    engine.watch(tracing)
    return tracing


def _tls(options: ServeOptions, metrics: Metrics) -> Tls | None:
    """The TLS of this process; it is imported only where it is spoken. Raises FilesUnusable."""
    if options.tls is None:
        return None
    from ledger.rpc.tls import Tls

    return Tls(options.tls, metrics)


def _methods(engine: Engine, feed: Feed, metrics: Metrics, access: Access) -> list[Method]:
    services = {
        program_pb2: ("ProgramService", ProgramService(engine, metrics)),
        member_pb2: ("MemberService", MemberService(engine, access)),
        points_pb2: ("PointsService", PointsService(engine, access)),
        redemption_pb2: ("RedemptionService", RedemptionService(engine)),
        balance_pb2: ("BalanceService", BalanceService(engine, feed)),
        audit_pb2: ("AuditService", AuditService(engine)),
    }
    return [
        method
        for module, (name, service) in services.items()
        for method in methods_of(module.DESCRIPTOR.services_by_name[name], service)
    ]


def _ping(connection: sa.Connection) -> None:
    connection.exec_driver_sql("SELECT 1")
