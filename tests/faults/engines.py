"""Engines without a server around them, and short ways to write commands for them.

Everything of one `submit_all` is one batch when nothing else is waiting, which is what the tests of
the write path want.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ledger.core.commands import Command, EnrollMember, RecordPurchase
from ledger.core.errors import LedgerError
from ledger.core.model import Receipt
from ledger.engine import Engine, real_clock
from ledger.engine.batch import Item, Outcome
from ledger.metrics import Metrics
from ledger.store.database import open_database
from ledger.store.programs import create_program
from ledger.store.verify import verify
from tests.faults.processes import connect

PROGRAM = "bean-street"
#: one point per euro, and whoever buys is enrolled
RULES: dict[str, Any] = {
    "earning": {"rate": {"points": 1, "per": "1.00"}},
    "members": {"auto_enroll": True},
}


@dataclass
class RunningEngine:
    """An engine on a pool of its own."""

    engine: Engine
    metrics: Metrics
    database: sa.Engine

    async def write(self, *commands: Command) -> list[Outcome]:
        """The outcome of each, as one batch."""
        return await self.engine.submit_all([Item(command, "till") for command in commands])

    def metric(self, name: str, **labels: str) -> float:
        """The present value of a metric."""
        value = self.metrics.registry.get_sample_value(name, labels)
        assert value is not None, f"there is no metric {name}{labels}"
        return value


@contextlib.contextmanager
def running_engine(database_url: str, **options: Any) -> Iterator[RunningEngine]:
    """An engine until the block ends; `options` are those of Engine."""
    database = open_database(database_url, pool_size=8, application_name="ledger")
    metrics = Metrics()
    engine = Engine(database, metrics, **options)
    try:
        yield RunningEngine(engine, metrics, database)
    finally:
        engine.close()
        database.dispose()


def make_program(database_url: str, program_id: str = PROGRAM) -> None:
    """A program in real time with RULES, on a database that nobody has open."""
    database = open_database(database_url)
    add_program(database, program_id)
    database.dispose()


def add_program(database: sa.Engine, program_id: str) -> None:
    """A program in real time with RULES."""
    create_program(
        database,
        program_id=program_id,
        display_name="",
        currency="EUR",
        time_zone="Europe/Berlin",
        clock_time=None,
        document=RULES,
        actor="test",
        now=real_clock(),
    )


def enroll(member_id: str, **more: Any) -> EnrollMember:
    return EnrollMember(
        program_id=PROGRAM,
        member_id=member_id,
        **{"request_id": f"enroll-{member_id}", **more},
    )


def buy(number: object, member_id: str = "m-1", points: int = 10, **more: Any) -> RecordPurchase:
    """A purchase whose receipt and request are named after a number, worth so many points."""
    return RecordPurchase(
        **{
            "program_id": PROGRAM,
            "member_id": member_id,
            "request_id": f"request-{number}",
            "purchase_id": f"receipt-{number}",
            "amount": points * 100,
            **more,
        }
    )


def summary(outcomes: list[Outcome]) -> list[str]:
    """Each outcome in a word: `first`, `replayed`, or the reason of the error."""
    return [
        outcome.reason if isinstance(outcome, LedgerError) else _word(outcome)
        for outcome in outcomes
    ]


def _word(receipt: Receipt) -> str:
    return "replayed" if receipt.replayed else "first"


def requests_posted(database_url: str) -> Counter[str]:
    """How often each request id stands in the journal."""
    with contextlib.closing(connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT request_id FROM entries WHERE request_id IS NOT NULL")
        return Counter(request_id for (request_id,) in cursor)


def assert_sound(database_url: str) -> None:
    """No request stands twice in the journal, and everything verifies."""
    assert [n for n in requests_posted(database_url).values() if n > 1] == []
    report = verify(database_url, workers=1)
    assert report.findings == []
    assert [sum(points.values()) for points in report.totals.values() if sum(points.values())] == []
