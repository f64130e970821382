"""What time does: found by looking at everything it could ever do, one thing after the other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.model.days import anniversary, day_start, local_day, months_end
from tests.model.giving import give
from tests.model.points import (
    AVAILABLE,
    EXPIRED,
    HELD,
    PENDING,
    Member,
    Program,
    ends,
    entry,
    now,
    put,
    soonest,
    total,
)
from tests.model.rules import bonuses, ever_in_force, in_force
from tests.model.spending import release
from tests.model.tiers import end_override, end_tier

#: The order of what falls due at one instant.
ORDER = (
    "HOLD_LAPSE",
    "ACTIVATION",
    "EXPIRY",
    "INACTIVITY",
    "OVERRIDE_END",
    "TIER_END",
    "BIRTHDAY",
    "MEMBERSHIP_ANNIVERSARY",
    "INACTIVE_DAYS",
    "WARNING",
)
#: What passes over whoever has nothing at that moment, and does not come back.
PASSING = ("INACTIVITY", "WARNING")
#: Statuses in which dated bonuses are not given.
READ_ONLY = ("SUSPENDED", "CLOSED")

Happening = tuple[datetime, str, Any]


def live_all(program: Program) -> None:
    for member in program["members"].values():
        live(program, member, now(program))


def live(program: Program, member: Member, until: datetime) -> None:
    """Everything that has fallen due by an instant, one after the other."""
    # As long as nothing is written or published, what has been looked at need not be again.
    looked = (until, len(member["journal"]), len(program["versions"]))
    if member["looked"] == looked:
        return
    year = local_day(until, program["zone"]).year
    while due := [h for h in happenings(program, member, year) if h[0] <= until]:
        first = min(due, key=_when)
        program["time_writes"] = max(first[0], member["lived"])
        _happen(program, member, *first)
        program["time_writes"] = None
        member["seen"] = max(member["seen"], _when(first))
    member["lived"] = max(member["lived"], until)
    member["seen"] = max(member["seen"], (until, len(ORDER)))
    member["looked"] = (until, len(member["journal"]), len(program["versions"]))


def happenings(program: Program, member: Member, last_year: int) -> Iterator[Happening]:
    """All that time still has to do: (when, what, about what). Birthdays and the like are looked
    for up to the end of a year."""
    for hold in member["holds"]:
        if hold["state"] == "OPEN":
            yield hold["expires"], "HOLD_LAPSE", hold
    for parcel in soonest(member, PENDING):
        yield parcel["activates"], "ACTIVATION", None
    for parcel in soonest(member, AVAILABLE):
        date = ends(parcel)
        if date is not None:
            # What came when its date had passed expires at once.
            yield max(date, parcel["since"]), "EXPIRY", None
    tier = member["tier"]
    if tier is not None and tier["override_until"] is not None:
        yield tier["override_until"], "OVERRIDE_END", None
    if tier is not None and tier["grace_until"] is not None:
        yield tier["grace_until"], "TIER_END", None
    yield from _dated(program, member, last_year)
    fading = inactivity(program, member)
    if fading is not None:
        yield fading, "INACTIVITY", None
    for instant, warning in warnings(program, member):
        yield instant, "WARNING", warning


def _when(happening: Happening) -> tuple[datetime, int]:
    return happening[0], ORDER.index(happening[1])


def _happen(program: Program, member: Member, instant: datetime, what: str, about: Any) -> None:
    version = in_force(program, instant)
    if what == "HOLD_LAPSE":
        release(program, member, about, "LAPSED", instant)
    elif what == "ACTIVATION":
        ready = [p for p in soonest(member, PENDING) if p["activates"] == instant]
        moves = put(program, ready, AVAILABLE, instant)
        entry(program, member, what, total(ready), instant, version, moves)
    elif what == "EXPIRY":
        there = [(p, ends(p)) for p in soonest(member, AVAILABLE)]
        over = [p for p, date in there if date and max(date, p["since"]) == instant]
        moves = put(program, over, EXPIRED, instant)
        entry(program, member, what, -total(over), instant, version, moves)
    elif what == "INACTIVITY":
        over = soonest(member, AVAILABLE)
        moves = put(program, over, EXPIRED, instant)
        member["fadings"].append(instant)
        more = {"inactivity": True}
        entry(program, member, "EXPIRY", -total(over), instant, version, moves, **more)
    elif what == "OVERRIDE_END":
        end_override(program, member, instant)
    elif what == "TIER_END":
        end_tier(program, member, instant)
    elif what == "WARNING":
        due = [w for when, w in warnings(program, member) if when == instant]
        for about, points in due:
            member["warnings"].setdefault(about, points)
    else:
        bonus, day = about
        member["dated"].add((bonus["id"], day))
        give(program, member, bonus, bonus["points"], instant, version)


# -- for want of activity -------------------------------------------------------------------------


def inactivity(program: Program, member: Member) -> datetime | None:
    """When the available balance next expires because nothing was bought or redeemed; what is held
    then does so when it comes back."""
    fading = _fading(program, member)
    return None if fading is None else fading[0]


def _fading(program: Program, member: Member) -> tuple[datetime, datetime] | None:
    """When the balance expires for want of activity, and since when that rule is in force."""
    if not soonest(member, AVAILABLE) and not soonest(member, HELD):
        return None
    zone = program["zone"]
    active = max(local_day(at, zone) for at in [*member["active"], *member["fadings"]])
    found = []
    for version in ever_in_force(program["versions"]):
        months = (version["rules"].get("expiry") or {}).get("inactivity_months")
        if months is None:
            continue
        since = _inactive_since(program, version)
        began = active if since is None else max(active, local_day(since, zone))
        instant = months_end(began, months, zone)
        # One at which there was nothing passes; what comes after it has until the next.
        while (instant, ORDER.index("INACTIVITY")) <= member["seen"] or (
            instant < version["from"] and version["version"] > 1
        ):
            instant = months_end(local_day(instant, zone), months, zone)
        if in_force(program, instant) is version:
            found.append((instant, since or program["versions"][0]["from"]))
    return min(found, default=None)


def _inactive_since(program: Program, version: dict[str, Any]) -> datetime | None:
    """Since when there is a version's rule of inactivity; None: always."""
    months = version["rules"]["expiry"]["inactivity_months"]
    earlier = ever_in_force(program["versions"][: version["version"]])
    without = [
        each["version"]
        for each in earlier
        if (each["rules"].get("expiry") or {}).get("inactivity_months") != months
    ]
    if not without:
        return None
    since: datetime = next(v["from"] for v in earlier if v["version"] > max(without))
    return since


def warnings(program: Program, member: Member) -> Iterator[tuple[datetime, Any]]:
    """What is to be warned of, as things stand: when, and ((when points expire, days ahead, whether
    for want of activity), how many)."""
    there = soonest(member, AVAILABLE)
    found: dict[Any, int] = {}
    for parcel in there:
        if ends(parcel) is not None:
            found[ends(parcel), False] = found.get((ends(parcel), False), 0) + parcel["points"]
    fading = _fading(program, member)
    if fading is not None and there:
        found[fading[0], True] = total(there)
    for version in ever_in_force(program["versions"]):
        for days in (version["rules"].get("expiry") or {}).get("warn_days", []):
            for (over, idle), points in found.items():
                day = local_day(over, program["zone"]) - timedelta(days)
                instant = day_start(day, program["zone"])
                # Nobody is warned of a rule before it is in force.
                known = not idle or (fading is not None and instant >= fading[1])
                if (
                    known
                    and in_force(program, instant) is version
                    and (instant, ORDER.index("WARNING")) > member["seen"]
                ):
                    yield instant, ((over, days, idle), points)


# -- dated bonuses --------------------------------------------------------------------------------


def _dated(program: Program, member: Member, last_year: int) -> Iterator[Happening]:
    joined = local_day(member["enrolled"], program["zone"])
    years = range(joined.year, last_year + 1)
    bought = [p["day"] for p in member["purchases"]]
    active = max([joined, *bought])
    for version in ever_in_force(program["versions"]):
        for bonus in version["rules"].get("bonuses", []):
            occasions: list[date] = []
            if bonus["on"] == "BIRTHDAY" and member["birthday"]:
                born = member["birthday"]
                # A leap year, so that there is a 29 February to be born on.
                birth = date(2000, born["month"], born["day"])
                occasions = [anniversary(birth, year) for year in years]
            elif bonus["on"] == "MEMBERSHIP_ANNIVERSARY":
                occasions = [anniversary(joined, year) for year in years]
            elif bonus["on"] == "INACTIVE_DAYS":
                since = max(active, _known_since(program, version, bonus))
                since += timedelta(bonus["n"])
                given = [on for name, on in member["dated"] if name == bonus["id"]]
                # Once for each time that somebody stays away.
                occasions = [] if max(given, default=date.min) > active else [since]
            for day in occasions:
                instant = day_start(day, program["zone"])
                if (
                    instant > member["enrolled"]
                    and in_force(program, instant) is version
                    and (bonus["id"], day) not in member["dated"]
                    and _may_have(member, instant)
                ):
                    yield instant, bonus["on"], (bonus, day)


def _may_have(member: Member, instant: datetime) -> bool:
    """Whether a dated bonus of an instant is given. What a suspension passes over is lost, and so
    is what is told of from before, once it is over."""
    statuses = [(member["enrolled"], "ACTIVE"), *member["statuses"]]
    over = [
        since
        for (_, before), (since, after) in pairwise(statuses)
        if before in READ_ONLY and after not in READ_ONLY
    ]
    return statuses[-1][1] not in READ_ONLY and all(instant > since for since in over)


def _known_since(program: Program, version: dict[str, Any], bonus: dict[str, Any]) -> date:
    """The day of the version that brought a rule of inactivity; long ago for the first one."""
    brought = date.min
    for earlier in ever_in_force(program["versions"][: version["version"]]):
        known = [(b["id"], b["n"]) for b in bonuses(earlier["rules"], "INACTIVE_DAYS")]
        if (bonus["id"], bonus["n"]) not in known:
            brought = date.max
        elif brought == date.max:
            brought = local_day(earlier["from"], program["zone"])
    return brought
