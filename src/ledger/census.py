"""Shows what the members of each program have, and how large the database is.

One process at a time counts a piece of the table of accounts and notes how far it is, whichever
process that is; all of them show what was last counted as a whole, so that the values are the same
whoever is asked. Counting takes a twentieth of the time of one database connection, at most:
the larger the ledger, the older its gauges may be.
"""

from __future__ import annotations

import time

import msgspec
import sqlalchemy as sa
import structlog

from ledger.engine import Engine
from ledger.metrics import Metrics
from ledger.store import background
from ledger.store.census import Count, count_piece, read_levels, read_sizes
from ledger.store.database import ask

log = structlog.get_logger(__name__)

#: after each piece, so many times as long as it took is left to others
_REST = 19
_SHORTEST_REST_SECONDS = 0.05
#: as long as a piece should take, at least and at most
_BRISK_SECONDS, _LONG_SECONDS = 0.1, 0.4
_FIRST_PAGES, _MOST_PAGES = 1_000, 16_000
_LEASE_SECONDS = 60.0


class _State(msgspec.Struct, omit_defaults=True):
    """What has been counted."""

    #: the last whole count
    shown: list[Count] = []
    #: the count that is being made, and the first page that is not in it
    counts: list[Count] = []
    page: int = 0
    database_bytes: int = 0
    table_bytes: dict[str, int] = {}


class Census:
    """Counts every `interval_seconds`, or more seldom where that takes long."""

    def __init__(self, engine: Engine, metrics: Metrics, interval_seconds: float) -> None:
        self._engine = engine
        self._metrics = metrics
        self._interval_seconds = interval_seconds
        self._pages = _FIRST_PAGES
        #: programs and tiers that have been shown
        self._tiers: set[tuple[str, str]] = set()

    async def run_once(self) -> float:
        """Count a piece, if it is time to, and show what is known; answers when to come again."""
        engine = self._engine
        work = await engine.query(background.read_work, background.CENSUS)
        if not work.wait_seconds:
            await engine.run(self._count_piece)
            work = await engine.query(background.read_work, background.CENSUS)
        self._show(_decode(work.state))
        return min(max(work.wait_seconds, _SHORTEST_REST_SECONDS), self._interval_seconds)

    def _count_piece(self) -> None:
        database = self._engine.database
        claim = ask(database, background.claim_work, background.CENSUS, _LEASE_SECONDS)
        if claim is None:
            return  # somebody else was quicker
        state = _decode(claim.state)
        if state.page == 0:
            state.counts = ask(database, read_levels)
        began = time.monotonic()
        try:
            counted, last = ask(
                database, count_piece, state.page, self._pages, self._engine.clock()
            )
        except sa.exc.SQLAlchemyError:
            self._pages = max(1, self._pages // 4)  # it may have taken too long
            raise
        state.database_bytes, state.table_bytes = ask(database, read_sizes)
        seconds = time.monotonic() - began
        state.counts = _added([*state.counts, *counted])
        state.page += self._pages
        self._choose_pages(seconds)
        rest = max(_REST * seconds, _SHORTEST_REST_SECONDS)
        if last:
            state.shown, state.counts, state.page = state.counts, [], 0
            rest = max(rest, self._interval_seconds)
        text = msgspec.json.encode(state).decode()
        ask(database, background.finish_work, claim, text, rest)

    def _choose_pages(self, seconds: float) -> None:
        """Have the next piece take about as long as pieces should."""
        if seconds > _LONG_SECONDS:
            self._pages = max(1, self._pages // 2)
        elif seconds < _BRISK_SECONDS:
            self._pages = min(_MOST_PAGES, self._pages * 2)

    def _show(self, state: _State) -> None:
        metrics = self._metrics
        if state.database_bytes:
            metrics.database_bytes.set(state.database_bytes)
        for table, size in state.table_bytes.items():
            metrics.table_bytes.labels(table).set(size)
        for one in _added([msgspec.structs.replace(each, tier_id="") for each in state.shown]):
            metrics.outstanding_points.labels(one.program_id).set(
                one.available + one.held + one.pending
            )
            metrics.held_points.labels(one.program_id).set(one.held)
            metrics.pending_points.labels(one.program_id).set(one.pending)
            metrics.debt_points.labels(one.program_id).set(one.debt)
            metrics.expiring_points.labels(one.program_id).set(one.expiring)
        members = {(one.program_id, one.tier_id): one.members for one in state.shown}
        for labels in self._tiers - members.keys():  # which nobody is in any more
            metrics.members.labels(*labels).set(0)
        for labels, number in members.items():
            metrics.members.labels(*labels).set(number)
        self._tiers |= members.keys()


def _decode(state: str) -> _State:
    """What was noted; nothing, when that was by a version that noted other things."""
    try:
        return msgspec.json.decode(state, type=_State)
    except msgspec.DecodeError:
        return _State()


def _added(counts: list[Count]) -> list[Count]:
    """One count for each program and tier."""
    sums: dict[tuple[str, str], Count] = {}
    for one in counts:
        key = one.program_id, one.tier_id
        sums[key] = sums[key] + one if key in sums else one
    return list(sums.values())
