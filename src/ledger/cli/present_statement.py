"""How a statement looks to a person. Imports rich and the messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

from rich import box
from rich.table import Table
from rich.text import Text

from ledger.cli.messages import format_money
from ledger.cli.present import from_day, moment, points
from ledger.cli.present_entries import good_through, kind, moved, other_ids, reasons, subject
from ledger.v1 import program_pb2, types_pb2


def statement_table(
    member_id: str,
    entries: Iterable[types_pb2.Entry],
    program: program_pb2.Program,
    zone: ZoneInfo,
    rewards: Mapping[str, str],
) -> Table:
    """The entries as a table, in the order given. `rewards` are names by id."""
    table = Table(
        title=Text.assemble("Statement of ", (member_id, "bold"), f" · {program.display_name}"),
        title_justify="left",
        title_style="",
        caption=f"Times in {program.time_zone}.",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("#", justify="right", style="dim", no_wrap=True)
    table.add_column("When", no_wrap=True)
    table.add_column("What", ratio=1)
    table.add_column("Points", justify="right", no_wrap=True)
    table.add_column("Balance", justify="right", no_wrap=True)
    table.add_column("Good through", no_wrap=True)
    for entry in entries:
        table.add_row(
            str(entry.sequence),
            moment(entry.effective_time, zone),
            _what(entry, zone, rewards),
            moved(entry),
            points(entry.available_points),
            Text("\n".join(good_through(entry.lots, zone)), style="dim"),
        )
    return table


def _what(entry: types_pb2.Entry, zone: ZoneInfo, rewards: Mapping[str, str]) -> Text:
    text = kind(entry)
    if about := subject(entry, rewards):
        text.append(f" {about}", style="bold")
    if entry.HasField("amount"):
        text.append(f"  {format_money(entry.amount)}")
    if entry.location_id:
        text.append(f" at {entry.location_id}", style="dim")
    for reason in other_ids(entry) + reasons(entry, zone):
        text.append(f"\n{reason}", style="not bold dim")
    for lot in entry.lots:
        if lot.points > 0 and lot.HasField("activate_time"):
            text.append(f"\nspendable from {from_day(lot.activate_time, zone)}", style="yellow")
    return text
