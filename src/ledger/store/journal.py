"""The write path's statements: one per table and batch, on one psycopg2 cursor. No business rules.

They are called in this order inside one transaction: `begin_locked`, `find_known`, `find_entries`,
then `append` and its companions, then `commit`. The cursor's connection is in autocommit mode, so
that BEGIN and COMMIT are statements whose answers can be checked.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from psycopg2.extensions import cursor as Cursor

from ledger.core.errors import FailedPrecondition, recall
from ledger.core.model import Account, Entry, PurchaseRef, decode_account, encode
from ledger.core.verify import Sealed
from ledger.store.rows import (
    COPY_COLUMNS,
    COPY_NULL,
    ENTRY_COLUMNS,
    copy_text,
    entry_of,
    optional_instant,
    sql_instant,
)

#: (program_id, member_id)
MemberKey = tuple[str, str]
#: (program_id, member_id, request_id)
RequestKey = tuple[str, str, str]
#: (program_id, purchase_id)
PurchaseKey = tuple[str, str]


class BatchConflict(Exception):
    """What was read is not what was there when writing: run the batch again."""


class LockedAccount(NamedTuple):
    """An account whose row this transaction holds, and the hash its next entry continues."""

    account: Account
    head_hash: bytes


class StoredRefusal(NamedTuple):
    """A business "no" that was answered under a request id."""

    fingerprint: str
    refusal: FailedPrecondition


class SavedAccount(NamedTuple):
    """What an account becomes; `old_version` 0 means it is new."""

    key: MemberKey
    old_version: int
    account: Account
    head_hash: bytes


class NewRefusal(NamedTuple):
    """A refusal to remember."""

    key: RequestKey
    fingerprint: str
    refusal: FailedPrecondition
    actor: str
    create_time: int


class Known(NamedTuple):
    """What the database already has of the requests and receipts a batch names."""

    #: sequence of the first entry and number of entries after it
    posted: dict[RequestKey, tuple[int, int]]
    refused: dict[RequestKey, StoredRefusal]
    purchases: dict[PurchaseKey, PurchaseRef]


def begin_locked(
    cursor: Cursor, keys: Collection[MemberKey]
) -> dict[MemberKey, LockedAccount]:
    """Begin a transaction and lock the accounts that exist, in key order.

    This is the one place that locks; a distributed database would want `UPDATE … RETURNING` here.
    """
    program_ids, member_ids = _columns(keys, 2)
    cursor.execute(
        "BEGIN; SELECT a.program_id, a.member_id, a.state, a.head_hash FROM accounts a"
        " JOIN unnest(%s::text[], %s::text[]) AS k (program_id, member_id)"
        " USING (program_id, member_id) ORDER BY a.program_id, a.member_id FOR UPDATE OF a",
        (program_ids, member_ids),
    )
    return {
        (row[0], row[1]): LockedAccount(decode_account(row[2]), bytes(row[3]))
        for row in cursor.fetchall()
    }


def lock_clocks(cursor: Cursor, program_ids: Collection[str]) -> dict[str, tuple[int | None, int]]:
    """Clock (µs) and latest rules version of sandboxes, kept from changing until the commit."""
    cursor.execute(
        "SELECT p.program_id, p.clock_time,"
        " (SELECT max(r.version) FROM rules_versions r WHERE r.program_id = p.program_id)"
        " FROM programs p WHERE p.program_id = ANY(%s) ORDER BY p.program_id FOR SHARE OF p",
        (list(program_ids),),
    )
    return {row[0]: (optional_instant(row[1]), row[2]) for row in cursor.fetchall()}


def find_known(
    cursor: Cursor, requests: Collection[RequestKey], purchases: Collection[PurchaseKey]
) -> Known:
    """Earlier outcomes by request id, and where receipts are credited.

    A statement of its own, after the locks: a lock wait does not refresh the snapshot of the
    statement that waited.
    """
    request_columns = _columns(requests, 3)
    purchase_columns = _columns(purchases, 2)
    cursor.execute(
        "WITH r AS MATERIALIZED (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[])"
        " AS r (program_id, member_id, request_id))"
        " SELECT 'posted', e.program_id, e.member_id, e.request_id, e.sequence, e.consequences,"
        " NULL, NULL, NULL FROM r JOIN entries e USING (program_id, member_id, request_id)"
        " UNION ALL SELECT 'refused', f.program_id, f.member_id, f.request_id, NULL, NULL,"
        " encode(f.fingerprint, 'hex'), f.reason, f.metadata"
        " FROM r JOIN refusals f USING (program_id, member_id, request_id)"
        " UNION ALL SELECT 'purchase', p.program_id, p.member_id, p.purchase_id, p.sequence,"
        " NULL, NULL, NULL, NULL FROM unnest(%s::text[], %s::text[]) AS k (program_id, purchase_id)"
        " JOIN purchases p USING (program_id, purchase_id)",
        (*request_columns, *purchase_columns),
    )
    known = Known({}, {}, {})
    for kind, program_id, member_id, name, sequence, more, digest, reason, metadata in cursor:
        if kind == "posted":
            known.posted[program_id, member_id, name] = (sequence, more)
        elif kind == "refused":
            refusal = recall(reason, json.loads(metadata))
            known.refused[program_id, member_id, name] = StoredRefusal(digest, refusal)
        else:
            known.purchases[program_id, name] = PurchaseRef(member_id, sequence)
    return known


def find_entries(
    cursor: Cursor, ranges: Collection[tuple[str, str, int, int]]
) -> dict[MemberKey, dict[int, Sealed]]:
    """Entries of (program, member, first sequence, last sequence) ranges, by member and sequence."""
    found: dict[MemberKey, dict[int, Sealed]] = {}
    if not ranges:
        return found
    cursor.execute(
        f"SELECT {ENTRY_COLUMNS} FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[])"
        " AS k (program_id, member_id, first, last) JOIN entries e"
        " ON e.program_id = k.program_id AND e.member_id = k.member_id"
        " AND e.sequence BETWEEN k.first AND k.last",
        _columns(ranges, 4),
    )
    for row in cursor:
        stored = entry_of(row)
        found.setdefault((row[0], row[1]), {})[stored.entry.sequence] = stored
    return found


def append(cursor: Cursor, entries: Sequence[tuple[Entry, bytes]]) -> None:
    """Insert entries with their hashes."""
    if not entries:
        return
    cursor.copy_expert(
        f"COPY entries ({COPY_COLUMNS}) FROM STDIN (NULL '{COPY_NULL}')",
        io.StringIO(copy_text(entries)),
    )
    _require(cursor, len(entries))


def save_accounts(cursor: Cursor, saved: Iterable[SavedAccount]) -> None:
    """Insert new accounts and update old ones, each only if it still has the version read."""
    new: list[tuple[object, ...]] = []
    changed: list[tuple[object, ...]] = []
    for key, old_version, account, head_hash in saved:
        due = account.due_time
        row = (
            *key,
            account.version,
            account.available,
            account.held,
            account.tier_id,
            account.status,
            None if due is None else sql_instant(due),
            encode(account).decode(),
            head_hash.hex(),
            old_version,
        )
        (changed if old_version else new).append(row)
    source = (
        "unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[],"
        " %s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::bigint[]) AS n (program_id,"
        " member_id, version, available, held, tier_id, status, due_at, state, head, old_version)"
    )
    if changed:
        cursor.execute(
            "UPDATE accounts a SET version = n.version, available = n.available, held = n.held,"
            " tier_id = n.tier_id, status = n.status, due_at = n.due_at, state = n.state,"
            f" head_hash = decode(n.head, 'hex') FROM {source} WHERE a.program_id = n.program_id"
            " AND a.member_id = n.member_id AND a.version = n.old_version",
            _columns(changed, 11),
        )
        _require(cursor, len(changed))
    if new:
        cursor.execute(
            "INSERT INTO accounts (program_id, member_id, version, available, held, tier_id,"
            " status, due_at, state, head_hash) SELECT program_id, member_id, version, available,"
            f" held, tier_id, status, due_at, state, decode(head, 'hex') FROM {source}",
            _columns(new, 11),
        )
        _require(cursor, len(new))


def save_purchases(cursor: Cursor, purchases: Sequence[tuple[str, str, str, int]]) -> None:
    """Insert (program_id, purchase_id, member_id, sequence) of receipts that were credited."""
    if purchases:
        cursor.execute(
            "INSERT INTO purchases (program_id, purchase_id, member_id, sequence)"
            " SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[])",
            _columns(purchases, 4),
        )
        _require(cursor, len(purchases))


def save_refusals(cursor: Cursor, refusals: Sequence[NewRefusal]) -> None:
    """Insert refusals, so that each request id keeps its one outcome."""
    if not refusals:
        return
    rows = [
        (
            *new.key,
            new.fingerprint,
            new.refusal.reason,
            json.dumps(new.refusal.metadata, ensure_ascii=False),
            new.actor,
            sql_instant(new.create_time),
        )
        for new in refusals
    ]
    cursor.execute(
        "INSERT INTO refusals (program_id, member_id, request_id, fingerprint, reason, metadata,"
        " actor, create_time) SELECT program_id, member_id, request_id, decode(fingerprint, 'hex'),"
        " reason, metadata, actor, create_time FROM unnest(%s::text[], %s::text[], %s::text[],"
        " %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[]) AS n (program_id,"
        " member_id, request_id, fingerprint, reason, metadata, actor, create_time)",
        _columns(rows, 8),
    )
    _require(cursor, len(rows))


def commit(cursor: Cursor) -> None:
    """COMMIT, and believe only an answer that says so.

    The COMMIT of a failed transaction answers ROLLBACK without an error.
    """
    cursor.execute("COMMIT")
    if cursor.statusmessage != "COMMIT":
        raise BatchConflict(f"COMMIT was answered with {cursor.statusmessage}")


def _require(cursor: Cursor, rows: int) -> None:
    if cursor.rowcount != rows:
        raise BatchConflict(f"{cursor.rowcount} rows were written, {rows} were meant")


def _columns(rows: Collection[Sequence[object]], width: int) -> list[list[object]]:
    """Rows turned into one array per column."""
    if not rows:
        return [[] for _ in range(width)]
    return [list(column) for column in zip(*rows, strict=True)]
