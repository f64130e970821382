"""Looks at a PostgreSQL server: which it is, what it promises, how much of it there is."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from ledger.store.checkup.observation import FAULT, OK, WARNING, Observation
from ledger.store.database import SERVICE_POOL, SESSION_SETTINGS, where

#: connections for commands that come beside a server: verify, migrate, a look with psql
_SPARE_CONNECTIONS = 4
_SKEW_WARNING_SECONDS, _SKEW_FAULT_SECONDS = 2.0, 60.0
#: transactions that a table may be old before autovacuum has clearly failed; at 2^31 all stops
_OLD_TRANSACTIONS = 1_000_000_000
#: a transaction that is open for longer was probably forgotten
_LONG_SECONDS = 600.0

_LONG_TRANSACTIONS = """
SELECT 'process ' || pid || ' (' || coalesce(nullif(application_name, ''), 'of no name') || ')',
    extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds,
    format('SELECT pg_terminate_backend(%%s)', pid)
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND xact_start IS NOT NULL
UNION ALL
SELECT 'the prepared transaction ' || quote_literal(gid),
    extract(epoch FROM clock_timestamp() - prepared)::float8,
    'ROLLBACK PREPARED ' || quote_literal(gid)
FROM pg_prepared_xacts
ORDER BY seconds DESC LIMIT 1
"""


def check_server(connection: sa.Connection, url: sa.URL) -> Observation:
    """It is the one that may be written to."""
    version, standby, read_only, size = connection.exec_driver_sql(
        "SELECT current_setting('server_version'), pg_is_in_recovery(),"
        " current_setting('transaction_read_only')::bool,"
        " pg_size_pretty(pg_database_size(current_database()))"
    ).one()
    place = where(url.set(drivername="postgresql"))
    found = f"PostgreSQL {version.split()[0]}, {size}, at {place}"
    if standby:
        why = "A standby can not be written to: every purchase would be refused."
        advice = "Name the primary, for instance with target_session_attrs=read-write in the URL."
        return Observation("server", FAULT, f"{found}, a standby", why, advice)
    if read_only:
        why = "Every purchase would be refused."
        advice = (
            "Set default_transaction_read_only = off, for the server, the database, the user, and"
            " in the URL. Some providers set it when the disk is nearly full."
        )
        return Observation("server", FAULT, f"{found}, only for reading", why, advice)
    return Observation("server", OK, found)


def check_clock(connection: sa.Connection, clock: Callable[[], float]) -> Observation:
    """This machine and the database agree on what time it is."""
    before = clock()
    query = "SELECT extract(epoch FROM clock_timestamp())::float8"
    there = connection.exec_driver_sql(query).scalar_one()
    after = clock()
    skew = there - (before + after) / 2
    ahead = "ahead of" if skew > 0 else "behind"
    found = f"the database is {abs(skew):.3f} s {ahead} this machine"
    off = max(0.0, abs(skew) - (after - before) / 2)
    if off < _SKEW_WARNING_SECONDS:
        return Observation("clock", OK, found)
    return Observation(
        "clock",
        FAULT if off >= _SKEW_FAULT_SECONDS else WARNING,
        found,
        "Entries get this machine's time: replicas would disagree on when points expire, and tills"
        " that are right may be told that a purchase lies in the future.",
        "Have both machines keep time (chrony, systemd-timesyncd), then look again.",
    )


def check_connections(connection: sa.Connection, workers: int) -> Observation:
    """There are connections enough for every pool."""
    most, others, role_limit, database_limit = connection.exec_driver_sql(
        "SELECT current_setting('max_connections')::int"
        " - current_setting('superuser_reserved_connections')::int"
        " - coalesce(current_setting('reserved_connections', true), '0')::int,"
        " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        "  AND application_name NOT LIKE 'ledger%%'),"
        " (SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user),"
        " (SELECT datconnlimit FROM pg_database WHERE datname = current_database())"
    ).one()
    needed = workers * SERVICE_POOL + _SPARE_CONNECTIONS
    allowed = min(each for each in (most, role_limit, database_limit) if each >= 0)
    of = "worker" if workers == 1 else "workers"
    found = f"{allowed} allowed, {needed} needed by {workers} {of}, {others} in use by others"
    if needed <= allowed and needed + others <= most:
        return Observation("connections", OK, found)
    return Observation(
        "connections",
        FAULT if needed > allowed else WARNING,
        found,
        "A server that gets no connection answers UNAVAILABLE. Each replica needs as many.",
        "Raise max_connections (and CONNECTION LIMIT of the user and the database), or start"
        " fewer workers.",
    )


def check_upkeep(connection: sa.Connection) -> Observation:
    """The server clears up by itself."""
    on, counts, age = connection.exec_driver_sql(
        "SELECT current_setting('autovacuum'), current_setting('track_counts'),"
        " (SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database())"
    ).one()
    if on == "on" and counts == "on" and age < _OLD_TRANSACTIONS:
        return Observation("upkeep", OK, f"autovacuum is on, {age:,} transactions to look back")
    return Observation(
        "upkeep",
        FAULT if age >= _OLD_TRANSACTIONS else WARNING,
        f"autovacuum is {on}, track_counts is {counts}, {age:,} transactions to look back",
        "Accounts change with every purchase: their table grows without end, and after 2 billion"
        " transactions the server takes no more writes.",
        "Set autovacuum = on and track_counts = on; where it fell behind, run VACUUM.",
    )


def check_transactions(connection: sa.Connection) -> Observation:
    """Nobody has forgotten a transaction. Those of others are seen by who may see them only."""
    row = connection.exec_driver_sql(_LONG_TRANSACTIONS).first()
    if row is None or row[1] < _LONG_SECONDS:
        return Observation("transactions", OK, "none that can be seen is open for long")
    whose, seconds, end = row
    return Observation(
        "transactions",
        WARNING,
        f"{whose} has had one open for {seconds / 3600:,.1f} hours",
        "What was changed meanwhile can not be cleared up. If it has written something, streams of"
        " events wait for it, and calls for the rows that it holds.",
        f"Find out what it is for. If nobody needs it: {end}",
    )


def check_pooler(database: sa.Engine) -> Observation:
    """A connection is to one server process for as long as it lasts.

    A pooler by transactions gives another one to whoever comes while the first is taken.
    """
    ask = "SELECT pg_backend_pid()"
    with database.connect() as one, database.connect() as other:
        before = one.exec_driver_sql(ask).scalar_one()
        other.exec_driver_sql("BEGIN")
        other.exec_driver_sql(ask)
        after = one.exec_driver_sql(ask).scalar_one()
        other.exec_driver_sql("ROLLBACK")
    if before == after:
        return Observation("pooler", OK, "connections are the service's own")
    return Observation(
        "pooler",
        FAULT,
        "a proxy in between shares server processes by transaction",
        "Prepared statements and locks of sessions get lost: calls fail, or two servers do the"
        " work of one.",
        "Let it pool by session (pool_mode = session), or name the server itself.",
    )


def check_durability(connection: sa.Connection) -> Observation:
    """What was confirmed survives a crash."""
    names = ("fsync", "full_page_writes", "synchronous_commit", "data_checksums")
    values = {name: _setting(connection, name) for name in names}
    off = [name for name in names[:3] if values[name] == "off"]
    if off:
        return Observation(
            "durability",
            FAULT,
            ", ".join(f"{name} = off" for name in off),
            "A crash could lose what was already confirmed. A server refuses to start.",
            f"Set {', '.join(f'{name} = on' for name in off)}, for the server, the database, the"
            " user, and in the URL.",
        )
    if values["data_checksums"] != "on":
        return Observation(
            "durability",
            WARNING,
            "durable, but data_checksums = off",
            "A disk that returns other bytes than were written is noticed late.",
            "Stop the database and run pg_checksums --enable.",
        )
    return Observation("durability", OK, f"synchronous_commit = {values['synchronous_commit']}")


#: with these the database logs no statement and no row
_QUIET = {
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
}


def check_log(connection: sa.Connection) -> Observation:
    """The database's own log tells nothing of members."""
    values = {name: _setting(connection, name) for name in _QUIET}
    loud = [name for name, quiet in _QUIET.items() if values[name] != quiet]
    if not loud:
        return Observation("log", OK, "the database logs no statements")
    return Observation(
        "log",
        WARNING,
        ", ".join(f"{name} = {values[name]}" for name in loud),
        "Members and receipts get into the database's log, with statements that fail, wait or are"
        " slow.",
        f"Set {', '.join(f'{name} = {_QUIET[name]}' for name in loud)}; or guard that log as you"
        " guard the ledger.",
    )


def check_timeouts(connection: sa.Connection) -> Observation:
    """A statement, a lock and a forgotten transaction end by themselves."""
    names = [name for name in SESSION_SETTINGS if name.endswith("timeout")]
    values = {name: _setting(connection, name) for name in names}
    found = ", ".join(f"{name} = {value}" for name, value in values.items())
    endless = [name for name, value in values.items() if value in ("0", "0ms")]
    if not endless:
        return Observation("timeouts", OK, found)
    return Observation(
        "timeouts",
        WARNING,
        ", ".join(f"{name} = 0" for name in endless),
        "One query or forgotten transaction can hold up every till without end.",
        "Take them out of the URL's options; a pooler must pass them on (track_extra_parameters,"
        " or no ignore_startup_parameters).",
    )


def _setting(connection: sa.Connection, name: str) -> str:
    query = "SELECT coalesce(current_setting(%s, true), '')"
    return str(connection.exec_driver_sql(query, (name,)).scalar_one())
