"""The offline queue's file: what it promises across crashes, full disks and damaged bytes."""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.client import (
    Allowance,
    AllowanceExceeded,
    AlreadyExists,
    InvalidRequest,
    OfflineQueue,
    QueueDamaged,
    QueueError,
    QueueForeign,
    QueueFull,
    QueueTooNew,
    QueueUnusable,
    set_aside,
)
from ledger.client.queue_file import open_file
from ledger.client.requests import Requests
from ledger.v1 import points_pb2, redemption_pb2
from tests.service.requests import PROGRAM

REQUESTS = Requests(PROGRAM, "EUR", terminal_id="till-7")
_LOCK = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0.1, isolation_level=None).execute("BEGIN IMMEDIATE")
    print("taken")
except sqlite3.OperationalError as error:
    print(error)
"""
UMASK = os.umask(0o022)
os.umask(UMASK)
OK = points_pb2.BatchWriteResult(receipt={})


def purchase(number: int, member_id: str = "m-1") -> points_pb2.RecordPurchaseRequest:
    return REQUESTS.purchase(member_id, "1.00", purchase_id=f"r-{number}", request_id=f"q-{number}")


def redemption(number: int, member_id: str, points: int) -> redemption_pb2.RedeemPointsRequest:
    return REQUESTS.redeem(member_id, points=points, request_id=f"d-{number}")


def ids(queue: OfflineQueue) -> list[str]:
    return [item.request_id for item in queue.waiting()]


def test_what_is_queued_is_there_when_the_file_is_opened_again(queue_path: Path) -> None:
    with OfflineQueue(queue_path, PROGRAM) as queue:
        added = queue.add(purchase(1))
        assert queue.get(added.item_id) == added
    with OfflineQueue(queue_path, PROGRAM) as queue:
        (item,) = queue.waiting()

    assert item == added
    assert (item.kind, item.state, str(item.amount)) == ("purchase", "waiting", "1.00 EUR")
    assert queue_path.stat().st_mode & 0o777 == 0o600


def test_threads_that_open_queues_leave_the_rights_of_new_files_to_their_process(
    tmp_path: Path,
) -> None:
    def open_and_close(name: str) -> int:
        OfflineQueue(tmp_path / name, PROGRAM).close()
        return (tmp_path / name).stat().st_mode & 0o777

    with ThreadPoolExecutor(8) as threads:
        modes = set(threads.map(open_and_close, [f"{n // 4}.queue" for n in range(400)]))
    (tmp_path / "receipt").touch()

    assert modes == {0o600}
    mask = os.umask(0o077)
    os.umask(mask)
    assert (tmp_path / "receipt").stat().st_mode & 0o777 == 0o666 & ~UMASK == 0o666 & ~mask


def test_opening_a_queue_twice_in_a_process_lets_go_of_nobodys_lock(queue_path: Path) -> None:
    with OfflineQueue(queue_path, PROGRAM) as queue:
        queue._connection.execute("BEGIN IMMEDIATE")
        open_file(queue_path).close()
        other = subprocess.run(
            [sys.executable, "-c", _LOCK, str(queue_path)], capture_output=True, text=True
        )
        queue._connection.execute("ROLLBACK")

    assert other.stdout == "database is locked\n", other.stderr


def test_every_transaction_is_on_the_disk_before_it_is_answered(queue: OfflineQueue) -> None:
    ((synchronous,),) = queue._connection.execute("PRAGMA synchronous").fetchall()
    ((mode,),) = queue._connection.execute("PRAGMA journal_mode").fetchall()

    assert (synchronous, mode) == (3, "delete")  # EXTRA, with the directory


def test_a_request_is_queued_once(queue: OfflineQueue) -> None:
    first, again = queue.add(purchase(1)), queue.add(purchase(1))
    other = purchase(2)
    other.request_id = "q-1"

    assert first == again
    with pytest.raises(AlreadyExists, match="REQUEST_ID_REUSED"):
        queue.add(other)
    assert ids(queue) == ["q-1"]


def test_of_each_member_only_the_first_goes_out(queue: OfflineQueue) -> None:
    for number, member_id in enumerate(["m-1", "m-2", "m-1", "m-3", "m-2"]):
        queue.add(purchase(number, member_id))

    first = queue.next_batch()
    assert [item.request_id for item in first] == ["q-0", "q-1", "q-3"]
    assert [item.request_id for item in queue.next_batch(without=["m-2"])] == ["q-0", "q-3"]
    queue.settle(first, [OK] * 3)
    assert [item.request_id for item in queue.next_batch()] == ["q-2", "q-4"]
    assert [item.request_id for item in queue.next_batch(member_id="m-2")] == ["q-4"]


def test_a_batch_has_no_more_than_the_ledger_takes(queue: OfflineQueue) -> None:
    for number in range(10):
        request = purchase(number, f"m-{number}")
        for _ in range(1_000):
            request.lines.add(sku="é" * 60, amount=request.amount)
        queue.add(request)
    big = purchase(99)
    for _ in range(10_000):
        big.lines.add(sku="x" * 100, amount=big.amount)

    batch = points_pb2.BatchWriteRequest(
        items=[queue.message(item.item_id) for item in queue.next_batch()]
    )
    assert 1 <= len(batch.items) < 10
    assert batch.ByteSize() < 1 << 20
    with pytest.raises(InvalidRequest, match="bytes"):
        queue.add(big)


def test_redemptions_that_wait_take_from_the_allowance(queue_path: Path) -> None:
    with OfflineQueue(queue_path, PROGRAM, allowance=Allowance(100, 150)) as queue:
        first = queue.add(redemption(1, "m-1", 60), points=60)
        with pytest.raises(AllowanceExceeded) as of_member:
            queue.add(redemption(2, "m-1", 41), points=41)
        queue.add(redemption(3, "m-1", 40), points=40)
        with pytest.raises(AllowanceExceeded) as of_till:
            queue.add(redemption(4, "m-2", 51), points=51)

        assert of_member.value.metadata == {"allowance": "100", "waiting": "60", "required": "41"}
        assert of_till.value.metadata == {"allowance": "150", "waiting": "100", "required": "51"}
        assert ids(queue) == ["d-1", "d-3"]
        queue.settle([first], [OK])
        queue.add(redemption(5, "m-2", 100), points=100)


def test_without_an_allowance_nothing_is_given(queue_path: Path) -> None:
    with OfflineQueue(queue_path, PROGRAM) as queue, pytest.raises(AllowanceExceeded):
        queue.add(redemption(1, "m-1", 1), points=1)


@pytest.mark.parametrize("points", [0, -60])
def test_a_redemption_takes_of_the_allowance_what_it_names_whatever_is_said(
    points: int, queue: OfflineQueue
) -> None:
    item = queue.add(redemption(1, "m-1", 60), points=points)

    assert item.points == 60
    with pytest.raises(AllowanceExceeded):
        queue.add(redemption(2, "m-1", 60), points=points)


def test_a_redemption_nobody_was_told_of_is_given_back_once(queue: OfflineQueue) -> None:
    item = queue.add(redemption(1, "m-1", 500), points=500, promised=False)
    done = points_pb2.BatchWriteResult(receipt={"redemption": {"redemption_id": "r-x-9"}})

    queue.settle([item], [done])
    queue.settle([item], [done])

    (undo,) = queue.waiting()
    assert (undo.kind, undo.request_id) == ("reversal", "d-1/undo")
    reversal = queue.message(undo.item_id).reverse_redemption
    assert (reversal.redemption_id, reversal.HasField("points")) == ("r-x-9", False)


def test_a_redemption_that_is_being_told_is_kept(queue: OfflineQueue) -> None:
    item = queue.add(redemption(1, "m-1", 500), points=500, promised=False)
    done = points_pb2.BatchWriteResult(receipt={"redemption": {"redemption_id": "r-x-9"}})

    (settled,) = queue.settle([item], [done], telling=item.item_id)

    assert (settled.state, settled.promised) == ("recorded", True)
    assert queue.waiting() == []


def test_a_promise_is_bounded_by_the_allowance(queue: OfflineQueue) -> None:
    small = queue.add(redemption(1, "m-1", 100), points=100, promised=False)
    large = queue.add(redemption(2, "m-2", 101), points=101, promised=False)

    assert queue.promise(small.item_id).promised
    with pytest.raises(AllowanceExceeded):
        queue.promise(large.item_id)
    assert not queue.get(large.item_id).promised


def test_answers_are_kept_until_they_are_acknowledged(queue_path: Path) -> None:
    refusal = points_pb2.BatchWriteResult(error={"code": 9, "message": "no"})
    with OfflineQueue(queue_path, PROGRAM) as queue:
        items = [queue.add(purchase(1)), queue.add(purchase(2, "m-2"))]
        queue.settle(items, [OK, refusal])
        queue.add(purchase(3))
        queue.acknowledge(queue.waiting()[0].item_id)  # it has no answer yet
    with OfflineQueue(queue_path, PROGRAM) as queue:
        assert [(item.request_id, item.state) for item in queue.answered()] == [
            ("q-1", "recorded"),
            ("q-2", "refused"),
        ]
        assert queue.counts() == (1, 2)
        queue.acknowledge(*(item.item_id for item in queue.answered()))
        assert (queue.answered(), ids(queue)) == ([], ["q-3"])


def test_a_refused_item_can_wait_again(queue: OfflineQueue) -> None:
    first = queue.add(purchase(1))
    queue.add(purchase(2))
    queue.settle([first], [points_pb2.BatchWriteResult(error={"code": 5, "message": "no"})])

    again = queue.retry(first.item_id)

    assert (again.state, again.request_id) == ("waiting", "q-1")
    assert again.create_time == first.create_time
    assert ids(queue) == ["q-2", "q-1"]
    assert queue.retry(again.item_id) == again


def test_receipt_numbers_are_never_given_twice(queue_path: Path, tmp_path: Path) -> None:
    numbers = []
    for path in (queue_path, queue_path, tmp_path / "other.queue"):
        with OfflineQueue(path, PROGRAM) as queue:
            numbers += [queue.next_number() for _ in range(3)]

    assert len(set(numbers)) == 9


def test_a_copy_of_the_file_gives_other_receipt_numbers(queue_path: Path, tmp_path: Path) -> None:
    OfflineQueue(queue_path, PROGRAM).close()
    copy = tmp_path / "of-another-till.queue"
    copy.write_bytes(queue_path.read_bytes())  # or a backup that is restored
    with OfflineQueue(queue_path, PROGRAM) as first, OfflineQueue(copy, PROGRAM) as second:
        assert first.next_number() != second.next_number()


# -- crashes and several processes ---------------------------------------------------------------

#: adds purchases of one member and says of each, once it is queued, that it is
_ADDING = """
import sys
from pathlib import Path
from ledger.client import OfflineQueue
from tests.client.test_queue import purchase
queue = OfflineQueue(Path(sys.argv[1]), "bean-street")
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    queue.add(purchase(number, f"m-{number % 7}"))
    print(number, flush=True)
"""


def adding(path: Path, first: int, last: int) -> subprocess.Popen[str]:
    """A process that adds purchases."""
    return subprocess.Popen(
        [sys.executable, "-c", _ADDING, str(path), str(first), str(last)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_killed_process_has_queued_whatever_it_said(queue_path: Path) -> None:
    chance = random.Random(11)
    said: list[str] = []
    first = 0
    for _ in range(4):
        process = adding(queue_path, first, first + 100_000)
        assert process.stdout is not None
        said += [f"q-{int(process.stdout.readline())}" for _ in range(chance.randint(5, 60))]
        process.kill()
        said += [f"q-{int(line)}" for line in process.stdout.read().splitlines() if line]
        process.wait()
        first += 100_000
    with OfflineQueue(queue_path, PROGRAM) as queue:
        kept = ids(queue)

    assert set(said) <= set(kept)
    assert len(kept) - len(said) <= 4  # on the disk, and killed before it could be said
    assert len(set(kept)) == len(kept)


def test_processes_that_make_the_same_file_at_once_agree_on_it(queue_path: Path) -> None:
    processes = [adding(queue_path, number, number + 1) for number in range(0, 6_000, 1_000)]

    assert [process.wait(60) for process in processes] == [0] * 6
    with OfflineQueue(queue_path, PROGRAM) as queue:
        assert len(ids(queue)) == 6


def test_two_processes_share_a_file(queue_path: Path) -> None:
    processes = [adding(queue_path, first, first + 80) for first in (0, 1_000, 2_000)]

    assert [process.wait(60) for process in processes] == [0, 0, 0]
    with OfflineQueue(queue_path, PROGRAM) as queue:
        kept = ids(queue)
    assert len(kept) == 240
    for first in (0, 1_000, 2_000):  # each in the order in which it was added
        own = [int(one[2:]) for one in kept if first <= int(one[2:]) < first + 1_000]
        assert own == list(range(first, first + 80))


_UNTIL_FULL = """
import resource, sys
from pathlib import Path
from ledger.client import OfflineQueue, QueueError
from tests.client.test_queue import purchase
queue = OfflineQueue(Path(sys.argv[1]), "bean-street")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
number = 0
try:
    while True:
        queue.add(purchase(number, f"m-{number}"))
        number += 1
except QueueError as error:
    print(number, error.reason, error.message, sep="|")
assert len(queue.waiting()) == number
"""


def test_a_full_disk_is_said_and_loses_nothing_that_was_queued(queue_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _UNTIL_FULL, str(queue_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 0, ended.stderr
    number, reason, message = ended.stdout.strip().split("|")
    assert reason == "QUEUE_DISK_FULL"
    assert "no room on its disk" in message
    assert message.startswith("not queued: ")
    with OfflineQueue(queue_path, PROGRAM) as queue:
        assert ids(queue) == [f"q-{each}" for each in range(int(number))]
        queue.add(purchase(int(number)))  # there is room again


def test_a_file_that_can_grow_no_more_stays_sound(queue: OfflineQueue) -> None:
    ((pages,),) = queue._connection.execute("PRAGMA page_count").fetchall()
    queue._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    number = 0
    with pytest.raises(QueueFull):  # noqa: PT012
        while True:
            queue.add(purchase(number, f"m-{number}"))
            number += 1

    assert number > 0
    assert len(queue.waiting()) == number
    with pytest.raises(QueueFull):  # nor can an answer be written: it will be asked for again
        queue.settle(queue.next_batch(), [OK] * number)
    assert len(queue.waiting()) == number
    queue._connection.execute(f"PRAGMA max_page_count = {pages * 2}")
    queue.settle(queue.next_batch(), [OK] * number)
    assert queue.waiting() == []


# -- files that are not as they should be --------------------------------------------------------


def newer(path: Path) -> None:
    OfflineQueue(path, PROGRAM).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def other_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE invoices (id)")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (lambda path: path.write_text("receipts: none\n"), QueueForeign, "name another file"),
        (other_database, QueueForeign, "name another file"),
        (lambda path: OfflineQueue(path, "tea").close(), QueueForeign, "belongs to program tea"),
        (newer, QueueTooNew, "update this till"),
        (lambda path: path.mkdir(), QueueUnusable, "it is no file"),
    ],
)
def test_a_file_that_is_no_queue_of_ours_is_left_as_it_is(
    make: Callable[[Path], object], kind: type[QueueError], says: str, queue_path: Path
) -> None:
    make(queue_path)
    before = queue_path.read_bytes() if queue_path.is_file() else b""

    with pytest.raises(kind, match=says):
        OfflineQueue(queue_path, PROGRAM)

    assert (queue_path.read_bytes() if queue_path.is_file() else b"") == before


def test_a_queue_in_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QueueUnusable, match="is its directory there"):
        OfflineQueue(tmp_path / "nowhere" / "till.queue", PROGRAM)


def filled(path: Path, count: int = 60) -> dict[str, bytes]:
    """The requests of a queue with so many items, by their ids."""
    with OfflineQueue(path, PROGRAM) as queue:
        items = [queue.add(purchase(number, f"m-{number % 5}")) for number in range(count)]
        return {item.request_id: queue.message(item.item_id).SerializeToString() for item in items}


def test_an_item_whose_bytes_have_changed_is_parked_and_holds_up_nobody(
    queue: OfflineQueue,
) -> None:
    bad, good = queue.add(purchase(1)), queue.add(purchase(2))
    data = queue.message(bad.item_id).SerializeToString().replace(b"q-1", b"q-7")
    queue._connection.execute("UPDATE items SET request = ? WHERE item_id = 1", (data,))

    assert [item.item_id for item in queue.next_batch()] == [good.item_id]
    (parked,) = queue.answered()
    assert (parked.item_id, parked.state) == (bad.item_id, "parked")
    assert parked.error is not None
    assert parked.error.reason == "ITEM_DAMAGED"


def test_a_redemption_whose_promise_has_changed_is_parked_and_not_given_back(
    queue: OfflineQueue,
) -> None:
    queue.add(redemption(1, "m-1", 50), points=50)
    queue._connection.execute("UPDATE items SET promised = 0")

    assert queue.next_batch() == []
    assert [item.kind for item in queue.answered()] == ["damaged"]


@pytest.mark.parametrize(
    "change", ["answer = x'0a'", "outcome = 'recoded'", "answer_checksum = x''", "answer = 'x'"]
)
def test_an_answer_that_is_damaged_is_asked_for_again(change: str, queue_path: Path) -> None:
    with OfflineQueue(queue_path, PROGRAM) as queue:
        queue.settle([queue.add(purchase(1))], [OK])
        queue._connection.execute(f"UPDATE items SET {change}")
        assert ids(queue) == []
    with OfflineQueue(queue_path, PROGRAM) as queue:
        assert [item.request_id for item in queue.next_batch()] == ["q-1"]


def test_a_fact_that_is_damaged_is_not_known(queue_path: Path) -> None:
    with OfflineQueue(queue_path, PROGRAM) as queue:
        queue.remember("reward_points", {"mug": 900})
        queue._connection.execute("UPDATE facts SET value = replace(value, '900', '100')")
        assert queue.recall("reward_points") is None
        queue.remember("reward_points", {"mug": 900})
        queue._connection.execute("UPDATE facts SET value = replace(value, 'bean', 'bear')")
    with pytest.raises(QueueDamaged, match="program_id"):
        OfflineQueue(queue_path, PROGRAM)
    with pytest.raises(QueueDamaged, match="program_id"):
        OfflineQueue.program_of(queue_path)


def test_columns_whose_names_are_damaged_are_noticed_at_once(queue_path: Path) -> None:
    filled(queue_path, 1)
    data = queue_path.read_bytes()
    queue_path.write_bytes(data.replace(b"    points INTEGER", b"    poists INTEGER"))

    with pytest.raises(QueueDamaged, match="points"):
        OfflineQueue(queue_path, PROGRAM)


def test_a_file_of_the_first_version_is_brought_up_to_this_one(queue_path: Path) -> None:
    with OfflineQueue(queue_path, PROGRAM) as queue:
        queue.remember("reward_points", {"mug": 900})
        queue.settle([queue.add(purchase(1))], [OK])
        queue.add(redemption(2, "m-1", 5), points=5, promised=False)
        queue.add(purchase(3))
        before = queue.waiting(), queue.answered()
        execute = queue._connection.execute
        for row in execute("SELECT item_id, request FROM items").fetchall():
            first = hashlib.sha256(row["request"]).digest()
            execute("UPDATE items SET checksum = ? WHERE item_id = ?", (first, row["item_id"]))
        execute("UPDATE items SET checksum = x'00' WHERE request_id = 'q-3'")
        execute("ALTER TABLE facts DROP COLUMN checksum")
        execute("ALTER TABLE items DROP COLUMN answer_checksum")
        execute("PRAGMA user_version = 1")

    for _ in range(2):
        with OfflineQueue(queue_path, PROGRAM) as queue:
            damaged = queue.waiting()[-1]
            assert (queue.waiting()[:-1], queue.answered()) == (before[0][:-1], before[1])
            assert (damaged.request_id, damaged.kind) == ("q-3", "damaged")
            assert queue.recall("reward_points") == {"mug": 900}


def test_a_file_that_is_moved_away_takes_no_more_writes(queue: OfflineQueue) -> None:
    queue.add(purchase(1))
    queue.path.rename(queue.path.with_name("elsewhere"))

    with pytest.raises(QueueUnusable, match=r"not queued.*moved or replaced"):
        queue.add(purchase(2))


_FORKED = """
import os, sys
from pathlib import Path
from ledger.client import OfflineQueue, QueueUnusable
from tests.client.test_queue import purchase
queue = OfflineQueue(Path(sys.argv[1]), "bean-street")
if os.fork():
    os.wait()
    queue.add(purchase(2))
else:
    try:
        queue.add(purchase(1))
    except QueueUnusable as error:
        print(error, flush=True)
    os._exit(0)
"""


def test_a_queue_is_not_used_across_a_fork(queue_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", _FORKED, str(queue_path)], capture_output=True, text=True
    )

    assert "opened before a fork" in said.stdout, said.stderr
    with OfflineQueue(queue_path, PROGRAM) as queue:
        assert ids(queue) == ["q-2"]


def test_setting_aside_overwrites_nothing(queue_path: Path) -> None:
    kept = []
    for content in ("first", "second"):
        queue_path.write_text(content)
        kept.append(set_aside(queue_path))

    assert [path.read_text() for path in kept] == ["first", "second"]
    assert not queue_path.exists()
    with pytest.raises(QueueUnusable):
        set_aside(queue_path)
