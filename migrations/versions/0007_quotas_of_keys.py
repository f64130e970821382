"""Lets a key have a quota of its own.

The columns are explained in `ledger.store.tables`.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COLUMN = """
ALTER TABLE api_keys ADD COLUMN quota_per_second integer;
ALTER TABLE api_keys ADD CONSTRAINT api_keys_quota_per_second_check CHECK (quota_per_second >= 0);
"""

# As before, and the quota stays what it was, too.
TRIGGER = """
CREATE OR REPLACE FUNCTION refuse_change_of_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.revoke_time IS NULL AND NEW.revoke_time IS NOT NULL AND
        (NEW.key_id, NEW.name, NEW.role, NEW.secret_hash, NEW.create_time)
            = (OLD.key_id, OLD.name, OLD.role, OLD.secret_hash, OLD.create_time)
        AND NEW.programs IS NOT DISTINCT FROM OLD.programs
        AND NEW.expire_time IS NOT DISTINCT FROM OLD.expire_time
        AND NEW.quota_per_second IS NOT DISTINCT FROM OLD.quota_per_second
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'api_keys: a key can only be revoked, and once';
END
$$;
"""


def upgrade() -> None:
    for statements in (COLUMN, TRIGGER):
        op.execute(statements)


def downgrade() -> None:
    raise NotImplementedError(
        "the journal is append-only, so its schema only moves forward: restore a backup instead"
    )
