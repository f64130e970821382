"""The only way state changes: `apply(account, entry) -> account`, and `fold` over a whole journal.

Uses nothing but the entry: no rules, no clock. What an entry says about itself (balances after it)
is not used but checked, so that a fold finds a journal that contradicts itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Final

from ledger.core.change import (
    JournalCorrupt,
    change_day,
    change_lots,
    count_use,
    end_hold,
    mark,
    open_hold,
    unmark,
)
from ledger.core.model import AVAILABLE, DEBT, HELD, ISSUANCE, PENDING, Account, DayChange, Entry

__all__ = ["JournalCorrupt", "apply", "check_balances", "fold"]

#: what an entry records of the account after it
_BALANCES: Final = ("available", "held", "pending", "debt", "lifetime", "tier", "next_expiry")
#: what counts as activity, without which a balance may expire
_ACTIVE: Final = frozenset({"ENROLLED", "PURCHASE", "REDEMPTION", "CAPTURE"})


def fold(entries: Iterable[Entry], account: Account | None = None) -> Account:
    """The account after all entries, in order. Raises JournalCorrupt."""
    account = account or Account()
    for entry in entries:
        account = apply(account, entry)
        check_balances(account, entry)
    return account


def apply(account: Account, entry: Entry) -> Account:
    """The account after one entry; the given account stays as it is. Raises JournalCorrupt."""
    if entry.sequence != account.version + 1:
        raise JournalCorrupt("sequence", entry.sequence, f"follows {account.version}")
    if account.version and entry.create_time < account.create_time:
        raise JournalCorrupt("create_time", entry.sequence, "is before that of the entry before")
    after = copy(account)
    after.version = entry.sequence
    after.create_time = entry.create_time
    if entry.points:
        moved = abs(entry.points)
        _move(after, entry.debit_account, -moved)
        _move(after, entry.credit_account, moved)
        if entry.debit_account == ISSUANCE:
            after.lifetime += moved
        elif entry.credit_account == ISSUANCE:
            after.lifetime -= moved
    data = entry.data
    if data.hold is not None and data.hold.state == "OPEN":
        after.holds = open_hold(after.holds, data.hold, entry)
    if data.lots:
        change_lots(after, data.lots, entry)
    if data.hold is not None and data.hold.state != "OPEN":
        after.holds = end_hold(after.holds, data.hold)
    if entry.kind in _ACTIVE or data.inactivity:
        _live(after, entry)
    if data.status:
        if after.status != "ACTIVE" and after.status != "EARN_ONLY":
            after.resume_time = entry.effective_time
        after.status = data.status
    if data.day is not None:
        _count_day(after, data.day)
    for change in data.unmarks:
        after.marks = unmark(after.marks, change)
    for change in data.marks:
        after.marks = mark(after.marks, change)
    if data.counted is not None:
        if entry.kind == "TRANSFER_OUT":
            after.transferred = count_use(after.transferred, data.counted, entry)
        else:
            after.redeemed = count_use(after.redeemed, data.counted, entry)
    if data.tier is not None:
        after.tier = data.tier
        after.tier_id = data.tier.held
    return after


def check_balances(account: Account, entry: Entry) -> None:
    """Raise JournalCorrupt unless the balances that the entry records are those of its fold."""
    data = entry.data
    recorded = (
        *(entry.available_points, entry.held_points, data.pending_points, data.debt_points),
        *(data.lifetime_points, entry.tier_id, data.next_expiry),
    )
    folded = (
        *(account.available, account.held, account.pending, account.debt),
        *(account.lifetime, account.tier_id, account.next_expiry),
    )
    if recorded != folded:
        for name, kept, due in zip(_BALANCES, recorded, folded, strict=True):
            if kept != due:
                detail = f"{name} after it is recorded as {kept!r}, but folds to {due!r}"
                raise JournalCorrupt("balance", entry.sequence, detail)


def _move(account: Account, name: str, points: int) -> None:
    if name == AVAILABLE:
        account.available += points
    elif name == PENDING:
        account.pending += points
    elif name == HELD:
        account.held += points
    elif name == DEBT:
        account.debt -= points


def _live(account: Account, entry: Entry) -> None:
    """Note what keeps a balance from expiring, or that it has expired for want of it."""
    account.active_time = max(account.active_time, entry.effective_time)
    if entry.kind == "ENROLLED":
        account.status = "ACTIVE"
        account.enroll_time = entry.effective_time
        account.birthday = entry.data.birthday
        account.referrer = entry.data.related_member_id
    elif entry.data.inactivity:
        account.faded_time = entry.effective_time
        account.faded_sequence = entry.sequence


def _count_day(account: Account, change: DayChange) -> None:
    account.days = change_day(account.days, change)
    account.last_day = max(account.last_day, change.day)
    if change.visits:
        account.visits += change.visits
        account.referrer = ""  # the first visit settles who is to be thanked for it
