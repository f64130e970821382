"""What requests do that are neither spending nor a return."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.model.days import day_start, expires, local_day
from tests.model.earning import earn, lots
from tests.model.giving import give
from tests.model.points import (
    ADJUSTMENTS,
    AVAILABLE,
    ISSUANCE,
    PENDING,
    TRANSFERS,
    Member,
    Program,
    available,
    bring,
    ends,
    entry,
    now,
    put,
    soonest,
    take,
)
from tests.model.returns import forget, lasting
from tests.model.rules import DEFAULT_REASON_CODES, bonuses, has_room, in_force, within
from tests.model.tiers import give_first_tier, judge

Request = dict[str, Any]
Version = dict[str, Any]


def join(program: Program, request: Request, effective: datetime, version: Version) -> None:
    member: Member = {
        "id": request["member_id"],
        "enrolled": effective,
        "birthday": request.get("birthday"),
        "referrer": request.get("referrer_member_id"),
        "parcels": [],
        "journal": [],
        "outcomes": {},
        "purchases": [],
        "activities": [],
        "holds": [],
        "redemptions": [],
        # (day, points) of those under rules with a limit.
        "transfers": [],
        # Rewards had: which, on which day, whether a unit of stock was taken, whether it counts
        # towards its limit, whether it was given back.
        "uses": [],
        # 1 for each visit, and -1 for one that a return took away.
        "visits": [],
        # By bonus the last visit that it was given for.
        "nth": {},
        # (level, day) of entry bonuses; (bonus, day) of dated ones.
        "entered": [],
        "dated": set(),
        "tier": None,
        # (since, status) of every change.
        "statuses": [],
        # When something was bought or redeemed, and when the balance expired for want of that.
        "active": [effective],
        "fadings": [],
        # Points by when they expire, how many days ahead, and whether for want of activity.
        "warnings": {},
        # What `live` found when it last looked.
        "looked": None,
        # Up to when time has been lived; what comes of it later was recorded then.
        "lived": now(program),
        # Up to when, and at that instant up to which of ORDER, what only passes has been seen.
        "seen": (now(program), 99),
    }
    program["members"][request["member_id"]] = member
    give_first_tier(program, member)
    more = {"related": member["referrer"]} if member["referrer"] else {}
    entry(program, member, "ENROLLED", 0, effective, version, **more)
    for bonus in bonuses(version["rules"], "ENROLLMENT"):
        give(program, member, bonus, bonus["points"], effective, version)


def buy(
    program: Program, member: Member, request: Request, effective: datetime, version: Version
) -> None:
    zone, day = program["zone"], local_day(effective, program["zone"])
    earned = earn(program, member, request, effective, version)
    rules, parts = version["rules"], earned["parts"]
    pending_days = rules["earning"].get("pending_days", 0)
    activates = day_start(day + timedelta(pending_days), zone) if pending_days else None
    place = PENDING if pending_days else AVAILABLE
    moves, kept = [], []
    for points, lives in lots(parts):
        date = expires(day, lives, rules, zone)
        came = bring(program, member, points, ISSUANCE, place, effective, date, activates=activates)
        moves += came
        kept += [(activates, date)] if came else []
    first_visit = earned["qualifies"] and not any(p["qualifies"] for p in member["purchases"])
    points = sum(part["points"] for part in parts)
    promotions = {
        part["rule"].removeprefix("promotion:"): part["points"]
        for part in parts
        if part["rule"].startswith("promotion:")
    }
    program["given"].update(promotions)
    nth = [(part["nth"], earned["visit"]) for part in parts if "nth" in part]
    member["nth"].update(nth)
    member["visits"] += [1] if earned["visit"] else []
    member["active"].append(effective)
    member["purchases"].append(
        {
            "purchase_id": request["purchase_id"],
            "day": day,
            "amount": Fraction(request["amount"]),
            "lines": request.get("lines") or [],
            "excluded": rules["earning"].get("exclude_categories", []),
            "per_day": (rules.get("visits") or {}).get("per_day", 1),
            "eligible": earned["eligible"],
            "qualifies": earned["qualifies"],
            "visit": earned["visit"],
            "points": points,
            "lasting": lasting(parts),
            "lots": kept,
            "promotions": set(promotions),
            "nth": nth,
            "returns": [],
            "full": False,
            "forgotten": False,
        }
    )
    forget(program, member)
    program["purchases"][request["purchase_id"]] = request["member_id"]
    give_first_tier(program, member)
    entry(
        program,
        member,
        "PURCHASE",
        points,
        effective,
        version,
        moves,
        purchase_id=request["purchase_id"],
        breakdown=[(part["rule"], part["points"]) for part in parts],
    )
    if earned["eligible"] > 0:
        judge(program, member)
    if first_visit and member["referrer"]:
        _thank_referrer(program, member, effective, version)


def _thank_referrer(
    program: Program, member: Member, effective: datetime, version: Version
) -> None:
    referrer = program["members"][member["referrer"]]
    for bonus in bonuses(version["rules"], "REFERRAL"):
        points = bonus.get("referee_points")
        if points:
            give(program, member, bonus, points, effective, version, referrer["id"])
    if status(referrer) in ("SUSPENDED", "CLOSED"):
        return
    for bonus in bonuses(version["rules"], "REFERRAL"):
        give(program, referrer, bonus, bonus["points"], effective, version, member["id"])


def do(
    program: Program, member: Member, request: Request, effective: datetime, version: Version
) -> None:
    """An activity: it is given all bonuses that have room, or recorded for nothing."""
    day = local_day(effective, program["zone"])
    lines, moves = [], []
    for bonus in bonuses(version["rules"], "ACTIVITY"):
        if bonus["activity"] != request["activity"]:
            continue
        days = [done for bonus_id, done in member["activities"] if bonus_id == bonus["id"]]
        if not has_room(bonus.get("per_member"), days, day):
            continue
        date = expires(day, bonus.get("expires_days"), version["rules"], program["zone"])
        points = bonus["points"]
        moves += bring(program, member, points, ISSUANCE, AVAILABLE, effective, date)
        lines.append((f"bonus:{bonus['id']}", points))
    member["activities"] += [(rule.removeprefix("bonus:"), day) for rule, _ in lines]
    points = sum(points for _, points in lines)
    give_first_tier(program, member)
    more: dict[str, Any] = {"breakdown": lines} if lines else {}
    more["activity"] = request["activity"]
    entry(program, member, "ACTIVITY", points, effective, version, moves, **more)


def why_no_adjustment(program: Program, member: Member, request: Request) -> str | None:
    rules = in_force(program, now(program))["rules"].get("adjustments") or {}
    if request["reason_code"] not in rules.get("reason_codes", DEFAULT_REASON_CODES):
        return "INVALID_FIELD"
    if -request["points"] > available(member):
        return "INSUFFICIENT_POINTS"
    limit = rules.get("approval_above")
    if limit is not None and abs(request["points"]) > limit and not request.get("approver"):
        return "APPROVAL_REQUIRED"
    return None


def adjust(program: Program, member: Member, request: Request) -> None:
    version, instant, points = in_force(program, now(program)), now(program), request["points"]
    if points > 0:
        day = local_day(instant, program["zone"])
        date = expires(day, None, version["rules"], program["zone"])
        moves = bring(program, member, points, ADJUSTMENTS, AVAILABLE, instant, date)
    else:
        taken = take(member, soonest(member, AVAILABLE), -points)
        moves = put(program, taken, ADJUSTMENTS, instant)
    more = {"reason_code": request["reason_code"]}
    entry(program, member, "ADJUSTMENT", points, instant, version, moves, **more)


def why_no_transfer(program: Program, member: Member, request: Request) -> str | None:
    other = program["members"][request["to_member_id"]]
    if status(other) in ("SUSPENDED", "CLOSED"):
        return "MEMBER_NOT_ACTIVE"
    if request["points"] > available(member):
        return "INSUFFICIENT_POINTS"
    limit = (in_force(program, now(program))["rules"].get("transfers") or {}).get("per_day")
    today = local_day(now(program), program["zone"])
    spent = [points for day, points in member["transfers"] if day == today]
    return None if within(limit, [*spent, request["points"]]) else "TRANSFER_LIMIT_REACHED"


def transfer(program: Program, member: Member, request: Request) -> None:
    version, instant, points = in_force(program, now(program)), now(program), request["points"]
    other = program["members"][request["to_member_id"]]
    if (version["rules"].get("transfers") or {}).get("per_day"):
        member["transfers"].append((local_day(instant, program["zone"]), points))
    taken = take(member, soonest(member, AVAILABLE), points)
    dates = [(parcel["points"], ends(parcel)) for parcel in taken]
    moves = put(program, taken, TRANSFERS, instant)
    more = {"related": other["id"]}
    entry(program, member, "TRANSFER_OUT", -points, instant, version, moves, **more)
    came = []
    for part, date in dates:
        came += bring(program, other, part, TRANSFERS, AVAILABLE, instant, date)
    more = {"related": member["id"]}
    entry(program, other, "TRANSFER_IN", points, instant, version, came, **more)


def status(member: Member) -> str:
    return member["statuses"][-1][1] if member["statuses"] else "ACTIVE"


def set_status(program: Program, member: Member, request: Request) -> None:
    version, instant = in_force(program, now(program)), now(program)
    member["statuses"].append((instant, request["status"]))
    more = {"status": request["status"]}
    entry(program, member, "STATUS_CHANGE", 0, instant, version, **more)
