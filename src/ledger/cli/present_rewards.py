"""How rewards look to a person. Imports rich and the messages."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from ledger.cli.messages import format_money
from ledger.cli.present import points
from ledger.v1 import program_pb2, redemption_pb2


def rewards_table(
    member_id: str, answer: redemption_pb2.ListRewardsResponse, program: program_pb2.Program
) -> Table:
    """The rewards in the order of the rules: what can be had now, else why not."""
    table = Table(
        title=Text.assemble("Rewards for ", (member_id, "bold"), f" · {program.display_name}"),
        title_justify="left",
        title_style="",
        caption=f"{points(answer.available_points)} points can be spent.",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("Reward", style="bold", no_wrap=True)
    table.add_column("Name")
    table.add_column("Points", justify="right", no_wrap=True)
    table.add_column("Worth", justify="right", no_wrap=True)
    table.add_column("Left", justify="right", no_wrap=True)
    table.add_column("Now")
    for offer in answer.rewards:
        table.add_row(
            Text(offer.reward_id),
            Text(offer.name),
            points(offer.points),
            _worth(offer),
            points(offer.stock_left) if offer.HasField("stock_left") else "",
            _now(offer),
        )
    return table


def _worth(offer: redemption_pb2.RewardOffer) -> str:
    if offer.percent_off:
        return f"{offer.percent_off} % off"
    return format_money(offer.value) if offer.HasField("value") else ""


def _now(offer: redemption_pb2.RewardOffer) -> Text:
    if offer.available:
        return Text("✓ can be had", style="green")
    return Text("\n".join(obstacle.text for obstacle in offer.obstacles), style="yellow")
