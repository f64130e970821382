"""${message}.

Must leave the previous version of the service working: it serves on while this runs.
"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    op.execute("""
    """)


def downgrade() -> None:
    raise NotImplementedError(
        "the journal is append-only, so its schema only moves forward: restore a backup instead"
    )
