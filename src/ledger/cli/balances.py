"""`ledger balance`, `statement`, `explain` and `expiring`. Imports typer only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli import options
from ledger.cli.options import Member

if TYPE_CHECKING:
    from ledger.cli.connection import Connection
    from ledger.v1 import types_pb2

_MOST_ON_A_PAGE = 1_000


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
    will have expired, become spendable and come back from holds by then, if
    nothing else happens.

    Examples:
      ledger balance m-1
      ledger balance m-1 --at 2026-01-01
      ledger balance m-1 --at "2026-12-24 18:00"
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
    from ledger.cli import output
    from ledger.cli.connection import connect, zone_of
    from ledger.cli.messages import as_json
    from ledger.cli.present_statement import statement_table

    with connect(server, timeout) as connection:
        found = connection.program(program)
        entries = _entries(connection, found.program_id, member, None if every else limit)
        if json:
            output.print_json({"entries": [as_json(entry) for entry in entries]})
            return
        rewards: dict[str, str] = {}
        if any(entry.reward_id for entry in entries):
            rewards = _reward_names(connection, found.program_id)
    table = statement_table(member, entries, found, zone_of(found), rewards)
    output.console().print(table)
    if entries and entries[-1].sequence > 1:
        total = entries[0].sequence
        output.note(f"The newest {len(entries):,} of {total:,} entries; --all shows them all.")


def explain(
    member: Member,
    program: options.Program = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Explain why a member has so many points: each lot, and what made it.

    The entries under a lot add up to its points. What was held and came back,
    and what a lot was before it was last empty, is left out; the statement has
    every entry.

    Examples:
      ledger explain m-1
      ledger explain m-1 --json | jq -r '.origins[].sources[].text'
    """
    from ledger.cli import output, present_origins
    from ledger.cli.connection import connect, zone_of
    from ledger.cli.messages import as_json
    from ledger.v1 import balance_pb2

    with connect(server, timeout) as connection:
        found = connection.program(program)
        request = balance_pb2.ExplainBalanceRequest(program_id=found.program_id, member_id=member)
        explained = connection.call(
            connection.balances.ExplainBalance, request, balance_pb2.ExplainBalanceResponse
        )
    if json:
        output.print_json(as_json(explained))
    else:
        tree = present_origins.origin_tree(member, explained, found, zone_of(found))
        output.console().print(tree)


def expiring(
    member: Member,
    program: options.Program = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Show which of a member's points expire when, if nothing else happens.

    Points that are held do not expire meanwhile; they do when they come back
    after their date.

    Examples:
      ledger expiring m-1
      ledger expiring m-1 --json | jq -r '.items[0].expireTime'
    """
    from ledger.cli import output, present
    from ledger.cli.connection import connect, zone_of
    from ledger.cli.messages import as_json
    from ledger.v1 import balance_pb2

    with connect(server, timeout) as connection:
        found = connection.program(program)
        request = balance_pb2.GetExpiryScheduleRequest(
            program_id=found.program_id, member_id=member
        )
        schedule = connection.call(
            connection.balances.GetExpirySchedule, request, balance_pb2.GetExpiryScheduleResponse
        )
    if json:
        output.print_json(as_json(schedule))
    else:
        output.console().print(present.expiry_table(member, schedule, found, zone_of(found)))


def _reward_names(connection: Connection, program_id: str) -> dict[str, str]:
    """What the program's rewards are called, by id; those that are gone, as they were last."""
    from ledger.v1 import program_pb2

    request = program_pb2.ListRulesVersionsRequest(program_id=program_id, page_size=_MOST_ON_A_PAGE)
    page = connection.call(
        connection.programs.ListRulesVersions, request, program_pb2.ListRulesVersionsResponse
    )
    return {
        reward.id: reward.name
        for version in reversed(page.rules_versions)
        for reward in version.rules.rewards
        if reward.name
    }


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
