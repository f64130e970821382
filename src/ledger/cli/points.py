"""`ledger purchase`, `balance` and `statement`. Imports typer only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli import options
from ledger.cli.options import Member

if TYPE_CHECKING:
    from ledger.cli.connection import Connection
    from ledger.v1 import types_pb2

_MOST_ON_A_PAGE = 1_000


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
    from ledger.cli import output, present
    from ledger.cli.connection import connect, currency_of, zone_of
    from ledger.cli.messages import (
        argument_lines,
        argument_money,
        as_json,
        as_preview,
        flag_time,
        format_money,
    )
    from ledger.cli.requests import new_request_id, telling_request_id
    from ledger.v1 import points_pb2, types_pb2

    with connect(server, timeout) as connection:
        found = connection.program(program)
        zone, currency = zone_of(found), currency_of(found)
        key = request_id or new_request_id()
        paid = argument_money("AMOUNT", amount, currency)
        request = points_pb2.RecordPurchaseRequest(
            request_id=key,
            program_id=found.program_id,
            member_id=member,
            purchase_id=purchase_id or ("" if preview else key),
            amount=paid,
            lines=argument_lines(line or [], category, paid, currency),
            effective_time=flag_time("--at", at, zone),
            location_id=location,
            terminal_id=terminal,
        )
        if preview:
            estimate = connection.call(
                connection.points.PreviewPurchase,
                as_preview(request),
                points_pb2.PreviewPurchaseResponse,
            )
            if json:
                output.print_json(as_json(estimate))
            else:
                output.console().print(present.preview_text(estimate, zone))
            return
        with telling_request_id(key):
            receipt = connection.call(connection.points.RecordPurchase, request, types_pb2.Receipt)
    if json:
        output.print_json(as_json(receipt))
        return
    number = f"purchase [bold]{output.escape(request.purchase_id)}[/] of {format_money(paid)}"
    if receipt.replayed:
        output.done(f"{number} was recorded before; this repeats the first answer")
    else:
        output.done(f"{number} is recorded for member [bold]{output.escape(member)}[/]")
    output.console().print(present.receipt_text(receipt, zone))
    if key != request.purchase_id:
        output.note(f"  request id {key}")


def balance(
    member: Member,
    program: options.Program = "",
    at: options.At = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Show what a member has, now or at another time.

    A time in the past is folded from the journal; one in the future shows what
    will have expired and become spendable by then, if nothing else happens.

    Examples:
      ledger balance m-1
      ledger balance m-1 --at 2026-01-01
      ledger balance m-1 --json | jq -r .availablePoints
    """
    from ledger.cli import output, present
    from ledger.cli.connection import connect, zone_of
    from ledger.cli.messages import as_json, flag_time
    from ledger.v1 import balance_pb2, types_pb2

    with connect(server, timeout) as connection:
        found = connection.program(program)
        zone = zone_of(found)
        request = balance_pb2.GetBalanceRequest(
            program_id=found.program_id,
            member_id=member,
            as_of_time=flag_time("--at", at, zone),
        )
        answer = connection.call(connection.balances.GetBalance, request, types_pb2.Balance)
    if json:
        output.print_json(as_json(answer))
    else:
        output.console().print(present.balance_panel(member, answer, found, zone))


def statement(
    member: Member,
    program: options.Program = "",
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, metavar="N", help="Most entries to show.")
    ] = 50,
    every: Annotated[bool, typer.Option("--all", help="Show all entries.")] = False,
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Show a member's journal, newest first: what happened and what it moved.

    "Good through" is the last day on which points can be spent, in the
    program's time zone.

    Examples:
      ledger statement m-1
      ledger statement m-1 --limit 10
      ledger statement m-1 --all --json > m-1.json
    """
    from ledger.cli import output, present
    from ledger.cli.connection import connect, zone_of
    from ledger.cli.messages import as_json

    with connect(server, timeout) as connection:
        found = connection.program(program)
        entries = _entries(connection, found.program_id, member, None if every else limit)
    if json:
        output.print_json({"entries": [as_json(entry) for entry in entries]})
        return
    output.console().print(present.statement_table(member, entries, found, zone_of(found)))
    if entries and entries[-1].sequence > 1:
        total = entries[0].sequence
        output.note(f"The newest {len(entries):,} of {total:,} entries; --all shows them all.")


def _entries(
    connection: Connection, program_id: str, member_id: str, limit: int | None
) -> list[types_pb2.Entry]:
    """The newest entries, page by page; limit None: all of them."""
    from ledger.v1 import balance_pb2

    entries: list[types_pb2.Entry] = []
    token = ""
    while limit is None or len(entries) < limit:
        missing = _MOST_ON_A_PAGE if limit is None else limit - len(entries)
        request = balance_pb2.ListEntriesRequest(
            program_id=program_id,
            member_id=member_id,
            page_size=min(missing, _MOST_ON_A_PAGE),
            page_token=token,
        )
        page = connection.call(
            connection.balances.ListEntries, request, balance_pb2.ListEntriesResponse
        )
        entries.extend(page.entries)
        token = page.next_page_token
        if not token:
            break
    return entries
