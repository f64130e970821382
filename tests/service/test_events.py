"""A program's events can be followed: all of them, in order, from any cursor, on any server."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import psycopg2
import pytest

from ledger.core.program import Program
from ledger.rpc import events as events_service
from ledger.rpc.cursors import Position, opened, sealed
from ledger.v1 import balance_pb2, types_pb2
from tests.conftest import RunningServer, running_server
from tests.service.client import Failure, GrpcClient
from tests.service.requests import (
    PROGRAM,
    batch,
    clock,
    enrollment,
    entries,
    line,
    open_program,
    purchase,
    transfer,
)
from tests.service.streams import TRANSPORTS, Stream, events, watch
from tests.service.test_watching import eventually, open_streams, watching
from tests.store.test_following import ENTRY

Message = balance_pb2.StreamEventsResponse
PURCHASE = types_pb2.ENTRY_KIND_PURCHASE
#: points expire at the end of the next month, and members are told 7 days ahead
WARNING: dict[str, Any] = {"expiry": {"after_months": 1, "warn_days": [7]}}
WARNED_AT = "2026-02-26T00:00:00Z"


def wanted(**more: Any) -> balance_pb2.StreamEventsRequest:
    more.setdefault("program_id", PROGRAM)
    return balance_pb2.StreamEventsRequest(**more)


def so_far(stream: Stream[Message]) -> list[Message]:
    """What there is, without heartbeats."""
    return list(itertools.takewhile(lambda message: not message.caught_up, stream))


def all_of(server: RunningServer, transport: str = "grpc", **more: Any) -> list[Message]:
    with events(server, wanted(**more), transport) as stream:
        return so_far(stream)


def name(message: Message) -> tuple[str, str, int]:
    if message.HasField("entry"):
        entry = message.entry
        return entry.member_id, types_pb2.EntryKind.Name(entry.kind)[11:], entry.sequence
    return message.expiry_warning.member_id, "EXPIRY_WARNING", message.expiry_warning.days


def names(messages: Iterable[Message]) -> list[tuple[str, str, int]]:
    return [name(message) for message in messages]


def of_each_member(messages: Iterable[Message]) -> dict[str, list[int]]:
    sequences: dict[str, list[int]] = {}
    for message in messages:
        if message.HasField("entry"):
            sequences.setdefault(message.entry.member_id, []).append(message.entry.sequence)
    return sequences


@contextlib.contextmanager
def raw(database_url: str) -> Iterator[Any]:
    """A transaction of somebody else, as a superuser: open until it is committed."""
    with contextlib.closing(psycopg2.connect(database_url)) as session:
        yield session


def lag(server: RunningServer) -> float:
    value = server.service._metrics.registry.get_sample_value("ledger_feed_lag_seconds")
    assert value is not None
    return value


def write_behind(session: Any, member_id: str, sequence: int = 1) -> None:
    values = (PROGRAM, member_id, sequence, f"{member_id}/{sequence}")
    session.cursor().execute(ENTRY, values)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_event_comes_once_then_the_news(transport: str, shared_server: RunningServer) -> None:
    client = GrpcClient(shared_server.grpc_address)
    program_id = f"by-{transport}"
    open_program(client, ["m-1", "m-2"], program_id=program_id)
    client.record_purchase(purchase(1, "30.00", program_id=program_id))
    client.transfer_points(transfer(1, 10, "m-2", program_id=program_id))
    with events(shared_server, wanted(program_id=program_id), transport) as stream:
        told = so_far(stream)
        receipt = client.record_purchase(purchase(2, "5.00", program_id=program_id))
        news = next(stream)
    assert sorted(names(told)) == [
        ("m-1", "ENROLLED", 1),
        ("m-1", "PURCHASE", 2),
        ("m-1", "TRANSFER_OUT", 3),
        ("m-2", "ENROLLED", 1),
        ("m-2", "TRANSFER_IN", 2),
    ]
    assert name(news) == ("m-1", "PURCHASE", receipt.balance.version)
    # An event is the entry as ListEntries answers it, hashes and all.
    listed = client.list_entries(entries(program_id=program_id)).entries
    streamed = [each.entry for each in [*told, news] if each.entry.member_id == "m-1"]
    assert list(reversed(streamed)) == list(listed)
    client.close()


def test_each_cursor_goes_on_where_it_stands(
    server: RunningServer, grpc_client: GrpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = ["m-1", "m-2", "m-3"]
    open_program(grpc_client, members)
    # One transaction of many events, and many of one.
    writes = [purchase(f"{member}-{n}", member_id=member) for n in range(3) for member in members]
    grpc_client.batch_write(batch(*writes))
    for number in range(5):
        grpc_client.record_purchase(purchase(number, "1.00"))
    monkeypatch.setattr(events_service, "PAGE", 4)
    told = all_of(server)
    assert len(told) == 3 + 9 + 5
    for transport, page in zip(itertools.cycle(TRANSPORTS), (1, 3, 4, 100), strict=False):
        monkeypatch.setattr(events_service, "PAGE", page)
        for passed in range(0, len(told), 2):
            rest = all_of(server, transport, cursor=told[passed].cursor)
            assert names(rest) == names(told[passed + 1 :])
    # With other filters, too: a cursor is a place in the journal of the program.
    enrolled = all_of(server, cursor=told[0].cursor, kinds=[types_pb2.ENTRY_KIND_ENROLLED])
    assert names(enrolled) == [each for each in names(told[1:]) if each[1] == "ENROLLED"]


def test_an_open_transaction_is_waited_for_and_nothing_is_left_out(
    replicas: tuple[RunningServer, RunningServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = replicas
    client = GrpcClient(first.grpc_address)
    open_program(client)
    with raw(first.database_url) as other, events(first, wanted()) as stream:
        assert names(so_far(stream)) == [("m-1", "ENROLLED", 1)]
        write_behind(other, "early")
        for number in range(3):
            client.record_purchase(purchase(number))
        # Nobody is told of them yet; a cursor from now stands before them.
        monkeypatch.setattr(events_service, "HEARTBEAT_SECONDS", 0.3)
        with events(second, wanted()) as late:
            before = list(itertools.islice(late, 2))
        assert names(before[:1]) == [("m-1", "ENROLLED", 1)]
        assert not before[1].HasField("entry")
        assert not before[1].caught_up
        eventually(lambda: lag(first) > 0.5)
        other.commit()
        expected = [("early", "ACTIVITY", 1), *(("m-1", "PURCHASE", n) for n in (2, 3, 4))]
        news = (message for message in stream if message.HasField("entry"))
        assert names(itertools.islice(news, 4)) == expected
        assert names(all_of(second, cursor=before[1].cursor)) == expected
        eventually(lambda: lag(first) < 0.5)
    client.close()


def test_an_open_transaction_holds_up_no_balance(
    replicas: tuple[RunningServer, RunningServer],
) -> None:
    client = GrpcClient(replicas[0].grpc_address)
    open_program(client)
    with raw(replicas[0].database_url) as other, watch(replicas[1], watching()) as stream:
        next(stream)
        write_behind(other, "early")
        balance = client.record_purchase(purchase(1)).balance
        began = time.monotonic()
        assert next(stream).balance == balance
        assert time.monotonic() - began < 2.0
    client.close()


def test_replicas_tell_everything_that_all_of_them_write(
    replicas: tuple[RunningServer, RunningServer],
) -> None:
    """Both write, often on the same members, and streams are opened and left meanwhile."""
    clients = [GrpcClient(server.grpc_address) for server in replicas]
    members = [f"m-{number}" for number in range(4)]
    open_program(clients[0], members)
    writes = 60

    def write(replica: int) -> None:
        for number in range(writes):
            several = [
                purchase(f"{replica}-{number}-{member}", member_id=member)
                for member in members[number % 3 :]
            ]
            # Locked in the order of their names, so that nobody waits in a circle.
            clients[replica].batch_write(batch(*several))

    threads = [threading.Thread(target=write, args=(replica,)) for replica in range(2)]
    for thread in threads:
        thread.start()
    told: list[Message] = []
    cursor = ""
    expected = len(members) + 2 * sum(len(members[number % 3 :]) for number in range(writes))
    servers = itertools.cycle(replicas)
    while len(told) < expected:
        with events(next(servers), wanted(cursor=cursor)) as stream:
            for message in itertools.islice(stream, 70):
                cursor = message.cursor
                if message.HasField("entry"):
                    told.append(message)
                if len(told) == expected:
                    break
    for thread in threads:
        thread.join()
    for sequences in of_each_member(told).values():
        assert sequences == list(range(1, len(sequences) + 1))
    assert names(all_of(replicas[0])) == names(told) == names(all_of(replicas[1]))
    for client in clients:
        client.close()


# -- filters, warnings ---------------------------------------------------------------------------


def test_a_warning_is_an_event_and_comes_once(
    server: RunningServer, grpc_client: GrpcClient
) -> None:
    open_program(grpc_client, **WARNING)
    grpc_client.record_purchase(purchase(1, "10.00"))
    with events(server, wanted(expiry_warnings=True)) as stream:
        assert so_far(stream) == []
        grpc_client.advance_clock(clock(WARNED_AT))
        news = next(stream)
        grpc_client.advance_clock(clock("2026-02-27T00:00:00Z"))
        grpc_client.record_purchase(purchase(2, "10.00"))
    warning = news.expiry_warning
    assert (warning.program_id, warning.member_id) == (PROGRAM, "m-1")
    assert (warning.points, warning.days, warning.inactivity) == (10, 7, False)
    assert warning.expire_time.ToJsonString() == "2026-02-28T23:00:00Z"
    assert warning.HasField("create_time")
    assert names(all_of(server, expiry_warnings=True)) == [("m-1", "EXPIRY_WARNING", 7)]
    assert all_of(server, expiry_warnings=True, cursor=news.cursor) == []
    everything = [name(message)[1] for message in all_of(server)]
    assert everything == ["ENROLLED", "PURCHASE", "EXPIRY_WARNING", "PURCHASE"]


def test_only_what_is_named_is_told(server: RunningServer, grpc_client: GrpcClient) -> None:
    open_program(grpc_client, **WARNING)
    grpc_client.record_purchase(purchase(1, "10.00"))
    grpc_client.advance_clock(clock(WARNED_AT))

    def kinds(**more: Any) -> list[str]:
        return [name(message)[1] for message in all_of(server, **more)]

    assert kinds() == ["ENROLLED", "PURCHASE", "EXPIRY_WARNING"]
    assert kinds(kinds=[PURCHASE]) == ["PURCHASE"]
    assert kinds(kinds=[PURCHASE], expiry_warnings=True) == ["PURCHASE", "EXPIRY_WARNING"]
    assert kinds(kinds=[types_pb2.ENTRY_KIND_HOLD]) == []
    with events(server, wanted(kinds=[PURCHASE], from_now=True)) as stream:
        next(message for message in stream if message.caught_up)
        grpc_client.enroll_member(enrollment("m-2"))
        grpc_client.record_purchase(purchase(2, member_id="m-2"))
        assert name(next(stream)) == ("m-2", "PURCHASE", 2)


def test_from_now_on_begins_with_where_that_is(
    server: RunningServer, grpc_client: GrpcClient
) -> None:
    open_program(grpc_client)
    with events(server, wanted(from_now=True)) as stream:
        start = next(message for message in stream if message.caught_up)
        assert not start.HasField("entry")
    grpc_client.record_purchase(purchase(1))
    assert names(all_of(server, cursor=start.cursor)) == [("m-1", "PURCHASE", 2)]


def test_heartbeats_carry_a_cursor_that_saves_a_second_look(
    server: RunningServer, grpc_client: GrpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_service, "HEARTBEAT_SECONDS", 0.3)
    open_program(grpc_client)
    with events(server, wanted(kinds=[types_pb2.ENTRY_KIND_HOLD])) as stream:
        # Until nothing that is open anywhere on this database server holds up what is seen.
        second = next(beat for beat in stream if beat.caught_up)
        grpc_client.record_purchase(purchase(1))
        # Others may move it too, before the purchase does.
        third = next(beat for beat in stream if all_of(server, cursor=beat.cursor) == [])
    assert third.caught_up
    program = known_program(server)
    assert opened(third.cursor, program) != opened(second.cursor, program)
    assert names(all_of(server, cursor=second.cursor)) == [("m-1", "PURCHASE", 2)]


# -- refusals ------------------------------------------------------------------------------------


#: by name: what somebody who has a cursor, or a program of that name, might send instead
NO_CURSORS: dict[str, Callable[[str, Program], str]] = {
    "garbage": lambda cursor, _: "garbage",
    "letters that no cursor has": lambda cursor, _: "äöü" + cursor[3:],
    "a long one": lambda cursor, _: "A" * 600,
    "a short one": lambda cursor, _: cursor[:-4],
    "its length": lambda cursor, _: "A" * len(cursor),
    "what a cursor once was": lambda cursor, _: base64.urlsafe_b64encode(
        json.dumps([PROGRAM, 1, 0]).encode()
    ).decode(),
    "another place": lambda cursor, _: (
        cursor[:12] + ("A" if cursor[12] != "A" else "B") + cursor[13:]
    ),
    "one of another program": lambda _, program: sealed(
        Position(1), msgspec.structs.replace(program, program_id="tea")
    ),
    "one of another ledger": lambda _, program: sealed(
        Position(1), msgspec.structs.replace(program, member_key=b"another" * 4)
    ),
}


def known_program(server: RunningServer) -> Program:
    """PROGRAM as the server knows it, with its secret."""
    client = GrpcClient(server.grpc_address)
    with contextlib.suppress(Failure):  # it is there from the case before
        open_program(client)
    client.close()
    program = server.service.engine.catalog.known(PROGRAM)
    assert program is not None
    return program


def refusals(server: RunningServer, cursor: str) -> Iterator[str]:
    """Why a cursor is refused, on each transport."""
    for transport in TRANSPORTS:
        with pytest.raises(Failure) as raised:
            all_of(server, transport, cursor=cursor)
        assert (raised.value.code, raised.value.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
        ((field, description),) = raised.value.violations
        assert field == "cursor"
        yield description


@pytest.mark.parametrize("what", NO_CURSORS)
def test_a_bad_cursor_is_refused(what: str, shared_server: RunningServer) -> None:
    program = known_program(shared_server)
    good = all_of(shared_server)[0].cursor
    assert opened(good, program)
    for why in refusals(shared_server, NO_CURSORS[what](good, program)):
        assert why == "is none that StreamEvents has answered of this program"


def test_a_cursor_from_the_future_is_refused(shared_server: RunningServer) -> None:
    cursor = sealed(Position(2**62), known_program(shared_server))
    for why in refusals(shared_server, cursor):
        assert why.startswith("is ahead of this ledger")


def test_a_cursor_does_not_tell_where_it_stands(shared_server: RunningServer) -> None:
    """The transactions of all programs are counted together: one would see how busy others are."""
    program = known_program(shared_server)
    with events(shared_server, wanted(from_now=True)) as stream:
        cursor = next(message for message in stream if message.caught_up).cursor
    place = opened(cursor, program)

    assert place is not None
    assert place.xid > 100, "so small a number is found anywhere"
    data = base64.urlsafe_b64decode(cursor)
    for number in (place.xid, place.xid - 1, place.xid + 1):
        assert number.to_bytes(3, "big") not in data
        assert str(number).encode() not in data
    assert sealed(place, program) != cursor, "whether it has moved would tell, too"


ACCOUNT = "SELECT version, state, head_hash FROM accounts"


def set_back(database_url: str, account: Any) -> None:
    """Undo all that was recorded after the only member's first entry, as a restore to an earlier
    moment does."""
    with raw(database_url) as session:
        cursor = session.cursor()
        cursor.execute("ALTER TABLE entries DISABLE TRIGGER append_only")
        cursor.execute("DELETE FROM entries WHERE sequence > 1")
        cursor.execute("ALTER TABLE entries ENABLE ALWAYS TRIGGER append_only")
        cursor.execute("UPDATE accounts SET version = %s, state = %s, head_hash = %s", account)
        session.commit()


def test_a_ledger_that_was_set_back_and_went_on_tells_so(
    server: RunningServer, grpc_client: GrpcClient
) -> None:
    """Other transactions have the ids by now that cursors name."""
    open_program(grpc_client)
    with raw(server.database_url) as session:
        cursor = session.cursor()
        cursor.execute(ACCOUNT)
        account = cursor.fetchone()
    with events(server, wanted()) as stream:
        before = so_far(stream)
        for number in range(3):
            grpc_client.record_purchase(purchase(number))
        lost = [next(stream) for _ in range(3)]
        set_back(server.database_url, account)
        for number in range(10, 20):
            grpc_client.record_purchase(purchase(number))
        with pytest.raises(Failure, match="is ahead of this ledger"):
            list(stream)
    assert names(lost) == [("m-1", "PURCHASE", sequence) for sequence in (2, 3, 4)]
    for told in lost:
        with pytest.raises(Failure, match="is ahead of this ledger") as raised:
            all_of(server, cursor=told.cursor)
        assert (raised.value.code, raised.value.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    # What there was before is there, and what is new comes behind it.
    rest = all_of(server, cursor=before[-1].cursor)
    assert names(rest) == [("m-1", "PURCHASE", sequence) for sequence in range(2, 12)]


def test_a_request_that_can_not_be_is_refused(shared_server: RunningServer) -> None:
    for transport in TRANSPORTS:
        with pytest.raises(Failure) as raised:
            all_of(
                shared_server, transport, program_id="NO", cursor="x", from_now=True, kinds=[0, 999]
            )
        assert raised.value.fields == ["program_id", "from_now", "kinds[0]", "kinds[1]"]
        with pytest.raises(Failure) as raised:
            all_of(shared_server, transport, program_id="nowhere")
        assert (raised.value.code, raised.value.reason) == ("NOT_FOUND", "PROGRAM_NOT_FOUND")


def test_watchers_and_followers_share_the_limit(database_url: str) -> None:
    with running_server(database_url, stream_limit=2) as server:
        client = GrpcClient(server.grpc_address)
        open_program(client)
        with events(server, wanted()) as stream, watch(server, watching()) as balances:
            next(stream), next(balances)
            assert open_streams(server) == 2
            with pytest.raises(Failure) as raised:
                all_of(server)
        assert raised.value.reason == "TOO_MANY_STREAMS"
        client.close()


# -- slow readers --------------------------------------------------------------------------------


EVENTS = 5_000


def fill(client: GrpcClient) -> None:
    """More events than all buffers between a server and its reader take in."""
    goods: dict[str, Any] = {"lines": [line("0.10", "c" * 60)] * 20}
    for start in range(0, EVENTS, 500):
        numbers = range(start, start + 500)
        client.batch_write(batch(*(purchase(number, "2.00", **goods) for number in numbers)))


@pytest.mark.parametrize("transport", ["grpc", "connect-json", "grpc-web"])
def test_a_slow_reader_is_cut_off_and_harms_nobody(
    transport: str, server: RunningServer, grpc_client: GrpcClient
) -> None:
    open_program(grpc_client)
    server.service._dispatcher.stall_seconds = 0.7
    fill(grpc_client)
    with events(server, wanted(), transport) as slow, watch(server, watching()) as stream:
        first = next(slow)
        balance = next(stream).balance
        # The reader takes no more; writes and other streams go on.
        for number in range(3):
            began = time.monotonic()
            version = grpc_client.record_purchase(purchase(f"more-{number}")).balance.version
            balance = next(stream).balance
            assert balance.version == version
            assert time.monotonic() - began < 2.0
            time.sleep(0.25)
        eventually(lambda: open_streams(server) == 1)
        told = [first]
        with pytest.raises(Failure) as raised:
            told.extend(slow)
    assert (raised.value.code, raised.value.reason) == ("RESOURCE_EXHAUSTED", "READER_TOO_SLOW")
    assert raised.value.metadata == {"seconds": "0.7"}
    labels = {
        "grpc_type": "server_stream",
        "grpc_service": "ledger.v1.BalanceService",
        "grpc_method": "StreamEvents",
        "grpc_code": "ResourceExhausted",
    }
    registry = server.service._metrics.registry
    assert registry.get_sample_value("grpc_server_handled_total", labels) == 1
    # It goes on from the last event that it took.
    assert len(told) < EVENTS
    told += all_of(server, cursor=told[-1].cursor)
    assert of_each_member(told) == {"m-1": list(range(1, EVENTS + 5))}


def test_a_reader_that_never_reads_is_cut_off_too(
    server: RunningServer, grpc_client: GrpcClient
) -> None:
    open_program(grpc_client)
    server.service._dispatcher.stall_seconds = 0.5
    fill(grpc_client)
    host, _, port = server.http_address.rpartition(":")
    request = json.dumps({"programId": PROGRAM}).encode()
    body = struct.pack(">BI", 0, len(request)) + request
    head = (
        "POST /ledger.v1.BalanceService/StreamEvents HTTP/1.1\r\nhost: localhost\r\n"
        f"content-type: application/connect+json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as reader:
        reader.sendall(head.encode() + body)
        eventually(lambda: open_streams(server) == 1)
        eventually(lambda: open_streams(server) == 0)
