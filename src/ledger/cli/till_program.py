"""Runs `ledger till`: opens the queue and the connection, then does what each line says."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from ledger.cli.connection import command_failed, connect
from ledger.cli.credentials import from_environment
from ledger.cli.failure import CommandFailed, usage
from ledger.cli.output import note
from ledger.cli.till_json import JsonFace
from ledger.cli.till_screen import ScreenFace
from ledger.cli.till_session import Session
from ledger.client import (
    Allowance,
    LedgerClient,
    LedgerError,
    OfflineQueue,
    QueueDamaged,
    QueueError,
    QueueForeign,
    Till,
    replace_damaged,
)


@dataclass(frozen=True, slots=True)
class Setup:
    """What the command line said."""

    #: empty: that of the queue, or else the only one of the server
    program_id: str
    queue: Path
    terminal_id: str
    location_id: str
    offline: bool
    allowance: Allowance
    #: whether a damaged queue makes way for a new one
    set_aside: bool
    server: str
    timeout_seconds: float


def run(setup: Setup, *, as_json: bool) -> int:
    """How many commands failed. Raises CommandFailed when there can be no till at all."""
    _read_and_show_anything()
    try:
        with _till(setup) as till:
            face = JsonFace() if as_json else _screen(till)
            session = Session(till, face)
            till.listener = session.happened
            session.start()
            with till:
                for line in _lines(session):
                    try:
                        session.run(line)
                    except KeyboardInterrupt:
                        if not _typed(session):
                            session.say_what_waits()
                            raise
                        print()  # the terminal has shown ^C
                        session.interrupted(line)
                    if session.over:
                        break
                session.stop()
            return session.failures
    except QueueError as error:
        advice = ""
        if isinstance(error, QueueDamaged | QueueForeign):
            advice = "`ledger till --set-aside` does that."
        raise CommandFailed(error.message, reason=error.reason, advice=advice) from None
    except LedgerError as error:
        raise command_failed(error) from None


def _read_and_show_anything() -> None:
    """Let no byte of a scanner, and no letter that the terminal has not, end the till."""
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "replace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


@contextmanager
def _till(setup: Setup) -> Iterator[Till]:
    """A till that is ready, its program known."""
    program_id = setup.program_id or _program_id(setup)
    try:
        client = LedgerClient(
            setup.server,
            program_id,
            credentials=from_environment(),
            terminal_id=setup.terminal_id,
            location_id=setup.location_id,
            timeout_seconds=setup.timeout_seconds,
        )
    except (ValueError, OSError) as error:
        raise usage(f"no way to call {setup.server}: {error}") from None
    with client, _queue(setup, program_id) as queue:
        till = Till(client, queue, offline=setup.offline)
        till.program  # noqa: B018  # a till that was never online can not even say the currency
        yield till


def _program_id(setup: Setup) -> str:
    try:
        if setup.queue.is_file() and (program_id := OfflineQueue.program_of(setup.queue)):
            return program_id
    except (QueueDamaged, QueueForeign):
        if not setup.set_aside:
            raise
    with connect(setup.server, setup.timeout_seconds) as connection:
        return connection.program("").program_id


def _queue(setup: Setup, program_id: str) -> OfflineQueue:
    path = setup.queue
    try:
        return OfflineQueue(path, program_id, allowance=setup.allowance)
    except (QueueDamaged, QueueForeign):
        if not setup.set_aside:
            raise
    replaced = replace_damaged(path, program_id)
    if replaced is not None:
        aside, salvage = replaced
        note(
            f"{path} is set aside as {aside}. {salvage.recovered} writes of it are taken over, "
            f"{salvage.lost} can not be read any more."
        )
    return OfflineQueue(path, program_id, allowance=setup.allowance)


def _screen(till: Till) -> ScreenFace:
    try:
        zone = ZoneInfo(till.program.time_zone)
    except (OSError, ValueError, KeyError):
        zone = ZoneInfo("UTC")
    return ScreenFace(zone)


def _typed(session: Session) -> bool:
    """Whether somebody sits at a terminal."""
    return sys.stdin.isatty() and isinstance(session.face, ScreenFace)


def _lines(session: Session) -> Iterator[str]:
    """What is typed or piped in, until it ends."""
    face = session.face
    if not _typed(session):
        yield from sys.stdin
        return
    assert isinstance(face, ScreenFace)
    while True:
        try:
            yield face.read(session.till, session.member_id)
        except (EOFError, KeyboardInterrupt):
            return
