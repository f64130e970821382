"""Finds what time has made due and submits it as ordinary commands."""

from __future__ import annotations

from ledger.core.commands import Settle
from ledger.core.errors import LedgerError
from ledger.engine import Engine
from ledger.engine.batch import Item
from ledger.store.queries import read_due

_BATCH = 500


async def settle_due(engine: Engine, program_id: str, until: int, actor: str) -> int:
    """Post everything that falls due in a program by an instant (µs); answers how many entries.

    Until must have come for the program. Raises the first error of a member that cannot be settled.
    """
    posted = 0
    while members := await engine.query(read_due, program_id, until, _BATCH):
        commands = [Settle(program_id=program_id, member_id=member) for member in members]
        for outcome in await engine.submit_all([Item(command, actor) for command in commands]):
            if isinstance(outcome, LedgerError):
                raise outcome
            posted += len(outcome.entries)
    return posted
