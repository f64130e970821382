"""The queue in front of the database: whatever happens, every caller is answered."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from ledger.core.errors import Internal, LedgerError, Overloaded, ShuttingDown
from ledger.engine.batch import Batch
from ledger.engine.batching import Batcher
from tests.faults.engines import assert_sound, buy, running_engine, summary

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]

Work = Callable[[Sequence[int]], Sequence[int | LedgerError]]
Make = Callable[..., Batcher[int, int]]


def double(items: Sequence[int]) -> list[int | LedgerError]:
    return [2 * item for item in items]


class Gate:
    """Work that stands still until it is let go, and remembers what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.leave = threading.Semaphore(0)

    def __call__(self, items: Sequence[int]) -> list[int | LedgerError]:
        self.batches.append(list(items))
        self.entered.release()
        assert self.leave.acquire(timeout=20)
        return double(items)


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes batchers that are closed when the test ends."""
    made: list[Batcher[int, int]] = []

    def make(work: Work, **options: object) -> Batcher[int, int]:
        settings = {"batch_limit": 100, "queue_limit": 1000, **options}
        batcher: Batcher[int, int] = Batcher("test-batcher", work, **settings)  # type: ignore[arg-type]
        made.append(batcher)
        return batcher

    yield make
    for batcher in made:
        batcher.close()


async def taken(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.entered.acquire, timeout=20)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, MemoryError])
async def test_an_error_of_any_kind_is_answered_and_the_thread_goes_on(
    error: type[BaseException], make: Make
) -> None:
    def work(items: Sequence[int]) -> list[int | LedgerError]:
        if 13 in items:
            raise error("unlucky")
        return double(items)

    batcher = make(work)
    for _ in range(3):
        (answer,) = await asyncio.wait_for(batcher.submit([13]), 5)
        assert isinstance(answer, Internal)
        assert await asyncio.wait_for(batcher.submit([1, 2]), 5) == [2, 4]


async def test_who_only_watches_cannot_fail_the_work(make: Make) -> None:
    def watch(size: int, waits: Sequence[float]) -> None:
        raise RuntimeError("no such metric")

    batcher = make(double, on_batch=watch)
    assert await asyncio.wait_for(batcher.submit([1]), 5) == [2]
    assert await asyncio.wait_for(batcher.submit([2]), 5) == [4]


async def test_a_caller_whose_loop_is_closed_does_not_keep_others_from_their_answers(
    make: Make,
) -> None:
    gate = Gate()
    batcher = make(gate)

    async def call_and_leave() -> None:
        waiting = asyncio.ensure_future(batcher.submit([1]))
        await taken(gate)
        waiting.cancel()

    await asyncio.to_thread(asyncio.run, call_and_leave())
    mine = asyncio.ensure_future(batcher.submit([5]))
    gate.leave.release()
    await taken(gate)
    gate.leave.release()
    assert await asyncio.wait_for(mine, 5) == [10]


async def test_who_gave_up_while_waiting_is_not_worked_for(make: Make) -> None:
    gate = Gate()
    batcher = make(gate)
    first = asyncio.ensure_future(batcher.submit([1]))
    await taken(gate)
    late = asyncio.ensure_future(batcher.submit([2], time.monotonic() + 0.05))
    gone = asyncio.ensure_future(batcher.submit([3]))
    stays = asyncio.ensure_future(batcher.submit([4]))
    await asyncio.sleep(0.1)
    gone.cancel()
    gate.leave.release()
    await taken(gate)
    gate.leave.release()
    assert await first == [2]
    assert [getattr(answer, "reason", answer) for answer in await late] == ["DEADLINE_EXCEEDED"]
    assert await stays == [8]
    assert gate.batches == [[1], [4]]


async def test_who_gives_up_while_worked_for_disturbs_nobody(make: Make) -> None:
    gate = Gate()
    batcher = make(gate)
    gone, stays = (asyncio.ensure_future(batcher.submit([number])) for number in (1, 2))
    await taken(gate)
    gone.cancel()
    gate.leave.release()
    if len(gate.batches[0]) == 1:
        await taken(gate)
        gate.leave.release()
    assert await asyncio.wait_for(stays, 5) == [4]


async def test_no_more_wait_than_may_and_none_longer_than_may(make: Make) -> None:
    gate = Gate()
    batcher = make(gate, queue_limit=10, patience=0.2)
    working = asyncio.ensure_future(batcher.submit([0]))
    await taken(gate)
    # Whatever its size, a group that finds nobody waiting is taken.
    waiting = [asyncio.ensure_future(batcher.submit(list(range(12))))]
    await asyncio.sleep(0)
    assert batcher.waiting == 12
    for _ in range(1000):
        with pytest.raises(Overloaded):
            await batcher.submit([1])
    assert batcher.waiting == 12
    await asyncio.sleep(0.3)
    gate.leave.release()
    assert await working == [0]
    (answers,) = await asyncio.gather(*waiting)
    assert [type(answer) for answer in answers] == [Overloaded] * 12
    assert batcher.waiting == 0
    assert gate.batches == [[0]]


async def test_a_batch_takes_groups_whole_and_in_order_of_arrival(make: Make) -> None:
    gate = Gate()
    batcher = make(gate, batch_limit=5)
    groups = [[1], [2, 2, 2], [3, 3, 3], [4] * 9, [5], [6]]
    answers = [asyncio.ensure_future(batcher.submit(groups[0]))]
    await taken(gate)
    answers += [asyncio.ensure_future(batcher.submit(group)) for group in groups[1:]]
    await asyncio.sleep(0)
    for _ in range(5):
        gate.leave.release()
    assert await asyncio.gather(*answers) == [double(group) for group in groups]
    assert gate.batches == [[1], [2] * 3, [3] * 3, [4] * 9, [5, 6]]


@pytest.mark.parametrize("seed", range(10))
def test_closing_in_the_middle_answers_or_refuses_everybody(seed: int) -> None:
    """From several loops at once: whoever was taken in gets an answer, all others a refusal."""
    chance = random.Random(seed)
    delays = [chance.uniform(0, 0.003) for _ in range(200)]
    counts = {"answered": 0, "refused": 0}
    lock = threading.Lock()
    batcher: Batcher[int, int] = Batcher("closing", double, batch_limit=7, queue_limit=10_000)

    async def caller(delay: float) -> None:
        await asyncio.sleep(delay)
        try:
            assert await asyncio.wait_for(batcher.submit([1, 2]), 10) == [2, 4]
            outcome = "answered"
        except ShuttingDown:
            outcome = "refused"
        with lock:
            counts[outcome] += 1

    async def callers() -> None:
        await asyncio.gather(*(caller(delay) for delay in delays))

    threads = [threading.Thread(target=lambda: asyncio.run(callers())) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(chance.uniform(0, 0.01))
    batcher.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert sum(counts.values()) == 600


async def test_what_ends_a_write_in_the_middle_is_answered_as_unknown(
    shop_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_engine(shop_url) as running:
        monkeypatch.setattr(Batch, "save", _leave)
        assert summary(await asyncio.wait_for(running.write(buy(1), buy(2)), 10)) == [
            "COMMIT_UNKNOWN",
            "COMMIT_UNKNOWN",
        ]
        monkeypatch.undo()
        assert summary(await running.write(buy(1), buy(2))) == ["first", "first"]
    assert_sound(shop_url)


def _leave(*_: object) -> None:
    raise SystemExit("in the middle of a batch")


async def test_what_cannot_be_counted_is_answered_all_the_same(
    shop_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_engine(shop_url) as running:
        await running.write(buy(0))
        monkeypatch.setattr(running.metrics.commands, "labels", _fail)
        assert summary(await running.write(buy(1))) == ["first"]
        monkeypatch.setattr(running.metrics.batch_size, "observe", _fail)
        assert summary(await running.write(buy(1), buy(2))) == ["replayed", "first"]
    assert_sound(shop_url)


def _fail(*_: object) -> None:
    raise RuntimeError("no such label")


async def test_whoever_would_wait_too_long_is_refused_before_anybody_has(make: Make) -> None:
    """By how long the last batch took that left others waiting, and how many are before them."""

    def slow(items: Sequence[int]) -> list[int | LedgerError]:
        time.sleep(0.1)
        return double(items)

    batcher = make(slow, batch_limit=5, most_wait=0.45)
    waits: list[float] = []

    async def call() -> str:
        began = time.monotonic()
        try:
            await batcher.submit([1])
        except Overloaded:
            return "refused"
        waits.append(time.monotonic() - began)
        return "served"

    crowd = [asyncio.ensure_future(call()) for _ in range(10)]
    for _ in range(60):
        await asyncio.sleep(0.01)
        crowd += [asyncio.ensure_future(call()) for _ in range(3)]
    answers = await asyncio.gather(*crowd)
    assert answers.count("served") > 40
    assert answers.count("refused") > 60
    assert max(waits) < 0.45 + 0.3
    assert not batcher.overloaded


async def test_a_group_larger_than_a_batch_counts_as_what_it_takes(make: Make) -> None:
    """Groups of ten batches take 0.1 s each: so that is what one of them before you costs."""
    gate = Gate()
    batcher = make(gate, batch_limit=10, queue_limit=10_000, most_wait=0.5)
    answers = [asyncio.ensure_future(batcher.submit([n] * 100)) for n in range(4)]
    for _ in range(2):
        await taken(gate)
        await asyncio.sleep(0.1)
        gate.leave.release()
    await taken(gate)  # the third is worked on, and the fourth waits
    assert not batcher.overloaded
    gate.leave.release(2)
    assert [len(answer) for answer in await asyncio.gather(*answers)] == [100] * 4
