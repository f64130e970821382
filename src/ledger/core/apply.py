"""The only way state changes: `apply(account, entry) -> account`, and `fold` over a whole journal.

Uses nothing but the entry: no rules, no clock. What an entry says about itself (balances after it)
is not used but checked, so that a fold finds a journal that contradicts itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Final

import msgspec

from ledger.core.model import (
    AVAILABLE,
    DEBT,
    HELD,
    ISSUANCE,
    PENDING,
    Account,
    Day,
    DayChange,
    Entry,
    Hold,
    HoldData,
    Lot,
    LotChange,
    Mark,
    MarkChange,
    PendingLot,
)

#: what counts as activity, without which a balance may expire
_ACTIVE: Final = frozenset({"ENROLLED", "PURCHASE", "REDEMPTION", "CAPTURE"})


class JournalCorrupt(Exception):
    """An entry that cannot follow the ones before it. `check` names the rule it breaks."""

    def __init__(self, check: str, sequence: int, detail: str) -> None:
        super().__init__(f"{check} at sequence {sequence}: {detail}")
        self.check = check
        self.sequence = sequence
        self.detail = detail


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
        after.holds = _open_hold(after.holds, data.hold, entry)
    if data.lots:
        _change_lots(after, data.lots, entry)
    if data.hold is not None and data.hold.state != "OPEN":
        after.holds = _end_hold(after.holds, data.hold)
    if entry.kind in _ACTIVE or data.inactivity:
        _live(after, entry)
    if data.status:
        after.status = data.status
    if data.day is not None:
        _count_day(after, data.day)
    for mark in data.unmarks:
        after.marks = _unmark(after.marks, mark)
    for mark in data.marks:
        after.marks = _mark(after.marks, mark)
    if data.tier is not None:
        after.tier = data.tier
        after.tier_id = data.tier.held
    return after


def check_balances(account: Account, entry: Entry) -> None:
    """Raise JournalCorrupt unless the balances that the entry records are those of its fold."""
    data = entry.data
    for name, recorded, folded in (
        ("available", entry.available_points, account.available),
        ("held", entry.held_points, account.held),
        ("pending", data.pending_points, account.pending),
        ("debt", data.debt_points, account.debt),
        ("lifetime", data.lifetime_points, account.lifetime),
        ("tier", entry.tier_id, account.tier_id),
        ("next_expiry", data.next_expiry, account.next_expiry),
    ):
        if recorded != folded:
            detail = f"{name} after it is recorded as {recorded!r}, but folds to {folded!r}"
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


def _open_hold(holds: tuple[Hold, ...], data: HoldData, entry: Entry) -> tuple[Hold, ...]:
    """The holds with one more, or with one that lasts longer; soonest to lapse first."""
    for hold in holds:
        if hold.sequence == data.sequence:
            changed = msgspec.structs.replace(hold, expire_time=data.expire_time)
            break
    else:
        changed = Hold(
            data.sequence,
            data.expire_time,
            data.points,
            (),
            entry.rules_version,
            entry.data.reward_id,
            entry.data.marks[0].day if entry.data.marks else 0,
            entry.data.units,
        )
    others = [hold for hold in holds if hold.sequence != data.sequence]
    return tuple(sorted([*others, changed], key=_hold_order))


def _hold_order(hold: Hold) -> tuple[int, int]:
    return hold.expire_time, hold.sequence


def _end_hold(holds: tuple[Hold, ...], data: HoldData) -> tuple[Hold, ...]:
    """The holds without one that has ended, once nothing is reserved by it any more."""
    return tuple(hold for hold in holds if hold.sequence != data.sequence or hold.lots)


def _change_lots(account: Account, changes: tuple[LotChange, ...], entry: Entry) -> None:
    """Put points into the account's lots and take them out: spendable, pending and held ones."""
    if len(changes) == 1 and changes[0].activate_time is None and not changes[0].hold:
        account.lots = _change_lot(account.lots, changes[0], entry)
        return
    spendable = [each for each in changes if each.activate_time is None and not each.hold]
    held = [each for each in changes if each.hold]
    for change in changes:
        if change.activate_time is not None:
            account.pending_lots = _change_pending(account.pending_lots, change, entry)
    if spendable:
        account.lots = _merge_lots(account.lots, spendable, entry)
    if held:
        account.holds = _change_holds(account.holds, held, entry)


def _change_holds(
    holds: tuple[Hold, ...], changes: Sequence[LotChange], entry: Entry
) -> tuple[Hold, ...]:
    """The holds with the changes merged into the lots of the one that they name."""
    sequence = changes[0].hold
    named = [hold for hold in holds if hold.sequence == sequence]
    if not named or any(change.hold != sequence for change in changes):
        raise JournalCorrupt("holds", entry.sequence, f"changes hold {sequence}, which is not open")
    lots = _merge_lots(named[0].lots, changes, entry)
    changed = msgspec.structs.replace(named[0], lots=lots)
    return tuple(changed if hold.sequence == sequence else hold for hold in holds)


def _merge_lots(
    lots: tuple[Lot, ...], changes: Sequence[LotChange], entry: Entry
) -> tuple[Lot, ...]:
    """Lots with many changes merged in, ordered as `_change_lot` does; in one pass."""
    points = {lot.expire_time: lot.points for lot in lots}
    for change in changes:
        left = points.get(change.expire_time, 0) + change.points
        _require_positive(left >= 0, change, entry)
        points[change.expire_time] = left
    merged = [Lot(expire_time, left) for expire_time, left in points.items() if left]
    return tuple(sorted(merged, key=_lot_order))


def _lot_order(lot: Lot) -> tuple[bool, int]:
    return lot.expire_time is None, lot.expire_time or 0


def _change_lot(lots: tuple[Lot, ...], change: LotChange, entry: Entry) -> tuple[Lot, ...]:
    """Lots with the change merged in, soonest to expire first, never-expiring last."""
    expire_time = change.expire_time
    place = len(lots)
    for index, lot in enumerate(lots):
        if lot.expire_time == expire_time:
            points = lot.points + change.points
            _require_positive(points >= 0, change, entry)
            kept = (Lot(expire_time, points),) if points else ()
            return lots[:index] + kept + lots[index + 1 :]
        if expire_time is not None and (lot.expire_time is None or lot.expire_time > expire_time):
            place = index
            break
    _require_positive(change.points > 0, change, entry)
    return (*lots[:place], Lot(expire_time, change.points), *lots[place:])


def _change_pending(
    lots: tuple[PendingLot, ...], change: LotChange, entry: Entry
) -> tuple[PendingLot, ...]:
    """Pending lots with the change merged in, soonest to become spendable first."""
    assert change.activate_time is not None
    key = (change.activate_time, change.expire_time)
    points = change.points + sum(
        lot.points for lot in lots if (lot.activate_time, lot.expire_time) == key
    )
    _require_positive(points >= 0, change, entry)
    kept = [lot for lot in lots if (lot.activate_time, lot.expire_time) != key]
    if points:
        kept.append(PendingLot(*key, points))
        kept.sort(key=_pending_order)
    return tuple(kept)


def _pending_order(lot: PendingLot) -> tuple[int, bool, int]:
    return (lot.activate_time, lot.expire_time is None, lot.expire_time or 0)


def _require_positive(sound: bool, change: LotChange, entry: Entry) -> None:
    if not sound:
        detail = f"takes {-change.points} points out of a lot that has fewer"
        raise JournalCorrupt("lots", entry.sequence, detail)


def _unmark(marks: tuple[Mark, ...], change: MarkChange) -> tuple[Mark, ...]:
    """The marks with one day less under a rule; one that is not remembered is not missed."""
    for index, mark in enumerate(marks):
        if mark.rule == change.rule and change.day in mark.days:
            place = mark.days.index(change.day)
            days = (*mark.days[:place], *mark.days[place + 1 :])
            kept = (Mark(mark.rule, days),) if days else ()
            return (*marks[:index], *kept, *marks[index + 1 :])
    return marks


def _count_day(account: Account, change: DayChange) -> None:
    account.days = change_day(account.days, change)
    account.last_day = max(account.last_day, change.day)
    if change.visits:
        account.visits += change.visits
        account.referrer = ""  # the first visit settles who is to be thanked for it


def _mark(marks: tuple[Mark, ...], change: MarkChange) -> tuple[Mark, ...]:
    """The marks with one day more under a rule."""
    for index, mark in enumerate(marks):
        if mark.rule == change.rule:
            days = tuple(
                sorted(day for day in (*mark.days, change.day) if day >= change.forget_before)
            )[-change.keep :]
            return (*marks[:index], Mark(change.rule, days), *marks[index + 1 :])
    return (*marks, Mark(change.rule, (change.day,)))


def change_day(days: tuple[Day, ...], change: DayChange) -> tuple[Day, ...]:
    """The remembered days with a purchase added to its own, or what was returned of it taken out,
    and those too old to matter dropped."""
    known = Day(change.day, 0)
    first = 0
    while first < len(days) and days[first].day < change.forget_before:
        first += 1
    if change.day < change.forget_before:
        return days[first:]
    place = len(days)
    while place > first and days[place - 1].day > change.day:
        place -= 1
    before = place
    if place > first and days[place - 1].day == change.day:
        before -= 1
        known = days[before]
    after = Day(
        change.day,
        known.earned + change.earned,
        known.purchases + change.purchases,
        known.spend + change.spend,
    )
    return (*days[first:before], after, *days[place:])
