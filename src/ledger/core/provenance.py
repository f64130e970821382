"""Where a balance comes from: each lot, and the entries that made it what it is.

A lot's entries add up to its points. What passed through it without leaving anything is left out:
points that were held and came back, and whatever was before the lot was last empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ledger.core.explain import tier_name
from ledger.core.instants import format_day, local_day
from ledger.core.model import DEBT, Entry, LotChange
from ledger.core.program import Program

#: what takes points that may come back to the lot they were taken from
_MAY_COME_BACK = frozenset({"HOLD", "REDEMPTION", "CAPTURE"})
_COMES_BACK = frozenset({"RELEASE", "REDEMPTION_REVERSAL"})


class Source(NamedTuple):
    """An entry, and the points it put into a lot or (negative) took out of it."""

    entry: Entry
    points: int


class Origin(NamedTuple):
    """Points that stand together, and where they come from."""

    #: AVAILABLE, PENDING, HELD or DEBT
    state: str
    points: int
    #: µs; None: never
    expire_time: int | None
    #: when pending points become spendable (µs)
    activate_time: int | None
    #: sequence of the HOLD entry that holds them; 0: none does
    hold: int
    #: oldest first; their points add up
    sources: tuple[Source, ...]


class _Key(NamedTuple):
    state: str
    expire_time: int | None = None
    activate_time: int | None = None
    hold: int = 0


def origins(entries: Iterable[Entry]) -> list[Origin]:
    """Where the points of a journal's end come from: what can be spent first, soonest to expire
    first, then what is pending, held and owed."""
    lots: dict[_Key, list[Source]] = {}
    for entry in entries:
        for change in entry.data.lots:
            key = _key_of(change)
            if entry.kind != "ACTIVATION":
                _note(lots, key, Source(entry, change.points))
            elif change.activate_time is not None:  # they keep the entries that they came with
                for source in lots.pop(key, []):
                    _note(lots, _Key("AVAILABLE", change.expire_time), source)
        owed = abs(entry.points) * ((entry.debit_account == DEBT) - (entry.credit_account == DEBT))
        if owed:
            _note(lots, _Key("DEBT"), Source(entry, owed))
    found = [
        Origin(key.state, points, key.expire_time, key.activate_time, key.hold, tuple(sources))
        for key, sources in lots.items()
        if (points := sum(source.points for source in sources))
    ]
    return sorted(found, key=_order)


def _note(lots: dict[_Key, list[Source]], key: _Key, source: Source) -> None:
    """Add a source to a lot. What comes back takes the place of what it was taken for."""
    sources = lots.setdefault(key, [])
    empty = not sum(each.points for each in sources)
    if source.entry.kind in _COMES_BACK and source.points > 0:
        taken = [each for each in sources if each.entry.sequence == source.entry.subject_sequence]
        if taken:
            place = sources.index(taken[0])
            left = taken[0].points + source.points
            sources[place : place + 1] = [taken[0]._replace(points=left)] if left else []
            return
    elif empty:
        sources.clear()
    sources.append(source)
    gone = not sum(each.points for each in sources)
    if gone and source.entry.kind not in _MAY_COME_BACK:
        sources.clear()


def _key_of(change: LotChange) -> _Key:
    if change.hold:
        return _Key("HELD", change.expire_time, None, change.hold)
    if change.activate_time is not None:
        return _Key("PENDING", change.expire_time, change.activate_time)
    return _Key("AVAILABLE", change.expire_time)


def _order(origin: Origin) -> tuple[int, int, int, bool, int]:
    never = origin.expire_time is None
    place = ("AVAILABLE", "PENDING", "HELD", "DEBT").index(origin.state)
    return place, origin.activate_time or 0, origin.hold, never, origin.expire_time or 0


def sentence(source: Source, program: Program) -> str:
    """A source for people: `+18 on 12 January 2026: purchase r-1 (12 base, 6 Gold)`."""
    entry = source.entry
    day = format_day(local_day(entry.effective_time, program.zone))
    return f"{source.points:+} on {day}: {_what(source, program)}"


def _what(source: Source, program: Program) -> str:
    entry, data = source.entry, source.entry.data
    if entry.kind == "PURCHASE":
        return f"purchase {entry.purchase_id}{_parts(entry, program)}"
    if entry.kind == "RETURN":
        return f"return of purchase {entry.purchase_id}" if entry.purchase_id else "return"
    if entry.kind == "BONUS":
        return f"bonus {data.breakdown[0].rule.partition(':')[2]}"
    if entry.kind == "ACTIVITY":
        return f"activity {data.activity}{_parts(entry, program)}"
    if entry.kind == "ADJUSTMENT":
        said = f": {data.note}" if data.note else ""
        return f"adjusted by {entry.actor} ({data.reason_code}{said})"
    if entry.kind in ("TRANSFER_IN", "TRANSFER_OUT"):
        side = "from" if entry.kind == "TRANSFER_IN" else "to"
        return f"transfer {side} member {data.related_member_id}"
    verb = _VERBS.get(entry.kind, entry.kind)
    if entry.kind == "HOLD" and source.points < 0:
        verb = "taken by a hold"
    if data.reward_id:
        reward = program.versions[entry.rules_version - 1].rules.reward(data.reward_id)
        name = data.reward_id if reward is None else reward.name
        return f"{verb} for {name}"
    return verb


_VERBS = {
    "HOLD": "held",
    "CAPTURE": "captured",
    "RELEASE": "released",
    "REDEMPTION": "redeemed",
    "REDEMPTION_REVERSAL": "given back",
    "DEBT_PAYMENT": "paid for what was owed",
    "EXPIRY": "expired",
}


def _parts(entry: Entry, program: Program) -> str:
    """`(12 base, 6 Gold)`; empty where there is one part only."""
    lines = entry.data.breakdown
    if len(lines) < 2:
        return ""
    rules = program.versions[entry.rules_version - 1].rules
    named = []
    for line in lines:
        kind, _, detail = line.rule.partition(":")
        named.append(
            f"{line.points} {tier_name(detail, rules) if kind == 'tier' else detail or kind}"
        )
    return f" ({', '.join(named)})"
