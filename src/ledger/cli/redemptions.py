"""`ledger rewards`, `redeem` and `reverse`. Imports typer only."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.cli import options
from ledger.cli.options import Member


def rewards(
    member: Member,
    program: options.Program = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Show which rewards a member can have now, and why not the others.

    Examples:
      ledger rewards m-1
      ledger rewards m-1 --json | jq -c '.rewards[] | [.rewardId, .available]'
    """
    from ledger.cli import output
    from ledger.cli.connection import connect
    from ledger.cli.messages import as_json
    from ledger.cli.present_rewards import rewards_table
    from ledger.v1 import redemption_pb2

    with connect(server, timeout) as connection:
        found = connection.program(program)
        request = redemption_pb2.ListRewardsRequest(program_id=found.program_id, member_id=member)
        answer = connection.call(
            connection.redemptions.ListRewards, request, redemption_pb2.ListRewardsResponse
        )
    if json:
        output.print_json(as_json(answer))
    elif answer.rewards:
        output.console().print(rewards_table(member, answer, found))
    else:
        output.console().print(f"Program {output.escape(found.program_id)} has no rewards.")


def redeem(
    member: Member,
    points: options.Points = "",
    program: options.Program = "",
    reward: options.Reward = "",
    at: options.At = "",
    location: options.Location = "",
    terminal: options.Terminal = "",
    request_id: options.RequestId = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Spend points, or get a reward for them, in one step.

    The receipt says what it is worth, and under which id it can be given back.
    To reserve first and spend later: `ledger hold`.

    Examples:
      ledger redeem m-1 100
      ledger redeem m-1 --reward free-coffee
      ledger redeem m-1 100 --json | jq -r .redemption.redemptionId
    """
    from ledger.cli.messages import flag_time, points_or_reward
    from ledger.cli.output import bold
    from ledger.cli.writing import writing
    from ledger.v1 import redemption_pb2

    wanted = points_or_reward(points, reward)
    with writing(program, request_id, server, timeout, json) as ledger:
        request = redemption_pb2.RedeemPointsRequest(
            request_id=ledger.request_id,
            program_id=ledger.program_id,
            member_id=member,
            points=wanted,
            reward_id=reward,
            effective_time=flag_time("--at", at, ledger.zone),
            location_id=location,
            terminal_id=terminal,
        )
        receipt = ledger.send(ledger.connection.redemptions.RedeemPoints, request)
        ledger.tell(
            receipt,
            f"redemption {bold(receipt.redemption.redemption_id)}",
            f"is recorded for member {bold(member)}",
        )


def reverse(
    member: Member,
    redemption: Annotated[
        str,
        typer.Argument(
            metavar="REDEMPTION",
            help="The redemption's id, as `ledger redeem` or `ledger capture` printed it.",
        ),
    ],
    program: options.Program = "",
    points: Annotated[
        str,
        typer.Option(
            "--points",
            metavar="POINTS",
            help="How many of its points to give back. Default: all that are left of it.",
        ),
    ] = "",
    location: options.Location = "",
    terminal: options.Terminal = "",
    request_id: options.RequestId = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Give back what was redeemed or captured, all or a part.

    Points keep the dates they had; those whose date has passed live as much
    longer as the program's rules say.

    Examples:
      ledger reverse m-1 r-2mz0qkzzg6xd4-13
      ledger reverse m-1 r-2mz0qkzzg6xd4-13 --points 40
    """
    from ledger.cli.messages import flag_points
    from ledger.cli.output import bold
    from ledger.cli.writing import writing
    from ledger.v1 import redemption_pb2

    part = flag_points("--points", points)
    with writing(program, request_id, server, timeout, json) as ledger:
        request = redemption_pb2.ReverseRedemptionRequest(
            request_id=ledger.request_id,
            program_id=ledger.program_id,
            member_id=member,
            redemption_id=redemption,
            points=part,
            location_id=location,
            terminal_id=terminal,
        )
        receipt = ledger.send(ledger.connection.redemptions.ReverseRedemption, request)
        back = receipt.redemption
        all_of_it = back.reversed_points >= back.points
        ledger.tell(
            receipt,
            f"redemption {bold(redemption)}",
            "is given back" if all_of_it else "is given back in part",
            "was given back before",
        )
