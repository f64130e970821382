"""Re-check a member's journal from its first entry: sequence, chain, balances, groups, the account.

Pure: it is given what is stored and answers what contradicts itself. It trusts nothing that can be
computed from the entries.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from ledger.core.apply import JournalCorrupt, apply, check_balances
from ledger.core.chain import GENESIS, canonical_data, canonical_form, form_hash
from ledger.core.checks.finding import Finding
from ledger.core.checks.lifecycle import Lifecycle
from ledger.core.checks.rules import check_rules
from ledger.core.checks.shapes import check_shape
from ledger.core.model import AVAILABLE, HELD, PENDING, Account, Entry, decode_account, encode
from ledger.core.posting import TIME_ACTOR
from ledger.core.program import Program

__all__ = ["Finding", "Sealed", "StoredAccount", "Verified", "verify_member"]

#: what the request of another member may post
_ELSEWHERE: Final = frozenset({"TRANSFER_IN", "BONUS", "DEBT_PAYMENT"})


class Sealed(NamedTuple):
    """An entry as stored: with its hash, and its data column to the letter."""

    entry: Entry
    hash: bytes
    data: str


class StoredAccount(NamedTuple):
    """A member's row in `accounts`, column by column."""

    version: int
    available: int
    held: int
    tier_id: str
    status: str
    due_time: int | None
    state: str
    head_hash: bytes


class Verified(NamedTuple):
    """What a walk over one member's journal found."""

    entries: int
    head_hash: bytes
    account: Account
    findings: list[Finding]


def verify_member(
    journal: Iterable[Sealed], stored: StoredAccount | None, program: Program | None = None
) -> Verified:
    """Everything about one member that does not hold; no findings = all of it holds.

    With a `program`, entries are compared with its rules, too.

    After the first contradiction within the journal the fold stops, the chain is checked on.
    """
    findings: list[Finding] = []
    account = Account()
    lifecycle = Lifecycle()
    previous = GENESIS
    group = _Group()
    folding = True
    count = 0
    for sealed in journal:
        entry = sealed.entry
        count += 1
        form = canonical_form(entry)
        if form_hash(previous, form) != sealed.hash:
            detail = "hash is not that of the previous hash and the entry's canonical form"
            findings.append(Finding("chain", entry.sequence, detail))
        elif not canonical_data(form, sealed.data):
            findings.append(Finding("chain", entry.sequence, "data is not in canonical form"))
        previous = sealed.hash
        findings.extend(group.check(entry))
        findings.extend(_check_accounts(entry))
        findings.extend(check_shape(entry))
        if folding:
            try:
                before, account = account, apply(account, entry)
                check_balances(account, entry)
                findings.extend(_check_lots(account, entry.sequence))
                findings.extend(lifecycle.check(entry, account))
                if program is not None:
                    findings.extend(check_rules(entry, before, program))
            except JournalCorrupt as corrupt:
                findings.append(Finding(corrupt.check, corrupt.sequence, corrupt.detail))
                folding = False
    if group.left:
        detail = f"{group.left} entries of its request are missing at the end of the journal"
        findings.append(Finding("group", group.cause, detail))
    if folding:
        findings.extend(lifecycle.finish())
        findings.extend(_check_account(account, previous, stored))
    return Verified(count, previous, account, findings)


class _Group:
    """What one request posted stands together, and says so."""

    def __init__(self) -> None:
        #: the first entry of the request, and how many that it caused are still to come
        self.cause = 0
        self.left = 0

    def check(self, entry: Entry) -> list[Finding]:
        """What the next entry contradicts."""
        cause = self.cause if self.left else 0
        self.left = max(0, self.left - 1)
        findings = []
        if entry.cause_sequence != cause:
            detail = f"cause_sequence is {entry.cause_sequence}, the entries before it say {cause}"
            findings.append(Finding("group", entry.sequence, detail))
        if fault := _fault_of_request(entry):
            findings.append(Finding("group", entry.sequence, fault))
        if entry.consequences:
            self.cause, self.left = entry.sequence, entry.consequences
        return findings


def _fault_of_request(entry: Entry) -> str:
    """What was asked for has a fingerprint, on the first entry of a request and on no other."""
    if entry.fingerprint:
        return "is a request within another" if entry.cause_sequence else ""
    if entry.request_id or entry.consequences:
        return "a request without its fingerprint"
    alone = not entry.cause_sequence and entry.actor != TIME_ACTOR
    return "nobody asked for it" if alone and entry.kind not in _ELSEWHERE else ""


def _check_accounts(entry: Entry) -> list[Finding]:
    """Points move from one ledger account to another, or none move."""
    named = bool(entry.debit_account) and bool(entry.credit_account)
    if bool(entry.points) != named or (named and entry.debit_account == entry.credit_account):
        detail = f"{entry.points} points from {entry.debit_account!r} to {entry.credit_account!r}"
        return [Finding("double_entry", entry.sequence, detail)]
    return []


def _check_lots(account: Account, sequence: int) -> list[Finding]:
    """Balances are the sums of their lots, and never negative."""
    findings = []
    for name, balance, points in (
        (AVAILABLE, account.available, [lot.points for lot in account.lots]),
        (PENDING, account.pending, [lot.points for lot in account.pending_lots]),
        (HELD, account.held, [lot.points for hold in account.holds for lot in hold.lots]),
    ):
        total = sum(points)
        if total != balance or balance < 0:
            detail = f"{name} is {balance}, its lots hold {total}"
            findings.append(Finding("lots", sequence, detail))
    return findings


def _check_account(
    account: Account, head_hash: bytes, stored: StoredAccount | None
) -> list[Finding]:
    """The account's row is the fold of the journal, byte for byte."""
    if stored is None:
        return [Finding("account", 0, "has entries but no account")]
    columns = (
        ("version", stored.version, account.version),
        ("available", stored.available, account.available),
        ("held", stored.held, account.held),
        ("tier_id", stored.tier_id, account.tier_id),
        ("status", stored.status, account.status),
        ("head_hash", stored.head_hash.hex(), head_hash.hex()),
        ("state", _normal(stored.state), encode(account).decode()),
    )
    findings = [
        Finding("account", 0, f"{name} is {kept!r}, the journal folds to {folded!r}")
        for name, kept, folded in columns
        if kept != folded
    ]
    due = account.due_time
    if due is not None and (stored.due_time is None or stored.due_time > due):
        detail = f"due_at is {stored.due_time!r}, but time changes the account at {due!r}"
        findings.append(Finding("account", 0, detail))
    return findings


def _normal(state: str) -> str:
    """The state as it is written today: an older service may have written fewer fields."""
    try:
        return encode(decode_account(state)).decode()
    except msgspec.DecodeError:
        return state
