"""`ledger doctor`: is everything as a server needs it? Imports typer only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli import options

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ledger.store.checkup.observation import Observation

_SIGNS = {
    "OK": ("✓", "green"),
    "WARNING": ("!", "bold yellow"),
    "FAULT": ("✗", "bold red"),
    "UNKNOWN": ("?", "dim"),
}


def doctor(
    database_url: options.DatabaseUrl = None,
    data_dir: options.DataDir = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            help="As many as the server will have. Default: LEDGER_WORKERS, else 1.",
        ),
    ] = None,
    tls_certificate: Annotated[
        Path | None,
        typer.Option("--tls-certificate", metavar="FILE", help="Default: LEDGER_TLS_CERTIFICATE."),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option("--tls-key", metavar="FILE", help="Default: LEDGER_TLS_KEY."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Look whether everything is as a server needs it, and say what to do.

    Looks at the database's settings, connections, clock, roles, rights,
    triggers and schema, at what is due and when members were last verified,
    and at this machine's disk, certificates and keys. Run it with the
    settings of the server, on its machine. It changes nothing, and needs no
    running server.

    Exit code 0: nothing is wrong, whatever the warnings; 1: something is.

    Examples:
      ledger doctor
      ledger doctor --database-url postgresql://app@db/ledger --workers 4
      ledger doctor --json | jq '.checks[] | select(.state != "OK")'
    """
    from ledger.cli import output
    from ledger.cli.failure import REFUSED
    from ledger.cli.machine import examine_machine
    from ledger.cli.place import open_place, settings
    from ledger.store.checkup import examine
    from ledger.store.checkup.observation import FAULT

    chosen = settings(
        database_url=database_url,
        data_dir=data_dir,
        workers=workers,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
    )
    with open_place(chosen, existing=True) as url:
        embedded = chosen.database_url is None
        found = [
            *examine(url, workers=chosen.workers, embedded=embedded),
            *examine_machine(chosen),
        ]
    faults = sum(one.state == FAULT for one in found)
    if json:
        output.print_json({"well": not faults, "checks": [one._asdict() for one in found]})
    else:
        output.console().print(_report(found))
    if faults:
        raise typer.Exit(REFUSED)


def _report(found: Sequence[Observation]) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for one in found:
        sign, style = _SIGNS[one.state]
        text = Text(one.found)
        if one.why:
            text.append(f"\n{one.why}", "dim")
        if one.advice:
            text.append(f"\n→ {one.advice}", "" if one.state == "UNKNOWN" else "cyan")
        table.add_row(Text(sign, style), one.check, text)
    return Group("", table, "", _verdict([one.state for one in found]))


def _verdict(states: Sequence[str]) -> RenderableType:
    from rich.text import Text

    faults, warnings = states.count("FAULT"), states.count("WARNING")
    parts = [
        f"{count} {one if count == 1 else many}"
        for count, one, many in (
            (faults, "fault", "faults"),
            (warnings, "warning", "warnings"),
        )
        if count
    ]
    if not parts:
        return Text("✓ all is well", "bold green")
    sign, style = ("✗", "bold red") if faults else ("!", "bold yellow")
    return Text(f"{sign} {' and '.join(parts)}", style)
