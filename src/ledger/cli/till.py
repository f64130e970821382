"""`ledger till`: a till at the terminal. Imports typer only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.cli import options

#: a customer waits: soon enough in the queue is better than late at the ledger
DEFAULT_TIMEOUT_SECONDS = 3.0


def till(
    program: options.Program = "",
    queue: Annotated[
        Path,
        typer.Option(
            "--queue",
            envvar="LEDGER_TILL_QUEUE",
            metavar="FILE",
            help="Where writes wait for the ledger. Each till has its own.",
        ),
    ] = Path("till.queue"),
    terminal: Annotated[
        str,
        typer.Option(
            "--terminal", envvar="LEDGER_TERMINAL", metavar="ID", help="The name of this till."
        ),
    ] = "till",
    location: options.Location = "",
    offline: Annotated[
        bool, typer.Option("--offline", help="Send nothing until somebody says `online`.")
    ] = False,
    allowance: Annotated[
        int,
        typer.Option(
            "--allowance",
            min=0,
            metavar="POINTS",
            help="How many points of a member redemptions may take before the ledger has "
            "confirmed them. 0: none is given without the ledger.",
        ),
    ] = 0,
    allowance_total: Annotated[
        int | None,
        typer.Option(
            "--allowance-total",
            min=0,
            metavar="POINTS",
            help="The same for all members together. Default: ten times --allowance.",
            show_default=False,
        ),
    ] = None,
    set_aside: Annotated[
        bool,
        typer.Option(
            "--set-aside",
            help="Set a damaged queue aside, and go on with what can be read of it.",
        ),
    ] = False,
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = DEFAULT_TIMEOUT_SECONDS,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line for each thing done or happening.")
    ] = False,
) -> None:
    """Be a till: scan members, ring up purchases, redeem, take goods back.

    What is rung up is on the disk before it is sent. When the ledger can not
    be reached it waits there, and goes up by itself when the ledger is back:
    nothing is lost, and nothing is recorded twice.

    Commands are typed, or read from a pipe; `help` lists them.

    Exit code 1: a command failed, such as a redemption that was refused.

    Examples:
      ledger till --terminal till-7
      ledger till --allowance 200 --queue /var/lib/till/till.queue
      ledger till --offline
      printf 'm-1\\n12.99\\n' | ledger till --json
    """
    from ledger.cli.failure import REFUSED
    from ledger.cli.till_program import Setup, run
    from ledger.client import Allowance

    total = allowance * 10 if allowance_total is None else allowance_total
    setup = Setup(
        program_id=program,
        queue=queue,
        terminal_id=terminal,
        location_id=location,
        offline=offline,
        allowance=Allowance(allowance, total),
        set_aside=set_aside,
        server=server,
        timeout_seconds=timeout,
    )
    if run(setup, as_json=json):
        raise typer.Exit(REFUSED)
