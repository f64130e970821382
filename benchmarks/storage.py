"""What a ledger takes on the disk."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg2

_TABLES = ("entries", "purchases", "accounts")


@dataclass(frozen=True)
class Storage:
    """Sizes with their indexes, in bytes, after a vacuum."""

    entries: int
    purchases: int
    accounts: int
    bytes_per_entry: float
    #: its row of `purchases`
    bytes_per_purchase: float
    bytes_per_account: float


def measure(url: str) -> Storage:
    """Vacuum a ledger's tables, and see how large they are."""
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        each: dict[str, tuple[int, int]] = {}
        with connection.cursor() as cursor:
            for table in _TABLES:
                cursor.execute(f"VACUUM (ANALYZE) {table}")
                cursor.execute(f"SELECT count(*), pg_total_relation_size('{table}') FROM {table}")
                row = cursor.fetchone()
                assert row is not None
                each[table] = int(row[0]), int(row[1])
            cursor.execute("CHECKPOINT")
    finally:
        connection.close()
    per = {table: size / max(1, count) for table, (count, size) in each.items()}
    return Storage(
        entries=each["entries"][0],
        purchases=each["purchases"][0],
        accounts=each["accounts"][0],
        bytes_per_entry=round(per["entries"], 1),
        bytes_per_purchase=round(per["purchases"], 1),
        bytes_per_account=round(per["accounts"], 1),
    )
