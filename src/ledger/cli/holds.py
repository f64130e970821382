"""`ledger hold`, `capture`, `release` and `extend`. Imports typer only."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.cli import options
from ledger.cli.options import Member


def hold(
    member: Member,
    points: options.Points = "",
    program: options.Program = "",
    reward: options.Reward = "",
    ttl: options.Ttl = "",
    location: options.Location = "",
    terminal: options.Terminal = "",
    request_id: options.RequestId = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Reserve points, or a reward and what it costs.

    What is held can not be spent twice. Capture it when the customer has paid,
    release it when they change their mind; otherwise it lapses by itself.

    Examples:
      ledger hold m-1 100
      ledger hold m-1 100 --ttl 15m
      ledger hold m-1 --reward free-coffee
      ledger hold m-1 100 --json | jq -r .hold.holdId
    """
    from ledger.cli.messages import flag_duration, points_or_reward
    from ledger.cli.output import bold
    from ledger.cli.writing import writing
    from ledger.v1 import redemption_pb2

    wanted = points_or_reward(points, reward)
    lasting = flag_duration("--ttl", ttl)
    with writing(program, request_id, server, timeout, json) as ledger:
        request = redemption_pb2.HoldPointsRequest(
            request_id=ledger.request_id,
            program_id=ledger.program_id,
            member_id=member,
            points=wanted,
            reward_id=reward,
            ttl=lasting,
            location_id=location,
            terminal_id=terminal,
        )
        receipt = ledger.send(ledger.connection.redemptions.HoldPoints, request)
        ledger.tell(
            receipt,
            f"hold {bold(receipt.hold.hold_id)}",
            f"is made for member {bold(member)}",
            "was made before",
        )


def capture(
    member: Member,
    hold: options.Hold,
    program: options.Program = "",
    points: Annotated[
        str,
        typer.Option(
            "--points",
            metavar="POINTS",
            help="How many of the held points to spend; the rest comes back. Default: all.",
        ),
    ] = "",
    location: options.Location = "",
    terminal: options.Terminal = "",
    request_id: options.RequestId = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Spend what a hold reserved, or a part of it.

    The receipt says what it is worth, and under which id it can be given back.
    A hold is captured once: what is not spent then comes back at once.

    Examples:
      ledger capture m-1 h-2mz0qkzzg6xd4-12
      ledger capture m-1 h-2mz0qkzzg6xd4-12 --points 80
    """
    from ledger.cli.messages import flag_points
    from ledger.cli.output import bold
    from ledger.cli.writing import writing
    from ledger.v1 import redemption_pb2

    part = flag_points("--points", points)
    with writing(program, request_id, server, timeout, json) as ledger:
        request = redemption_pb2.CaptureHoldRequest(
            request_id=ledger.request_id,
            program_id=ledger.program_id,
            member_id=member,
            hold_id=hold,
            points=part,
            location_id=location,
            terminal_id=terminal,
        )
        receipt = ledger.send(ledger.connection.redemptions.CaptureHold, request)
        ledger.tell(
            receipt,
            f"hold {bold(hold)}",
            f"is captured, redemption {bold(receipt.redemption.redemption_id)}",
            "was captured before",
        )


def release(
    member: Member,
    hold: options.Hold,
    program: options.Program = "",
    location: options.Location = "",
    terminal: options.Terminal = "",
    request_id: options.RequestId = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Give back what a hold reserved.

    Points whose date has passed meanwhile expire as they come back.

    Examples:
      ledger release m-1 h-2mz0qkzzg6xd4-12
    """
    from ledger.cli.output import bold
    from ledger.cli.writing import writing
    from ledger.v1 import redemption_pb2

    with writing(program, request_id, server, timeout, json) as ledger:
        request = redemption_pb2.ReleaseHoldRequest(
            request_id=ledger.request_id,
            program_id=ledger.program_id,
            member_id=member,
            hold_id=hold,
            location_id=location,
            terminal_id=terminal,
        )
        receipt = ledger.send(ledger.connection.redemptions.ReleaseHold, request)
        ledger.tell(receipt, f"hold {bold(hold)}", "is released", "was released before")


def extend(
    member: Member,
    hold: options.Hold,
    program: options.Program = "",
    ttl: options.Ttl = "",
    location: options.Location = "",
    terminal: options.Terminal = "",
    request_id: options.RequestId = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Let a hold last longer.

    It lasts at least so long from now, and never ends sooner than it would
    have.

    Examples:
      ledger extend m-1 h-2mz0qkzzg6xd4-12
      ledger extend m-1 h-2mz0qkzzg6xd4-12 --ttl 2h
    """
    from ledger.cli.messages import flag_duration
    from ledger.cli.output import bold
    from ledger.cli.present import moment
    from ledger.cli.writing import writing
    from ledger.v1 import redemption_pb2

    lasting = flag_duration("--ttl", ttl)
    with writing(program, request_id, server, timeout, json) as ledger:
        request = redemption_pb2.ExtendHoldRequest(
            request_id=ledger.request_id,
            program_id=ledger.program_id,
            member_id=member,
            hold_id=hold,
            ttl=lasting,
            location_id=location,
            terminal_id=terminal,
        )
        receipt = ledger.send(ledger.connection.redemptions.ExtendHold, request)
        until = moment(receipt.hold.expire_time, ledger.zone)
        ledger.tell(receipt, f"hold {bold(hold)}", f"lasts until {until}", "was extended before")
