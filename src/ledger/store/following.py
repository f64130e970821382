"""Reads that follow the journal as transactions commit. No business rules.

Every entry and warning bears the id of its transaction. What a snapshot does not show yet is what
has a later id, or one of those that were open then; so two looks in a row see everything once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import sqlalchemy as sa


class Snapshot(NamedTuple):
    """Which transactions had been committed: all below `xmin`, none from `xmax` on, and of those
    between all but the `open` ones."""

    xmin: int
    xmax: int
    open: tuple[int, ...]


#: of a program: the members concerned, and the latest transaction
Changes = tuple[Collection[str], int]


def read_snapshot(connection: sa.Connection) -> Snapshot:
    """What is committed now."""
    text = connection.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar_one()
    return _snapshot(text)


def read_changes(
    connection: sa.Connection, since: Snapshot, program_ids: Collection[str]
) -> tuple[Snapshot, dict[str, Changes]]:
    """What is committed now, and what of it is new in these programs."""
    new = "program_id = ANY(%(programs)s) AND (xid >= %(xmax)s::xid8"
    new += " OR xid = ANY(%(open)s::xid8[]))" if since.open else ")"
    with _by_index(connection):
        rows = connection.exec_driver_sql(
            "SELECT pg_current_snapshot()::text, program_id, member_id, latest"
            " FROM (VALUES (1)) AS one LEFT JOIN ("
            " SELECT program_id, member_id, max(xid::text::bigint) AS latest FROM ("
            f" SELECT program_id, member_id, xid FROM entries WHERE {new} UNION ALL"
            f" SELECT program_id, member_id, xid FROM expiry_warnings WHERE {new}"
            ") AS new GROUP BY program_id, member_id) AS changes ON true",
            {
                "programs": list(program_ids),
                "xmax": str(since.xmax),
                "open": [str(xid) for xid in since.open],
            },
        ).all()
    members: dict[str, set[str]] = {}
    latest: dict[str, int] = {}
    for _, program_id, member_id, xid in rows:
        if program_id is not None:
            members.setdefault(program_id, set()).add(member_id)
            latest[program_id] = max(latest.get(program_id, 0), xid)
    changes: dict[str, Changes] = {
        program_id: (members[program_id], latest[program_id]) for program_id in members
    }
    return _snapshot(rows[0][0]), changes


def _snapshot(text: str) -> Snapshot:
    xmin, xmax, still_open = text.split(":")
    return Snapshot(int(xmin), int(xmax), tuple(map(int, filter(None, still_open.split(",")))))


@contextmanager
def _by_index(connection: sa.Connection) -> Iterator[None]:
    """Reads of a few rows among millions: by index, whatever the planner believes about a table
    that has just begun to grow."""
    connection.exec_driver_sql("BEGIN READ ONLY; SET LOCAL enable_seqscan = off")
    yield
    connection.exec_driver_sql("COMMIT")
