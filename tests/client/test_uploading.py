"""What is sent in which order, and what each answer makes of an item."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger.client import Credentials, OfflineQueue
from ledger.client.connection import TRIES, Connection
from ledger.client.uploading import Upload, upload
from ledger.v1 import types_pb2
from tests.client.fake_ledger import FakeLedger, Result, fake_ledger, recorded, status
from tests.client.test_queue import ids, purchase, redemption


@pytest.fixture
def ledger() -> Iterator[FakeLedger]:
    with fake_ledger() as ledger:
        yield ledger


def uploaded(ledger: FakeLedger, queue: OfflineQueue) -> Upload:
    with Connection(ledger.address, 5.0, Credentials(api_key="lk_1_secret")) as connection:
        return upload(connection, queue)


def test_everything_goes_up_in_waves_in_the_order_of_each_member(
    ledger: FakeLedger, queue: OfflineQueue
) -> None:
    for number, member_id in enumerate(["m-1", "m-2", "m-1", "m-1", "m-2"]):
        queue.add(purchase(number, member_id))

    done = uploaded(ledger, queue)

    assert ledger.batches == [["q-0", "q-1"], ["q-2", "q-4"], ["q-3"]]
    assert set(ledger.credentials) == {"Bearer lk_1_secret"}
    assert [item.state for item in done.answered] == ["recorded"] * 5
    assert queue.counts() == (0, 5)


def test_what_fails_for_the_moment_holds_back_its_member_and_nobody_else(
    ledger: FakeLedger, queue: OfflineQueue
) -> None:
    def third_time(request_id: str, times: int) -> Result:
        unlucky = request_id == "q-0" and times < 3
        return status("UNAVAILABLE", "OVERLOADED") if unlucky else recorded(request_id, times)

    ledger.answer = third_time
    for number, member_id in enumerate(["m-1", "m-1", "m-2", "m-2"]):
        queue.add(purchase(number, member_id))

    uploaded(ledger, queue)

    assert ledger.batches == [["q-0", "q-2"], ["q-0", "q-3"], ["q-0"], ["q-1"]]
    assert ids(queue) == []


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN"])
def test_what_goes_on_failing_is_kept_with_what_comes_after_it(
    code: str, ledger: FakeLedger, queue: OfflineQueue
) -> None:
    ledger.answer = lambda request_id, times: (
        status(code) if request_id == "q-0" else recorded(request_id, times)
    )
    for number, member_id in enumerate(["m-1", "m-1", "m-2"]):
        queue.add(purchase(number, member_id))

    done = uploaded(ledger, queue)

    assert ids(queue) == ["q-0", "q-1"]
    assert "q-1" not in ledger.sent
    assert [item.request_id for item in done.answered] == ["q-2"]
    tries = TRIES if code == "UNAVAILABLE" else 1
    assert queue.waiting()[0].tries == tries == ledger.sent.count("q-0")
    assert code in queue.waiting()[0].trouble


@pytest.mark.parametrize(
    ("code", "reason", "state"),
    [
        ("INVALID_ARGUMENT", "INVALID_FIELD", "parked"),
        ("FAILED_PRECONDITION", "INSUFFICIENT_POINTS", "refused"),
        ("NOT_FOUND", "MEMBER_NOT_FOUND", "refused"),
        ("ALREADY_EXISTS", "REQUEST_ID_REUSED", "refused"),
    ],
)
def test_what_is_refused_or_malformed_is_reported_and_the_rest_goes_on(
    code: str, reason: str, state: str, ledger: FakeLedger, queue: OfflineQueue
) -> None:
    ledger.answer = lambda request_id, times: (
        status(code, reason) if request_id == "q-0" else recorded(request_id, times)
    )
    queue.add(purchase(0))
    queue.add(purchase(1))

    uploaded(ledger, queue)

    refused, taken = queue.answered()
    assert (refused.state, taken.state) == (state, "recorded")
    assert refused.error is not None
    assert refused.error.reason == reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [("UNAUTHENTICATED", ""), ("PERMISSION_DENIED", ""), ("NOT_FOUND", "PROGRAM_NOT_FOUND")],
)
def test_what_lies_with_the_till_keeps_everything(
    code: str, reason: str, ledger: FakeLedger, queue: OfflineQueue
) -> None:
    ledger.answer = lambda request_id, times: status(code, reason)
    for number in range(3):
        queue.add(purchase(number, f"m-{number}"))
    of_items = uploaded(ledger, queue)
    ledger.down = status(code, reason)
    of_calls = uploaded(ledger, queue)

    for done in (of_items, of_calls):
        assert done.trouble is not None
        assert (done.trouble.code, done.trouble.reason) == (code, reason)
    assert ids(queue) == ["q-0", "q-1", "q-2"]


def test_a_crash_between_the_answer_and_its_mark_is_a_replay(
    ledger: FakeLedger, queue: OfflineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.add(purchase(0))

    def dies(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(queue, "settle", dies)
        with pytest.raises(KeyboardInterrupt):
            uploaded(ledger, queue)
    assert ids(queue) == ["q-0"]

    (item,) = uploaded(ledger, queue).answered
    assert ledger.batches == [["q-0"], ["q-0"]]
    assert item.receipt is not None
    assert item.receipt.replayed


def test_a_redemption_that_nobody_was_told_of_is_given_back_in_the_same_upload(
    ledger: FakeLedger, queue: OfflineQueue
) -> None:
    queue.add(redemption(1, "m-1", 500), points=500, promised=False)
    queue.add(purchase(2))

    uploaded(ledger, queue)

    assert ledger.sent == ["d-1", "q-2", "d-1/undo"]


def test_of_a_member_only_what_is_told_goes_up_with_what_comes_before_it(
    ledger: FakeLedger, queue: OfflineQueue
) -> None:
    for number, member_id in enumerate(["m-1", "m-2", "m-1", "m-1"]):
        queue.add(purchase(number, member_id))
    telling = queue.waiting()[2]

    with Connection(ledger.address, 5.0) as connection:
        upload(connection, queue, member_id="m-1", telling=telling.item_id)

    assert ledger.sent == ["q-0", "q-2"]
    assert ids(queue) == ["q-1", "q-3"]


def test_a_ledger_that_answers_too_little_settles_nothing(
    ledger: FakeLedger, queue: OfflineQueue
) -> None:
    ledger.forgets = True
    queue.add(purchase(0))

    done = uploaded(ledger, queue)

    assert done.answered == []
    assert "0 answers to 1 items" in queue.waiting()[0].trouble
    assert ids(queue) == ["q-0"]


def test_an_item_that_the_ledger_fails_at_holds_back_its_member_and_nobody_else(
    ledger: FakeLedger, queue: OfflineQueue
) -> None:
    ledger.fails_at = "q-2"
    for number in range(10):
        queue.add(purchase(number, f"m-{number % 5}"))

    done = uploaded(ledger, queue)

    assert done.trouble is None
    assert ids(queue) == ["q-2", "q-7"]
    assert queue.waiting()[0].tries == 1
    ledger.fails_at = ""
    uploaded(ledger, queue)
    assert ids(queue) == []


def test_a_ledger_that_fails_at_everything_is_not_sent_it_all_one_by_one(
    ledger: FakeLedger, queue: OfflineQueue
) -> None:
    ledger.down = status("INTERNAL")
    for number in range(100):
        queue.add(purchase(number, f"m-{number}"))

    done = uploaded(ledger, queue)

    assert done.trouble is not None
    assert len(ledger.credentials) < 10
    assert len(ids(queue)) == 100


def test_a_ledger_that_mixes_up_its_answers_settles_nothing(
    ledger: FakeLedger, queue: OfflineQueue
) -> None:
    ledger.answer = lambda request_id, times: types_pb2.Receipt(
        entries=[types_pb2.Entry(request_id=request_id)]
    )
    for number in range(2):
        queue.add(purchase(number, f"m-{number}"))
    ledger.reverses = True
    mixed_up = uploaded(ledger, queue)
    assert ids(queue) == ["q-0", "q-1"]
    ledger.reverses = False
    uploaded(ledger, queue)

    assert "mixed up" in str(mixed_up.trouble)
    assert ids(queue) == []


def test_nothing_more_is_sent_once_it_is_to_stop(ledger: FakeLedger, queue: OfflineQueue) -> None:
    for number in range(3):
        queue.add(purchase(number))

    with Connection(ledger.address, 5.0) as connection:
        upload(connection, queue, wait=lambda seconds: len(ledger.batches) < 2)

    assert ledger.sent == ["q-0", "q-1"]
