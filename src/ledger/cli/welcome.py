"""What a server says once it is ready: the warning of development mode, the demo, what to try.

Everything goes to stderr, to people as panels, to log collectors as log lines. grpc is imported
only to apply a demo: the process that watches workers does without.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import structlog
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ledger.cli.failure import CommandFailed
from ledger.cli.output import messages

log = structlog.get_logger(__name__)

_DEVELOPMENT_MODE = (
    "No credentials are configured: every caller is an administrator. "
    "Only this machine can reach the server."
)
#: a demo is applied while a new server is still warming up
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Addresses:
    """Where the server listens, as clients call it."""

    grpc: str
    http: str
    #: both speak TLS
    tls: bool = False

    @property
    def server(self) -> str:
        """gRPC, as the command line is told of it; empty where it looks by itself."""
        if self.tls:
            return f"https://{self.grpc}"
        return "" if self.grpc == "127.0.0.1:50051" else self.grpc

    @property
    def url(self) -> str:
        """HTTP."""
        return f"{'https' if self.tls else 'http'}://{self.http}"


def join(host: str, port: int) -> str:
    """`127.0.0.1:50051`, `[::1]:50051`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def warn_of_development_mode(log_format: str) -> None:
    """Say loudly that everybody may do everything."""
    if log_format == "json":
        log.warning("development mode", detail=_DEVELOPMENT_MODE)
        return
    title = Text("Development mode", "bold yellow")
    messages().print(Panel(_DEVELOPMENT_MODE, title=title, border_style="yellow", expand=False))


def welcome(addresses: Addresses, with_demo: bool, demo_file: Path | None, log_format: str) -> None:
    """Apply the demo if there is one, then show what to try. Failures are told, never raised."""
    program_id, member_id = "", ""
    try:
        if demo_file is not None:
            program_id = _apply(addresses, demo_file, log_format)
        elif with_demo:
            with as_file(files("ledger") / "demo" / "coffee-shop.yaml") as path:
                program_id = _apply(addresses, path, log_format)
            from ledger.cli import demo
            from ledger.cli.connection import connect

            with connect(addresses.grpc, _TIMEOUT_SECONDS) as connection:
                demo.record_purchases(connection, program_id)
            member_id = demo.MEMBER
    except CommandFailed as failure:
        log.error(
            "the demo could not be applied",
            reason=failure.reason,
            message=failure.message,
            violations=failure.violations,
        )
    if log_format != "json":
        messages().print(_what_to_try(addresses, program_id, member_id))


def _apply(addresses: Addresses, path: Path, log_format: str) -> str:
    from ledger.cli.connection import connect
    from ledger.cli.document import load
    from ledger.cli.programs import apply_document

    read = load(path)
    with connect(addresses.grpc, _TIMEOUT_SECONDS) as connection:
        outcome, program = apply_document(connection, read)
    log.info("demo program", program=program.program_id, outcome=outcome)
    return program.program_id


def _what_to_try(addresses: Addresses, program_id: str, member_id: str) -> RenderableType:
    """Without a frame, so that commands can be copied."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ignore")
    ledger = _this_command()
    server = f" --server {addresses.server}" if addresses.server else ""
    if program_id:
        member = member_id or "m-1"
        commands = [
            f"{ledger} balance {member}{server}",
            f"{ledger} purchase {member} 12.99{server}",
            f"{ledger} rewards {member}{server}",
            *([f"{ledger} redeem {member} --reward free-coffee{server}"] if member_id else []),
            f"{ledger} statement {member}{server}",
            f"{ledger} explain {member}{server}",
            f"{ledger} watch {member}{server}",
            f"{ledger} till{server}",
            f"{ledger} demo{server}",
        ]
    else:
        commands = [f"{ledger} program apply FILE{server}", f"{ledger} --help"]
    for index, line in enumerate(commands):
        grid.add_row("" if index else "Command line", line)
    grid.add_row()
    for index, line in enumerate(_curl(addresses.url, program_id, member_id or "m-1")):
        grid.add_row("" if index else "JSON", line)
    grid.add_row()
    grid.add_row("gRPC", f"{addresses.grpc}  (reflection is on)")
    grid.add_row("Metrics", f"{addresses.url}/metrics")
    if Path("deploy/prometheus").is_dir():  # a clone of the repository, so there is its Makefile
        grid.add_row(
            "Dashboards", "make watch, then http://127.0.0.1:9090/consoles/ledger-service.html"
        )
    grid.add_row("Health", f"{addresses.url}/readyz")
    grid.add_row("Stop", "Ctrl-C")
    title = Text("\nThe ledger is running. What to try next:\n", "bold green")
    return Group(title, grid, "")


def _this_command() -> str:
    """How a shell in this directory calls the command that is running."""
    here = Path(sys.argv[0])
    found = shutil.which("ledger")
    if here.name != "ledger" or (found and Path(found).resolve() == here.resolve()):
        return "ledger"
    return os.path.relpath(here)


def _curl(url: str, program_id: str, member_id: str) -> list[str]:
    """A curl call in lines that can be copied as they are."""
    if program_id:
        method, body = (
            "BalanceService/GetBalance",
            (f'{{"programId":"{program_id}","memberId":"{member_id}"}}'),
        )
    else:
        method, body = "ProgramService/ListPrograms", "{}"
    return [
        "curl -H 'content-type: application/json' \\",
        f"  -d '{body}' \\",
        f"  {url}/ledger.v1.{method}",
    ]
