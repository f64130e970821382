"""Posts what time has made due: found by `due_at`, submitted as ordinary commands.

Nothing depends on it being on time: reads compute what is due, and every command posts it before
its own. It is here so that the journal, the books and the feed hear of it too, and that it is noted
whom to warn of what will expire, which is no entry. Any number of replicas may run it; posting
twice posts nothing more.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence

import structlog

from ledger.core.commands import Settle
from ledger.core.errors import LedgerError, Unavailable
from ledger.core.instants import SECOND
from ledger.engine import Engine
from ledger.engine.batch import Item
from ledger.metrics import Metrics
from ledger.store import queries
from ledger.store.programs import FRESHNESS_SECONDS

log = structlog.get_logger(__name__)

_BATCH = 500
#: when nobody knows how much is due: so many members first, and more while it is few entries
_FIRST_BATCH = 20
_ENTRIES = 5_000
#: a member that can not be settled is left alone for so long
_RETRY_SECONDS = 60.0
#: after a version was published, every process knows it (µs)
_KNOWN_EVERYWHERE = int(2 * FRESHNESS_SECONDS * SECOND)
_ACTOR = "scheduler"
Member = tuple[str, str]


class Scheduler:
    """Looks every `interval_seconds` for what has fallen due in programs that live in real time."""

    def __init__(self, engine: Engine, metrics: Metrics, interval_seconds: float) -> None:
        self._engine = engine
        self._metrics = metrics
        self._interval_seconds = interval_seconds
        #: members that could not be settled, until when (monotonic) they are left alone
        self._failed: dict[Member, float] = {}

    async def run_once(self) -> int:
        """Post what is due now, in every program; answers how many entries."""
        engine = self._engine
        now = engine.clock()
        outdated = await engine.query(queries.read_outdated, now - _KNOWN_EVERYWHERE)
        due = await engine.query(queries.read_due_programs, now)
        self._metrics.due_lag.set(max([now - since for _, since in due], default=0) / SECOND)
        posted = 0
        if outdated or due:
            async with _alone(engine) as alone:
                for program_id, version in outdated if alone else ():
                    await note_due(engine, program_id, version)
                for program_id, _ in due if alone else ():
                    posted += await self._settle(program_id, now)
        return posted

    async def look(self) -> float:
        """Post what is due now, and say so; answers when to look again."""
        posted = await self.run_once()
        if posted:
            log.info("posted what was due", entries=posted)
        return self._interval_seconds

    async def _settle(self, program_id: str, until: int) -> int:
        """Post what is due in a program; members that fail are left alone for a while."""
        posted = 0
        before: list[str] = []
        while True:
            left_alone = self._left_alone(program_id)
            found = await self._engine.query(
                queries.read_due, program_id, until, _BATCH + len(left_alone)
            )
            members = [member for member in found if member not in left_alone]
            if not members or members == before:
                return posted  # a clock that stepped back: what was due is not, or not yet
            before = members
            outcomes = await _settle_all(self._engine, program_id, members, _ACTOR)
            for member, outcome in zip(members, outcomes, strict=True):
                if isinstance(outcome, int):
                    posted += outcome
                else:
                    log.error("member can not be settled", reason=outcome.reason)
                    self._failed[program_id, member] = time.monotonic() + _RETRY_SECONDS

    def _left_alone(self, program_id: str) -> set[str]:
        now = time.monotonic()
        self._failed = {key: until for key, until in self._failed.items() if until > now}
        return {member for program, member in self._failed if program == program_id}


async def settle_due(engine: Engine, program_id: str, until: int, actor: str) -> int:
    """Post everything that falls due in a program by an instant (µs); answers how many entries.

    Until must have come for the program. Raises the first error of a member that cannot be settled.
    """
    posted, size = 0, _FIRST_BATCH
    while members := await engine.query(queries.read_due, program_id, until, size):
        before = posted
        for outcome in await _settle_all(engine, program_id, members, actor):
            if isinstance(outcome, LedgerError):
                raise outcome
            posted += outcome
        # Many years bring many entries for each member: a transaction must not become too long.
        few = posted - before < _ENTRIES
        size = min(2 * size, _BATCH) if few else max(1, size // 2)
    return posted


async def note_due(engine: Engine, program_id: str, version: int) -> None:
    """Note for every account when time next changes it under rules versions up to `version`.

    Time may do more under new rules than it did before; settling an account notes it anew. Raises
    UNAVAILABLE when that can not be done now; a member who can not be settled at all is left out.
    """
    await engine.program(program_id, version)
    after = ""
    while members := await engine.query(queries.read_members, program_id, after, _BATCH):
        for outcome in await _settle_all(engine, program_id, members, _ACTOR):
            if isinstance(outcome, Unavailable):
                raise outcome
        after = members[-1]
    await engine.query(queries.save_due_version, program_id, version)


async def _settle_all(
    engine: Engine, program_id: str, members: Sequence[str], actor: str
) -> list[int | LedgerError]:
    """For each member the number of entries posted, or why none could be."""
    items = [Item(Settle(program_id=program_id, member_id=member), actor) for member in members]
    return [
        outcome if isinstance(outcome, LedgerError) else len(outcome.entries)
        for outcome in await engine.submit_all(items)
    ]


@contextlib.asynccontextmanager
async def _alone(engine: Engine) -> AsyncIterator[bool]:
    """Whether no other replica is posting what is due; if so, none does until the end."""
    lock = await engine.run(queries.lock_scheduler, engine.database)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            await engine.run(lock.close)
