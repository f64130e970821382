"""One attempt at one transaction: load, decide, save, commit. The answers are its `outcomes`.

Everything is locked and loaded first; then each command is decided purely, in order of arrival, on
what the ones before it left; then everything is written with one statement per table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec
import structlog
from psycopg2.extensions import cursor as Cursor

from ledger.core.chain import GENESIS, chain
from ledger.core.commands import (
    Command,
    EnrollMember,
    RecordPurchase,
    Settle,
    fingerprint,
    name,
)
from ledger.core.decide import decide, other_member
from ledger.core.errors import FailedPrecondition, Internal, LedgerError, RequestIdReused
from ledger.core.model import Account, Entry, PurchaseRef, Receipt, balance_after, balance_of
from ledger.core.posting import Context, Posting
from ledger.core.program import Program
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


def member_key(command: Command) -> MemberKey:
    """Whose account a command is about."""
    return command.program_id, command.member_id


def request_key(command: Command) -> RequestKey:
    """What a command's outcome is remembered under."""
    return command.program_id, command.member_id, command.request_id


class Batch:
    """One attempt at one transaction. `outcomes` holds the answers once `commit` has returned.

    `in_doubt` tells what earlier attempts may have committed: by request, the hashes that its first
    entry would have. Found so, the outcome is a first answer and not a replay.
    """

    def __init__(
        self, items: Sequence[Item], catalog: Catalog, now: int, in_doubt: InDoubt
    ) -> None:
        self._items = items
        self._catalog = catalog
        self._now = now
        self._in_doubt = in_doubt
        self.outcomes: list[Outcome] = []
        #: the requests that this attempt writes an outcome for, each with the hash of its first
        #: entry, which a refusal has none of
        self.decided: dict[RequestKey, bytes] = {}
        #: the entries that this attempt, or the one in doubt before it, makes durable
        self.posted: list[Entry] = []
        #: whether COMMIT has been sent
        self.committing = False

        self._programs: dict[str, Program | LedgerError] = {}
        self._accounts: dict[MemberKey, Account] = {}
        self._heads: dict[MemberKey, bytes] = {}
        self._old_versions: dict[MemberKey, int] = {}
        self._purchases: dict[str, dict[str, PurchaseRef]] = {}
        self._answered: dict[RequestKey, tuple[str, Outcome]] = {}
        self._entries: list[tuple[Entry, bytes]] = []
        self._budgets: dict[str, dict[str, int]] = {}
        self._spent: set[journal.BudgetKey] = set()
        #: when time next changes the accounts that were decided on
        self._due: dict[MemberKey, int | None] = {}
        #: of them, those whose journal did not change
        self._redated: set[MemberKey] = set()
        self._new_purchases: list[tuple[str, str, str, int]] = []
        self._refusals: list[journal.NewRefusal] = []

    def load(self, cursor: Cursor) -> None:
        """Lock and load everything the commands may look at."""
        commands = [item.command for item in self._items]
        for program_id in {command.program_id for command in commands}:
            try:
                self._programs[program_id] = self._catalog.get(program_id)
            except LedgerError as error:
                self._programs[program_id] = error
        commands = [c for c in commands if isinstance(self._programs[c.program_id], Program)]
        keys = {(c.program_id, c.member_id) for c in commands}
        keys |= {
            (c.program_id, c.referrer_member_id)
            for c in commands
            if isinstance(c, EnrollMember) and c.referrer_member_id
        }
        requests = {request_key(c) for c in commands if c.request_id}
        purchases = {
            (c.program_id, c.purchase_id) for c in commands if isinstance(c, RecordPurchase)
        }
        loaded = journal.begin(cursor, keys, requests, purchases)
        while others := self._others(commands, loaded) - keys:
            # Locked in key order, so that no two services wait for each other: begin anew.
            cursor.execute("ROLLBACK")
            keys |= others
            loaded = journal.begin(cursor, keys, requests, purchases)
        for key, locked in loaded.accounts.items():
            self._accounts[key] = locked.account
            self._heads[key] = locked.head_hash
            self._old_versions[key] = locked.account.version
        for (program_id, purchase_id), reference in loaded.purchases.items():
            self._purchases.setdefault(program_id, {})[purchase_id] = reference
        for request, (digest, refusal) in loaded.refused.items():
            self._answered[request] = (digest, refusal)
        self._load_clocks(cursor)
        self._load_budgets(cursor, commands)
        self._load_receipts(cursor, loaded.posted)

    def _others(self, commands: Sequence[Command], loaded: journal.Loaded) -> set[MemberKey]:
        """The members whom commands concern besides their own."""
        others = set()
        for command in commands:
            locked = loaded.accounts.get(member_key(command))
            other = other_member(locked.account, command) if locked is not None else ""
            if other:
                others.add((command.program_id, other))
        return others

    def _load_budgets(self, cursor: Cursor, commands: Sequence[Command]) -> None:
        """Lock what promotions with a budget have given, if a purchase may want to have of it."""
        keys = set()
        for program_id in {c.program_id for c in commands if isinstance(c, RecordPurchase)}:
            program = self._programs[program_id]
            assert isinstance(program, Program)
            now = self._now if program.clock_time is None else program.clock_time
            keys |= {(program_id, promotion_id) for promotion_id in program.budgeted(now)}
        if keys:
            for (program_id, promotion_id), spent in journal.lock_budgets(cursor, keys).items():
                self._budgets.setdefault(program_id, {})[promotion_id] = spent

    def _load_clocks(self, cursor: Cursor) -> None:
        sandboxes = [
            program.program_id
            for program in self._programs.values()
            if isinstance(program, Program) and program.clock_time is not None
        ]
        if sandboxes:
            for program_id, (clock, version) in journal.lock_clocks(cursor, sandboxes).items():
                self._programs[program_id] = self._catalog.at(program_id, clock, version)

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
        for item in self._items:
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
        program = self._programs[command.program_id]
        if isinstance(program, LedgerError):
            return program
        request = request_key(command)
        answered = self._answered.get(request) if command.request_id else None
        if answered is not None:
            return self._repeat(command, *answered)
        key = (command.program_id, command.member_id)
        account = self._accounts.get(key)
        other = other_member(account, command)
        beside = self._accounts.get((command.program_id, other)) if other else None
        context = Context(
            program=program,
            now=self._now if program.clock_time is None else program.clock_time,
            actor=item.actor,
            purchases=self._purchases.get(command.program_id, {}),
            others={other: beside} if beside is not None else {},
            budgets=self._budgets.get(command.program_id, {}),
        )
        try:
            posting = decide(account, command, context)
        except FailedPrecondition as refusal:
            if account is not None:
                self._remember(request, command, refusal, item.actor, context.now)
            raise
        return self._take_in(key, request, command, posting)

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

    def _take_in(
        self, key: MemberKey, request: RequestKey, command: Command, posting: Posting
    ) -> Receipt:
        hashes = self._chain(key, posting)
        others = [
            (other, member, self._chain(other, member))
            for member in posting.others
            for other in [(key[0], member.member_id)]
        ]
        budgets = self._budgets.get(key[0], {})
        spent = {name: budgets[name] + points for name, points in posting.spent.items()}
        # From here on nothing can fail: a command is taken in as a whole or not at all.
        self._append(key, posting, hashes)
        for other, member, other_hashes in others:
            self._append(other, member, other_hashes)
        budgets.update(spent)
        self._spent.update((key[0], promotion_id) for promotion_id in spent)
        if isinstance(command, Settle) and key in self._accounts:
            self._redated.add(key)
        own = tuple(posting.entries[posting.own :])
        receipt = Receipt(
            entries=own,
            balance=balance_after(own[-1]) if own else balance_of(posting.account, posting.now),
        )
        if command.request_id:
            repeat = Receipt(entries=own, balance=receipt.balance, replayed=True)
            self._answered[request] = (own[0].fingerprint, repeat)
            self.decided[request] = hashes[posting.own]
        return receipt

    def _chain(self, key: MemberKey, posting: Posting) -> list[bytes]:
        return chain(self._heads.get(key, GENESIS), posting.entries)

    def _append(self, key: MemberKey, posting: Posting, hashes: Sequence[bytes]) -> None:
        """Take in the entries of one member's page."""
        for entry, digest in zip(posting.entries, hashes, strict=True):
            self._entries.append((entry, digest))
            self.posted.append(entry)
            if entry.kind == "PURCHASE":
                reference = PurchaseRef(entry.member_id, entry.sequence)
                self._purchases.setdefault(key[0], {})[entry.purchase_id] = reference
                self._new_purchases.append(
                    (key[0], entry.purchase_id, entry.member_id, entry.sequence)
                )
            self._heads[key] = digest
        self._due[key] = posting.due_time
        if posting.entries:  # else nothing was due, perhaps for a member who does not exist
            self._accounts[key] = posting.account

    def save(self, cursor: Cursor) -> None:
        """Append what was decided, in key order: no two services wait for each other's new rows."""
        journal.append(cursor, sorted(self._entries, key=_key_of))

    def commit(self, cursor: Cursor) -> None:
        """Change what that changes, and make it durable."""
        changed = [
            journal.SavedAccount(
                key, self._old_versions.get(key, 0), account, self._heads[key], self._due[key]
            )
            for key, account in self._accounts.items()
            if account.version != self._old_versions.get(key, 0)
        ]
        changed.sort(key=lambda saved: saved.key)
        self.committing = True
        budgets = [(*key, self._budgets[key[0]][key[1]]) for key in sorted(self._spent)]
        unchanged = self._redated - {saved.key for saved in changed}
        due = [(*key, self._due[key]) for key in sorted(unchanged)]
        journal.commit(cursor, changed, sorted(self._new_purchases), self._refusals, budgets, due)


def _key_of(sealed: tuple[Entry, bytes]) -> MemberKey:
    return sealed[0].program_id, sealed[0].member_id
