"""PostgreSQL: tables, connections, migrations, and the embedded server. No business rules.

May import SQLAlchemy, Alembic, psycopg2 and `ledger.core`; never the engine, the scheduler,
`ledger.rpc`, `ledger.cli` or `ledger.config`: addresses and limits arrive as arguments.
"""
