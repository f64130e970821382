"""`ledger watch` and `ledger events`: what happens, as it happens. Imports typer only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli import options
from ledger.cli.options import Member

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger.v1 import balance_pb2, types_pb2

_WARNING = "EXPIRY_WARNING"

Lines = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document a line; failures as JSON on stderr."),
]


def watch(
    member: Member,
    program: options.Program = "",
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", "-n", min=1, metavar="N", help="Stop after so many balances. Default: never."
        ),
    ] = None,
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: Lines = False,
) -> None:
    """Watch a member's balance: what it is now, and then each change.

    Whoever makes the change, on whichever server, and also when time does:
    points expire or become spendable, a hold lapses. Ctrl-C ends it. When the
    server goes away it is looked for again, for as long as --timeout says.

    Examples:
      ledger watch m-1
      ledger watch m-1 --json | jq -r .availablePoints
      ledger watch m-1 --limit 2
    """
    from contextlib import suppress
    from itertools import islice

    from ledger.cli import output, present_streams
    from ledger.cli.connection import connect, zone_of
    from ledger.cli.messages import as_json
    from ledger.v1 import balance_pb2

    with connect(server, timeout) as connection, suppress(KeyboardInterrupt):
        found = connection.program(program)
        zone = zone_of(found)
        request = balance_pb2.WatchBalanceRequest(program_id=found.program_id, member_id=member)
        messages = connection.stream(
            connection.balances.WatchBalance, request, balance_pb2.WatchBalanceResponse
        )
        before: types_pb2.Balance | None = None
        for balance in islice(_changes(messages), limit):
            request.min_version = balance.version
            if json:
                output.print_json_line(as_json(balance))
            else:
                output.print_line(present_streams.balance_line(balance, before, zone))
            before = balance


def _changes(messages: Iterable[balance_pb2.WatchBalanceResponse]) -> Iterator[types_pb2.Balance]:
    """The balances, but for those that only come again because the stream was opened again."""
    known = None
    for message in messages:
        if message.HasField("balance"):
            balance = message.balance
            facts = {field.name: value for field, value in balance.ListFields()}
            del facts["as_of_time"]
            if facts != known:
                known = facts
                yield balance


def events(
    program: options.Program = "",
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            "-k",
            metavar="KIND",
            help="Only events of this kind, such as PURCHASE or EXPIRY_WARNING. May be repeated.",
            show_default=False,
        ),
    ] = None,
    after: Annotated[
        str,
        typer.Option(
            "--after", metavar="CURSOR", help="Go on behind the event that had this cursor."
        ),
    ] = "",
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the first entry there is.")
    ] = False,
    until_now: Annotated[
        bool,
        typer.Option(
            "--until-now",
            help="Stop when everything so far has been printed. Begins with the first entry, or "
            "--after.",
        ),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", "-n", min=1, metavar="N", help="Stop after so many events. Default: never."
        ),
    ] = None,
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: Lines = False,
) -> None:
    """Follow what happens in a program: every entry, and every expiry warning.

    Without --from-start, --after or --until-now it begins now. Events come in
    one order for everybody; each has a cursor, behind which --after goes on,
    on any server and at any time. Ctrl-C ends it. When the server goes away it
    is looked for again, for as long as --timeout says.

    Examples:
      ledger events
      ledger events --kind PURCHASE --kind RETURN
      ledger events --from-start --json > journal.jsonl
      ledger events --until-now --kind EXPIRY_WARNING --json | jq .expiryWarning
      ledger events --json --after "$(tail -1 journal.jsonl | jq -r .cursor)"
    """
    from contextlib import suppress

    from ledger.cli import output, present_streams
    from ledger.cli.connection import connect, zone_of
    from ledger.cli.failure import usage
    from ledger.cli.messages import as_json
    from ledger.v1 import balance_pb2

    if after and from_start:
        raise usage("--after goes on somewhere: it can not be given together with --from-start")
    request = balance_pb2.StreamEventsRequest(
        cursor=after, from_now=not (after or from_start or until_now)
    )
    _name_kinds(request, kinds or [])
    told = 0
    with connect(server, timeout) as connection, suppress(KeyboardInterrupt):
        found = connection.program(program)
        zone = zone_of(found)
        request.program_id = found.program_id
        for message in connection.stream(
            connection.balances.StreamEvents, request, balance_pb2.StreamEventsResponse
        ):
            request.cursor, request.from_now = message.cursor, False
            if message.WhichOneof("event") is None:
                if until_now and message.caught_up:
                    break
                continue
            if json:
                output.print_json_line(as_json(message))
            else:
                output.print_line(present_streams.event_line(message, zone))
            told += 1
            if told == limit:
                break
    if not json and request.cursor:
        output.note(f"To go on from here: --after {request.cursor}")


def _name_kinds(request: balance_pb2.StreamEventsRequest, kinds: list[str]) -> None:
    """Let the request be for these kinds. Raises CommandFailed (usage) for what is none."""
    from ledger.cli.failure import usage
    from ledger.v1 import types_pb2

    names = [name.removeprefix("ENTRY_KIND_") for name in types_pb2.EntryKind.keys()[1:]]
    for kind in kinds:
        name = kind.upper().replace("-", "_")
        if name == _WARNING:
            request.expiry_warnings = True
        elif name in names:
            request.kinds.append(types_pb2.EntryKind.Value(f"ENTRY_KIND_{name}"))  # type: ignore[arg-type]
        else:
            raise usage(f"no kind {kind}: there are {', '.join([*names, _WARNING])}")
