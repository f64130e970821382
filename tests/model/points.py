"""Points as parcels: so many that have always been in one place together.

A parcel has a path of steps: when a step was written down, where the points were from then on, and
until when they live. Whatever moves a part of a parcel splits it. There is no running balance: what
an account holds is what the parcels in it are together, less those that came from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from copy import copy
from datetime import datetime
from typing import Any

ISSUANCE = "issuance"
AVAILABLE = "member:available"
PENDING = "member:pending"
HELD = "member:held"
DEBT = "member:debt"
REDEEMED = "redeemed"
EXPIRED = "expired"
ADJUSTMENTS = "adjustments"
TRANSFERS = "transfers"

Program = dict[str, Any]
Member = dict[str, Any]
Parcel = dict[str, Any]
#: one parcel's step: points, from and to which account, and the lots there; None: no lot
Move = tuple[int, str, str, Any, Any]


def now(program: Program) -> datetime:
    """The program's present."""
    instant: datetime = program["clock_time"] or program["wall_time"]()
    return instant


def written(program: Program) -> datetime:
    """When what happens now is written down: what time does, when it fell due or was known of."""
    instant: datetime = program["time_writes"] or now(program)
    return instant


def bring(
    program: Program,
    member: Member,
    points: int,
    source: str,
    place: str,
    effective: datetime,
    expires: datetime | None,
    **facts: Any,
) -> list[Move]:
    """Points that come from an account outside (or from being owed) to a place."""
    if not points:
        return []
    parcel: Parcel = {
        "points": points,
        "path": [(written(program), source, expires)],
        # When it came to where it is.
        "since": effective,
        "activates": None,
        "purchase": None,
        "hold": None,
        "redemption": None,
        **facts,
    }
    member["parcels"].append(parcel)
    return put(program, [parcel], place, effective)


def put(
    program: Program,
    parcels: Iterable[Parcel],
    place: str,
    effective: datetime,
    *,
    expires: dict[int, datetime | None] | None = None,
    **facts: Any,
) -> list[Move]:
    """Lets parcels take a step to a place. `expires`: another date for some, by id()."""
    moves = []
    for parcel in parcels:
        source, lot = where(parcel), lot_of(parcel)
        date = (expires or {}).get(id(parcel), ends(parcel))
        parcel["path"] = [*parcel["path"], (written(program), place, date)]
        parcel["since"] = effective
        parcel.update(facts)
        moves.append((parcel["points"], source, place, lot, lot_of(parcel)))
    return moves


def take(member: Member, parcels: Iterable[Parcel], points: int) -> list[Parcel]:
    """So many points of some parcels, in their order, as parcels of their own. All, if fewer."""
    taken = []
    for parcel in parcels:
        if not points:
            break
        if parcel["points"] > points:
            rest = copy(parcel)
            rest["points"] = parcel["points"] - points
            parcel["points"] = points
            member["parcels"].append(rest)
        taken.append(parcel)
        points -= parcel["points"]
    return taken


def where(parcel: Parcel) -> str:
    place: str = parcel["path"][-1][1]
    return place


def ends(parcel: Parcel) -> datetime | None:
    """The date of its lot."""
    expires: datetime | None = parcel["path"][-1][2]
    return expires


def lot_of(parcel: Parcel) -> Any:
    """The lot a parcel is in: (account, when it activates, when it expires); None: in none."""
    place = where(parcel)
    if place not in (AVAILABLE, PENDING, HELD):
        return None
    return place, parcel["activates"] if place == PENDING else None, ends(parcel)


def soonest(member: Member, place: str, **facts: Any) -> list[Parcel]:
    """The parcels in a place that have such facts, soonest to expire first, never-expiring last."""
    found = [
        parcel
        for parcel in member["parcels"]
        if where(parcel) == place and all(parcel[name] == facts[name] for name in facts)
    ]
    return sorted(found, key=lambda p: (ends(p) is None, ends(p) or p["since"]))


def total(parcels: Iterable[Parcel]) -> int:
    return sum(parcel["points"] for parcel in parcels)


def available(member: Member) -> int:
    return total(soonest(member, AVAILABLE))


def standing(parcel: Parcel, at: datetime) -> Any:
    """The step at which a parcel stood at an instant; None before it was known."""
    known = [step for step in parcel["path"] if step[0] <= at]
    return known[-1] if known else None


def sums(member: Member, at: datetime) -> Counter[str]:
    """What every ledger account had by an instant of one member's points."""
    totals: Counter[str] = Counter()
    for parcel in member["parcels"]:
        step = standing(parcel, at)
        if step is not None:
            totals[step[1]] += parcel["points"]
            totals[parcel["path"][0][1]] -= parcel["points"]
    return totals


def owed(member: Member) -> int:
    """The debt."""
    came = total(p for p in member["parcels"] if p["path"][0][1] == DEBT)
    return came - total(p for p in member["parcels"] if where(p) == DEBT)


def held_tier(member: Member) -> str:
    """The level that counts now; empty for who joined when there were none."""
    tier = member["tier"]
    return (tier["override"] or tier["level"]) if tier else ""


def entry(
    program: Program,
    member: Member,
    kind: str,
    points: int,
    effective: datetime,
    version: dict[str, Any],
    moves: Iterable[Move] = (),
    **more: Any,
) -> dict[str, Any]:
    """Adds an entry; the tier is the one held after it. What came in pays a debt at once."""
    moves = list(moves)
    lots: Counter[Any] = Counter()
    for moved, _, _, before, after in moves:
        lots[before] -= moved
        lots[after] += moved
    added = {
        "kind": kind,
        "points": points,
        "effective_time": effective,
        "create_time": written(program),
        "rules_version": version["version"],
        "tier_id": held_tier(member),
        "by_time": program["time_writes"] is not None,
        "debit": moves[0][1] if moves else "",
        "credit": moves[0][2] if moves else "",
        "lots": {lot: moved for lot, moved in lots.items() if lot and moved},
        **more,
    }
    member["journal"].append(added)
    payment = min(owed(member), available(member))
    if payment:
        payers = take(member, soonest(member, AVAILABLE), payment)
        paid = put(program, payers, DEBT, effective)
        entry(program, member, "DEBT_PAYMENT", -payment, effective, version, paid)
    return added
