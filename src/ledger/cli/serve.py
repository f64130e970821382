"""`ledger serve`: runs a server. Imports typer only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.cli import options


def serve(
    grpc_address: Annotated[
        str | None,
        typer.Option(
            "--grpc-address",
            metavar="HOST:PORT",
            help="Where gRPC is served. Default: LEDGER_GRPC_ADDRESS, else 127.0.0.1:50051.",
        ),
    ] = None,
    http_address: Annotated[
        str | None,
        typer.Option(
            "--http-address",
            metavar="HOST:PORT",
            help="Where JSON, gRPC-Web, /web, /metrics, /healthz and /readyz are served. Default: "
            "LEDGER_HTTP_ADDRESS, else 127.0.0.1:8080.",
        ),
    ] = None,
    web_origins: Annotated[
        str | None,
        typer.Option(
            "--web-origins",
            metavar="ORIGINS",
            help="Origins of web shops, separated by commas, whose pages may call the HTTP port "
            "from a browser, such as https://shop.example. Default: LEDGER_WEB_ORIGINS, else none.",
        ),
    ] = None,
    database_url: options.DatabaseUrl = None,
    data_dir: options.DataDir = None,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo", help="Make a coffee shop's program with a few purchases to look at."
        ),
    ] = False,
    demo_file: Annotated[
        Path | None,
        typer.Option(
            "--demo-file",
            metavar="FILE",
            help="Apply this program document instead, without purchases.",
            show_default=False,
        ),
    ] = None,
    tls_certificate: Annotated[
        Path | None,
        typer.Option(
            "--tls-certificate",
            metavar="FILE",
            help="Speak TLS on both ports, with the certificate (and its chain, PEM) in this file. "
            "Read again when it changes. Default: LEDGER_TLS_CERTIFICATE, else plain text.",
            rich_help_panel="Who may call",
            show_default=False,
        ),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(
            "--tls-key",
            metavar="FILE",
            help="The key of that certificate (PEM, not encrypted). Default: LEDGER_TLS_KEY.",
            rich_help_panel="Who may call",
            show_default=False,
        ),
    ] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(
            "--tls-client-ca",
            metavar="FILE",
            help="Recognise terminals by certificates of these CAs (PEM). On the gRPC port "
            "everybody then needs one. Default: LEDGER_TLS_CLIENT_CA, else nobody does.",
            rich_help_panel="Who may call",
            show_default=False,
        ),
    ] = None,
    tls_client_names: Annotated[
        Path | None,
        typer.Option(
            "--tls-client-names",
            metavar="FILE",
            help="Which names of client certificates may call, as which role, for which programs "
            "(YAML). Default: LEDGER_TLS_CLIENT_NAMES.",
            rich_help_panel="Who may call",
            show_default=False,
        ),
    ] = None,
    tls_revoked: Annotated[
        Path | None,
        typer.Option(
            "--tls-revoked",
            metavar="FILE",
            help="Client certificates that are good no more: a CRL, or serial numbers, one a line. "
            "Default: LEDGER_TLS_REVOKED, else none.",
            rich_help_panel="Who may call",
            show_default=False,
        ),
    ] = None,
    behind_tls_proxy: Annotated[
        bool | None,
        typer.Option(
            "--behind-tls-proxy",
            help="Listen on any address without TLS: a proxy speaks it, and nobody gets past that "
            "proxy. Default: LEDGER_BEHIND_TLS_PROXY, else only on loopback addresses.",
            rich_help_panel="Who may call",
            show_default=False,
        ),
    ] = None,
    quota_per_second: Annotated[
        float | None,
        typer.Option(
            "--quota-per-second",
            metavar="N",
            help="Calls that one caller may make in a second, counting each item of a batch, in "
            "each process; 0: any number. Default: LEDGER_QUOTA_PER_SECOND, else 0.",
            rich_help_panel="Who may call",
        ),
    ] = None,
    log_format: Annotated[
        str | None,
        typer.Option(
            "--log-format",
            metavar="FORMAT",
            help="console or json. Default: LEDGER_LOG_FORMAT, else console.",
            rich_help_panel="Operation",
        ),
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(
            "--log-level",
            metavar="LEVEL",
            help="debug, info, warning or error. Default: LEDGER_LOG_LEVEL, else info.",
            rich_help_panel="Operation",
        ),
    ] = None,
    slow_seconds: Annotated[
        float | None,
        typer.Option(
            "--slow-seconds",
            metavar="N",
            help="Log calls that take so long; 0: none. Default: LEDGER_SLOW_SECONDS, else 1.",
            rich_help_panel="Operation",
        ),
    ] = None,
    tracing: Annotated[
        bool | None,
        typer.Option(
            "--tracing/--no-tracing",
            help="Trace calls with OpenTelemetry, set up by its own variables (OTEL_…). Default: "
            "LEDGER_TRACING, else no.",
            show_default=False,
            rich_help_panel="Operation",
        ),
    ] = None,
    queue_limit: Annotated[
        int | None,
        typer.Option(
            "--queue-limit",
            metavar="N",
            help="Writes that may wait; more are refused as OVERLOADED. Default: "
            "LEDGER_QUEUE_LIMIT, else 10000.",
            rich_help_panel="Operation",
        ),
    ] = None,
    batch_limit: Annotated[
        int | None,
        typer.Option(
            "--batch-limit",
            metavar="N",
            help="Most writes in one transaction. Default: LEDGER_BATCH_LIMIT, else 1000.",
            rich_help_panel="Operation",
        ),
    ] = None,
    stream_limit: Annotated[
        int | None,
        typer.Option(
            "--stream-limit",
            metavar="N",
            help="Streams of balances and events that may be open in a process; more are refused "
            "as TOO_MANY_STREAMS. Default: LEDGER_STREAM_LIMIT, else 1000.",
            rich_help_panel="Operation",
        ),
    ] = None,
    scheduler_seconds: Annotated[
        float | None,
        typer.Option(
            "--scheduler-seconds",
            metavar="N",
            help="Time between two looks for what has fallen due; 0: leave that to other servers. "
            "Default: LEDGER_SCHEDULER_SECONDS, else 1.",
            rich_help_panel="Operation",
        ),
    ] = None,
    census_seconds: Annotated[
        float | None,
        typer.Option(
            "--census-seconds",
            metavar="N",
            help="Time between two counts of what members have, for the metrics of programs; 0: "
            "leave that to other servers. Default: LEDGER_CENSUS_SECONDS, else 15.",
            rich_help_panel="Operation",
        ),
    ] = None,
    verify_rate: Annotated[
        float | None,
        typer.Option(
            "--verify-rate",
            metavar="N",
            help="Entries a second that are verified in the background; 0: leave that to other "
            "servers. Default: LEDGER_VERIFY_RATE, else 200.",
            rich_help_panel="Operation",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            help="Processes that share both ports, for more than one processor; each has "
            "connections, queues and batches of its own. Default: LEDGER_WORKERS, else 1.",
            rich_help_panel="Operation",
        ),
    ] = None,
    pin: Annotated[
        bool | None,
        typer.Option(
            "--pin/--no-pin",
            help="Keep each service process to one processor, which spares its threads much waking "
            "up. Not for several servers on one machine: all would choose the same. Default: "
            "LEDGER_PIN, else only with several workers and a processor for each.",
            rich_help_panel="Operation",
        ),
    ] = None,
    require_credentials: Annotated[
        bool | None,
        typer.Option(
            "--require-credentials",
            help="Ask every caller for a credential, even while there is none yet. Default: "
            "LEDGER_REQUIRE_CREDENTIALS, else only once there is one.",
            rich_help_panel="Who may call",
            show_default=False,
        ),
    ] = None,
    token_keys: Annotated[
        Path | None,
        typer.Option(
            "--token-keys",
            metavar="FILE",
            help="The keys that sign member tokens, as `ledger keys rotate-token-key` makes them. "
            "Default: LEDGER_TOKEN_KEYS, else there are no member tokens.",
            rich_help_panel="Who may call",
            show_default=False,
        ),
    ] = None,
    allow_unsafe_database: options.AllowUnsafeDatabase = None,
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON document with the addresses when ready; log as JSON.",
        ),
    ] = False,
) -> None:
    """Run a server until it is told to stop (Ctrl-C, SIGTERM or SIGHUP).

    Without a database address it runs an embedded PostgreSQL, whose data stays
    in --data-dir, and brings its schema up to date. A database given by URL
    must have been migrated with `ledger migrate`.

    Until `ledger keys create` makes the first API key, every caller is an
    administrator where only loopback addresses are served (development mode).
    Elsewhere, and from then on, every caller needs a credential.

    Examples:
      ledger serve --demo
      ledger serve --data-dir /var/lib/ledger --log-format json
      ledger serve --database-url postgresql://ledger@db.internal/ledger
    """
    import structlog

    from ledger.cli import document, logging
    from ledger.cli.failure import usage
    from ledger.cli.output import note
    from ledger.cli.place import open_place, settings
    from ledger.cli.serving import run_server, when_ready

    chosen = settings(
        grpc_address=grpc_address,
        http_address=http_address,
        web_origins=web_origins,
        database_url=database_url,
        data_dir=data_dir,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        tls_client_ca=tls_client_ca,
        tls_client_names=tls_client_names,
        tls_revoked=tls_revoked,
        behind_tls_proxy=behind_tls_proxy,
        quota_per_second=quota_per_second,
        log_format="json" if json and log_format is None else log_format,
        log_level=log_level,
        slow_seconds=slow_seconds,
        tracing=tracing,
        queue_limit=queue_limit,
        batch_limit=batch_limit,
        stream_limit=stream_limit,
        scheduler_seconds=scheduler_seconds,
        census_seconds=census_seconds,
        verify_rate=verify_rate,
        workers=workers,
        pin=pin,
        require_credentials=require_credentials,
        token_keys=token_keys,
        allow_unsafe_database=allow_unsafe_database,
    )
    if (demo or demo_file is not None) and chosen.tls_certificate is not None:
        raise usage(
            "--demo and --demo-file are for servers without TLS: apply the document with "
            "`ledger program apply`"
        )
    if demo_file is not None:
        document.load(demo_file)  # its faults are better known before than after the start
    logging.configure(chosen.log_format, chosen.log_level)
    log = structlog.get_logger(__name__)

    def tell(text: str) -> None:
        if chosen.log_format == "json":
            log.warning("embedded database", said=text)
        else:
            note(text)

    with open_place(chosen, tell=tell) as url:
        run_server(chosen, url, when_ready(chosen, demo, demo_file, json))
