"""Re-check which lots an entry changes: by what it moves, soonest first, none before or after its
date."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ledger.core.checks.finding import Finding
from ledger.core.instants import DAY
from ledger.core.model import AVAILABLE, HELD, PENDING, Account, Entry, LotChange

#: the ledger accounts that consist of lots
_OF_LOTS: Final = frozenset({AVAILABLE, PENDING, HELD})
#: what takes the points that expire soonest
_SOONEST: Final = frozenset({"HOLD", "REDEMPTION", "ADJUSTMENT", "TRANSFER_OUT", "DEBT_PAYMENT"})
#: what may be taken out of lots whose date has come: it is gone already, or owed
_AFTER_DATE: Final = frozenset({"EXPIRY", "DEBT_PAYMENT"})
#: no rule lets a balance expire after less than a month without activity
_SHORTEST_MONTH: Final = 27 * DAY


def check_lots(entry: Entry, after: Account) -> Iterator[Finding]:
    """What an entry does to lots and can not; `after` is the account with it."""
    yield from _check_sums(entry)
    yield from _check_spent(entry, after)
    if entry.kind in ("HOLD", "ACTIVATION"):
        yield from _check_moved(entry)


def check_expiry(entry: Entry, before: Account, after: Account) -> Iterator[Finding]:
    """Lots expire one by one at their date, or all together for want of activity."""
    lots, sequence = entry.data.lots, entry.sequence
    if entry.data.inactivity:
        if after.available:
            detail = f"expires for want of activity, and leaves {after.available} points"
            yield Finding("expiry", sequence, detail)
        if entry.effective_time - before.active_time < _SHORTEST_MONTH:
            yield Finding(
                "expiry", sequence, "expires for want of activity after less than a month"
            )
        return
    if len(lots) != 1:
        yield Finding("expiry", sequence, f"expires {len(lots)} lots, not one")
    for change in lots:
        until = change.expire_time
        if until is None or until > entry.effective_time:
            yield Finding("expiry", sequence, f"expires a lot that lives until {until}")


def account_of(change: LotChange) -> str:
    """The ledger account that a lot belongs to."""
    if change.hold:
        return HELD
    return AVAILABLE if change.activate_time is None else PENDING


def both_sides(
    lots: Iterable[LotChange],
) -> tuple[list[tuple[int | None, int]], list[tuple[int | None, int]]]:
    """Dates and points of what changes take out of lots, and of what they put into others."""
    return (
        [(change.expire_time, -change.points) for change in lots if change.points < 0],
        [(change.expire_time, change.points) for change in lots if change.points > 0],
    )


def lives_longer(expire_time: int | None, than: int | None) -> bool:
    """Whether points with one date live longer than those with another."""
    return than is not None and (expire_time is None or expire_time > than)


def _check_sums(entry: Entry) -> Iterator[Finding]:
    """Lots give what the debit account gives, and take what the credit account takes."""
    debit, credit = entry.debit_account, entry.credit_account
    given = taken = 0
    for change in entry.data.lots:
        account = account_of(change)
        if change.points < 0 and account == debit:
            given -= change.points
        elif change.points > 0 and account == credit:
            taken += change.points
        else:
            detail = f"changes a lot of {account} by {change.points}, moves {debit!r} to {credit!r}"
            yield Finding("lots", entry.sequence, detail)
    moved = abs(entry.points)
    for account, points in ((debit, given), (credit, taken)):
        if account in _OF_LOTS and points != moved:
            detail = f"lots of {account} change by {points}, its entry moves {moved}"
            yield Finding("lots", entry.sequence, detail)


def _check_spent(entry: Entry, after: Account) -> Iterator[Finding]:
    """Nothing is spent after its date, nor before what expires sooner."""
    if entry.kind == "EXPIRY" or entry.debit_account != AVAILABLE:
        return
    left = after.lots[0].expire_time if after.lots and entry.kind in _SOONEST else None
    for change in entry.data.lots:
        if change.points >= 0 or change.hold or change.activate_time is not None:
            continue
        until = change.expire_time
        if entry.kind not in _AFTER_DATE and until is not None and until <= entry.create_time:
            yield Finding("expiry", entry.sequence, f"spends a lot that lived until {until}")
        if lives_longer(until, left):
            detail = f"takes points that live until {until}, before others that live until {left}"
            yield Finding("lots", entry.sequence, detail)


def _check_moved(entry: Entry) -> Iterator[Finding]:
    """Points that are held or become spendable keep their dates."""
    lots = entry.data.lots
    given, taken = both_sides(lots)
    if given != taken:
        yield Finding("lots", entry.sequence, f"moves points that live until {given} to {taken}")
    for change in lots:
        if change.activate_time is not None and change.activate_time > entry.effective_time:
            detail = f"points that wait until {change.activate_time} become spendable"
            yield Finding("lots", entry.sequence, detail)
        if change.hold not in (0, entry.sequence):
            yield Finding("holds", entry.sequence, f"puts points into hold {change.hold}")
