"""Work that goes on in the background: its next piece is done by whichever process comes first.

A piece is claimed by one statement, which puts the time of the next one off: nobody else begins
one until then, and if the process dies, somebody will. So nothing is locked meanwhile, all
processes together go no faster than one, and work goes on where it stood, whoever did it before.
No rules of any particular work. Imports SQLAlchemy.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

#: counts what members have
CENSUS = "census"
#: walks all members, and folds their journals again
VERIFICATION = "verification"

# Nobody is told anything that depends on these rows: their COMMIT need not wait for the disk.
_SOON = "WITH soon AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))"


class Work(NamedTuple):
    """How far it is, and in how many seconds its next piece may begin (0 = now)."""

    state: str
    wait_seconds: float


class Claim(NamedTuple):
    """The right to do the next piece, until somebody may take it as given up."""

    name: str
    state: str
    until: datetime


def read_work(connection: sa.Connection, name: str) -> Work:
    """How a work stands."""
    row = connection.exec_driver_sql(
        "SELECT state, greatest(extract(epoch FROM due_time - clock_timestamp()), 0)::float8"
        " FROM background_work WHERE name = %s",
        (name,),
    ).one()
    return Work(row[0], row[1])


def claim_work(connection: sa.Connection, name: str, lease_seconds: float) -> Claim | None:
    """The right to do the next piece, if it may begin now and nobody else has it."""
    row = connection.exec_driver_sql(
        f"{_SOON} UPDATE background_work"
        " SET due_time = clock_timestamp() + %s * interval '1 second' FROM soon"
        " WHERE name = %s AND due_time <= clock_timestamp() RETURNING state, due_time",
        (lease_seconds, name),
    ).first()
    return None if row is None else Claim(name, row[0], row[1])


def finish_work(connection: sa.Connection, claim: Claim, state: str, pause_seconds: float) -> bool:
    """Note how far the work is now, and when it goes on; False: somebody else has taken it over."""
    result = connection.exec_driver_sql(
        f"{_SOON} UPDATE background_work"
        " SET state = %s, due_time = clock_timestamp() + %s * interval '1 second' FROM soon"
        " WHERE name = %s AND due_time = %s",
        (state, pause_seconds, claim.name, claim.until),
    )
    return result.rowcount == 1
