"""`ledger member`: enroll and show members. Imports typer only."""

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
            metavar="[MEMBER]", help="The new member's id. Default: the ledger makes one."
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
    from ledger.cli import output, present
    from ledger.cli.connection import connect, zone_of
    from ledger.cli.messages import as_json, flag_birthday, flag_time
    from ledger.cli.requests import new_request_id, telling_request_id
    from ledger.v1 import member_pb2, types_pb2

    with connect(server, timeout) as connection:
        found = connection.program(program)
        zone = zone_of(found)
        request = member_pb2.EnrollMemberRequest(
            request_id=request_id or new_request_id(),
            program_id=found.program_id,
            member_id=member,
            effective_time=flag_time("--at", at, zone),
            location_id=location,
            terminal_id=terminal,
            birthday=flag_birthday(birthday),
            referrer_member_id=referrer,
        )
        with telling_request_id(request.request_id):
            receipt = connection.call(connection.members.EnrollMember, request, types_pb2.Receipt)
    if json:
        output.print_json(as_json(receipt))
        return
    enrolled = receipt.entries[0].member_id
    repeated = " before; this repeats the first answer" if receipt.replayed else ""
    output.done(f"member [bold]{output.escape(enrolled)}[/] is enrolled{repeated}")
    output.console().print(present.receipt_text(receipt, zone))
    output.note(f"  request id {request.request_id}")


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
