"""How the parts of an account change: lots, holds, marks, uses, days.

Each answers the part anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ledger.core.model import (
    Account,
    Day,
    DayChange,
    DayUse,
    Entry,
    Hold,
    HoldData,
    Lot,
    LotChange,
    Mark,
    MarkChange,
    PendingLot,
)


class JournalCorrupt(Exception):
    """An entry that cannot follow the ones before it. `check` names the rule it breaks."""

    def __init__(self, check: str, sequence: int, detail: str) -> None:
        super().__init__(f"{check} at sequence {sequence}: {detail}")
        self.check = check
        self.sequence = sequence
        self.detail = detail


def open_hold(holds: tuple[Hold, ...], data: HoldData, entry: Entry) -> tuple[Hold, ...]:
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
            entry.data.limit_day,
            entry.data.units,
        )
    others = [hold for hold in holds if hold.sequence != data.sequence]
    return tuple(sorted([*others, changed], key=_hold_order))


def _hold_order(hold: Hold) -> tuple[int, int]:
    return hold.expire_time, hold.sequence


def end_hold(holds: tuple[Hold, ...], data: HoldData) -> tuple[Hold, ...]:
    """The holds without one that has ended, once nothing is reserved by it any more."""
    return tuple(hold for hold in holds if hold.sequence != data.sequence or hold.lots)


def change_lots(account: Account, changes: tuple[LotChange, ...], entry: Entry) -> None:
    """Put points into an account's lots and take them out: spendable, pending and held ones."""
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


def unmark(marks: tuple[Mark, ...], change: MarkChange) -> tuple[Mark, ...]:
    """The marks with one day less under a rule; one that is not remembered is not missed."""
    for index, mark in enumerate(marks):
        if mark.rule == change.rule and change.day in mark.days:
            place = mark.days.index(change.day)
            days = (*mark.days[:place], *mark.days[place + 1 :])
            kept = (Mark(mark.rule, days),) if days else ()
            return (*marks[:index], *kept, *marks[index + 1 :])
    return marks


def mark(marks: tuple[Mark, ...], change: MarkChange) -> tuple[Mark, ...]:
    """The marks with one day more under a rule."""
    for index, mark in enumerate(marks):
        if mark.rule == change.rule:
            days = tuple(
                sorted(day for day in (*mark.days, change.day) if day >= change.forget_before)
            )[-change.keep :]
            return (*marks[:index], Mark(change.rule, days), *marks[index + 1 :])
    return (*marks, Mark(change.rule, (change.day,)))


def count_use(use: DayUse | None, change: DayUse, entry: Entry) -> DayUse | None:
    """What counts towards a limit with more, or less, of it; only the latest day is remembered."""
    if use is None or use.day < change.day:
        if change.count < 1:
            return use
        return change
    if change.day < use.day:
        return use
    left = DayUse(use.day, use.count + change.count, use.points + change.points)
    if left.count < 0 or left.points < 0:
        raise JournalCorrupt("limits", entry.sequence, "takes back what its day has not counted")
    return left if left.count or left.points else None


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
