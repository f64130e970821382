"""Where work that goes on in the background stands, so that any process can go on with it.

The columns are explained in `ledger.store.tables`.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE background_work (
    name      text COLLATE "C" NOT NULL,
    due_time  timestamptz NOT NULL DEFAULT now(),
    state     text NOT NULL DEFAULT '',
    CONSTRAINT background_work_pkey PRIMARY KEY (name)
);

INSERT INTO background_work (name) VALUES ('census'), ('verification');
"""

GRANTS = """
GRANT SELECT, UPDATE ON background_work TO ledger_service;
"""


def upgrade() -> None:
    for statements in (TABLES, GRANTS):
        op.execute(statements)


def downgrade() -> None:
    raise NotImplementedError(
        "the journal is append-only, so its schema only moves forward: restore a backup instead"
    )
