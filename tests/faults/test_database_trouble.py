"""A database that is there, and does not do what is wanted: locks, read-only, no connection free.

Whoever is not concerned is served; whoever is gets UNAVAILABLE with a time to come back; and
nothing needs a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from ledger.core.commands import Command
from ledger.core.errors import LedgerError, StorageUnavailable
from ledger.store.migrate import migrate
from tests.conftest import RunningServer
from tests.faults.engines import (
    RunningEngine,
    add_program,
    assert_sound,
    buy,
    enroll,
    make_program,
    requests_posted,
    running_engine,
    summary,
)
from tests.faults.postgres_proxy import PostgresProxy
from tests.faults.processes import (
    PrivatePostgres,
    backend_pids,
    connect,
    terminate_backend,
)
from tests.service.client import Failure, GrpcClient, failure_of
from tests.service.requests import enrollment, program, purchase

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]

MEMBERS = [f"m-{number}" for number in range(1, 9)]


@pytest.fixture
def running(shop_url: str) -> Iterator[RunningEngine]:
    """An engine with members, that does not wait long for a lost database."""
    with running_engine(shop_url, recovery_seconds=2.0) as running:
        asyncio.run(running.write(*(enroll(member) for member in MEMBERS)))
        yield running


@pytest.fixture
def other(shop_url: str) -> Iterator[Connection]:
    """Somebody else's connection: an analyst's, or another program's."""
    with contextlib.closing(connect(shop_url)) as connection:
        yield connection


def run(connection: Connection, *statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def lock(connection: Connection, member_id: str) -> None:
    run(connection, "BEGIN", f"SELECT FROM accounts WHERE member_id = '{member_id}' FOR UPDATE")


def end_sessions(database_url: str) -> None:
    """End every session of the service, so that it has to connect anew."""
    for pid in backend_pids(database_url, "ledger"):
        terminate_backend(database_url, pid)


async def test_a_member_that_somebody_else_has_locked_fails_alone_and_soon(
    running: RunningEngine, other: Connection, shop_url: str
) -> None:
    lock(other, "m-3")
    began = time.monotonic()
    outcomes = await running.write(*(buy(number, f"m-{number}") for number in range(1, 9)))
    first_seconds = time.monotonic() - began
    assert summary(outcomes) == ["first"] * 2 + ["STORAGE_UNAVAILABLE"] + ["first"] * 5
    refusal = outcomes[2]
    assert isinstance(refusal, LedgerError)
    assert (refusal.code, refusal.retry_after) == ("UNAVAILABLE", 1.0)
    assert running.metric("ledger_retries_total", cause="lock_timeout") >= 1

    # Once it is known, nobody waits for it, as often as it is asked for.
    began = time.monotonic()
    for number in range(10, 15):
        outcomes = await running.write(buy(number, "m-1"), buy(3, "m-3"))
        assert summary(outcomes) == ["first", "STORAGE_UNAVAILABLE"]
    assert time.monotonic() - began < 1 + first_seconds / 2

    run(other, "ROLLBACK")
    assert summary(await running.write(buy(3, "m-3"))) == ["first"]
    assert running.metric("ledger_commit_unknown_total") == 0
    assert_sound(shop_url)


def test_over_the_wire_a_locked_member_is_unavailable_with_a_time_to_come_back(
    server: RunningServer,
) -> None:
    client = GrpcClient(server.grpc_address)
    client.create_program(program(sandbox=False))
    client.enroll_member(enrollment("m-1"))
    client.enroll_member(enrollment("m-2"))
    with contextlib.closing(connect(server.database_url)) as other:
        lock(other, "m-1")
        failure = failure_of(client.record_purchase, purchase(1, member_id="m-1"))
        client.record_purchase(purchase(2, member_id="m-2"))
    assert (failure.code, failure.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    assert failure.retry_seconds == 1.0
    with urllib.request.urlopen(f"http://{server.http_address}/metrics", timeout=5) as page:
        shown = page.read().decode()
    assert 'ledger_unavailable_total{reason="STORAGE_UNAVAILABLE"} 1.0' in shown
    assert 'ledger_unavailable_total{reason="OVERLOADED"} 0.0' in shown
    assert not client.record_purchase(purchase(1, member_id="m-1")).replayed
    client.close()


async def test_a_deadlock_with_somebody_who_locks_in_another_order_heals(
    running: RunningEngine, other: Connection, shop_url: str
) -> None:
    for round_number in range(2):
        lock(other, "m-2")
        writing = asyncio.create_task(
            running.write(
                buy(f"{round_number}-1", "m-1"),
                buy(f"{round_number}-2", "m-2"),
                buy(f"{round_number}-3", "m-3"),
            )
        )
        await asyncio.sleep(0.2)  # it has m-1, and waits for m-2
        reverse = "SELECT FROM accounts WHERE member_id = 'm-1' FOR UPDATE"
        with contextlib.suppress(psycopg2.OperationalError):  # either side may be the victim
            await asyncio.to_thread(run, other, reverse)
        run(other, "ROLLBACK")
        outcomes = summary(await writing)
        assert set(outcomes) <= {"first", "STORAGE_UNAVAILABLE"}
        assert outcomes[2] == "first"
    again = [buy(f"{n}-{m}", f"m-{m}") for n in range(2) for m in range(1, 4)]
    assert set(summary(await running.write(*again))) <= {"first", "replayed"}
    assert set(summary(await running.write(*again))) == {"replayed"}
    assert_sound(shop_url)


async def test_two_replicas_that_enrol_the_same_members_do_not_deadlock(
    other: Connection, shop_url: str
) -> None:
    """New members have no row that could be locked in order: they meet while they are inserted."""
    name = shop_url.partition("?")[0].rpartition("/")[2]
    run(other, f"ALTER DATABASE {name} SET deadlock_timeout = '100ms'")
    with running_engine(shop_url) as first, running_engine(shop_url) as second:
        for round_number in range(4):
            commands = [buy(f"{round_number}-{n}", f"new-{round_number}-{n}") for n in range(400)]
            answers = await asyncio.gather(first.write(*commands), second.write(*commands[::-1]))
            words = [word for outcomes in answers for word in summary(outcomes)]
            assert (words.count("first"), words.count("replayed")) == (400, 400)
    with other.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = %s", (name,))
        assert cursor.fetchone() == (0,)
    assert_sound(shop_url)


async def test_a_lock_on_the_whole_table_is_waited_for_a_bounded_time(
    running: RunningEngine, other: Connection, shop_url: str
) -> None:
    run(other, "BEGIN", "LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE")
    began = time.monotonic()
    outcomes = await running.write(*(buy(number, f"m-{number}") for number in range(1, 9)))
    assert summary(outcomes) == ["STORAGE_UNAVAILABLE"] * 8
    assert time.monotonic() - began < 6
    run(other, "ROLLBACK")
    outcomes = await running.write(*(buy(number, f"m-{number}") for number in range(1, 9)))
    assert summary(outcomes) == ["first"] * 8
    assert_sound(shop_url)


async def test_a_new_connection_that_could_not_be_made_ready_is_not_kept(
    running: RunningEngine, other: Connection, shop_url: str
) -> None:
    """Preparing the statements needs the tables, which somebody has locked."""
    run(other, "BEGIN", "LOCK TABLE entries IN ACCESS EXCLUSIVE MODE")
    end_sessions(shop_url)
    assert summary(await running.write(buy(1))) == ["STORAGE_UNAVAILABLE"]
    run(other, "ROLLBACK")
    assert summary(await running.write(buy(1))) == ["first"]


async def test_prepared_statements_that_are_gone_are_prepared_again(
    running: RunningEngine, shop_proxy: PostgresProxy
) -> None:
    with running_engine(shop_proxy.url()) as behind:
        assert summary(await behind.write(buy(1))) == ["first"]
        connection = behind.engine._writer._connection
        assert connection is not None
        connection.cursor().execute("DEALLOCATE ALL")
        assert summary(await behind.write(buy(2))) == ["first"]


async def test_a_statement_that_takes_too_long_is_given_up(
    running: RunningEngine, other: Connection, shop_url: str
) -> None:
    """The new receipt waits for somebody's uncommitted one, and statements may take 0.3 s."""
    name = shop_url.partition("?")[0].rpartition("/")[2]
    options = f"{shop_url}&options=-c%20statement_timeout%3D300ms%20-c%20lock_timeout%3D0"
    assert name
    with running_engine(options, recovery_seconds=2.0) as impatient:
        run(
            other,
            "BEGIN",
            "INSERT INTO purchases VALUES ('bean-street', 'receipt-1', 'm-8', 1)",
        )
        outcomes = summary(await impatient.write(buy(1, "m-1"), buy(2, "m-2")))
        assert outcomes == ["STORAGE_UNAVAILABLE", "first"]
        run(other, "ROLLBACK")
        assert summary(await impatient.write(buy(1, "m-1"))) == ["first"]
    assert_sound(shop_url)


async def test_a_read_only_database_is_unavailable_and_heals(
    running: RunningEngine, other: Connection, shop_url: str
) -> None:
    """As after a failover, when connections lead to what is now a standby."""
    name = shop_url.partition("?")[0].rpartition("/")[2]
    run(other, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    end_sessions(shop_url)
    (refusal,) = await running.write(buy(1))
    assert isinstance(refusal, LedgerError)
    assert (refusal.reason, refusal.retry_after) == ("STORAGE_UNAVAILABLE", 1.0)
    with pytest.raises(StorageUnavailable):
        await running.engine.run(add_program, running.database, "another")

    run(
        other,
        "SET default_transaction_read_only = off",
        f"ALTER DATABASE {name} RESET default_transaction_read_only",
    )
    assert summary(await running.write(buy(1))) == ["first"]
    await running.engine.run(add_program, running.database, "another")
    assert running.metric("ledger_database_up") == 1


async def test_no_connection_left_is_unavailable_and_heals(
    running: RunningEngine, other: Connection, shop_url: str
) -> None:
    name = shop_url.partition("?")[0].rpartition("/")[2]
    run(
        other,
        f"CREATE ROLE {name} LOGIN CONNECTION LIMIT 2 IN ROLE ledger_service",
    )
    address = shop_url.replace("postgres@", f"{name}@")
    try:
        with running_engine(address, recovery_seconds=1.0) as limited:
            assert summary(await limited.write(buy(1))) == ["first"]
            end_sessions(shop_url)
            with (
                contextlib.closing(connect(address)),
                contextlib.closing(connect(address)),
            ):
                assert summary(await limited.write(buy(2))) == ["STORAGE_UNAVAILABLE"]
                assert limited.metric("ledger_database_up") == 0
            assert summary(await limited.write(buy(2))) == ["first"]
    finally:
        run(other, f"DROP ROLE {name}")
    assert_sound(shop_url)


async def test_sessions_that_are_ended_are_replaced(running: RunningEngine, shop_url: str) -> None:
    """Also those that wait in the pool: reads notice them no sooner than they are used."""
    for number in range(5):
        await asyncio.gather(*(running.engine.program("bean-street", 1) for _ in range(4)))
        await running.engine.read("bean-street", "m-1")
        end_sessions(shop_url)
        assert summary(await running.write(buy(number))) == ["first"]
        end_sessions(shop_url)
        _, read = await running.engine.read("bean-street", "m-1")
        assert read.account.available == 10 * (number + 1)
    assert_sound(shop_url)


async def test_an_account_that_cannot_be_read_fails_alone(
    running: RunningEngine, other: Connection
) -> None:
    run(other, "UPDATE accounts SET state = '{' WHERE member_id = 'm-4'")
    outcomes = await running.write(*(buy(number, f"m-{number}") for number in range(3, 6)))
    assert summary(outcomes) == ["first", "INTERNAL", "first"]
    reads = await asyncio.gather(
        *(running.engine.read("bean-street", member) for member in MEMBERS),
        return_exceptions=True,
    )
    failed = [
        member
        for member, read in zip(MEMBERS, reads, strict=True)
        if isinstance(read, BaseException)
    ]
    assert failed == ["m-4"]


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A directory on a file system of that size. Skips the test where it can not be mounted."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(directory)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
        if mounted.returncode != 0:
            pytest.skip(f"a small disk can not be mounted: {mounted.stderr.strip()}")
        try:
            yield directory
        finally:
            subprocess.run(["umount", str(directory)], check=True)
    finally:
        directory.rmdir()


async def test_a_full_disk_is_unavailable_and_heals() -> None:
    with small_disk(megabytes=160) as directory:
        server = PrivatePostgres(directory)
        server.start()
        try:
            url = server.create_database("small")
            migrate(url)
            make_program(url)
            with running_engine(url, recovery_seconds=1.0) as running:
                assert summary(await running.write(buy("before"))) == ["first"]
                ballast = directory / "ballast"
                with ballast.open("wb") as file, contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(64 * 1024))
                answers: list[str] = []
                while answers.count("first") + 2 > len(answers):
                    outcome = summary(await running.write(*_large(len(answers))))
                    answers += set(outcome)  # one batch, one fate
                assert set(answers) <= {"first", "STORAGE_UNAVAILABLE", "COMMIT_UNKNOWN"}
                ballast.unlink()
                assert await _until_answered(running)
                for number, answer in enumerate(answers):
                    again = set(summary(await running.write(*_large(number))))
                    assert again == {"replayed"} or (answer != "first" and again == {"first"})
            assert set(requests_posted(url).values()) == {1}
            assert_sound(url)
        finally:
            server.stop()


def _large(number: int) -> list[Command]:
    """Purchases that need some room."""
    return [
        buy(f"{number}-{part}", f"m-{number}", terminal_id=f"{number}-{part}-".ljust(128, "x"))
        for part in range(200)
    ]


async def _until_answered(running: RunningEngine) -> bool:
    for _ in range(40):
        if summary(await running.write(buy("after"))) in (["first"], ["replayed"]):
            return True
        await asyncio.sleep(0.25)
    return False


def answer_to(client: GrpcClient, number: int) -> str:
    try:
        client.record_purchase(purchase(number, "1.00"))
    except Failure as failure:
        return failure.code
    return "OK"


def test_a_client_that_keeps_the_rules_sees_no_restart_of_its_sessions(
    server: RunningServer,
) -> None:
    """Ten times every session of the service is ended under load; no call fails but UNAVAILABLE."""
    client = GrpcClient(server.grpc_address)
    client.create_program(program(sandbox=False))
    client.enroll_member(enrollment("m-1"))
    done = 0
    for number in range(60):
        if number % 6 == 0:
            end_sessions(server.database_url)
        answers = [answer_to(client, number) for _ in range(3)]
        assert set(answers) <= {"OK", "UNAVAILABLE"}
        done += "OK" in answers
    assert done == 60
    client.close()
    assert_sound(server.database_url)
