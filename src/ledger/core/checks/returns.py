"""Re-check returns: each receipt earns once, and takes back its share when it is returned."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.core.checks.finding import Finding, compare
from ledger.core.model import Account, Entry, ReturnData
from ledger.core.returning import share


class _Open:
    """A return of which further entries may follow: it takes points from several accounts."""

    __slots__ = ("entry", "left")

    def __init__(self, entry: Entry, left: int) -> None:
        self.entry = entry
        #: points that it says are taken back, and that have not been
        self.left = left


class Returns:
    """What the purchases and returns seen so far allow the next entry to be."""

    def __init__(self) -> None:
        #: by sequence
        self._purchases: dict[int, Entry] = {}
        self._latest: dict[int, ReturnData] = {}
        self._receipts: set[str] = set()
        self._open: _Open | None = None

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._purchases

    @property
    def waiting(self) -> bool:
        """Whether the entry before was part of a return."""
        return self._open is not None

    def check_purchase(self, entry: Entry) -> Iterator[Finding]:
        """What a PURCHASE contradicts."""
        if entry.purchase_id in self._receipts:
            detail = f"receipt {entry.purchase_id} is credited already"
            yield Finding("purchases", entry.sequence, detail)
        self._receipts.add(entry.purchase_id)
        self._purchases[entry.sequence] = entry

    def check(self, entry: Entry) -> Iterator[Finding]:
        """What a RETURN contradicts; its subject is a purchase, or none."""
        if not entry.subject_sequence:
            yield from self._check_further(entry)
            return
        purchase, told = self._purchases[entry.subject_sequence], entry.data.returned
        if told is None:
            yield Finding("returns", entry.sequence, "does not say what is returned")
            return
        before = self._latest.get(purchase.sequence) or ReturnData(purchase.sequence, 0, 0, 0)
        self._latest[purchase.sequence] = told
        if before.full:
            yield Finding("returns", entry.sequence, "all of the purchase was returned before")
        data, bought = entry.data, purchase.data.amount or 0
        full = told.amount == bought
        points = purchase.points if full else share(purchase, told.eligible)
        yield from compare(
            "returns",
            entry.sequence,
            ("purchase_id", entry.purchase_id, purchase.purchase_id),
            ("returned.sequence", told.sequence, purchase.sequence),
            ("returned.full", told.full, full),
            ("returned.points", told.points, points),
            ("amount", data.amount, told.amount - before.amount),
            ("eligible", data.eligible, told.eligible - before.eligible),
            ("unmarks", data.unmarks, purchase.data.marks if full else ()),
        )
        yield from _check_amounts(entry, purchase, before, told)
        left = told.points - before.points + entry.points - data.forgiven_points
        self._open = _Open(entry, left)
        if left < 0 or data.forgiven_points < 0:
            yield Finding("returns", entry.sequence, f"takes back {-left} points more than it says")

    def check_rest(self, entry: Entry | None, before: Account) -> Iterator[Finding]:
        """Unless `entry` goes on with it, a return has taken all that it says; None: the end.

        Points are forgiven only where none are left to take.
        """
        opened = self._open
        if opened is None or (entry is not None and _goes_on(opened.entry, entry)):
            return
        self._open = None
        if opened.left > 0:
            detail = f"takes back {opened.left} points fewer than it says"
            yield Finding("returns", opened.entry.sequence, detail)
        if opened.entry.data.forgiven_points and before.available:
            detail = f"forgives points while {before.available} can be spent"
            yield Finding("returns", opened.entry.sequence, detail)

    def _check_further(self, entry: Entry) -> Iterator[Finding]:
        """What a return takes from another account."""
        if self._open is None:
            yield Finding("returns", entry.sequence, "goes on with no return")
            return
        self._open.left += entry.points
        if not entry.points or self._open.left < 0:
            detail = f"takes back {-entry.points} points, {-self._open.left} more than are due"
            yield Finding("returns", entry.sequence, detail)
        if entry.data.returned is not None or entry.data.forgiven_points:
            yield Finding("returns", entry.sequence, "says anew what is returned")


def _goes_on(first: Entry, entry: Entry) -> bool:
    return (
        entry.kind == "RETURN"
        and not entry.subject_sequence
        and entry.purchase_id == first.purchase_id
        and entry.cause_sequence == (first.cause_sequence or first.sequence)
    )


def _check_amounts(
    entry: Entry, purchase: Entry, before: ReturnData, told: ReturnData
) -> Iterator[Finding]:
    """No more is returned than was bought, and of its local day no more than it brought there."""
    bought, earning = purchase.data.amount or 0, purchase.data.eligible or 0
    if not (before.amount <= told.amount <= bought and before.eligible <= told.eligible <= earning):
        detail = f"{told.amount} of {bought} are returned, of which {told.eligible} had earned"
        yield Finding("returns", entry.sequence, detail)
    if told.full and told.eligible != earning:
        detail = f"all is returned, but {told.eligible} of {earning} that had earned"
        yield Finding("returns", entry.sequence, detail)
    day = entry.data.day
    if day is not None and not (
        before.points - told.points <= day.earned <= 0
        and before.eligible - told.eligible <= day.spend <= 0
        and -int(told.full) <= day.purchases <= 0
        and -int(told.full) <= day.visits <= 0
    ):
        yield Finding("returns", entry.sequence, f"takes from its day what it did not bring: {day}")
