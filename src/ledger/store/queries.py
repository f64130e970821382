"""Reads that lock nothing: accounts, entries, sums. No business rules.

Each function takes a connection in autocommit mode (`read_accounts`, which is asked most of all,
the driver's own cursor) and is one statement, so that it sees one snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from psycopg2.extensions import cursor as Cursor

from ledger.core.instants import to_datetime, to_instant
from ledger.core.model import Account, Entry, decode_account
from ledger.core.verify import Sealed, StoredAccount
from ledger.store.arrays import columns
from ledger.store.journal import MemberKey
from ledger.store.rows import ENTRY_COLUMNS, entry_of, optional_instant, sealed_of
from ledger.store.statements import PREPARE_READS

#: the columns of `accounts` that a verification compares with the fold
ACCOUNT_COLUMNS = (
    "a.version, a.available, a.held, a.tier_id, a.status, a.due_at, a.state, a.head_hash"
)

#: of the advisory lock that one scheduler at a time holds: "ledger due" in a number
_SCHEDULER_LOCK = 0x1ED6E8D0E


class ReadAccount(NamedTuple):
    """An account as it stands, with what a sandbox adds: its clock (µs) and rules version."""

    account: Account
    head_hash: bytes
    clock_time: int | None
    rules_version: int


class JournalEntry(NamedTuple):
    """A stored entry with the hash of the one before it."""

    stored: Sealed
    previous_hash: bytes


class Totals(NamedTuple):
    """Sums over a program's whole journal, and the instant (µs) of their snapshot."""

    points: dict[str, int]
    entries: int
    as_of_time: int


def prepare(cursor: Cursor) -> None:
    """Ready a new connection for `read_accounts`."""
    cursor.execute(PREPARE_READS)


def read_accounts(cursor: Cursor, keys: Collection[MemberKey]) -> dict[MemberKey, ReadAccount]:
    """The accounts that exist, by key. The cursor's connection must have been readied by `prepare`:
    planning the statement takes longer than running it."""
    cursor.execute("EXECUTE read_accounts (%s, %s)", columns(keys, 2))
    return {
        (row[0], row[1]): ReadAccount(
            decode_account(row[2]), bytes(row[3]), optional_instant(row[4]), row[5]
        )
        for row in cursor
    }


def read_entries(
    connection: sa.Connection,
    key: MemberKey,
    *,
    below: int | None = None,
    sequence: int | None = None,
    kinds: Sequence[str] = (),
    purchase_id: str = "",
    limit: int,
) -> list[JournalEntry]:
    """A member's entries, newest first, that match every filter given."""
    conditions = ["e.program_id = %(program_id)s", "e.member_id = %(member_id)s"]
    if below is not None:
        conditions.append("e.sequence < %(below)s")
    if sequence is not None:
        conditions.append("e.sequence = %(sequence)s")
    if kinds:
        conditions.append("e.kind = ANY(%(kinds)s)")
    if purchase_id:
        conditions.append("e.purchase_id = %(purchase_id)s")
    rows = connection.exec_driver_sql(
        f"SELECT {ENTRY_COLUMNS}, coalesce(b.hash, decode(repeat('00', 32), 'hex'))"
        " FROM entries e LEFT JOIN entries b ON b.program_id = e.program_id"
        " AND b.member_id = e.member_id AND b.sequence = e.sequence - 1"
        f" WHERE {' AND '.join(conditions)} ORDER BY e.sequence DESC LIMIT %(limit)s",
        {
            "program_id": key[0],
            "member_id": key[1],
            "below": below,
            "sequence": sequence,
            "kinds": list(kinds),
            "purchase_id": purchase_id,
            "limit": limit,
        },
    )
    return [JournalEntry(entry_of(row), bytes(row[-1])) for row in rows]


def read_journal(
    connection: sa.Connection,
    key: MemberKey,
    until: int | None = None,
    read: Callable[[Sequence[Any]], Sealed] = entry_of,
) -> list[Sealed]:
    """A member's whole journal in order, or what had been recorded by an instant (µs)."""
    rows = connection.exec_driver_sql(
        f"SELECT {ENTRY_COLUMNS} FROM entries e WHERE e.program_id = %s AND e.member_id = %s"
        " AND (%s::timestamptz IS NULL OR e.create_time <= %s) ORDER BY e.sequence",
        (*key, *(2 * [None if until is None else to_datetime(until)])),
    )
    return [read(row) for row in rows]


def read_member(database: sa.Engine, key: MemberKey) -> tuple[StoredAccount | None, list[Sealed]]:
    """A member's account row and whole journal, in one snapshot."""
    with database.execution_options(isolation_level="REPEATABLE READ").connect() as connection:
        rows = connection.exec_driver_sql(
            f"SELECT {ACCOUNT_COLUMNS} FROM accounts a WHERE program_id = %s AND member_id = %s",
            key,
        ).all()
        journal = read_journal(connection, key, read=sealed_of)
        connection.rollback()
    return (stored_account(rows[0]) if rows else None), journal


def stored_account(row: Sequence[Any]) -> StoredAccount:
    """The account of a row read as ACCOUNT_COLUMNS."""
    version, available, held, tier_id, status, due_at, state, head_hash = row
    return StoredAccount(
        version, available, held, tier_id, status, optional_instant(due_at), state, bytes(head_hash)
    )


def read_purchase(
    connection: sa.Connection, program_id: str, purchase_id: str
) -> tuple[str, int] | None:
    """Member and sequence that a receipt is credited to."""
    row = connection.exec_driver_sql(
        "SELECT member_id, sequence FROM purchases WHERE program_id = %s AND purchase_id = %s",
        (program_id, purchase_id),
    ).first()
    return None if row is None else (row[0], row[1])


def read_budgets(connection: sa.Connection, program_id: str) -> dict[str, int]:
    """Points that a program's promotions with a budget have given so far, by promotion."""
    rows = connection.exec_driver_sql(
        "SELECT promotion_id, spent FROM promotion_budgets WHERE program_id = %s", (program_id,)
    )
    return {row[0]: row[1] for row in rows}


def read_stock(connection: sa.Connection, program_id: str) -> dict[str, int]:
    """Units of a program's rewards that have been taken so far, by reward."""
    rows = connection.exec_driver_sql(
        "SELECT reward_id, taken FROM rewards_stock WHERE program_id = %s", (program_id,)
    )
    return {row[0]: row[1] for row in rows}


def read_due(connection: sa.Connection, program_id: str, until: int, limit: int) -> list[str]:
    """Members of a program for whom something falls due by an instant (µs), soonest first."""
    rows = connection.exec_driver_sql(
        "SELECT member_id FROM accounts WHERE program_id = %s AND due_at <= %s"
        " ORDER BY due_at LIMIT %s",
        (program_id, to_datetime(until), limit),
    )
    return [row[0] for row in rows]


def read_due_programs(connection: sa.Connection, now: int) -> list[tuple[str, int]]:
    """Programs in real time in which something fell due by `now` (µs), and since when it is."""
    rows = connection.exec_driver_sql(
        "SELECT program_id, due_at FROM (SELECT p.program_id, (SELECT min(a.due_at) FROM accounts a"
        " WHERE a.program_id = p.program_id AND a.due_at IS NOT NULL) AS due_at FROM programs p"
        " WHERE NOT p.sandbox) AS soonest WHERE due_at <= %s ORDER BY due_at",
        (to_datetime(now),),
    )
    return [(row[0], to_instant(row[1])) for row in rows]


def read_outdated(connection: sa.Connection, published_by: int) -> list[tuple[str, int]]:
    """Programs in real time with rules, published by an instant (µs), that due_at of their accounts
    does not take into account yet; with the latest version of these."""
    rows = connection.exec_driver_sql(
        "SELECT p.program_id, max(r.version) FROM programs p JOIN rules_versions r"
        " ON r.program_id = p.program_id AND r.version > p.due_version AND r.create_time <= %s"
        " WHERE NOT p.sandbox GROUP BY p.program_id",
        (to_datetime(published_by),),
    )
    return [(row[0], row[1]) for row in rows]


def read_due_version(connection: sa.Connection, program_id: str) -> int:
    """The latest rules version that due_at of a program's accounts takes into account."""
    query = "SELECT due_version FROM programs WHERE program_id = %s"
    return int(connection.exec_driver_sql(query, (program_id,)).scalar_one())


def save_due_version(connection: sa.Connection, program_id: str, version: int) -> None:
    """Note that due_at of all accounts of a program takes a rules version into account."""
    connection.exec_driver_sql(
        "UPDATE programs SET due_version = %s WHERE program_id = %s AND due_version < %s",
        (version, program_id, version),
    )


def read_members(connection: sa.Connection, program_id: str, after: str, limit: int) -> list[str]:
    """Members of a program in the order of their ids, beginning behind `after`."""
    rows = connection.exec_driver_sql(
        "SELECT member_id FROM accounts WHERE program_id = %s AND member_id > %s"
        " ORDER BY member_id LIMIT %s",
        (program_id, after, limit),
    )
    return [row[0] for row in rows]


def lock_scheduler(database: sa.Engine) -> sa.Connection | None:
    """A connection that holds the right to post what is due, to be closed; None: another has it.

    The lock ends with its transaction, also when the connection is lost.
    """
    connection = database.execution_options(isolation_level="READ COMMITTED").connect()
    try:
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        query = f"SELECT pg_try_advisory_xact_lock({_SCHEDULER_LOCK})"
        if connection.exec_driver_sql(query).scalar_one():
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def read_totals(connection: sa.Connection, program_id: str) -> Totals:
    """Points per ledger account and number of entries; the points of all accounts sum to zero."""
    rows: Sequence[Any] = connection.exec_driver_sql(
        "SELECT account, sum(points)::bigint, NULL::bigint, NULL::timestamptz FROM trial_balance"
        " WHERE program_id = %s GROUP BY account UNION ALL"
        " SELECT NULL, NULL, count(*), statement_timestamp() FROM entries WHERE program_id = %s",
        (program_id, program_id),
    ).all()
    points = {row[0]: row[1] for row in rows if row[0] is not None}
    counted = next(row for row in rows if row[0] is None)
    return Totals(dict(sorted(points.items())), counted[2], to_instant(counted[3]))


def read_subject(
    connection: sa.Connection, key: MemberKey, sequence: int
) -> tuple[Entry, Entry | None] | None:
    """A member's entry, and the latest of those that are about it; None: there is no such entry."""
    rows = connection.exec_driver_sql(
        f"SELECT * FROM (SELECT {ENTRY_COLUMNS} FROM entries e WHERE e.program_id = %(program_id)s"
        " AND e.member_id = %(member_id)s AND e.sequence = %(sequence)s) AS subject UNION ALL"
        f" SELECT * FROM (SELECT {ENTRY_COLUMNS} FROM entries e"
        " WHERE e.program_id = %(program_id)s AND e.member_id = %(member_id)s"
        " AND e.subject_sequence = %(sequence)s ORDER BY e.sequence DESC LIMIT 1) AS latest",
        {"program_id": key[0], "member_id": key[1], "sequence": sequence},
    )
    found = sorted((entry_of(row).entry for row in rows), key=lambda entry: entry.sequence)
    if not found or found[0].sequence != sequence:
        return None
    return found[0], found[1] if len(found) > 1 else None
