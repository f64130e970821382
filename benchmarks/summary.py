"""The short tables of a report: what is to be reached, the disk, what growth costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.results import find
from benchmarks.targets import Target

if TYPE_CHECKING:
    from benchmarks.growth import Growth
    from benchmarks.pieces import Piece
    from benchmarks.run import Report


def targets_table(targets: list[Target]) -> Table:
    """Each target with what was measured."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("To reach", "Limit", "Measured", "", "What was measured"):
        table.add_column(name, justify="right" if name in ("Limit", "Measured") else "left")
    for target in targets:
        sign = "≤" if target.at_most else "≥"
        verdict = {None: Text("not measured", "dim"), True: Text("✓", "green")}.get(
            target.reached, Text("✗", "yellow")
        )
        table.add_row(
            target.what,
            f"{sign} {target.limit:,g} {target.unit}",
            "–" if target.measured is None else f"{target.measured:,.10g}",
            verdict,
            target.detail,
        )
    return table


def storage_line(report: Report) -> Text:
    """What purchases take on the disk."""
    stored = report.storage
    text = (
        f"On the disk: {stored.bytes_per_entry:,.0f} bytes for each entry, "
        f"{stored.bytes_per_purchase:,.0f} for each receipt credited, "
        f"{stored.bytes_per_account:,.0f} for each account, indexes included"
    )
    one = find(report.results, "RecordPurchase full", 64, report.options.most_workers)
    if one is not None:
        text += f"; write-ahead log {one.wal_bytes:,.0f} for each purchase (full, 64 in flight)"
    return Text(text + ".")


def pieces_line(pieces: list[Piece]) -> Text:
    """What a purchase costs by piece."""
    each = ", ".join(f"{piece.what} {piece.cpu_us:.0f}" for piece in pieces)
    total = sum(piece.cpu_us for piece in pieces)
    return Text(
        f"Of the service's processor time, a purchase under full rules takes {total:,.0f} µs of "
        f"Python by itself: {each}. "
        "The rest is gRPC, handing over between threads, and the driver of the database."
    )


def grown(growth: Growth) -> RenderableType:
    """A grown ledger against a small one, and a long history against a short one."""
    stored = growth.storage
    head = Text(
        f"\nGrown: {growth.members:,} members, {growth.entries:,} entries, loaded in "
        f"{growth.load_seconds:,.0f} s; {stored.bytes_per_entry:,.0f} bytes for each entry, "
        f"{stored.bytes_per_account:,.0f} for each account"
        + (
            "; not verified."
            if growth.verify_seconds is None
            else f"; verified in {growth.verify_seconds:,.0f} s."
        )
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Growth, by turns")
    for name in (
        *("in\nflight", "calls per s\nsmall", "calls per s\nlarge", "ratio", "ratios"),
        *("p50 ms\nsmall", "p50 ms\nlarge", "p99 ms\nsmall", "p99 ms\nlarge"),
    ):
        table.add_column(name, justify="right")
    for each in growth.compared:
        small, large = each.small, each.large
        table.add_row(
            each.what,
            str(small.in_flight),
            f"{small.calls_per_second:,.0f}",
            f"{large.calls_per_second:,.0f}",
            f"{each.ratio:.2f}",
            " ".join(f"{ratio:.2f}" for ratio in each.ratios),
            *(milliseconds(value) for value in (small.p50_ms, large.p50_ms)),
            *(milliseconds(value) for value in (small.p99_ms, large.p99_ms)),
        )
    note = Text(
        "Of all: members drawn from the grown ledger, against the small one above. Of one: a "
        "member with 10,000 entries (large) against one with 10 (small), both in the grown ledger.",
        style="dim",
    )
    return Group(head, table, note)


def milliseconds(value: float) -> str:
    """Three digits, or more where it takes them."""
    return f"{value:.2f}" if value < 10 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
