"""`ledger doctor`: all is well with a ledger that is, and each thing that can be wrong is found."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest
import trustme
from psycopg2.extensions import connection as Connection
from sqlalchemy import make_url

from ledger.cli import machine
from ledger.config import load
from ledger.store.checkup import examine, server
from ledger.store.checkup.observation import Observation
from ledger.store.embedded import EmbeddedServer
from tests.certificates import Files, write
from tests.cli.conftest import Cli
from tests.faults.transaction_pooler import transaction_pooler

CHECKS = (
    *("server", "clock", "connections", "upkeep", "transactions", "triggers", "rights", "pooler"),
    *("role", "schema", "durability", "timeouts", "log", "verification", "schedule"),
)


def change(url: str, *statements: str) -> None:
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        connection.commit()


def walked(url: str, **walk: float) -> None:
    state = json.dumps({"last_ended": time.time(), "began": time.time(), **walk})
    change(url, f"UPDATE background_work SET state = '{state}' WHERE name = 'verification'")


def found(url: str, check: str, **options: Any) -> Observation:
    """What one check says."""
    return next(one for one in examine(url, **options) if one.check == check)


def with_options(url: str, options: str) -> str:
    return f"{url}&options={quote(options)}"


@pytest.fixture
def well(database_url: str) -> str:
    """The address of a ledger with which all is well."""
    walked(database_url)
    return database_url


@pytest.fixture
def app(well: str, administrator: Connection) -> Iterator[str]:
    """The address of that ledger for a user who may act as the service, and nothing else."""
    with administrator.cursor() as cursor:
        cursor.execute("CREATE ROLE app LOGIN")
        cursor.execute("GRANT ledger_service TO app")
    yield well.replace("postgres@", "app@")
    with administrator.cursor() as cursor:
        cursor.execute("DROP ROLE app")


def test_a_ledger_with_which_all_is_well(well: str) -> None:
    observations = list(examine(well, embedded=True))
    assert [one.check for one in observations] == list(CHECKS)
    assert {one.state for one in observations} == {"OK"}, observations


@pytest.mark.parametrize(
    ("check", "statements", "state", "says"),
    [
        (
            "triggers",
            ["ALTER TABLE entries DISABLE TRIGGER append_only"],
            "FAULT",
            "entries.append_only is off",
        ),
        (
            "triggers",
            ["ALTER TABLE refusals ENABLE TRIGGER append_only"],
            "FAULT",
            "refusals.append_only is off",
        ),
        (
            "triggers",
            ["DROP TRIGGER never_deleted ON api_keys"],
            "FAULT",
            "api_keys.never_deleted is missing",
        ),
        (
            "rights",
            ["GRANT UPDATE, TRUNCATE ON entries TO ledger_service"],
            "FAULT",
            "also has UPDATE on entries, TRUNCATE on entries",
        ),
        (
            "rights",
            ["REVOKE INSERT ON refusals FROM ledger_service"],
            "FAULT",
            "lacks INSERT on refusals",
        ),
        (
            "rights",
            ["REVOKE USAGE ON SCHEMA public FROM ledger_service, public"],
            "FAULT",
            "lacks USAGE on SCHEMA public",
        ),
        (
            "schema",
            ["UPDATE alembic_version SET version_num = '0005'"],
            "FAULT",
            "has schema 0005",
        ),
        (
            "schema",
            ["UPDATE alembic_version SET version_num = '9999'"],
            "OK",
            "9999, which is of a later version",
        ),
        (
            "schema",
            ["ALTER TABLE background_work RENAME TO old_work", "DROP VIEW holds"],
            "FAULT",
            "but background_work, holds is missing",
        ),
        (
            "verification",
            ["UPDATE background_work SET state = ''"],
            "WARNING",
            "never verified",
        ),
        (
            "schedule",
            [
                "INSERT INTO programs VALUES ('p', '', 'EUR', 'UTC', false, NULL, '', now())",
                "INSERT INTO accounts VALUES ('p', 'm', 1, 0, 0, '', '',"
                " now() - interval '5 hours', '{}', '')",
            ],
            "WARNING",
            "due for 5.0 hours",
        ),
    ],
)
def test_what_is_wrong_in_the_database_is_found(
    well: str, check: str, statements: list[str], state: str, says: str
) -> None:
    change(well, *statements)
    one = found(well, check)
    assert one.state == state, one
    assert says in one.found
    assert bool(one.why and one.advice) == (state != "OK")


@pytest.mark.parametrize(
    ("check", "options", "state", "says"),
    [
        ("durability", "-c synchronous_commit=off", "FAULT", "synchronous_commit = off"),
        ("timeouts", "-c statement_timeout=0", "WARNING", "statement_timeout = 0"),
        ("timeouts", "-c lock_timeout=0", "WARNING", "lock_timeout = 0"),
        ("log", "-c log_statement=all", "WARNING", "log_statement = all"),
        ("log", "-c log_min_error_statement=error", "WARNING", "log_min_error_statement = error"),
        ("upkeep", "-c track_counts=off", "WARNING", "track_counts is off"),
    ],
)
def test_settings_that_a_session_should_not_have_are_found(
    well: str, check: str, options: str, state: str, says: str
) -> None:
    one = found(with_options(well, options), check)
    assert one.state == state, one
    assert says in one.found


@pytest.mark.parametrize(
    ("check", "statement", "says"),
    [
        ("schema", "REVOKE SELECT ON alembic_version FROM ledger_service", "permission denied"),
        ("verification", "REVOKE SELECT ON background_work FROM ledger_service", "permission"),
        ("verification", "ALTER TABLE background_work RENAME state TO stand", "does not exist"),
        ("verification", "DELETE FROM background_work", "No row was found"),
        ("schedule", "ALTER TABLE accounts RENAME TO members", "does not exist"),
    ],
)
def test_what_can_not_be_looked_at_is_a_fault_like_any_other(
    well: str, check: str, statement: str, says: str
) -> None:
    change(well, statement)
    one = found(well, check)
    assert (one.state, says in one.found) == ("FAULT", True), one
    assert one.why
    assert one.advice


def test_a_table_that_somebody_has_locked_does_not_stop_the_examination(well: str) -> None:
    with contextlib.closing(psycopg2.connect(well)) as connection:
        connection.cursor().execute("LOCK TABLE accounts, background_work")
        states = {one.check: (one.state, one.found) for one in examine(with_lock_timeout(well))}
    for check in ("verification", "schedule"):
        assert states[check][0] == "FAULT"
        assert "lock timeout" in states[check][1]


def with_lock_timeout(url: str) -> str:
    return with_options(url, "-c lock_timeout=50ms")


@pytest.mark.parametrize("of", ["DATABASE {}", "ROLE app"])
def test_a_database_that_is_only_for_reading_is_found(well: str, app: str, of: str) -> None:
    of = of.format(make_url(well).database)
    change(well, f"ALTER {of} SET default_transaction_read_only = on")
    one = found(app, "server")
    assert (one.state, "only for reading" in one.found) == ("FAULT", True)
    assert "default_transaction_read_only = off" in one.advice


@pytest.mark.parametrize(
    ("prepare", "whose", "advice"),
    [
        (False, "(an analyst)", "pg_terminate_backend("),
        (True, "the prepared transaction 'mine'", "ROLLBACK PREPARED 'mine'"),
    ],
)
def test_a_transaction_that_was_forgotten_is_found(
    well: str, monkeypatch: pytest.MonkeyPatch, prepare: bool, whose: str, advice: str
) -> None:
    monkeypatch.setattr(server, "_LONG_SECONDS", 0.0)
    # Other tests have transactions on this server, too.
    monkeypatch.setattr(
        server, "_LONG_TRANSACTIONS",
        server._LONG_TRANSACTIONS.replace("FROM pg_prepared_xacts", "FROM prepared")
        .replace("WHERE ", "WHERE datname = current_database() AND "),
    )  # fmt: skip
    change(well, "CREATE TABLE prepared AS SELECT * FROM pg_prepared_xacts")
    if prepare:
        change(well, "INSERT INTO prepared (gid, prepared) VALUES ('mine', '2020-01-01')")
    with contextlib.closing(psycopg2.connect(well, application_name="an analyst")) as connection:
        connection.cursor().execute("SELECT 1")
        one = found(well, "transactions")
    assert (one.state, whose in one.found, advice in one.advice) == ("WARNING", True, True), one


def test_a_user_who_can_get_more_rights_than_the_service_needs_is_found(
    well: str, app: str
) -> None:
    one = found(well, "role")
    assert (one.state, "is a superuser" in one.found) == ("WARNING", True)
    assert found(app, "role").state == "OK"
    change(well, "ALTER TABLE entries OWNER TO app")
    one = found(app, "role")
    assert (one.state, "the owner of what is recorded" in one.found) == ("WARNING", True)
    change(well, "ALTER TABLE entries OWNER TO postgres")


def test_a_standby_is_told_from_a_primary(well: str) -> None:
    change(
        well,
        "CREATE FUNCTION public.pg_is_in_recovery() RETURNS bool LANGUAGE sql RETURN true",
    )
    one = found(with_options(well, "-c search_path=public,pg_catalog"), "server")
    assert (one.state, "standby" in one.found) == ("FAULT", True)


@pytest.mark.parametrize(
    ("days", "findings", "state"), [(1, 0, "OK"), (8, 0, "WARNING"), (1, 2, "FAULT")]
)
def test_a_verification_that_is_old_or_found_something_is_told(
    well: str, days: int, findings: int, state: str
) -> None:
    walked(well, last_ended=time.time() - days * 86_400, last_findings=findings)
    one = found(well, "verification")
    assert (one.state, f"{days}.0 days ago" in one.found) == (state, True)
    assert ("2 contradictions" in one.found) == (findings > 0)


def test_a_first_walk_that_goes_on_is_not_old(well: str) -> None:
    walked(well, last_ended=0)
    one = found(well, "verification")
    assert (one.state, "first walk" in one.found) == ("OK", True)


@pytest.mark.parametrize(
    ("skew", "state"), [(0.5, "OK"), (5.0, "WARNING"), (-5.0, "WARNING"), (100.0, "FAULT")]
)
def test_clocks_that_differ_are_found(well: str, skew: float, state: str) -> None:
    one = found(well, "clock", clock=lambda: time.time() - skew)
    assert one.state == state, one
    assert ("ahead of" if skew > 0 else "behind") in one.found


def test_too_few_connections_are_found(well: str) -> None:
    assert found(well, "connections", workers=50).state == "FAULT"
    name = make_url(well).database
    change(well, f"ALTER DATABASE {name} CONNECTION LIMIT 5")
    one = found(well, "connections")
    assert one.state == "FAULT"
    assert "5 allowed, 12 needed by 1 worker" in one.found


def test_connections_that_others_take_are_counted(
    well: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "SERVICE_POOL", 92)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(contextlib.closing(psycopg2.connect(well)))
        assert found(well, "connections").state == "WARNING"


def test_a_table_that_was_not_cleared_up_for_long_is_found(
    well: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_OLD_TRANSACTIONS", 1)
    assert found(well, "upkeep").state == "FAULT"


def test_missing_checksums_are_a_warning(well: str, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = server._setting
    monkeypatch.setattr(
        server, "_setting", lambda c, name: "off" if "checksums" in name else setting(c, name)
    )
    assert found(well, "durability").state == "WARNING"


def test_a_pooler_by_transactions_is_found(well: str) -> None:
    url = make_url(well)
    directory = str(url.query["host"])
    port = url.query.get("port", "5432")
    with transaction_pooler(f"{directory}/.s.PGSQL.{port}") as pooler:
        pooled = f"postgresql://postgres@127.0.0.1:{pooler.port}/{url.database}"
        one = found(pooled, "pooler")
    assert one.state == "FAULT"
    assert "by transaction" in one.found


@pytest.fixture
def stranger(well: str, administrator: Connection) -> Iterator[str]:
    """The address of the ledger for somebody who may not act as the service."""
    with administrator.cursor() as cursor:
        cursor.execute("CREATE ROLE passer_by LOGIN")
    yield well.replace("postgres@", "passer_by@")
    with administrator.cursor() as cursor:
        cursor.execute("DROP ROLE passer_by")


def test_who_may_not_act_as_the_service_is_told_so(stranger: str) -> None:
    observations = list(examine(stranger))
    assert observations[-1].check == "role"
    assert observations[-1].state == "FAULT"
    assert "GRANT ledger_service TO passer_by" in observations[-1].found
    assert {one.state for one in observations[:-1]} == {"OK"}


def test_who_may_act_as_the_service_and_nothing_else_can_examine(
    stranger: str, administrator: Connection
) -> None:
    with administrator.cursor() as cursor:
        cursor.execute("GRANT ledger_service TO passer_by")
    assert {one.check: one.state for one in examine(stranger)} == dict.fromkeys(CHECKS, "OK")


def test_a_database_without_a_ledger_or_out_of_reach_is_a_fault(
    cluster: EmbeddedServer, administrator: Connection
) -> None:
    with administrator.cursor() as cursor:
        cursor.execute("CREATE DATABASE doctor_empty")
        try:
            one = found(cluster.url("doctor_empty"), "schema")
        finally:
            cursor.execute("DROP DATABASE doctor_empty")
    assert (one.state, "no ledger yet" in one.found) == ("FAULT", True)
    (lost,) = examine("postgresql://me:secret@127.0.0.1:1/nowhere")
    assert (lost.check, lost.state) == ("server", "FAULT")
    assert "secret" not in str(lost)


def test_what_a_check_looks_at_is_not_changed(well: str) -> None:
    with contextlib.closing(psycopg2.connect(well)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()

        def written() -> Any:
            cursor.execute(
                "SELECT relname, pg_stat_get_tuples_inserted(oid), pg_stat_get_tuples_updated(oid),"
                " pg_stat_get_tuples_deleted(oid) FROM pg_class WHERE relkind = 'r'"
                " AND relnamespace = 'public'::regnamespace ORDER BY 1"
            )
            return cursor.fetchall()

        before = written()
        list(examine(well))
        assert written() == before


# -- the machine ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "total", "state"),
    [(50, 100, "OK"), (1, 100, "WARNING"), (1, 5, "OK"), (0.1, 0.5, "FAULT"), (0.1, 100, "FAULT")],
)
def test_a_disk_that_is_nearly_full_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: float, total: float, state: str
) -> None:
    usage = SimpleNamespace(free=free * 2**30, total=total * 2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert machine.check_disk(tmp_path / "not" / "there" / "yet").state == state


def test_the_disk_of_a_database_by_url_is_unknown(well: str) -> None:
    (one,) = machine.examine_machine(load({"database_url": well}))
    assert (one.check, one.state) == ("disk", "UNKNOWN")


@pytest.mark.parametrize(("days", "state"), [(15, "OK"), (13, "WARNING"), (-1, "FAULT")])
def test_a_certificate_that_ends_soon_is_found(tmp_path: Path, days: int, state: str) -> None:
    authority = trustme.CA()
    files = Files(tmp_path, authority)
    ends = datetime.now(UTC) + timedelta(days=100)
    issued = authority.issue_cert("localhost", not_after=ends)
    write(files.certificate, b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    write(files.key, issued.private_key_pem.bytes())
    one = machine.check_certificate(files.options, ends - timedelta(days=days))
    assert one.state == state, one


def test_files_of_tls_and_signing_keys_that_can_not_be_used_are_found(tmp_path: Path) -> None:
    files = Files(tmp_path, trustme.CA())
    files.key.write_bytes(trustme.CA().issue_cert("other").private_key_pem.bytes())
    token_keys = tmp_path / "token-keys.json"
    token_keys.write_text("{")
    chosen = load(
        {
            "tls_certificate": files.certificate,
            "tls_key": files.key,
            "token_keys": token_keys,
        }
    )
    states = {one.check: one.state for one in machine.examine_machine(chosen)}
    assert states == {"disk": "OK", "certificate": "FAULT", "token keys": "FAULT"}


# -- the command ---------------------------------------------------------------------------------


def test_the_command_says_what_is_wrong_why_and_what_to_do(well: str, app: str, cli: Cli) -> None:
    healthy = cli("doctor", "--database-url", app)
    assert healthy.code == 0, healthy.out
    assert "✓ all is well" in healthy.out
    change(well, "ALTER TABLE entries DISABLE TRIGGER append_only")
    walked(well, last_ended=1.0)
    told = cli("doctor", "--database-url", app)
    assert told.code == 1
    for text in ("✗  triggers", "!  verification", "→ ALTER TABLE", "1 fault and 1 warning"):
        assert text in told.out
    machine_readable = cli("doctor", "--database-url", app, "--json")
    assert (machine_readable.code, machine_readable.json["well"]) == (1, False)
    states = {one["check"]: one["state"] for one in machine_readable.json["checks"]}
    assert states.keys() == {*CHECKS, "disk"}
    assert (states["triggers"], states["verification"]) == ("FAULT", "WARNING")


def test_warnings_alone_are_exit_code_0(well: str, app: str, cli: Cli) -> None:
    walked(well, last_ended=1.0)
    result = cli("doctor", "--database-url", app)
    assert (result.code, "! 1 warning" in result.out) == (0, True)


def test_a_database_that_is_not_there_is_a_fault_like_any_other(cli: Cli) -> None:
    result = cli("doctor", "--database-url", "postgresql://me:secret@127.0.0.1:1/x", "--json")
    assert result.code == 1
    assert result.json["checks"][0]["state"] == "FAULT"
    assert "secret" not in result.out + result.err
