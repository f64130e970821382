"""What promotions with a budget have given, and which rules every account's due_at knows.

The columns are explained in `ledger.store.tables`.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE promotion_budgets (
    program_id    text COLLATE "C" NOT NULL,
    promotion_id  text COLLATE "C" NOT NULL,
    spent         bigint NOT NULL,
    CONSTRAINT promotion_budgets_pkey PRIMARY KEY (program_id, promotion_id),
    CONSTRAINT promotion_budgets_spent_check CHECK (spent >= 0)
);

GRANT SELECT, INSERT, UPDATE ON promotion_budgets TO ledger_service;

ALTER TABLE programs ADD COLUMN due_version integer NOT NULL DEFAULT 1;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    raise NotImplementedError(
        "the journal is append-only, so its schema only moves forward: restore a backup instead"
    )
