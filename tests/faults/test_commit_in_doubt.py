"""A connection lost at COMMIT: what was committed is answered once, what was not is run again."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterator

import pytest
from psycopg2.extensions import cursor as Cursor

from ledger.core.commands import Command
from ledger.core.errors import LedgerError
from ledger.rpc.status import to_status
from tests.faults.engines import (
    RunningEngine,
    assert_sound,
    buy,
    enroll,
    requests_posted,
    running_engine,
    summary,
)
from tests.faults.postgres_proxy import Fault, PostgresProxy
from tests.faults.processes import connect, paused_backend, wait_for_backends

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]

RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"

#: Ways to lose the answer to COMMIT, or the COMMIT; holds are let go by cutting the connection.
FAULTS: dict[str, Callable[[PostgresProxy], Fault]] = {
    "cut before": lambda proxy: proxy.cut_before_commit(),
    "cut after": lambda proxy: proxy.cut_after_commit(),
    "held before": lambda proxy: proxy.hold_commit(),
    "held after": lambda proxy: proxy.hold_commit_answer(),
}

#: What is there before: members m-1 to m-4, one purchase and one refusal of m-1.
BEFORE: list[Command] = [
    *(enroll(f"m-{number}") for number in range(1, 5)),
    buy("known", "m-1"),
    buy("refused", "m-1", purchase_id="receipt-known"),
]
#: A batch of everything: replays, refusals, new members, existing ones, repeats within itself.
MIXED: list[tuple[Command, str]] = [
    (buy("known", "m-1"), "replayed"),
    (buy(1, "m-1"), "first"),
    (buy("refused", "m-1", purchase_id="receipt-known"), "PURCHASE_ALREADY_RECORDED"),
    (buy(2, "m-2"), "first"),
    (buy(2, "m-2"), "replayed"),
    (buy(3, "new-1"), "first"),
    (buy(4, "new-1"), "first"),
    (buy(4, "new-1"), "replayed"),
    (buy(2, "m-2", points=99), "REQUEST_ID_REUSED"),
    (enroll("new-2"), "first"),
    (enroll("m-3", request_id="again"), "MEMBER_ALREADY_ENROLLED"),
    (buy(5, "m-3", purchase_id="receipt-1"), "PURCHASE_ALREADY_RECORDED"),
    (buy(6, "m-3", program_id="nowhere"), "PROGRAM_NOT_FOUND"),
    (buy(7, "m-4"), "first"),
]
COMMANDS = [command for command, _ in MIXED]
EXPECTED = [outcome for _, outcome in MIXED]
#: The requests of MIXED that write an outcome of their own, by place.
DECIDED = {1, 3, 4, 5, 6, 7, 8, 9, 11, 13}
POINTS = 60  # 10 for each purchase that is answered for the first time, and the one before


@pytest.fixture
def running(shop_proxy: PostgresProxy) -> Iterator[RunningEngine]:
    """An engine that writes through the proxy, and waits for it however busy this machine is."""
    with running_engine(shop_proxy.url(), recovery_seconds=30.0, stall_seconds=10.0) as running:
        asyncio.run(running.write(*BEFORE))
        yield running


@pytest.fixture
def impatient(shop_proxy: PostgresProxy) -> Iterator[RunningEngine]:
    """The same, but it does not wait long for a lost database."""
    with running_engine(shop_proxy.url(), recovery_seconds=2.5, stall_seconds=1.5) as running:
        asyncio.run(running.write(*BEFORE))
        yield running


@contextlib.contextmanager
def other_session(database_url: str) -> Iterator[Cursor]:
    """A cursor of somebody else's, in a transaction that is rolled back."""
    with contextlib.closing(connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            yield cursor
        finally:  # a session that is only closed may hold its locks a little longer
            cursor.execute("ROLLBACK")


async def lose(proxy: PostgresProxy, fault: Fault) -> None:
    """Wait for the fault; what it holds is lost with the connection."""
    await fault.wait_async()
    if fault.action == "hold":
        proxy.cut_all()
        fault.release()


@pytest.mark.parametrize("kind", FAULTS)
async def test_the_caller_gets_its_first_answer_once(
    kind: str, running: RunningEngine, shop_proxy: PostgresProxy, shop_url: str
) -> None:
    fault = FAULTS[kind](shop_proxy)
    writing = asyncio.create_task(running.write(*COMMANDS))
    await lose(shop_proxy, fault)

    assert summary(await writing) == EXPECTED
    again = summary(await running.write(*COMMANDS))

    assert again == ["replayed" if outcome == "first" else outcome for outcome in EXPECTED]
    assert_sound(shop_url)
    assert running.metric("ledger_retries_total", cause="connection") >= 1
    assert running.metric("ledger_commit_unknown_total") == 0
    assert running.metric("ledger_database_up") == 1
    assert running.metric("ledger_points_total", program="bean-street", kind="PURCHASE") == POINTS


@pytest.mark.parametrize("seed", range(5))
async def test_one_loss_after_another_changes_nothing(
    seed: int, running: RunningEngine, shop_proxy: PostgresProxy, shop_url: str
) -> None:
    """Up to three times in a row the COMMIT is lost, or its answer."""
    kinds = random.Random(seed).choices(["cut before", "cut after"], k=3)
    print(f"seed {seed}: {kinds}")
    for kind in kinds:  # each strikes the first COMMIT that none before it has struck
        FAULTS[kind](shop_proxy)

    assert summary(await running.write(*COMMANDS)) == EXPECTED

    assert shop_proxy.faults_fired == 3
    assert_sound(shop_url)


async def test_a_database_that_stays_away_leaves_the_outcome_open(
    impatient: RunningEngine, shop_proxy: PostgresProxy, shop_url: str
) -> None:
    fault = shop_proxy.hold_commit_answer()
    in_doubt = asyncio.create_task(impatient.write(*COMMANDS))
    await fault.wait_async()
    never_sent = asyncio.create_task(impatient.write(buy(20, "m-1"), buy(21, "new-3")))
    await asyncio.sleep(0.1)
    began = time.monotonic()
    with shop_proxy.outage():
        outcomes = await in_doubt
        others = await never_sent
        assert impatient.metric("ledger_database_up") == 0
    assert time.monotonic() - began < 8

    # Each decided request is in doubt, also where it is asked for once more in the same batch.
    in_question = {COMMANDS[place].request_id for place in DECIDED}
    assert summary(outcomes) == [
        "COMMIT_UNKNOWN"
        if command.program_id == "bean-street" and command.request_id in in_question
        else "STORAGE_UNAVAILABLE"
        for command in COMMANDS
    ]
    assert summary(others) == ["STORAGE_UNAVAILABLE", "STORAGE_UNAVAILABLE"]
    for outcome in [*outcomes, *others]:
        assert isinstance(outcome, LedgerError)
        assert outcome.code == "UNAVAILABLE"
        assert RETRY_INFO in [detail.type_url for detail in to_status(outcome).details]
    unknown = summary(outcomes).count("COMMIT_UNKNOWN")
    assert impatient.metric("ledger_commit_unknown_total") == unknown
    assert impatient.metric("ledger_retries_total", cause="connection") >= 2

    again = summary(await impatient.write(*COMMANDS, buy(20, "m-1"), buy(21, "new-3")))
    assert again == [
        *("replayed" if outcome == "first" else outcome for outcome in EXPECTED),
        "first",
        "first",
    ]
    assert impatient.metric("ledger_database_up") == 1
    assert_sound(shop_url)


async def test_what_cannot_be_looked_up_stays_open_while_the_rest_is_answered(
    running: RunningEngine, shop_proxy: PostgresProxy, shop_url: str
) -> None:
    """One member's row is locked by somebody else between the loss and the look."""
    fault = shop_proxy.hold_commit_answer()
    writing = asyncio.create_task(running.write(*COMMANDS))
    await fault.wait_async()
    with other_session(shop_url) as cursor:
        cursor.execute("SELECT FROM accounts WHERE member_id = 'm-2' FOR UPDATE")
        await lose(shop_proxy, fault)
        outcomes = summary(await writing)
    places = [i for i, command in enumerate(COMMANDS) if command.member_id == "m-2"]
    expected = [
        "COMMIT_UNKNOWN" if place in places else outcome for place, outcome in enumerate(EXPECTED)
    ]
    assert outcomes == expected
    assert running.metric("ledger_commit_unknown_total") == len(places)

    again = summary(await running.write(*(COMMANDS[place] for place in places)))
    assert again == ["replayed", "replayed", "REQUEST_ID_REUSED"]
    assert_sound(shop_url)


async def test_halving_does_not_forget_what_is_in_doubt(
    running: RunningEngine, shop_proxy: PostgresProxy, shop_url: str
) -> None:
    """Nothing was committed, and when the batch is run again, one member's row makes it fail."""
    fault = shop_proxy.hold_commit()
    commands = [buy(number, f"m-{number}") for number in range(1, 5)]
    writing = asyncio.create_task(running.write(*commands))
    await fault.wait_async()
    with contextlib.closing(connect(shop_url)) as connection, connection.cursor() as cursor:
        # A trigger would wait for the transaction that is held, so the function comes first.
        cursor.execute(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE 'spoiled'; END $$"
        )
        create = asyncio.create_task(
            asyncio.to_thread(
                cursor.execute,
                "CREATE TRIGGER spoil BEFORE UPDATE ON accounts FOR EACH ROW"
                " WHEN (new.member_id = 'm-3') EXECUTE FUNCTION spoil()",
            )
        )
        await asyncio.sleep(0.2)
        await lose(shop_proxy, fault)
        await create
        assert summary(await writing) == ["first", "first", "COMMIT_UNKNOWN", "first"]
        assert running.metric("ledger_retries_total", cause="bisect") >= 1
        assert summary(await running.write(*commands)) == [
            "replayed",
            "replayed",
            "INTERNAL",
            "replayed",
        ]
        cursor.execute("DROP TRIGGER spoil ON accounts")
    assert summary(await running.write(commands[2])) == ["first"]
    assert_sound(shop_url)


async def test_halves_answer_a_request_that_is_in_both_for_the_first_time_once(
    running: RunningEngine, shop_proxy: PostgresProxy, shop_url: str
) -> None:
    """All of it was committed, and when it is looked up, one account can not be read."""
    fault = shop_proxy.hold_commit_answer()
    commands = [buy(1, "m-1"), buy(2, "m-2"), buy(1, "m-1"), buy(4, "m-4")]
    writing = asyncio.create_task(running.write(*commands))
    await fault.wait_async()
    with contextlib.closing(connect(shop_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT state FROM accounts WHERE member_id = 'm-4'")
        state = cursor.fetchone()
        cursor.execute("UPDATE accounts SET state = '{' WHERE member_id = 'm-4'")
        await lose(shop_proxy, fault)
        assert summary(await writing) == ["first", "first", "replayed", "COMMIT_UNKNOWN"]
        cursor.execute("UPDATE accounts SET state = %s WHERE member_id = 'm-4'", state)
    assert summary(await running.write(*commands)) == ["replayed"] * 4
    assert_sound(shop_url)


async def test_what_another_replica_committed_meanwhile_is_a_replay_here(
    running: RunningEngine, shop_proxy: PostgresProxy, shop_url: str
) -> None:
    """The COMMIT was lost before it arrived, and the till asked another replica."""
    fault = shop_proxy.hold_commit()
    commands = [buy(1, "m-1"), buy(2, "new-1")]
    here = asyncio.create_task(running.write(*commands))
    await fault.wait_async()
    with running_engine(shop_url) as other:
        there = asyncio.create_task(other.write(*commands))
        await asyncio.sleep(0.1)  # it waits for the lock
        shop_proxy.refuse_connections()
        await lose(shop_proxy, fault)
        assert summary(await there) == ["first", "first"]
        shop_proxy.accept_connections()
    assert summary(await here) == ["replayed", "replayed"]
    assert_sound(shop_url)


async def test_a_network_that_swallows_everything_is_given_up(
    impatient: RunningEngine, shop_proxy: PostgresProxy, shop_url: str
) -> None:
    fault = shop_proxy.hold_commit_answer()
    writing = asyncio.create_task(impatient.write(buy(1, "m-1")))
    await fault.wait_async()
    shop_proxy.swallow()
    fault.release()

    began = time.monotonic()
    assert summary(await writing) == ["COMMIT_UNKNOWN"]
    assert time.monotonic() - began < 10
    shop_proxy.release()

    assert summary(await impatient.write(buy(1, "m-1"))) == ["replayed"]
    assert_sound(shop_url)


async def test_a_backend_that_stands_still_is_given_up_and_found_again(
    impatient: RunningEngine, shop_url: str
) -> None:
    """Its transaction stays open meanwhile: its member waits, another does not."""
    await impatient.write(buy("warm", "m-1"))
    with other_session(shop_url) as cursor:
        cursor.execute("SELECT FROM accounts WHERE member_id = 'm-1' FOR UPDATE")
        writing = asyncio.create_task(impatient.write(buy(1, "m-1")))
        await asyncio.sleep(0.2)
        (pid,) = [
            pid for pid in wait_for_backends(shop_url, "ledger") if _waits_for_lock(shop_url, pid)
        ]
        with paused_backend(shop_url, pid):
            cursor.execute("ROLLBACK")
            began = time.monotonic()
            outcome = summary(await writing)
            assert outcome in (["STORAGE_UNAVAILABLE"], ["first"])
            assert summary(await impatient.write(buy(2, "m-2"))) == ["first"]
            assert time.monotonic() - began < 10
    again = "replayed" if outcome == ["first"] else "first"
    assert summary(await impatient.write(buy(1, "m-1"))) == [again]
    assert requests_posted(shop_url)["request-1"] == 1
    assert_sound(shop_url)


def _waits_for_lock(database_url: str, pid: int) -> bool:
    with contextlib.closing(connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", (pid,)
        )
        return bool((cursor.fetchone() or (False,))[0])
