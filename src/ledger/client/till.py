"""`Till`: purchases, returns and redemptions, with the ledger at hand or without it.

    with Till(client, queue) as till:
        item = till.purchase("m-1", Decimal("12.99"))
        if item.receipt:                # the ledger has it
            print(*item.receipt.messages, sep="\\n")
        else:                           # it is in the queue, durably, and goes up by itself
            print("queued")
        till.acknowledge(item)

Every write goes through the queue: first it is on the disk, then it is sent. So a till that dies in
between sends it again, under the same request id, and the ledger has it once.

A redemption gives something away, so nobody is told of it before the ledger has confirmed it or the
allowance covers it. If the till can do neither, or dies before it has said so, what the ledger may
have taken meanwhile is given back.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from google.protobuf.message import Message

from ledger.client.errors import LedgerError, NoAnswer
from ledger.client.items import PARKED, RECORDED, REFUSED, WAITING, Item
from ledger.client.ledger_client import LedgerClient
from ledger.client.queue import AllowanceExceeded, OfflineQueue
from ledger.client.queue_file import QueueError
from ledger.client.requests import Line, Requests, new_request_id
from ledger.client.results import Balance, Program, Reward, Tier
from ledger.client.turns import turn
from ledger.client.uploading import is_of_the_whole_till, upload
from ledger.client.values import Amount

#: how often the ledger is looked for when it is away, and how soon at first
FIRST_LOOK_SECONDS: Final = 0.5
LONGEST_LOOK_SECONDS: Final = 5.0
#: the longest that it is left alone because it asked for that
LONGEST_QUIET_SECONDS: Final = 60.0
#: how long a till that is being closed still tries to upload
CLOSING_SECONDS: Final = 2.0

_LOG: Final = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened by itself: `online`, `offline`, `answered` or `trouble`."""

    kind: str
    #: for people, in English
    text: str = ""
    #: of `answered`: recorded, refused or parked in the background
    item: Item | None = None


class Till:
    """A till of one program. Use it in a `with` block: within it, it uploads in the background.

    `listener` hears of what happens by itself, in whichever thread found it out; what it raises is
    logged, and stops nothing. Methods raise QueueError when the queue's file can not be used; then
    nothing was queued.
    """

    def __init__(
        self,
        client: LedgerClient,
        queue: OfflineQueue,
        *,
        offline: bool = False,
        listener: Callable[[Event], None] = lambda event: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.client = client
        self.queue = queue
        self.listener = listener
        self._clock = clock
        self._kept_offline = offline
        self._reached = not offline
        #: until when (of the monotonic clock) the ledger asked to be left alone
        self._quiet_until = 0.0
        self._program: Program | None = None
        #: request ids that somebody waits for in the foreground, who is told without an event
        self._told: set[str] = set()
        #: how many of them want the turn, before what is done in the background
        self._in_front = 0
        self._state = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="till-upload", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._wake.set()
        self._thread.join(CLOSING_SECONDS)

    # -- where it stands ------------------------------------------------------------------------

    @property
    def online(self) -> bool:
        """Whether the ledger answered the last time, and nobody keeps the till offline."""
        return self._reached and not self._kept_offline

    @property
    def kept_offline(self) -> bool:
        """Whether somebody keeps it offline."""
        return self._kept_offline

    def go_offline(self) -> None:
        """Send nothing any more, until `go_online`."""
        self._kept_offline = True

    def go_online(self) -> bool:
        """Whether the ledger answers now; what waits is uploaded in the background."""
        self._kept_offline = False
        self._look()
        self._wake.set()
        return self.online

    @property
    def program(self) -> Program:
        """The program; without the ledger, as it was when it was last asked.

        Raises NoAnswer when this till has never been online.
        """
        if self._program is None:
            self._program = self._remembered_program() or self._ask_program()
        return self._program

    # -- what a cashier does --------------------------------------------------------------------

    def purchase(
        self,
        member_id: str,
        amount: Amount,
        *,
        purchase_id: str = "",
        lines: Sequence[Line] = (),
    ) -> Item:
        """The purchase: recorded, or waiting in the queue, durably.

        `purchase_id` is the receipt's number, default a new one of this till. Raises the refusal of
        the ledger; the item then stays in the queue until it is acknowledged.
        """
        request = self._requests.purchase(
            member_id,
            amount,
            purchase_id=purchase_id or self.new_receipt_number(),
            lines=lines,
            request_id=new_request_id(),
            effective_time=self._now,
        )
        return self._send(request)

    def return_(
        self,
        member_id: str,
        purchase_id: str,
        *,
        amount: Amount | None = None,
        lines: Sequence[Line] = (),
    ) -> Item:
        """The return: recorded, or waiting in the queue. Raises as `purchase`."""
        request = self._requests.return_(
            member_id,
            purchase_id,
            amount=amount,
            lines=lines,
            request_id=new_request_id(),
            effective_time=self._now,
        )
        return self._send(request)

    def redeem(self, member_id: str, *, points: int = 0, reward_id: str = "") -> Item:
        """The redemption: recorded, or within the allowance and waiting in the queue.

        Raises the refusal of the ledger, or AllowanceExceeded: then nothing may be given for it,
        and what the ledger may have taken is given back by itself.
        """
        cost = self._cost(reward_id) if reward_id else points
        request = self._requests.redeem(
            member_id,
            points=points,
            reward_id=reward_id,
            request_id=new_request_id(),
            effective_time=self._now,
        )
        if not self.online:
            self._require_cost(reward_id, cost)
            return self.queue.add(request, points=cost or 0)
        with self._turn() as ours:
            if not (ours and self.online):  # others are busy with the ledger, or lost it meanwhile
                self._require_cost(reward_id, cost)
                return self.queue.add(request, points=cost or 0)
            item = self.queue.add(request, points=cost or 0, promised=False)
            item = self._upload_now(item)
            if item.state == WAITING:
                try:
                    self._require_cost(reward_id, cost)
                    return self.queue.promise(item.item_id)
                finally:
                    self._wake.set()
        if item.state == RECORDED and not item.promised:
            # Whoever uploads without the turn, as where its lock was deleted, knows nothing of us.
            raise NoAnswer(
                "another process has uploaded this redemption, and gives its points back: give "
                "nothing, and redeem once more",
                code="ABORTED",
                reason="GIVEN_BACK",
            )
        return _recorded(item)

    def new_receipt_number(self) -> str:
        """A receipt's number that no till has given before."""
        terminal = self.client.terminal_id
        return "-".join(filter(None, [terminal[:64], self.queue.next_number()]))

    # -- what a cashier looks at ----------------------------------------------------------------

    def balance(self, member_id: str) -> Balance:
        """What the ledger knows the member to have, without what waits. Raises LedgerError."""
        return self._read(lambda: self.client.balance(member_id))

    def tier(self, member_id: str) -> Tier:
        """The member's tier. Raises LedgerError."""
        return self._read(lambda: self.client.tier(member_id))

    def rewards(self, member_id: str) -> list[Reward]:
        """What can be had for points. Raises LedgerError.

        What each costs is kept, for redemptions while the ledger is away.
        """
        rewards = self._read(lambda: self.client.rewards(member_id))
        costs = {reward.reward_id: reward.points for reward in rewards}
        self._remember("reward_points", costs)
        return rewards

    def acknowledge(self, *items: Item) -> None:
        """Somebody has seen what became of these items: forget those that are answered."""
        self.queue.acknowledge(*(item.item_id for item in items))

    def retry(self, item_id: int) -> Item:
        """Let a refused or parked item wait again, behind all others."""
        item = self.queue.retry(item_id)
        self._wake.set()
        return item

    def upload(self) -> list[Item]:
        """What was answered by uploading all that waits, now. Raises LedgerError, and NoAnswer
        while another process is at it."""
        with self._turn() as ours:
            if not ours:
                raise NoAnswer("another process is uploading this queue", code="ABORTED")
            done = upload(self.client.connection, self.queue)
        self._found(done.trouble)
        failure = done.fault or done.trouble
        if failure is not None:
            for item in done.answered:
                self._announce(item)
            raise failure
        return done.answered

    # -- inside ---------------------------------------------------------------------------------

    @property
    def _requests(self) -> Requests:
        place = self.client.location_id, self.client.terminal_id
        return Requests(self.client.program_id, self.program.currency, *place)

    @property
    def _now(self) -> datetime | None:
        """The till's time. A sandbox lives by a clock of its own, so there the ledger's counts."""
        return None if self.program.sandbox else self._clock()

    def _send(self, request: Message) -> Item:
        """The item of a request, recorded if the ledger can be reached. Raises its refusal."""
        if not self.online:
            return self.queue.add(request)
        request_id: str = request.request_id  # type: ignore[attr-defined]
        self._told.add(request_id)
        told_by_others = False
        try:
            item = self.queue.add(request)
            try:
                with self._turn() as ours:
                    if ours and self.online:
                        item = self._upload_now(item)
            except QueueError as error:  # it is queued; what failed is to note the answer
                self._tell(Event("trouble", error.message))
            if item.state == WAITING:
                self._wake.set()
                item = self._as_it_is_now(item)
                told_by_others = item.state != WAITING
        finally:
            if not told_by_others:  # else it stays, for whoever has yet to tell of it
                self._told.discard(request_id)
        return _recorded(item)

    def _as_it_is_now(self, item: Item) -> Item:
        """The item, which others may have answered. If they have not, they will tell of it."""
        with self._state, suppress(KeyError, QueueError):
            item = self.queue.get(item.item_id)
            if item.state == WAITING:
                self._told.discard(item.request_id)
        return item

    @contextmanager
    def _turn(self) -> Iterator[bool]:
        """The turn, as of `turn`, before this till's own thread: somebody stands at the till."""
        with self._state:
            self._in_front += 1
        try:
            with turn(self.queue.path, self.client.connection.timeout_seconds) as ours:
                yield ours
        finally:
            with self._state:
                self._in_front -= 1
            self._wake.set()

    def _upload_now(self, item: Item) -> Item:
        """The item after an upload of what its member has waiting. Needs the turn."""
        deadline = time.monotonic() + self.client.connection.timeout_seconds

        def wait(seconds: float) -> bool:
            if time.monotonic() + seconds >= deadline:
                return False
            time.sleep(seconds)
            return True

        done = upload(
            self.client.connection,
            self.queue,
            member_id=item.member_id,
            telling=item.item_id,
            wait=wait,
        )
        self._found(done.trouble)
        for other in done.answered:
            if other.item_id == item.item_id:
                return other
            self._announce(other)
        if done.fault is not None:
            raise done.fault
        with suppress(KeyError):
            return self.queue.get(item.item_id)
        return item

    def _cost(self, reward_id: str) -> int | None:
        """What a reward was known to cost; None when it is not known."""
        costs = self.queue.recall("reward_points") or {}
        return costs.get(reward_id)

    def _require_cost(self, reward_id: str, cost: int | None) -> None:
        if not cost:  # nor is there a bound for what costs nothing
            raise AllowanceExceeded(
                f"{reward_id} can not be given without the ledger: what it costs is not known here,"
                " or it costs nothing. Redeem points instead, or wait until the ledger answers",
                code="FAILED_PRECONDITION",
                reason="REWARD_NOT_KNOWN_OFFLINE",
                metadata={"reward_id": reward_id},
            )

    def _remembered_program(self) -> Program | None:
        facts = self.queue.recall("program")
        try:
            return None if facts is None else Program(clock_time=None, **facts)
        except TypeError:  # of another version of the till
            return None

    def _ask_program(self) -> Program:
        program = self._read(self.client.program, even_if_offline=True)
        facts = {
            name: getattr(program, name)
            for name in ("program_id", "display_name", "currency", "time_zone", "sandbox")
        }
        self._remember("program", facts)
        return replace(program, clock_time=None)

    def _remember(self, name: str, value: Any) -> None:
        """Keep a fact for later. That there is no room for it spoils nothing now."""
        with suppress(QueueError):
            if value != self.queue.recall(name):
                self.queue.remember(name, value)

    def _wait(self, seconds: float) -> bool:
        """Let so much time pass; whether there may be sent something then."""
        return not (self._closing.wait(seconds) or self._kept_offline or self._in_front)

    def _read(self, call: Callable[[], T], *, even_if_offline: bool = False) -> T:
        """What a question is answered with; notices when the ledger is away."""
        if self._kept_offline and not even_if_offline:
            raise NoAnswer("the till is kept offline", code="UNAVAILABLE", reason="OFFLINE")
        try:
            answer = call()
        except LedgerError as error:
            self._found(error if is_of_the_whole_till(error) else None)
            raise
        self._found(None)
        return answer

    def _found(self, trouble: LedgerError | None) -> None:
        """Note whether the ledger was reached, and tell when that has changed."""
        asked = min(trouble.retry_after_seconds, LONGEST_QUIET_SECONDS) if trouble else 0.0
        with self._state:
            reached = trouble is None
            changed, self._reached = reached != self._reached, reached
            self._quiet_until = time.monotonic() + asked
        if changed and not self._kept_offline:
            self._tell(Event("offline", trouble.message) if trouble else Event("online"))
        if trouble is not None and changed and threading.current_thread() is not self._thread:
            self._wake.set()  # to look for it; the thread itself knows

    def _announce(self, item: Item) -> None:
        with self._state:
            somebody_waits = item.request_id in self._told
        if not somebody_waits:
            self._tell(Event("answered", item=item))

    def _tell(self, event: Event) -> None:
        """Tell the listener. Whatever it does, what became of a write is not lost for it."""
        try:
            self.listener(event)
        except Exception:
            _LOG.exception("the listener of a till failed at %s", event.kind)

    def _run(self) -> None:
        """Upload what waits, and look for the ledger while it is away, until the till closes."""
        wait = FIRST_LOOK_SECONDS
        while not self._closing.is_set():
            self._wake.clear()
            try:
                done = self._upload_in_background()
            except Exception as error:  # whatever it is, the thread must go on
                done = False
                if not self._closing.is_set():
                    text = str(error) if isinstance(error, QueueError) else repr(error)
                    self._tell(Event("trouble", text))
            if done:
                wait = FIRST_LOOK_SECONDS
                self._wake.wait(LONGEST_LOOK_SECONDS)
            else:
                quiet = max(0.0, self._quiet_until - time.monotonic())
                self._wake.wait(quiet + wait * random.uniform(0.5, 1.0))
                wait = min(wait * 2, LONGEST_LOOK_SECONDS)

    def _upload_in_background(self) -> bool:
        """Whether there is nothing more to do: the ledger is there, and has answered everything."""
        if self._kept_offline:
            return True
        if time.monotonic() < self._quiet_until:
            return False
        if not self.queue.counts()[0]:
            if not self._reached:
                self._look()
            return self._reached
        with turn(self.queue.path, 0.0) as ours:
            if not ours:
                return False
            done = upload(self.client.connection, self.queue, wait=self._wait)
            self._found(done.trouble)
            for item in done.answered:
                self._announce(item)
        if done.fault is not None:
            raise done.fault
        return not self.queue.counts()[0]

    def _look(self) -> None:
        """Find out whether the ledger answers."""
        with suppress(LedgerError):
            self._program = self._ask_program()


def _recorded(item: Item) -> Item:
    """The item, unless the ledger has refused it: then its error."""
    if item.state in (REFUSED, PARKED):
        assert item.error is not None
        item.error.request_id = item.request_id
        raise item.error
    return item
