"""Lets the journal and the warnings be read in the order of their transactions, and by subject.

An index on (program_id, xid) serves both who looks for what is new and who reads a program's
journal from its beginning. Few entries have a subject, and only these are in its index.
"""

from ledger.store.online import create_index

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index(
        "entries_subject_sequence_idx",
        "entries (program_id, member_id, subject_sequence, sequence)"
        " WHERE subject_sequence IS NOT NULL",
    )
    create_index("entries_xid_idx", "entries (program_id, xid)")
    create_index("expiry_warnings_xid_idx", "expiry_warnings (program_id, xid)")


def downgrade() -> None:
    raise NotImplementedError(
        "the journal is append-only, so its schema only moves forward: restore a backup instead"
    )
