"""Re-check what becomes of points over a member's journal: each entry against those before it.

A hold ends once and gives out what it took; no more is given back than was redeemed, and no more
taken back than was earned; nothing expires early, and nothing is spent after its date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from ledger.core.model import AVAILABLE, HELD, PENDING, Account, Entry
from ledger.core.posting import TIME_ACTOR


class Finding(NamedTuple):
    """Something that contradicts the journal. sequence 0 = the account as a whole."""

    check: str
    sequence: int
    detail: str


#: the kinds of entry that are about an earlier one, and the kinds that may be
_SUBJECTS: Final[Mapping[str, tuple[str, ...]]] = {
    "CAPTURE": ("HOLD",),
    "RELEASE": ("HOLD",),
    "HOLD": ("HOLD",),
    "REDEMPTION_REVERSAL": ("REDEMPTION", "CAPTURE"),
    "RETURN": ("PURCHASE",),
}
#: what may be taken out of lots whose date has come: it is gone already, or owed
_AFTER_DATE: Final = frozenset({"EXPIRY", "DEBT_PAYMENT"})


class _Held:
    """A hold as its entries tell it."""

    def __init__(self, entry: Entry) -> None:
        self.points = -entry.points
        self.left = self.points
        self.ended = False


class Lifecycle:
    """What the entries seen so far allow the next one to be."""

    def __init__(self) -> None:
        self._kinds: dict[int, str] = {}
        self._holds: dict[int, _Held] = {}
        #: points that can still be given back, by redemption
        self._redeemed: dict[int, int] = {}
        #: points earned, by receipt
        self._earned: dict[str, int] = {}
        #: points taken back, owed or forgiven, and how many all returns say that is, by receipt
        self._returned: dict[str, int] = {}
        self._returns: dict[str, int] = {}
        self._status = ""
        self._owing = 0

    def check(self, entry: Entry, after: Account) -> Iterator[Finding]:
        """What an entry contradicts; `after` is the account with it."""
        yield from self._check_subject(entry)
        yield from self._check_status(entry)
        yield from _check_lots(entry)
        yield from _check_dates(entry)
        yield from self._check_debt(entry, after)
        checked = self._CHECKS.get(entry.kind)
        if checked is not None:
            yield from checked(self, entry)
        self._kinds[entry.sequence] = entry.kind

    def finish(self) -> Iterator[Finding]:
        """What the end of the journal contradicts."""
        if self._owing:
            yield Finding("debt", self._owing, "points are owed, and others can be spent")

    def _check_subject(self, entry: Entry) -> Iterator[Finding]:
        """An entry that is about another names one of the right kind."""
        if not entry.subject_sequence:
            return
        kind = self._kinds.get(entry.subject_sequence, "nothing")
        if kind not in _SUBJECTS.get(entry.kind, ()):
            detail = f"a {entry.kind} about {kind} at sequence {entry.subject_sequence}"
            yield Finding("subject", entry.sequence, detail)

    def _check_status(self, entry: Entry) -> Iterator[Finding]:
        """Who is suspended or has left is written to by time alone, and by a change of that."""
        quiet = self._status in ("SUSPENDED", "CLOSED")
        reopens = entry.kind == "STATUS_CHANGE" and self._status == "SUSPENDED"
        if quiet and entry.actor != TIME_ACTOR and not reopens:
            yield Finding("status", entry.sequence, f"a {entry.kind} of a {self._status} member")
        if entry.data.status:
            self._status = entry.data.status

    def _check_debt(self, entry: Entry, after: Account) -> Iterator[Finding]:
        """What comes in pays what is owed, before anything else is done with it."""
        if self._owing and entry.kind != "DEBT_PAYMENT":
            yield Finding("debt", self._owing, "points are owed, and others can be spent")
        self._owing = entry.sequence if after.debt and after.available else 0
        if after.debt < 0:
            yield Finding("debt", entry.sequence, f"{after.debt} points are owed")

    def _check_purchase(self, entry: Entry) -> Iterator[Finding]:
        self._earned[entry.purchase_id] = entry.points
        yield from ()

    def _check_hold(self, entry: Entry) -> Iterator[Finding]:
        told = entry.data.hold
        if entry.subject_sequence:
            held = self._holds.get(entry.subject_sequence)
            if held is None or held.ended or entry.points:
                yield Finding("holds", entry.sequence, "extends a hold that is not open")
        elif told is None or told.sequence != entry.sequence or told.points != -entry.points:
            yield Finding("holds", entry.sequence, "does not say what it holds")
        else:
            self._holds[entry.sequence] = _Held(entry)

    def _check_end_of_hold(self, entry: Entry) -> Iterator[Finding]:
        """A hold ends once: captured and released points together are those that were held."""
        held = self._holds.get(entry.subject_sequence)
        told = entry.data.hold
        if held is None or told is None:
            yield Finding("holds", entry.sequence, "ends a hold that there is none of")
            return
        if held.ended:
            detail = f"ends the hold at sequence {entry.subject_sequence}, which has ended"
            yield Finding("holds", entry.sequence, detail)
            return
        held.left -= abs(entry.points)
        held.ended = held.left <= 0
        whole = entry.kind == "CAPTURE" and not held.ended
        if held.left < 0 or (held.left and not whole):
            detail = (
                f"leaves {held.left} of {held.points} held points neither captured nor released"
            )
            yield Finding("holds", entry.sequence, detail)
        if entry.kind == "CAPTURE":
            if told.captured_points != -entry.points:
                yield Finding("holds", entry.sequence, f"says {told.captured_points} captured")
            yield from self._check_redemption(entry)

    def _check_redemption(self, entry: Entry) -> Iterator[Finding]:
        told = entry.data.redemption
        self._redeemed[entry.sequence] = -entry.points
        if told is None or told.sequence != entry.sequence or told.points != -entry.points:
            yield Finding("redemptions", entry.sequence, "does not say what it redeems")

    def _check_reversal(self, entry: Entry) -> Iterator[Finding]:
        """No more is given back than was redeemed."""
        left = self._redeemed.get(entry.subject_sequence, 0) - entry.points
        self._redeemed[entry.subject_sequence] = left
        told = entry.data.redemption
        if left < 0:
            detail = f"gives back {-left} points more than were redeemed"
            yield Finding("redemptions", entry.sequence, detail)
        elif told is None or told.points - told.reversed_points != left:
            yield Finding(
                "redemptions", entry.sequence, f"leaves {left} points, but says otherwise"
            )

    def _check_return(self, entry: Entry) -> Iterator[Finding]:
        """No more is taken back than was earned, and no more than the returns say."""
        receipt, told = entry.purchase_id, entry.data.returned
        if told is not None:
            self._returns[receipt] = told.points
        returned = self._returned.get(receipt, 0) + entry.data.forgiven_points - entry.points
        self._returned[receipt] = returned
        if returned > min(self._returns.get(receipt, 0), self._earned.get(receipt, 0)):
            detail = (
                f"{returned} points of receipt {receipt} are taken back,"
                f" {self._earned.get(receipt, 0)} were earned"
            )
            yield Finding("returns", entry.sequence, detail)

    _CHECKS: Mapping[str, Callable[[Lifecycle, Entry], Iterator[Finding]]] = {
        "PURCHASE": _check_purchase,
        "HOLD": _check_hold,
        "CAPTURE": _check_end_of_hold,
        "RELEASE": _check_end_of_hold,
        "REDEMPTION": _check_redemption,
        "REDEMPTION_REVERSAL": _check_reversal,
        "RETURN": _check_return,
    }


def _check_lots(entry: Entry) -> Iterator[Finding]:
    """The lots change by what moves into and out of their ledger account."""
    changed = {AVAILABLE: 0, PENDING: 0, HELD: 0}
    for change in entry.data.lots:
        waits = PENDING if change.activate_time is not None else AVAILABLE
        changed[HELD if change.hold else waits] += change.points
    moved = abs(entry.points)
    for account, points in changed.items():
        due = moved * ((entry.credit_account == account) - (entry.debit_account == account))
        if points != due:
            detail = f"lots of {account} change by {points}, its entry moves {due}"
            yield Finding("lots", entry.sequence, detail)


def _check_dates(entry: Entry) -> Iterator[Finding]:
    """Nothing expires before its date, and nothing is spent after it."""
    data = entry.data
    for change in data.lots:
        if change.points >= 0 or change.activate_time is not None or change.hold:
            continue
        until = change.expire_time
        if entry.kind == "EXPIRY":
            early = until is None or until > entry.effective_time
            if early and not data.inactivity:
                yield Finding("expiry", entry.sequence, f"expires a lot that lives until {until}")
        elif entry.kind not in _AFTER_DATE and until is not None and until <= entry.create_time:
            yield Finding("expiry", entry.sequence, f"spends a lot that lived until {until}")
