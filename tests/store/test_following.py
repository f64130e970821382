"""The journal can be followed: nothing is left out, and the order is one for everybody."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection
from sqlalchemy import Engine

from ledger.store import embedded
from ledger.store.database import open_database
from ledger.store.embedded import EmbeddedServer
from ledger.store.following import (
    Page,
    StoredWarning,
    read_changes,
    read_events,
    read_snapshot,
)
from ledger.store.migrate import migrate
from tests.conftest import fresh_database, make_directory

#: (member, sequence), or of a warning (member, -days)
Told = tuple[str, int]

ENTRY = """
INSERT INTO entries (program_id, member_id, sequence, kind, points, debit_account, credit_account,
    rules_version, actor, effective_time, create_time, available_points, held_points, tier_id, data,
    hash)
VALUES (%s, %s, %s, 'ACTIVITY', 0, '', '', 1, 'test', now(), now(), 0, 0, '', '{}',
    sha256(convert_to(%s, 'UTF8')))
"""
WARNING = """
INSERT INTO expiry_warnings (program_id, member_id, expire_time, days, points, inactivity,
    create_time)
VALUES ('coffee', %s, '2030-01-01Z', %s, 1, false, now())
"""


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[EmbeddedServer]:
    """A server of this module's own: a transaction that is open in one database holds the readers
    up in all databases of its server."""
    directory = make_directory()
    with embedded.start(directory / "data") as server:
        migrate(server.url("postgres"))
        with contextlib.closing(psycopg2.connect(server.url("template1"))) as session:
            session.autocommit = True
            run(session, "CREATE DATABASE migrated TEMPLATE postgres")
        yield server
    shutil.rmtree(directory)


@pytest.fixture
def database_url(own_cluster: EmbeddedServer) -> Iterator[str]:
    with contextlib.closing(psycopg2.connect(own_cluster.url("template1"))) as session:
        session.autocommit = True
        with fresh_database(own_cluster, session, "migrated") as url:
            yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(database_url: str) -> Iterator[list[Connection]]:
    """Writers, each in a transaction of its own, as many replicas would be."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(contextlib.closing(psycopg2.connect(database_url)))
            for _ in range(4)
        ]


def run(session: Connection, sql: str, values: tuple[object, ...] = ()) -> Any:
    with session.cursor() as cursor:
        cursor.execute(sql, values)
        row = cursor.fetchone() if cursor.description else None
    return None if row is None else row[0]


def begin(session: Connection) -> int:
    """Give the session's transaction its id, as locking a first row does."""
    return int(run(session, "SELECT pg_current_xact_id()::text"))


def write(session: Connection, member_id: str, sequence: int, program_id: str = "coffee") -> None:
    run(session, ENTRY, (program_id, member_id, sequence, f"{member_id}/{sequence}"))


def told(page: Page) -> list[Told]:
    return [
        (told.member_id, -told.warning.days)
        if isinstance(told, StoredWarning)
        else (told.stored.entry.member_id, told.stored.entry.sequence)
        for told in (event.told for event in page.events)
    ]


def read(database: Engine, since: int = 0, limit: int = 100, program_id: str = "coffee") -> Page:
    with database.connect() as connection:
        return read_events(connection, program_id, since, limit)


def read_all(database: Engine, limit: int, since: int = 0) -> list[Told]:
    found: list[Told] = []
    while True:
        page = read(database, since, limit)
        found += told(page)
        if not page.more:
            return found
        assert page.until > since
        since = page.until


def test_a_page_is_full_at_its_limit_and_ends_with_a_transaction(
    database: Engine, sessions: list[Connection]
) -> None:
    writer = sessions[0]
    for number in range(6):
        for sequence in (1, 2, 3):
            write(writer, f"m-{number}", sequence)
        run(writer, WARNING, (f"m-{number}", 30))
        writer.commit()
    sizes = []
    since, more = 0, True
    while more:
        page = read(database, since, limit=5)
        sizes.append(len(page.events))
        since, more = page.until, page.more
    assert sizes == [8, 8, 8]
    assert read_all(database, 5) == [
        (f"m-{number}", sequence) for number in range(6) for sequence in (1, 2, 3, -30)
    ]
    assert read(database, since).events == []


def test_only_the_events_of_the_program_are_read(
    database: Engine, sessions: list[Connection]
) -> None:
    writer = sessions[0]
    write(writer, "ada", 1)
    write(writer, "ada", 1, "tea")
    writer.commit()
    assert told(read(database)) == [("ada", 1)]
    assert told(read(database, program_id="tea")) == [("ada", 1)]
    assert told(read(database, program_id="milk")) == []


def test_what_is_committed_late_comes_late_and_is_not_left_out(
    database: Engine, sessions: list[Connection]
) -> None:
    early, late, _, _ = sessions
    write(early, "early", 1)
    write(late, "late", 1)
    late.commit()
    held_up = read(database)
    assert (told(held_up), held_up.more) == ([], False)
    early.commit()
    assert told(read(database, held_up.until)) == [("early", 1), ("late", 1)]


def test_what_is_rolled_back_holds_nothing_up(database: Engine, sessions: list[Connection]) -> None:
    early, late, _, _ = sessions
    write(early, "early", 1)
    write(late, "late", 1)
    late.commit()
    early.rollback()
    assert told(read(database)) == [("late", 1)]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_a_transaction_comes_behind_one_that_it_waited_for(
    database: Engine, sessions: list[Connection], limit: int
) -> None:
    first, second, _, _ = sessions
    # The second gets its id, then waits for a member whom the first holds.
    assert begin(second) < begin(first)
    write(first, "ada", 1)
    first.commit()
    write(second, "ada", 2)
    write(second, "bob", 1)
    second.commit()
    assert read_all(database, limit) == [("ada", 1), ("ada", 2), ("bob", 1)]


def test_a_transaction_waits_with_one_that_it_waited_for(
    database: Engine, sessions: list[Connection]
) -> None:
    first, second, third, between = sessions
    begin(third), begin(second), begin(between), begin(first)
    write(between, "eve", 1)
    write(first, "ada", 1)
    first.commit()
    write(second, "ada", 2)
    write(second, "bob", 1)
    second.commit()
    write(third, "bob", 2)
    third.commit()
    # All three are committed, but the first has a later id than one that is open.
    held_up = read(database)
    assert told(held_up) == []
    between.commit()
    rest = [("ada", 1), ("ada", 2), ("bob", 1), ("bob", 2), ("eve", 1)]
    assert told(read(database, held_up.until)) == rest
    for limit in range(1, 6):
        assert read_all(database, limit) == rest


@pytest.mark.parametrize("seed", range(6))
def test_at_any_time_and_on_pages_of_any_size_there_is_one_order(
    database: Engine, sessions: list[Connection], seed: int
) -> None:
    """Writers lock members at random, commit or roll back at random; readers begin anywhere."""
    chance = random.Random(seed)
    sequences = dict.fromkeys("abcdef", 0)
    holders: dict[str, Connection] = {}
    written: dict[Connection, list[Told]] = {session: [] for session in sessions}
    committed: set[Told] = set()
    readers: list[tuple[int, list[Told]]] = [(0, []) for _ in range(3)]
    for _ in range(150):
        session = chance.choice(sessions)
        match chance.choice(("begin", "write", "write", "write", "end", "read")):
            case "begin":
                begin(session)
            case "write":
                member_id = chance.choice("abcdef")
                if holders.setdefault(member_id, session) is session:
                    sequences[member_id] += 1
                    write(session, member_id, sequences[member_id])
                    written[session].append((member_id, sequences[member_id]))
            case "end":
                if chance.random() < 0.2:
                    session.rollback()
                    for member_id, _ in written[session]:
                        sequences[member_id] -= 1
                else:
                    session.commit()
                    committed.update(written[session])
                written[session] = []
                holders = {name: by for name, by in holders.items() if by is not session}
            case "read":
                number = chance.randrange(len(readers))
                since, found = readers[number]
                page = read(database, since, chance.choice((1, 2, 5, 50)))
                readers[number] = (page.until, found + told(page))
    for session in sessions:
        session.commit()
        committed.update(written[session])
    order = read_all(database, 7)
    assert sorted(order) == sorted(committed), f"seed {seed}"
    for since, found in readers:
        assert found + read_all(database, 3, since) == order, f"seed {seed}"
    for member_id, last in sequences.items():
        assert [told for told in order if told[0] == member_id] == [
            (member_id, sequence) for sequence in range(1, last + 1)
        ], f"seed {seed}"


def test_each_change_is_seen_once_as_soon_as_it_is_committed(
    database: Engine, sessions: list[Connection]
) -> None:
    held, quick, _, _ = sessions

    def look(since: Any) -> tuple[Any, set[str]]:
        with database.connect() as connection:
            seen, changes = read_changes(connection, since, {"coffee": [None, "x"], "tea": [None]})
        return seen, {member for members, _ in changes.values() for member in members}

    write(held, "held", 1)
    with database.connect() as connection:
        seen = read_snapshot(connection)
    write(quick, "quick", 1)
    quick.commit()
    seen, changed = look(seen)
    assert changed == {"quick"}, "a transaction that is open holds nothing up here"
    run(quick, WARNING, ("warned", 30))
    quick.commit()
    write(quick, "elsewhere", 1, "milk")
    quick.commit()
    seen, changed = look(seen)
    assert changed == {"warned"}
    held.commit()
    seen, changed = look(seen)
    assert changed == {"held"}
    assert look(seen)[1] == set()


def test_only_changes_of_those_who_are_wanted_are_looked_for(
    database: Engine, sessions: list[Connection]
) -> None:
    writer = sessions[0]
    with database.connect() as connection:
        before = read_snapshot(connection)
        for program_id in ("coffee", "tea", "milk"):
            for member_id in ("ada", "bob"):
                write(writer, member_id, 1, program_id)
        writer.commit()
        _, changes = read_changes(connection, before, {"coffee": ["ada", "eve"], "tea": [None]})
        assert {name: set(members) for name, (members, _) in changes.items()} == {
            "coffee": {"ada"},
            "tea": {"ada", "bob"},
        }
        _, changes = read_changes(connection, before, {"coffee": ["eve"]})
        assert changes == {}


def test_a_reader_that_is_ahead_of_the_database_can_tell(database: Engine) -> None:
    page = read(database, since=2**40)
    assert page.events == []
    assert page.until < 2**40


def test_a_large_table_is_followed_by_its_index(database: Engine, database_url: str) -> None:
    """Whatever the planner knows of it, which is nothing for a table that has just grown."""
    with contextlib.closing(psycopg2.connect(database_url)) as session:
        run(
            session,
            "INSERT INTO entries (program_id, member_id, sequence, kind, points, debit_account,"
            " credit_account, rules_version, actor, effective_time, create_time, available_points,"
            " held_points, tier_id, data, hash, xid) SELECT 'coffee', 'm-' || mod(g, 97), g,"
            " 'ACTIVITY', 0, '', '', 1, 'test', now(), now(), 0, 0, '', '{}', sha256(''),"
            " (1 + g / 10)::text::xid8 FROM generate_series(1, 3000) AS g",
        )
        session.commit()
    for analyzed in (False, True):
        if analyzed:
            with contextlib.closing(psycopg2.connect(database_url)) as session:
                session.autocommit = True
                run(session, "ANALYZE entries")
        plans: list[str] = []
        with database.connect() as connection:
            execute = connection.exec_driver_sql

            def explained(
                sql: str, *values: Any, execute: Any = execute, plans: list[str] = plans
            ) -> Any:
                if "FROM" in sql:
                    rows = execute(f"EXPLAIN {sql}", *values)
                    plans.append("\n".join(row[0] for row in rows))
                return execute(sql, *values)

            connection.exec_driver_sql = explained  # type: ignore[method-assign,assignment]
            since = read_snapshot(connection)
            wanted: dict[str, list[str | None]] = {"coffee": [None], "tea": ["ada", "bob"]}
            read_changes(connection, since, wanted)
            read_changes(connection, since._replace(open=(5, 7)), wanted)
            assert len(read_events(connection, "coffee", 200, 20).events) == 20
        assert len(plans) >= 5
        for plan in plans:
            assert "Seq Scan" not in plan, plan
        assert sum("entries_xid_idx" in plan for plan in plans) >= 4
