"""Lets the journal and the warnings be read in the order of their transactions.

An index on (program_id, xid) serves both who looks for what is new and who reads a program's
journal from its beginning.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# The journal is read once for it, and takes no entries meanwhile.
INDEXES = """
CREATE INDEX entries_xid_idx ON entries (program_id, xid);
CREATE INDEX expiry_warnings_xid_idx ON expiry_warnings (program_id, xid);
"""


def upgrade() -> None:
    op.execute(INDEXES)


def downgrade() -> None:
    raise NotImplementedError(
        "the journal is append-only, so its schema only moves forward: restore a backup instead"
    )
