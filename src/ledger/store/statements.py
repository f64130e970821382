"""The SQL of the write path, prepared once per connection and run by `journal`; and of reading
balances, run by `queries`.

One multi-row statement per table and batch: each takes one array per column.
"""

from __future__ import annotations

from ledger.store.rows import COPY_COLUMNS, ENTRY_COLUMNS

#: Fails the transaction unless every row that was meant has been written.
_REQUIRED = "SELECT require_rows((SELECT count(*) FROM written), cardinality($1))"


def _tally(name: str, table: str, key: str, total: str) -> str:
    """The statements for a table of totals that run on over all members."""
    return f"""
PREPARE lock_{name} (text[], text[]) AS
SELECT t.program_id, t.{key}, t.{total}
FROM unnest($1, $2) AS k (program_id, {key}) JOIN {table} t USING (program_id, {key})
ORDER BY t.program_id, t.{key} FOR UPDATE OF t;

PREPARE open_{name} (text[], text[]) AS
INSERT INTO {table} (program_id, {key}, {total})
SELECT program_id, {key}, 0 FROM unnest($1, $2) AS k (program_id, {key})
ON CONFLICT DO NOTHING;

PREPARE update_{name} (text[], text[], bigint[]) AS
WITH written AS (
    UPDATE {table} t SET {total} = n.{total}
    FROM unnest($1, $2, $3) AS n (program_id, {key}, {total})
    WHERE t.program_id = n.program_id AND t.{key} = n.{key}
    RETURNING 1
)
{_REQUIRED};
"""


# A batch looks up a handful of rows in tables of millions: always by index, whatever the planner
# believes about tables that have just begun to grow.
_BY_INDEX = """
SET plan_cache_mode = force_generic_plan;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_seqscan = off;
"""

#: for a connection that reads balances
PREPARE_READS = f"""
{_BY_INDEX}
PREPARE read_accounts (text[], text[]) AS
SELECT a.program_id, a.member_id, a.state, a.head_hash, p.clock_time,
    CASE WHEN p.sandbox THEN (
        SELECT max(r.version) FROM rules_versions r WHERE r.program_id = p.program_id
    ) ELSE 0 END
FROM unnest($1, $2) AS k (program_id, member_id)
JOIN accounts a USING (program_id, member_id) JOIN programs p USING (program_id);
"""

#: for a connection that writes
PREPARE = f"""
{_BY_INDEX}
PREPARE lock_accounts (text[], text[]) AS
SELECT FROM unnest($1, $2) AS k (program_id, member_id)
JOIN accounts a USING (program_id, member_id)
ORDER BY a.program_id, a.member_id FOR UPDATE OF a;

-- What transactions of others hold at this moment; waits for none.
PREPARE find_held (text[], text[]) AS
WITH k AS MATERIALIZED (SELECT * FROM unnest($1, $2) AS k (program_id, member_id)),
free AS MATERIALIZED (
    SELECT a.program_id, a.member_id
    FROM k JOIN accounts a USING (program_id, member_id) FOR UPDATE OF a SKIP LOCKED
)
SELECT a.program_id, a.member_id FROM k JOIN accounts a USING (program_id, member_id)
EXCEPT SELECT program_id, member_id FROM free;

PREPARE lock_clocks (text[]) AS
SELECT p.program_id, p.clock_time,
    (SELECT max(r.version) FROM rules_versions r WHERE r.program_id = p.program_id)
FROM programs p WHERE p.program_id = ANY($1) ORDER BY p.program_id FOR SHARE OF p;

{_tally("budgets", "promotion_budgets", "promotion_id", "spent")}
{_tally("stock", "rewards_stock", "reward_id", "taken")}
-- Members ($1, $2), requests ($3, $4, $5), purchases ($6, $7): whatever there is of them.
PREPARE load (text[], text[], text[], text[], text[], text[], text[]) AS
WITH r AS MATERIALIZED (
    SELECT * FROM unnest($3, $4, $5) AS r (program_id, member_id, request_id)
)
SELECT 'account', a.program_id, a.member_id, NULL, NULL, NULL,
    encode(a.head_hash, 'hex'), a.state, NULL
FROM unnest($1, $2) AS k (program_id, member_id) JOIN accounts a USING (program_id, member_id)
UNION ALL
SELECT 'posted', e.program_id, e.member_id, e.request_id, e.sequence, e.consequences,
    NULL, NULL, NULL
FROM r JOIN entries e USING (program_id, member_id, request_id)
UNION ALL
SELECT 'refused', f.program_id, f.member_id, f.request_id, NULL, NULL,
    encode(f.fingerprint, 'hex'), f.reason, f.metadata
FROM r JOIN refusals f USING (program_id, member_id, request_id)
UNION ALL
SELECT 'purchase', p.program_id, p.member_id, p.purchase_id, p.sequence, NULL, NULL, NULL, NULL
FROM unnest($6, $7) AS k (program_id, purchase_id)
JOIN purchases p USING (program_id, purchase_id);

PREPARE find_entries (text[], text[], bigint[], bigint[]) AS
SELECT {ENTRY_COLUMNS}
FROM unnest($1, $2, $3, $4) AS k (program_id, member_id, first, last)
JOIN entries e ON e.program_id = k.program_id AND e.member_id = k.member_id
    AND e.sequence BETWEEN k.first AND k.last;

-- Entries that commands are about, each followed by the latest entry that is about it, if any.
PREPARE find_subjects (text[], text[], bigint[]) AS
SELECT k.sequence, {ENTRY_COLUMNS}
FROM unnest($1, $2, $3) AS k (program_id, member_id, sequence)
CROSS JOIN LATERAL (
    SELECT {COPY_COLUMNS} FROM entries s
    WHERE s.program_id = k.program_id AND s.member_id = k.member_id AND s.sequence = k.sequence
    UNION ALL (
        SELECT {COPY_COLUMNS} FROM entries s
        WHERE s.program_id = k.program_id AND s.member_id = k.member_id
            AND s.subject_sequence = k.sequence
        ORDER BY s.sequence DESC LIMIT 1
    )
) AS e
ORDER BY e.sequence;

PREPARE update_accounts (
    text[], text[], bigint[], bigint[], bigint[], text[], text[], timestamptz[], text[], text[],
    bigint[]
) AS
WITH written AS (
    UPDATE accounts a SET version = n.version, available = n.available, held = n.held,
        tier_id = n.tier_id, status = n.status, due_at = n.due_at, state = n.state,
        head_hash = decode(n.head, 'hex')
    FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS n (program_id, member_id, version,
        available, held, tier_id, status, due_at, state, head, old_version)
    WHERE a.program_id = n.program_id AND a.member_id = n.member_id AND a.version = n.old_version
    RETURNING 1
)
{_REQUIRED};

PREPARE insert_accounts (
    text[], text[], bigint[], bigint[], bigint[], text[], text[], timestamptz[], text[], text[]
) AS
WITH written AS (
    INSERT INTO accounts (program_id, member_id, version, available, held, tier_id, status, due_at,
        state, head_hash)
    SELECT program_id, member_id, version, available, held, tier_id, status, due_at, state,
        decode(head, 'hex')
    FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS n (program_id, member_id, version,
        available, held, tier_id, status, due_at, state, head)
    RETURNING 1
)
{_REQUIRED};

-- When time next changes accounts, where that is not what was noted; nothing else of them changes.
PREPARE update_due (text[], text[], timestamptz[]) AS
UPDATE accounts a SET due_at = n.due_at
FROM unnest($1, $2, $3) AS n (program_id, member_id, due_at)
WHERE a.program_id = n.program_id AND a.member_id = n.member_id
    AND a.due_at IS DISTINCT FROM n.due_at;

PREPARE insert_purchases (text[], text[], text[], bigint[]) AS
WITH written AS (
    INSERT INTO purchases (program_id, purchase_id, member_id, sequence)
    SELECT * FROM unnest($1, $2, $3, $4) RETURNING 1
)
{_REQUIRED};

PREPARE insert_refusals (
    text[], text[], text[], text[], text[], text[], text[], timestamptz[]
) AS
WITH written AS (
    INSERT INTO refusals (program_id, member_id, request_id, fingerprint, reason, metadata, actor,
        create_time)
    SELECT program_id, member_id, request_id, decode(fingerprint, 'hex'), reason, metadata, actor,
        create_time
    FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) AS n (program_id, member_id, request_id,
        fingerprint, reason, metadata, actor, create_time)
    RETURNING 1
)
{_REQUIRED};

-- Warnings that were recorded before stay as they are.
PREPARE insert_warnings (
    text[], text[], timestamptz[], integer[], bigint[], boolean[], timestamptz[]
) AS
INSERT INTO expiry_warnings (program_id, member_id, expire_time, days, points, inactivity,
    create_time)
SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING;
"""
