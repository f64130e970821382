"""One attempt at one transaction: load, decide, save, commit. The answers are its `outcomes`.

Everything is locked and loaded first; then each command is decided purely, in order of arrival, on
what the ones before it left; then everything is written with one statement per table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec
import structlog
from psycopg2.extensions import cursor as Cursor

from ledger.core.chain import chain
from ledger.core.commands import Command, fingerprint, name
from ledger.core.decide import decide
from ledger.core.errors import FailedPrecondition, Internal, LedgerError, RequestIdReused
from ledger.core.model import Entry, Receipt, balance_after, balance_of
from ledger.core.posting import Posting, Warning
from ledger.engine.world import World, member_key, page_key, request_key
from ledger.store import journal
from ledger.store.journal import MemberKey, RequestKey
from ledger.store.programs import Catalog

log = structlog.get_logger(__name__)


class Item(NamedTuple):
    """A command and who sends it."""

    command: Command
    actor: str


Outcome = Receipt | LedgerError
InDoubt = Mapping[RequestKey, Collection[bytes]]


class Batch:
    """One attempt at one transaction. `outcomes` holds the answers to its `items` once `commit`
    has returned.

    `in_doubt` tells what earlier attempts may have committed: by request, the hashes that its first
    entry would have. Found so, the outcome is a first answer and not a replay.
    """

    def __init__(
        self, items: Sequence[Item], catalog: Catalog, now: int, in_doubt: InDoubt
    ) -> None:
        self.items = items
        self._in_doubt = in_doubt
        self.outcomes: list[Outcome] = []
        #: the requests that this attempt writes an outcome for, each with the hash of its first
        #: entry, which a refusal has none of
        self.decided: dict[RequestKey, bytes] = {}
        #: the entries that this attempt, or the one in doubt before it, makes durable
        self.posted: list[Entry] = []
        #: whether COMMIT has been sent
        self.committing = False

        self._world = World(catalog, now)
        self._answered: dict[RequestKey, tuple[str, Outcome]] = {}
        self._entries: list[tuple[Entry, bytes]] = []
        #: when time next changes the accounts that were decided on
        self._due: dict[MemberKey, int | None] = {}
        #: of them, those whose journal a command left as it was
        self._redated: set[MemberKey] = set()
        self._warnings: list[tuple[str, str, Warning, int]] = []
        self._refusals: list[journal.NewRefusal] = []

    def load(self, cursor: Cursor) -> None:
        """Lock and load everything the commands may look at."""
        loaded = self._world.load(cursor, [item.command for item in self.items])
        for request, (digest, refusal) in loaded.refused.items():
            self._answered[request] = (digest, refusal)
        self._load_receipts(cursor, loaded.posted)

    def _load_receipts(self, cursor: Cursor, posted: Mapping[RequestKey, tuple[int, int]]) -> None:
        """The first answers of requests that were posted before."""
        ranges = [
            (program_id, member_id, first, first + more)
            for (program_id, member_id, _), (first, more) in posted.items()
        ]
        stored = journal.find_entries(cursor, ranges)
        for request, (first, more) in posted.items():
            journal_of = stored[request[:2]]
            entries = tuple(journal_of[first + offset].entry for offset in range(more + 1))
            receipt = Receipt(
                entries=entries,
                balance=balance_after(entries[-1]),
                replayed=journal_of[first].hash not in self._in_doubt.get(request, ()),
            )
            self._answered[request] = (entries[0].fingerprint, receipt)
            if not receipt.replayed:
                self.posted.extend(entries)

    def decide(self) -> None:
        """Decide every command in order, each on what the ones before it left."""
        for item in self.items:
            try:
                outcome = self._decide(item)
            except LedgerError as error:
                outcome = error
            except Exception:
                log.exception("command could not be decided", command=name(item.command))
                outcome = Internal()
            self.outcomes.append(outcome)

    def _decide(self, item: Item) -> Outcome:
        command = item.command
        program = self._world.program(command.program_id)
        if isinstance(program, LedgerError):
            return program
        request = request_key(command)
        answered = self._answered.get(request) if command.request_id else None
        if answered is not None:
            return self._repeat(command, *answered)
        account = self._world.accounts.get(member_key(command))
        context = self._world.context(command, item.actor)
        try:
            posting = decide(account, command, context)
        except FailedPrecondition as refusal:
            if account is not None:
                self._remember(request, command, refusal, item.actor, context.now)
            raise
        return self._take_in(command, posting)

    def _repeat(self, command: Command, digest: str, outcome: Outcome) -> Outcome:
        """The first outcome of a request id, again, or REQUEST_ID_REUSED for other content."""
        if digest != fingerprint(command):
            return RequestIdReused(request_id=command.request_id)
        if isinstance(outcome, Receipt) and not outcome.replayed:
            # Answered for the first time, after a doubt; from here on it is a repeat.
            again = msgspec.structs.replace(outcome, replayed=True)
            self._answered[request_key(command)] = (digest, again)
        return outcome

    def _remember(
        self,
        request: RequestKey,
        command: Command,
        refusal: FailedPrecondition,
        actor: str,
        now: int,
    ) -> None:
        digest = fingerprint(command)
        self._refusals.append(journal.NewRefusal(request, digest, refusal, actor, now))
        self._answered[request] = (digest, refusal)
        self.decided[request] = b""

    def _take_in(self, command: Command, posting: Posting) -> Receipt:
        """Let a command have happened, as a whole or not at all."""
        world, program_id = self._world, command.program_id
        pages = [posting, *posting.others]
        hashes = [chain(world.head(page), page.entries) for page in pages]
        spent = world.budgets.after(program_id, posting.spent)
        taken = world.stock.after(program_id, _units_taken(pages))
        own = tuple(posting.entries[posting.own :])
        receipt = Receipt(
            entries=own,
            balance=balance_after(own[-1]) if own else balance_of(posting.account, posting.now),
        )
        if command.request_id:
            again = Receipt(entries=own, balance=receipt.balance, replayed=True)
            repeat = (own[0].fingerprint, again)
            first_hash = hashes[0][posting.own]
        # From here on nothing can fail.
        for page, page_hashes in zip(pages, hashes, strict=True):
            self._append(page, page_hashes)
        world.budgets.take_in(program_id, spent)
        world.stock.take_in(program_id, taken)
        if command.request_id:
            request = request_key(command)
            self._answered[request] = repeat
            self.decided[request] = first_hash
        return receipt

    def _append(self, page: Posting, hashes: Sequence[bytes]) -> None:
        """Take in what is on one member's page."""
        self._entries.extend(zip(page.entries, hashes, strict=True))
        self.posted.extend(page.entries)
        self._world.take_in(page, hashes)
        key = page_key(page)
        self._due[key] = page.due_time
        if not page.entries and key in self._world.accounts:
            self._redated.add(key)
        self._warnings.extend((*key, warning, page.now) for warning in page.warnings)

    def save(self, cursor: Cursor) -> None:
        """Append what was decided, in key order: no two services wait for each other's new rows."""
        journal.append(cursor, sorted(self._entries, key=_key_of))

    def commit(self, cursor: Cursor) -> None:
        """Change what that changes, and make it durable."""
        world = self._world
        accounts = [
            journal.SavedAccount(
                key, world.old_versions.get(key, 0), account, world.heads[key], self._due[key]
            )
            for key, account in world.accounts.items()
            if account.version != world.old_versions.get(key, 0)
        ]
        accounts.sort(key=lambda saved: saved.key)
        unchanged = self._redated - {saved.key for saved in accounts}
        changes = journal.Changes(
            accounts=accounts,
            purchases=sorted(world.new_purchases),
            refusals=self._refusals,
            budgets=world.budgets.changed(),
            stock=world.stock.changed(),
            warnings=sorted(self._warnings),
            due=[(*key, self._due[key]) for key in sorted(unchanged)],
        )
        self.committing = True
        journal.commit(cursor, changes)


def _key_of(sealed: tuple[Entry, bytes]) -> MemberKey:
    return sealed[0].program_id, sealed[0].member_id


def _units_taken(pages: Sequence[Posting]) -> Mapping[str, int]:
    """How the units taken of rewards change, over all pages of a command."""
    if len(pages) == 1:
        return pages[0].taken
    taken: Counter[str] = Counter()
    for page in pages:
        taken.update(page.taken)
    return taken
