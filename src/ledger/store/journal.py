"""The write path's statements: one per table and batch, on one psycopg2 cursor. No business rules.

They are called in this order inside one transaction: `begin`, `lock_clocks`, `find_subjects`,
`lock_totals`, `find_entries`, `append`, `commit`; those between `begin` and `append` when needed.
Few messages: each costs a wake-up on both sides, which is more than most statements do. The
cursor's connection is in autocommit mode, so that BEGIN and COMMIT are statements whose answers can
be checked. `prepare` readies a new connection: planning the same statements again for every batch
would cost more than running them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

from psycopg2.extensions import cursor as Cursor

from ledger.core.errors import FailedPrecondition, recall
from ledger.core.model import Account, Entry, PurchaseRef, decode_account, encode
from ledger.core.posting import Subject, Warning
from ledger.core.verify import Sealed
from ledger.store.arrays import array, columns, marks
from ledger.store.rows import (
    COPY_COLUMNS,
    COPY_NULL,
    copy_text,
    entry_of,
    optional_instant,
    sql_instant,
)
from ledger.store.statements import PREPARE

#: (program_id, member_id)
MemberKey = tuple[str, str]
#: (program_id, member_id, request_id)
RequestKey = tuple[str, str, str]
#: (program_id, purchase_id)
PurchaseKey = tuple[str, str]
#: (program_id, member_id, sequence)
EntryKey = tuple[str, str, int]
#: (program_id, promotion_id or reward_id)
TotalKey = tuple[str, str]
#: what runs on over all members: points given by promotions with a budget, units taken of rewards
#: with a stock
Tally = Literal["budgets", "stock"]

#: bytes handed to the driver at a time; each time it lets go of the interpreter's lock
_COPY_CHUNK = 1 << 18


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
    #: when time next changes it (µs); None: never
    due_time: int | None


class NewRefusal(NamedTuple):
    """A refusal to remember."""

    key: RequestKey
    fingerprint: str
    refusal: FailedPrecondition
    actor: str
    create_time: int


class Changes(NamedTuple):
    """What an appended batch changes besides the journal."""

    accounts: Iterable[SavedAccount] = ()
    #: receipts that were credited: (program_id, purchase_id, member_id, sequence)
    purchases: Sequence[tuple[str, str, str, int]] = ()
    refusals: Sequence[NewRefusal] = ()
    #: (program_id, promotion_id, points given by now)
    budgets: Sequence[tuple[str, str, int]] = ()
    #: (program_id, reward_id, units taken by now)
    stock: Sequence[tuple[str, str, int]] = ()
    #: (program_id, member_id, what of, when it was recorded in µs)
    warnings: Sequence[tuple[str, str, Warning, int]] = ()
    #: (program_id, member_id, µs) of accounts that did not change, but of which it may be noted
    #: wrongly when time changes them
    due: Sequence[tuple[str, str, int | None]] = ()


class Loaded(NamedTuple):
    """What the database has of the members, requests and receipts that a batch names."""

    accounts: dict[MemberKey, LockedAccount]
    #: sequence of the first entry and number of entries after it
    posted: dict[RequestKey, tuple[int, int]]
    refused: dict[RequestKey, StoredRefusal]
    purchases: dict[PurchaseKey, PurchaseRef]


def prepare(cursor: Cursor) -> None:
    """Ready a new connection for batches."""
    cursor.execute(PREPARE)


def begin(
    cursor: Cursor,
    members: Collection[MemberKey],
    requests: Collection[RequestKey],
    purchases: Collection[PurchaseKey],
) -> Loaded:
    """Begin a transaction, lock the accounts that exist in key order, then look everything up.

    `lock_accounts` is the one statement that locks; a distributed database would want `UPDATE …
    RETURNING` there. What is looked up is so in a statement of its own, after the locks: a lock
    wait does not refresh the snapshot of the statement that waited. Both travel in one message.
    """
    keys = columns(members, 2)
    cursor.execute(
        f"BEGIN; EXECUTE lock_accounts ({marks(2)}); EXECUTE load ({marks(7)})",
        (*keys, *keys, *columns(requests, 3), *columns(purchases, 2)),
    )
    loaded = Loaded({}, {}, {}, {})
    for kind, program_id, member_id, name, sequence, more, digest, text, metadata in cursor:
        if kind == "account":
            locked = LockedAccount(decode_account(text), bytes.fromhex(digest))
            loaded.accounts[program_id, member_id] = locked
        elif kind == "posted":
            loaded.posted[program_id, member_id, name] = (sequence, more)
        elif kind == "refused":
            refusal = recall(text, json.loads(metadata))
            loaded.refused[program_id, member_id, name] = StoredRefusal(digest, refusal)
        else:
            loaded.purchases[program_id, name] = PurchaseRef(member_id, sequence)
    return loaded


def find_held(cursor: Cursor, keys: Collection[MemberKey]) -> set[MemberKey]:
    """Those of the accounts whose row another transaction holds at this moment. Waits for none.

    A transaction of its own: what it locks itself, it lets go at once.
    """
    cursor.execute("EXECUTE find_held (%s, %s)", columns(keys, 2))
    return {(row[0], row[1]) for row in cursor.fetchall()}


def lock_clocks(cursor: Cursor, program_ids: Collection[str]) -> dict[str, tuple[int | None, int]]:
    """Clock (µs) and latest rules version of sandboxes, kept from changing until the commit."""
    cursor.execute("EXECUTE lock_clocks (%s)", [array(program_ids)])
    return {row[0]: (optional_instant(row[1]), row[2]) for row in cursor.fetchall()}


def lock_totals(cursor: Cursor, tally: Tally, keys: Collection[TotalKey]) -> dict[TotalKey, int]:
    """Totals of a tally, kept from changing until the commit; what is not there yet begins at 0."""
    ordered = columns(sorted(keys), 2)
    lock = f"EXECUTE lock_{tally} (%s, %s)"
    cursor.execute(lock, ordered)
    if cursor.rowcount < len(keys):
        cursor.execute(f"EXECUTE open_{tally} (%s, %s); {lock}", (*ordered, *ordered))
    return {(row[0], row[1]): row[2] for row in cursor.fetchall()}


def find_subjects(cursor: Cursor, keys: Collection[EntryKey]) -> dict[EntryKey, Subject]:
    """The entries that exist of those named, each with the latest entry that is about it."""
    found: dict[EntryKey, Subject] = {}
    cursor.execute("EXECUTE find_subjects (%s, %s, %s)", columns(keys, 3))
    for sequence, *row in cursor:
        entry = entry_of(row).entry
        key = (entry.program_id, entry.member_id, sequence)
        known = found.get(key)
        found[key] = Subject(entry, None) if known is None else Subject(known.entry, entry)
    return found


def find_entries(
    cursor: Cursor, ranges: Collection[tuple[str, str, int, int]]
) -> dict[MemberKey, dict[int, Sealed]]:
    """Entries of (program, member, first, last sequence) ranges, by member and sequence."""
    found: dict[MemberKey, dict[int, Sealed]] = {}
    if ranges:
        cursor.execute("EXECUTE find_entries (%s, %s, %s, %s)", columns(ranges, 4))
        for row in cursor:
            sealed = entry_of(row)
            found.setdefault((row[0], row[1]), {})[sealed.entry.sequence] = sealed
    return found


def append(cursor: Cursor, entries: Sequence[tuple[Entry, bytes]]) -> None:
    """Insert entries with their hashes."""
    if not entries:
        return
    cursor.copy_expert(
        f"COPY entries ({COPY_COLUMNS}) FROM STDIN (NULL '{COPY_NULL}')",
        io.BytesIO(copy_text(entries).encode()),
        size=_COPY_CHUNK,
    )
    if cursor.rowcount != len(entries):
        raise BatchConflict(f"{cursor.rowcount} entries were written, {len(entries)} were meant")


def commit(cursor: Cursor, changes: Changes) -> None:
    """Save what an appended batch changes, and COMMIT; believe only an answer that says so.

    All of it travels in one message: a statement that fails keeps the COMMIT from being run. An old
    account is changed only if it still has the version that was read.

    A COMMIT that waits for a synchronous replica must not be cancelled: it would report success for
    what is not replicated. That of a failed transaction answers ROLLBACK without an error.
    """
    rows: dict[str, list[tuple[object, ...]]] = {
        "update_accounts": [],
        "insert_accounts": [],
        "insert_purchases": [*changes.purchases],
        "insert_refusals": [_refusal_row(refusal) for refusal in changes.refusals],
        "update_budgets": [*changes.budgets],
        "update_stock": [*changes.stock],
        "insert_warnings": [_warning_row(*new) for new in changes.warnings],
        "update_due": [(*key, _due(instant)) for *key, instant in changes.due],
    }
    for saved in changes.accounts:
        row = _account_row(saved)
        if saved.old_version:
            rows["update_accounts"].append((*row, saved.old_version))
        else:
            rows["insert_accounts"].append(row)
    message, values = [], []
    for statement, meant in rows.items():
        if meant:
            message.append(f"EXECUTE {statement} ({marks(len(meant[0]))})")
            values += columns(meant, len(meant[0]))
    cursor.execute("; ".join([*message, "SET LOCAL statement_timeout = 0; COMMIT"]), values)
    if cursor.statusmessage != "COMMIT":
        raise BatchConflict(f"COMMIT was answered with {cursor.statusmessage}")


def _account_row(saved: SavedAccount) -> tuple[object, ...]:
    account = saved.account
    return (
        *saved.key,
        account.version,
        account.available,
        account.held,
        account.tier_id,
        account.status,
        _due(saved.due_time),
        encode(account).decode(),
        saved.head_hash.hex(),
    )


def _due(instant: int | None) -> str | None:
    return None if instant is None else sql_instant(instant)


def _refusal_row(new: NewRefusal) -> tuple[object, ...]:
    return (
        *new.key,
        new.fingerprint,
        new.refusal.reason,
        json.dumps(new.refusal.metadata, ensure_ascii=False),
        new.actor,
        sql_instant(new.create_time),
    )


def _warning_row(
    program_id: str, member_id: str, warning: Warning, create_time: int
) -> tuple[object, ...]:
    return (
        program_id,
        member_id,
        sql_instant(warning.expire_time),
        warning.days,
        warning.points,
        "t" if warning.inactivity else "f",
        sql_instant(create_time),
    )
