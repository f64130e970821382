"""`ledger adjust` and `transfer`. Imports typer only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.cli import options
from ledger.cli.options import Member


def adjust(
    member: Member,
    points: Annotated[
        str, typer.Argument(metavar="±POINTS", help="Points to give, or to take: 250 or -250.")
    ],
    reason: Annotated[
        str,
        typer.Option(
            "--reason",
            metavar="CODE",
            help="Why: one of the program's reason codes, such as goodwill or correction.",
        ),
    ],
    program: options.Program = "",
    note: Annotated[
        str, typer.Option("--note", metavar="TEXT", help="What else is to be said of it.")
    ] = "",
    approver: Annotated[
        str,
        typer.Option(
            "--approver",
            metavar="PRINCIPAL",
            help="Who approves it, where the program wants a second person for so many points: a "
            "name, while the server has no credentials.",
        ),
    ] = "",
    approver_key_file: Annotated[
        Path | None,
        typer.Option(
            "--approver-key-file",
            metavar="FILE",
            help="Who approves it: a file with the API key of a second person who may adjust.",
        ),
    ] = None,
    request_id: options.RequestId = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Give or take points by hand, for a reason the journal keeps.

    Given points live as if they were earned now. No more are taken than can be
    spent.

    Examples:
      ledger adjust m-1 250 --reason goodwill --note "waited long"
      ledger adjust m-1 -250 --reason correction
      ledger adjust m-1 10000 --reason goodwill --approver-key-file maria.key
    """
    from ledger.cli.credentials import approver_of
    from ledger.cli.messages import argument_points, plural
    from ledger.cli.output import bold
    from ledger.cli.writing import writing
    from ledger.v1 import points_pb2

    number = argument_points("POINTS", points, signed=True)
    with writing(program, request_id, server, timeout, json) as ledger:
        request = points_pb2.AdjustPointsRequest(
            request_id=ledger.request_id,
            program_id=ledger.program_id,
            member_id=member,
            points=number,
            reason_code=reason,
            note=note,
            approver=approver_of(approver, approver_key_file),
        )
        receipt = ledger.send(ledger.connection.points.AdjustPoints, request)
        done = "given to" if number > 0 else "taken from"
        ledger.tell(
            receipt,
            bold(plural(abs(number), "point")),
            f"{'is' if abs(number) == 1 else 'are'} {done} member {bold(member)}",
            f"{'was' if abs(number) == 1 else 'were'} {done} member {bold(member)} before",
        )


def transfer(
    member: Member,
    to: Annotated[str, typer.Argument(metavar="TO", help="The member who gets them.")],
    points: Annotated[str, typer.Argument(metavar="POINTS", help="How many, such as 250.")],
    program: options.Program = "",
    request_id: options.RequestId = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Hand points to another member of the program.

    They keep their dates; those that expire soonest go first.

    Examples:
      ledger transfer m-1 m-2 250
    """
    from ledger.cli.messages import argument_points, plural
    from ledger.cli.output import bold
    from ledger.cli.writing import writing
    from ledger.v1 import points_pb2

    number = argument_points("POINTS", points)
    with writing(program, request_id, server, timeout, json) as ledger:
        request = points_pb2.TransferPointsRequest(
            request_id=ledger.request_id,
            program_id=ledger.program_id,
            member_id=member,
            to_member_id=to,
            points=number,
        )
        receipt = ledger.send(ledger.connection.points.TransferPoints, request)
        handed = f"handed from member {bold(member)} to member {bold(to)}"
        ledger.tell(
            receipt,
            bold(plural(number, "point")),
            f"{'is' if number == 1 else 'are'} {handed}",
            f"{'was' if number == 1 else 'were'} {handed} before",
        )
