"""`ledger purchase` and `return`. Imports typer only."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.cli import options
from ledger.cli.options import Member


def purchase(
    member: Member,
    amount: Annotated[
        str,
        typer.Argument(
            metavar="AMOUNT", help="What was paid, in the program's currency, such as 12.99."
        ),
    ],
    program: options.Program = "",
    purchase_id: Annotated[
        str,
        typer.Option(
            "--purchase-id",
            metavar="ID",
            help="The receipt's number, which earns only once. Default: the request id.",
        ),
    ] = "",
    category: Annotated[
        str,
        typer.Option(
            "--category", metavar="NAME", help="The category of the whole purchase, if it is one."
        ),
    ] = "",
    line: Annotated[
        list[str] | None,
        typer.Option(
            "--line",
            metavar="SKU:CATEGORY:QTY:AMOUNT",
            help="A line of the receipt; repeat it for more. All but the amount may be empty.",
            show_default=False,
        ),
    ] = None,
    at: options.At = "",
    location: options.Location = "",
    terminal: options.Terminal = "",
    request_id: options.RequestId = "",
    preview: Annotated[
        bool, typer.Option("--preview", help="Only show what it would earn; write nothing.")
    ] = False,
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Record a purchase and the points it earns, or preview them.

    Repeating a purchase with the same --request-id is safe: it is answered as
    it was the first time, and nothing is written twice.

    Examples:
      ledger purchase m-1 12.99
      ledger purchase m-1 12.99 --preview
      ledger purchase m-1 12.99 --purchase-id r-1041 --location shop-7
      ledger purchase m-1 13.40 --line espresso:coffee:2:6.40 --line ::1:7.00
      ledger purchase m-1 25.00 --category gift-card
      ledger purchase m-1 8.20 --at "2026-11-20 08:15"
    """
    from ledger.cli import output
    from ledger.cli.messages import (
        argument_lines,
        argument_money,
        as_json,
        as_preview,
        flag_time,
        format_money,
    )
    from ledger.cli.present_receipts import preview_text
    from ledger.cli.writing import writing
    from ledger.v1 import points_pb2

    with writing(program, request_id, server, timeout, json) as ledger:
        paid = argument_money("AMOUNT", amount, ledger.currency)
        request = points_pb2.RecordPurchaseRequest(
            request_id=ledger.request_id,
            program_id=ledger.program_id,
            member_id=member,
            purchase_id=purchase_id or ("" if preview else ledger.request_id),
            amount=paid,
            lines=argument_lines(line or [], category, paid, ledger.currency),
            effective_time=flag_time("--at", at, ledger.zone),
            location_id=location,
            terminal_id=terminal,
        )
        if preview:
            estimate = ledger.connection.call(
                ledger.connection.points.PreviewPurchase,
                as_preview(request, points_pb2.PreviewPurchaseRequest),
                points_pb2.PreviewPurchaseResponse,
            )
            if json:
                output.print_json(as_json(estimate))
            else:
                output.console().print(preview_text(estimate, ledger.zone))
            return
        receipt = ledger.send(ledger.connection.points.RecordPurchase, request)
        ledger.tell(
            receipt,
            f"purchase {output.bold(request.purchase_id)} of {format_money(paid)}",
            f"is recorded for member {output.bold(member)}",
            key_is_told=request.purchase_id == ledger.request_id,
        )


def return_(
    member: Member,
    purchase: Annotated[
        str, typer.Argument(metavar="PURCHASE", help="The receipt's number, as it was recorded.")
    ],
    program: options.Program = "",
    amount: Annotated[
        str,
        typer.Option(
            "--amount",
            metavar="AMOUNT",
            help="What of the price is paid back, in the program's currency, such as 4.99.",
        ),
    ] = "",
    line: Annotated[
        list[str] | None,
        typer.Option(
            "--line",
            metavar="SKU:CATEGORY:QTY:AMOUNT",
            help="A line of the receipt that comes back, and what is paid back for it; repeat it "
            "for more.",
            show_default=False,
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="All that is left of the purchase comes back.")
    ] = False,
    at: options.At = "",
    location: options.Location = "",
    terminal: options.Terminal = "",
    request_id: options.RequestId = "",
    preview: Annotated[
        bool, typer.Option("--preview", help="Only show what it would take back; write nothing.")
    ] = False,
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Record that goods came back, and take back what they earned.

    One of --amount, --line and --full says what came back. Points that were
    spent already are owed, let go, or refused, as the program's rules say.

    Examples:
      ledger return m-1 r-1041 --full
      ledger return m-1 r-1041 --full --preview
      ledger return m-1 r-1041 --amount 4.99
      ledger return m-1 r-1041 --line espresso:coffee:1:3.20
    """
    from ledger.cli import output
    from ledger.cli.failure import usage
    from ledger.cli.messages import argument_money, as_json, as_preview, flag_lines, flag_time
    from ledger.cli.present_receipts import return_preview_text
    from ledger.cli.writing import writing
    from ledger.v1 import points_pb2

    if [bool(amount), bool(line), full].count(True) != 1:
        raise usage("what came back? Say it with one of --amount, --line and --full")
    with writing(program, request_id, server, timeout, json) as ledger:
        request = points_pb2.RecordReturnRequest(
            request_id=ledger.request_id,
            program_id=ledger.program_id,
            member_id=member,
            purchase_id=purchase,
            amount=argument_money("--amount", amount, ledger.currency) if amount else None,
            lines=flag_lines(line or [], ledger.currency),
            full=full,
            effective_time=flag_time("--at", at, ledger.zone),
            location_id=location,
            terminal_id=terminal,
        )
        if preview:
            estimate = ledger.connection.call(
                ledger.connection.points.PreviewReturn,
                as_preview(request, points_pb2.PreviewReturnRequest),
                points_pb2.PreviewReturnResponse,
            )
            if json:
                output.print_json(as_json(estimate))
            else:
                output.console().print(return_preview_text(estimate))
            return
        receipt = ledger.send(ledger.connection.points.RecordReturn, request)
        ledger.tell(
            receipt,
            f"return of purchase {output.bold(purchase)}",
            f"is recorded for member {output.bold(member)}",
        )
