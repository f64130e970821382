"""Many writers, strange clocks, poison and locks: what is committed stays consistent throughout."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from ledger.core.commands import Command, EnrollMember, RecordPurchase
from ledger.core.decide import decide
from ledger.core.errors import DeadlineExceeded, LedgerError
from ledger.core.model import Account, Receipt
from ledger.core.posting import Context, Posting
from ledger.engine.batch import Item, Outcome
from ledger.v1 import audit_pb2, points_pb2, types_pb2
from tests.conftest import RunningServer, running_server
from tests.service.client import Client, Failure, GrpcClient, JsonClient, failure_of
from tests.service.requests import (
    PROGRAM,
    balance,
    batch,
    clock,
    contents,
    entries,
    open_program,
    purchase,
)
from tests.service.test_operations import metrics, sample
from tests.service.together import Tills

HOUR = 3_600 * 1_000_000

#: Each selects what must not be there. The accounts are folded here anew, in SQL.
CONTRADICTIONS = {
    "a balance that is not the fold of its entries": """
        SELECT a.member_id, a.available, f.available, a.version, f.entries
        FROM accounts a FULL JOIN (
            SELECT program_id, member_id, count(*) AS entries,
                sum(CASE 'member:available' WHEN credit_account THEN abs(points)
                    WHEN debit_account THEN -abs(points) ELSE 0 END) AS available,
                sum(CASE 'member:pending' WHEN credit_account THEN abs(points)
                    WHEN debit_account THEN -abs(points) ELSE 0 END) AS pending
            FROM entries GROUP BY program_id, member_id
        ) f USING (program_id, member_id)
        WHERE (a.available, a.version, coalesce((a.state::jsonb ->> 'pending')::bigint, 0))
            IS DISTINCT FROM (f.available, f.entries, f.pending)""",
    "a balance that is not the sum of its lots": """
        SELECT a.member_id, a.available, l.points FROM accounts a LEFT JOIN (
            SELECT program_id, member_id, sum(points) AS points FROM lots GROUP BY 1, 2
        ) l USING (program_id, member_id) WHERE a.available <> coalesce(l.points, 0)""",
    "pending points that are not the sum of their lots": """
        SELECT a.member_id, a.state, l.points FROM accounts a LEFT JOIN (
            SELECT program_id, member_id, sum(points) AS points FROM pending_lots GROUP BY 1, 2
        ) l USING (program_id, member_id)
        WHERE coalesce((a.state::jsonb ->> 'pending')::bigint, 0) <> coalesce(l.points, 0)""",
    "a negative balance": "SELECT member_id FROM accounts WHERE least(available, held) < 0",
    "a negative or wrong balance on an entry": """
        SELECT member_id, sequence FROM (
            SELECT *, sum(CASE 'member:available' WHEN credit_account THEN abs(points)
                WHEN debit_account THEN -abs(points) ELSE 0 END)
                OVER (PARTITION BY program_id, member_id ORDER BY sequence) AS folded
            FROM entries
        ) e WHERE available_points <> folded OR available_points < 0 OR held_points < 0""",
    "a trial balance other than zero": """
        SELECT program_id, sum(points) FROM trial_balance GROUP BY 1 HAVING sum(points) <> 0""",
    "a gap in a sequence": """
        SELECT member_id FROM entries GROUP BY program_id, member_id
        HAVING min(sequence) <> 1 OR max(sequence) <> count(*)""",
    "a head that is not the last entry's hash": """
        SELECT a.member_id FROM accounts a LEFT JOIN entries e ON e.program_id = a.program_id
            AND e.member_id = a.member_id AND e.sequence = a.version
        WHERE e.hash IS DISTINCT FROM a.head_hash""",
    "a create_time that goes back": """
        SELECT member_id, sequence FROM (SELECT *, lag(create_time) OVER (
            PARTITION BY program_id, member_id ORDER BY sequence) AS before FROM entries) e
        WHERE create_time < before""",
    "a receipt that is not its entry": """
        SELECT p.purchase_id, e.purchase_id FROM purchases p
        FULL JOIN (SELECT * FROM entries WHERE kind = 'PURCHASE') e
            ON (e.program_id, e.purchase_id) = (p.program_id, p.purchase_id)
        WHERE (p.member_id, p.sequence) IS DISTINCT FROM (e.member_id, e.sequence)""",
}


def contradictions(connection: Connection) -> dict[str, list[Any]]:
    """What does not hold in one snapshot of the whole database; empty = all of it holds."""
    connection.set_session(isolation_level="REPEATABLE READ")
    found = {}
    with connection, connection.cursor() as cursor:
        for name, query in CONTRADICTIONS.items():
            cursor.execute(query)
            if rows := cursor.fetchall():
                found[name] = rows
    return found


def verify_everyone(client: Client, members: Sequence[str]) -> None:
    for member in members:
        request = audit_pb2.VerifyMemberRequest(program_id=PROGRAM, member_id=member)
        assert not client.verify_member(request).findings


# -- under load ---------------------------------------------------------------------------------


def test_every_snapshot_is_consistent_while_two_replicas_write(
    replicas: tuple[RunningServer, RunningServer],
) -> None:
    members = [f"m-{index}" for index in range(6)]
    opener = GrpcClient(replicas[0].grpc_address)
    open_program(
        opener,
        [],
        expiry={"after_months": 1},
        members={"auto_enroll": True},
        bonuses=[{"id": "welcome", "on": "ENROLLMENT", "points": 50, "expires_days": 20}],
        earning={"rate": {"points": 1, "per": "1.00"}, "pending_days": 3, "backdate_days": 60},
    )
    stop, months_passed = threading.Event(), threading.Event()
    numbers = itertools.count()

    def write(seed: int, client: Client) -> int:
        dice = random.Random(seed)
        done = 0
        while not stop.is_set():
            number = next(numbers)
            member = dice.choice(members)
            requests = [purchase(number, f"{dice.randrange(1, 90)}.00", member_id=member)]
            # Repeats, receipts of others, and other content under a used request id.
            requests += [
                purchase(other, "7.00", member_id=dice.choice(members))
                for other in dice.sample(range(number + 1), min(3, number + 1))
            ]
            if dice.random() < 0.5:
                client.batch_write(batch(*requests))
                done += 1
            else:
                for request in requests:
                    try:
                        client.record_purchase(request)
                        done += 1
                    except Failure as failure:
                        if failure.code not in ("FAILED_PRECONDITION", "ALREADY_EXISTS"):
                            raise
        return done

    def advance() -> int:
        for day in range(1, 1_000):
            month, day_of_month = divmod(day, 28)
            year, month = divmod(month, 12)
            time_text = f"{2026 + year}-{month + 1:02}-{day_of_month + 1:02}T12:00:00Z"
            with contextlib.suppress(Failure):  # the first of them lie before the first clock
                opener.advance_clock(clock(time_text))
            if day == 84:
                months_passed.set()
            if stop.wait(0.02):
                return day
        return 1_000

    with (
        Tills(replicas, 8) as tills,
        ThreadPoolExecutor(9) as threads,
        contextlib.closing(psycopg2.connect(replicas[0].database_url)) as connection,
    ):
        writers = [threads.submit(write, *pair) for pair in enumerate(tills.clients)]
        clockwork = threads.submit(advance)
        snapshots = 0
        ends_at = time.monotonic() + 4
        try:
            while time.monotonic() < ends_at or not months_passed.is_set():
                assert contradictions(connection) == {}
                snapshots += 1
                assert not any(future.done() for future in writers)
        finally:
            stop.set()
        assert sum(future.result() for future in writers) > 50
        assert clockwork.result() > 10
        assert snapshots > 5
        assert contradictions(connection) == {}
    kinds = {entry.kind for m in members for entry in opener.list_entries(entries(m)).entries}
    assert {types_pb2.ENTRY_KIND_EXPIRY, types_pb2.ENTRY_KIND_ACTIVATION} <= kinds
    verify_everyone(opener, members)
    opener.close()


# -- clocks -------------------------------------------------------------------------------------


def test_create_time_never_goes_back_whatever_the_clock_does(database_url: str) -> None:
    dice = random.Random(7)
    start = time.time_ns() // 1_000

    def jumping() -> int:
        return start + dice.randrange(-30 * 24 * HOUR, 30 * 24 * HOUR)

    with running_server(database_url, clock=jumping) as server:
        client = GrpcClient(server.grpc_address)
        open_program(client, sandbox=False, expiry={"after_months": 1})
        seen = 0
        for number in range(60):
            receipt = client.record_purchase(purchase(number, "1.00"))
            assert receipt.entries[0].create_time.ToMicroseconds() >= seen
            seen = receipt.entries[0].create_time.ToMicroseconds()
            read = client.get_balance(balance(min_version=receipt.balance.version))
            assert read.as_of_time.ToMicroseconds() >= seen
        verify_everyone(client, ["m-1"])
        with contextlib.closing(psycopg2.connect(database_url)) as connection:
            assert contradictions(connection) == {}
        client.close()


def test_replicas_whose_clocks_differ_write_one_history(database_url: str) -> None:
    def ahead() -> int:
        return time.time_ns() // 1_000 + 3 * HOUR

    with running_server(database_url) as first, running_server(database_url, clock=ahead) as second:
        opener = GrpcClient(first.grpc_address)
        open_program(opener, sandbox=False)
        with Tills((first, second), 8) as tills:
            for number in range(5):
                answers = tills.all(
                    lambda client, number=number: client.record_purchase(  # type: ignore[misc]
                        purchase(f"{number}-{id(client)}", "1.00")
                    )
                )
                assert all(isinstance(answer, types_pb2.Receipt) for answer in answers), answers
        listed = opener.list_entries(entries()).entries
        assert [entry.sequence for entry in listed] == list(range(41, 0, -1))
        times = [entry.create_time.ToMicroseconds() for entry in reversed(listed)]
        assert times == sorted(times)
        # The slow replica, too, answers for the present of the account.
        assert opener.get_balance(balance()).as_of_time == listed[0].create_time
        verify_everyone(opener, ["m-1"])
        opener.close()


# -- poison -------------------------------------------------------------------------------------


def poisoned(account: Account | None, command: Command, context: Context) -> Posting:
    if command.request_id == "request-poison":
        raise ZeroDivisionError("a secret of the inside")
    return decide(account, command, context)


def test_a_command_that_cannot_be_decided_fails_alone(
    client: Client, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_program(client, ["m-1", "m-2"])
    writes = [purchase(number, member_id=f"m-{1 + number % 2}") for number in range(10)]
    writes.insert(5, purchase("poison"))
    with monkeypatch.context() as patch:
        patch.setattr("ledger.engine.batch.decide", poisoned)
        results = client.batch_write(batch(*writes)).results
        alone = failure_of(client.record_purchase, purchase("poison"))
    for failure in (Failure(results[5].error), alone):
        assert (failure.code, failure.reason) == ("INTERNAL", "INTERNAL")
        assert "secret" not in str(failure)
        assert failure.metadata == {}
    assert [result.WhichOneof("outcome") for result in results] == (
        ["receipt"] * 5 + ["error"] + ["receipt"] * 5
    )
    # It left nothing behind: the same request succeeds once the cause is gone.
    assert not client.record_purchase(purchase("poison")).replayed
    verify_everyone(client, ["m-1", "m-2"])


def submitted(server: RunningServer, commands: Sequence[Command]) -> list[Outcome]:
    """Outcomes of commands that did not come through the edge, which would have refused some."""
    items = [Item(command, "test") for command in commands]
    return asyncio.run(server.service.engine.submit_all(items))


def buy(number: object, **more: Any) -> RecordPurchase:
    given: dict[str, Any] = {
        "program_id": PROGRAM,
        "member_id": "m-1",
        "request_id": f"request-{number}",
        "purchase_id": f"receipt-{number}",
        "amount": 1299,
    }
    return RecordPurchase(**(given | more))


POISONS: dict[str, Command] = {
    "NUL in purchase_id": buy("a", purchase_id="a\0b"),
    "NUL in member_id": buy("b", member_id="m\0"),
    "NUL in program_id": buy("c", program_id="p\0"),
    "NUL in location_id": buy("d", location_id="\0"),
    "lone surrogate in request_id": buy("e", request_id="\ud800"),
    "lone surrogate in member_id": buy("f", member_id="\ud800"),
    "lone surrogate in location_id": buy("g", location_id="\udfff"),
    "tab and newline": buy("h", terminal_id="a\tb\nc"),
    "the end of a COPY": buy("i", terminal_id="\\.", purchase_id="\n\\.\n"),
    "amount beyond int64": buy("j", amount=2**70),
    "negative amount beyond int64": buy("k", amount=-(2**70)),
    "a time beyond the calendar": buy("l", effective_time=2**62),
    "an enrolment with NUL": EnrollMember(program_id=PROGRAM, member_id="\0", request_id="r"),
    "a type that no rule decides": Command(program_id=PROGRAM, member_id="m-1", request_id="r"),
}


@pytest.mark.parametrize("auto_enroll", [False, True])
def test_poison_of_every_kind_fails_alone(
    auto_enroll: bool, server: RunningServer, grpc_client: GrpcClient
) -> None:
    open_program(grpc_client, ["m-1", "m-2"], members={"auto_enroll": auto_enroll})
    good = 0
    commands: list[Command] = []
    for poison in POISONS.values():
        # Ugly, but text like any other.
        ugly = r"\.{},\t\N'; -- \x00" + '"'
        commands += [buy(good), poison, buy(good + 1, member_id="m-2", terminal_id=ugly)]
        good += 2

    outcomes = submitted(server, commands)

    for place, outcome in enumerate(outcomes):
        if place % 3 != 1:
            assert isinstance(outcome, Receipt), (commands[place], outcome)
            assert not outcome.replayed
            assert outcome.entries[0].terminal_id == getattr(commands[place], "terminal_id", "")
    for name, outcome in zip(POISONS, outcomes[1::3], strict=True):
        assert isinstance(outcome, LedgerError), (name, outcome)
        assert outcome.code in ("INTERNAL", "INVALID_ARGUMENT", "NOT_FOUND"), (name, outcome)
    assert grpc_client.get_balance(balance("m-2")).available_points == len(POISONS) * 12
    with contextlib.closing(psycopg2.connect(server.database_url)) as connection:
        assert contradictions(connection) == {}
    verify_everyone(grpc_client, ["m-1", "m-2"])
    # The writer still writes, and knows every request again.
    again = submitted(server, [command for command in commands if command not in POISONS.values()])
    assert all(isinstance(outcome, Receipt) and outcome.replayed for outcome in again)


def test_a_failing_read_does_not_end_reading(
    client: Client, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_program(client)

    def fail(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    with monkeypatch.context() as patch:
        patch.setattr("ledger.store.queries.read_accounts", fail)
        failure = failure_of(client.get_balance, balance())
        assert (failure.code, failure.reason) == ("INTERNAL", "INTERNAL")
        assert "secret" not in str(failure)
    assert client.get_balance(balance()).version == 1


# -- locks, deadlines and a full queue ----------------------------------------------------------


@contextlib.contextmanager
def locked(database_url: str, member_id: str = "m-1") -> Iterator[Callable[[], None]]:
    """Another session holds a member's row, until the function given is called."""
    with contextlib.closing(psycopg2.connect(database_url)) as connection:
        connection.cursor().execute(
            "SELECT FROM accounts WHERE program_id = %s AND member_id = %s FOR UPDATE",
            (PROGRAM, member_id),
        )
        try:
            yield connection.rollback
        finally:
            connection.rollback()  # a session that is only closed may hold it a little longer


def blocked(server: RunningServer) -> None:
    """Return when a session of the service waits for a lock."""
    with contextlib.closing(psycopg2.connect(server.database_url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        ends_at = time.monotonic() + 10
        while time.monotonic() < ends_at:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone() != (0,):
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits for the lock")


def test_a_short_lock_is_waited_for(client: Client, server: RunningServer) -> None:
    open_program(client)
    with locked(server.database_url) as release, ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.record_purchase, purchase(1))
        blocked(server)
        release()
        assert waiting.result().balance.available_points == 12


def test_a_long_lock_stops_only_those_who_need_it(
    grpc_client: GrpcClient, server: RunningServer
) -> None:
    open_program(grpc_client, ["m-1", "m-2"])
    with locked(server.database_url):
        results = grpc_client.batch_write(batch(purchase(1), purchase(2, member_id="m-2"))).results
    failure = Failure(results[0].error)
    assert (failure.code, failure.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    assert failure.retry_seconds is not None
    assert results[1].receipt.balance.available_points == 12
    again = repeated(lambda: grpc_client.record_purchase(purchase(1)))
    assert not again.replayed
    assert again.balance.available_points == 12


def repeated(call: Callable[[], types_pb2.Receipt]) -> types_pb2.Receipt:
    """The answer, for which a busy machine may have to be asked a few times."""
    for _ in range(4):
        try:
            return call()
        except Failure as failure:
            if failure.code != "UNAVAILABLE":
                raise
            time.sleep(failure.retry_seconds or 0.1)
    return call()


def test_a_command_whose_deadline_passed_in_the_queue_is_never_run(
    grpc_client: GrpcClient, server: RunningServer
) -> None:
    open_program(grpc_client, ["m-1", "m-2"])
    web = JsonClient(server.http_address)
    engine = server.service.engine

    def in_the_engine() -> Receipt:
        deadline = time.monotonic() + 0.2
        return asyncio.run(engine.submit(buy("direct", member_id="m-2"), "test", deadline))

    def by_json() -> bytes:
        request = (
            '{"programId":"bean-street","memberId":"m-2","requestId":"request-web",'
            '"purchaseId":"receipt-web","amount":{"currencyCode":"EUR","units":"1"}}'
        )
        headers = {"connect-timeout-ms": "200"}
        return web.send("PointsService/RecordPurchase", request.encode(), headers=headers)

    def by_grpc() -> bytes:
        request = purchase("grpc", member_id="m-2").SerializeToString()
        return grpc_client.send("PointsService/RecordPurchase", request, timeout=0.2)

    other = GrpcClient(server.grpc_address)
    with locked(server.database_url) as release, ThreadPoolExecutor(4) as threads:
        first: Future[types_pb2.Receipt] = threads.submit(other.record_purchase, purchase(1))
        blocked(server)
        engine_call = threads.submit(in_the_engine)
        edge_calls = [threads.submit(by_json), threads.submit(by_grpc)]
        time.sleep(0.4)
        release()
        assert first.result().balance.available_points == 12
        with pytest.raises(DeadlineExceeded):
            engine_call.result()
        for future in edge_calls:
            with pytest.raises(Failure) as raised:
                future.result()
            assert raised.value.code == "DEADLINE_EXCEEDED"
    # Whatever was to be run has been run when this is answered.
    other.record_purchase(purchase(2))
    assert grpc_client.get_balance(balance("m-2")).version == 1
    tables = contents(server.database_url)
    for number in ("direct", "web", "grpc"):
        assert not [row for rows in tables.values() for row in rows if f"receipt-{number}" in row]
    # The same request may be sent again.
    assert not grpc_client.record_purchase(purchase("grpc", member_id="m-2")).replayed
    other.close()
    web.close()


def test_a_full_queue_refuses_at_once_and_loses_nothing(database_url: str) -> None:
    with running_server(database_url, queue_limit=5) as server, Tills([server], 16) as tills:
        opener = tills.clients[0]
        open_program(opener)
        requests = {client: purchase(f"till-{n}") for n, client in enumerate(tills.clients)}

        def send(client: Client) -> tuple[types_pb2.Receipt | Failure, float]:
            began = time.monotonic()
            try:
                return client.record_purchase(requests[client]), time.monotonic() - began
            except Failure as failure:
                return failure, time.monotonic() - began

        with (
            locked(database_url) as release,
            ThreadPoolExecutor(16) as threads,
        ):
            first = threads.submit(send, tills.clients[0])
            blocked(server)
            rest = [threads.submit(send, client) for client in tills.clients[1:]]
            ends_at = time.monotonic() + 0.7  # before the service stops waiting for the lock
            while sum(future.done() for future in rest) < 10 and time.monotonic() < ends_at:
                time.sleep(0.01)
            refused = [future.result() for future in rest if future.done()]
            assert sample(metrics(server), "ledger_queue_depth") == 5
            release()
            answers = [first.result()[0], *(future.result()[0] for future in rest)]
        assert len(refused) == 10
        for failure, seconds in refused:
            assert isinstance(failure, Failure)
            assert (failure.code, failure.reason) == ("UNAVAILABLE", "OVERLOADED")
            assert failure.retry_seconds is not None
            assert failure.retry_seconds > 0
            assert seconds < 0.7
        assert sum(isinstance(answer, types_pb2.Receipt) for answer in answers) == 6
        # As promised, the same requests may be repeated.
        again = tills.all(lambda client: _until_taken(client, requests[client]))
        assert all(isinstance(answer, types_pb2.Receipt) for answer in again)
        assert opener.get_balance(balance()).available_points == 16 * 12


def _until_taken(client: Client, request: points_pb2.RecordPurchaseRequest) -> types_pb2.Receipt:
    """A well-behaved till: repeats after the delay it was told."""
    for _ in range(50):
        try:
            return client.record_purchase(request)
        except Failure as failure:
            if failure.retry_seconds is None:
                raise
            time.sleep(random.uniform(0, failure.retry_seconds))
    raise AssertionError("never taken")
