"""`ledger migrate` and `ledger verify`: straight to the database. Imports typer only."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli import options

if TYPE_CHECKING:
    from rich.console import RenderableType


def migrate(
    database_url: options.DatabaseUrl = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Bring a database's schema up to this version of the ledger.

    `ledger serve` does this itself for the embedded database only; a database
    given by URL is migrated by this command, as its owner or another user who
    may create tables and roles. Running it again does nothing.

    Examples:
      ledger migrate --database-url postgresql://owner@db.internal/ledger
      LEDGER_DATABASE_URL=postgresql:///ledger ledger migrate
    """
    from ledger.cli import output
    from ledger.cli.place import open_place, settings
    from ledger.store import migrate as migrations

    with open_place(settings(database_url=database_url, data_dir=data_dir)) as url:
        result = migrations.migrate(url)
    changed = result.from_revision != result.to_revision
    if json:
        output.print_json({"fromRevision": result.from_revision, "toRevision": result.to_revision})
    elif changed:
        came_from = result.from_revision or "an empty database"
        output.done(f"migrated from {came_from} to schema {result.to_revision}")
    else:
        output.done(f"the schema is {result.to_revision} already; nothing changed")


def verify(
    program: Annotated[
        str,
        typer.Option(
            "--program",
            "-p",
            envvar="LEDGER_PROGRAM",
            metavar="PROGRAM",
            help="Only this program. Default: all.",
        ),
    ] = "",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=1, max=64, metavar="N", help="Processes. Default: one per processor."
        ),
    ] = None,
    database_url: options.DatabaseUrl = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Check every member's journal against what the ledger says they have.

    Reads the database, not a server, and changes nothing. Every member is
    folded again from the journal; sequences, hashes, balances, lots and the
    trial balance are compared with what is stored.

    Exit code 0: all is well; 1: something was found, and is listed.

    Examples:
      ledger verify
      ledger verify --program bean-street --json
      ledger verify --database-url postgresql://auditor@db.internal/ledger
    """
    import os

    from ledger.cli import output
    from ledger.cli.failure import REFUSED, CommandFailed
    from ledger.cli.place import open_place, settings
    from ledger.core.errors import LedgerError
    from ledger.store.verify import verify as run

    with open_place(settings(database_url=database_url, data_dir=data_dir), existing=True) as url:
        shown = not json and output.interactive()
        with _progress() if shown else nullcontext(lambda done, total: None) as progress:
            try:
                report = run(
                    url,
                    program_id=program or None,
                    workers=workers or os.cpu_count() or 1,
                    progress=progress,
                )
            except LedgerError as error:
                raise CommandFailed(
                    error.message, exit_code=REFUSED, code=error.code, reason=error.reason
                ) from None
    if json:
        output.print_json(_as_dict(report))
    else:
        output.console().print(_report(report))
    if report.findings:
        raise typer.Exit(REFUSED)


def _progress() -> Any:
    from ledger.cli.progress import growing_bar

    return growing_bar("Verifying", "members")


def _as_dict(report: Any) -> dict[str, Any]:
    return {
        "sound": not report.findings,
        "members": report.members,
        "entries": report.entries,
        "seconds": round(report.seconds, 3),
        "findings": [
            {
                "check": finding.check,
                "programId": finding.program_id,
                "memberId": finding.member_id,
                "sequence": finding.sequence,
                "detail": finding.detail,
            }
            for finding in report.findings
        ],
        "totals": report.totals,
    }


def _report(report: Any) -> RenderableType:
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    if report.totals:
        totals = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        totals.add_column("Program", style="bold")
        totals.add_column("Account")
        totals.add_column("Points", justify="right")
        for program_id, accounts in sorted(report.totals.items()):
            for account, points in sorted(accounts.items()):
                totals.add_row(program_id, account, f"{points:,}")
            total = sum(accounts.values())
            style = "bold red" if total else "bold"
            totals.add_row("", Text("trial balance", style), Text(f"{total:,}", style))
            totals.add_section()
        parts.append(totals)
    if report.findings:
        findings = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        findings.add_column("Check", style="red", no_wrap=True)
        findings.add_column("Program")
        findings.add_column("Member")
        findings.add_column("Entry", justify="right")
        findings.add_column("What was found")
        for finding in report.findings:
            findings.add_row(
                Text(finding.check),
                Text(finding.program_id or "-"),
                Text(finding.member_id or "-"),
                f"{finding.sequence:,}" if finding.sequence else "-",
                Text(finding.detail),
            )
        parts.append(findings)
    count = len(report.findings)
    verdict = (
        Text(f"✗ {_counted(count, 'finding', 'findings')}", "bold red")
        if count
        else Text("✓ all is well", "bold green")
    )
    verdict.append(
        f": {_counted(report.members, 'member', 'members')} and "
        f"{_counted(report.entries, 'entry', 'entries')} checked in {report.seconds:,.1f} s",
        style="not bold default",
    )
    return Group(*parts, verdict)


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
