"""Sends what waits in a queue to the ledger, in waves: of each member the first item, and so on.

An item goes out only when everything of its member before it has been answered, so nothing
overtakes. An item without an answer keeps those behind it back, and nobody else's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from google.rpc import code_pb2, status_pb2

from ledger.client.connection import (
    LONGEST_DELAY_SECONDS,
    TRIES,
    Connection,
    may_try_again,
    retry_delay_seconds,
)
from ledger.client.errors import LedgerError, NoAnswer, NotAllowed, ServerFailed
from ledger.client.items import WAITING, Item, state_after
from ledger.client.queue import OfflineQueue
from ledger.client.queue_file import QueueError
from ledger.v1 import points_pb2

#: what a batch may take for each item, beside what any call may
_ITEM_SECONDS: Final = 0.03
#: so many items in a row that the ledger fails at, and it is not the items
_MOST_FAILURES: Final = 3


@dataclass
class Upload:
    """What an upload has come to."""

    #: recorded, refused or parked by it, in the order they were answered
    answered: list[Item] = field(default_factory=list)
    #: why it ended early: the ledger was not reached, or does not take this till's writes at all
    trouble: LedgerError | None = None
    #: … or the file failed; `answered` is noted all the same
    fault: QueueError | None = None


def _wait(seconds: float) -> bool:
    time.sleep(seconds)
    return True


def upload(
    connection: Connection,
    queue: OfflineQueue,
    *,
    member_id: str = "",
    telling: int = 0,
    wait: Callable[[float], bool] = _wait,
) -> Upload:
    """Send what waits until all of it is answered, or goes no further for now.

    With a `member_id` only that member's, up to the item that is `telling` (as of
    `OfflineQueue.settle`). `wait` lets so many seconds pass before each batch, or says that there
    is to be none.
    """
    done = Upload()
    try:
        _upload(connection, queue, member_id, telling, wait, done)
    except QueueError as error:
        done.fault = error
    return done


def _upload(
    connection: Connection,
    queue: OfflineQueue,
    member_id: str,
    telling: int,
    wait: Callable[[float], bool],
    done: Upload,
) -> None:
    tries: dict[str, int] = {}
    delay_seconds = 0.0
    while wait(delay_seconds):
        batch = queue.next_batch([m for m, n in tries.items() if n >= TRIES], member_id)
        if not batch:
            break
        try:
            results = _answers(connection, queue, batch)
        except LedgerError as error:
            done.trouble = error
            return
        if _are_mixed_up(batch, results):
            done.trouble = ServerFailed("the ledger mixed up its answers", code="INTERNAL")
            return
        settled = queue.settle(batch, results, telling=telling)
        done.answered += [item for item in settled if item.state != WAITING]
        if telling in {item.item_id for item in settled if item.state != WAITING}:
            return
        done.trouble = _of_the_whole_till(results)
        if done.trouble is not None:
            return
        delay_seconds = _delay_seconds(settled, results, tries)


def _answers(
    connection: Connection, queue: OfflineQueue, batch: Sequence[Item]
) -> Sequence[points_pb2.BatchWriteResult]:
    """What the ledger answers to each item. Raises LedgerError for what is not an item's fault.

    Where the ledger itself fails, one item may be what it fails at. Sent one by one, all others are
    answered, until several in a row are not.
    """
    try:
        return _ask(connection, queue, batch)
    except ServerFailed as error:
        if len(batch) == 1:
            return [_failure(error)]
    results: list[points_pb2.BatchWriteResult] = []
    failures = 0
    for item in batch:
        try:
            results += _ask(connection, queue, [item])
            failures = 0
        except ServerFailed as error:
            failures += 1
            if failures == _MOST_FAILURES:
                raise
            results.append(_failure(error))
    return results


def _ask(
    connection: Connection, queue: OfflineQueue, items: Sequence[Item]
) -> Sequence[points_pb2.BatchWriteResult]:
    request = points_pb2.BatchWriteRequest(items=[queue.message(i.item_id) for i in items])
    limit = connection.timeout_seconds + _ITEM_SECONDS * len(items)
    answer = connection.call(
        connection.points.BatchWrite, request, points_pb2.BatchWriteResponse, limit
    )
    if len(answer.results) != len(items):
        count = f"{len(answer.results)} answers to {len(items)} items"
        raise ServerFailed(f"the ledger gave {count}", code="INTERNAL")
    return answer.results


def _failure(error: ServerFailed) -> points_pb2.BatchWriteResult:
    status = status_pb2.Status(code=code_pb2.INTERNAL, message=error.message)
    return points_pb2.BatchWriteResult(error=status)


def is_of_the_whole_till(error: LedgerError) -> bool:
    """Whether it keeps the till from everything: the way to the ledger, credentials, program."""
    return isinstance(error, NoAnswer | NotAllowed) or error.reason == "PROGRAM_NOT_FOUND"


def _are_mixed_up(batch: Sequence[Item], results: Sequence[points_pb2.BatchWriteResult]) -> bool:
    """Whether a receipt is another item's of the batch: nobody is told somebody else's balance."""
    sent = {item.request_id for item in batch}
    for item, result in zip(batch, results, strict=True):
        told = {entry.request_id for entry in result.receipt.entries} & sent
        if told and item.request_id not in told:
            return True
    return False


def _of_the_whole_till(results: Sequence[points_pb2.BatchWriteResult]) -> LedgerError | None:
    """The first answer that is of the whole till. A single item can be told to come again later,
    though: that is the item's."""
    for result in results:
        _, error = state_after(result)
        if error and is_of_the_whole_till(error) and not isinstance(error, NoAnswer):
            return error
    return None


def _delay_seconds(
    items: Sequence[Item], results: Sequence[points_pb2.BatchWriteResult], tries: dict[str, int]
) -> float:
    """How long to wait for the next wave; counts the tries of members whose item still waits."""
    wait = 0.0
    for item, result in zip(items, results, strict=True):
        _, error = state_after(result)
        if item.state != WAITING or error is None:
            tries.pop(item.member_id, None)
        elif may_try_again(error) and error.retry_after_seconds <= LONGEST_DELAY_SECONDS:
            tries[item.member_id] = tries.get(item.member_id, 0) + 1
            wait = max(wait, retry_delay_seconds(tries[item.member_id], error))
        else:
            tries[item.member_id] = TRIES  # no sooner than with the next upload
    return wait
