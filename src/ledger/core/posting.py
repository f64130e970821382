"""An open page of one member's journal, and what a decision may know besides the account."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ledger.core.apply import apply
from ledger.core.commands import Command, fingerprint
from ledger.core.errors import invalid
from ledger.core.instants import local_day
from ledger.core.model import MAX_BALANCE, Account, Entry, EntryData, PurchaseRef
from ledger.core.program import Program, RulesVersion

#: the actor of entries that time itself posts
TIME_ACTOR = "time"


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision may know besides the account."""

    program: Program
    #: the program's present instant (µs)
    now: int
    #: the authenticated principal
    actor: str
    #: where the receipts that the command names are already credited
    purchases: Mapping[str, PurchaseRef] = {}
    #: other members that the command may concern, by member id
    others: Mapping[str, Account] = {}
    #: points that promotions with a budget have given so far, by promotion id
    budgets: Mapping[str, int] = {}


class Posting:
    """An open page of one member's journal: entries are added at its end, never changed after.

    `account` is always the fold up to the last entry added. The entries that time made due before
    the command come first; `own` is where the command's own group begins.
    """

    __slots__ = (
        "account",
        "actor",
        "due_time",
        "entries",
        "member_id",
        "now",
        "others",
        "own",
        "program",
        "rules_now",
        "spent",
        "today",
    )

    def __init__(self, account: Account | None, member_id: str, context: Context) -> None:
        self.account = account or Account()
        self.program = context.program
        self.member_id = member_id
        self.actor = context.actor
        #: create_time never goes back within a member, whatever the clock does
        self.now = max(context.now, account.create_time) if account else context.now
        #: the rules in force at this moment
        self.rules_now: RulesVersion = context.program.in_force(self.now)
        #: the present local day
        self.today = local_day(self.now, context.program.zone)
        self.entries: list[Entry] = []
        #: index of the command's first entry
        self.own = 0
        #: when time next has something to post here (µs), once settled; None: never
        self.due_time: int | None = None
        #: pages of other members that the same command writes on
        self.others: list[Posting] = []
        #: points it takes from promotions that have a budget, by promotion id
        self.spent: Mapping[str, int] = {}

    @property
    def enroll_day(self) -> int:
        """The local day on which the member came."""
        return local_day(self.account.enroll_time, self.program.zone)

    def post(
        self,
        kind: str,
        points: int,
        data: EntryData,
        *,
        debit: str = "",
        credit: str = "",
        effective_time: int,
        rules_version: int,
        command: Command | None = None,
        purchase_id: str = "",
        actor: str = TIME_ACTOR,
    ) -> None:
        """Add an entry; one with a command is part of what that command posts."""
        entry = Entry(
            program_id=self.program.program_id,
            member_id=self.member_id,
            sequence=self.account.version + 1,
            kind=kind,
            points=points,
            debit_account=debit,
            credit_account=credit,
            purchase_id=purchase_id,
            rules_version=rules_version,
            actor=self.actor if command is not None else actor,
            effective_time=effective_time,
            create_time=self.now,
            data=data,
        )
        if command is not None:
            entry.location_id = getattr(command, "location_id", "")
            entry.terminal_id = getattr(command, "terminal_id", "")
        account = apply(self.account, entry)
        full = account.available > MAX_BALANCE or account.lifetime > MAX_BALANCE
        if full and command is not None:  # what time brings can not be refused
            raise invalid("amount", f"the account would hold more than {MAX_BALANCE} points")
        entry.available_points = account.available
        entry.held_points = account.held
        entry.tier_id = account.tier_id
        data.pending_points = account.pending
        data.lifetime_points = account.lifetime
        data.next_expiry = account.next_expiry
        self.account = account
        self.entries.append(entry)

    def close(self, command: Command) -> None:
        """Tie the command's entries together: the first carries its request id."""
        group = self.entries[self.own :]
        if not group:
            return
        first = group[0]
        first.request_id = command.request_id
        first.fingerprint = fingerprint(command)
        first.consequences = len(group) - 1
        for entry in group[1:]:
            entry.cause_sequence = first.sequence
