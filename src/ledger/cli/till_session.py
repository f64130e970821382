"""What `ledger till` does with each command, and what it says of it to a screen or a script.

Imports the client. What is said goes to a `Face`: people's (till_screen) or programs' (till_json).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from ledger.cli.till_commands import HELP, OF_MEMBER, is_points, parse
from ledger.client import (
    Balance,
    Event,
    Item,
    LedgerError,
    NoAnswer,
    NotFound,
    QueueError,
    Reward,
    Tier,
    Till,
)

_MAX_ID: Final = 128


class Face(Protocol):
    """How a till shows itself."""

    def started(self, till: Till, waiting: Sequence[Item], answered: Sequence[Item]) -> None:
        """A till is open. `answered` is what nobody has seen yet, of an earlier one."""

    def member(
        self,
        member_id: str,
        balance: Balance | None,
        tier: Tier | None,
        rewards: Sequence[Reward],
        why_not: LedgerError | None,
    ) -> None:
        """A member is at the till. Without the balance, `why_not` says why it is not known."""

    def written(self, item: Item) -> None:
        """What a cashier did: recorded, or waiting."""

    def rewards(self, member_id: str, rewards: Sequence[Reward]) -> None: ...
    def queue(self, waiting: Sequence[Item], answered: Sequence[Item]) -> None: ...
    def uploaded(self, items: Sequence[Item], waiting: int) -> None: ...
    def happened(self, event: Event, waiting: int) -> None:
        """Something by itself. Called from the till's own thread."""

    def failed(self, command: str, error: Exception) -> None: ...
    def said(self, what: str, text: str) -> None:
        """A word of its own: `done`, `seen`, `help`."""

    def stopped(self, waiting: int, path: str) -> None: ...


class Session:
    """One cashier's session. `failures` counts the commands that failed."""

    def __init__(self, till: Till, face: Face) -> None:
        self.till = till
        self.face = face
        self.member_id = ""
        self.failures = 0
        #: the last that the till said by itself
        self._heard = ""
        self.over = False

    def start(self) -> None:
        """Say where the till stands, and what was answered before that nobody has seen yet."""
        if not self.till.kept_offline:
            self.till.go_online()
        answered = self.till.queue.answered()
        self.face.started(self.till, self.till.queue.waiting(), answered)
        self._acknowledge_recorded(answered)

    def run(self, line: str) -> None:
        """Do what a line says. Whatever goes wrong is told, and nothing is raised."""
        try:
            command = parse(line)
            if command is None:
                return
            if command.name in OF_MEMBER and not self.member_id:
                raise ValueError("whose? Scan a card, or type the member's number first")
            getattr(self, f"_{command.name}")(*command.arguments)
        except (LedgerError, QueueError, ValueError) as error:
            self.failures += 1
            self.face.failed(line.strip(), error)
            self._acknowledge_told(error)

    def happened(self, event: Event) -> None:
        """Tell what happens by itself; what is recorded then has been seen."""
        self._heard = event.kind
        self.face.happened(event, self.till.queue.counts()[0])
        if event.item is not None:
            self._acknowledge_recorded([event.item])

    def stop(self) -> None:
        """Send what waits, if that is possible at once, and say what is left."""
        if self.till.online and self.till.queue.counts()[0]:
            with suppress(LedgerError, QueueError):
                self._upload()
        self.say_what_waits()

    def interrupted(self, line: str) -> None:
        """Somebody would not wait for the end of a command. What it queued stays queued."""
        self.failures += 1
        self.face.failed(
            line.strip(),
            ValueError(
                "interrupted. `queue` lists what waits: it goes up by itself, do not ring it up "
                "again. Of a redemption give nothing: what it takes is given back"
            ),
        )

    def say_what_waits(self) -> None:
        """The last words."""
        self.face.stopped(self.till.queue.counts()[0], str(self.till.queue.path))

    # -- the commands ---------------------------------------------------------------------------

    def _member(self, member_id: str) -> None:
        self.member_id = ""  # whoever was here before, a card that is misread is not theirs
        if len(member_id) > _MAX_ID or not member_id.isprintable():
            raise ValueError(f"this is no member's number: {member_id[:40]!r}. Scan it once more")
        self.member_id = member_id
        self._balance()

    def _balance(self) -> None:
        try:
            balance = self.till.balance(self.member_id)
            tier, rewards = self.till.tier(self.member_id), self.till.rewards(self.member_id)
        except (NoAnswer, NotFound) as error:
            # Neither keeps anybody from buying: it is queued, or makes a member of the customer.
            self.face.member(self.member_id, None, None, (), error)
        else:
            self.face.member(self.member_id, balance, tier, rewards, None)

    def _buy(self, amount: str, receipt: str = "") -> None:
        self._written(self.till.purchase(self.member_id, amount, purchase_id=receipt))

    def _return(self, receipt: str, amount: str | None = None) -> None:
        self._written(self.till.return_(self.member_id, receipt, amount=amount))

    def _redeem(self, what: str) -> None:
        if is_points(what):
            self._written(self.till.redeem(self.member_id, points=int(what)))
        else:
            self._written(self.till.redeem(self.member_id, reward_id=what))

    def _rewards(self) -> None:
        self.face.rewards(self.member_id, self.till.rewards(self.member_id))

    def _done(self) -> None:
        self.member_id = ""
        self.face.said("done", "The next, please.")

    def _queue(self) -> None:
        self.face.queue(self.till.queue.waiting(), self.till.queue.answered())

    def _seen(self, *numbers: str) -> None:
        answered = {item.item_id for item in self.till.queue.answered()}
        wanted = answered if numbers == ("all",) else {int(n.removeprefix("#")) for n in numbers}
        if unknown := wanted - answered:
            raise ValueError(
                f"nothing to look at has the number {min(unknown)}: `queue` lists them"
            )
        self.till.queue.acknowledge(*wanted)
        self.face.said("seen", f"{len(wanted)} taken off the list.")

    def _retry(self, number: str) -> None:
        try:
            item = self.till.retry(int(number.removeprefix("#")))
        except KeyError:
            raise ValueError(f"the queue has nothing with the number {number}") from None
        if item.error is not None:
            raise ValueError(f"{number} can not be sent again: {item.error.message}")
        self.face.written(item)

    def _offline(self) -> None:
        self.till.go_offline()
        self.face.happened(Event("offline", "kept offline"), self.till.queue.counts()[0])

    def _online(self) -> None:
        self._heard = ""
        if not self.till.go_online():
            raise NoAnswer("the ledger does not answer yet: it is looked for", code="UNAVAILABLE")
        if self._heard != "online":
            self.face.happened(Event("online"), self.till.queue.counts()[0])

    def _upload(self) -> None:
        items = self.till.upload()
        self.face.uploaded(items, self.till.queue.counts()[0])
        self._acknowledge_recorded(items)

    def _help(self) -> None:
        self.face.said("help", HELP)

    def _quit(self) -> None:
        self.over = True

    # -- inside ---------------------------------------------------------------------------------

    def _written(self, item: Item) -> None:
        self.face.written(item)
        self._acknowledge_recorded([item])

    def _acknowledge_recorded(self, items: Sequence[Item]) -> None:
        """What was refused stays until somebody says `seen`. What can not be taken off the list
        now is told once more at the next start."""
        with suppress(QueueError):
            self.till.acknowledge(*(item for item in items if item.receipt is not None))

    def _acknowledge_told(self, error: Exception) -> None:
        """The refusal of a command has been told to whoever gave it."""
        if not isinstance(error, LedgerError) or not error.request_id:
            return
        with suppress(QueueError):
            told = (i for i in self.till.queue.answered() if i.request_id == error.request_id)
            self.till.acknowledge(*told)
