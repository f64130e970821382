"""How an explained balance looks to a person: a tree of lots and the entries that made them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from rich.console import RenderableType
from rich.text import Text
from rich.tree import Tree

from ledger.cli.messages import local
from ledger.cli.present import points, through
from ledger.cli.values import format_date
from ledger.v1 import balance_pb2, program_pb2


def origin_tree(
    member_id: str,
    explained: balance_pb2.ExplainBalanceResponse,
    program: program_pb2.Program,
    zone: ZoneInfo,
) -> RenderableType:
    """Every lot with its entries; their points add up to the lot's."""
    spendable = sum(
        origin.points
        for origin in explained.origins
        if origin.state == balance_pb2.LOT_STATE_AVAILABLE
    )
    tree = Tree(
        Text.assemble(
            (member_id, "bold"),
            f" · {program.display_name} has ",
            (points(spendable), "bold"),
            " points to spend",
        ),
        guide_style="dim",
    )
    for origin in explained.origins:
        lot = tree.add(_lot(origin, zone))
        for source in origin.sources:
            amount, _, what = source.text.partition(" ")
            style = "green" if source.points > 0 else "red"
            lot.add(Text.assemble((amount, style), f" {what}", (f"  #{source.sequence}", "dim")))
    return tree


def _lot(origin: balance_pb2.ExplainBalanceResponse.Origin, zone: ZoneInfo) -> Text:
    """`340 good through 31 Jul 2027`, `60 held by h-…-12`, `20 owed`."""
    text = Text(points(origin.points), "bold")
    if origin.owed:
        return text.append(" owed: what comes in next pays them", "not bold red")
    if origin.state == balance_pb2.LOT_STATE_PENDING:
        day = format_date(local(origin.activate_time, zone).date())
        text.append(f" to be spent from {day}", "not bold")
    elif origin.state == balance_pb2.LOT_STATE_HELD:
        text.append(f" held by {origin.hold_id}", "not bold")
    last = through(origin.expire_time, zone) if origin.HasField("expire_time") else ""
    return text.append(f" good through {last}" if last else " that never expire", "not bold")
