"""Options that many commands share, each with the one help text it has everywhere.

Imports typer only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_SERVER = "127.0.0.1:50051"
DEFAULT_TIMEOUT_SECONDS = 10.0

Member = Annotated[str, typer.Argument(metavar="MEMBER", help="The member's id.")]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document; failures as JSON on stderr."),
]
Server = Annotated[
    str,
    typer.Option(
        "--server",
        envvar="LEDGER_SERVER",
        metavar="HOST:PORT",
        help="The gRPC address of the server to ask.",
        rich_help_panel="Connection",
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        min=0.1,
        metavar="SECONDS",
        help="How long to wait for an answer, retries included.",
        rich_help_panel="Connection",
    ),
]
Program = Annotated[
    str,
    typer.Option(
        "--program",
        "-p",
        envvar="LEDGER_PROGRAM",
        metavar="PROGRAM",
        help="The program. Needless where the server has only one.",
    ),
]
RequestId = Annotated[
    str,
    typer.Option(
        "--request-id",
        metavar="ID",
        help="Idempotency key; give the one of an earlier try to repeat it safely. "
        "Default: a new one.",
    ),
]
At = Annotated[
    str,
    typer.Option(
        "--at",
        metavar="TIME",
        help="When, such as 2026-11-22T16:00:00Z or 2026-11-22 16:00 (program's zone). "
        "Default: now.",
    ),
]
Points = Annotated[
    str, typer.Argument(metavar="POINTS", help="How many, such as 250. None: name a --reward.")
]
Reward = Annotated[
    str,
    typer.Option(
        "--reward", metavar="ID", help="A reward instead of points, as `ledger rewards` lists it."
    ),
]
Ttl = Annotated[
    str,
    typer.Option(
        "--ttl",
        metavar="DURATION",
        help="How long from now, such as 90s, 15m or 2h. Default: as the program says.",
    ),
]
Hold = Annotated[
    str, typer.Argument(metavar="HOLD", help="The hold's id, as `ledger hold` printed it.")
]
Location = Annotated[
    str, typer.Option("--location", metavar="ID", help="Where it happened, such as a shop.")
]
Terminal = Annotated[
    str, typer.Option("--terminal", metavar="ID", help="The terminal that reports it.")
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help="A PostgreSQL database, 15 or later. Default: LEDGER_DATABASE_URL, else an embedded "
        "PostgreSQL.",
        rich_help_panel="Database",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIRECTORY",
        help="Where the embedded PostgreSQL keeps its data. Default: LEDGER_DATA_DIR, else "
        ".ledger.",
        rich_help_panel="Database",
    ),
]
AllowUnsafeDatabase = Annotated[
    bool | None,
    typer.Option(
        "--allow-unsafe-database",
        help="Accept a database that could lose confirmed writes in a crash. For tests only.",
        rich_help_panel="Database",
        show_default=False,
    ),
]
