"""Each fault of the PostgreSQL proxy, shown with plain psycopg2 on a real server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from tests.faults.postgres_proxy import PostgresProxy
from tests.faults.processes import connect

pytestmark = pytest.mark.faults

INSERT = "INSERT INTO proxy_probe VALUES (%s)"


@pytest.fixture
def proxy(database_url: str) -> Iterator[PostgresProxy]:
    with contextlib.closing(connect(database_url)) as connection:
        connection.cursor().execute("CREATE TABLE proxy_probe (number integer PRIMARY KEY)")
    with PostgresProxy(database_url) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: PostgresProxy) -> Iterator[Connection]:
    """A connection through the proxy on which the test sends BEGIN and COMMIT itself."""
    with contextlib.closing(connect(proxy.url())) as connection:
        yield connection


def run(connection: Connection, *statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def insert(connection: Connection, number: int) -> None:
    run(connection, "BEGIN", INSERT % number, "COMMIT")


def stored(database_url: str) -> list[int]:
    with contextlib.closing(connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT number FROM proxy_probe ORDER BY number")
        return [number for (number,) in cursor.fetchall()]


def open_transactions(database_url: str) -> int:
    with contextlib.closing(connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
        )
        (count,) = cursor.fetchone() or (0,)
        return int(count)


def wait_for_no_transaction(database_url: str) -> None:
    deadline = time.monotonic() + 5
    while open_transactions(database_url):
        assert time.monotonic() < deadline, "the server still has the transaction"
        time.sleep(0.01)


def test_without_faults_everything_passes(proxy: PostgresProxy, database_url: str) -> None:
    with contextlib.closing(connect(proxy.url())) as connection:
        insert(connection, 1)
        assert proxy.connections_open == 1

    assert stored(database_url) == [1]
    assert proxy.connections_seen == 1
    assert proxy.commits_seen == proxy.commits_forwarded == proxy.commits_confirmed == 1
    assert proxy.faults_fired == 0
    assert [sql for _, _, sql in proxy.log] == ["BEGIN", INSERT % 1, "COMMIT"]


def test_large_answers_copy_and_errors_pass(client: Connection, database_url: str) -> None:
    rows = io.StringIO("".join(f"{number}\n" for number in range(20_000)))
    with client.cursor() as cursor:
        cursor.copy_expert("COPY proxy_probe FROM STDIN", rows)
        cursor.execute("SELECT number, repeat('x', 500) FROM proxy_probe ORDER BY number")
        assert sum(len(text) for _, text in cursor.fetchall()) == 10_000_000
        out = io.StringIO()
        cursor.copy_expert("COPY proxy_probe TO STDOUT", out)
        assert len(out.getvalue().splitlines()) == 20_000
        with pytest.raises(psycopg2.errors.UniqueViolation):
            cursor.execute(INSERT % 1)
    assert len(stored(database_url)) == 20_000


def test_a_request_to_cancel_passes(proxy: PostgresProxy) -> None:
    # In a process of its own, because psycopg2 waits for the answer without letting go of the
    # interpreter, which the proxy needs to give it.
    script = (
        "import psycopg2, sys, threading\n"
        "connection = psycopg2.connect(sys.argv[1])\n"
        "threading.Timer(0.3, connection.cancel).start()\n"
        "try:\n"
        "    connection.cursor().execute('SELECT pg_sleep(20)')\n"
        "except psycopg2.errors.QueryCanceled:\n"
        "    print('canceled')\n"
    )
    url = proxy.url().replace("+psycopg2", "")
    answer = subprocess.run(
        [sys.executable, "-c", script, url], capture_output=True, text=True, timeout=15, check=True
    )
    assert answer.stdout == "canceled\n"


def test_cut_before_commit_leaves_nothing(
    proxy: PostgresProxy, client: Connection, database_url: str
) -> None:
    fault = proxy.cut_before_commit()

    with pytest.raises(psycopg2.OperationalError):
        insert(client, 1)

    assert client.closed
    wait_for_no_transaction(database_url)
    assert stored(database_url) == []
    assert (fault.fired, proxy.faults_fired) == (1, 1)
    assert (proxy.commits_seen, proxy.commits_forwarded, proxy.commits_confirmed) == (1, 0, 0)


def test_cut_after_commit_is_committed_and_never_answered(
    proxy: PostgresProxy, client: Connection, database_url: str
) -> None:
    fault = proxy.cut_after_commit()

    with pytest.raises(psycopg2.OperationalError):
        insert(client, 1)

    fault.wait()
    assert stored(database_url) == [1]
    assert (proxy.commits_seen, proxy.commits_forwarded, proxy.commits_confirmed) == (1, 1, 1)


def test_a_fault_strikes_the_nth_event_and_only_that(
    proxy: PostgresProxy, client: Connection, database_url: str
) -> None:
    proxy.cut_before_commit(nth=3)
    insert(client, 1)
    insert(client, 2)

    with pytest.raises(psycopg2.OperationalError):
        insert(client, 3)

    with contextlib.closing(connect(proxy.url())) as again:
        insert(again, 4)
    assert stored(database_url) == [1, 2, 4]


def test_a_probable_fault_repeats_with_its_seed(proxy: PostgresProxy, database_url: str) -> None:
    def cut_numbers(start: int) -> list[int]:
        fault = proxy.cut_after_commit(probability=0.3, seed=7)
        connection = connect(proxy.url())
        cut = []
        for number in range(30):
            try:
                insert(connection, start + number)
            except psycopg2.OperationalError:
                cut.append(number)
                connection = connect(proxy.url())
        connection.close()
        fault.disarm()
        assert fault.fired == len(cut)
        return cut

    first = cut_numbers(0)

    assert 3 <= len(first) <= 20
    assert cut_numbers(100) == first
    assert len(stored(database_url)) == 60


def test_hold_commit_answer_delays_what_is_already_committed(
    proxy: PostgresProxy, client: Connection, database_url: str
) -> None:
    fault = proxy.hold_commit_answer(0.5)
    with ThreadPoolExecutor(1) as pool:
        start = time.monotonic()
        answer = pool.submit(insert, client, 1)
        fault.wait()
        assert stored(database_url) == [1]
        assert not answer.done()
        answer.result(5)
    assert 0.5 <= time.monotonic() - start < 3


def test_hold_commit_waits_for_release(
    proxy: PostgresProxy, client: Connection, database_url: str
) -> None:
    fault = proxy.hold_commit()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(insert, client, 1)
        fault.wait()
        time.sleep(0.2)
        assert stored(database_url) == []
        assert open_transactions(database_url) == 1
        fault.release()
        answer.result(5)
    assert stored(database_url) == [1]


def test_a_held_query_of_a_client_that_dies_is_dropped(
    proxy: PostgresProxy, database_url: str
) -> None:
    connection = connect(proxy.url())
    run(connection, "BEGIN", INSERT % 1)
    fault = proxy.hold_commit()
    descriptor = connection.fileno()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(run, connection, "COMMIT")
        fault.wait()
        # What the kernel does to the sockets of a killed process.
        with socket.socket(fileno=descriptor) as raw:
            raw.shutdown(socket.SHUT_RDWR)
            with pytest.raises(psycopg2.OperationalError):
                answer.result(5)
            raw.detach()
    wait_for_no_transaction(database_url)
    fault.release()
    assert stored(database_url) == []
    assert (proxy.commits_seen, proxy.commits_forwarded) == (1, 0)


def test_cut_before_and_after_a_statement(proxy: PostgresProxy, database_url: str) -> None:
    proxy.cut_before(r"insert into proxy_probe\b.*\(1\)")
    with contextlib.closing(connect(proxy.url())) as connection:
        run(connection, "BEGIN", INSERT % 2)
        with pytest.raises(psycopg2.OperationalError):
            run(connection, INSERT % 1)

    proxy.cut_after(r"insert into proxy_probe")
    with (
        contextlib.closing(connect(proxy.url())) as connection,
        pytest.raises(psycopg2.OperationalError),
    ):
        run(connection, INSERT % 3)  # Outside of a transaction: done, but not answered.

    wait_for_no_transaction(database_url)
    assert stored(database_url) == [3]


def test_hold_after_a_copy_does_not_hold_back_its_invitation(
    proxy: PostgresProxy, client: Connection, database_url: str
) -> None:
    proxy.hold_after("COPY", 0.2)
    with client.cursor() as cursor:
        cursor.copy_expert("COPY proxy_probe FROM STDIN", io.StringIO("1\n2\n"))
    assert stored(database_url) == [1, 2]


def test_swallow_passes_nothing_until_released(
    proxy: PostgresProxy, client: Connection, database_url: str
) -> None:
    run(client, "BEGIN", INSERT % 1)
    proxy.swallow()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(run, client, "COMMIT")
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(
                proxy.url().replace("+psycopg2", ""), connect_timeout=2
            )  # Accepted, and never answered.
        assert not answer.done()
        assert stored(database_url) == []
        assert open_transactions(database_url) == 1
        proxy.release()
        answer.result(5)
    assert stored(database_url) == [1]


def test_swallow_hides_that_a_client_has_gone(proxy: PostgresProxy, database_url: str) -> None:
    connection = connect(proxy.url())
    run(connection, "BEGIN", INSERT % 1)
    proxy.swallow()
    connection.close()
    time.sleep(0.3)
    assert open_transactions(database_url) == 1
    proxy.release()
    wait_for_no_transaction(database_url)
    assert stored(database_url) == []


def test_refused_connections_leave_open_ones_alone(
    proxy: PostgresProxy, client: Connection, database_url: str
) -> None:
    for _ in range(3):
        proxy.refuse_connections()
        with pytest.raises(psycopg2.OperationalError, match="refused"):
            connect(proxy.url())
        run(client, "SELECT 1")
        proxy.accept_connections()
        connect(proxy.url()).close()
    insert(client, 1)
    assert stored(database_url) == [1]


def test_cut_all_closes_everything_at_once(proxy: PostgresProxy, database_url: str) -> None:
    connections = [connect(proxy.url()) for _ in range(3)]
    for number, connection in enumerate(connections):
        run(connection, "BEGIN", INSERT % number)

    proxy.cut_all()

    for connection in connections:
        with pytest.raises(psycopg2.OperationalError):
            run(connection, "COMMIT")
    wait_for_no_transaction(database_url)
    assert stored(database_url) == []


def test_an_outage_ends(proxy: PostgresProxy, client: Connection, database_url: str) -> None:
    with proxy.outage():
        with pytest.raises(psycopg2.OperationalError):
            insert(client, 1)
        with pytest.raises(psycopg2.OperationalError, match="refused"):
            connect(proxy.url())
    with contextlib.closing(connect(proxy.url())) as again:
        insert(again, 2)
    assert stored(database_url) == [2]


def test_a_commit_answered_with_rollback_is_counted_as_such(
    proxy: PostgresProxy, client: Connection
) -> None:
    run(client, "BEGIN")
    with pytest.raises(psycopg2.errors.DivisionByZero):
        run(client, "SELECT 1 / 0")
    run(client, "COMMIT")
    assert (proxy.commits_confirmed, proxy.commits_rolled_back) == (0, 1)


def test_a_server_that_is_away_looks_like_a_lost_connection() -> None:
    absent = "postgresql+psycopg2://postgres@/x?host=/nonexistent"
    with PostgresProxy(absent) as proxy, pytest.raises(psycopg2.OperationalError):
        connect(proxy.url())


async def _count_while(answer: asyncio.Future[None]) -> int:
    count = 0
    while not answer.done():
        count += 1
        await asyncio.sleep(0.01)
    return count


def test_it_serves_an_async_test_without_blocking_its_loop(
    proxy: PostgresProxy, database_url: str
) -> None:
    async def scenario() -> None:
        fault = proxy.hold_commit_answer(0.3)
        with contextlib.closing(await asyncio.to_thread(connect, proxy.url())) as connection:
            answer = asyncio.ensure_future(asyncio.to_thread(insert, connection, 1))
            await fault.wait_async()
            assert await _count_while(answer) > 5

    asyncio.run(scenario())
    assert stored(database_url) == [1]
