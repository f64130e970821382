"""Visits, spend and the level they lead to, counted from all purchases each time."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.model.days import anniversary, day_start, local_day, months_end
from tests.model.giving import give_points
from tests.model.points import Member, Program, entry, held_tier, now
from tests.model.rules import DEFAULT_KEEP_MONTHS, in_force, levels, rank


def spend_left(purchase: dict[str, Any]) -> Fraction:
    """What a purchase still counts for: its eligible amount less what of it came back."""
    left: Fraction = purchase["eligible"] - sum(r["eligible"] for r in purchase["returns"])
    return left


def counted(program: Program, member: Member, rules: dict[str, Any], day: date) -> dict[str, Any]:
    """Visits and spend of the period that ends with a day, its first day, and the day on which
    some of it will count no more."""
    start = period_start(program, member, rules, day)
    within = [p for p in member["purchases"] if start <= p["day"] <= day]
    by_day = Counter(p["day"] for p in within if p["qualifies"] and not p["full"])
    per_day = (rules.get("visits") or {}).get("per_day", 1)
    counting = [p["day"] for p in within if spend_left(p) or p["day"] in by_day]
    return {
        "start": start,
        "ends": _period_end(program, member, rules, day, counting),
        "visits": sum(min(number, per_day) for number in by_day.values()),
        "spend": sum((spend_left(p) for p in within), Fraction(0)),
    }


def _period_end(
    program: Program, member: Member, rules: dict[str, Any], day: date, counting: list[date]
) -> date | None:
    """The first day on which some of what counts on a day will count no more."""
    period = rules["tiers"]["period"]
    if "rolling_days" in period:
        return min(counting) + timedelta(period["rolling_days"]) if counting else None
    if "calendar_year" in period:
        return date(day.year + 1, 1, 1)
    joined = local_day(member["enrolled"], program["zone"])
    return min(a for year in (0, 1) if (a := anniversary(joined, day.year + year)) > day)


def period_start(program: Program, member: Member, rules: dict[str, Any], day: date) -> date:
    period = rules["tiers"]["period"]
    if "rolling_days" in period:
        return day - timedelta(period["rolling_days"] - 1)
    if "calendar_year" in period:
        return date(day.year, 1, 1)
    joined = local_day(member["enrolled"], program["zone"])
    this_year = anniversary(joined, day.year)
    return this_year if this_year <= day else anniversary(joined, day.year - 1)


def first_tier(level: str, since: datetime) -> dict[str, Any]:
    """The state of whoever has just got the lowest level."""
    return {
        "level": level,
        "since": since,
        "valid_until": None,
        "grace_until": None,
        "override": None,
        "override_until": None,
    }


def give_first_tier(program: Program, member: Member) -> None:
    """Whoever joined before there were tiers gets the lowest when something is recorded."""
    known = levels(in_force(program, now(program))["rules"])
    if known and member["tier"] is None:
        member["tier"] = first_tier(known[0], member["enrolled"])


def judge(program: Program, member: Member) -> None:
    """After a purchase: a higher level is reached at once, the same one is kept for longer."""
    version = in_force(program, now(program))
    rules = version["rules"]
    if not rules.get("tiers"):
        return
    day = local_day(now(program), program["zone"])
    position = _qualified(program, member, rules, day)
    held = rank(rules, member["tier"]["level"])
    if position > held:
        _change_level(program, member, position, now(program), version, "PROMOTED")
    elif position == held:
        kept = _kept(program, rules, position, day)
        member["tier"] = {**member["tier"], **_later(member["tier"], kept)}


def override(program: Program, member: Member, level: str, until: datetime) -> None:
    instant = now(program)
    give_first_tier(program, member)
    held = held_tier(member)
    member["tier"] = {**member["tier"], "override": level, "override_until": until}
    if held_tier(member) != held:
        member["tier"]["since"] = instant
    version = in_force(program, instant)
    entry(program, member, "TIER_CHANGE", 0, instant, version, reason="OVERRIDDEN")


def end_override(program: Program, member: Member, instant: datetime) -> None:
    held = held_tier(member)
    member["tier"] = {**member["tier"], "override": None, "override_until": None}
    if held_tier(member) != held:
        member["tier"]["since"] = instant
    version = in_force(program, instant)
    entry(program, member, "TIER_CHANGE", 0, instant, version, reason="OVERRIDE_ENDED")


def end_tier(program: Program, member: Member, instant: datetime) -> None:
    version = in_force(program, instant)
    rules = version["rules"]
    held = rank(rules, member["tier"]["level"])
    position = _qualified(program, member, rules, local_day(instant, program["zone"]))
    if position < held:
        downgrade = rules["tiers"].get("downgrade", "ONE_LEVEL")
        position = {
            "NEVER": held,
            "TO_QUALIFIED": position,
            "ONE_LEVEL": max(held - 1, position),
        }[downgrade]
    reason = "PROMOTED" if position > held else "RENEWED" if position == held else "LOWERED"
    _change_level(program, member, position, instant, version, reason)


def reaches(level: dict[str, Any], what: dict[str, Any]) -> bool:
    met = []
    if level.get("visits") is not None:
        met.append(what["visits"] >= level["visits"])
    if level.get("spend") is not None:
        met.append(what["spend"] >= Fraction(level["spend"]))
    return any(met) if level.get("match") == "ANY" else all(met)


def _qualified(program: Program, member: Member, rules: dict[str, Any], day: date) -> int:
    """The position of the highest level whose condition holds."""
    what = counted(program, member, rules, day)
    highest = 0
    for position, level in enumerate(rules["tiers"]["levels"]):
        if reaches(level, what):
            highest = position
    return highest


def _kept(
    program: Program, rules: dict[str, Any], position: int, day: date
) -> dict[str, datetime | None]:
    """Until when a level is kept that is earned on a day, and when that is decided anew."""
    if position == 0:
        return {"valid_until": None, "grace_until": None}
    zone, tiers = program["zone"], rules["tiers"]
    if "calendar_year" in tiers["period"]:
        ends = day_start(date(day.year + 2, 1, 1), zone)
    else:
        ends = months_end(day, tiers.get("keep_months", DEFAULT_KEEP_MONTHS), zone)
    grace = timedelta(tiers.get("grace_days", 0))
    return {"valid_until": ends, "grace_until": day_start(local_day(ends, zone) + grace, zone)}


def _later(before: dict[str, Any], after: dict[str, datetime | None]) -> dict[str, datetime | None]:
    """The later of two promises: a new one never shortens what was promised before."""
    if after["valid_until"] is None:
        return after
    if before["valid_until"] is not None and before["valid_until"] >= after["valid_until"]:
        return {name: before[name] for name in after}
    assert after["grace_until"] is not None
    grace_until = max(after["grace_until"], before["grace_until"] or after["grace_until"])
    return {"valid_until": after["valid_until"], "grace_until": grace_until}


def _change_level(
    program: Program,
    member: Member,
    position: int,
    instant: datetime,
    version: dict[str, Any],
    reason: str,
) -> None:
    """Hold a level from an instant on, with an entry that says so and its entry bonus."""
    rules, before = version["rules"], member["tier"]
    day = local_day(instant, program["zone"])
    kept = _kept(program, rules, position, day)
    if reason != "LOWERED":
        kept = _later(before, kept)
    level = rules["tiers"]["levels"][position]
    member["tier"] = {**before, **kept, "level": level["id"]}
    if before["override"] and position >= rank(rules, before["override"]):
        member["tier"].update(override=None, override_until=None)
    if held_tier(member) != (before["override"] or before["level"]):
        member["tier"]["since"] = instant
    entry(program, member, "TIER_CHANGE", 0, instant, version, reason=reason)
    start = period_start(program, member, rules, day)
    entered = any(known == level["id"] and on >= start for known, on in member["entered"])
    if reason == "PROMOTED" and level.get("entry_bonus") and not entered:
        member["entered"].append((level["id"], day))
        rule = f"entry:{level['id']}"
        give_points(program, member, rule, level["entry_bonus"], instant, version)


def tier_status(program: Program, member: Member) -> dict[str, Any]:
    """The tier held now, until when, what is counted, and what the next level asks beyond.

    Empty while the rules in force have no tiers.
    """
    instant = now(program)
    rules = in_force(program, instant)["rules"]
    if not rules.get("tiers"):
        return {}
    levels = rules["tiers"]["levels"]
    tier = member["tier"] or first_tier(levels[0]["id"], member["enrolled"])
    held = tier["override"] or tier["level"]
    place, today = rank(rules, held), local_day(instant, program["zone"])
    what = counted(program, member, rules, today)
    ends = what["ends"] and day_start(what["ends"], program["zone"])
    status = {
        "tier_id": held,
        "since": tier["since"],
        "valid_until": tier["override_until"] or tier["valid_until"],
        "grace_until": tier["override_until"] or tier["grace_until"],
        "visits": what["visits"],
        "spend": what["spend"],
        "period_start": day_start(what["start"], program["zone"]),
        "next": None,
        "keep": None,
    }
    if place + 1 < len(levels):
        status["next"] = _missing(levels[place + 1], what, ends)
    if place and not tier["override"]:
        ends, over = tier["valid_until"], tier["grace_until"]
        # A period that begins anew each year begins at nothing when the grace does.
        last = local_day(over if ends <= instant else ends, program["zone"]) - timedelta(1)
        if "rolling_days" in rules["tiers"]["period"]:
            last = local_day(over, program["zone"])
        still = counted(program, member, rules, max(last, today))
        begins = day_start(still["start"], program["zone"])
        if rules["tiers"].get("downgrade") != "NEVER":
            by_time = over if ends <= max(instant, begins) else ends
            status["keep"] = _missing(levels[place], still, by_time)
    return status


def _missing(
    level: dict[str, Any], what: dict[str, Any], by_time: datetime | None
) -> dict[str, Any] | None:
    """What is missing for a level; None when nothing is."""
    if reaches(level, what):
        return None
    return {
        "tier_id": level["id"],
        "visits": max(level.get("visits", 0) - what["visits"], 0),
        "spend": max(Fraction(level.get("spend", 0)) - what["spend"], Fraction(0)),
        "by_time": by_time,
    }
