"""Files of a queue that are damaged: what is noticed, what is kept, and what goes on."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.client import (
    Allowance,
    Item,
    OfflineQueue,
    QueueDamaged,
    QueueForeign,
    QueueTooNew,
    replace_damaged,
    salvage,
    salvaging,
    set_aside,
)
from ledger.v1 import points_pb2
from tests.client.test_queue import OK, filled, ids, purchase, redemption
from tests.service.requests import PROGRAM

PAGE = 4096
REFUSED = points_pb2.BatchWriteResult(error={"code": 9, "message": "no"})


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_file_is_kept_and_what_is_readable_of_it_goes_on(
    seed: int, queue_path: Path, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    requests = filled(queue_path)
    damaged = bytearray(queue_path.read_bytes())
    begin = chance.randrange(0, len(damaged))
    for place in range(begin, min(len(damaged), begin + chance.choice([1, 40, 600]))):
        damaged[place] ^= chance.randrange(1, 256)
    queue_path.write_bytes(damaged)

    try:
        with OfflineQueue(queue_path, PROGRAM) as queue:
            # What SQLite does not notice, the checksums do.
            sent = {
                item.request_id: queue.message(item.item_id).SerializeToString()
                for item in queue.next_batch()
            }
        assert sent.items() <= requests.items()
        return
    except (QueueDamaged, QueueForeign, QueueTooNew) as error:
        print(error)
    assert queue_path.read_bytes() == damaged

    aside = set_aside(queue_path)
    with OfflineQueue(queue_path, PROGRAM) as queue:
        saved = salvage(queue, aside)
        again = salvage(queue, aside)
        kept = {
            item.request_id: queue.message(item.item_id).SerializeToString()
            for item in queue.waiting()
        }

    assert kept.items() <= requests.items()
    assert len(kept) == saved.recovered
    assert (again.recovered, again.known) == (0, saved.recovered)
    assert aside.read_bytes() == damaged
    assert {path.name for path in tmp_path.iterdir()} == {aside.name, queue_path.name}


def test_most_of_a_file_with_one_bad_page_is_salvaged(queue_path: Path) -> None:
    requests = filled(queue_path, 200)
    damaged = bytearray(queue_path.read_bytes())
    # 13 begins a leaf page of a table; facts and counters have none of the receipts.
    page = next(
        number
        for number in range(1, len(damaged) // 4096)
        if damaged[number * 4096] == 13 and b"r-100" in damaged[number * 4096 :][:4096]
    )
    damaged[page * 4096 : page * 4096 + 8] = b"\0" * 8
    queue_path.write_bytes(damaged)
    with pytest.raises(QueueDamaged, match="Set it aside"):
        OfflineQueue(queue_path, PROGRAM)

    aside = set_aside(queue_path)
    with OfflineQueue(queue_path, PROGRAM) as queue:
        saved = salvage(queue, aside)

    assert saved.recovered > 150
    assert saved.recovered + saved.lost == len(requests)


def used(path: Path) -> dict[str, Item]:
    """The items by their request ids of a queue in which everything has happened once."""
    with OfflineQueue(path, PROGRAM, allowance=Allowance(1_000, 1_000)) as queue:
        queue.remember("program", {"program_id": PROGRAM})
        for number in range(20):
            queue.add(purchase(number, f"m-{number % 4}"))
            request = redemption(number, f"m-{number % 4}", 7)
            queue.add(request, points=7, promised=number % 2 == 0)
        items = queue.waiting()
        queue.settle(items[:8], [OK, REFUSED] * 4)
        busy = points_pb2.BatchWriteResult(error={"code": 14, "message": "busy"})
        queue.settle(items[8:10], [busy] * 2)
        return {item.request_id: item for item in queue.waiting() + queue.answered()}


@pytest.mark.parametrize("seed", range(40))
def test_whichever_bit_has_changed_nothing_else_is_sent_and_no_answer_is_another(
    seed: int, queue_path: Path
) -> None:
    before = used(queue_path)
    data = bytearray(queue_path.read_bytes())
    chance = random.Random(seed)
    place = chance.choice([n for n, byte in enumerate(data) if byte])
    data[place] ^= 1 << chance.randrange(8)
    queue_path.write_bytes(data)

    try:
        OfflineQueue.program_of(queue_path)
        queue = OfflineQueue(queue_path, PROGRAM)
    except (QueueDamaged, QueueForeign):
        assert replace_damaged(queue_path, PROGRAM)
        queue = OfflineQueue(queue_path, PROGRAM)
    except QueueTooNew:
        return
    with queue:
        after = queue.waiting() + queue.answered()
        queue.settle(batch := queue.next_batch(), [OK] * len(batch))
        queue.recall("program")
        queue.next_number()
    for item in after:
        if item.kind != "damaged":
            then = before[item.request_id]
            assert (item.promised, item.points) == (then.promised, then.points)
            assert item.state in ("waiting", then.state)
            assert item.receipt is None or item.receipt == then.receipt
    assert len(after) >= len(before) - 4  # what one bit can make unreadable


def page_one(data: bytearray) -> None:
    data[:PAGE] = b"\xff" * PAGE


def length(data: bytearray) -> None:
    data[28:32] = b"\0\0\xff\xff"


@pytest.mark.parametrize("damage", [page_one, length])
def test_a_file_whose_beginning_is_gone_is_salvaged_whole(
    damage: Callable[[bytearray], None], queue_path: Path
) -> None:
    before = used(queue_path)
    data = bytearray(queue_path.read_bytes())
    damage(data)
    queue_path.write_bytes(data)

    replaced = replace_damaged(queue_path, PROGRAM)

    assert replaced is not None
    aside, saved = replaced
    assert aside.read_bytes() == data
    assert (saved.recovered, saved.lost) == (len(before), 0)
    with OfflineQueue(queue_path, PROGRAM) as queue:
        assert queue.recall("program") == {"program_id": PROGRAM}
        after = {item.request_id: item for item in queue.waiting() + queue.answered()}
    # Also what was refused and nobody has seen yet.
    assert {(i.request_id, i.state, i.promised, i.create_time) for i in after.values()} == {
        (i.request_id, i.state, i.promised, i.create_time) for i in before.values()
    }


def test_of_a_file_that_was_cut_off_what_is_there_is_salvaged(queue_path: Path) -> None:
    before = filled(queue_path, 300)
    data = queue_path.read_bytes()
    queue_path.write_bytes(data[: len(data) // 2])

    replaced = replace_damaged(queue_path, PROGRAM)

    assert replaced is not None
    assert len(before) * 0.25 < replaced[1].recovered < len(before)


def test_items_with_high_numbers_are_found_in_a_small_damaged_file(queue_path: Path) -> None:
    OfflineQueue(queue_path, PROGRAM).close()
    with OfflineQueue(queue_path, PROGRAM) as queue:
        queue._connection.execute("INSERT INTO sqlite_sequence VALUES ('items', 1000000)")
        for number in range(3):
            queue.add(purchase(number))
        queue._connection.execute("UPDATE sqlite_sequence SET seq = NULL")
    data = bytearray(queue_path.read_bytes())
    page_one(data)
    queue_path.write_bytes(data)

    replaced = replace_damaged(queue_path, PROGRAM)

    assert replaced is not None
    assert replaced[1].recovered == 3


def test_whenever_replacing_is_killed_it_can_be_done_again(
    queue_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(queue_path, 10)
    data = bytearray(queue_path.read_bytes())
    page_one(data)
    queue_path.write_bytes(data)

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    for name in ("set_aside", "salvage"):
        with monkeypatch.context() as patch:
            patch.setattr(salvaging, name, killed)
            with pytest.raises(KeyboardInterrupt):
                replace_damaged(queue_path, PROGRAM)
        assert queue_path.read_bytes() == data

    assert replace_damaged(queue_path, PROGRAM)
    with OfflineQueue(queue_path, PROGRAM) as queue:
        assert len(ids(queue)) == 10
    assert replace_damaged(queue_path, PROGRAM) is None  # it is sound by now


def test_a_sound_queue_of_another_program_makes_way_for_nothing(queue_path: Path) -> None:
    with OfflineQueue(queue_path, "tea") as queue:
        request = purchase(1)
        request.program_id = "tea"
        queue.add(request)
    before = queue_path.read_bytes()

    with pytest.raises(QueueForeign, match="belongs to program tea"):
        replace_damaged(queue_path, PROGRAM)

    assert queue_path.read_bytes() == before
