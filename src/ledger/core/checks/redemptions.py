"""Re-check redemptions: no more is given back than was redeemed, to the lots that it came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from ledger.core.checks.finding import Finding, compare
from ledger.core.checks.holds import check_taken, taken_back, uncounted
from ledger.core.lots import last_taken, taken_by
from ledger.core.model import Entry, Lot, RedemptionData


class _Redeemed(NamedTuple):
    """A redemption, and as what it was left."""

    entry: Entry
    #: what took the unit and counted the use of a reward: the entry itself, or its hold
    took: Entry
    latest: RedemptionData


class Redemptions:
    """What the redemptions seen so far allow the next entry to be."""

    def __init__(self) -> None:
        self._redeemed: dict[int, _Redeemed] = {}

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._redeemed

    def check(self, entry: Entry, took: Entry) -> Iterator[Finding]:
        """What a REDEMPTION, or a CAPTURE of the hold that `took`, contradicts."""
        told = entry.data.redemption
        if told is None:
            return  # its shape says so
        self._redeemed[entry.sequence] = _Redeemed(entry, took, told)
        due = RedemptionData(
            entry.sequence,
            -entry.points,
            told.value,
            told.percent_off,
            took.data.units,
            took.data.limit_day,
        )
        yield from compare("redemptions", entry.sequence, ("redemption", told, due))
        if took is entry:
            yield from check_taken("redemptions", entry)

    def check_reversal(self, entry: Entry) -> Iterator[Finding]:
        """What a REDEMPTION_REVERSAL contradicts; its subject is a redemption."""
        told, sequence = entry.data.redemption, entry.subject_sequence
        if told is None:
            return
        redeemed, took, before = self._redeemed[sequence]
        given_back = before.reversed_points + entry.points
        full = given_back == before.points
        due = msgspec.structs.replace(before, reversed_points=given_back, reversed=full)
        self._redeemed[sequence] = _Redeemed(redeemed, took, due)
        if before.reversed or given_back > before.points:
            detail = f"gives back {given_back} of {before.points} points, all reversals together"
            yield Finding("redemptions", entry.sequence, detail)
        yield from compare(
            "redemptions",
            entry.sequence,
            ("redemption", told, due),
            ("reward_id", entry.data.reward_id, redeemed.data.reward_id),
            ("units", entry.data.units, -took.data.units if full else 0),
            ("unmarks", entry.data.unmarks, taken_back(took) if full else ()),
            ("counted", entry.data.counted, uncounted(took, entry.points, whole=full)),
        )
        back = last_taken(taken_by(redeemed.data.lots), before.reversed_points, entry.points)
        lots = [Lot(change.expire_time, change.points) for change in entry.data.lots]
        fits = len(lots) == len(back) and all(
            _restores(lot, due, entry.create_time) for lot, due in zip(lots, back, strict=True)
        )
        if not fits:
            detail = f"gives back to lots {lots} what came from {back}"
            yield Finding("redemptions", entry.sequence, detail)


def _restores(lot: Lot, taken: Lot, now: int) -> bool:
    """Whether points are back where they came from; past their date they may live longer."""
    if lot == taken:
        return True
    past = taken.expire_time is not None and taken.expire_time <= now
    longer = lot.expire_time is not None and lot.expire_time > now
    return lot.points == taken.points and past and longer
