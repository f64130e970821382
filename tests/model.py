"""An independent model of the ledger: what it should answer, in plain dicts.

Written to be compared with the ledger, so it shares nothing with it: it imports nothing of the
package, keeps no running balance and folds nothing. All it knows of a member is a flat list of
grants (points, when they were recorded, from when on they can be spent, until when they live), and
a balance at an instant is a sum over that list. Instants are aware datetimes, amounts of money are
decimal strings ("12.99"), arithmetic is done in fractions; requests and rules are dicts with the
field names of the API.

Every write answers ("ok", {...}) or ("refused", reason). Requests are taken to be well formed:
what is INVALID_ARGUMENT is not the model's matter. Time is injected: a sandbox has its clock, and
for all other programs the caller sets `wall_time`, which must not go back.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

#: ("ok", what was done) or ("refused", the reason).
Outcome = tuple[str, Any]

#: How far ahead of now an effective_time may be; it then counts as now.
TOLERANCE = timedelta(minutes=5)

DEFAULT_BACKDATE_DAYS = 30

#: Refusals that stay the answer of their request_id for ever, when the member is enrolled.
REMEMBERED = ("PURCHASE_ALREADY_RECORDED", "EFFECTIVE_TIME_OUT_OF_RANGE")


class Model:
    """All programs and members, with the methods of the API that change or show them."""

    def __init__(self, wall_time: datetime) -> None:
        #: The present in programs that are no sandbox.
        self.wall_time = wall_time
        self.programs: dict[str, dict[str, Any]] = {}

    # -- programs --------------------------------------------------------------------------------

    def create_program(self, program: dict[str, Any], rules: dict[str, Any]) -> Outcome:
        """Refuses: PROGRAM_ALREADY_EXISTS. `program` needs program_id, currency and time_zone."""
        if program["program_id"] in self.programs:
            return "refused", "PROGRAM_ALREADY_EXISTS"
        sandbox = program.get("sandbox", False)
        clock = program.get("clock_time") or self.wall_time
        self.programs[program["program_id"]] = {
            "zone": ZoneInfo(program["time_zone"]),
            "clock_time": clock if sandbox else None,
            "versions": [
                {"version": 1, "from": clock if sandbox else self.wall_time, "rules": rules}
            ],
            "members": {},
            "purchases": {},
        }
        return "ok", {"version": 1}

    def publish_rules(
        self,
        program_id: str,
        rules: dict[str, Any],
        effective_time: datetime | None = None,
        expected_version: int | None = None,
    ) -> Outcome:
        """Refuses, in this order: PROGRAM_NOT_FOUND, EFFECTIVE_TIME_OUT_OF_RANGE, VERSION_MISMATCH.

        In a program that is no sandbox the ledger wants a few seconds of notice, which the model
        does not know of: give such a program an effective_time well ahead of `wall_time`.
        """
        program = self.programs.get(program_id)
        if program is None:
            return "refused", "PROGRAM_NOT_FOUND"
        latest = program["versions"][-1]
        earliest = max(self._now(program), latest["from"])
        if effective_time is not None and effective_time < earliest:
            return "refused", "EFFECTIVE_TIME_OUT_OF_RANGE"
        if expected_version not in (None, latest["version"]):
            return "refused", "VERSION_MISMATCH"
        version = latest["version"] + 1
        program["versions"].append(
            {"version": version, "from": effective_time or earliest, "rules": rules}
        )
        return "ok", {"version": version}

    def advance_clock(self, program_id: str, clock_time: datetime) -> Outcome:
        """Refuses: PROGRAM_NOT_FOUND, NOT_A_SANDBOX, EFFECTIVE_TIME_OUT_OF_RANGE (backwards)."""
        program = self.programs.get(program_id)
        if program is None:
            return "refused", "PROGRAM_NOT_FOUND"
        if program["clock_time"] is None:
            return "refused", "NOT_A_SANDBOX"
        if clock_time < program["clock_time"]:
            return "refused", "EFFECTIVE_TIME_OUT_OF_RANGE"
        program["clock_time"] = clock_time
        return "ok", {"clock_time": clock_time}

    # -- writes ----------------------------------------------------------------------------------

    def enroll(self, request: dict[str, Any]) -> Outcome:
        """EnrollMember with a member_id. Refuses, in this order: PROGRAM_NOT_FOUND,
        REQUEST_ID_REUSED, MEMBER_ALREADY_ENROLLED, EFFECTIVE_TIME_OUT_OF_RANGE."""
        return self._once("enroll", request)

    def record_purchase(self, request: dict[str, Any]) -> Outcome:
        """RecordPurchase. Refuses, in this order: PROGRAM_NOT_FOUND, REQUEST_ID_REUSED,
        MEMBER_NOT_FOUND, PURCHASE_ALREADY_RECORDED, EFFECTIVE_TIME_OUT_OF_RANGE."""
        return self._once("purchase", request)

    def preview_purchase(self, request: dict[str, Any]) -> Outcome:
        """What `record_purchase` would say of the points, and nothing changes."""
        program = self.programs.get(request["program_id"])
        if program is None:
            return "refused", "PROGRAM_NOT_FOUND"
        refusal, effective, version = self._admit("purchase", program, request)
        if refusal:
            return "refused", refusal
        points, breakdown = self._earn(program, request, effective, version)
        return "ok", {"points": points, "breakdown": breakdown}

    def _once(self, command: str, request: dict[str, Any]) -> Outcome:
        """One outcome per request_id of a member, whatever is sent how often."""
        program = self.programs.get(request["program_id"])
        if program is None:
            return "refused", "PROGRAM_NOT_FOUND"
        content = (command, _content(request))
        member = program["members"].get(request["member_id"])
        if member is not None and request["request_id"] in member["outcomes"]:
            first_content, first = member["outcomes"][request["request_id"]]
            if content != first_content:
                return "refused", "REQUEST_ID_REUSED"
            if first[0] == "refused":
                return "refused", first[1]
            return "ok", {**first[1], "replayed": True}
        refusal, effective, version = self._admit(command, program, request)
        if refusal:
            outcome: Outcome = ("refused", refusal)
            if member is not None and refusal in REMEMBERED:
                member["outcomes"][request["request_id"]] = (content, outcome)
            return outcome
        entries: list[dict[str, Any]] = []
        if member is None:
            entries += self._join(program, request["member_id"], effective, version)
        if command == "purchase":
            entries.append(self._buy(program, request, effective, version))
        member = program["members"][request["member_id"]]
        member["journal"] += entries
        balance = self.balance(request["program_id"], request["member_id"])[1]
        done = {"entries": entries, "balance": balance, "replayed": False}
        member["outcomes"][request["request_id"]] = (content, ("ok", done))
        return "ok", done

    def _admit(
        self, command: str, program: dict[str, Any], request: dict[str, Any]
    ) -> tuple[str | None, datetime, dict[str, Any]]:
        """The reason to refuse, if any; when it counts as having happened; the rules version."""
        now = self._now(program)
        effective = request.get("effective_time") or now
        if now < effective <= now + TOLERANCE:
            effective = now
        version = _in_force(program["versions"], effective)
        rules = version["rules"]
        enrolled = request["member_id"] in program["members"]
        if command == "enroll" and enrolled:
            return "MEMBER_ALREADY_ENROLLED", effective, version
        if command == "purchase":
            if not enrolled and not rules.get("members", {}).get("auto_enroll", False):
                return "MEMBER_NOT_FOUND", effective, version
            if request.get("purchase_id") in program["purchases"]:
                return "PURCHASE_ALREADY_RECORDED", effective, version
        days = rules["earning"].get("backdate_days", DEFAULT_BACKDATE_DAYS)
        earliest = day_start(local_day(now, program["zone"]) - timedelta(days), program["zone"])
        if not earliest <= effective <= now:
            return "EFFECTIVE_TIME_OUT_OF_RANGE", effective, version
        return None, effective, version

    def _join(
        self,
        program: dict[str, Any],
        member_id: str,
        effective: datetime,
        version: dict[str, Any],
    ) -> list[dict[str, Any]]:
        zone, day = program["zone"], local_day(effective, program["zone"])
        program["members"][member_id] = {
            "grants": [],
            "journal": [],
            "outcomes": {},
            # Points that purchases earned, by local day.
            "earned": defaultdict(int),
        }
        entries = [self._entry(program, "ENROLLED", 0, effective, version)]
        for bonus in version["rules"].get("bonuses", []):
            if bonus["on"] != "ENROLLMENT":
                continue
            expires: datetime | None
            if bonus.get("expires_days") is not None:
                expires = day_start(day + timedelta(bonus["expires_days"] + 1), zone)
            else:
                expires = _months_end(day, version["rules"], zone)
            self._grant(program, member_id, bonus["points"], effective, effective, expires)
            entry = self._entry(program, "BONUS", bonus["points"], effective, version)
            entry["breakdown"] = [(f"bonus:{bonus['id']}", bonus["points"])]
            entries.append(entry)
        return entries

    def _buy(
        self,
        program: dict[str, Any],
        request: dict[str, Any],
        effective: datetime,
        version: dict[str, Any],
    ) -> dict[str, Any]:
        zone, day = program["zone"], local_day(effective, program["zone"])
        points, breakdown = self._earn(program, request, effective, version)
        pending_days = version["rules"]["earning"].get("pending_days", 0)
        activates = day_start(day + timedelta(pending_days), zone) if pending_days else effective
        expires = _months_end(day, version["rules"], zone)
        self._grant(program, request["member_id"], points, effective, activates, expires)
        program["members"][request["member_id"]]["earned"][day] += points
        program["purchases"][request["purchase_id"]] = request["member_id"]
        entry = self._entry(program, "PURCHASE", points, effective, version)
        return {**entry, "purchase_id": request["purchase_id"], "breakdown": breakdown}

    def _earn(
        self,
        program: dict[str, Any],
        request: dict[str, Any],
        effective: datetime,
        version: dict[str, Any],
    ) -> tuple[int, list[tuple[str, int]]]:
        """The points of a purchase, and the lines (rule, points) that add up to them."""
        earning = version["rules"]["earning"]
        rate = Fraction(earning["rate"]["points"]) / Fraction(earning["rate"]["per"])
        exact = eligible_amount(request, earning.get("exclude_categories", [])) * rate
        lines = [("base", rounded(exact, earning.get("rounding", "FLOOR")))]
        member = program["members"].get(request["member_id"])
        today = member["earned"].get(local_day(effective, program["zone"]), 0) if member else 0
        caps = earning.get("caps") or {}
        for name, used in (("per_purchase", 0), ("per_day", today)):
            if caps.get(name) is None:
                continue
            so_far = sum(points for _, points in lines)
            excess = so_far - max(caps[name] - used, 0)
            if excess > 0:
                lines.append((f"cap:{name}", -excess))
        return sum(points for _, points in lines), lines

    def _grant(
        self,
        program: dict[str, Any],
        member_id: str,
        points: int,
        effective: datetime,
        activates: datetime,
        expires: datetime | None,
    ) -> None:
        program["members"][member_id]["grants"].append(
            {
                "points": points,
                "recorded": self._now(program),
                "effective": effective,
                "activates": activates,
                # Points that outlive their date while they are pending expire when they activate.
                "expires": None if expires is None else max(expires, activates),
            }
        )

    def _entry(
        self,
        program: dict[str, Any],
        kind: str,
        points: int,
        effective: datetime,
        version: dict[str, Any],
    ) -> dict[str, Any]:
        return {
            "kind": kind,
            "points": points,
            "effective_time": effective,
            "create_time": self._now(program),
            "rules_version": version["version"],
        }

    # -- reads -----------------------------------------------------------------------------------

    def balance(self, program_id: str, member_id: str, as_of: datetime | None = None) -> Outcome:
        """Points at an instant, by default now. Refuses: PROGRAM_NOT_FOUND, MEMBER_NOT_FOUND.

        In the past it is what the ledger would have answered then: what was recorded later,
        however far it was backdated, is not in it.
        """
        program = self.programs.get(program_id)
        if program is None:
            return "refused", "PROGRAM_NOT_FOUND"
        if member_id not in program["members"]:
            return "refused", "MEMBER_NOT_FOUND"
        at = as_of or self._now(program)
        known = [g for g in program["members"][member_id]["grants"] if g["recorded"] <= at]
        spendable = [g for g in known if g["activates"] <= at and not _is_over(g, at)]
        soonest = min(
            (g["expires"] for g in spendable if g["expires"] and g["points"]), default=None
        )
        return "ok", {
            "available": _points(spendable),
            "pending": _points(g for g in known if g["activates"] > at),
            "expired": _points(g for g in known if _is_over(g, at)),
            "lifetime": _points(known),
            "next_expiry": soonest
            and (soonest, _points(g for g in spendable if g["expires"] == soonest)),
        }

    def journal(self, program_id: str, member_id: str) -> list[dict[str, Any]]:
        """The entries that requests posted, in order; those caused by time are in `movements`."""
        entries: list[dict[str, Any]] = self.programs[program_id]["members"][member_id]["journal"]
        return entries

    def movements(
        self, program_id: str, member_id: str, as_of: datetime | None = None
    ) -> dict[tuple[str, datetime], int]:
        """What time has done by an instant: points by ("ACTIVATION" or "EXPIRY", when it was due).

        Expired points are negative. Several entries of one kind and effective_time in the ledger
        (a backdated purchase may add one to an instant long past) are one sum here.
        """
        program = self.programs[program_id]
        at = as_of or self._now(program)
        sums: dict[tuple[str, datetime], int] = defaultdict(int)
        for grant in program["members"][member_id]["grants"]:
            if not grant["points"] or grant["recorded"] > at:
                continue
            if grant["effective"] < grant["activates"] <= at:
                sums["ACTIVATION", grant["activates"]] += grant["points"]
            if _is_over(grant, at):
                sums["EXPIRY", grant["expires"]] -= grant["points"]
        return dict(sums)

    def totals(self, program_id: str, as_of: datetime | None = None) -> dict[str, int]:
        """Members of the program, and the sums of their available, pending, expired and lifetime
        points."""
        members = self.programs[program_id]["members"]
        balances = [self.balance(program_id, member_id, as_of)[1] for member_id in members]
        names = ("available", "pending", "expired", "lifetime")
        sums = {name: sum(balance[name] for balance in balances) for name in names}
        return {"members": len(members), **sums}

    def _now(self, program: dict[str, Any]) -> datetime:
        now: datetime = program["clock_time"] or self.wall_time
        return now


# -- money --------------------------------------------------------------------------------------


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


# -- local days ---------------------------------------------------------------------------------


def local_day(instant: datetime, zone: ZoneInfo) -> date:
    """The date at which clocks of the zone stand."""
    return instant.astimezone(zone).date()


@lru_cache(maxsize=100_000)
def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day: midnight, or when the clock jumps over midnight, later.

    Found by search, so that nothing need be known of the zone's rules: the first second at which
    the local date is the day, or after it.
    """
    utc = ZoneInfo("UTC")
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=utc)
    # No zone is more than 15 hours from UTC, but one that moved across the date line skipped a day.
    before, after = noon - timedelta(hours=60), noon + timedelta(hours=60)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if local_day(middle, zone) >= day:
            after = middle
        else:
            before = middle
    return after


def _months_end(day: date, rules: dict[str, Any], zone: ZoneInfo) -> datetime | None:
    """The end of the local month that lies `expiry.after_months` after the day's; None: never."""
    months = (rules.get("expiry") or {}).get("after_months")
    if months is None:
        return None
    following = day.year * 12 + (day.month - 1) + months + 1
    return day_start(date(following // 12, following % 12 + 1, 1), zone)


# -- plumbing -----------------------------------------------------------------------------------


def _in_force(versions: list[dict[str, Any]], instant: datetime) -> dict[str, Any]:
    """The last version that had begun; before all of them, the first."""
    begun = [version for version in versions if version["from"] <= instant]
    return begun[-1] if begun else versions[0]


def _is_over(grant: dict[str, Any], at: datetime) -> bool:
    return grant["expires"] is not None and grant["expires"] <= at


def _points(grants: Iterable[dict[str, Any]]) -> int:
    return sum(grant["points"] for grant in grants)


def _content(request: dict[str, Any]) -> Any:
    """What makes two requests the same: all fields but those left at their defaults."""
    if isinstance(request, dict):
        return {
            name: Fraction(value) if name == "amount" else _content(value)
            for name, value in request.items()
            if value not in (None, "", [], 0)
        }
    return [_content(line) for line in request] if isinstance(request, list) else request
