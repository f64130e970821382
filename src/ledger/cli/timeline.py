"""`ledger demo`: a year in a member's life, as a timeline. Imports typer only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.cli import options

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from ledger.cli.story import Moment
    from ledger.v1 import types_pb2

_BAR_POINTS = 12


def demo(
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Live a year in a member's life on a sandbox, and show it.

    Makes a sandbox program of its own, whose clock it moves from January to
    December: visits, a tier, a hold that lapses, a reward, a return after the
    points were spent, a birthday, a warning, points that expire, a welcome
    back, the end of the tier. Everything goes through the ordinary API; the
    program stays, so that you can look at every entry afterwards.

    Examples:
      ledger demo
      ledger demo --json | jq -r '.moments[] | [.time, .title] | @tsv'
    """
    from uuid import uuid4

    from ledger.cli import output
    from ledger.cli.connection import connect
    from ledger.cli.progress import progress_bar
    from ledger.cli.story import MEMBER, MOMENTS, Year

    program_id = f"a-year-{uuid4().hex[:8]}"
    moments: list[Moment] = []
    with (
        connect(server, timeout) as connection,
        progress_bar("Living a year", MOMENTS, "moments") as progress,
    ):
        for moment in Year(connection, program_id).tell():
            moments.append(moment)
            progress(len(moments))
    if json:
        output.print_json(
            {"programId": program_id, "memberId": MEMBER, "moments": [_plain(m) for m in moments]}
        )
        return
    output.console().print(_table(moments))
    output.note("Every number explains itself:")
    output.note(f"  ledger statement {MEMBER} --program {program_id}")
    output.note(f"  ledger tier {MEMBER} --program {program_id}")


def _plain(moment: Moment) -> dict[str, object]:
    from ledger.cli.messages import as_json

    return {
        "time": moment.when.isoformat(),
        "title": moment.title,
        "availablePoints": moment.balance.available_points,
        "heldPoints": moment.balance.held_points,
        "debtPoints": moment.balance.debt_points,
        "tier": moment.tier,
        "entries": [as_json(entry) for entry in moment.entries],
        "messages": moment.messages,
    }


def _table(moments: list[Moment]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title="A year in Ada's life",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        caption="Points in green came in, in red went out; each bar is the balance after it.",
    )
    table.add_column("When", no_wrap=True, style="cyan")
    table.add_column("What happened", ratio=1)
    table.add_column("Points", justify="right", no_wrap=True)
    table.add_column("Balance", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("Tier", no_wrap=True)
    most = max(moment.balance.available_points for moment in moments)
    for moment in moments:
        available = moment.balance.available_points
        bar = "█" * -(-available * _BAR_POINTS // max(1, most))
        silver = moment.tier != moments[0].tier
        table.add_row(
            f"{moment.when.day:>2} {moment.when:%b}",
            _told(moment),
            _effects(moment),
            _balance(moment),
            Text(bar, "bright_white" if silver else "yellow"),
            Text(moment.tier, "bold bright_white" if silver else ""),
        )
    return table


def _told(moment: Moment) -> Text:
    """The title, and beneath it what the member reads."""
    from rich.text import Text

    from ledger.cli.present import through
    from ledger.cli.story import ZONE

    text = Text(moment.title, "bold")
    lines = [line for line in moment.messages if not line.startswith("Balance ")]
    if not lines:
        lines = [line for entry in moment.entries if (line := _posted(entry))]
    if moment.schedule is not None:
        first = moment.schedule.items[0]
        until = through(first.expire_time, ZONE)
        lines.append(f"{first.points} points can be spent until {until}.")
    if lines:
        text.append("\n" + " ".join(lines), "dim not bold")
    return text


def _posted(entry: types_pb2.Entry) -> str:
    """What time has posted, for people."""
    from ledger.cli.present import through
    from ledger.cli.story import ZONE
    from ledger.v1 import types_pb2

    points = f"{abs(entry.points)} points"
    if entry.kind == types_pb2.ENTRY_KIND_RELEASE:
        return f"{points} can be spent again."
    if entry.kind == types_pb2.ENTRY_KIND_EXPIRY:
        return f"{points} have come to their date."
    if entry.kind == types_pb2.ENTRY_KIND_BONUS:
        return f"{points}, to be used by {through(entry.lots[0].expire_time, ZONE)}."
    if entry.kind == types_pb2.ENTRY_KIND_TIER_CHANGE:
        return "Too few visits of late to hold the tier anew."
    return ""


def _effects(moment: Moment) -> Text:
    from rich.text import Text

    from ledger.cli.present import signed

    return Text("\n").join([signed(entry.points) for entry in moment.entries if entry.points])


def _balance(moment: Moment) -> Text:
    from rich.text import Text

    text = Text(f"{moment.balance.available_points}", "bold")
    if moment.balance.held_points:
        text.append(f"\n{moment.balance.held_points} held", "dim not bold")
    if moment.balance.debt_points:
        text.append(f"\n{moment.balance.debt_points} owed", "red not bold")
    return text
