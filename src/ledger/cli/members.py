"""`ledger member`: enroll and show members, and set what they may do. Imports typer only."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.cli import options
from ledger.cli.help import Command, Group

app = typer.Typer(cls=Group, no_args_is_help=True, help="Members of a program.")


@app.command(cls=Command)
def enroll(
    member: Annotated[
        str,
        typer.Argument(
            metavar="MEMBER", help="The new member's id. Default: the ledger makes one."
        ),
    ] = "",
    birthday: Annotated[
        str,
        typer.Option("--birthday", metavar="MM-DD", help="For birthday bonuses, such as 02-29."),
    ] = "",
    referrer: Annotated[
        str,
        typer.Option(
            "--referrer",
            metavar="MEMBER",
            help="Who brought the new member, and is thanked for it with the first visit.",
        ),
    ] = "",
    program: options.Program = "",
    at: options.At = "",
    location: options.Location = "",
    terminal: options.Terminal = "",
    request_id: options.RequestId = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Enroll a member, and give the bonuses of enrollment.

    Examples:
      ledger member enroll m-2
      ledger member enroll --program bean-street
      ledger member enroll m-2 --birthday 02-29 --referrer m-1
      ledger member enroll m-2 --at 2026-11-01 --request-id enroll-m-2
    """
    from ledger.cli.messages import flag_birthday, flag_time
    from ledger.cli.output import bold
    from ledger.cli.writing import writing
    from ledger.v1 import member_pb2

    with writing(program, request_id, server, timeout, json) as ledger:
        request = member_pb2.EnrollMemberRequest(
            request_id=ledger.request_id,
            program_id=ledger.program_id,
            member_id=member,
            effective_time=flag_time("--at", at, ledger.zone),
            location_id=location,
            terminal_id=terminal,
            birthday=flag_birthday(birthday),
            referrer_member_id=referrer,
        )
        receipt = ledger.send(ledger.connection.members.EnrollMember, request)
        enrolled = receipt.entries[0].member_id
        ledger.tell(receipt, f"member {bold(enrolled)}", "is enrolled", "was enrolled before")


@app.command(cls=Command)
def show(
    member: options.Member,
    program: options.Program = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Show a member: status, when they joined, how many entries they have.

    Examples:
      ledger member show m-1
      ledger member show m-1 --json
    """
    from ledger.cli import output, present
    from ledger.cli.connection import connect, zone_of
    from ledger.cli.messages import as_json
    from ledger.v1 import member_pb2

    with connect(server, timeout) as connection:
        found = connection.program(program)
        request = member_pb2.GetMemberRequest(program_id=found.program_id, member_id=member)
        answer = connection.call(connection.members.GetMember, request, member_pb2.Member)
    if json:
        output.print_json(as_json(answer))
        return
    output.console().print(present.member_panel(answer, found, zone_of(found)))


@app.command(cls=Command)
def status(
    member: options.Member,
    status: Annotated[
        str,
        typer.Argument(metavar="STATUS", help="One of active, earn-only, suspended, closed."),
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
    """Let a member do more or less from now on.

    active     earns and spends
    earn-only  earns, and may not hold, redeem or hand on points
    suspended  nothing, until the status is changed again
    closed     nothing, for good

    Points go on expiring whatever the status is.

    Examples:
      ledger member status m-1 suspended --reason "card reported stolen"
      ledger member status m-1 active --reason "card replaced"
    """
    from ledger.cli.messages import argument_status, status_name
    from ledger.cli.output import bold
    from ledger.cli.writing import writing
    from ledger.v1 import member_pb2

    wanted = argument_status("STATUS", status)
    with writing(program, request_id, server, timeout, json) as ledger:
        request = member_pb2.SetMemberStatusRequest(
            request_id=ledger.request_id,
            program_id=ledger.program_id,
            member_id=member,
            status=wanted,
            reason=reason,
        )
        receipt = ledger.send(ledger.connection.members.SetMemberStatus, request)
        name = status_name(wanted)
        ledger.tell(receipt, f"member {bold(member)}", f"is {name} now", f"became {name} before")
