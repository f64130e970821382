"""`ledger tier`, `activity` and `override-tier`. Imports typer only."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.cli import options
from ledger.cli.options import Member


def tier(
    member: Member,
    program: options.Program = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Show a member's tier: until when it is held, and the way to the next.

    What counts are visits and spend over the program's period; spending points
    can not cost a tier. "To keep it" says what is missing to hold the tier
    beyond its end, counting only what will still count then.

    Examples:
      ledger tier m-1
      ledger tier m-1 --json | jq -r .next.visitsMissing
    """
    from ledger.cli import output, present_tiers
    from ledger.cli.connection import connect, zone_of
    from ledger.cli.messages import as_json
    from ledger.v1 import balance_pb2, types_pb2

    with connect(server, timeout) as connection:
        found = connection.program(program)
        request = balance_pb2.GetTierStatusRequest(program_id=found.program_id, member_id=member)
        status = connection.call(connection.balances.GetTierStatus, request, types_pb2.TierStatus)
    if json:
        output.print_json(as_json(status))
    elif status.tier_id:
        output.console().print(present_tiers.tier_panel(member, status, found, zone_of(found)))
    else:
        output.console().print(f"Program {output.escape(found.program_id)} has no tiers.")


def activity(
    member: Member,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="What was done, as a bonus of the program names it."),
    ],
    program: options.Program = "",
    at: options.At = "",
    location: options.Location = "",
    terminal: options.Terminal = "",
    request_id: options.RequestId = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Record something a member did that is no purchase, and its points.

    The rules say which activities there are, what they give, and how often. One
    that has reached its limit is recorded with 0 points.

    Examples:
      ledger activity m-1 survey-completed
      ledger activity m-1 check-in --location shop-7 --at "2026-11-20 08:15"
    """
    from ledger.cli.messages import flag_time
    from ledger.cli.output import bold
    from ledger.cli.writing import writing
    from ledger.v1 import points_pb2

    with writing(program, request_id, server, timeout, json) as ledger:
        request = points_pb2.RecordActivityRequest(
            request_id=ledger.request_id,
            program_id=ledger.program_id,
            member_id=member,
            activity=name,
            effective_time=flag_time("--at", at, ledger.zone),
            location_id=location,
            terminal_id=terminal,
        )
        receipt = ledger.send(ledger.connection.points.RecordActivity, request)
        ledger.tell(receipt, f"activity {bold(name)}", f"is recorded for member {bold(member)}")


def override_tier(
    member: Member,
    tier: Annotated[
        str, typer.Argument(metavar="TIER", help="The tier's id: the one held, or one above it.")
    ],
    until: Annotated[
        str,
        typer.Option(
            "--until",
            metavar="TIME",
            help="When it ends, such as 2027-01-01 (with 31 December as the last day) or "
            "2027-01-01 12:00 (program's zone).",
        ),
    ],
    reason: Annotated[
        str,
        typer.Option("--reason", metavar="TEXT", help="Why, for the record: 1 to 500 characters."),
    ],
    program: options.Program = "",
    request_id: options.RequestId = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Let a member hold a tier for a while, whatever was earned.

    What is earned meanwhile counts beneath it: when the time is over, the
    member holds what was earned by then. The journal keeps the reason.

    Examples:
      ledger override-tier m-1 gold --until 2027-01-01 --reason "moved house"
    """
    from ledger.cli.messages import flag_time
    from ledger.cli.output import bold
    from ledger.cli.writing import writing
    from ledger.v1 import points_pb2

    with writing(program, request_id, server, timeout, json) as ledger:
        request = points_pb2.OverrideTierRequest(
            request_id=ledger.request_id,
            program_id=ledger.program_id,
            member_id=member,
            tier_id=tier,
            reason=reason,
            until_time=flag_time("--until", until, ledger.zone),
        )
        receipt = ledger.send(ledger.connection.points.OverrideTier, request)
        ledger.tell(
            receipt,
            f"tier {bold(tier)}",
            f"is given to member {bold(member)}",
            "was given before",
        )
