"""Reads that follow the journal as transactions commit. No business rules.

Every entry and warning bears the id of its transaction. What a snapshot does not show yet is what
has a later id, or one of those that were open then; so two looks in a row see everything once.

Who reads in order reads by that id, and only below the oldest transaction that is open: nothing can
appear there any more. Ids are not quite in the order of commits: a transaction gets its id before
it waits for a member that another one holds, whose later id then stands on the earlier entry. So a
transaction is put behind those whose entries its own follow, and a page ends only where nothing in
it follows anything behind it. Like this there is one order for everybody, whatever the pages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import sqlalchemy as sa

from ledger.core.instants import to_instant
from ledger.core.posting import Warning
from ledger.store.queries import JournalEntry
from ledger.store.rows import ENTRY_COLUMNS, entry_of

#: what readers keep of the hash of an entry
_SEEN_BYTES = 8

_WAITING = (
    "SELECT FROM {} WHERE program_id = %(program)s"
    " AND xid >= pg_snapshot_xmin(pg_current_snapshot())"
)
#: the ids of a table's next transactions that can be read in order
_IDS = (
    "SELECT xid FROM {} WHERE program_id = %(program)s AND xid >= %(since)s::xid8"
    " AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid LIMIT %(limit)s"
)
#: the oldest transaction that is open, the last one of a page that becomes full before it, whether
#: anything is committed that has to wait for it, and whether what the reader has seen is there
_BOUNDS = (
    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, ("
    "SELECT xid::text::bigint FROM ("
    f"({_IDS.format('entries')}) UNION ALL ({_IDS.format('expiry_warnings')})"
    ") AS ids ORDER BY xid OFFSET %(limit)s - 1 LIMIT 1),"
    f" EXISTS ({_WAITING.format('entries')}) OR EXISTS ({_WAITING.format('expiry_warnings')}),"
    " %(seen)s::xid8 IS NULL OR EXISTS (SELECT FROM entries WHERE program_id = %(program)s"
    f" AND xid = %(seen)s::xid8 AND substr(hash, 1, {_SEEN_BYTES}) = %(hash)s)"
)

_LAST_ID = (
    "(SELECT xid FROM {} WHERE program_id = %(program)s"
    " AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid DESC LIMIT 1)"
)
#: the last transaction that can be read in order; 0: there is none
_LATEST = (
    f"SELECT coalesce(greatest({_LAST_ID.format('entries')},"
    f" {_LAST_ID.format('expiry_warnings')})::text::bigint, 0)"
)


class Snapshot(NamedTuple):
    """Which transactions had been committed: all below `xmin`, none from `xmax` on, and of those
    between all but the `open` ones."""

    xmin: int
    xmax: int
    open: tuple[int, ...]


#: of a program: the members concerned, and the latest transaction
Changes = tuple[Collection[str], int]


class StoredWarning(NamedTuple):
    """Who is warned of what, and when (µs) that was recorded."""

    member_id: str
    warning: Warning
    create_time: int


class Seen(NamedTuple):
    """An entry that a reader was told of: its transaction, and how its hash begins."""

    xid: int
    hash: bytes


class Event(NamedTuple):
    xid: int
    #: the transaction of the member's entry before it; 0: there is none, or it is a warning
    follows: int
    told: JournalEntry | StoredWarning

    @property
    def seen(self) -> Seen | None:
        """What tells later whether this has happened; None: it is a warning."""
        if isinstance(self.told, StoredWarning):
            return None
        return Seen(self.xid, self.told.stored.hash[:_SEEN_BYTES])


class Page(NamedTuple):
    """Events of a program in order, and where the next page begins: behind the last of them, and
    not behind later transactions, whose ids may be given again after a crash if nothing came of
    them."""

    events: list[Event]
    until: int
    #: whether the next page has something, too
    more: bool
    #: whether something is committed that has to wait for a transaction that is open
    waiting: bool


def read_snapshot(connection: sa.Connection) -> Snapshot:
    """What is committed now."""
    text = connection.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar_one()
    return _snapshot(text)


def read_changes(
    connection: sa.Connection, since: Snapshot, wanted: Mapping[str, Collection[str | None]]
) -> tuple[Snapshot, dict[str, Changes]]:
    """What is committed now, and what of it is new: of these members by program, None for all."""
    new = "program_id = ANY(%(programs)s) AND (xid >= %(xmax)s::xid8"
    new += " OR xid = ANY(%(open)s::xid8[]))" if since.open else ")"
    # A member of one program may be told of in another one, too, which harms nobody.
    new += " AND (program_id = ANY(%(whole)s) OR member_id = ANY(%(members)s))"
    with _by_index(connection):
        rows = connection.exec_driver_sql(
            "SELECT pg_current_snapshot()::text, program_id, member_id, latest"
            " FROM (VALUES (1)) AS one LEFT JOIN ("
            " SELECT program_id, member_id, max(xid::text::bigint) AS latest FROM ("
            f" SELECT program_id, member_id, xid FROM entries WHERE {new} UNION ALL"
            f" SELECT program_id, member_id, xid FROM expiry_warnings WHERE {new}"
            ") AS new GROUP BY program_id, member_id) AS changes ON true",
            {
                "programs": list(wanted),
                "whole": [program_id for program_id, members in wanted.items() if None in members],
                "members": [member for members in wanted.values() for member in members if member],
                "xmax": str(since.xmax),
                "open": [str(xid) for xid in since.open],
            },
        ).all()
    members: dict[str, set[str]] = {}
    latest: dict[str, int] = {}
    for _, program_id, member_id, xid in rows:
        if program_id is not None:
            members.setdefault(program_id, set()).add(member_id)
            latest[program_id] = max(latest.get(program_id, 0), xid)
    changes: dict[str, Changes] = {
        program_id: (members[program_id], latest[program_id]) for program_id in members
    }
    return _snapshot(rows[0][0]), changes


def _snapshot(text: str) -> Snapshot:
    xmin, xmax, still_open = text.split(":")
    return Snapshot(int(xmin), int(xmax), tuple(map(int, filter(None, still_open.split(",")))))


@contextmanager
def _by_index(connection: sa.Connection) -> Iterator[None]:
    """Reads of a few rows among millions: by index, whatever the planner believes about a table
    that has just begun to grow."""
    connection.exec_driver_sql("BEGIN READ ONLY; SET LOCAL enable_seqscan = off")
    yield
    connection.exec_driver_sql("COMMIT")


def read_events(
    connection: sa.Connection, program_id: str, since: int, limit: int, seen: Seen | None = None
) -> Page:
    """The program's events of transactions from an id on: about `limit`, and to the end of one.

    `until` is below `since` when the database does not go as far as that, or has not got what was
    `seen` of it.
    """
    with _by_index(connection):
        values = {
            "program": program_id,
            "since": str(since),
            "limit": limit,
            "seen": None if seen is None else str(seen.xid),
            "hash": None if seen is None else seen.hash,
        }
        horizon, last, waiting, is_there = connection.exec_driver_sql(_BOUNDS, values).one()
        if not is_there:
            return Page([], since - 1, more=False, waiting=False)
        read_to = end = horizon
        if last is not None:
            read_to = last + 1
        found = _read_between(connection, program_id, since, read_to)
        while True:
            if held_up := [event.xid for event in found if event.follows >= end]:
                # What it follows has to wait, so it has to, and what follows it.
                read_to = end = min(held_up)
                found = [event for event in found if event.xid < end]
            elif (beyond := max((event.follows for event in found), default=0)) >= read_to:
                found += _read_between(connection, program_id, read_to, beyond + 1)
                read_to = beyond + 1
            else:
                break
    until = max((event.xid + 1 for event in found), default=min(since, horizon))
    return Page(_in_order(found), until, read_to < end, waiting)


def read_end(connection: sa.Connection, program_id: str) -> int:
    """Where a page begins that has nothing of what is committed but what has to wait."""
    with _by_index(connection):
        latest = connection.exec_driver_sql(_LATEST, {"program": program_id}).scalar_one()
    return int(latest) + 1


def _read_between(
    connection: sa.Connection, program_id: str, since: int, until: int
) -> list[Event]:
    """The events of transactions from an id on and below another, by transaction."""
    place = "e.program_id = %s AND e.xid >= %s::xid8 AND e.xid < %s::xid8"
    values = (program_id, str(since), str(until))
    entries = connection.exec_driver_sql(
        f"SELECT {ENTRY_COLUMNS}, e.xid::text::bigint, coalesce(b.xid::text::bigint, 0),"
        " coalesce(b.hash, decode(repeat('00', 32), 'hex'))"
        " FROM entries e LEFT JOIN LATERAL (SELECT hash, xid FROM entries"
        " WHERE program_id = e.program_id AND member_id = e.member_id"
        " AND sequence = e.sequence - 1 LIMIT 1) AS b ON true"
        f" WHERE {place} ORDER BY e.xid, e.member_id, e.sequence",
        values,
    )
    events = [
        Event(row[-3], row[-2], JournalEntry(entry_of(row), bytes(row[-1]))) for row in entries
    ]
    warnings = connection.exec_driver_sql(
        "SELECT e.xid::text::bigint, member_id, expire_time, days, points, inactivity, create_time"
        f" FROM expiry_warnings e WHERE {place}"
        " ORDER BY e.xid, member_id, expire_time, days, inactivity",
        values,
    )
    return events + [Event(xid, 0, _warning_of(row)) for xid, *row in warnings]


def _warning_of(row: Sequence[Any]) -> StoredWarning:
    member_id, expire_time, days, points, inactivity, create_time = row
    warning = Warning(to_instant(expire_time), days, points, inactivity)
    return StoredWarning(member_id, warning, to_instant(create_time))


def _in_order(found: Collection[Event]) -> list[Event]:
    """The events by transaction, each of these behind those that it follows."""
    transactions: dict[int, list[Event]] = {}
    for event in sorted(found, key=lambda event: event.xid):  # stable: warnings come last
        transactions.setdefault(event.xid, []).append(event)
    ordered: list[Event] = []
    placed: set[int] = set()

    def place(xid: int) -> None:
        placed.add(xid)
        for event in transactions[xid]:
            if event.follows in transactions and event.follows not in placed:
                place(event.follows)
        ordered.extend(transactions[xid])

    for xid in transactions:
        if xid not in placed:
            place(xid)
    return ordered
