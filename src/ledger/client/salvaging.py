"""Reads what can still be read of a damaged queue's file, and puts a new queue in its place.

Imports the modules of the queue and the standard library.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.client.items import message_of, write_of
from ledger.client.queue import OfflineQueue
from ledger.client.queue_file import (
    BUSY_SECONDS,
    COMPANIONS,
    QueueBusy,
    QueueDamaged,
    QueueForeign,
    QueueUnusable,
    guarded,
    of_another_program,
    open_file,
    read_fact,
    set_aside,
)
from ledger.client.turns import turn

#: what SQLite raises for what it can not read; also for a fault that it can not even spell
_UNREADABLE: Final = (sqlite3.Error, UnicodeDecodeError)

_PAGE_BYTES: Final = 4096
#: where the first page says how many pages there are, and what says of free ones
_PAGE_COUNT: Final = slice(28, 32)
_FREE_PAGES: Final = slice(32, 40)
#: how many items are looked for one by one where the file can not say which there are
_MOST_PROBES: Final = 50_000
#: … and how many that can not be read one after the other say that no other will
_MOST_FAILURES: Final = 1_000

#: each walks along another tree of the file, or along the same one from its other end
_WALKS: Final = (
    "SELECT item_id FROM items INDEXED BY sqlite_autoindex_items_1 ORDER BY member_id, request_id",
    "SELECT item_id FROM items INDEXED BY sqlite_autoindex_items_1"
    " ORDER BY member_id DESC, request_id DESC",
    "SELECT item_id FROM items INDEXED BY waiting WHERE outcome IS NULL",
    "SELECT item_id FROM items NOT INDEXED ORDER BY item_id",
    "SELECT item_id FROM items NOT INDEXED ORDER BY item_id DESC",
)
#: of the new queue's own
_OWN_FACTS: Final = {"program_id", "numbers"}


@dataclass(frozen=True, slots=True)
class Salvage:
    """What came of reading a damaged file."""

    #: taken over: what waited waits now, and what was answered is still to be seen
    recovered: int
    #: were in the queue already
    known: int
    #: can not be read any more; more where the file does not even say that they were there
    lost: int


def salvage(queue: OfflineQueue, damaged: Path) -> Salvage:
    """Take over what can still be read of a damaged queue's file, which is not changed.

    What has been recorded meanwhile is answered with its first receipt: nothing is doubled. Raises
    QueueError, of it QueueForeign for a file of another program.
    """
    recovered = known = lost = 0
    with (
        tempfile.TemporaryDirectory() as directory,
        guarded(damaged),
        closing(_readable_copy(damaged, Path(directory))) as connection,
    ):
        for row in _rows(connection):
            message = None if row is None else message_of(row)
            if row is None or message is None:
                lost += 1
                continue
            if (program_id := write_of(message).program_id) != queue.program_id:
                raise of_another_program(damaged, program_id)
            if queue.take_over(row):
                recovered += 1
            else:
                known += 1
        _take_over_facts(connection, queue)
    return Salvage(recovered, known, lost)


def replace_damaged(path: Path, program_id: str) -> tuple[Path, Salvage] | None:
    """Put a new queue with all that is readable in the place of a damaged file, and say where that
    is now, and what came of it. None where the file is sound after all.

    Whenever this is killed, one or the other is there, whole. Raises QueueError.
    """
    fresh = path.with_name(f"{path.name}.new")
    with turn(path, BUSY_SECONDS) as ours:
        if not ours:
            raise QueueBusy(path, f"{path} is being uploaded or replaced by another process")
        try:
            OfflineQueue(path, program_id).close()
        except (QueueDamaged, QueueForeign):
            pass
        else:
            return None
        try:
            for suffix in ("", *COMPANIONS):  # of one that was killed here
                fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            raise QueueUnusable(fresh, f"{fresh} is in the way: {error.strerror}") from None
        with OfflineQueue(fresh, program_id) as queue:
            saved = salvage(queue, path)
        return set_aside(path, fresh), saved


def _readable_copy(path: Path, directory: Path) -> sqlite3.Connection:
    """A connection to a copy of the file whose beginning is sound, whatever the file's is.

    All queues begin alike: the first page says where the tables are, which are made the same way
    each time, and how long the file is.
    """
    copy, model = directory / "copy", directory / "model"
    for suffix in ("", *COMPANIONS):
        part = path.with_name(path.name + suffix)
        try:
            if part.exists():
                copy.with_name(copy.name + suffix).write_bytes(part.read_bytes())
        except OSError as error:
            raise QueueUnusable(path, f"{part} can not be copied: {error.strerror}") from None
    with suppress(*_UNREADABLE), closing(sqlite3.connect(copy)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # rolls back what hangs
    open_file(model).close()
    first = bytearray(model.read_bytes()[:_PAGE_BYTES])
    with copy.open("r+b") as file:
        pages = -(-file.seek(0, 2) // _PAGE_BYTES)
        first[_PAGE_COUNT] = pages.to_bytes(4, "big")
        first[_FREE_PAGES] = bytes(8)
        file.truncate(pages * _PAGE_BYTES)
        file.seek(0)
        file.write(first)
    for suffix in COMPANIONS:
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
    connection = sqlite3.connect(copy, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def _rows(connection: sqlite3.Connection) -> Iterator[sqlite3.Row | None]:
    """Item by item what can still be read, in the order of the queue; None for one that can not."""
    named: set[int] = set()
    ends = [0, 0]
    for walk in _WALKS:
        found = []
        with suppress(*_UNREADABLE):
            for (item_id,) in connection.execute(walk):
                if isinstance(item_id, int) and item_id > 0:
                    found.append(item_id)
        named.update(found)
        ends = [ends[1], found[-1] if found else 0]  # at last, how far the table itself was read
    last, first = ends
    end = min(first or _last_given(connection) + 1, last + _MOST_PROBES)
    probes = range(last + 1, end)
    failures = 0
    for item_id in sorted(named.union(probes)):
        if failures > _MOST_FAILURES and item_id not in named:
            continue
        try:
            row = connection.execute("SELECT * FROM items WHERE item_id = ?", (item_id,)).fetchone()
        except _UNREADABLE:
            failures += 1
            if item_id in named:
                yield None
        else:
            failures = 0
            if row is not None:
                yield row


def _last_given(connection: sqlite3.Connection) -> int:
    """The highest number that an item was given, as far as the file can say."""
    with suppress(*_UNREADABLE):
        for (number,) in connection.execute("SELECT seq FROM sqlite_sequence"):
            if isinstance(number, int):
                return number
    return _MOST_PROBES


def _take_over_facts(connection: sqlite3.Connection, queue: OfflineQueue) -> None:
    """What the till knew, such as the program: without it a till can not begin offline."""
    with suppress(*_UNREADABLE):
        for (name,) in connection.execute("SELECT name FROM facts").fetchall():
            with suppress(QueueDamaged):
                value = read_fact(connection, queue.path, name)
                if value is not None and name not in _OWN_FACTS and queue.recall(name) is None:
                    queue.remember(name, value)
