"""What migrations need so that tills do not notice them. Imports Alembic only."""

from __future__ import annotations

from alembic import op


def create_index(name: str, definition: str) -> None:
    """Build an index while others write; `definition` is what follows ON in CREATE INDEX.

    Not in a transaction, so it belongs into a revision that has nothing but such indexes: each may
    be run again when one fails. What a failed attempt left is built anew.
    """
    with op.get_context().autocommit_block():
        # It waits for transactions that began before it, and nobody waits for it.
        op.execute("SET lock_timeout = 0")
        unfinished = op.get_bind().exec_driver_sql(
            "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid", (name,)
        )
        if unfinished.first():
            op.execute(f"DROP INDEX CONCURRENTLY {name}")
        op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {definition}")
        op.execute("RESET lock_timeout")
