"""Verifies all members, again and again, at a bounded rate, while the service runs.

It looks as `ledger verify` does at each member, at a few of them at a time. Where it is stands in
the database: one process at a time verifies the next members, whichever that is, and a restart
goes on where the one before it ended. What needs all members at once, such as the trial balance, is
left to `ledger verify`.
"""

from __future__ import annotations

import time

import msgspec
import sqlalchemy as sa
import structlog

from ledger.engine import Engine
from ledger.metrics import Metrics
from ledger.store import background
from ledger.store.database import ask
from ledger.store.journal import MemberKey
from ledger.store.totals import Finding, Sums
from ledger.store.verify import Part, next_range, verify_range
from ledger.store.walk import HIGHEST, LOWEST, decode_walk

log = structlog.get_logger(__name__)

#: verified at once: a second's worth, which takes a fiftieth of one at the default rate. Each
#: piece also costs the database half a dozen small statements, and compiles the rules anew.
_PIECE_SECONDS = 1.0
_MOST_PAUSE_SECONDS = 1.0
#: when the database does not answer
RETRY_SECONDS = 10.0
#: between the beginnings of two walks over all members
_WALK_SECONDS = 60.0
#: for one piece, that is for the member with the longest journal
_LEASE_SECONDS = 600.0
#: findings of one piece that are logged one by one
_MOST_LOGGED = 20


class Verifier:
    """Verifies `rate` entries a second, whatever the number of processes."""

    def __init__(
        self,
        engine: Engine,
        metrics: Metrics,
        rate: float,
        *,
        walk_seconds: float = _WALK_SECONDS,
    ) -> None:
        self._engine = engine
        self._metrics = metrics
        self._rate = rate
        self._walk_seconds = walk_seconds

    async def run_once(self) -> float:
        """Verify the next members, if it is time to; answers in how many seconds it may be."""
        engine = self._engine
        work = await engine.query(background.read_work, background.VERIFICATION)
        if not work.wait_seconds:
            await engine.run(self._verify_piece)
            work = await engine.query(background.read_work, background.VERIFICATION)
        state = decode_walk(work.state)
        self._metrics.verify_last_run.set(state.last_ended or state.began)
        return min(work.wait_seconds, _MOST_PAUSE_SECONDS)

    def _verify_piece(self) -> None:
        database = self._engine.database
        claim = ask(database, background.claim_work, background.VERIFICATION, _LEASE_SECONDS)
        if claim is None:
            return  # somebody else was quicker
        state = decode_walk(claim.state)
        now = time.time()
        if state.next_member == LOWEST:
            state.began, state.findings = now, 0
        part, state.next_member = self._verify(state.next_member)
        self._tell(part)
        state.findings += len(part.findings)
        pause = max(part.entries, part.members, 1) / self._rate
        if state.next_member == HIGHEST:
            state.next_member = LOWEST
            state.last_ended, state.last_findings = time.time(), state.findings
            pause = max(pause, state.began + self._walk_seconds - now)
            log.debug("verified all members", findings=state.findings)
        text = msgspec.json.encode(state).decode()
        ask(database, background.finish_work, claim, text, pause)

    def _verify(self, low: MemberKey) -> tuple[Part, MemberKey]:
        """What about the next members does not hold, and who comes after them."""
        database = self._engine.database.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        with database.connect() as connection:
            self._engine.allow(connection, _LEASE_SECONDS)
            # A long journal may be read for longer than other statements may run.
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            members = next_range(connection, low, max(1, int(self._rate * _PIECE_SECONDS)))
            try:
                part = verify_range(connection, members)
            except sa.exc.SQLAlchemyError:
                raise
            except Exception:  # what can not even be read must not keep the others from their turn
                log.exception("members can not be verified")
                finding = Finding("unreadable", members.low[0], "", 0, "can not be verified")
                part = Part(0, 0, [finding], Sums())
            connection.rollback()
        return part, members.high

    def _tell(self, part: Part) -> None:
        """Count and log it. No log line names a member: `ledger verify` does."""
        self._metrics.verify_members.inc(part.members)
        self._metrics.verify_entries.inc(part.entries)
        for finding in part.findings:
            self._metrics.verify_drift.labels(finding.check).inc()
        for finding in part.findings[:_MOST_LOGGED]:
            log.error(
                "verification found a contradiction",
                check=finding.check,
                program=finding.program_id,
                sequence=finding.sequence,
                advice="`ledger verify` names the member, and what contradicts what",
            )
        if len(part.findings) > _MOST_LOGGED:
            log.error("verification found more", contradictions=len(part.findings) - _MOST_LOGGED)
