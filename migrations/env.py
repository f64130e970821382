"""Runs the migrations on the connection that `ledger migrate` hands over, each in a transaction.

That connection waits for a lock only shortly, and `ledger migrate` tries again.
"""

from alembic import context
from sqlalchemy import Connection

connection = context.config.attributes.get("connection")
if context.is_offline_mode() or not isinstance(connection, Connection):
    raise RuntimeError("migrations run through `ledger migrate`, which connects and locks")

context.configure(connection=connection, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
