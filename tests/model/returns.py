"""Goods that come back, and the points that go with them."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.model.days import local_day
from tests.model.earning import eligible_amount
from tests.model.points import (
    AVAILABLE,
    DEBT,
    ISSUANCE,
    PENDING,
    Member,
    Program,
    available,
    bring,
    entry,
    lot_of,
    now,
    put,
    soonest,
    take,
    total,
)
from tests.model.rules import DEFAULT_BACKDATE_DAYS, in_force
from tests.model.tiers import give_first_tier, period_start

Request = dict[str, Any]
Purchase = dict[str, Any]


def purchase_of(member: Member, request: Request) -> Any:
    """The purchase of a request; None: it is not this member's."""
    wanted = request["purchase_id"]
    return next((p for p in member["purchases"] if p["purchase_id"] == wanted), None)


def why_no_return(program: Program, member: Member, request: Request) -> str | None:
    bought = purchase_of(member, request)
    if not _fits(bought, request):
        return "RETURN_EXCEEDS_PURCHASE"
    wanted = _what(bought, request)["points"]
    rules = in_force(program, now(program))["rules"]
    there = total(_waiting(member, bought)) + available(member)
    if (rules.get("returns") or {}).get("shortfall") == "REFUSE" and wanted > there:
        return "RETURNED_POINTS_SPENT"
    return None


def _fits(bought: Purchase, request: Request) -> bool:
    """Whether so much of a purchase is left."""
    if bought["full"]:
        return False
    if request.get("lines"):
        everything = [*request["lines"], *(line for r in bought["returns"] for line in r["lines"])]
        for key in {_key(line) for line in everything}:
            came, went = _so_much(everything, key), _so_much(bought["lines"], key)
            if came[0] > went[0] or (went[1] and came[1] > went[1]):
                return False
    return _amount(bought, request) <= _left(bought)


def _key(line: dict[str, Any]) -> tuple[str, str]:
    return line.get("sku", ""), line.get("category", "")


def _so_much(lines: list[dict[str, Any]], key: tuple[str, str]) -> tuple[Fraction, int]:
    """Amount and pieces of all lines of an article."""
    alike = [line for line in lines if _key(line) == key]
    pieces = sum(line.get("quantity", 0) for line in alike)
    return sum((Fraction(line["amount"]) for line in alike), Fraction(0)), pieces


def _left(bought: Purchase) -> Fraction:
    left: Fraction = bought["amount"] - sum(r["amount"] for r in bought["returns"])
    return left


def _amount(bought: Purchase, request: Request) -> Fraction:
    if request.get("full"):
        return _left(bought)
    if request.get("lines"):
        return sum((Fraction(line["amount"]) for line in request["lines"]), Fraction(0))
    return Fraction(request["amount"])


def _what(bought: Purchase, request: Request) -> dict[str, Any]:
    """What a return is of: amount, eligible part and points, and whether nothing is left."""
    amount, left = _amount(bought, request), _left(bought)
    earning = bought["eligible"] - sum(r["eligible"] for r in bought["returns"])
    already = sum(r["points"] for r in bought["returns"])
    lines = request.get("lines") or []
    if amount == left:
        return {
            "amount": amount,
            "eligible": earning,
            "points": bought["points"] - already,
            "full": True,
            "lines": lines,
        }
    if lines:
        eligible = min(earning, eligible_amount({"lines": lines}, bought["excluded"]))
    else:
        # Whole cents of what the amount's share of the rest is.
        eligible = Fraction(math.floor(earning * amount / left * 100), 100)
    returned = bought["eligible"] - earning + eligible
    due = math.floor(bought["lasting"] * returned / bought["eligible"]) if returned else 0
    return {
        "amount": amount,
        "eligible": eligible,
        "points": due - already,
        "full": False,
        "lines": lines,
    }


def lasting(parts: list[dict[str, Any]]) -> int:
    """Points of a purchase that go with parts of it: all but what its bonuses gave beyond what caps
    cut off."""
    earned: int = sum(part["points"] for part in parts)
    given: int = sum(part["points"] for part in parts if part["rule"].startswith("bonus:"))
    cut = -sum(part["points"] for part in parts if part["points"] < 0)
    return earned - (given - cut if given > cut else 0)


def _waiting(member: Member, bought: Purchase) -> list[Any]:
    """Pending points of the purchase's lots."""
    lots = bought["lots"]
    return [parcel for parcel in soonest(member, PENDING) if lot_of(parcel)[1:] in lots]


def give_back(program: Program, member: Member, request: Request, effective: datetime) -> None:
    """The return of a purchase, or of a part of it."""
    version = in_force(program, now(program))
    bought = purchase_of(member, request)
    what = _what(bought, request)
    dates = {date for _, date in bought["lots"]}
    waiting = take(member, _waiting(member, bought), what["points"])
    ready = soonest(member, AVAILABLE)
    ready = [p for p in ready if lot_of(p)[2] in dates] + [
        p for p in ready if lot_of(p)[2] not in dates
    ]
    spent = take(member, ready, what["points"] - total(waiting))
    missing = what["points"] - total(waiting) - total(spent)
    forgive = (version["rules"].get("returns") or {}).get("shortfall") == "FORGIVE"
    _count(program, member, bought, what)
    give_first_tier(program, member)
    more: dict[str, Any] = {
        "amount": what["amount"],
        "eligible": what["eligible"],
        "returned": {
            "amount": sum(r["amount"] for r in bought["returns"]),
            "eligible": sum(r["eligible"] for r in bought["returns"]),
            "points": sum(r["points"] for r in bought["returns"]),
            "full": bought["full"],
        },
        "forgiven": missing if forgive else 0,
    }
    parts = [put(program, each, ISSUANCE, effective) for each in (waiting, spent)]
    if not forgive:
        parts.append(bring(program, member, missing, DEBT, ISSUANCE, effective, None))
    for moves in [part for part in parts if part] or [[]]:
        points = sum(move[0] for move in moves)
        more["purchase_id"] = request["purchase_id"]
        entry(program, member, "RETURN", -points, effective, version, moves, **more)
        more = {}


def _count(program: Program, member: Member, bought: Purchase, what: dict[str, Any]) -> None:
    """Takes what came back out of what counts for visits, bonuses and promotions."""
    bought["returns"].append(what)
    if what["full"]:
        large = [p for p in member["purchases"] if p["day"] == bought["day"]]
        number = sum(p["qualifies"] and not p["full"] for p in large)
        fewer = min(number, bought["per_day"]) - min(number - 1, bought["per_day"])
        if bought["forgotten"]:
            fewer = bought["visit"] is not None
        if bought["qualifies"]:
            member["visits"].append(-fewer)
        for name, number in bought["nth"]:
            if member["nth"].get(name) == number:
                del member["nth"][name]
        bought["full"] = True
    if not bought["forgotten"]:
        forget(program, member)


def forget(program: Program, member: Member) -> None:
    """Days at which no rule may look any more are forgotten."""
    oldest = _oldest(program, member)
    for bought in member["purchases"]:
        if bought["day"] < oldest:
            bought["forgotten"] = True


def _oldest(program: Program, member: Member) -> date:
    today = local_day(now(program), program["zone"])
    rules = [version["rules"] for version in program["versions"]]
    back = max(each["earning"].get("backdate_days", DEFAULT_BACKDATE_DAYS) for each in rules)
    starts = [period_start(program, member, each, today) for each in rules if each.get("tiers")]
    return min([today - timedelta(back), *starts])
