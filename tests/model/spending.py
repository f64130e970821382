"""Holds, redemptions and rewards."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.model.days import day_start, local_day
from tests.model.points import (
    AVAILABLE,
    HELD,
    REDEEMED,
    Member,
    Program,
    available,
    ends,
    entry,
    now,
    put,
    soonest,
    take,
    total,
)
from tests.model.rules import (
    DEFAULT_HOLD_SECONDS,
    DEFAULT_RESTORE_GRACE_DAYS,
    has_room,
    in_force,
    levels,
    rank,
    redemption,
    reward,
    within,
)

Request = dict[str, Any]


# -- whether it can be ----------------------------------------------------------------------------


def why_no_redemption(program: Program, member: Member, request: Request) -> str | None:
    """Why points or a reward can not be had now."""
    return _why_not_at_all(program, member, request) or _why_not_today(program, member, request)


def _why_not_today(program: Program, member: Member, request: Request) -> str | None:
    """Whether what the day has seen so far leaves room: what is held, and what was redeemed and
    not given back. Only what was asked for under a limit counts."""
    rules = in_force(program, now(program))["rules"]
    today = local_day(now(program), program["zone"])
    wanted = reward(rules, request.get("reward_id", ""))
    spent = [h["points"] for h in member["holds"] if h["limited"] == today and h["state"] == "OPEN"]
    spent += [
        made["points"] - sum(made["reversals"])
        for made in member["redemptions"]
        if made["limited"] == today and not made["given_back"]
    ]
    spent.append(wanted["points"] if wanted else request["points"])
    fits = within(redemption(rules).get("per_day"), spent)
    return None if fits else "REDEMPTION_LIMIT_REACHED"


def _why_not_at_all(program: Program, member: Member, request: Request) -> str | None:
    rules = in_force(program, now(program))["rules"]
    wanted = reward(rules, request.get("reward_id", ""))
    points = wanted["points"] if wanted else request["points"]
    if points > available(member):
        return "INSUFFICIENT_POINTS"
    if wanted is None:
        minimum = redemption(rules).get("minimum_points", 1)
        return "BELOW_MINIMUM" if points < minimum else None
    least = wanted.get("minimum_tier", "")
    tier = member["tier"]
    held = (tier["override"] or tier["level"]) if tier else ""
    if least and levels(rules) and rank(rules, held) < rank(rules, least):
        return "REWARD_NOT_ELIGIBLE"
    today = local_day(now(program), program["zone"])
    if not wanted.get("from", "") <= today.isoformat() <= wanted.get("until", "9999-12-31"):
        return "REWARD_NOT_ELIGIBLE"
    if wanted.get("stock") is not None and units_taken(program, wanted["id"]) >= wanted["stock"]:
        return "REWARD_OUT_OF_STOCK"
    had = [u["day"] for u in member["uses"] if u["reward"] == wanted["id"] and u["counts"]]
    return None if has_room(wanted.get("per_member"), had, today) else "REWARD_LIMIT_REACHED"


def why_no_capture(member: Member, request: Request) -> str | None:
    held = hold_of(member, request)
    points = request.get("points")
    if points is not None and points > held["points"]:
        return "CAPTURE_EXCEEDS_HOLD"
    if held["use"] and points not in (None, held["points"]):
        return "INVALID_FIELD"
    return None


def why_not_open(member: Member, request: Request) -> str | None:
    state = hold_of(member, request)["state"]
    return {"OPEN": None, "LAPSED": "HOLD_EXPIRED"}.get(state, "HOLD_CLOSED")


def why_no_reversal(member: Member, request: Request) -> str | None:
    made = redemption_of(member, request)
    left = made["points"] - sum(made["reversals"])
    points = request.get("points")
    if made["given_back"] or (points is not None and points > left):
        return "REVERSAL_EXCEEDS_REDEMPTION"
    return None


def hold_of(member: Member, request: Request) -> Any:
    """The hold of a request; None: it is not this member's."""
    return next((h for h in member["holds"] if h["hold_id"] == request["hold_id"]), None)


def redemption_of(member: Member, request: Request) -> Any:
    wanted = request["redemption_id"]
    return next((r for r in member["redemptions"] if r["redemption_id"] == wanted), None)


def units_taken(program: Program, reward_id: str) -> int:
    """Units of a reward's stock that are held or redeemed by anybody."""
    uses = [use for member in program["members"].values() for use in member["uses"]]
    return sum(u["unit"] for u in uses if u["reward"] == reward_id and not u["back"])


# -- what is done ---------------------------------------------------------------------------------


def hold(program: Program, member: Member, request: Request) -> None:
    version, instant = in_force(program, now(program)), now(program)
    points, use = _asked(program, member, request)
    made = {
        "hold_id": f"{member['id']}/h-{len(member['holds']) + 1}",
        "points": points,
        "reward": request.get("reward_id", ""),
        "use": use,
        "version": version,
        "expires": _lapses(program, request),
        "state": "OPEN",
        "captured": 0,
        "limited": _limited(program),
        # How often the balance had expired for want of activity when it was made.
        "faded": len(member["fadings"]),
    }
    member["holds"].append(made)
    taken = take(member, soonest(member, AVAILABLE), points)
    moves = put(program, taken, HELD, instant, hold=made["hold_id"])
    entry(program, member, "HOLD", -points, instant, version, moves, **_told(made))


def extend(program: Program, member: Member, request: Request) -> None:
    made = hold_of(member, request)
    made["expires"] = max(made["expires"], _lapses(program, request))
    instant = now(program)
    entry(program, member, "HOLD", 0, instant, in_force(program, instant), **_told(made))


def capture(program: Program, member: Member, request: Request) -> None:
    made, instant = hold_of(member, request), now(program)
    points = made["points"] if request.get("points") is None else request["points"]
    made.update(state="CAPTURED", captured=points)
    spent = _redemption(program, member, points, made["use"], made["version"])
    spent["limited"] = made["limited"]
    taken = take(member, soonest(member, HELD, hold=made["hold_id"]), points)
    moves = put(program, taken, REDEEMED, instant, redemption=spent["redemption_id"])
    member["active"].append(instant)
    told = {**_told(made), "redemption": _shown(spent)}
    entry(program, member, "CAPTURE", -points, instant, made["version"], moves, **told)
    if points < made["points"]:
        _return_held(program, member, made, instant)


def release(program: Program, member: Member, made: Any, state: str, instant: datetime) -> None:
    """Ends a hold of which nothing is captured."""
    made["state"] = state
    if made["use"]:
        made["use"].update(back=True, counts=False)
    _return_held(program, member, made, instant)


def _return_held(program: Program, member: Member, made: Any, instant: datetime) -> None:
    back = soonest(member, HELD, hold=made["hold_id"])
    faded = member["fadings"][made["faded"] :]
    dates = {}
    for parcel in back if faded else []:
        dates[id(parcel)] = min(ends(parcel) or faded[-1], faded[-1])
    points = total(back)
    moves = put(program, back, AVAILABLE, instant, expires=dates)
    version = in_force(program, instant)
    entry(program, member, "RELEASE", points, instant, version, moves, **_told(made))


def redeem(program: Program, member: Member, request: Request, effective: datetime) -> None:
    version = in_force(program, now(program))
    points, use = _asked(program, member, request)
    spent = _redemption(program, member, points, use, version)
    spent["limited"] = _limited(program)
    taken = take(member, soonest(member, AVAILABLE), points)
    moves = put(program, taken, REDEEMED, effective, redemption=spent["redemption_id"])
    member["active"].append(effective)
    told = {"reward": request.get("reward_id", ""), "redemption": _shown(spent)}
    entry(program, member, "REDEMPTION", -points, effective, version, moves, **told)


def reverse(program: Program, member: Member, request: Request) -> None:
    made, instant = redemption_of(member, request), now(program)
    left = made["points"] - sum(made["reversals"])
    points = left if request.get("points") is None else request["points"]
    made["reversals"].append(points)
    made["given_back"] = sum(made["reversals"]) == made["points"]
    if made["given_back"] and made["use"]:
        made["use"].update(back=True, counts=False)
    version = in_force(program, instant)
    days = redemption(version["rules"]).get("restore_grace_days", DEFAULT_RESTORE_GRACE_DAYS)
    spent = soonest(member, REDEEMED, redemption=made["redemption_id"])
    back = take(member, spent[::-1], points)
    today = local_day(instant, program["zone"])
    longer = day_start(today + timedelta(days + 1), program["zone"])
    moves = put(program, back, AVAILABLE, instant, expires=_dates(back, instant, days, longer))
    told = {"reward": made["reward"], "redemption": _shown(made)}
    entry(program, member, "REDEMPTION_REVERSAL", points, instant, version, moves, **told)


def _dates(
    back: Iterable[Any], instant: datetime, days: int, longer: datetime
) -> dict[int, datetime | None]:
    """New dates for parcels whose own has passed, where the rules give them some days more."""
    passed = [parcel for parcel in back if (ends(parcel) or longer) <= instant]
    return {id(parcel): longer for parcel in passed} if days else {}


def _asked(program: Program, member: Member, request: Request) -> tuple[int, Any]:
    """Points that a request takes, and the use of a reward that it is; None: of none."""
    wanted = reward(in_force(program, now(program))["rules"], request.get("reward_id", ""))
    if wanted is None:
        return request["points"], None
    use = {
        "reward": wanted["id"],
        "day": local_day(now(program), program["zone"]),
        "unit": int(wanted.get("stock") is not None),
        "counts": wanted.get("per_member") is not None,
        "back": False,
    }
    member["uses"].append(use)
    return wanted["points"], use


def _limited(program: Program) -> date | None:
    """The day that redemptions count towards, where the rules have a limit for it."""
    limit = redemption(in_force(program, now(program))["rules"]).get("per_day")
    return local_day(now(program), program["zone"]) if limit else None


def _lapses(program: Program, request: Request) -> datetime:
    rules = in_force(program, now(program))["rules"]
    seconds = redemption(rules).get("hold_ttl_seconds", DEFAULT_HOLD_SECONDS)
    ttl: timedelta = request.get("ttl") or timedelta(seconds=seconds)
    return now(program) + ttl


def _redemption(
    program: Program, member: Member, points: int, use: Any, version: dict[str, Any]
) -> dict[str, Any]:
    rules = version["rules"]
    price, wanted = redemption(rules).get("value"), reward(rules, use["reward"]) if use else None
    value = percent = None
    if wanted:
        value = None if wanted.get("value") is None else Fraction(wanted["value"])
        percent = wanted.get("percent")
    elif price:
        cents = Fraction(price["amount"]) * 100 * points / price["points"]
        value = Fraction(math.floor(cents), 100)
    made = {
        "redemption_id": f"{member['id']}/r-{len(member['redemptions']) + 1}",
        "points": points,
        "reward": use["reward"] if use else "",
        "use": use,
        "value": value,
        "percent": percent,
        "reversals": [],
        "given_back": False,
    }
    member["redemptions"].append(made)
    return made


def _told(made: dict[str, Any]) -> dict[str, Any]:
    """What entries about a hold say of it."""
    names = ("hold_id", "points", "state", "captured", "expires")
    return {"reward": made["reward"], "hold": {name: made[name] for name in names}}


def _shown(made: dict[str, Any]) -> dict[str, Any]:
    names = ("redemption_id", "points", "value", "percent")
    return {**{name: made[name] for name in names}, "reversed": sum(made["reversals"])}
