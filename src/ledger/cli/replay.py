"""`ledger replay`: the purchases of a CSV file, as if they happened again. Imports typer only."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli import options

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ledger.cli.upload import Outcome

_COLUMNS = "Columns of the file"


def _column(name: str, what: str) -> Any:
    return typer.Option(name, metavar="NAME", help=what, rich_help_panel=_COLUMNS)


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV file with a header line.")],
    program: options.Program = "",
    sandbox_clock: Annotated[
        bool | None,
        typer.Option(
            "--sandbox-clock/--no-sandbox-clock",
            help="Move the program's clock to each day. Default: if it is a sandbox.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str,
        typer.Option("--until", metavar="TIME", help="At the end, move the clock to this time."),
    ] = "",
    enroll: Annotated[
        bool,
        typer.Option(
            "--enroll/--no-enroll",
            help="Enroll each member with the first purchase in the file. Needless in programs "
            "with auto_enroll.",
        ),
    ] = False,
    batch: Annotated[
        int, typer.Option("--batch", min=1, max=1000, metavar="N", help="Writes sent in one call.")
    ] = 500,
    time_zone: Annotated[
        str,
        typer.Option(
            "--time-zone",
            metavar="ZONE",
            help="The zone of times that do not tell theirs. Default: the program's.",
            rich_help_panel=_COLUMNS,
        ),
    ] = "",
    purchase_id_column: Annotated[
        str, _column("--purchase-id-column", "The receipt's number, unique in the file.")
    ] = "purchase_id",
    member_column: Annotated[str, _column("--member-column", "The member.")] = "member_id",
    time_column: Annotated[str, _column("--time-column", "When it was paid.")] = "effective_time",
    amount_column: Annotated[
        str, _column("--amount-column", "What was paid, such as 12.99.")
    ] = "amount",
    category_column: Annotated[
        str, _column("--category-column", "The category of the purchase. Default: none.")
    ] = "",
    location_column: Annotated[
        str, _column("--location-column", "Where it was paid. Default: none.")
    ] = "",
    terminal_column: Annotated[
        str, _column("--terminal-column", "The terminal. Default: none.")
    ] = "",
    currency_column: Annotated[
        str, _column("--currency-column", "Must be the program's currency, if there is one.")
    ] = "currency",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Upload the purchases of a CSV file, day by day.

    The file is checked as a whole before anything is sent. In a sandbox, the
    clock follows the purchases, so that points expire on the way as they would
    have. Running it again changes nothing: what was recorded is answered as it
    was the first time. So a run that was cut off is simply started again.

    Exit code 1: some purchases were refused; they are listed by reason.

    Examples:
      ledger replay purchases.csv --program my-sandbox
      ledger replay purchases.csv --until 2027-01-01
      ledger replay till.csv --purchase-id-column receipt --member-column card \\
                    --time-column paid_at --time-zone Europe/Berlin
    """
    from ledger.cli import output
    from ledger.cli.connection import connect, currency_of, zone_of
    from ledger.cli.failure import REFUSED, CommandFailed
    from ledger.cli.messages import flag_time, instant
    from ledger.cli.purchases_csv import Columns, read
    from ledger.cli.upload import Upload, check_clock

    columns = Columns(
        purchase_id=purchase_id_column,
        member_id=member_column,
        effective_time=time_column,
        amount=amount_column,
        category=category_column,
        location_id=location_column,
        terminal_id=terminal_column,
        currency=currency_column,
    )
    with connect(server, timeout) as connection:
        found = connection.program(program)
        zone = zone_of(found)
        move_clock = check_clock(found, sandbox_clock, until)
        end = flag_time("--until", until, zone)
        naive = _zone(time_zone) if time_zone else zone
        purchases = read(file, columns, currency_of(found), naive)
        with _progress(len(purchases), shown=not json and output.interactive()) as advance:
            upload = Upload(
                connection,
                found,
                zone,
                move_clock=move_clock,
                batch=batch,
                enroll=enroll,
                progress=advance,
            )
            try:
                outcome = upload.run(purchases, instant(end) if end else None)
            except CommandFailed as failure:
                done = upload.outcome.purchases
                failure.metadata["uploaded"] = str(done)
                failure.advice = (
                    f"{done:,} of {len(purchases):,} purchases are uploaded. The same command "
                    "goes on from there."
                )
                raise
    if json:
        output.print_json(outcome.as_dict())
    else:
        output.console().print(_summary(found.program_id, outcome))
    if outcome.refused:
        raise typer.Exit(REFUSED)


def _zone(name: str) -> Any:
    from zoneinfo import ZoneInfo

    from ledger.cli.failure import usage

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise usage(f"--time-zone must be an IANA name such as Europe/Berlin, not {name}") from None


def _progress(total: int, *, shown: bool) -> AbstractContextManager[Any]:
    """A function to tell how many are done; it draws a bar where somebody looks."""
    if not shown:
        return nullcontext(lambda done: None)
    from ledger.cli.progress import progress_bar

    return progress_bar("Uploading", total, "purchases")


def _summary(program_id: str, outcome: Outcome) -> RenderableType:
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=f"Replayed into {program_id}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_header=False,
        pad_edge=False,
    )
    table.add_column()
    table.add_column(justify="right")
    refused_style = "red" if outcome.refused else "dim"
    table.add_row("Purchases", f"{outcome.purchases:,}")
    table.add_row("  new", f"{outcome.new:,}")
    table.add_row("  replayed (recorded before)", f"{outcome.replayed:,}")
    table.add_row(Text("  refused", refused_style), Text(f"{outcome.refused:,}", refused_style))
    table.add_row("Members enrolled", f"{outcome.enrolled:,}")
    table.add_row("Points issued", f"{outcome.points_issued:,}")
    if outcome.points_replayed:
        table.add_row("Points issued before", f"{outcome.points_replayed:,}")
    if outcome.posted_by_clock:
        table.add_row("Entries posted by the clock", f"{outcome.posted_by_clock:,}")
    table.add_row("Seconds", f"{outcome.seconds:,.1f}")
    table.add_row("Purchases per second", f"{outcome.rate:,.0f}")
    if not outcome.refused:
        return table
    reasons = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    reasons.add_column("Refused because", style="red", no_wrap=True)
    reasons.add_column("Count", justify="right")
    reasons.add_column("First of them")
    for reason, refusals in sorted(outcome.refusals.items()):
        examples = "\n".join(
            f"line {one.line}, {one.purchase_id}: {message}" for one, message in refusals.examples
        )
        reasons.add_row(reason, f"{refusals.count:,}", Text(examples))
    return Group(table, reasons)
