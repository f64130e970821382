"""Fills a ledger with the journals of very many members, by COPY, in several processes.

The histories are drawn as the load is (`benchmarks.shop`) and decided by the ledger's own core: a
few hundred of them, which the members then share, each with ids and a hash chain of its own. So
they verify like any others. Only fingerprints are those of the history that was shared: nobody
sends these requests again.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import psycopg2

from benchmarks.shop import Purchase, Shop
from ledger.core.chain import GENESIS, entry_hash
from ledger.core.commands import Command, EnrollMember, RecordPurchase
from ledger.core.decide import decide
from ledger.core.instants import SECOND
from ledger.core.model import Account, Entry, PurchaseLine, encode
from ledger.core.posting import Context
from ledger.core.program import Program
from ledger.store.database import open_database
from ledger.store.programs import load_program
from ledger.store.rows import COPY_COLUMNS, COPY_NULL, copy_text, sql_instant

_HISTORIES: Final = 300
_CHUNK_MEMBERS: Final = 1_000
_ACCOUNT_COLUMNS: Final = (
    "program_id, member_id, version, available, held, tier_id, status, due_at, state, head_hash"
)
_PURCHASE_COLUMNS: Final = "program_id, purchase_id, member_id, sequence"


@dataclass(frozen=True)
class History:
    """A member's journal, to be written with other ids."""

    entries: list[Entry]
    account: Account
    #: the account as JSON; nothing in it depends on who the member is
    state: str
    #: when time next does something to it (µs)
    due_time: int | None


@dataclass(frozen=True)
class Part:
    """What one process is to write."""

    url: str
    program_id: str
    shop: Shop
    #: purchases of a member, on average
    purchases: int
    #: whether every member has just so many
    exactly: bool
    first: int
    last: int


def fill(url: str, program_id: str, shop: Shop, purchases: int, *, exactly: bool = False) -> None:
    """Write the journals of all members of a shop, who must be new: enrolment, and `purchases`
    each, on average unless exactly. The whole is as durable as anything else when this returns."""
    processes = min(os.cpu_count() or 1, -(-shop.members // _CHUNK_MEMBERS))
    share = -(-shop.members // processes)
    parts = [
        Part(
            *(url, program_id, shop, purchases, exactly),
            first=number * share + 1,
            last=min(shop.members, (number + 1) * share),
        )
        for number in range(processes)
    ]
    if processes == 1:
        _write(parts[0])
    else:
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            pool.map(_write, parts)
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            # A ledger that has grown by and by was vacuumed long ago; one that was just written
            # would be in the middle of that.
            cursor.execute("VACUUM (ANALYZE) entries, purchases, accounts")
            cursor.execute("CHECKPOINT")
    finally:
        connection.close()


def _write(part: Part) -> None:
    database = open_database(part.url, pool_size=1, application_name="ledger-benchmark")
    try:
        with database.connect() as reading:
            program = load_program(reading, part.program_id)
    finally:
        database.dispose()
    now = time.time_ns() // 1_000
    histories = list(_histories(part, program, now))
    draw = random.Random(f"{part.shop.seed} histories of {part.first}")
    connection = psycopg2.connect(part.url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")  # the checkpoint makes it durable
        for at in range(part.first, part.last + 1, _CHUNK_MEMBERS):
            tables = {
                "entries": io.StringIO(),
                "purchases": io.StringIO(),
                "accounts": io.StringIO(),
            }
            for number in range(at, min(at + _CHUNK_MEMBERS, part.last + 1)):
                member_id = f"{part.shop.prefix}-{number:06d}"
                _copy(draw.choice(histories), part.program_id, member_id, tables)
            _send(connection, tables)
    finally:
        connection.close()


def _histories(part: Part, program: Program, now: int) -> Iterator[History]:
    draw = random.Random(f"{part.shop.seed} lengths")
    alone = Shop(part.shop.seed, 1, part.shop.time_zone, part.shop.today)
    context = Context(program=program, now=now, actor="benchmark")
    for number in range(1 if part.exactly else _HISTORIES):
        count = part.purchases
        if not part.exactly:  # most members come rarely, as under Zipf
            count = min(round(draw.expovariate(1 / part.purchases)), 10 * part.purchases)
        receipts = sorted(
            alone.purchases(f"history-{number}", count), key=lambda each: each.effective_time
        )
        commands: list[Command] = [
            EnrollMember(program_id=part.program_id, member_id="m", request_id="enroll")
        ]
        commands += [_command(part.program_id, each) for each in receipts]
        account: Account | None = None
        entries: list[Entry] = []
        due_time = None
        for command in commands:
            posting = decide(account, command, context)
            account, due_time = posting.account, posting.due_time
            entries += posting.entries
        assert account is not None
        yield History(entries, account, encode(account).decode(), due_time)


def _command(program_id: str, purchase: Purchase) -> Command:
    return RecordPurchase(
        program_id=program_id,
        member_id="m",
        request_id=purchase.purchase_id,
        purchase_id=purchase.purchase_id,
        amount=purchase.amount,
        lines=tuple(
            PurchaseLine(line.sku, line.category, line.quantity, line.amount)
            for line in purchase.lines
        ),
        effective_time=purchase.effective_time * SECOND,
        location_id=purchase.location_id,
        terminal_id=purchase.terminal_id,
    )


def _copy(
    history: History, program_id: str, member_id: str, tables: dict[str, io.StringIO]
) -> None:
    """Add the rows of one member, with a history's entries, which are changed on the way."""
    digest = GENESIS
    sealed = []
    for entry in history.entries:
        entry.member_id = member_id
        if entry.purchase_id:
            entry.purchase_id = entry.request_id = f"{member_id}-{entry.sequence}"
            row = (program_id, entry.purchase_id, member_id, str(entry.sequence))
            tables["purchases"].write("\t".join(row) + "\n")
        digest = entry_hash(digest, entry)
        sealed.append((entry, digest))
    tables["entries"].write(copy_text(sealed))
    account = history.account
    due = COPY_NULL if history.due_time is None else sql_instant(history.due_time)
    tables["accounts"].write(
        f"{program_id}\t{member_id}\t{account.version}\t{account.available}\t{account.held}\t"
        f"{account.tier_id}\t{account.status}\t{due}\t"
        + history.state.replace("\\", "\\\\")
        + f"\t\\\\x{digest.hex()}\n"
    )


def _send(connection: psycopg2.extensions.connection, tables: dict[str, io.StringIO]) -> None:
    columns = {
        "entries": COPY_COLUMNS,
        "purchases": _PURCHASE_COLUMNS,
        "accounts": _ACCOUNT_COLUMNS,
    }
    with connection.cursor() as cursor:
        for table, text in tables.items():
            text.seek(0)
            cursor.copy_expert(
                f"COPY {table} ({columns[table]}) FROM STDIN (NULL '{COPY_NULL}')", text
            )
    connection.commit()
