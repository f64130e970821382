"""How receipts and previews look to a person. Imports rich and the messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ledger.cli.messages import format_money, plural
from ledger.cli.present import balance_line, points, signed
from ledger.cli.present_entries import about, kind, lives_text, moved, reasons
from ledger.v1 import points_pb2, types_pb2


def receipt_text(receipt: types_pb2.Receipt, zone: ZoneInfo) -> RenderableType:
    """What a write posted, entry by entry, and the balance after it."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_column(style="dim")
    for entry in receipt.entries:
        what = Text("  ").append_text(kind(entry))
        if topic := about(entry, {}):
            what.append(f" {topic}", style="bold")
        grid.add_row(what, moved(entry), _explained(entry, zone))
    return Group(grid, balance_line(receipt.balance), messages_text(receipt.messages))


def messages_text(messages: Sequence[str]) -> RenderableType:
    """What a till would print for the customer."""
    if not messages:
        return Text("")
    return Text("\n".join(["", "  To print:", *(f"  │ {line}" for line in messages)]))


def breakdown(lines: Iterable[types_pb2.BreakdownLine]) -> Table:
    """How points came about, a line for each rule."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_column(style="dim")
    for line in lines:
        description = "" if line.description == line.rule else line.description
        grid.add_row(f"  {line.rule}", signed(line.points), Text(description))
    return grid


def preview_text(preview: points_pb2.PreviewPurchaseResponse, zone: ZoneInfo) -> RenderableType:
    """What a purchase would earn, and why."""
    head = Text.assemble(
        "  It would earn ",
        signed(preview.points),
        f" points on {format_money(preview.eligible_amount)}",
        (f" · {lives_text(preview.lots, zone)}" if preview.lots else "", "dim"),
    )
    return Group(
        head,
        breakdown(preview.breakdown),
        balance_line(preview.balance),
        messages_text(preview.messages),
    )


def return_preview_text(preview: points_pb2.PreviewReturnResponse) -> RenderableType:
    """What a return would take back, and where from."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right")
    grid.add_column(style="dim")
    parts = (
        (preview.pending_points, "of those that were to come"),
        (preview.available_points, "of those that can be spent"),
        (preview.debt_points, "owed, because they were spent already"),
        (preview.forgiven_points, "let go, though they were spent already"),
    )
    for number, where in parts:
        if number:
            grid.add_row(f"    {points(number)}", where)
    head = f"  It would take back {plural(preview.points, 'point')}"
    lines: list[RenderableType] = [Text(head), grid, balance_line(preview.balance)]
    if preview.tier_at_risk:
        risk = "would be lost when it ends, unless more is bought"
        lines.append(Text(f"  Tier {preview.tier_at_risk} {risk}", style="yellow"))
    return Group(*lines, messages_text(preview.messages))


def _explained(entry: types_pb2.Entry, zone: ZoneInfo) -> Text:
    parts = reasons(entry, zone)
    if lives := lives_text(entry.lots, zone):
        parts.append(lives)
    return Text(" · ".join(parts))
