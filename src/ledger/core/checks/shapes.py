"""Re-check one entry by itself: what an entry of each kind may look like."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, NamedTuple

from ledger.core.checks.finding import Finding
from ledger.core.membership import STATUSES
from ledger.core.model import (
    ADJUSTMENTS,
    AVAILABLE,
    DEBT,
    EXPIRED,
    HELD,
    ISSUANCE,
    PENDING,
    REDEEMED,
    TRANSFERS,
    Entry,
    EntryData,
)
from ledger.core.posting import TIME_ACTOR

_CALLER: Final = "a caller"
_TIME: Final = "time"
#: no points move
_NONE: Final = ("", "")
#: points that arrive here came in for the member; all others went out
_IN: Final = frozenset({AVAILABLE, PENDING})
#: what an entry of any kind may say
_COMMON: Final = frozenset(
    {"lots", "pending_points", "debt_points", "lifetime_points", "next_expiry"}
)
_NOTHING_SAID: Final = EntryData()


class _Shape(NamedTuple):
    """What an entry of one kind may look like."""

    #: from which ledger account to which its points may move
    moves: tuple[tuple[str, str], ...]
    #: who posts it; empty: callers and time
    who: str = ""
    #: what its data must say, and what it may
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    #: a caller does it at once: it happens when it is recorded
    at_once: bool = False


_TOLD: Final = ("tier", "progress")

_SHAPES: Final[dict[str, _Shape]] = {
    "ENROLLED": _Shape((_NONE,), _CALLER, may=("birthday", "related_member_id", *_TOLD)),
    "PURCHASE": _Shape(
        (_NONE, (ISSUANCE, AVAILABLE), (ISSUANCE, PENDING)),
        _CALLER,
        needs=("amount", "breakdown"),
        may=("eligible", "lines", "day", "marks", *_TOLD),
    ),
    "ACTIVITY": _Shape(
        (_NONE, (ISSUANCE, AVAILABLE)),
        _CALLER,
        needs=("activity",),
        may=("breakdown", "marks", *_TOLD),
    ),
    "BONUS": _Shape(
        ((ISSUANCE, AVAILABLE),), needs=("breakdown",), may=("marks", "related_member_id")
    ),
    "ACTIVATION": _Shape(((PENDING, AVAILABLE),), _TIME),
    "EXPIRY": _Shape((_NONE, (AVAILABLE, EXPIRED)), _TIME, may=("inactivity",)),
    "HOLD": _Shape(
        (_NONE, (AVAILABLE, HELD)),
        _CALLER,
        needs=("hold",),
        may=("reward_id", "units", "marks", "counted"),
        at_once=True,
    ),
    "CAPTURE": _Shape(
        (_NONE, (HELD, REDEEMED)),
        _CALLER,
        needs=("hold", "redemption"),
        may=("reward_id",),
        at_once=True,
    ),
    "RELEASE": _Shape(
        (_NONE, (HELD, AVAILABLE)),
        needs=("hold",),
        may=("reward_id", "units", "unmarks", "counted"),
        at_once=True,
    ),
    "REDEMPTION": _Shape(
        (_NONE, (AVAILABLE, REDEEMED)),
        _CALLER,
        needs=("redemption",),
        may=("reward_id", "units", "marks", "counted"),
    ),
    "REDEMPTION_REVERSAL": _Shape(
        (_NONE, (REDEEMED, AVAILABLE)),
        _CALLER,
        needs=("redemption",),
        may=("reward_id", "units", "unmarks", "counted"),
        at_once=True,
    ),
    "RETURN": _Shape(
        (_NONE, (PENDING, ISSUANCE), (AVAILABLE, ISSUANCE), (DEBT, ISSUANCE)),
        _CALLER,
        may=(
            *("returned", "amount", "eligible", "lines", "day", "unmarks", "forgiven_points"),
            *_TOLD,
        ),
    ),
    "DEBT_PAYMENT": _Shape(((AVAILABLE, DEBT),)),
    "ADJUSTMENT": _Shape(
        ((ADJUSTMENTS, AVAILABLE), (AVAILABLE, ADJUSTMENTS)),
        _CALLER,
        needs=("reason_code",),
        may=("note", "approver"),
        at_once=True,
    ),
    "TRANSFER_OUT": _Shape(
        ((AVAILABLE, TRANSFERS),),
        _CALLER,
        needs=("related_member_id",),
        may=("counted",),
        at_once=True,
    ),
    "TRANSFER_IN": _Shape(((TRANSFERS, AVAILABLE),), _CALLER, needs=("related_member_id",)),
    "TIER_CHANGE": _Shape((_NONE,), needs=("tier", "why"), may=("progress",), at_once=True),
    "STATUS_CHANGE": _Shape((_NONE,), _CALLER, needs=("status",), may=("note",), at_once=True),
}
#: the kinds that are about a receipt, and so name it
_OF_RECEIPTS: Final = frozenset({"PURCHASE", "RETURN"})
#: what is recorded by the clock of another member's page, which may be ahead
_OTHER_CLOCK: Final = frozenset({"TRANSFER_IN", "DEBT_PAYMENT"})


def _unspoken(shape: _Shape) -> list[str]:
    """The names of what an entry of a shape must not say."""
    return sorted(set(EntryData.__struct_fields__) - _COMMON - {*shape.needs, *shape.may})


def _without(shape: _Shape) -> tuple[Callable[[EntryData], Any], Any]:
    """How to read what an entry of a shape must not say, and how that reads when nothing is."""
    read = attrgetter(*_unspoken(shape))
    return read, read(_NOTHING_SAID)


_ABSENT: Final = {kind: _without(shape) for kind, shape in _SHAPES.items()}


def check_shape(entry: Entry) -> list[Finding]:
    """What an entry of its kind can not be."""
    shape = _SHAPES.get(entry.kind)
    if shape is None:
        return [Finding("shape", entry.sequence, f"there is no kind {entry.kind!r}")]
    faults: list[str] = []
    _find_in_points(entry, shape, faults)
    _find_in_origin(entry, shape, faults)
    _find_in_data(entry, shape, faults)
    return [Finding("shape", entry.sequence, f"{entry.kind}: {fault}") for fault in faults]


def _find_in_points(entry: Entry, shape: _Shape, faults: list[str]) -> None:
    """A kind moves points between accounts of its own; the sign says whose way."""
    move = entry.debit_account, entry.credit_account
    if move not in shape.moves:
        faults.append(f"moves points from {move[0]!r} to {move[1]!r}")
    if entry.points and (entry.points > 0) != (entry.credit_account in _IN):
        faults.append(f"{entry.points} points go to {entry.credit_account!r}")
    lines = entry.data.breakdown
    if (lines or "breakdown" in shape.needs) and (
        (total := sum([line.points for line in lines])) != entry.points
    ):
        faults.append(f"{entry.points} points, its breakdown adds up to {total}")


def _find_in_origin(entry: Entry, shape: _Shape, faults: list[str]) -> None:
    """Who posts it and when; only the first entry enrols."""
    timed = entry.actor == TIME_ACTOR
    if shape.who and timed != (shape.who == _TIME):
        faults.append(f"is posted by {entry.actor!r}, not by {shape.who}")
    if timed and entry.fingerprint:
        faults.append("is a request of time")
    if entry.effective_time > entry.create_time and entry.kind not in _OTHER_CLOCK:
        faults.append("is recorded before it happened")
    elif shape.at_once and not timed and entry.effective_time != entry.create_time:
        faults.append("happened before it was recorded")
    if (entry.kind == "ENROLLED") != (entry.sequence == 1):
        faults.append("a journal begins with an enrolment, and there is no other")
    if bool(entry.purchase_id) != (entry.kind in _OF_RECEIPTS):
        faults.append(f"is about receipt {entry.purchase_id!r}")


def _find_in_data(entry: Entry, shape: _Shape, faults: list[str]) -> None:
    """What it says is what its kind has to say."""
    data = entry.data
    missing = [n for n in shape.needs if getattr(data, n) == getattr(_NOTHING_SAID, n)]
    faults.extend(f"says nothing of {name}" for name in missing)
    read, absent = _ABSENT[entry.kind]
    if read(data) != absent:
        said = [
            name for name in _unspoken(shape) if getattr(data, name) != getattr(_NOTHING_SAID, name)
        ]
        faults.append(f"speaks of {', '.join(said)}")
    if data.status and data.status not in STATUSES:
        faults.append(f"there is no status {data.status!r}")
    if entry.kind == "PURCHASE":
        _find_in_purchase(entry, faults)


def _find_in_purchase(entry: Entry, faults: list[str]) -> None:
    """No more earns than was paid, and its local day is told of what it earned."""
    data = entry.data
    amount, eligible = data.amount or 0, data.eligible or 0
    if not 0 <= eligible <= amount:
        faults.append(f"{eligible} of {amount} minor units earn")
    day = data.day
    if day is None:
        return
    if day.earned != entry.points or day.spend not in (0, eligible):
        faults.append(f"counts {day.earned} points and {day.spend} minor units for its day")
    if day.purchases not in (0, 1) or day.visits not in (0, 1):
        faults.append(f"counts as {day.purchases} purchases and {day.visits} visits")
