"""Re-check everything that is stored, in parallel, in one snapshot, while the service runs.

Members are walked in key order in chunks; each chunk is folded again from its entries by
core.verify and compared with the accounts, and its purchases with the receipts credited. What must
hold over all members together is checked at the end (`totals`).
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import sqlalchemy as sa

from ledger.core.errors import LedgerError
from ledger.core.program import Program
from ledger.core.verify import Sealed, StoredAccount, verify_member
from ledger.store.database import open_database
from ledger.store.journal import MemberKey
from ledger.store.programs import load_program
from ledger.store.queries import ACCOUNT_COLUMNS, stored_account
from ledger.store.rows import ENTRY_COLUMNS, sealed_of
from ledger.store.totals import Finding, Sums, check_totals
from ledger.store.walk import HIGHEST, LOWEST

_CHUNK_MEMBERS = 1_000
_FETCH_ROWS = 5_000


@dataclass
class Report:
    """What a verification covered and found; `findings` is empty when everything holds."""

    members: int = 0
    entries: int = 0
    findings: list[Finding] = field(default_factory=list)
    #: points per program and ledger account
    totals: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: float = 0.0


class Range(NamedTuple):
    """Members by key, from `low` on and below `high`; of one program only, if it is named."""

    low: MemberKey = LOWEST
    high: MemberKey = HIGHEST
    program_id: str | None = None


class _Task(NamedTuple):
    url: str
    snapshot: str
    members: Range


class Part(NamedTuple):
    """What a range of members adds to the report."""

    members: int
    entries: int
    findings: list[Finding]
    sums: Sums


def verify(
    url: str,
    *,
    program_id: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Verify all programs, or one, with `workers` processes (default: one per core).

    `progress` is called with the members done and the members in all. Raises PROGRAM_NOT_FOUND.
    """
    began = time.monotonic()
    report = Report()
    sums = Sums()
    database = open_database(url, pool_size=1, application_name="ledger-verify")
    try:
        with _snapshot(database) as (connection, snapshot):
            if program_id is not None:
                load_program(connection, program_id)
            total = _count(connection, program_id)
            tasks = list(_tasks(connection, url, snapshot, program_id))
            for part in _run(tasks, workers or os.cpu_count() or 1):
                report.members += part.members
                report.entries += part.entries
                report.findings.extend(part.findings)
                sums.add(part.sums)
                if progress is not None:
                    progress(report.members, max(total, report.members))
            report.findings.extend(check_totals(connection, program_id, sums))
    finally:
        database.dispose()
    report.findings.sort()
    for (program, account), points in sorted(sums.moved.items()):
        report.totals.setdefault(program, {})[account] = points
    report.seconds = time.monotonic() - began
    return report


@contextmanager
def _snapshot(database: sa.Engine, of: str | None = None) -> Iterator[tuple[sa.Connection, str]]:
    """A read-only connection that sees one snapshot: its own, or another session's."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with database.execution_options(**options).connect() as connection:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        if of is not None:
            connection.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{of}'")
        name = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        yield connection, str(name)
        connection.rollback()


def _count(connection: sa.Connection, program_id: str | None) -> int:
    return int(
        connection.exec_driver_sql(
            "SELECT count(*) FROM accounts WHERE %s::text IS NULL OR program_id = %s",
            (program_id, program_id),
        ).scalar_one()
    )


def _tasks(
    connection: sa.Connection, url: str, snapshot: str, program_id: str | None
) -> Iterator[_Task]:
    """Key ranges of about _CHUNK_MEMBERS members; together they cover every key there is."""
    rows = connection.exec_driver_sql(
        "SELECT program_id, member_id FROM (SELECT program_id, member_id, row_number() OVER"
        " (ORDER BY program_id, member_id) AS place FROM accounts"
        " WHERE %s::text IS NULL OR program_id = %s) AS numbered"
        f" WHERE place %% {_CHUNK_MEMBERS} = 0 ORDER BY program_id, member_id",
        (program_id, program_id),
    )
    bounds = [LOWEST, *((row[0], row[1]) for row in rows), HIGHEST]
    for low, high in pairwise(bounds):
        yield _Task(url, snapshot, Range(low, high, program_id))


def next_range(connection: sa.Connection, low: MemberKey, entries: int) -> Range:
    """The members from a key on who have about so many entries together; one member at least."""
    rows = connection.exec_driver_sql(
        "SELECT program_id, member_id, version FROM accounts"
        " WHERE (program_id, member_id) >= (%s, %s)"
        " ORDER BY program_id, member_id LIMIT %s",
        (*low, entries + 2),
    )
    found = 0
    for place, (program_id, member_id, version) in enumerate(rows):
        if place and found >= entries:
            return Range(low, (program_id, member_id))
        found += max(1, version)
    return Range(low, HIGHEST)


def _run(tasks: Sequence[_Task], workers: int) -> Iterator[Part]:
    if workers == 1 or len(tasks) == 1:
        yield from map(_verify_chunk, tasks)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(workers, len(tasks))) as pool:
        yield from pool.imap_unordered(_verify_chunk, tasks)


_databases: dict[str, sa.Engine] = {}


def _verify_chunk(task: _Task) -> Part:
    """Verify the members of one key range; runs in a worker process, whose database it keeps."""
    database = _databases.get(task.url)
    if database is None:
        database = open_database(task.url, pool_size=1, application_name="ledger-verify")
        _databases[task.url] = database
    with _snapshot(database, task.snapshot) as (connection, _):
        return verify_range(connection, task.members)


def verify_range(connection: sa.Connection, members: Range) -> Part:
    """Everything about some members that does not hold, but for what needs all of them.

    The connection must see one snapshot (REPEATABLE READ).
    """
    part = Part(0, 0, [], Sums())
    accounts = _read_accounts(connection, members)
    journals = groupby(_read_entries(connection, members), _key_of)
    receipts = _read_receipts(connection, members)
    programs = {
        program_id: _read_program(connection, program_id)
        for program_id in {program_id for program_id, _ in accounts}
    }
    part.findings.extend(
        Finding("rules", program_id, "", 0, "its rules can not be read")
        for program_id, program in programs.items()
        if program is None
    )
    count, entries = _verify_journals(journals, accounts, receipts, programs, part)
    for key, stored in accounts.items():
        if stored.version:
            detail = f"stands at version {stored.version}, but has no entries"
            part.findings.append(Finding("account", *key, 0, detail))
    return part._replace(members=count + len(accounts), entries=entries)


def _verify_journals(
    journals: Iterable[tuple[MemberKey, Iterator[Sealed]]],
    accounts: dict[MemberKey, StoredAccount],
    receipts: set[tuple[str, str, str, int]],
    programs: dict[str, Program | None],
    part: Part,
) -> tuple[int, int]:
    """Fold each journal; answers how many, and how many entries they had.

    Takes out of `accounts` whose journal there is.
    """
    members = entry_count = 0
    for key, journal in journals:
        members += 1
        entries = list(journal)
        for sealed in entries:
            entry = sealed.entry
            part.sums.add_entry(entry)
            if entry.kind == "PURCHASE":
                receipt = (*key, entry.purchase_id, entry.sequence)
                if receipt not in receipts:
                    detail = f"purchase {entry.purchase_id} is not in the list of receipts"
                    part.findings.append(Finding("purchases", *key, entry.sequence, detail))
        stored = accounts.pop(key, None)
        verified = verify_member(entries, stored, programs.get(key[0]))
        part.sums.add_account(key[0], stored, verified.account)
        part.findings.extend(
            Finding(found.check, *key, found.sequence, found.detail) for found in verified.findings
        )
        entry_count += verified.entries
    return members, entry_count


def _read_program(connection: sa.Connection, program_id: str) -> Program | None:
    """A program with all its rules; None where they can not be read."""
    try:
        program = load_program(connection, program_id)
    except (LedgerError, ValueError):
        return None
    numbers = [version.version for version in program.versions]
    return program if numbers == list(range(1, len(numbers) + 1)) else None


def _read_accounts(connection: sa.Connection, members: Range) -> dict[MemberKey, StoredAccount]:
    rows = connection.exec_driver_sql(
        f"SELECT {ACCOUNT_COLUMNS}, a.program_id, a.member_id FROM accounts a WHERE {_range('a')}",
        _bounds(members),
    )
    return {(row[8], row[9]): stored_account(row[:8]) for row in rows}


def _read_entries(connection: sa.Connection, members: Range) -> Iterator[Sealed]:
    """Entries of the range's members, read through the driver's own cursor: SQLAlchemy's rows would
    take longer to make than to check."""
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor(name="entries") as cursor:
        cursor.itersize = _FETCH_ROWS
        cursor.execute(
            f"SELECT {ENTRY_COLUMNS} FROM entries e WHERE {_range('e')}"
            " ORDER BY e.program_id, e.member_id, e.sequence",
            _bounds(members),
        )
        yield from map(sealed_of, cursor)


def _read_receipts(connection: sa.Connection, members: Range) -> set[tuple[str, str, str, int]]:
    """What the range's purchases are credited to: (program, member, purchase, sequence)."""
    rows = connection.exec_driver_sql(
        "SELECT p.program_id, p.member_id, p.purchase_id, p.sequence FROM entries e"
        " JOIN purchases p ON p.program_id = e.program_id AND p.purchase_id = e.purchase_id"
        f" WHERE {_range('e')} AND e.kind = 'PURCHASE'",
        _bounds(members),
    )
    return {tuple(row) for row in rows}


def _range(alias: str) -> str:
    return (
        f"({alias}.program_id, {alias}.member_id) >= (%s, %s)"
        f" AND ({alias}.program_id, {alias}.member_id) < (%s, %s)"
        f" AND (%s::text IS NULL OR {alias}.program_id = %s)"
    )


def _bounds(members: Range) -> tuple[Any, ...]:
    return (*members.low, *members.high, members.program_id, members.program_id)


def _key_of(sealed: Sealed) -> MemberKey:
    return sealed.entry.program_id, sealed.entry.member_id
