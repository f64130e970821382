"""StreamEvents: what happens in a program, in the order of commits.

A cursor stands for a transaction and how many events have been passed from there on. Since the
order is one for everybody, it means the same to every server, for ever.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Collection, Iterator

from ledger.core.errors import Unavailable, invalid
from ledger.core.model import Entry
from ledger.core.program import Program
from ledger.engine import Engine
from ledger.feed import HEARTBEAT_SECONDS, POLL_SECONDS, RETRY_SECONDS, Feed
from ledger.rpc.answers import sealed_message
from ledger.rpc.cursors import Position, opened, sealed
from ledger.rpc.fields import Fields
from ledger.rpc.lookup import program_covering
from ledger.rpc.wellknown import timestamp
from ledger.store.following import Page, StoredWarning, read_end, read_events
from ledger.store.queries import JournalEntry
from ledger.v1 import balance_pb2

#: events that a stream has in memory, and those of the transaction that the last of them is of
PAGE = 500
#: between two looks of one stream for new events, at least
_GAP_SECONDS = 0.05


async def stream_events(
    engine: Engine, feed: Feed, request: balance_pb2.StreamEventsRequest
) -> AsyncGenerator[balance_pb2.StreamEventsResponse, None]:
    """The events that the request is for, in order, and heartbeats.

    Raises INVALID_FIELD, TOO_MANY_STREAMS, PROGRAM_NOT_FOUND; later SHUTTING_DOWN, and
    STORAGE_UNAVAILABLE or OVERLOADED when that lasts.
    """
    program_id = request.program_id
    fields = Fields()
    fields.program_id(program_id)
    if request.cursor and request.from_now:
        fields.fault("from_now", "must not be set together with a cursor")
    wanted = _Wanted(fields.kinds(request.kinds), request.expiry_warnings)
    fields.finish()
    async with feed.listen(program_id, None, _GAP_SECONDS) as listener:
        program = await engine.program(program_id)
        position = opened(request.cursor, program) if request.cursor else Position(0)
        if position is None:
            raise invalid("cursor", "is none that StreamEvents has answered of this program")
        if request.from_now:
            position = Position(await engine.query(read_end, program_id))
        said_at, caught_up = time.monotonic(), False
        while True:
            try:
                page = await engine.query(
                    read_events, program_id, position.xid, PAGE, position.seen
                )
                program = await program_covering(engine, program, _entries(page))
            except Unavailable:
                if time.monotonic() - said_at > HEARTBEAT_SECONDS:
                    raise
                await listener.wait(RETRY_SECONDS)
                continue
            if page.until < position.xid:
                raise invalid("cursor", "is ahead of this ledger: has its database been set back?")
            for event in page.events[position.passed :]:
                position = position.behind(event)
                if wanted.has(event.told):
                    yield _message(event.told, program, sealed(position, program))
                    said_at = time.monotonic()
            if page.until > position.xid:
                passed = max(0, position.passed - len(page.events))
                position = position._replace(xid=page.until, passed=passed)
            waited = time.monotonic() - said_at
            told = not page.more and not page.waiting
            if waited >= HEARTBEAT_SECONDS or (told and not caught_up):
                caught_up = told
                yield balance_pb2.StreamEventsResponse(
                    cursor=sealed(position, program), caught_up=caught_up
                )
                said_at, waited = time.monotonic(), 0.0
            if not page.more:
                # Nobody tells when a transaction has ended that others have to wait for.
                pause = POLL_SECONDS if page.waiting else HEARTBEAT_SECONDS - waited
                await listener.wait(max(0.001, pause))


class _Wanted:
    """Which events a stream is for: all of them unless some are named."""

    def __init__(self, kinds: Collection[str], warnings: bool) -> None:
        self._all = not kinds and not warnings
        self._kinds = frozenset(kinds)
        self._warnings = warnings

    def has(self, event: JournalEntry | StoredWarning) -> bool:
        if self._all:
            return True
        if isinstance(event, StoredWarning):
            return self._warnings
        return event.stored.entry.kind in self._kinds


def _entries(page: Page) -> Iterator[Entry]:
    told = (event.told for event in page.events)
    return (each.stored.entry for each in told if isinstance(each, JournalEntry))


def _message(
    event: JournalEntry | StoredWarning, program: Program, cursor: str
) -> balance_pb2.StreamEventsResponse:
    message = balance_pb2.StreamEventsResponse(cursor=cursor)
    if isinstance(event, JournalEntry):
        message.entry.CopyFrom(sealed_message(event, program))
        return message
    shown, warning = message.expiry_warning, event.warning
    shown.program_id = program.program_id
    shown.member_id = event.member_id
    shown.points = warning.points
    shown.expire_time.CopyFrom(timestamp(warning.expire_time))
    shown.days = warning.days
    shown.inactivity = warning.inactivity
    shown.create_time.CopyFrom(timestamp(event.create_time))
    return message
