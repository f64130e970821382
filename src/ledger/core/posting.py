"""An open page of one member's journal, and what a decision may know besides the account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ledger.core.apply import apply
from ledger.core.commands import Command, fingerprint
from ledger.core.errors import invalid
from ledger.core.instants import local_day
from ledger.core.lots import out_of, take
from ledger.core.model import (
    ADJUSTMENTS,
    AVAILABLE,
    DEBT,
    ISSUANCE,
    MAX_BALANCE,
    Account,
    Entry,
    EntryData,
    PurchaseRef,
)
from ledger.core.program import Program, RulesVersion

#: the actor of entries that time itself posts
TIME_ACTOR = "time"


class Subject(NamedTuple):
    """An earlier entry of the member that a command is about."""

    entry: Entry
    #: the last entry that names it as its subject; None: there is none yet
    latest: Entry | None


class Warning(NamedTuple):
    """Points that will expire in so many days, to be told once for each date and distance."""

    #: µs
    expire_time: int
    days: int
    points: int
    #: they expire because nothing was bought or redeemed for long
    inactivity: bool = False


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
    #: units of stock taken so far, by reward id
    taken: Mapping[str, int] = {}
    #: what the command is about, if it is about an earlier entry
    subject: Subject | None = None


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
        "faded",
        "known",
        "member_id",
        "now",
        "others",
        "own",
        "program",
        "rules_now",
        "spent",
        "taken",
        "today",
        "warned",
        "warnings",
    )

    def __init__(self, account: Account | None, member_id: str, context: Context) -> None:
        self.account = account or Account()
        #: whether the member had an account before
        self.known = account is not None
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
        #: warnings, and inactivity, of instants up to these (µs) have been seen to
        self.warned = self.account.create_time
        self.faded = self.account.create_time
        #: index of the command's first entry
        self.own = 0
        #: when time next has something to post here (µs), once settled; None: never
        self.due_time: int | None = None
        #: pages of other members that the same command writes on
        self.others: list[Posting] = []
        #: points it takes from promotions that have a budget, by promotion id
        self.spent: Mapping[str, int] = {}
        #: change of the units taken of rewards that have a stock, by reward id
        self.taken: dict[str, int] = {}
        self.warnings: list[Warning] = []

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
        subject_sequence: int = 0,
        actor: str = TIME_ACTOR,
    ) -> None:
        """Add an entry; one with a command is part of what that command posts. Points move from the
        debit to the credit account, which are named only where any do.

        What it brings pays a debt before anything else can happen to it.
        """
        entry = Entry(
            program_id=self.program.program_id,
            member_id=self.member_id,
            sequence=self.account.version + 1,
            kind=kind,
            points=points,
            debit_account=debit if points else "",
            credit_account=credit if points else "",
            subject_sequence=subject_sequence,
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
        owned = account.available + account.held
        full = owned > MAX_BALANCE or account.lifetime > MAX_BALANCE
        # What time brings can not be refused, nor what was the member's before.
        if full and command is not None and debit in (ISSUANCE, ADJUSTMENTS):
            raise invalid("amount", f"the account would hold more than {MAX_BALANCE} points")
        entry.available_points = account.available
        entry.held_points = account.held
        entry.tier_id = account.tier_id
        data.pending_points = account.pending
        data.debt_points = account.debt
        data.lifetime_points = account.lifetime
        data.next_expiry = account.next_expiry
        self.account = account
        self.entries.append(entry)
        if data.units:
            self.taken[data.reward_id] = self.taken.get(data.reward_id, 0) + data.units
        if account.debt and account.available:
            points = min(account.debt, account.available)
            self.post(
                "DEBT_PAYMENT",
                -points,
                EntryData(lots=out_of(take(account.lots, points))),
                debit=AVAILABLE,
                credit=DEBT,
                effective_time=effective_time,
                rules_version=rules_version,
                command=command,
                actor=actor,
            )

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
