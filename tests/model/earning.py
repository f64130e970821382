"""What a purchase earns, line by line."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction
from typing import Any

from tests.model.days import WEEKDAYS, local_day
from tests.model.points import Member, Program, held_tier, now
from tests.model.rules import among, bonuses, in_force, levels, rank

Part = dict[str, Any]


def eligible_amount(request: dict[str, Any], excluded: Iterable[str]) -> Fraction:
    """The part of a purchase that earns: its lines but for the excluded ones, or its amount."""
    lines = request.get("lines") or []
    if not lines:
        return Fraction(request["amount"])
    return sum(
        (Fraction(line["amount"]) for line in lines if line.get("category", "") not in excluded),
        Fraction(0),
    )


def rounded(exact: Fraction, rounding: str) -> int:
    """A whole number of points: FLOOR, NEAREST (halves up) or CEILING."""
    if rounding == "NEAREST":
        return math.floor(exact + Fraction(1, 2))
    return math.ceil(exact) if rounding == "CEILING" else math.floor(exact)


def earn(
    program: Program,
    member: Member | None,
    request: dict[str, Any],
    effective: datetime,
    version: dict[str, Any],
) -> dict[str, Any]:
    """What a purchase is: eligible, whether it qualifies, which visit of all it is (or None), and
    `parts`: dicts of rule, points and expires_days, that add up to its points."""
    rules = version["rules"]
    day = local_day(effective, program["zone"])
    eligible = eligible_amount(request, rules["earning"].get("exclude_categories", []))
    visits = rules.get("visits") or {}
    qualifies = eligible > 0 and eligible >= Fraction(visits.get("minimum", "0"))
    that_day = [p for p in (member["purchases"] if member else []) if p["day"] == day]
    large = sum(p["qualifies"] and not p["full"] for p in that_day)
    visit = None
    if qualifies and large < visits.get("per_day", 1):
        visit = sum(member["visits"] if member else []) + 1

    parts = _at_rates(program, member, request, effective, version)
    for bonus in bonuses(rules, "PURCHASE_OVER"):
        if eligible >= Fraction(bonus["amount"]):
            parts.append(_bonus_part(bonus))
    for bonus in bonuses(rules, "EVERY_NTH_VISIT"):
        last = member["nth"].get(bonus["id"], 0) if member else 0
        if visit and visit % bonus["n"] == 0 and visit > last:
            parts.append({**_bonus_part(bonus), "nth": bonus["id"]})
    today = sum(p["points"] - sum(r["points"] for r in p["returns"]) for p in that_day)
    caps = rules["earning"].get("caps") or {}
    for name, used in (("per_purchase", 0), ("per_day", today)):
        if caps.get(name) is None:
            continue
        excess = sum(part["points"] for part in parts) - max(caps[name] - used, 0)
        if excess > 0:
            parts.append({"rule": f"cap:{name}", "points": -excess, "expires_days": None})
    return {"eligible": eligible, "qualifies": qualifies, "visit": visit, "parts": parts}


def lots(parts: list[Part]) -> list[tuple[int, int | None]]:
    """(points, expires_days) of a purchase's lots: what caps cut off is taken from its bonuses that
    have a date of their own, the last one first, and then from the rest."""
    cut = -sum(part["points"] for part in parts if part["points"] < 0)
    earned = [part for part in parts if part["points"] >= 0]
    plain = sum(part["points"] for part in earned if part["expires_days"] is None)
    found: list[tuple[int, int | None]] = []
    for part in reversed(earned):
        if part["expires_days"] is not None:
            taken = min(cut, part["points"])
            cut -= taken
            found.append((part["points"] - taken, part["expires_days"]))
    return [(plain - cut, None), *reversed(found)]


def rank_then(program: Program, rules: dict[str, Any], held: str) -> int:
    """The position of the level held now under rules of another time: where they do not know
    it, that of the highest one beneath it that they know."""
    present = levels(in_force(program, now(program))["rules"])
    beneath = present[: present.index(held) + 1] if held in present else []
    return max((rank(rules, level) for level in beneath), default=0)


def _at_rates(
    program: Program,
    member: Member | None,
    request: dict[str, Any],
    effective: datetime,
    version: dict[str, Any],
) -> list[Part]:
    """Base, tier and promotions."""
    rules = version["rules"]
    earning = rules["earning"]
    rounding = earning.get("rounding", "FLOOR")
    rate = Fraction(earning["rate"]["points"]) / Fraction(earning["rate"]["per"])
    eligible = eligible_amount(request, earning.get("exclude_categories", []))
    lines = [("base", rounded(eligible * rate, rounding))]
    tiers = (rules.get("tiers") or {}).get("levels")
    if tiers:
        level = tiers[rank_then(program, rules, held_tier(member) if member else "")]
        more = Fraction(level.get("multiplier", "1")) - 1
        lines.append((f"tier:{level['id']}", rounded(eligible * rate * more, rounding)))
    lines += _promoted(program, member, request, effective, version)
    return [
        {"rule": rule, "points": points, "expires_days": None}
        for rule, points in lines
        if points or rule == "base"
    ]


def _promoted(
    program: Program,
    member: Member | None,
    request: dict[str, Any],
    effective: datetime,
    version: dict[str, Any],
) -> list[tuple[str, int]]:
    rules, earning = version["rules"], version["rules"]["earning"]
    rate = Fraction(earning["rate"]["points"]) / Fraction(earning["rate"]["per"])
    known = levels(rules)
    held = held_tier(member) if member else ""
    tier = known[rank_then(program, rules, held)] if known else ""
    bought = [p for p in (member["purchases"] if member else []) if not p["full"]]
    used = {name for p in bought for name in p["promotions"]}
    lines = []
    for promotion in rules.get("promotions", []):
        if not (
            _is_on(promotion, effective.astimezone(program["zone"]))
            and among(request.get("location_id", ""), promotion.get("locations"))
            and among(tier, promotion.get("tiers"))
            and not (promotion.get("once_per_member") and promotion["id"] in used)
        ):
            continue
        part = _promoted_part(request, promotion, earning)
        if promotion.get("points") is not None:
            points = promotion["points"] if part > 0 else 0
        else:
            more = Fraction(promotion["multiplier"]) - 1
            points = rounded(part * rate * more, earning.get("rounding", "FLOOR"))
        if promotion.get("budget") is not None:
            left = promotion["budget"] - program["given"][promotion["id"]]
            points = min(points, max(left, 0))
        lines.append((f"promotion:{promotion['id']}", points))
    return lines


def _promoted_part(
    request: dict[str, Any], promotion: dict[str, Any], earning: dict[str, Any]
) -> Fraction:
    """The eligible part of a purchase that a promotion is about."""
    excluded = earning.get("exclude_categories", [])
    if not promotion.get("categories") and not promotion.get("skus"):
        return eligible_amount(request, excluded)
    return sum(
        (
            Fraction(line["amount"])
            for line in request.get("lines") or []
            if line.get("category", "") not in excluded
            and among(line.get("category", ""), promotion.get("categories"))
            and among(line.get("sku", ""), promotion.get("skus"))
        ),
        Fraction(0),
    )


def _is_on(promotion: dict[str, Any], local: datetime) -> bool:
    """Whether a promotion's days and hours are now, by the clock on the wall."""
    today, clock = local.date().isoformat(), local.strftime("%H:%M:%S.%f")
    hours = promotion.get("hours")
    return (
        promotion.get("from", "") <= today <= promotion.get("until", "9999-12-31")
        and among(WEEKDAYS[local.weekday()], promotion.get("weekdays"))
        and (not hours or hours["from"] <= clock < hours["until"])
    )


def _bonus_part(bonus: dict[str, Any]) -> Part:
    return {
        "rule": f"bonus:{bonus['id']}",
        "points": bonus["points"],
        "expires_days": bonus.get("expires_days"),
    }
