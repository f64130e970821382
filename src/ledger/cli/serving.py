"""What `ledger serve` starts, from its settings: one process or several workers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.cli.failure import CommandFailed
from ledger.config import split_address
from ledger.rpc.options import ServeOptions, TlsOptions
from ledger.rpc.renewed import FilesUnusable

if TYPE_CHECKING:
    from ledger.config import Settings

#: gets the ports of gRPC and HTTP, and whether everybody is an administrator
OnReady = Callable[[int, int, bool], None]


def run_server(chosen: Settings, url: str, on_ready: OnReady) -> None:
    """Serve the database at an address until told to stop. Raises CommandFailed, and what opening
    the database does."""
    from ledger.store.migrate import SchemaAhead, migrate

    if chosen.tracing:
        _require_opentelemetry()
    if chosen.database_url is None:
        with suppress(SchemaAhead):  # the version before still serves: an update was undone
            migrate(url)
    options = ServeOptions(
        database_url=url,
        grpc_address=chosen.grpc_address,
        http_address=chosen.http_address,
        web_origins=chosen.web_origins,
        queue_limit=chosen.queue_limit,
        batch_limit=chosen.batch_limit,
        stream_limit=chosen.stream_limit,
        scheduler_seconds=chosen.scheduler_seconds,
        slow_seconds=chosen.slow_seconds,
        tracing=chosen.tracing,
        census_seconds=chosen.census_seconds,
        verify_rate=chosen.verify_rate,
        allow_unsafe_database=chosen.allow_unsafe_database,
        pin=_pinned(chosen),
        tls=_tls(chosen),
        quota_per_second=chosen.quota_per_second,
        development=chosen.development,
        token_keys=_token_keys(chosen),
    )
    try:
        if chosen.workers > 1:
            _serve_in_workers(chosen, options, on_ready)
        else:
            from ledger.rpc.processors import keep_to_one
            from ledger.rpc.serve import run

            if options.pin:
                keep_to_one(1)
            run(
                options,
                lambda server: on_ready(
                    server.grpc_port, server.http_port, server.access.in_development
                ),
            )
    except OSError as error:  # a port that is taken, or not ours to have
        raise CommandFailed(
            str(error).partition(": Failed")[0],
            reason="CAN_NOT_LISTEN",
            advice="Does a server run there? --grpc-address and --http-address name others.",
        ) from None


def _require_opentelemetry() -> None:
    """Raises CommandFailed where it is not installed."""
    try:
        import opentelemetry.exporter.otlp.proto.grpc.trace_exporter
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError:
        raise CommandFailed(
            "tracing needs OpenTelemetry, which is not installed",
            reason="TRACING_UNAVAILABLE",
            advice="pip install 'loyalty-ledger[otel]', or leave --tracing out.",
        ) from None


def tls_options(chosen: Settings) -> TlsOptions | None:
    """The files of TLS, not looked at yet; None: plain text is spoken."""
    if chosen.tls_certificate is None or chosen.tls_key is None:
        return None
    return TlsOptions(
        chosen.tls_certificate,
        chosen.tls_key,
        chosen.tls_client_ca,
        chosen.tls_client_names,
        chosen.tls_revoked,
    )


def _tls(chosen: Settings) -> TlsOptions | None:
    """The files of TLS, which can be used; None: plain text is spoken."""
    options = tls_options(chosen)
    if options is None:
        return None
    from ledger.rpc.tls_files import check_files

    try:
        check_files(options)
    except FilesUnusable as error:
        raise CommandFailed(str(error), reason="TLS_UNUSABLE") from None
    return options


def _token_keys(chosen: Settings) -> Path | None:
    """The file of the keys that sign member tokens, which can be used."""
    if chosen.token_keys is None:
        return None
    from ledger.rpc.tokens import load_token_keys

    path = chosen.token_keys.absolute()
    try:
        load_token_keys(path)
    except FilesUnusable as error:
        raise CommandFailed(str(error), reason="TOKEN_KEYS_UNUSABLE") from None
    return path


def _pinned(chosen: Settings) -> bool:
    """Whether each process keeps to one processor."""
    from ledger.rpc.processors import processors

    available = len(processors())
    if chosen.pin and not available:
        raise CommandFailed(
            "this system does not let a process choose its processor",
            reason="CAN_NOT_PIN",
            advice="Leave --pin and LEDGER_PIN away.",
        )
    return 1 < chosen.workers <= available if chosen.pin is None else chosen.pin


def _serve_in_workers(chosen: Settings, options: ServeOptions, on_ready: OnReady) -> None:
    """Have workers serve. What they would all refuse is refused before they are started."""
    import asyncio
    import sys

    from ledger.cli.worker import Setup
    from ledger.rpc.workers import WorkerFailed, Workers, reserved
    from ledger.store.api_keys import read_mark
    from ledger.store.database import open_database
    from ledger.store.migrate import require_current

    unsafe = options.allow_unsafe_database
    database = open_database(options.database_url, pool_size=1, allow_unsafe=unsafe)
    try:
        require_current(database)
        with database.connect() as connection:
            development = options.development and not read_mark(connection)[0]
    finally:
        database.dispose()
    with (
        reserved(options.grpc_address, "gRPC") as grpc_address,
        reserved(options.http_address, "HTTP") as http_address,
    ):
        ports = split_address(grpc_address)[1], split_address(http_address)[1]
        options = replace(
            options, grpc_address=grpc_address, http_address=http_address, share_ports=True
        )
        setup = Setup(options, chosen.log_format, chosen.log_level)
        command = (sys.executable, "-m", "ledger.cli.worker")
        workers = Workers(chosen.workers, command, setup, lambda: on_ready(*ports, development))
        try:
            asyncio.run(workers.run())
        except WorkerFailed as error:
            raise CommandFailed(
                str(error), reason="WORKER_FAILED", advice="What it said is above."
            ) from None


def when_ready(chosen: Settings, demo: bool, demo_file: Path | None, json: bool) -> OnReady:
    """What to do once both ports answer. It must not hold up the server, which calls it."""
    from threading import Thread

    from ledger.cli import output, welcome

    def ready(grpc_port: int, http_port: int, development: bool) -> None:
        grpc_host, _ = split_address(chosen.grpc_address)
        http_host, _ = split_address(chosen.http_address)
        addresses = welcome.Addresses(
            welcome.join(grpc_host, grpc_port),
            welcome.join(http_host, http_port),
            tls=chosen.tls_certificate is not None,
        )
        if json:
            output.print_json({"grpcAddress": addresses.grpc, "httpAddress": addresses.http})
        if development:
            welcome.warn_of_development_mode(chosen.log_format)
        arguments = (addresses, demo, demo_file, chosen.log_format)
        Thread(target=welcome.welcome, args=arguments, name="welcome", daemon=True).start()

    return ready
