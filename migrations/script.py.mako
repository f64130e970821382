"""${message}.

Must leave the previous version of the service working: it serves on while this runs. So it adds,
and takes away only what no version that may still run uses. It holds no lock for longer than a
moment: no default that is computed for each row, constraints NOT VALID first and validated in a
later revision, indexes of tables that grow by `ledger.store.online.create_index`, in a revision of
their own.
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
