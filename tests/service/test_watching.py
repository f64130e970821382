"""Who watches a balance sees it now, and whenever it changes, from whichever server."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import grpc
import psycopg2
import pytest

from ledger.core.errors import StorageUnavailable, TooManyStreams
from ledger.feed import OWNED_STREAMS, Feed
from ledger.metrics import Metrics
from ledger.rpc import watching as watching_service
from ledger.store.following import Snapshot
from ledger.v1 import balance_pb2, balance_pb2_grpc, types_pb2
from tests.conftest import RunningServer, running_server
from tests.service.client import Failure, GrpcClient
from tests.service.requests import (
    PROGRAM,
    batch,
    clock,
    enrollment,
    hold,
    now,
    open_program,
    purchase,
    redemption,
    transfer,
)
from tests.service.streams import TRANSPORTS, Stream, watch

#: from the commit of another process to its watchers: what is promised, and two busy processors
ELSEWHERE_SECONDS = 0.3
SLACK_SECONDS = 0.7


def watching(member_id: str = "m-1", **more: Any) -> balance_pb2.WatchBalanceRequest:
    more.setdefault("program_id", PROGRAM)
    return balance_pb2.WatchBalanceRequest(member_id=member_id, **more)


def following(stream: Stream[balance_pb2.WatchBalanceResponse]) -> Iterator[types_pb2.Balance]:
    """The balances of a stream, without the heartbeats."""
    return (message.balance for message in stream if message.HasField("balance"))


@contextlib.contextmanager
def serving(database_url: str, **options: Any) -> Iterator[tuple[RunningServer, GrpcClient]]:
    with running_server(database_url, **options) as server:
        client = GrpcClient(server.grpc_address)
        yield server, client
        client.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_present_balance_comes_first_then_every_change(
    transport: str, shared_server: RunningServer
) -> None:
    client = GrpcClient(shared_server.grpc_address)
    program_id = f"by-{transport}"
    open_program(client, program_id=program_id)
    client.record_purchase(purchase(1, "10.00", program_id=program_id))
    with watch(shared_server, watching(program_id=program_id), transport) as stream:
        balances = following(stream)
        first = next(balances)
        assert (first.available_points, first.version) == (10, 2)
        assert first == client.get_balance(
            balance_pb2.GetBalanceRequest(program_id=program_id, member_id="m-1")
        )
        receipt = client.record_purchase(purchase(2, "5.00", program_id=program_id))
        assert next(balances) == receipt.balance
        receipt = client.redeem_points(redemption(1, 4, program_id=program_id))
        assert next(balances) == receipt.balance
    client.close()


def test_each_member_hears_of_itself_only(server: RunningServer, grpc_client: GrpcClient) -> None:
    open_program(grpc_client, ["m-1", "m-2", "m-3"])
    grpc_client.record_purchase(purchase(1, "50.00"))
    with watch(server, watching("m-2")) as stream, watch(server, watching("m-3")) as other:
        to, bystander = following(stream), following(other)
        assert next(to).available_points == 0
        assert next(bystander).version == 1
        receipt = grpc_client.transfer_points(transfer(1, 20, "m-2"))
        assert len(receipt.entries) > 0
        received = next(to)
        assert (received.available_points, received.version) == (20, 2)
        grpc_client.record_purchase(purchase(2, "1.00", member_id="m-3"))
        # The next thing that the bystander hears is of itself.
        assert next(bystander).available_points == 1


def test_a_write_reaches_who_watches_on_the_same_server_at_once(
    server: RunningServer, grpc_client: GrpcClient
) -> None:
    open_program(grpc_client)
    with watch(server, watching()) as stream:
        balances = following(stream)
        next(balances)
        waits = []
        for number in range(5):
            time.sleep(0.55)  # longer than streams are spared
            began = time.monotonic()
            version = grpc_client.record_purchase(purchase(number)).balance.version
            assert next(balances).version == version
            waits.append(time.monotonic() - began)
    # Without the notice it would take a tenth of a second on average.
    assert min(waits) < 0.05, waits


def test_replicas_see_each_others_writes(replicas: tuple[RunningServer, RunningServer]) -> None:
    first, second = (GrpcClient(server.grpc_address) for server in replicas)
    open_program(first)
    with watch(replicas[0], watching()) as here, watch(replicas[1], watching()) as there:
        shown_here, shown_there = following(here), following(there)
        next(shown_here), next(shown_there)
        for number in range(1, 5):
            writer = (first, second)[number % 2]
            began = time.monotonic()
            balance = writer.record_purchase(purchase(number, "10.00")).balance
            assert next(shown_here) == balance
            assert next(shown_there) == balance
            assert time.monotonic() - began < ELSEWHERE_SECONDS + SLACK_SECONDS
            time.sleep(0.55)
    first.close()
    second.close()


def test_a_balance_that_changes_all_the_time_is_shown_at_its_newest(
    server: RunningServer, grpc_client: GrpcClient
) -> None:
    open_program(grpc_client)
    with watch(server, watching()) as stream:
        balances = following(stream)
        next(balances)
        began = time.monotonic()
        for number in range(150):
            last = grpc_client.record_purchase(purchase(number, "1.00")).balance
        shown = [next(balances)]
        while shown[-1].version < last.version:
            shown.append(next(balances))
        took = time.monotonic() - began
    versions = [balance.version for balance in shown]
    assert versions == sorted(set(versions))
    assert shown[-1] == last
    # Not more than one in 0.5 s, and the first and the last.
    assert len(shown) <= took / 0.5 + 2


def test_versions_never_go_back_while_two_replicas_write(
    replicas: tuple[RunningServer, RunningServer],
) -> None:
    clients = [GrpcClient(server.grpc_address) for server in replicas]
    open_program(clients[0])

    def write(number: int) -> None:
        for count in range(40):
            clients[number].record_purchase(purchase(f"{number}-{count}", "1.00"))

    with watch(replicas[0], watching()) as here, watch(replicas[1], watching()) as there:
        streams = [following(here), following(there)]
        seen = [[next(stream)] for stream in streams]
        threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for balances, stream in zip(seen, streams, strict=True):
            while balances[-1].version < 81:
                balances.append(next(stream))
        for thread in threads:
            thread.join()
    for balances in seen:
        versions = [balance.version for balance in balances]
        assert versions == sorted(set(versions))
        assert balances[-1].available_points == 80
    for client in clients:
        client.close()


# -- time ----------------------------------------------------------------------------------------


def test_what_time_changes_is_seen_when_it_does(database_url: str) -> None:
    """Nobody posts anything: there is no scheduler."""
    with serving(database_url, scheduler_seconds=0) as (server, client):
        open_program(client, sandbox=False)
        client.record_purchase(purchase(1, "100.00"))
        lapse = client.hold_points(hold(1, 40, ttl=1)).hold.expire_time.ToDatetime()
        with watch(server, watching()) as stream:
            balances = following(stream)
            assert next(balances).held_points == 40
            freed = next(balances)
        late = now().replace(tzinfo=None) - lapse
    assert (freed.available_points, freed.held_points) == (100, 0)
    assert freed.as_of_time.ToDatetime() >= lapse
    assert freed.version == 3, "it is shown, and no entry yet"
    assert late < timedelta(seconds=SLACK_SECONDS)


def test_the_clock_of_a_sandbox_is_watched_too(
    server: RunningServer, grpc_client: GrpcClient
) -> None:
    open_program(grpc_client)
    grpc_client.record_purchase(purchase(1, "100.00"))
    with watch(server, watching()) as stream:
        balances = following(stream)
        assert next(balances).available_points == 100
        grpc_client.advance_clock(clock("2027-03-01T00:00:00Z"))
        assert next(balances).available_points == 0


def test_a_heartbeat_says_that_nothing_has_changed(
    server: RunningServer, grpc_client: GrpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_service, "HEARTBEAT_SECONDS", 0.4)
    open_program(grpc_client)
    with watch(server, watching()) as stream:
        first = next(stream)
        beats = [next(stream) for _ in range(3)]
        version = grpc_client.record_purchase(purchase(1)).balance.version
        last = next(message for message in stream if message.HasField("balance"))
    assert first.HasField("balance")
    assert [beat.HasField("balance") for beat in beats] == [False] * 3
    assert all(beat.HasField("as_of_time") for beat in beats)
    assert last.balance.version == version


# -- beginning and ending ------------------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_stream_is_refused_as_a_call_is(transport: str, shared_server: RunningServer) -> None:
    client = GrpcClient(shared_server.grpc_address)
    program_id = f"refused-{transport}"
    open_program(client, program_id=program_id)

    def refusal(member_id: str, **more: Any) -> Failure:
        request = watching(member_id, **{"program_id": program_id, **more})
        with (
            watch(shared_server, request, transport) as stream,
            pytest.raises(Failure) as raised,
        ):
            next(stream)
        return raised.value

    malformed = refusal("", program_id="NO!", min_version=-1)
    assert (malformed.code, malformed.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert malformed.fields == ["program_id", "member_id", "min_version"]
    unknown = refusal("nobody")
    assert (unknown.code, unknown.reason) == ("NOT_FOUND", "MEMBER_NOT_FOUND")
    assert unknown.metadata == {"program_id": program_id, "member_id": "nobody"}
    nowhere = refusal("m-1", program_id="nowhere")
    assert (nowhere.code, nowhere.reason) == ("NOT_FOUND", "PROGRAM_NOT_FOUND")
    ahead = refusal("m-1", min_version=2)
    assert (ahead.code, ahead.reason) == ("FAILED_PRECONDITION", "VERSION_MISMATCH")
    assert ahead.metadata == {"expected": "2", "actual": "1"}
    client.close()


@pytest.mark.parametrize("transport", ["grpc", "connect-json"])
def test_a_server_that_stops_says_so_and_another_goes_on(transport: str, database_url: str) -> None:
    with serving(database_url) as (_, client):
        open_program(client)
        ended: list[Failure] = []
        with contextlib.ExitStack() as stack:
            stopping = stack.enter_context(contextlib.ExitStack())
            server, _ = stopping.enter_context(serving(database_url))
            stream = stack.enter_context(watch(server, watching(), transport))
            seen = next(stream).balance

            def read() -> None:
                with pytest.raises(Failure) as raised:
                    list(stream)
                ended.append(raised.value)

            reader = threading.Thread(target=read)
            reader.start()
            began = time.monotonic()
            stopping.close()
            reader.join(timeout=5)
            assert time.monotonic() - began < 5
        assert [(failure.code, failure.reason) for failure in ended] == [
            ("UNAVAILABLE", "SHUTTING_DOWN")
        ]
        missed = client.record_purchase(purchase(1)).balance
        with serving(database_url) as (other, _):
            resumed = watch(other, watching(min_version=seen.version), transport)
            with resumed as stream:
                assert next(stream).balance == missed


def test_as_many_streams_as_allowed_are_open_and_no_more(database_url: str) -> None:
    with serving(database_url, stream_limit=3) as (server, client):
        open_program(client)
        with contextlib.ExitStack() as stack:
            for transport in ("grpc", "connect-json", "grpc-web"):
                stream = stack.enter_context(watch(server, watching(), transport))
                next(stream)
            for transport in TRANSPORTS:
                refused = watch(server, watching(), transport)
                with refused, pytest.raises(Failure) as raised:
                    next(refused)
                assert (raised.value.code, raised.value.reason) == (
                    "UNAVAILABLE",
                    "TOO_MANY_STREAMS",
                )
                assert raised.value.metadata == {"limit": "3"}
                assert raised.value.retry_seconds == 5.0
        # Whoever hangs up makes room.
        eventually(lambda: open_streams(server) == 0)
        with watch(server, watching()) as stream:
            next(stream)
            assert open_streams(server) == 1


def open_streams(server: RunningServer) -> float:
    value = server.service._metrics.registry.get_sample_value("ledger_watchers")
    assert value is not None
    return value


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up, "it did not come to hold"
        time.sleep(0.02)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_streams_are_counted_by_how_they_ended(
    transport: str, server: RunningServer, grpc_client: GrpcClient
) -> None:
    open_program(grpc_client)
    labels = {
        "grpc_type": "server_stream",
        "grpc_service": "ledger.v1.BalanceService",
        "grpc_method": "WatchBalance",
    }

    def counted(name: str, **more: str) -> float | None:
        registry = server.service._metrics.registry
        return registry.get_sample_value(f"grpc_server_{name}", {**labels, **more})

    with watch(server, watching(), transport) as stream:
        next(stream)
        assert counted("started_total") == 1
    with watch(server, watching("nobody"), transport) as stream, pytest.raises(Failure):
        next(stream)
    eventually(lambda: counted("handled_total", grpc_code="Cancelled") == 1)
    assert counted("handled_total", grpc_code="NotFound") == 1
    assert counted("handled_total", grpc_code="OK") == 0
    assert counted("started_total") == 2


def test_nothing_is_left_of_streams_that_are_gone(
    server: RunningServer, grpc_client: GrpcClient
) -> None:
    open_program(grpc_client, ["m-1", "m-2"])
    feed = server.service._feed
    for member_id in ("m-1", "m-2", "nobody"):
        with (
            watch(server, watching(member_id)) as stream,
            contextlib.suppress(Failure),
        ):
            next(stream)
    eventually(lambda: open_streams(server) == 0)
    assert feed._followed == {}
    assert feed._seen is None


def test_writes_go_on_when_watching_fails(
    server: RunningServer, grpc_client: GrpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_program(grpc_client)

    def fail(entries: object) -> None:
        raise RuntimeError("a fault of the feed")

    monkeypatch.setattr(server.service.engine._writer, "on_commit", fail)
    with watch(server, watching()) as stream:
        balances = following(stream)
        next(balances)
        receipt = grpc_client.record_purchase(purchase(1))
        assert not receipt.replayed
        assert next(balances) == receipt.balance, "the look at the journal finds it"


def test_a_member_can_be_watched_from_its_first_entry_on(
    server: RunningServer, grpc_client: GrpcClient
) -> None:
    open_program(grpc_client)
    grpc_client.enroll_member(enrollment("new"))
    with watch(server, watching("new", min_version=1)) as stream:
        assert next(stream).balance.version == 1


def test_watchers_of_members_that_do_not_change_cost_a_write_nothing(
    server: RunningServer, grpc_client: GrpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hundred streams are open; only the one that is concerned looks at anything."""
    members = [f"m-{number}" for number in range(200)]
    open_program(grpc_client, [])
    grpc_client.batch_write(batch(*(enrollment(member_id) for member_id in members)))
    looked: list[str] = []
    wakings: list[object] = []
    look, touch = watching_service._look, server.service._feed._touch

    async def counted(engine: Any, program_id: str, member_id: str) -> Any:
        looked.append(member_id)
        return await look(engine, program_id, member_id)

    def noted(touched: Any) -> None:
        wakings.append(touched)
        touch(touched)

    monkeypatch.setattr(watching_service, "_look", counted)
    monkeypatch.setattr(server.service._feed, "_touch", noted)
    with contextlib.ExitStack() as stack:
        channel = stack.enter_context(grpc.insecure_channel(server.grpc_address))
        stub: Any = balance_pb2_grpc.BalanceServiceStub(channel)
        streams = {member_id: stub.WatchBalance(watching(member_id)) for member_id in members}
        for stream in streams.values():
            assert next(stream).balance.version == 1
        time.sleep(1.0)  # who comes during a look at the journal looks once more
        looked.clear()
        grpc_client.enroll_member(enrollment("bystander"))
        for number in range(100):
            grpc_client.record_purchase(purchase(number, member_id="bystander"))
        time.sleep(0.5)  # longer than a look at the journal takes
        assert looked == []
        assert wakings == []
        version = grpc_client.record_purchase(purchase("x", member_id="m-7")).balance.version
        assert next(streams["m-7"]).balance.version == version
        time.sleep(0.7)
        # Once for what this process wrote, and once when it is found in the journal.
        assert set(looked) == {"m-7"}
        assert len(looked) <= 2


class NoEngine:
    """What a feed asks of an engine, where nothing ever happens."""

    async def query(self, function: Any, *arguments: Any) -> Snapshot:
        return Snapshot(1, 1, ())

    def tell(self, listener: Any) -> None:
        pass


class EngineAcrossACrash(NoEngine):
    """The same while its database crashes, and gives ids of transactions a second time."""

    def __init__(self) -> None:
        self.answers: list[Any] = [Snapshot(20, 20, ()), (Snapshot(20, 20, ()), {}), None]

    async def query(self, function: Any, *arguments: Any) -> Any:
        answer = self.answers.pop(0) if self.answers else (Snapshot(25, 25, ()), {})
        if answer is None:
            raise StorageUnavailable()
        return answer


async def test_everybody_looks_again_once_a_database_that_was_lost_answers() -> None:
    engine = EngineAcrossACrash()
    feed = Feed(engine, Metrics())  # type: ignore[arg-type]
    async with feed.listen(PROGRAM, "m-1") as listener:
        feed.start()
        async with asyncio.timeout(10):
            await listener.wait(60)
        assert engine.answers == [], "not before it was lost"
    await feed.stop()


async def test_one_member_can_not_use_up_all_streams() -> None:
    feed = Feed(NoEngine(), Metrics(), limit=OWNED_STREAMS + 2)  # type: ignore[arg-type]
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(OWNED_STREAMS):
            await stack.enter_async_context(feed.listen(PROGRAM, "m-1", owner="m-1"))
        with pytest.raises(TooManyStreams) as raised:
            await stack.enter_async_context(feed.listen(PROGRAM, "m-1", owner="m-1"))
        assert raised.value.metadata == {"limit": str(OWNED_STREAMS)}
        for owner in ("m-2", ""):
            await stack.enter_async_context(feed.listen(PROGRAM, "m-1", owner=owner))
        with pytest.raises(TooManyStreams) as raised:
            await stack.enter_async_context(feed.listen(PROGRAM, "m-1"))
        assert raised.value.metadata == {"limit": str(OWNED_STREAMS + 2)}
    async with feed.listen(PROGRAM, "m-1", owner="m-1"):
        pass
    assert feed._owned == {}


def test_a_stream_ends_when_the_database_was_set_back(
    server: RunningServer, grpc_client: GrpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_service, "HEARTBEAT_SECONDS", 0.4)
    open_program(grpc_client)
    with contextlib.closing(psycopg2.connect(server.database_url)) as session:
        session.autocommit = True
        cursor = session.cursor()
        cursor.execute("SELECT version, state, head_hash FROM accounts")
        before = cursor.fetchone()
        assert before is not None
        version = grpc_client.record_purchase(purchase(1)).balance.version
        with watch(server, watching()) as stream:
            assert next(stream).balance.version == version
            cursor.execute("UPDATE accounts SET version = %s, state = %s, head_hash = %s", before)
            rest: list[balance_pb2.WatchBalanceResponse] = []
            with pytest.raises(Failure) as raised:
                rest.extend(stream)
    assert not any(message.HasField("balance") for message in rest), "versions never go back"
    assert (raised.value.code, raised.value.reason) == ("FAILED_PRECONDITION", "VERSION_MISMATCH")
    assert raised.value.metadata == {"expected": "2", "actual": "1"}
