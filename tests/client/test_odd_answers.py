"""A till whose ledger answers oddly: what it sends how often, and what it tells."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.client import (
    Event,
    Item,
    LedgerClient,
    NoAnswer,
    OfflineQueue,
    QueueFull,
    Till,
    till,
)
from ledger.client.connection import Connection
from ledger.client.items import RECORDED, WAITING
from ledger.client.turns import turn
from ledger.client.uploading import upload
from ledger.v1 import points_pb2, types_pb2
from tests.client.fake_ledger import FakeLedger, Result, fake_ledger, recorded, status
from tests.client.test_queue import ids, purchase
from tests.faults.processes import eventually
from tests.service.requests import PROGRAM

FACTS = {"program_id": PROGRAM, "display_name": "", "currency": "EUR", "time_zone": "Europe/Berlin",
         "sandbox": False}  # fmt: skip


@pytest.fixture
def ledger() -> Iterator[FakeLedger]:
    with fake_ledger() as ledger:
        yield ledger


@contextmanager
def till_of(
    ledger: FakeLedger,
    queue: OfflineQueue,
    listener: Callable[[Event], None] = lambda event: None,
    timeout_seconds: float = 1.0,
) -> Iterator[Till]:
    """A till that knows its program, for a block."""
    queue.remember("program", FACTS)
    with (
        LedgerClient(ledger.address, PROGRAM, timeout_seconds=timeout_seconds) as client,
        Till(client, queue, listener=listener) as opened,
    ):
        yield opened


@pytest.mark.parametrize("code", ["UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "INTERNAL"])
def test_a_ledger_that_takes_nothing_is_asked_again_ever_more_seldom(
    code: str, ledger: FakeLedger, queue: OfflineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(till, "FIRST_LOOK_SECONDS", 0.1)
    ledger.down = status(code)

    with till_of(ledger, queue) as opened:
        assert opened.purchase("m-1", "1.00").state == WAITING
        eventually("it has asked again", lambda: len(ledger.credentials) >= 3)
        time.sleep(1.0)

    # One purchase, the look it sets off, then after at least 0.05, 0.1, 0.2 s and so on.
    assert 3 <= len(ledger.credentials) <= 10
    assert ids(queue)


def test_a_ledger_that_asks_to_be_left_alone_is(ledger: FakeLedger, queue: OfflineQueue) -> None:
    ledger.down = status("RESOURCE_EXHAUSTED", retry_after_seconds=30.0)

    with till_of(ledger, queue) as opened:
        for number in range(5):
            assert opened.purchase(f"m-{number}", "1.00").state == WAITING
        time.sleep(1.0)
        assert len(ledger.credentials) == 1
        ledger.down = None
        opened.upload()  # somebody says so

    assert queue.counts() == (0, 5)


def test_nobody_at_the_till_waits_as_long_as_the_ledger_asks_for(
    ledger: FakeLedger, queue: OfflineQueue
) -> None:
    ledger.answer = lambda request_id, times: status("UNAVAILABLE", retry_after_seconds=30.0)
    ended = threading.Event()

    def buy(opened: Till) -> None:
        assert opened.purchase("m-1", "1.00").state == WAITING
        ended.set()

    with till_of(ledger, queue) as opened:
        threading.Thread(target=buy, args=(opened,), daemon=True).start()
        assert ended.wait(15.0)


def test_a_wait_below_zero_is_none(ledger: FakeLedger, queue: OfflineQueue) -> None:
    ledger.down = status("UNAVAILABLE", retry_after_seconds=-5.0)

    with till_of(ledger, queue) as opened:
        assert opened.purchase("m-1", "1.00").state == WAITING


def test_what_was_answered_before_the_ledger_went_away_is_told(
    ledger: FakeLedger, queue: OfflineQueue
) -> None:
    def goes_away(request_id: str, times: int) -> Result:
        ledger.down = status("UNAUTHENTICATED")
        return recorded(request_id, times)

    ledger.answer = goes_away
    events: list[Event] = []
    with till_of(ledger, queue, events.append) as opened:
        opened.go_offline()
        first, second = (opened.purchase("m-1", "1.00") for _ in range(2))
        with pytest.raises(Exception, match="UNAUTHENTICATED"):
            opened.upload()

    assert [e.item.request_id for e in events if e.item] == [first.request_id]
    assert ids(queue) == [second.request_id]


def test_what_was_answered_before_the_disk_was_full_is_told(
    ledger: FakeLedger, queue: OfflineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = []
    settle = queue.settle

    def once(*arguments: object, **options: object) -> list[Item]:
        if queue.answered():
            raise QueueFull(queue.path, "no room")
        return settle(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(queue, "settle", once)
    with till_of(ledger, queue, events.append) as opened:
        opened.go_offline()
        first, _ = (opened.purchase("m-1", "1.00") for _ in range(2))
        with pytest.raises(QueueFull):
            opened.upload()

    assert [e.item.request_id for e in events if e.item] == [first.request_id]


def test_what_is_answered_while_somebody_waits_for_the_turn_is_no_longer_said_to_wait(
    ledger: FakeLedger, queue: OfflineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another process has just uploaded it, or the till's own thread."""

    @contextmanager
    def others_have_done_it(path: Path, timeout_seconds: float) -> Iterator[bool]:
        for item in queue.waiting():
            answer = points_pb2.BatchWriteResult(receipt={})
            queue.settle([item], [answer])
        yield False

    with till_of(ledger, queue) as opened:
        monkeypatch.setattr(till, "turn", others_have_done_it)
        assert opened.purchase("m-1", "1.00").state == RECORDED


def test_an_item_that_somebody_waits_for_is_not_told_as_an_event_too(
    ledger: FakeLedger, queue: OfflineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = []
    add = queue.add

    def others_are_quicker(*arguments: object, **options: object) -> Item:
        item = add(*arguments, **options)  # type: ignore[arg-type]
        opened._wake.set()
        eventually("it is uploaded", lambda: not queue.counts()[0])
        return item

    with till_of(ledger, queue, events.append) as opened:
        monkeypatch.setattr(queue, "add", others_are_quicker)
        assert opened.purchase("m-1", "1.00").state == RECORDED

    assert [event.kind for event in events if event.item] == []


def test_nobody_at_the_till_waits_for_all_that_is_uploaded_in_the_background(
    ledger: FakeLedger, queue: OfflineQueue
) -> None:
    def slowly(request_id: str, times: int) -> Result:
        time.sleep(0.1)
        return recorded(request_id, times)

    ledger.answer = slowly
    for number in range(200):  # of one member, so it takes as many calls
        queue.add(purchase(number))
    with till_of(ledger, queue, timeout_seconds=5.0) as opened:
        eventually("it has begun", lambda: ledger.batches)
        assert opened.redeem("m-2", points=101).state == RECORDED  # beyond the allowance
        sent = len(ledger.batches)
        assert queue.counts()[0]
        eventually("the rest goes on", lambda: len(ledger.batches) > sent + 3)


def test_what_others_answered_is_told_once_to_whoever_waited_for_it(
    ledger: FakeLedger, queue: OfflineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = []
    done: list[Item] = []

    @contextmanager
    def others_are_at_it(path: Path, timeout_seconds: float) -> Iterator[bool]:
        done.extend(
            queue.settle(queue.waiting(), [points_pb2.BatchWriteResult(receipt={})])
        )  # and tell of it when they have done the rest
        yield False

    with till_of(ledger, queue, events.append) as opened:
        monkeypatch.setattr(till, "turn", others_are_at_it)
        assert opened.purchase("m-1", "1.00").state == RECORDED
        opened._announce(done[0])

    assert events == []


def test_a_redemption_that_others_give_back_is_none(
    ledger: FakeLedger, queue: OfflineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when somebody has deleted the file of the turn's lock."""
    ledger.answer = lambda request_id, times: types_pb2.Receipt(
        redemption={"redemption_id": "m-1-7", "points": 5}
    )
    add = queue.add

    def others_upload_it(*arguments: object, **options: object) -> Item:
        item = add(*arguments, **options)  # type: ignore[arg-type]
        with Connection(ledger.address, 5.0) as connection:
            upload(connection, queue)
        return item

    with till_of(ledger, queue) as opened:
        monkeypatch.setattr(queue, "add", others_upload_it)
        with pytest.raises(NoAnswer, match="give nothing"):
            opened.redeem("m-1", points=5)

    assert [request_id.endswith("/undo") for request_id in ledger.sent] == [False, True]


_FORKED = """
import os, sys, time
from pathlib import Path
from ledger.client.turns import turn
path = Path(sys.argv[1])
with turn(path, 0.0):
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
with turn(path, 0.0) as ours:
    print(ours, flush=True)
os.kill(child, 9)
"""


def test_a_process_that_was_forked_keeps_no_turn(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", _FORKED, str(tmp_path / "q")], capture_output=True, text=True
    )

    assert said.stdout == "True\n", said.stderr


def test_a_listener_that_fails_hides_nothing_of_what_became_of_a_write(
    ledger: FakeLedger, queue: OfflineQueue, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(event: Event) -> None:
        raise BrokenPipeError("the printer is off")

    ledger.down = status("UNAUTHENTICATED")
    with till_of(ledger, queue, fails) as opened:
        assert opened.purchase("m-1", "1.00").state == WAITING

    assert "the printer is off" in caplog.text


def test_a_network_that_went_while_others_had_the_turn_is_not_tried_once_more(
    ledger: FakeLedger, queue: OfflineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def lost_meanwhile(path: Path, timeout_seconds: float) -> Iterator[bool]:
        opened._found(NoAnswer("gone", code="UNAVAILABLE"))
        with turn(path, timeout_seconds) as ours:
            yield ours

    with till_of(ledger, queue) as opened:
        monkeypatch.setattr(till, "turn", lost_meanwhile)
        monkeypatch.setattr(opened, "_upload_in_background", lambda: True)
        assert opened.purchase("m-1", "1.00").state == WAITING
        queue.add(purchase(2))
        assert ledger.sent == []
