"""A ledger in dictionaries: the core alone, driven the way the engine drives it.

No I/O and no clock: `now` is whatever the test says. What the engine keeps in tables is here in
plain dicts, so that a test may look at (and spoil) every bit of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from ledger.core.chain import GENESIS, chain
from ledger.core.commands import (
    Command,
    EnrollMember,
    OverrideTier,
    RecordActivity,
    RecordPurchase,
    Settle,
    fingerprint,
)
from ledger.core.decide import decide, other_member, reward_wanted, subject_sequence
from ledger.core.errors import FailedPrecondition, LedgerError, RequestIdReused, recall
from ledger.core.instants import to_instant
from ledger.core.model import (
    Account,
    Entry,
    PurchaseLine,
    PurchaseRef,
    Receipt,
    balance_after,
    balance_of,
    encode,
)
from ledger.core.posting import Context, Posting, Subject, Warning
from ledger.core.program import Program, RulesVersion
from ledger.core.rules import read_rules
from ledger.core.status import TierStatus, present_status
from ledger.core.verify import Finding, Sealed, StoredAccount, verify_member

PROGRAM = "bean-street"
TILL = "till"

Document = dict[str, Any]
Outcome = Receipt | LedgerError


def at(text: str) -> int:
    """The instant (µs) of RFC 3339 text: `at("2026-01-10T09:00Z")`."""
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo is not None, f"{text} needs a zone"
    return to_instant(moment)


def cents(text: str) -> int:
    """Minor units of an amount in euros: `cents("12.99")` is 1299."""
    units, _, part = text.partition(".")
    return int(units) * 100 + int(part.ljust(2, "0") or 0)


def document(earning: Mapping[str, Any] | None = None, **sections: Any) -> Document:
    """A rules document: one point per euro, and what the test adds to that."""
    rate = {"points": 1, "per": "1.00"}
    return {"earning": {"rate": rate, **(earning or {})}, **sections}


def stored_account(account: Account, head_hash: bytes) -> StoredAccount:
    """The row in which the store keeps an account."""
    return StoredAccount(
        version=account.version,
        available=account.available,
        held=account.held,
        tier_id=account.tier_id,
        status=account.status,
        due_time=account.due_time,
        state=encode(account).decode(),
        head_hash=head_hash,
    )


class MemoryLedger:
    """One program and its members. `now` is its clock; set it."""

    def __init__(
        self,
        rules: Document | None = None,
        *,
        now: str | int = "2026-01-10T09:00Z",
        zone: str = "Europe/Berlin",
        currency: str = "EUR",
    ) -> None:
        self.now = at(now) if isinstance(now, str) else now
        self.program = Program(
            program_id=PROGRAM,
            display_name="Bean Street",
            currency=currency,
            zone=ZoneInfo(zone),
            clock_time=None,
            member_key=bytes(32),
            create_time=self.now,
            versions=(RulesVersion(1, self.now, read_rules(rules or document(), currency)),),
        )
        self.accounts: dict[str, Account] = {}
        self.journals: dict[str, list[Entry]] = {}
        self.purchases: dict[str, PurchaseRef] = {}
        #: points that promotions with a budget have given
        self.budgets: dict[str, int] = {}
        #: units of stock taken, by reward id
        self.units: Counter[str] = Counter()
        #: by member, date, distance and cause: what is told once
        self.told: dict[tuple[str, int, int, bool], Warning] = {}
        self.answered: dict[tuple[str, str], tuple[str, Outcome]] = {}

    def publish(self, rules: Document, effective_time: int) -> None:
        """Add a rules version."""
        versions = self.program.versions
        compiled = read_rules(rules, self.program.currency, versions[-1].rules)
        version = RulesVersion(len(versions) + 1, effective_time, compiled)
        self.program = msgspec.structs.replace(self.program, versions=(*versions, version))

    def write(self, command: Command, actor: str = TILL) -> Outcome:
        """The outcome of a command: the first one again when its request id was seen before."""
        request = (command.member_id, command.request_id)
        if command.request_id and request in self.answered:
            digest, outcome = self.answered[request]
            if digest != fingerprint(command):
                return RequestIdReused(request_id=command.request_id)
            return outcome
        account = self.accounts.get(command.member_id)
        try:
            posting = self.decide(command, actor)
        except FailedPrecondition as refusal:
            if account is not None:
                remembered = recall(refusal.reason, refusal.metadata)
                self.answered[request] = (fingerprint(command), remembered)
            return refusal
        except LedgerError as error:
            return error
        for page in (posting, *posting.others):
            self._take_in(page)
        for promotion_id, points in posting.spent.items():
            self.budgets[promotion_id] = self.budgets.get(promotion_id, 0) + points
        own = tuple(posting.entries[posting.own :])
        balance = balance_after(own[-1]) if own else balance_of(posting.account, posting.now)
        if command.request_id:
            again = Receipt(entries=own, balance=balance, replayed=True)
            self.answered[request] = (fingerprint(command), again)
        return Receipt(entries=own, balance=balance)

    def decide(self, command: Command, actor: str = TILL) -> Posting:
        """What a command would post now, of which nothing is kept. Raises its refusal."""
        account = self.accounts.get(command.member_id)
        other, wanted = other_member(account, command), reward_wanted(command)
        purchase = self.purchases.get(getattr(command, "purchase_id", ""))
        sequence = subject_sequence(command, self.program, purchase)
        context = Context(
            program=self.program,
            now=self.now,
            actor=actor,
            purchases=self.purchases,
            others={other: self.accounts[other]} if other in self.accounts else {},
            budgets=self.budgets,
            taken={wanted: self.units[wanted]} if wanted else {},
            subject=self._subject(command.member_id, sequence),
        )
        return decide(account, command, context)

    def _subject(self, member_id: str, sequence: int | None) -> Subject | None:
        """An earlier entry, and the latest one that is about it."""
        journal = self.journals.get(member_id, [])
        if sequence is None or not 0 < sequence <= len(journal):
            return None
        about = [entry for entry in journal if entry.subject_sequence == sequence]
        return Subject(journal[sequence - 1], about[-1] if about else None)

    def _take_in(self, page: Posting) -> None:
        if page.entries:
            self.accounts[page.member_id] = page.account
        self.journals.setdefault(page.member_id, []).extend(page.entries)
        for entry in page.entries:
            if entry.kind == "PURCHASE":
                reference = PurchaseRef(entry.member_id, entry.sequence)
                self.purchases[entry.purchase_id] = reference
        for reward_id, units in page.taken.items():
            self.units[reward_id] += units
        for warning in page.warnings:
            key = (page.member_id, warning.expire_time, warning.days, warning.inactivity)
            self.told.setdefault(key, warning)

    def enroll(self, member_id: str = "ann", **fields: Any) -> Receipt:
        """The receipt of an enrolment. Raises its refusal."""
        fields.setdefault("request_id", f"enroll-{member_id}")
        return self._done(EnrollMember(program_id=PROGRAM, member_id=member_id, **fields))

    def buy(
        self,
        amount: str,
        member_id: str = "ann",
        *,
        lines: Mapping[str, str] | None = None,
        when: str | int | None = None,
        **fields: Any,
    ) -> Receipt:
        """The receipt of a purchase, with lines by category (or "category/sku"). Raises its
        refusal."""
        return self._done(self.purchase(amount, member_id, lines=lines, when=when, **fields))

    def purchase(
        self,
        amount: str,
        member_id: str = "ann",
        *,
        lines: Mapping[str, str] | None = None,
        when: str | int | None = None,
        **fields: Any,
    ) -> RecordPurchase:
        """The command of `buy`."""
        number = len(self.answered) + 1
        fields.setdefault("request_id", f"r-{number}")
        fields.setdefault("purchase_id", f"p-{number}")
        parts = {tuple(name.partition("/")[::2]): part for name, part in (lines or {}).items()}
        return RecordPurchase(
            program_id=PROGRAM,
            member_id=member_id,
            amount=cents(amount),
            lines=tuple(
                PurchaseLine(sku, category, 1, cents(part))
                for (category, sku), part in parts.items()
            ),
            effective_time=at(when) if isinstance(when, str) else when,
            **fields,
        )

    def do(self, activity: str, member_id: str = "ann", when: str | int | None = None) -> Receipt:
        """The receipt of an activity. Raises its refusal."""
        return self._done(
            RecordActivity(
                program_id=PROGRAM,
                member_id=member_id,
                request_id=f"r-{len(self.answered) + 1}",
                activity=activity,
                effective_time=at(when) if isinstance(when, str) else when,
            )
        )

    def override(self, tier_id: str, until: str | int, member_id: str = "ann") -> Receipt:
        """The receipt of an override. Raises its refusal."""
        return self._done(
            OverrideTier(
                program_id=PROGRAM,
                member_id=member_id,
                request_id=f"r-{len(self.answered) + 1}",
                tier_id=tier_id,
                reason="goodwill",
                until_time=at(until) if isinstance(until, str) else until,
            )
        )

    def tier(self, member_id: str = "ann") -> TierStatus:
        """The tier that a member holds now, whatever is settled yet."""
        command = Settle(program_id=PROGRAM, member_id=member_id)
        status = present_status(self.decide(command).account, self.program, self.now)
        assert status is not None, "the program has no tiers"
        return status

    def settle(self, member_id: str = "ann") -> tuple[Entry, ...]:
        """What time has made due, posted now."""
        return self._done(Settle(program_id=PROGRAM, member_id=member_id)).entries

    def journal(self, member_id: str = "ann") -> list[Entry]:
        return self.journals[member_id]

    def sealed(self, member_id: str = "ann") -> list[Sealed]:
        """A journal as the store keeps it: with hashes, and data to the letter."""
        entries = self.journals[member_id]
        return [
            Sealed(entry, digest, encode(entry.data).decode())
            for entry, digest in zip(entries, chain(GENESIS, entries), strict=True)
        ]

    def stored(self, member_id: str = "ann") -> StoredAccount:
        """An account as the store keeps it."""
        return stored_account(self.accounts[member_id], self.sealed(member_id)[-1].hash)

    def verify(self, member_id: str = "ann") -> list[Finding]:
        sealed, stored = self.sealed(member_id), self.stored(member_id)
        return verify_member(sealed, stored, self.program).findings

    def trial_balance(self) -> dict[str, int]:
        """Points per ledger account over all journals; they sum to zero."""
        totals: Counter[str] = Counter()
        for journal in self.journals.values():
            for entry in journal:
                if entry.points:
                    totals[entry.debit_account] -= abs(entry.points)
                    totals[entry.credit_account] += abs(entry.points)
        return dict(totals)

    def _done(self, command: Command) -> Receipt:
        outcome = self.write(command)
        if isinstance(outcome, LedgerError):
            raise outcome
        return outcome
