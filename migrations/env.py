"""Runs the migrations on the connection that `ledger migrate` hands over, in one transaction."""

from alembic import context
from sqlalchemy import Connection

connection = context.config.attributes.get("connection")
if context.is_offline_mode() or not isinstance(connection, Connection):
    raise RuntimeError("migrations run through `ledger migrate`, which connects and locks")

context.configure(connection=connection)
with context.begin_transaction():
    # Waiting for a table lock would make every caller of a serving ledger queue behind the wait.
    connection.exec_driver_sql("SET LOCAL lock_timeout = '2s'")
    context.run_migrations()
