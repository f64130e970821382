"""The journal: programs, rules, accounts, entries, refusals, purchases; who may do what to them.

The columns are explained in `ledger.store.tables`.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE programs (
    program_id    text COLLATE "C" NOT NULL,
    display_name  text NOT NULL,
    currency      text NOT NULL,
    time_zone     text NOT NULL,
    sandbox       boolean NOT NULL,
    clock_time    timestamptz,
    member_key    bytea NOT NULL,
    create_time   timestamptz NOT NULL,
    CONSTRAINT programs_pkey PRIMARY KEY (program_id)
);

CREATE TABLE rules_versions (
    program_id      text COLLATE "C" NOT NULL,
    version         integer NOT NULL,
    effective_time  timestamptz NOT NULL,
    document        text NOT NULL,
    actor           text NOT NULL,
    create_time     timestamptz NOT NULL,
    CONSTRAINT rules_versions_pkey PRIMARY KEY (program_id, version)
);

CREATE TABLE accounts (
    program_id  text COLLATE "C" NOT NULL,
    member_id   text COLLATE "C" NOT NULL,
    version     bigint NOT NULL,
    available   bigint NOT NULL,
    held        bigint NOT NULL,
    tier_id     text NOT NULL,
    status      text NOT NULL,
    due_at      timestamptz,
    state       text NOT NULL,
    head_hash   bytea NOT NULL,
    CONSTRAINT accounts_pkey PRIMARY KEY (program_id, member_id),
    CONSTRAINT accounts_version_check CHECK (version >= 0),
    CONSTRAINT accounts_available_check CHECK (available >= 0),
    CONSTRAINT accounts_held_check CHECK (held >= 0)
) WITH (fillfactor = 70);

CREATE INDEX accounts_due_at_idx ON accounts (program_id, due_at) WHERE due_at IS NOT NULL;

CREATE TABLE entries (
    program_id        text COLLATE "C" NOT NULL,
    member_id         text COLLATE "C" NOT NULL,
    sequence          bigint NOT NULL,
    kind              text NOT NULL,
    points            bigint NOT NULL,
    debit_account     text NOT NULL,
    credit_account    text NOT NULL,
    request_id        text COLLATE "C",
    fingerprint       bytea,
    cause_sequence    bigint,
    consequences      integer NOT NULL DEFAULT 0,
    purchase_id       text COLLATE "C",
    rules_version     integer NOT NULL,
    actor             text NOT NULL,
    location_id       text,
    terminal_id       text,
    effective_time    timestamptz NOT NULL,
    create_time       timestamptz NOT NULL,
    available_points  bigint NOT NULL,
    held_points       bigint NOT NULL,
    tier_id           text NOT NULL,
    data              text NOT NULL,
    hash              bytea NOT NULL,
    xid               xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CONSTRAINT entries_pkey PRIMARY KEY (program_id, member_id, sequence),
    CONSTRAINT entries_sequence_check CHECK (sequence >= 1),
    CONSTRAINT entries_hash_check CHECK (octet_length(hash) = 32)
);

CREATE UNIQUE INDEX entries_request_id_key ON entries (program_id, member_id, request_id)
    WHERE request_id IS NOT NULL;

CREATE TABLE refusals (
    program_id   text COLLATE "C" NOT NULL,
    member_id    text COLLATE "C" NOT NULL,
    request_id   text COLLATE "C" NOT NULL,
    fingerprint  bytea NOT NULL,
    reason       text NOT NULL,
    metadata     text NOT NULL,
    actor        text NOT NULL,
    create_time  timestamptz NOT NULL,
    CONSTRAINT refusals_pkey PRIMARY KEY (program_id, member_id, request_id)
);

CREATE TABLE purchases (
    program_id   text COLLATE "C" NOT NULL,
    purchase_id  text COLLATE "C" NOT NULL,
    member_id    text COLLATE "C" NOT NULL,
    sequence     bigint NOT NULL,
    CONSTRAINT purchases_pkey PRIMARY KEY (program_id, purchase_id)
);
"""

# Seconds and the microseconds within them apart: interval arithmetic goes through a double,
# which has no microseconds left after the year 2255.
VIEWS = """
CREATE FUNCTION microseconds_to_time(microseconds bigint) RETURNS timestamptz
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN timestamptz '1970-01-01 00:00:00+00'
        + (microseconds / 1000000) * interval '1 second'
        + (microseconds % 1000000) * interval '1 microsecond';

CREATE VIEW trial_balance AS
    SELECT entries.program_id, side.account, sum(side.points)::bigint AS points
    FROM entries, LATERAL (VALUES (debit_account, -abs(points)), (credit_account, abs(points)))
        AS side (account, points)
    WHERE side.account <> ''
    GROUP BY entries.program_id, side.account;

CREATE VIEW lots AS
    SELECT program_id, member_id,
        microseconds_to_time((lot ->> 0)::bigint) AS expire_time,
        (lot ->> 1)::bigint AS points
    FROM accounts, jsonb_array_elements(state::jsonb -> 'lots') AS lot;

CREATE VIEW pending_lots AS
    SELECT program_id, member_id,
        microseconds_to_time((lot ->> 0)::bigint) AS activate_time,
        microseconds_to_time((lot ->> 1)::bigint) AS expire_time,
        (lot ->> 2)::bigint AS points
    FROM accounts, jsonb_array_elements(state::jsonb -> 'pending_lots') AS lot;
"""

# ENABLE ALWAYS: session_replication_role = replica does not switch these triggers off.
APPEND_ONLY = """
CREATE FUNCTION require_rows(written bigint, meant bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF written <> meant THEN
        RAISE EXCEPTION '% rows were written, % were meant', written, meant
            USING ERRCODE = 'serialization_failure';
    END IF;
END $$;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused, whoever asks', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation',
            HINT = 'What is recorded stays recorded; post a correcting entry instead.';
END $$;

DO $$
DECLARE
    append_only text;
BEGIN
    FOREACH append_only IN ARRAY ARRAY['entries', 'refusals', 'purchases', 'rules_versions'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', append_only);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only', append_only);
    END LOOP;
END $$;
"""

# Roles belong to the whole cluster, so another database may be creating this one right now.
ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_service') THEN
        CREATE ROLE ledger_service NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN
        NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'role ledger_service does not exist, and % may not create it', current_user
            USING ERRCODE = 'insufficient_privilege', HINT = format(
                'Let an administrator run: CREATE ROLE ledger_service NOLOGIN; '
                'GRANT ledger_service TO %I;', current_user);
END $$;

-- So that the migrating user can also serve; a superuser can anyway. Where it may not grant the
-- role, an administrator grants it to whoever is to serve.
DO $$
DECLARE
    -- From PostgreSQL 16 on, being a member is not enough to SET ROLE.
    needed text := CASE
        WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END;
BEGIN
    IF NOT pg_has_role(current_user, 'ledger_service', needed) THEN
        GRANT ledger_service TO CURRENT_USER;
    END IF;
EXCEPTION
    WHEN insufficient_privilege OR unique_violation THEN
        NULL;
END $$;
"""

GRANTS = """
GRANT USAGE ON SCHEMA public TO ledger_service;
GRANT SELECT, INSERT ON entries, refusals, purchases, rules_versions TO ledger_service;
GRANT SELECT, INSERT, UPDATE ON accounts, programs TO ledger_service;
GRANT SELECT ON trial_balance, lots, pending_lots, alembic_version TO ledger_service;
"""


def upgrade() -> None:
    for statements in (TABLES, VIEWS, APPEND_ONLY, ROLE, GRANTS):
        op.execute(statements)


def downgrade() -> None:
    raise NotImplementedError(
        "the journal is append-only, so its schema only moves forward: restore a backup instead"
    )
