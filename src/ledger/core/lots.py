"""Which lots points are taken from, and which they go back to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ledger.core.model import Lot, LotChange


def take(lots: Sequence[Lot], points: int, first: Collection[int | None] = ()) -> list[Lot]:
    """The parts to take of lots for so many points: soonest to expire first, or of the lots with
    the dates `first` before all others. Takes all there is when there are fewer."""
    taken: list[Lot] = []
    ordered: Iterable[Lot] = lots
    if first:
        ordered = sorted(lots, key=lambda lot: lot.expire_time not in first)
    for lot in ordered:
        if not points:
            break
        part = min(points, lot.points)
        taken.append(Lot(lot.expire_time, part))
        points -= part
    return taken


def taken_by(changes: Iterable[LotChange]) -> list[Lot]:
    """What changes that only take have taken, lot by lot."""
    return [Lot(change.expire_time, -change.points) for change in changes]


def last_taken(taken: Sequence[Lot], skip: int, points: int) -> list[Lot]:
    """What to give back of points that were taken: last taken first, after the `skip` points that
    were given back before."""
    back: list[Lot] = []
    for lot in reversed(taken):
        left = lot.points - min(skip, lot.points)
        skip -= lot.points - left
        part = min(points, left)
        if part:
            back.append(Lot(lot.expire_time, part))
            points -= part
    return back


def out_of(taken: Iterable[Lot], hold: int = 0) -> tuple[LotChange, ...]:
    """The changes that take points out of spendable lots, or of those of a hold."""
    return tuple(LotChange(-lot.points, lot.expire_time, hold=hold) for lot in taken)


def into(taken: Iterable[Lot], hold: int = 0) -> tuple[LotChange, ...]:
    """The changes that put points into spendable lots, or into those of a hold."""
    return tuple(LotChange(lot.points, lot.expire_time, hold=hold) for lot in taken)
