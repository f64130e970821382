"""What the commands of a batch may look at: locked and loaded first, then kept up to date.

A command sees what the ones before it in its batch left, just as if they had been committed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg2.extensions import cursor as Cursor

from ledger.core.chain import GENESIS
from ledger.core.commands import (
    Command,
    EnrollMember,
    RecordPurchase,
    RecordReturn,
    ReverseRedemption,
    Settle,
    TransferPoints,
)
from ledger.core.decide import other_member, reward_wanted, subject_sequence
from ledger.core.errors import LedgerError
from ledger.core.model import Account, Entry, PurchaseRef
from ledger.core.posting import Context, Posting, Subject
from ledger.core.program import Program
from ledger.store import journal
from ledger.store.journal import EntryKey, Loaded, MemberKey, RequestKey, Tally, TotalKey
from ledger.store.programs import Catalog

#: commands that name a receipt
_RECEIPTS = (RecordPurchase, RecordReturn)
#: commands that are about no earlier entry and want no reward: most of them, so ask no further
_PLAIN = (RecordPurchase, EnrollMember, Settle)


def member_key(command: Command) -> MemberKey:
    """Whose account a command is about."""
    return command.program_id, command.member_id


def request_key(command: Command) -> RequestKey:
    """What a command's outcome is remembered under."""
    return command.program_id, command.member_id, command.request_id


def page_key(page: Posting) -> MemberKey:
    """Whose journal a page is of."""
    return page.program.program_id, page.member_id


class RunningTotals:
    """Totals of one tally that run on over all members: as they were locked, then as changed."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._known: dict[str, dict[str, int]] = {}
        self._changed: set[TotalKey] = set()

    def lock(self, cursor: Cursor, keys: set[TotalKey]) -> None:
        """Keep totals from changing until the commit. No keys: nothing is asked."""
        if keys:
            for (program_id, name), total in journal.lock_totals(cursor, self._tally, keys).items():
                self._known.setdefault(program_id, {})[name] = total

    def of(self, program_id: str) -> Mapping[str, int]:
        """The locked totals of a program, by name."""
        return self._known.get(program_id, {})

    def after(self, program_id: str, changes: Mapping[str, int]) -> dict[str, int]:
        """What changes would make of a program's totals. Raises KeyError for one not locked."""
        if not changes:
            return {}
        known = self.of(program_id)
        return {name: known[name] + change for name, change in changes.items()}

    def take_in(self, program_id: str, totals: Mapping[str, int]) -> None:
        """Let totals be what `after` answered."""
        if totals:
            self._known[program_id].update(totals)
            self._changed.update((program_id, name) for name in totals)

    def changed(self) -> list[tuple[str, str, int]]:
        """(program, name, total) of what changed, in key order."""
        return [(*key, self._known[key[0]][key[1]]) for key in sorted(self._changed)]


class World:
    """The present of everything that the commands of one batch may look at.

    `now` is the present instant (µs) of programs that live in real time.
    """

    def __init__(self, catalog: Catalog, now: int) -> None:
        self._catalog = catalog
        self._now = now
        self._programs: dict[str, Program | LedgerError] = {}
        self.accounts: dict[MemberKey, Account] = {}
        self.heads: dict[MemberKey, bytes] = {}
        #: versions of the accounts as they were loaded
        self.old_versions: dict[MemberKey, int] = {}
        self._purchases: dict[str, dict[str, PurchaseRef]] = {}
        #: receipts that were credited since: (program, purchase, member, sequence)
        self.new_purchases: list[tuple[str, str, str, int]] = []
        #: entries that commands are about, and all that were appended since; none are kept where
        #: no command of the batch is about an earlier entry
        self._subjects: dict[EntryKey, Subject] = {}
        self._keeps_subjects = False
        self.budgets = RunningTotals("budgets")
        self.stock = RunningTotals("stock")

    def load(self, cursor: Cursor, commands: Sequence[Command]) -> Loaded:
        """Begin a transaction, lock and load; answers what is known of the commands' requests."""
        for program_id in {command.program_id for command in commands}:
            try:
                self._programs[program_id] = self._catalog.get(program_id)
            except LedgerError as error:
                self._programs[program_id] = error
        commands = [c for c in commands if isinstance(self._programs[c.program_id], Program)]
        loaded = self._load_members(cursor, commands)
        for key, locked in loaded.accounts.items():
            self.accounts[key] = locked.account
            self.heads[key] = locked.head_hash
            self.old_versions[key] = locked.account.version
        for (program_id, purchase_id), reference in loaded.purchases.items():
            self._purchases.setdefault(program_id, {})[purchase_id] = reference
        self._load_clocks(cursor)
        others = [c for c in commands if not isinstance(c, _PLAIN)]
        self._keeps_subjects = bool(others)
        self._load_subjects(cursor, others)
        self.budgets.lock(cursor, self._budget_keys(commands))
        self.stock.lock(cursor, self._stock_keys(others))
        return loaded

    def program(self, program_id: str) -> Program | LedgerError:
        """The program as the batch sees it, or why there is none."""
        return self._programs[program_id]

    def context(self, command: Command, actor: str) -> Context:
        """What a command may know besides its account. Its program must be there."""
        program = self._known_program(command.program_id)
        other = other_member(self.accounts.get(member_key(command)), command)
        beside = self.accounts.get((command.program_id, other)) if other else None
        return Context(
            program=program,
            now=self._present(program),
            actor=actor,
            purchases=self._purchases.get(command.program_id, {}),
            others={other: beside} if beside is not None else {},
            budgets=self.budgets.of(command.program_id),
            taken=self.stock.of(command.program_id),
            subject=None if isinstance(command, _PLAIN) else self._subject(command),
        )

    def head(self, page: Posting) -> bytes:
        """The hash that the first entry of a page continues."""
        return self.heads.get(page_key(page), GENESIS)

    def take_in(self, page: Posting, hashes: Sequence[bytes]) -> None:
        """Let the entries of a page, with their hashes, have happened."""
        if not page.entries:
            return  # nothing was due, perhaps for a member who does not exist
        key = program_id, member_id = page_key(page)
        self.accounts[key] = page.account
        self.heads[key] = hashes[-1]
        for entry in page.entries:
            if self._keeps_subjects:
                self._keep_subject(member_id, entry)
            if entry.kind == "PURCHASE":
                reference = PurchaseRef(member_id, entry.sequence)
                self._purchases.setdefault(program_id, {})[entry.purchase_id] = reference
                self.new_purchases.append(
                    (program_id, entry.purchase_id, member_id, entry.sequence)
                )

    def _keep_subject(self, member_id: str, entry: Entry) -> None:
        """Let commands that come later in the batch find an entry, or that it is about another."""
        program_id = entry.program_id
        self._subjects[program_id, member_id, entry.sequence] = Subject(entry, None)
        if entry.subject_sequence:
            about = (program_id, member_id, entry.subject_sequence)
            known = self._subjects.get(about)
            if known is not None:  # else no command of the batch is about it
                self._subjects[about] = Subject(known.entry, entry)

    def _load_members(self, cursor: Cursor, commands: Sequence[Command]) -> Loaded:
        """The members, requests and receipts that commands name, the members locked."""
        keys = {member_key(c) for c in commands}
        requests = {request_key(c) for c in commands if c.request_id}
        purchases = set()
        for c in commands:
            if isinstance(c, _RECEIPTS):
                purchases.add((c.program_id, c.purchase_id))
            elif isinstance(c, EnrollMember) and c.referrer_member_id:
                keys.add((c.program_id, c.referrer_member_id))
            elif isinstance(c, TransferPoints):
                keys.add((c.program_id, c.to_member_id))
        loaded = journal.begin(cursor, keys, requests, purchases)
        while others := _others(commands, loaded) - keys:
            # Locked in key order, so that no two services wait for each other: begin anew.
            cursor.execute("ROLLBACK")
            keys |= others
            loaded = journal.begin(cursor, keys, requests, purchases)
        return loaded

    def _load_clocks(self, cursor: Cursor) -> None:
        sandboxes = [
            program.program_id
            for program in self._programs.values()
            if isinstance(program, Program) and program.clock_time is not None
        ]
        if sandboxes:
            for program_id, (clock, version) in journal.lock_clocks(cursor, sandboxes).items():
                self._programs[program_id] = self._catalog.at(program_id, clock, version)

    def _load_subjects(self, cursor: Cursor, commands: Sequence[Command]) -> None:
        keys = {key for command in commands if (key := self._subject_key(command)) is not None}
        if keys:
            self._subjects.update(journal.find_subjects(cursor, keys))

    def _budget_keys(self, commands: Sequence[Command]) -> set[TotalKey]:
        """What promotions with a budget have given, if a purchase may want to have of it."""
        keys = set()
        for program_id in {c.program_id for c in commands if isinstance(c, RecordPurchase)}:
            program = self._known_program(program_id)
            now = self._present(program)
            keys |= {(program_id, promotion_id) for promotion_id in program.budgeted(now)}
        return keys

    def _stock_keys(self, commands: Sequence[Command]) -> set[TotalKey]:
        """What is taken of rewards with a stock that commands may want, or that may come back."""
        wanted = set()
        for command in commands:
            reward_id = reward_wanted(command)
            if isinstance(command, ReverseRedemption):
                subject = self._subject(command)
                reward_id = subject.entry.data.reward_id if subject is not None else ""
            if reward_id:
                wanted.add((command.program_id, reward_id))
        # Units may be out of a reward that has a stock in any rules version.
        keys = {key for key in wanted if key[1] in self._known_program(key[0]).stocked}
        asked = {member_key(command) for command in commands}
        for key, account in self.accounts.items():
            if account.holds:
                # A unit comes back by a command about its holder, or by time.
                now = max(self._present(self._known_program(key[0])), account.create_time)
                keys |= {
                    (key[0], hold.reward_id)
                    for hold in account.holds
                    if hold.units and (key in asked or hold.expire_time <= now)
                }
        return keys

    def _subject(self, command: Command) -> Subject | None:
        key = self._subject_key(command)
        return None if key is None else self._subjects.get(key)

    def _subject_key(self, command: Command) -> EntryKey | None:
        """The earlier entry that a command is about, as far as is known by now."""
        reference = None
        if isinstance(command, RecordReturn):
            reference = self._purchases.get(command.program_id, {}).get(command.purchase_id)
        program = self._known_program(command.program_id)
        sequence = subject_sequence(command, program, reference)
        return None if sequence is None else (command.program_id, command.member_id, sequence)

    def _known_program(self, program_id: str) -> Program:
        program = self._programs[program_id]
        assert isinstance(program, Program)
        return program

    def _present(self, program: Program) -> int:
        """The program's present instant (µs)."""
        return self._now if program.clock_time is None else program.clock_time


def _others(commands: Sequence[Command], loaded: Loaded) -> set[MemberKey]:
    """The members whom commands concern besides their own."""
    others = set()
    for command in commands:
        locked = loaded.accounts.get(member_key(command))
        other = other_member(locked.account, command) if locked is not None else ""
        if other:
            others.add((command.program_id, other))
    return others
