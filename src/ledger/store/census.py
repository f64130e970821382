"""What the members of each program have, counted piece by piece over the table of accounts.

A piece is a range of the table's pages: read in the order of the disk, by no index, holding nothing
up. A table that fits into one piece is counted in one snapshot. In a larger one, who is changed
while it is being counted may be met twice or not at all when the row moves to another page; the
next count is right about them. No business rules.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import sqlalchemy as sa

from ledger.core.instants import to_datetime

#: points are expiring when they will have gone so many days from now
EXPIRING_DAYS = 30
#: more than any table has
_LAST_PAGE = 2**32 - 1

# Pending points and debts stand in the JSON only, and there only when there are any. Most states
# need not be read for that, nor those of members for whom nothing will fall due so soon. No text
# within a state can look like such a field: its quotes would be escaped. They are taken out by
# patterns, since JSON that somebody has damaged would fail the count of everybody. Lots that
# expire stand before those that never do.
_PIECE = r"""
SELECT a.program_id, a.tier_id,
    count(*) FILTER (WHERE a.status <> 'CLOSED'),
    sum(a.available)::bigint,
    sum(a.held)::bigint,
    coalesce(sum(CASE WHEN strpos(a.state, '"pending":') > 0
        THEN substring(a.state FROM '"pending":(\d{1,18})')::bigint END), 0)::bigint,
    coalesce(sum(CASE WHEN strpos(a.state, '"debt":') > 0
        THEN substring(a.state FROM '"debt":(\d{1,18})')::bigint END), 0)::bigint,
    coalesce(sum(CASE WHEN a.due_at <= p.horizon THEN (
        SELECT sum(lot[2]::bigint)
        FROM regexp_matches(
            substring(a.state FROM '"lots":\[((?:\[\d+,\d+\],?)*)'),
            '(\d{1,18}),(\d{1,18})', 'g') AS lot
        WHERE lot[1]::bigint <= (extract(epoch FROM p.horizon) * 1000000)::bigint) END),
        0)::bigint
FROM accounts a JOIN (
    SELECT program_id, coalesce(clock_time, %s) + %s * interval '1 day' AS horizon FROM programs
) AS p USING (program_id)
WHERE a.ctid >= %s::tid AND a.ctid < %s::tid AND a.version > 0
GROUP BY a.program_id, a.tier_id
"""

# No version takes away a level that an earlier one had.
_LATEST_RULES = """
SELECT DISTINCT ON (program_id) program_id, document FROM rules_versions
ORDER BY program_id, version DESC
"""

_TABLES = """
SELECT relname, pg_total_relation_size(oid) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""


class Count(msgspec.Struct, frozen=True, array_like=True):
    """What the members of one program and tier have, in points."""

    program_id: str
    #: empty where the program has no tiers
    tier_id: str
    #: without those whose membership is closed
    members: int = 0
    available: int = 0
    held: int = 0
    pending: int = 0
    debt: int = 0
    #: will have expired EXPIRING_DAYS from now; part of `available`
    expiring: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.program_id,
            self.tier_id,
            *(getattr(self, name) + getattr(other, name) for name in Count.__struct_fields__[2:]),
        )


def count_piece(
    connection: sa.Connection, first_page: int, pages: int, now: int
) -> tuple[list[Count], bool]:
    """What is on some pages of the table of accounts, and whether these were the last ones.

    `now` (µs) is the present of programs in real time.
    """
    size = connection.exec_driver_sql(
        "SELECT pg_relation_size('accounts') / current_setting('block_size')::bigint"
    ).scalar_one()
    last = first_page + pages >= size
    bounds = (first_page, _LAST_PAGE if last else first_page + pages)
    rows = connection.exec_driver_sql(
        _PIECE, (to_datetime(now), EXPIRING_DAYS, *(f"({page},0)" for page in bounds))
    )
    return [Count(*row) for row in rows], last


def read_levels(connection: sa.Connection) -> list[Count]:
    """Nobody, in every tier there is: one that is empty is shown, too."""
    return [
        Count(program_id, tier_id)
        for program_id, document in connection.exec_driver_sql(_LATEST_RULES)
        for tier_id in _tiers(document)
    ]


def _tiers(document: str) -> list[str]:
    """The tiers that rules name; none of rules that can not be read."""
    try:
        tiers = json.loads(document).get("tiers") or {"levels": [{"id": ""}]}
        return [str(level["id"]) for level in tiers["levels"]]
    except (ValueError, LookupError, TypeError, AttributeError):
        return []


def read_sizes(connection: sa.Connection) -> tuple[int, dict[str, int]]:
    """Bytes of the database, and of each table with its indexes."""
    size = connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
    tables: Any = connection.exec_driver_sql(_TABLES)
    return size, {name: int(total) for name, total in tables}
