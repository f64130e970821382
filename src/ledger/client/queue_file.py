"""The file of an offline queue: opened with care, every fault told with what to do about it.

    QueueError               the queue can not be used; nothing that was in it is lost
    ├── QueueFull            there is no room on the disk: what was to be written is not queued
    ├── QueueDamaged         the file contradicts itself: set it aside, and salvage what is readable
    ├── QueueForeign         it is no queue, or that of another program
    ├── QueueTooNew          a newer version made it
    ├── QueueBusy            another process has kept it locked for too long
    └── QueueUnusable        it can not be opened, read or written

SQLite with a rollback journal and synchronous=EXTRA: when a transaction is committed it is on the
disk, its directory entry too, also if the power goes the next moment. Imports the standard library.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

#: "LgrQ": by it a queue is told from other SQLite files
APPLICATION_ID: Final = 0x4C677251
SCHEMA_VERSION: Final = 2
BUSY_SECONDS: Final = 10.0

COMPANIONS: Final = ("-journal", "-wal", "-shm")

#: one thread at a time looks whether there is a file
_MAKING: Final = threading.Lock()

_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
-- What the till knows of the program, and its counters.
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,                        -- JSON
    checksum BLOB                               -- of name and value
) WITHOUT ROWID;
CREATE TABLE items (
    item_id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order in which they are uploaded
    member_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    request BLOB NOT NULL,                      -- a BatchWriteItem
    checksum BLOB NOT NULL,                     -- of request, points, promised, create_time
    points INTEGER NOT NULL,                    -- of the allowance that it takes while it waits
    promised INTEGER NOT NULL,                  -- 0: a redemption that nobody was told of
    create_time INTEGER NOT NULL,               -- microseconds since 1970
    tries INTEGER NOT NULL DEFAULT 0,           -- uploads that did not answer it
    trouble TEXT NOT NULL DEFAULT '',           -- what the last of them met
    outcome TEXT,                               -- NULL while it waits
    answer BLOB,                                -- a BatchWriteResult
    answer_checksum BLOB,                       -- of outcome and answer
    UNIQUE (member_id, request_id)
);
CREATE INDEX waiting ON items (member_id, item_id) WHERE outcome IS NULL;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


#: what every queue can be asked for
_COLUMNS: Final = {
    "facts": "name, value, checksum",
    "items": "item_id, member_id, request_id, request, checksum, points, promised, create_time,"
    " tries, trouble, outcome, answer, answer_checksum",
}
#: the files of the first version have checksums of the requests only
_UPGRADE: Final = """
ALTER TABLE facts ADD COLUMN checksum BLOB;
ALTER TABLE items ADD COLUMN answer_checksum BLOB;
UPDATE facts SET checksum = seal(name, value);
UPDATE items SET checksum = seal(request, points, promised, create_time)
    WHERE checksum = sha256(request);
UPDATE items SET answer_checksum = seal(outcome, answer) WHERE outcome IS NOT NULL;
PRAGMA user_version = 2;
COMMIT;
"""


class QueueError(Exception):
    """The queue can not be used. The message says what to do; nothing that was in it is lost."""

    #: the stable word for programs
    reason = "QUEUE_UNUSABLE"

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


class QueueFull(QueueError):
    """There is no room to write. What was to be queued is not queued."""

    reason = "QUEUE_DISK_FULL"


class QueueDamaged(QueueError):
    """The file contradicts itself."""

    reason = "QUEUE_DAMAGED"


class QueueForeign(QueueError):
    """The file is no queue, or that of another program."""

    reason = "QUEUE_FOREIGN"


class QueueTooNew(QueueError):
    """A newer version made the file."""

    reason = "QUEUE_TOO_NEW"


class QueueBusy(QueueError):
    """Another process has kept the file locked for too long."""

    reason = "QUEUE_BUSY"


class QueueUnusable(QueueError):
    """The file can not be opened, read or written."""


def open_file(path: Path) -> sqlite3.Connection:
    """A connection to the queue's file, which is made where there is none; one thread at a time.

    Raises QueueError. A file that is not taken is left as it is.
    """
    with guarded(path):
        _make_where_there_is_none(path)
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def seal(*values: object) -> bytes:
    """By which values of the file are known to be what was written."""
    return hashlib.sha256(repr(values).encode(errors="surrogatepass")).digest()


def read_fact(connection: sqlite3.Connection, path: Path, name: str) -> Any:
    """A fact that is kept; None when there is none. Raises QueueDamaged."""
    row = connection.execute("SELECT value, checksum FROM facts WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    value, checksum = row
    if seal(name, value) != checksum:
        raise damaged(path, f"what it knows of {name} is unreadable")
    return json.loads(value)


def write_fact(connection: sqlite3.Connection, name: str, value: Any) -> None:
    """Keep a fact, anything that JSON can say."""
    text = json.dumps(value)
    connection.execute(
        "INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (name, text, seal(name, text))
    )


def _make_where_there_is_none(path: Path) -> None:
    """An empty file for its owner only, since it will name members; also when threads race to it.

    SQLite gives the files that it makes beside it the same rights. Nobody can have the file open
    yet when it is closed here: a close lets go of all locks that its process has on a file.
    """
    with _MAKING:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            pass
        except OSError as error:
            raise QueueUnusable(
                path, f"{path} can not be made (is its directory there?): {error.strerror}"
            ) from None


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Check that it is a sound queue of this version, and set how it is written."""

    def pragma(name: str) -> int:
        (value,) = connection.execute(f"PRAGMA {name}").fetchone()
        return int(value)

    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("PRAGMA fullfsync = ON")  # of use on macOS, without effect elsewhere
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("BEGIN")  # read at one moment: another may be making the tables now
    application_id, version = pragma("application_id"), pragma("user_version")
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    connection.execute("ROLLBACK")
    if not tables and not application_id:
        try:
            connection.executescript(_SCHEMA)
        except sqlite3.OperationalError:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if pragma("application_id") != APPLICATION_ID:  # nor has another process made it now
                raise
        return
    if application_id != APPLICATION_ID:
        raise _foreign(path)
    if version > SCHEMA_VERSION:
        raise QueueTooNew(
            path,
            f"{path} was made by a newer version (its format is {version}, this one knows "
            f"{SCHEMA_VERSION}): update this till, what waits in it stays where it is",
        )
    faults = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if faults != "ok":
        raise damaged(path, " ".join(str(faults).split()))
    if version < SCHEMA_VERSION:
        _upgrade(connection)
    for table, columns in _COLUMNS.items():  # a fault in their names is none to SQLite
        connection.execute(f"SELECT {columns} FROM {table} LIMIT 0")


def _upgrade(connection: sqlite3.Connection) -> None:
    """Bring a sound file up to this version, once, also where processes race to it."""
    connection.create_function("seal", -1, seal)
    connection.create_function("sha256", 1, lambda data: hashlib.sha256(data).digest())
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for statement in _UPGRADE.split(";") if version < SCHEMA_VERSION else ["COMMIT"]:
            connection.execute(statement)
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _foreign(path: Path) -> QueueForeign:
    return QueueForeign(
        path,
        f"{path} is no queue of a till, or its beginning is gone, and is left as it is: name "
        "another file, or set this one aside",
    )


def of_another_program(path: Path, program_id: str) -> QueueForeign:
    return QueueForeign(
        path, f"{path} belongs to program {program_id}, and is left as it is: name another file"
    )


def damaged(path: Path, fault: str) -> QueueDamaged:
    return QueueDamaged(
        path,
        f"{path} is damaged ({fault}) and is left as it is. Set it aside and go on with a new one: "
        "what can still be read of it is taken over, and can not be recorded twice",
    )


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Within the block, what SQLite raises becomes a QueueError."""
    try:
        yield
    except sqlite3.Error as error:
        raise _queue_error(path, error) from None
    except UnicodeDecodeError as error:  # text that is none any more, also in SQLite's messages
        raise damaged(path, str(error)) from None


def _queue_error(path: Path, error: sqlite3.Error) -> QueueError:
    extended = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    code = extended & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return damaged(path, "its beginning is overwritten") if _was_ours(path) else _foreign(path)
    # ERROR: a statement that is right does not fit this file's format or tables.
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR):
        return damaged(path, str(error))
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return QueueFull(
            path,
            f"{path} can not be written ({error}): there is no room on its disk, or it is failing. "
            "Make room; what was queued before is safe",
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return QueueBusy(
            path,
            f"{path} was locked by another process for {BUSY_SECONDS:.0f} s",
        )
    if extended == sqlite3.SQLITE_READONLY_DBMOVED:
        return QueueUnusable(
            path,
            f"{path} is another file now, or none: it was moved or replaced while it was open. "
            "Start again; what was queued before is where the file went",
        )
    why = {
        sqlite3.SQLITE_CANTOPEN: "it is no file, or not for this user to open",
        sqlite3.SQLITE_READONLY: "it is read-only here",
        sqlite3.SQLITE_PERM: "it belongs to somebody else",
    }.get(code, str(error))
    return QueueUnusable(path, f"{path} can not be used: {why}")


def _was_ours(path: Path) -> bool:
    """Whether a file that SQLite takes for none of its own was a queue. It has no locks to lose."""
    try:
        with path.open("rb") as file:
            return file.read(72)[68:] == APPLICATION_ID.to_bytes(4, "big")
    except OSError:
        return False


def set_aside(path: Path, instead: Path | None = None) -> Path:
    """Where the file now is: beside the old place, under a name that was free, whatever it holds.

    `instead` is what takes its place, at once. Nothing is overwritten. Raises QueueUnusable.
    """
    for number in range(1, 1_000):
        aside = path.with_name(f"{path.name}.aside-{number}")
        try:
            os.link(path, aside)  # unlike a rename it fails where something is
            for suffix in COMPANIONS:
                companion = path.with_name(path.name + suffix)
                if companion.exists():
                    companion.rename(aside.with_name(aside.name + suffix))
            if instead is None:
                path.unlink()
            else:
                instead.replace(path)
        except OSError as error:
            if error.errno == errno.EEXIST:
                continue
            raise QueueUnusable(path, f"{path} can not be set aside: {error.strerror}") from None
        return aside
    raise QueueUnusable(path, f"{path} can not be set aside: there are 999 of them already")
