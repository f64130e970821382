"""Looks at a ledger in a database: its schema, who may do what to it, and how it is."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from ledger.core.instants import SECOND
from ledger.store import background, queries
from ledger.store.checkup.observation import FAULT, OK, WARNING, Observation
from ledger.store.migrate import SchemaBehind, current_revision, head_revision, require_current
from ledger.store.tables import APPEND_ONLY, SERVICE_ROLE
from ledger.store.walk import decode_walk

_OLD_WALK_DAYS = 7
_LATE_SECONDS = 600

#: what the service must be allowed to do, and nothing more
RIGHTS: Final = {
    **{table.name: ("SELECT", "INSERT") for table in APPEND_ONLY},
    **dict.fromkeys(
        ("accounts", "programs", "promotion_budgets", "rewards_stock"),
        ("SELECT", "INSERT", "UPDATE"),
    ),
    "background_work": ("SELECT", "UPDATE"),
    "api_keys": ("SELECT",),
    "alembic_version": ("SELECT",),
    **dict.fromkeys(("trial_balance", "lots", "pending_lots", "holds"), ("SELECT",)),
}
TRIGGERS: Final = (
    *((table.name, "append_only") for table in APPEND_ONLY),
    ("api_keys", "revoked_once"),
    ("api_keys", "never_deleted"),
)
_VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")


def check_schema(database: sa.Engine) -> Observation:
    """It is this program's, or one that this program can work with."""
    try:
        require_current(database)
    except SchemaBehind as error:
        why = "A server does not start before it is there."
        return Observation("schema", FAULT, str(error), why, "Run `ledger migrate` as its owner.")
    with database.connect() as connection:
        current = current_revision(connection)
        missing = [table for table in RIGHTS if not exists(connection, table)]
    if missing and current == head_revision():
        return Observation(
            "schema",
            FAULT,
            f"revision {current}, but {', '.join(missing)} is missing",
            "Somebody has removed or renamed what the service needs: calls fail.",
            "Find out what was done and undo it, or restore a backup; then run `ledger verify`.",
        )
    later = "" if current == head_revision() else ", which is of a later version of this program"
    return Observation("schema", OK, f"revision {current}{later}")


def check_triggers(connection: sa.Connection) -> Observation:
    """What is recorded is protected, also from those who may do anything."""
    rows = connection.exec_driver_sql(
        "SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger"
        " WHERE NOT tgisinternal"
    )
    states = {(row[0], row[1]): row[2] for row in rows}
    off = [
        f"{table}.{trigger} is {'missing' if state is None else 'off'}"
        for table, trigger in TRIGGERS
        if exists(connection, table) and (state := states.get((table, trigger))) != "A"
    ]
    if not off:
        return Observation("triggers", OK, "what is recorded can not be changed")
    return Observation(
        "triggers",
        FAULT,
        ", ".join(off),
        "Somebody could change or delete what is recorded; perhaps somebody has.",
        "ALTER TABLE … ENABLE ALWAYS TRIGGER …, find out who did it, and run `ledger verify`.",
    )


def check_rights(connection: sa.Connection) -> Observation:
    """The service may do what it has to, and nothing else."""
    if not _role_exists(connection):
        return Observation(
            "rights", FAULT, f"there is no role {SERVICE_ROLE}", "The service works as that role.",
            f"Run `ledger migrate` as a user who may create roles, or CREATE ROLE {SERVICE_ROLE}"
            " NOLOGIN.",
        )  # fmt: skip
    missing: list[str] = []
    excess: list[str] = []
    query = "SELECT has_schema_privilege(%s, 'public', 'USAGE')"
    if not connection.exec_driver_sql(query, (SERVICE_ROLE,)).scalar_one():
        missing.append("USAGE on SCHEMA public")
    for table, rights in RIGHTS.items():
        if not exists(connection, table):
            continue
        for verb in _VERBS:
            given = connection.exec_driver_sql(
                "SELECT has_table_privilege(%s, %s, %s)", (SERVICE_ROLE, table, verb)
            ).scalar_one()
            if given != (verb in rights):
                (excess if given else missing).append(f"{verb} on {table}")
    if not missing and not excess:
        return Observation("rights", OK, f"{SERVICE_ROLE} may do what it has to, and no more")
    parts = [f"lacks {', '.join(missing)}"] if missing else []
    parts += [f"also has {', '.join(excess)}"] if excess else []
    why = (
        "Calls that need it fail."
        if missing
        else "A fault in the service, or whoever breaks into it, could change what is recorded."
    )
    advice = f"As the owner: GRANT what it lacks TO {SERVICE_ROLE}, REVOKE the rest."
    return Observation("rights", FAULT, f"{SERVICE_ROLE} {' and '.join(parts)}", why, advice)


def check_role(connection: sa.Connection, embedded: bool) -> Observation:
    """The service can not get more rights than those of its role."""
    superuser, owner = connection.exec_driver_sql(
        "SELECT rolsuper, coalesce(pg_has_role(oid, (SELECT relowner FROM pg_class"
        " WHERE oid = to_regclass('public.entries')), 'USAGE'), false)"
        " FROM pg_roles WHERE rolname = session_user"
    ).one()
    found = f"may act as {SERVICE_ROLE}"
    if embedded or not (superuser or owner):
        return Observation("role", OK, found)
    return Observation(
        "role",
        WARNING,
        f"{found}, but is {'a superuser' if superuser else 'the owner of what is recorded'}",
        "Whoever breaks into the service could change what is recorded.",
        "Have the service log in as a user of its own: CREATE ROLE app LOGIN;"
        f" GRANT {SERVICE_ROLE} TO app.",
    )


def check_verification(connection: sa.Connection) -> Observation:
    """The last walk over all members is not long ago, and found nothing."""
    walk = decode_walk(background.read_work(connection, background.VERIFICATION).state)
    query = "SELECT extract(epoch FROM clock_timestamp())::float8"
    now = float(connection.exec_driver_sql(query).scalar_one())
    wrong = max(walk.findings, walk.last_findings)
    began = walk.last_ended or walk.began
    days = (now - began) / 86_400
    if not began:
        found = "members were never verified in the background"
    elif not walk.last_ended:
        found = f"the first walk over all members began {_long(days)} ago"
    else:
        found = f"all members were verified {_long(days)} ago"
    if wrong:
        return Observation(
            "verification",
            FAULT,
            f"{found}, {wrong} contradictions were found",
            "A balance is wrong, or the journal was tampered with.",
            "Run `ledger verify`, which names the members and what contradicts what.",
        )
    if began and days < _OLD_WALK_DAYS:
        return Observation("verification", OK, found)
    return Observation(
        "verification",
        WARNING,
        found,
        "Nobody would notice a wrong balance.",
        "Let a server run with LEDGER_VERIFY_RATE above 0, high enough for a walk in a week; or"
        " run `ledger verify` regularly.",
    )


def _long(days: float) -> str:
    return f"{days:.1f} days" if days >= 1 else f"{days * 24:.1f} hours"


def check_due(connection: sa.Connection) -> Observation:
    """What time makes due is posted."""
    query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    now = int(connection.exec_driver_sql(query).scalar_one())
    late = max([now - since for _, since in queries.read_due_programs(connection, now)], default=0)
    if late < _LATE_SECONDS * SECOND:
        return Observation("schedule", OK, "what has fallen due is posted")
    return Observation(
        "schedule",
        WARNING,
        f"something has been due for {late / SECOND / 3600:,.1f} hours, and is not posted",
        "Balances are right all the same, but the journal, reports and warnings lag behind.",
        "Let a server run with LEDGER_SCHEDULER_SECONDS above 0; if one does, its log says why.",
    )


def exists(connection: sa.Connection, table: str) -> bool:
    """Whether there is a table of that name."""
    query = "SELECT to_regclass('public.' || %s) IS NOT NULL"
    return bool(connection.exec_driver_sql(query, (table,)).scalar_one())


def _role_exists(connection: sa.Connection) -> bool:
    query = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)"
    return bool(connection.exec_driver_sql(query, (SERVICE_ROLE,)).scalar_one())
