"""Which earlier entry an entry is about, what is taken of rewards, who was warned of what.

The columns are explained in `ledger.store.tables`.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Its index is made by the next revision, which keeps nobody from writing meanwhile.
SUBJECTS = """
ALTER TABLE entries ADD COLUMN subject_sequence bigint;
"""

TABLES = """
CREATE TABLE rewards_stock (
    program_id  text COLLATE "C" NOT NULL,
    reward_id   text COLLATE "C" NOT NULL,
    taken       bigint NOT NULL,
    CONSTRAINT rewards_stock_pkey PRIMARY KEY (program_id, reward_id),
    CONSTRAINT rewards_stock_taken_check CHECK (taken >= 0)
);

CREATE TABLE expiry_warnings (
    program_id   text COLLATE "C" NOT NULL,
    member_id    text COLLATE "C" NOT NULL,
    expire_time  timestamptz NOT NULL,
    days         integer NOT NULL,
    points       bigint NOT NULL,
    inactivity   boolean NOT NULL,
    create_time  timestamptz NOT NULL,
    xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CONSTRAINT expiry_warnings_pkey
        PRIMARY KEY (program_id, member_id, expire_time, days, inactivity)
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON expiry_warnings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE expiry_warnings ENABLE ALWAYS TRIGGER append_only;
"""

# A hold is [sequence, expire_time, points asked for, lots, rules version, reward, day, units].
VIEWS = """
CREATE VIEW holds AS
    SELECT program_id, member_id,
        (hold ->> 0)::bigint AS sequence,
        microseconds_to_time((hold ->> 1)::bigint) AS expire_time,
        (SELECT coalesce(sum((lot ->> 1)::bigint), 0)::bigint
            FROM jsonb_array_elements(hold -> 3) AS lot) AS points,
        nullif(hold ->> 5, '') AS reward_id
    FROM accounts, jsonb_array_elements(state::jsonb -> 'holds') AS hold;
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE ON rewards_stock TO ledger_service;
GRANT SELECT, INSERT ON expiry_warnings TO ledger_service;
GRANT SELECT ON holds TO ledger_service;
"""


def upgrade() -> None:
    for statements in (SUBJECTS, TABLES, VIEWS, GRANTS):
        op.execute(statements)


def downgrade() -> None:
    raise NotImplementedError(
        "the journal is append-only, so its schema only moves forward: restore a backup instead"
    )
