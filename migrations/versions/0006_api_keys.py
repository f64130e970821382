"""Who may call: API keys, of which only a hash is kept.

The columns are explained in `ledger.store.tables`.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE api_keys (
    key_id       text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    role         text NOT NULL,
    programs     text[],
    secret_hash  bytea NOT NULL,
    create_time  timestamptz NOT NULL,
    expire_time  timestamptz,
    revoke_time  timestamptz,
    CONSTRAINT api_keys_pkey PRIMARY KEY (key_id),
    CONSTRAINT api_keys_secret_hash_check CHECK (octet_length(secret_hash) = 32)
);
"""

# A key says who did something in the journal, so that it is never forgotten; and it is revoked for
# good. Both also make it cheap to see that nothing has changed: neither number ever falls.
TRIGGERS = """
CREATE FUNCTION refuse_change_of_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.revoke_time IS NULL AND NEW.revoke_time IS NOT NULL AND
        (NEW.key_id, NEW.name, NEW.role, NEW.secret_hash, NEW.create_time)
            = (OLD.key_id, OLD.name, OLD.role, OLD.secret_hash, OLD.create_time)
        AND NEW.programs IS NOT DISTINCT FROM OLD.programs
        AND NEW.expire_time IS NOT DISTINCT FROM OLD.expire_time
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'api_keys: a key can only be revoked, and once';
END
$$;

CREATE TRIGGER revoked_once BEFORE UPDATE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_key();
ALTER TABLE api_keys ENABLE ALWAYS TRIGGER revoked_once;

CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE api_keys ENABLE ALWAYS TRIGGER never_deleted;
"""

# Keys are made and revoked by whoever may migrate, never by the service.
GRANTS = "GRANT SELECT ON api_keys TO ledger_service;"


def upgrade() -> None:
    for statements in (TABLES, TRIGGERS, GRANTS):
        op.execute(statements)


def downgrade() -> None:
    raise NotImplementedError(
        "the journal is append-only, so its schema only moves forward: restore a backup instead"
    )
