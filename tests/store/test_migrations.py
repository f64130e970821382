"""The schema: migrations and tables agree, the journal can not be changed, views hold."""

import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

import psycopg2
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, Table, create_engine, func, insert, make_url, select
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.exc import DBAPIError

from ledger.core.model import Account, Hold, Lot, encode
from ledger.store import migrate as migration
from ledger.store.database import DatabaseUnusable, normalize_url, open_database
from ledger.store.embedded import EmbeddedServer
from ledger.store.migrate import (
    MigrationRefused,
    MigrationResult,
    SchemaBehind,
    current_revision,
    head_revision,
    migrate,
    require_current,
)
from ledger.store.tables import (
    APPEND_ONLY,
    Xid8,
    accounts,
    api_keys,
    entries,
    expiry_warnings,
    metadata,
    purchases,
    refusals,
    rewards_stock,
)
from ledger.store.tables import rules_versions as rules

NOON = "2026-03-01T12:00:00Z"

ENTRY = {
    "program_id": "coffee",
    "member_id": "ada",
    "sequence": 1,
    "kind": "PURCHASE",
    "points": 12,
    "debit_account": "issuance",
    "credit_account": "member:available",
    "request_id": "r-1",
    "fingerprint": b"f" * 16,
    "rules_version": 1,
    "actor": "till",
    "effective_time": NOON,
    "create_time": NOON,
    "available_points": 12,
    "held_points": 0,
    "tier_id": "",
    "data": "{}",
    "hash": hashlib.sha256().digest(),
}
REFUSAL = {
    "program_id": "coffee",
    "member_id": "ada",
    "request_id": "r-2",
    "fingerprint": b"f" * 16,
    "reason": "MEMBER_NOT_FOUND",
    "metadata": "{}",
    "actor": "till",
    "create_time": NOON,
}
PURCHASE = {"program_id": "coffee", "purchase_id": "p-1", "member_id": "ada", "sequence": 1}
RULES = {
    "program_id": "coffee",
    "version": 1,
    "effective_time": NOON,
    "document": "{}",
    "actor": "till",
    "create_time": NOON,
}
WARNING = {
    "program_id": "coffee",
    "member_id": "ada",
    "expire_time": NOON,
    "days": 30,
    "points": 12,
    "inactivity": False,
    "create_time": NOON,
}
STOCK = {"program_id": "coffee", "reward_id": "muffin", "taken": 1}
ACCOUNT = {
    "program_id": "coffee",
    "member_id": "ada",
    "version": 1,
    "available": 12,
    "held": 0,
    "tier_id": "",
    "status": "ACTIVE",
    "state": "{}",
    "head_hash": bytes(32),
}


CHANGES = ("UPDATE {} SET program_id = 'x'", "DELETE FROM {}", "TRUNCATE {}")


@pytest.fixture
def owner(database_url: str) -> Iterator[Engine]:
    """The database as a superuser."""
    engine = open_database(database_url, role=None)
    yield engine
    engine.dispose()


@pytest.fixture
def service(database_url: str) -> Iterator[Engine]:
    """The database as the service."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def empty_url(
    cluster: EmbeddedServer, administrator: psycopg2.extensions.connection
) -> Iterator[str]:
    """The address of a database that was never migrated."""
    name = f"empty_{uuid.uuid4().hex}"
    with administrator.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield cluster.url(name)
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def fill(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(insert(entries), ENTRY)
        connection.execute(insert(refusals), REFUSAL)
        connection.execute(insert(purchases), PURCHASE)
        connection.execute(insert(rules), RULES)
        connection.execute(insert(expiry_warnings), WARNING)


def catalog(connection: Connection) -> set[tuple[object, ...]]:
    """What PostgreSQL knows of our tables: columns, constraints, indexes, options."""
    queries = (
        """SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
            a.attnotnull, pg_get_expr(d.adbin, d.adrelid), co.collname
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r'
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        LEFT JOIN pg_collation co ON co.oid = a.attcollation
        WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0""",
        """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        """SELECT relname, reloptions::text FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'""",
    )
    rows = {tuple(row) for query in queries for row in connection.exec_driver_sql(query)}
    return {row for row in rows if row[0] != "alembic_version"}


def test_the_migrations_make_what_the_tables_say(
    owner: Engine, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ischema_names, "xid8", Xid8)  # so that it is recognized when read back
    with owner.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        migrated = catalog(connection)
    other = open_database(empty_url, role=None)
    with other.connect() as connection:
        metadata.create_all(connection)
        assert catalog(connection) == migrated
    other.dispose()


def test_migrating_an_empty_database_brings_it_to_the_head_and_again_does_nothing(
    empty_url: str,
) -> None:
    head = head_revision()
    assert migrate(empty_url) == MigrationResult(from_revision=None, to_revision=head)
    assert migrate(empty_url) == MigrationResult(from_revision=head, to_revision=head)


def test_no_migration_builds_an_index_of_an_older_table_while_nobody_may_write_to_it() -> None:
    for path in sorted((migration._directory() / "versions").glob("*.py")):
        text = path.read_text()
        indexed = set(re.findall(r"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY)\w+\s+ON (\w+)", text))
        made = set(re.findall(r"CREATE TABLE (\w+)", text))
        assert indexed <= made, path.name


def migrate_to(url: str, revision: str) -> None:
    """Bring a database to an earlier revision than this program's."""
    config = migration._config()
    engine = create_engine(normalize_url(url))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


@pytest.mark.parametrize("column", ["xid", "subject_sequence"])
def test_an_index_that_was_left_half_built_is_built_anew(empty_url: str, column: str) -> None:
    migrate_to(empty_url, "0003")
    owner = open_database(empty_url, role=None)
    with owner.connect() as connection:
        for sequence in (1, 2):
            entry = ENTRY | {"sequence": sequence, "request_id": f"r-{sequence}"}
            connection.execute(insert(entries), entry)
        with pytest.raises(DBAPIError, match="duplicate"):
            connection.exec_driver_sql(
                f"CREATE UNIQUE INDEX CONCURRENTLY entries_{column}_idx ON entries (program_id)"
            )
    migrate(empty_url)
    query = "SELECT indisvalid, indisunique, pg_get_indexdef(indexrelid) FROM pg_index WHERE "
    with owner.connect() as connection:
        valid, unique, definition = connection.exec_driver_sql(
            f"{query} indexrelid = 'entries_{column}_idx'::regclass"
        ).one()
    assert (valid, unique) == (True, False)
    assert f"{column}" in definition
    owner.dispose()


def test_a_database_that_no_service_could_use_is_not_migrated(own_server: EmbeddedServer) -> None:
    run(
        own_server.url(),
        "DROP DATABASE IF EXISTS plain",
        "CREATE DATABASE plain ENCODING SQL_ASCII TEMPLATE template0"
        " LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    with pytest.raises(DatabaseUnusable, match="encoding SQL_ASCII: create one with"):
        migrate(own_server.url("plain"))


def test_a_database_that_is_only_for_reading_is_not_migrated(
    empty_url: str, administrator: psycopg2.extensions.connection
) -> None:
    name = make_url(empty_url).database
    with administrator.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(MigrationRefused, match="only for reading"):
        migrate(empty_url)


def test_two_migrators_at_once_wait_for_each_other(empty_url: str) -> None:
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(migrate, [empty_url] * 4))
    assert sorted(result.from_revision is None for result in results) == [False] * 3 + [True]


def test_databases_of_one_server_can_be_migrated_at_once(own_server: EmbeddedServer) -> None:
    # Every database wants the one role of the server; none has it yet.
    names = [f"concurrent_{i}" for i in range(4)]
    engine = open_database(own_server.url(), role=None)
    with engine.connect() as connection:
        for name in names:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        results = list(pool.map(migrate, [own_server.url(name) for name in names]))
    assert all(result.from_revision is None for result in results)


def test_a_schema_behind_is_refused_saying_what_to_do(empty_url: str) -> None:
    engine = open_database(empty_url, role=None)
    with pytest.raises(SchemaBehind, match=r"no ledger yet.*run `ledger migrate`") as refusal:
        require_current(engine)
    assert (refusal.value.current, refusal.value.head) == (None, head_revision())
    migrate(empty_url)
    require_current(engine)
    with engine.connect() as connection:
        assert current_revision(connection) == head_revision()
    engine.dispose()


def test_an_older_schema_is_behind(owner: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "head_revision", lambda: "9999")
    with pytest.raises(SchemaBehind, match="has schema 0007, this program needs 9999"):
        require_current(owner)


def test_a_newer_schema_can_be_served_but_not_migrated(owner: Engine, database_url: str) -> None:
    with owner.connect() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    require_current(owner)
    with pytest.raises(MigrationRefused, match="schema 9999, which is newer than this program"):
        migrate(database_url)


def test_a_downgrade_is_refused_since_the_journal_only_grows(owner: Engine) -> None:
    config = migration._config()
    with owner.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        config.attributes["connection"] = connection
        with pytest.raises(NotImplementedError, match="append-only"):
            command.downgrade(config, "base")


@pytest.mark.parametrize("table", APPEND_ONLY, ids=lambda table: table.name)
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_recorded_can_not_be_changed_even_by_a_superuser(
    owner: Engine, table: Table, change: str
) -> None:
    fill(owner)
    change = change.format(table.name)
    verb = change.split()[0]
    with owner.connect() as connection:
        for replication in ("origin", "replica"):  # the latter switches ordinary triggers off
            connection.exec_driver_sql(f"SET session_replication_role = {replication}")
            with pytest.raises(
                DBAPIError, match=f"{table.name} is append-only: {verb} is refused, whoever asks"
            ):
                connection.exec_driver_sql(change)
        assert connection.scalar(select(func.count()).select_from(table)) == 1


@pytest.mark.parametrize("table", APPEND_ONLY, ids=lambda table: table.name)
@pytest.mark.parametrize("change", CHANGES)
def test_the_service_has_no_right_to_change_what_is_recorded(
    service: Engine, table: Table, change: str
) -> None:
    fill(service)
    with (
        service.connect() as connection,
        pytest.raises(DBAPIError, match=f"permission denied for table {table.name}"),
    ):
        connection.exec_driver_sql(change.format(table.name))


def test_the_service_has_the_rights_it_needs_and_no_more(service: Engine) -> None:
    query = """SELECT table_name, string_agg(privilege_type, ' ' ORDER BY privilege_type)
        FROM information_schema.table_privileges
        WHERE grantee = 'ledger_service' GROUP BY table_name"""
    journal, cache, view = "INSERT SELECT", "INSERT SELECT UPDATE", "SELECT"
    with service.connect() as connection:
        assert {row[0]: row[1] for row in connection.exec_driver_sql(query)} == {
            **dict.fromkeys((table.name for table in APPEND_ONLY), journal),
            **dict.fromkeys(("accounts", "programs", "promotion_budgets", "rewards_stock"), cache),
            **dict.fromkeys(("trial_balance", "lots", "pending_lots", "holds"), view),
            "alembic_version": view,
            "background_work": "SELECT UPDATE",
            "api_keys": view,
        }


@pytest.mark.parametrize(
    ("table", "row", "fault", "constraint"),
    [
        (accounts, ACCOUNT, {"available": -1}, "accounts_available_check"),
        (accounts, ACCOUNT, {"held": -1}, "accounts_held_check"),
        (accounts, ACCOUNT, {"version": -1}, "accounts_version_check"),
        (entries, ENTRY, {"sequence": 0}, "entries_sequence_check"),
        (entries, ENTRY, {"hash": b"short"}, "entries_hash_check"),
        (rewards_stock, STOCK, {"taken": -1}, "rewards_stock_taken_check"),
    ],
)
def test_rows_that_can_not_be_right_are_refused(
    service: Engine,
    table: Table,
    row: dict[str, object],
    fault: dict[str, object],
    constraint: str,
) -> None:
    with service.connect() as connection, pytest.raises(DBAPIError, match=constraint):
        connection.execute(insert(table), row | fault)


def test_a_request_id_is_recorded_once_per_member_and_entries_without_one_freely(
    service: Engine,
) -> None:
    with service.connect() as connection:
        connection.execute(insert(entries), ENTRY)
        connection.execute(insert(entries), ENTRY | {"member_id": "bob"})
        for sequence in (2, 3):
            connection.execute(insert(entries), ENTRY | {"sequence": sequence, "request_id": None})
        with pytest.raises(DBAPIError, match="entries_request_id_key"):
            connection.execute(insert(entries), ENTRY | {"sequence": 4})


KEY = {
    "key_id": "aaaaaaaaaaaa",
    "name": "till-7",
    "role": "till",
    "programs": ["coffee"],
    "secret_hash": bytes(32),
    "create_time": NOON,
}


def test_a_key_is_never_changed_nor_deleted_but_revoked_once(
    owner: Engine, service: Engine
) -> None:
    with service.connect() as connection:
        for statement in (insert(api_keys).values(KEY), api_keys.update().values(role="admin")):
            with pytest.raises(DBAPIError, match="permission denied for table api_keys"):
                connection.execute(statement)
    with owner.connect() as connection:
        with pytest.raises(DBAPIError, match="api_keys_secret_hash_check"):
            connection.execute(insert(api_keys), KEY | {"secret_hash": b"short"})
        connection.execute(insert(api_keys), KEY)
        revoked = api_keys.update().values(revoke_time=NOON)
        changes = [
            api_keys.update().values(change)
            for change in (
                {"name": "maria"},
                {"role": "admin"},
                {"programs": None},
                {"secret_hash": bytes(31) + b"x"},
                {"expire_time": "2099-01-01T00:00:00Z"},
                {"quota_per_second": 0},
                {"role": "admin", "revoke_time": NOON},
            )
        ]
        again = [revoked, api_keys.update().values(revoke_time=None)]
        for statement in [*changes, revoked, *changes, *again]:
            if statement is revoked and not connection.scalar(select(api_keys.c.revoke_time)):
                connection.execute(revoked)
                continue
            with pytest.raises(DBAPIError, match="a key can only be revoked, and once"):
                connection.execute(statement)
        for change in ("DELETE FROM api_keys", "TRUNCATE api_keys"):
            for replication in ("origin", "replica"):
                connection.exec_driver_sql(f"SET session_replication_role = {replication}")
                with pytest.raises(DBAPIError, match="api_keys is append-only"):
                    connection.exec_driver_sql(change)


def test_an_entry_knows_the_transaction_that_wrote_it(service: Engine) -> None:
    with service.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        connection.execute(insert(entries), ENTRY)
        written = connection.scalar(select(entries.c.xid))
        assert isinstance(written, int)
        current = connection.exec_driver_sql("SELECT pg_current_xact_id()::text").scalar()
        assert str(written) == current
        found = select(func.count()).where(entries.c.xid >= written)
        assert connection.scalar(found) == 1
        connection.exec_driver_sql("ROLLBACK")


def test_keys_are_ordered_byte_by_byte(service: Engine) -> None:
    names = ["Zoe", "ada", "Émile", "_x"]
    with service.connect() as connection:
        for name in names:
            connection.execute(insert(accounts), ACCOUNT | {"member_id": name})
        stored = connection.scalars(select(accounts.c.member_id).order_by(accounts.c.member_id))
        assert list(stored) == sorted(names, key=str.encode)


def test_the_trial_balance_moves_points_between_accounts_and_sums_to_zero(
    service: Engine,
) -> None:
    moves = [
        ("PURCHASE", 12, "issuance", "member:available"),
        ("EXPIRY", -5, "member:available", "expired"),
        ("ENROLLED", 0, "", ""),
    ]
    with service.connect() as connection:
        for sequence, (kind, points, debit, credit) in enumerate(moves, start=1):
            entry = {"kind": kind, "points": points, "sequence": sequence, "request_id": None}
            accounts_moved = {"debit_account": debit, "credit_account": credit}
            connection.execute(insert(entries), ENTRY | entry | accounts_moved)
        rows = connection.exec_driver_sql("SELECT account, points FROM trial_balance").all()
    assert {row[0]: row[1] for row in rows} == {
        "issuance": -12,
        "member:available": 7,
        "expired": 5,
    }


def test_lots_are_relations_with_instants_exact_to_the_microsecond(service: Engine) -> None:
    far = datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)
    near = datetime(2026, 3, 31, 22, 0, 0, 1, UTC)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    far_time, near_time = (
        (instant - epoch) // timedelta(microseconds=1) for instant in (far, near)
    )
    state = {
        "lots": [[near_time, 70], [far_time, 5], [None, 30]],
        "pending_lots": [[near_time, far_time, 4], [near_time, None, 3]],
    }
    with service.connect() as connection:
        connection.execute(insert(accounts), ACCOUNT | {"state": json.dumps(state)})
        connection.execute(insert(accounts), ACCOUNT | {"member_id": "bob"})
        lots = connection.exec_driver_sql(
            "SELECT expire_time, points FROM lots WHERE member_id = 'ada'"
        ).all()
        pending = connection.exec_driver_sql(
            "SELECT activate_time, expire_time, points FROM pending_lots"
        ).all()
        assert connection.exec_driver_sql("SELECT count(*) FROM lots").scalar() == 3
    assert [tuple(row) for row in lots] == [(near, 70), (far, 5), (None, 30)]
    assert [tuple(row) for row in pending] == [(near, far, 4), (near, None, 3)]


def test_open_holds_are_relations_with_the_points_they_still_hold(service: Engine) -> None:
    lapse = datetime(2026, 3, 1, 12, 15, tzinfo=UTC)
    lapse_time = (lapse - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    holds = (
        Hold(3, lapse_time, 100, (Lot(lapse_time, 70), Lot(None, 30)), 1),
        Hold(4, lapse_time, 0, (), 1, "muffin", 20_000, 1),
    )
    state = encode(Account(version=4, held=100, holds=holds)).decode()
    with service.connect() as connection:
        connection.execute(insert(accounts), ACCOUNT | {"held": 100, "state": state})
        connection.execute(insert(accounts), ACCOUNT | {"member_id": "bob"})
        rows = connection.exec_driver_sql(
            "SELECT member_id, sequence, expire_time, points, reward_id FROM holds"
        ).all()
    assert [tuple(row) for row in rows] == [
        ("ada", 3, lapse, 100, None),
        ("ada", 4, lapse, 0, "muffin"),
    ]


def test_a_warning_is_recorded_once_for_each_date_and_distance(service: Engine) -> None:
    with service.connect() as connection:
        connection.execute(insert(expiry_warnings), WARNING)
        connection.execute(insert(expiry_warnings), WARNING | {"days": 7})
        with pytest.raises(DBAPIError, match="expiry_warnings_pkey"):
            connection.execute(insert(expiry_warnings), WARNING)


def owner_of_a_new_database(server_url: str, attributes: str) -> str:
    """The address of a new database as its owner, a new role with the given attributes."""
    name = f"owner_{uuid.uuid4().hex}"
    run(
        server_url,
        f"CREATE ROLE {name} LOGIN {attributes}",
        f"CREATE DATABASE {name} OWNER {name}",
    )
    return make_url(server_url).set(username=name, database=name).render_as_string()


def run(url: str, *statements: str) -> None:
    engine = open_database(url, role=None)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture
def server_url(request: pytest.FixtureRequest) -> str:
    """A server's address, of PostgreSQL 18 and 15 in turn."""
    if request.param == "15":
        return str(request.getfixturevalue("postgres_15"))
    return str(request.getfixturevalue("own_server").url())


@pytest.mark.parametrize("server_url", ["18", "15"], indirect=True)
def test_who_may_create_roles_may_migrate_and_serve_and_others_learn_what_they_need(
    server_url: str,
) -> None:
    drop_databases(server_url)
    run(server_url, "DROP ROLE IF EXISTS ledger_service")
    powerless = owner_of_a_new_database(server_url, "NOCREATEROLE")
    with pytest.raises(MigrationRefused, match="CREATE ROLE ledger_service NOLOGIN; GRANT"):
        migrate(powerless)
    assert not tables(powerless)

    powerful = owner_of_a_new_database(server_url, "CREATEROLE")
    migrate(powerful)
    engine = open_database(powerful)
    require_current(engine)
    engine.dispose()

    migrate(powerless)  # now that the role is there
    user = make_url(powerless).username
    with pytest.raises(DatabaseUnusable, match=f"GRANT ledger_service TO {user}"):
        open_database(powerless)
    run(server_url, f"GRANT ledger_service TO {user}")
    open_database(powerless).dispose()


def drop_databases(server_url: str) -> None:
    engine = open_database(server_url, role=None)
    with engine.connect() as connection:
        names = connection.exec_driver_sql(
            "SELECT datname FROM pg_database WHERE NOT datistemplate "
            "AND datname NOT IN ('postgres', 'ledger')"
        ).scalars()
        for name in names.all():
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


def tables(url: str) -> list[str]:
    engine = open_database(url, role=None)
    with engine.connect() as connection:
        names = connection.exec_driver_sql(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).scalars()
        found = [str(name) for name in names]
    engine.dispose()
    return found


def test_a_user_without_rights_on_the_database_learns_whose_it_is_to_migrate(
    own_server: EmbeddedServer,
) -> None:
    run(own_server.url(), "DROP ROLE IF EXISTS nobodys", "CREATE ROLE nobodys LOGIN")
    with pytest.raises(MigrationRefused, match=r"permission denied.*owner of the database"):
        migrate(own_server.url().replace("postgres@", "nobodys@"))


def test_a_database_out_of_reach_is_named() -> None:
    with pytest.raises(DatabaseUnusable, match="can not connect to"):
        migrate("postgresql://127.0.0.1:1/nowhere")


@pytest.mark.parametrize("server_url", ["15"], indirect=True)
def test_postgresql_15_gets_the_same_schema(server_url: str, owner: Engine) -> None:
    run(server_url, "CREATE DATABASE same")
    url = make_url(server_url).set(database="same").render_as_string()
    migrate(url)
    old = open_database(url, role=None)
    with old.connect() as on_15, owner.connect() as on_18:
        assert without_not_null(catalog(on_15)) == without_not_null(catalog(on_18))
    old.dispose()


def without_not_null(rows: set[tuple[object, ...]]) -> set[tuple[object, ...]]:
    """From PostgreSQL 18 on, NOT NULL is a constraint with a name, too."""
    return {row for row in rows if not str(row[-1]).startswith("NOT NULL")}
