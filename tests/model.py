"""An independent model of the ledger: what it should answer, in plain dicts.

Written to be compared with the ledger, so it shares nothing with it: it imports nothing of the
package, keeps no running balance and no counters. All it knows of a member are flat lists: grants
(points, when they were recorded, from when on they can be spent, until when they live), purchases
and activities. A balance is a sum over the grants, visits and spend are counted from all purchases
each time somebody asks, and what time does is found by looking at everything it could ever do.
Instants are aware datetimes, days are dates, amounts of money are decimal strings ("12.99"),
arithmetic is done in fractions; requests and rules are dicts with the field names of the API.

Every write answers ("ok", {...}) or ("refused", reason). Requests are taken to be well formed:
what is INVALID_ARGUMENT is the model's matter only where it depends on the rules or the member.
Time is injected: a sandbox has its clock, and for all other programs the caller sets `wall_time`,
which must not go back.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from copy import deepcopy
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
DEFAULT_KEEP_MONTHS = 12

#: Refusals that stay the answer of their request_id for ever, when the member is enrolled.
REMEMBERED = ("PURCHASE_ALREADY_RECORDED", "EFFECTIVE_TIME_OUT_OF_RANGE")

#: The order of what falls due at one instant.
ORDER = (
    "ACTIVATION",
    "EXPIRY",
    "OVERRIDE_END",
    "TIER_END",
    "BIRTHDAY",
    "MEMBERSHIP_ANNIVERSARY",
    "INACTIVE_DAYS",
)
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


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
            # Points that each promotion has given, over all members.
            "given": Counter(),
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
        self._live_all(program)
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
        REQUEST_ID_REUSED, MEMBER_ALREADY_ENROLLED, INVALID_FIELD (referred by oneself),
        MEMBER_NOT_FOUND (the referrer), EFFECTIVE_TIME_OUT_OF_RANGE."""
        return self._once("enroll", request)

    def record_purchase(self, request: dict[str, Any]) -> Outcome:
        """RecordPurchase. Refuses, in this order: PROGRAM_NOT_FOUND, REQUEST_ID_REUSED,
        MEMBER_NOT_FOUND, PURCHASE_ALREADY_RECORDED, EFFECTIVE_TIME_OUT_OF_RANGE."""
        return self._once("purchase", request)

    def record_activity(self, request: dict[str, Any]) -> Outcome:
        """RecordActivity. Refuses, in this order: PROGRAM_NOT_FOUND, REQUEST_ID_REUSED,
        MEMBER_NOT_FOUND, EFFECTIVE_TIME_OUT_OF_RANGE, INVALID_FIELD (an activity no bonus
        names)."""
        return self._once("activity", request)

    def override_tier(self, request: dict[str, Any]) -> Outcome:
        """OverrideTier. Refuses, in this order: PROGRAM_NOT_FOUND, REQUEST_ID_REUSED,
        MEMBER_NOT_FOUND, INVALID_FIELD (a tier that is unknown or below the one held, an end that
        has come)."""
        return self._once("override", request)

    def preview_purchase(self, request: dict[str, Any]) -> Outcome:
        """What `record_purchase` would say of the points, and nothing changes."""
        program = self.programs.get(request["program_id"])
        if program is None:
            return "refused", "PROGRAM_NOT_FOUND"
        self._live_all(program)
        refusal, effective, version = self._admit("purchase", program, request)
        if refusal:
            return "refused", refusal
        parts = self._earn(program, request, effective, version)["parts"]
        return "ok", {
            "points": sum(part["points"] for part in parts),
            "breakdown": [(part["rule"], part["points"]) for part in parts],
        }

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
        self._live_all(program)
        refusal, effective, version = self._admit(command, program, request)
        if refusal:
            outcome: Outcome = ("refused", refusal)
            if member is not None and refusal in REMEMBERED:
                member["outcomes"][request["request_id"]] = (content, outcome)
            return outcome
        before = len(member["journal"]) if member is not None else 0
        if member is None:
            self._join(program, request, effective, version)
        member = program["members"][request["member_id"]]
        if command == "purchase":
            self._buy(program, member, request, effective, version)
        elif command == "activity":
            self._do(program, member, request, effective, version)
        elif command == "override":
            self._override(program, member, request)
        entries = member["journal"][before:]
        self._live_all(program)
        balance = self.balance(request["program_id"], request["member_id"])[1]
        status = self.tier_status(request["program_id"], request["member_id"])
        done = {"entries": entries, "balance": balance, "tier": status, "replayed": False}
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
        refusal = self._why_not(command, program, request, version)
        if refusal:
            return refusal, effective, version
        days = version["rules"]["earning"].get("backdate_days", DEFAULT_BACKDATE_DAYS)
        earliest = day_start(local_day(now, program["zone"]) - timedelta(days), program["zone"])
        if not earliest <= effective <= now:
            return "EFFECTIVE_TIME_OUT_OF_RANGE", effective, version
        if command == "activity" and not any(
            bonus["activity"] == request["activity"]
            for bonus in _bonuses(version["rules"], "ACTIVITY")
        ):
            return "INVALID_FIELD", effective, version
        return None, effective, version

    def _why_not(
        self,
        command: str,
        program: dict[str, Any],
        request: dict[str, Any],
        version: dict[str, Any],
    ) -> str | None:
        rules = version["rules"]
        member = program["members"].get(request["member_id"])
        if command == "enroll":
            referrer = request.get("referrer_member_id")
            if member is not None:
                return "MEMBER_ALREADY_ENROLLED"
            if referrer == request["member_id"]:
                return "INVALID_FIELD"
            return "MEMBER_NOT_FOUND" if referrer and referrer not in program["members"] else None
        if member is None and not (
            command == "purchase" and rules.get("members", {}).get("auto_enroll", False)
        ):
            return "MEMBER_NOT_FOUND"
        if command == "purchase" and request.get("purchase_id") in program["purchases"]:
            return "PURCHASE_ALREADY_RECORDED"
        if command == "override":
            assert member is not None
            levels = _levels(rules)
            if request["tier_id"] not in levels or request["until_time"] <= self._now(program):
                return "INVALID_FIELD"
            if levels.index(request["tier_id"]) < _rank(rules, _held(member)):
                return "INVALID_FIELD"
        return None

    def _join(
        self,
        program: dict[str, Any],
        request: dict[str, Any],
        effective: datetime,
        version: dict[str, Any],
    ) -> None:
        member: dict[str, Any] = {
            "enrolled": effective,
            "birthday": request.get("birthday"),
            "referrer": request.get("referrer_member_id"),
            "grants": [],
            "journal": [],
            "outcomes": {},
            "purchases": [],
            "activities": [],
            # (level, day) of entry bonuses; (bonus, day) of dated ones.
            "entered": [],
            "dated": set(),
            "tier": None,
            # Up to when time has been lived; what comes of it later was recorded then.
            "lived": self._now(program),
        }
        program["members"][request["member_id"]] = member
        self._give_first_tier(program, member)
        self._entry(program, member, "ENROLLED", 0, effective, version)
        for bonus in _bonuses(version["rules"], "ENROLLMENT"):
            self._give(program, member, bonus, bonus["points"], effective, version)

    def _buy(
        self,
        program: dict[str, Any],
        member: dict[str, Any],
        request: dict[str, Any],
        effective: datetime,
        version: dict[str, Any],
    ) -> None:
        zone, day = program["zone"], local_day(effective, program["zone"])
        earned = self._earn(program, request, effective, version)
        pending_days = version["rules"]["earning"].get("pending_days", 0)
        activates = day_start(day + timedelta(pending_days), zone) if pending_days else effective
        for points, expires_days in _lots(earned["parts"]):
            expires = _expires(day, expires_days, version["rules"], zone)
            self._grant(program, member, points, effective, activates, expires)
        first_visit = earned["qualifies"] and not any(p["qualifies"] for p in member["purchases"])
        points = sum(part["points"] for part in earned["parts"])
        promotions = {
            part["rule"].removeprefix("promotion:"): part["points"]
            for part in earned["parts"]
            if part["rule"].startswith("promotion:")
        }
        program["given"].update(promotions)
        member["purchases"].append(
            {
                "day": day,
                "eligible": earned["eligible"],
                "qualifies": earned["qualifies"],
                "visit": earned["visit"],
                "points": points,
                "promotions": set(promotions),
            }
        )
        program["purchases"][request["purchase_id"]] = request["member_id"]
        self._give_first_tier(program, member)
        entry = self._entry(program, member, "PURCHASE", points, effective, version)
        entry["purchase_id"] = request["purchase_id"]
        entry["breakdown"] = [(part["rule"], part["points"]) for part in earned["parts"]]
        if earned["eligible"] > 0:
            self._judge(program, member)
        if first_visit and member["referrer"]:
            self._thank_referrer(program, member, effective, version)

    def _do(
        self,
        program: dict[str, Any],
        member: dict[str, Any],
        request: dict[str, Any],
        effective: datetime,
        version: dict[str, Any],
    ) -> None:
        """An activity: it is given all bonuses that have room, or recorded for nothing."""
        day = local_day(effective, program["zone"])
        lines = []
        for bonus in _bonuses(version["rules"], "ACTIVITY"):
            if bonus["activity"] != request["activity"]:
                continue
            days = [done for bonus_id, done in member["activities"] if bonus_id == bonus["id"]]
            if not _has_room(bonus.get("per_member"), days, day):
                continue
            expires = _expires(day, bonus.get("expires_days"), version["rules"], program["zone"])
            self._grant(program, member, bonus["points"], effective, effective, expires)
            lines.append((f"bonus:{bonus['id']}", bonus["points"]))
        member["activities"] += [(rule.removeprefix("bonus:"), day) for rule, _ in lines]
        points = sum(points for _, points in lines)
        self._give_first_tier(program, member)
        entry = self._entry(program, member, "ACTIVITY", points, effective, version)
        entry["activity"] = request["activity"]
        if lines:
            entry["breakdown"] = lines

    def _override(
        self, program: dict[str, Any], member: dict[str, Any], request: dict[str, Any]
    ) -> None:
        now = self._now(program)
        version = _in_force(program["versions"], now)
        self._give_first_tier(program, member)
        held = _held(member)
        member["tier"] = {
            **member["tier"],
            "override": request["tier_id"],
            "override_until": request["until_time"],
        }
        if _held(member) != held:
            member["tier"]["since"] = now
        self._entry(program, member, "TIER_CHANGE", 0, now, version)["reason"] = "OVERRIDDEN"

    def _thank_referrer(
        self,
        program: dict[str, Any],
        member: dict[str, Any],
        effective: datetime,
        version: dict[str, Any],
    ) -> None:
        referrer = program["members"][member["referrer"]]
        for bonus in _bonuses(version["rules"], "REFERRAL"):
            if bonus.get("referee_points"):
                self._give(program, member, bonus, bonus["referee_points"], effective, version)
            self._give(program, referrer, bonus, bonus["points"], effective, version)

    # -- what a purchase earns -------------------------------------------------------------------

    def _earn(
        self,
        program: dict[str, Any],
        request: dict[str, Any],
        effective: datetime,
        version: dict[str, Any],
    ) -> dict[str, Any]:
        """What a purchase is: eligible, whether it qualifies and is a visit, and `parts`: dicts of
        rule, points and expires_days, that add up to its points."""
        rules = version["rules"]
        member = program["members"].get(request["member_id"])
        day = local_day(effective, program["zone"])
        eligible = eligible_amount(request, rules["earning"].get("exclude_categories", []))
        visits = rules.get("visits") or {}
        qualifies = eligible > 0 and eligible >= Fraction(visits.get("minimum", "0"))
        bought = member["purchases"] if member else []
        that_day = sum(p["qualifies"] for p in bought if p["day"] == day)
        visit = qualifies and that_day < visits.get("per_day", 1)

        parts = self._earn_rate(program, request, effective, version)
        for bonus in _bonuses(rules, "PURCHASE_OVER"):
            if eligible >= Fraction(bonus["amount"]):
                parts.append(_bonus_part(bonus))
        number = sum(p["visit"] for p in bought) + 1
        for bonus in _bonuses(rules, "EVERY_NTH_VISIT"):
            if visit and number % bonus["n"] == 0:
                parts.append(_bonus_part(bonus))
        today = sum(p["points"] for p in bought if p["day"] == day)
        caps = rules["earning"].get("caps") or {}
        for name, used in (("per_purchase", 0), ("per_day", today)):
            if caps.get(name) is None:
                continue
            excess = sum(part["points"] for part in parts) - max(caps[name] - used, 0)
            if excess > 0:
                parts.append({"rule": f"cap:{name}", "points": -excess, "expires_days": None})
        return {"eligible": eligible, "qualifies": qualifies, "visit": visit, "parts": parts}

    def _earn_rate(
        self,
        program: dict[str, Any],
        request: dict[str, Any],
        effective: datetime,
        version: dict[str, Any],
    ) -> list[dict[str, Any]]:
        """Base, tier and promotions."""
        rules = version["rules"]
        member = program["members"].get(request["member_id"])
        earning = rules["earning"]
        rounding = earning.get("rounding", "FLOOR")
        rate = Fraction(earning["rate"]["points"]) / Fraction(earning["rate"]["per"])
        eligible = eligible_amount(request, earning.get("exclude_categories", []))
        lines = [("base", rounded(eligible * rate, rounding))]
        levels = (rules.get("tiers") or {}).get("levels")
        if levels:
            level = levels[self._rank_then(program, rules, _held(member) if member else "")]
            more = Fraction(level.get("multiplier", "1")) - 1
            lines.append((f"tier:{level['id']}", rounded(eligible * rate * more, rounding)))
        lines += self._promoted(program, request, effective, version)
        return [
            {"rule": rule, "points": points, "expires_days": None}
            for rule, points in lines
            if points or rule == "base"
        ]

    def _rank_then(self, program: dict[str, Any], rules: dict[str, Any], held: str) -> int:
        """The position of the level held now under rules of another time: where they do not know
        it, that of the highest one beneath it that they know."""
        present = _levels(_in_force(program["versions"], self._now(program))["rules"])
        beneath = present[: present.index(held) + 1] if held in present else []
        return max((_rank(rules, level) for level in beneath), default=0)

    def _promoted(
        self,
        program: dict[str, Any],
        request: dict[str, Any],
        effective: datetime,
        version: dict[str, Any],
    ) -> list[tuple[str, int]]:
        rules, earning = version["rules"], version["rules"]["earning"]
        rate = Fraction(earning["rate"]["points"]) / Fraction(earning["rate"]["per"])
        member = program["members"].get(request["member_id"])
        levels = _levels(rules)
        held = _held(member) if member else ""
        tier = levels[self._rank_then(program, rules, held)] if levels else ""
        used = {name for p in (member["purchases"] if member else []) for name in p["promotions"]}
        lines = []
        for promotion in rules.get("promotions", []):
            if not (
                _is_on(promotion, effective.astimezone(program["zone"]))
                and _among(request.get("location_id", ""), promotion.get("locations"))
                and _among(tier, promotion.get("tiers"))
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

    # -- tiers -----------------------------------------------------------------------------------

    def _counted(
        self, program: dict[str, Any], member: dict[str, Any], rules: dict[str, Any], day: date
    ) -> dict[str, Any]:
        """Visits and spend of the period that ends with a day, its first day, and the day on which
        some of it will count no more."""
        start = self._period_start(program, member, rules, day)
        within = [p for p in member["purchases"] if start <= p["day"] <= day and p["eligible"] > 0]
        by_day = Counter(p["day"] for p in within if p["qualifies"])
        per_day = (rules.get("visits") or {}).get("per_day", 1)
        return {
            "start": start,
            "ends": self._period_end(program, member, rules, day, [p["day"] for p in within]),
            "visits": sum(min(number, per_day) for number in by_day.values()),
            "spend": sum((p["eligible"] for p in within), Fraction(0)),
        }

    def _period_end(
        self,
        program: dict[str, Any],
        member: dict[str, Any],
        rules: dict[str, Any],
        day: date,
        within: list[date],
    ) -> date | None:
        """The first day on which some of what counts on a day will count no more."""
        period = rules["tiers"]["period"]
        if "rolling_days" in period:
            return min(within) + timedelta(period["rolling_days"]) if within else None
        if "calendar_year" in period:
            return date(day.year + 1, 1, 1)
        joined = local_day(member["enrolled"], program["zone"])
        return min(a for year in (0, 1) if (a := anniversary(joined, day.year + year)) > day)

    def _period_start(
        self, program: dict[str, Any], member: dict[str, Any], rules: dict[str, Any], day: date
    ) -> date:
        period = rules["tiers"]["period"]
        if "rolling_days" in period:
            return day - timedelta(period["rolling_days"] - 1)
        if "calendar_year" in period:
            return date(day.year, 1, 1)
        joined = local_day(member["enrolled"], program["zone"])
        this_year = anniversary(joined, day.year)
        return this_year if this_year <= day else anniversary(joined, day.year - 1)

    def _qualified(
        self, program: dict[str, Any], member: dict[str, Any], rules: dict[str, Any], day: date
    ) -> int:
        """The position of the highest level whose condition holds."""
        counted = self._counted(program, member, rules, day)
        highest = 0
        for position, level in enumerate(rules["tiers"]["levels"]):
            if _reaches(level, counted):
                highest = position
        return highest

    def _kept(
        self, program: dict[str, Any], rules: dict[str, Any], position: int, day: date
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
        return {
            "valid_until": ends,
            "grace_until": day_start(local_day(ends, zone) + grace, zone),
        }

    def _give_first_tier(self, program: dict[str, Any], member: dict[str, Any]) -> None:
        """Whoever joined before there were tiers gets the lowest when something is recorded."""
        levels = _levels(_in_force(program["versions"], self._now(program))["rules"])
        if levels and member["tier"] is None:
            member["tier"] = _tier(levels[0], member["enrolled"])

    def _judge(self, program: dict[str, Any], member: dict[str, Any]) -> None:
        """After a purchase: a higher level is reached at once, the same one is kept for longer."""
        now = self._now(program)
        version = _in_force(program["versions"], now)
        rules = version["rules"]
        if not rules.get("tiers"):
            return
        day = local_day(now, program["zone"])
        position = self._qualified(program, member, rules, day)
        held = _rank(rules, member["tier"]["level"])
        if position > held:
            self._change_level(program, member, position, now, version, "PROMOTED")
        elif position == held:
            kept = self._kept(program, rules, position, day)
            member["tier"] = {**member["tier"], **_later(member["tier"], kept)}

    def _change_level(
        self,
        program: dict[str, Any],
        member: dict[str, Any],
        position: int,
        instant: datetime,
        version: dict[str, Any],
        reason: str,
    ) -> None:
        """Hold a level from an instant on, with an entry that says so and its entry bonus."""
        rules, before = version["rules"], member["tier"]
        day = local_day(instant, program["zone"])
        kept = self._kept(program, rules, position, day)
        if reason != "LOWERED":
            kept = _later(before, kept)
        level = rules["tiers"]["levels"][position]
        member["tier"] = {**before, **kept, "level": level["id"]}
        if before["override"] and position >= _rank(rules, before["override"]):
            member["tier"].update(override=None, override_until=None)
        if _held(member) != (before["override"] or before["level"]):
            member["tier"]["since"] = instant
        self._entry(program, member, "TIER_CHANGE", 0, instant, version)["reason"] = reason
        start = self._period_start(program, member, rules, day)
        entered = any(known == level["id"] and on >= start for known, on in member["entered"])
        if reason == "PROMOTED" and level.get("entry_bonus") and not entered:
            member["entered"].append((level["id"], day))
            expires = _expires(day, None, rules, program["zone"])
            points = level["entry_bonus"]
            self._grant(program, member, points, instant, instant, expires)
            entry = self._entry(program, member, "BONUS", points, instant, version)
            entry["breakdown"] = [(f"entry:{level['id']}", points)]

    def _end_tier(self, program: dict[str, Any], member: dict[str, Any], instant: datetime) -> None:
        version = _in_force(program["versions"], instant)
        rules = version["rules"]
        held = _rank(rules, member["tier"]["level"])
        day = local_day(instant, program["zone"])
        position = self._qualified(program, member, rules, day)
        if position < held:
            downgrade = rules["tiers"].get("downgrade", "ONE_LEVEL")
            position = {
                "NEVER": held,
                "TO_QUALIFIED": position,
                "ONE_LEVEL": max(held - 1, position),
            }[downgrade]
        reason = "PROMOTED" if position > held else "RENEWED" if position == held else "LOWERED"
        self._change_level(program, member, position, instant, version, reason)

    # -- time ------------------------------------------------------------------------------------

    def _live_all(self, program: dict[str, Any]) -> None:
        for member in program["members"].values():
            self._live(program, member, self._now(program))

    def _live(self, program: dict[str, Any], member: dict[str, Any], until: datetime) -> None:
        """Everything that has fallen due by an instant, one after the other."""
        year = local_day(until, program["zone"]).year
        while due := [h for h in self._happenings(program, member, year) if h[0] <= until]:
            first = min(due, key=lambda each: (each[0], ORDER.index(each[1])))
            entries, grants = len(member["journal"]), len(member["grants"])
            self._happen(program, member, *first)
            recorded = max(first[0], member["lived"])
            for entry in member["journal"][entries:]:
                entry.update(by_time=True, create_time=recorded)
            for grant in member["grants"][grants:]:
                grant["recorded"] = recorded
        member["lived"] = max(member["lived"], until)

    def _happen(
        self,
        program: dict[str, Any],
        member: dict[str, Any],
        instant: datetime,
        what: str,
        given: Any,
    ) -> None:
        version = _in_force(program["versions"], instant)
        if what == "ACTIVATION":
            ready = [g for g in member["grants"] if not g["active"] and g["activates"] == instant]
            for grant in ready:
                grant["active"] = True
            self._entry(program, member, what, _points(ready), instant, version)
        elif what == "EXPIRY":
            over = [g for g in member["grants"] if not g["over"] and g["expires"] == instant]
            for grant in over:
                grant["over"] = True
            self._entry(program, member, what, -_points(over), instant, version)
        elif what == "OVERRIDE_END":
            held = _held(member)
            member["tier"] = {**member["tier"], "override": None, "override_until": None}
            if _held(member) != held:
                member["tier"]["since"] = instant
            entry = self._entry(program, member, "TIER_CHANGE", 0, instant, version)
            entry["reason"] = "OVERRIDE_ENDED"
        elif what == "TIER_END":
            self._end_tier(program, member, instant)
        else:
            bonus, day = given
            member["dated"].add((bonus["id"], day))
            self._give(program, member, bonus, bonus["points"], instant, version)

    def _happenings(
        self, program: dict[str, Any], member: dict[str, Any], last_year: int
    ) -> Iterator[tuple[datetime, str, Any]]:
        """All that time still has to do: (when, what, of a bonus also which, and for which day).
        Birthdays and the like are looked for up to the end of a year."""
        for grant in member["grants"]:
            if not grant["points"]:
                continue
            if not grant["active"]:
                yield grant["activates"], "ACTIVATION", None
            elif grant["expires"] is not None and not grant["over"]:
                yield grant["expires"], "EXPIRY", None
        tier = member["tier"]
        if tier is not None and tier["override_until"] is not None:
            yield tier["override_until"], "OVERRIDE_END", None
        if tier is not None and tier["grace_until"] is not None:
            yield tier["grace_until"], "TIER_END", None
        yield from self._dated(program, member, last_year)

    def _dated(
        self, program: dict[str, Any], member: dict[str, Any], last_year: int
    ) -> Iterator[tuple[datetime, str, Any]]:
        joined = local_day(member["enrolled"], program["zone"])
        years = range(joined.year, last_year + 1)
        bought = [p["day"] for p in member["purchases"]]
        active = max([joined, *bought])
        for version in _ever_in_force(program["versions"]):
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
                    since = max(active, self._known_since(program, version, bonus))
                    since += timedelta(bonus["n"])
                    given = [on for name, on in member["dated"] if name == bonus["id"]]
                    # Once for each time that somebody stays away.
                    occasions = [] if max(given, default=date.min) > active else [since]
                for day in occasions:
                    instant = day_start(day, program["zone"])
                    if (
                        instant > member["enrolled"]
                        and _in_force(program["versions"], instant) is version
                        and (bonus["id"], day) not in member["dated"]
                    ):
                        yield instant, bonus["on"], (bonus, day)

    def _known_since(
        self, program: dict[str, Any], version: dict[str, Any], bonus: dict[str, Any]
    ) -> date:
        """The day of the version that brought a rule of inactivity; long ago for the first one."""
        brought = date.min
        for earlier in _ever_in_force(program["versions"][: version["version"]]):
            known = [(b["id"], b["n"]) for b in _bonuses(earlier["rules"], "INACTIVE_DAYS")]
            if (bonus["id"], bonus["n"]) not in known:
                brought = date.max
            elif brought == date.max:
                brought = local_day(earlier["from"], program["zone"])
        return brought

    # -- what is written down --------------------------------------------------------------------

    def _give(
        self,
        program: dict[str, Any],
        member: dict[str, Any],
        bonus: dict[str, Any],
        points: int,
        instant: datetime,
        version: dict[str, Any],
    ) -> None:
        """A bonus in an entry of its own, spendable at once."""
        day = local_day(instant, program["zone"])
        expires = _expires(day, bonus.get("expires_days"), version["rules"], program["zone"])
        self._grant(program, member, points, instant, instant, expires)
        entry = self._entry(program, member, "BONUS", points, instant, version)
        entry["breakdown"] = [(f"bonus:{bonus['id']}", points)]

    def _grant(
        self,
        program: dict[str, Any],
        member: dict[str, Any],
        points: int,
        effective: datetime,
        activates: datetime,
        expires: datetime | None,
    ) -> None:
        member["grants"].append(
            {
                "points": points,
                "recorded": self._now(program),
                "effective": effective,
                "activates": activates,
                # Points that outlive their date while they are pending expire when they activate.
                "expires": None if expires is None else max(expires, activates),
                # Whether there are entries that say that these instants have come.
                "active": activates == effective,
                "over": False,
            }
        )

    def _entry(
        self,
        program: dict[str, Any],
        member: dict[str, Any],
        kind: str,
        points: int,
        effective: datetime,
        version: dict[str, Any],
    ) -> dict[str, Any]:
        """Adds an entry; the tier is the one held after it."""
        entry = {
            "kind": kind,
            "points": points,
            "effective_time": effective,
            "create_time": self._now(program),
            "rules_version": version["version"],
            "tier_id": _held(member),
            "by_time": False,
        }
        member["journal"].append(entry)
        return entry

    # -- reads -----------------------------------------------------------------------------------

    def balance(self, program_id: str, member_id: str, as_of: datetime | None = None) -> Outcome:
        """Points at an instant, by default now. Refuses: PROGRAM_NOT_FOUND, MEMBER_NOT_FOUND.

        In the past it is what the ledger would have answered then: what was recorded later,
        however far it was backdated, is not in it. In the future it is what time will have done.
        """
        program = self.programs.get(program_id)
        if program is None:
            return "refused", "PROGRAM_NOT_FOUND"
        if member_id not in program["members"]:
            return "refused", "MEMBER_NOT_FOUND"
        at = as_of or self._now(program)
        member = self._at(program, member_id, at)
        known = [g for g in member["grants"] if g["recorded"] <= at]
        spendable = [g for g in known if g["activates"] <= at and not _is_over(g, at)]
        soonest = min(
            (g["expires"] for g in spendable if g["expires"] and g["points"]), default=None
        )
        said = [entry["tier_id"] for entry in member["journal"] if entry["create_time"] <= at]
        return "ok", {
            "available": _points(spendable),
            "pending": _points(g for g in known if g["activates"] > at),
            "expired": _points(g for g in known if _is_over(g, at)),
            "lifetime": _points(known),
            "next_expiry": soonest
            and (soonest, _points(g for g in spendable if g["expires"] == soonest)),
            "tier_id": said[-1] if said else "",
        }

    def tier_status(self, program_id: str, member_id: str) -> dict[str, Any]:
        """The tier held now, until when, what is counted, and what the next level asks beyond.

        Empty while the rules in force have no tiers.
        """
        program = self.programs[program_id]
        now = self._now(program)
        member = self._at(program, member_id, now)
        rules = _in_force(program["versions"], now)["rules"]
        if not rules.get("tiers"):
            return {}
        tier = member["tier"] or _tier(_levels(rules)[0], member["enrolled"])
        held = tier["override"] or tier["level"]
        rank, today = _rank(rules, held), local_day(now, program["zone"])
        counted = self._counted(program, member, rules, today)
        ends = counted["ends"] and day_start(counted["ends"], program["zone"])
        status = {
            "tier_id": held,
            "since": tier["since"],
            "valid_until": tier["override_until"] or tier["valid_until"],
            "grace_until": tier["override_until"] or tier["grace_until"],
            "visits": counted["visits"],
            "spend": counted["spend"],
            "period_start": day_start(counted["start"], program["zone"]),
            "next": None,
            "keep": None,
        }
        levels = rules["tiers"]["levels"]
        if rank + 1 < len(levels):
            status["next"] = _missing(levels[rank + 1], counted, ends)
        if rank and not tier["override"]:
            ends, over = tier["valid_until"], tier["grace_until"]
            # A period that begins anew each year begins at nothing when the grace does.
            last = local_day(over if ends <= now else ends, program["zone"]) - timedelta(1)
            if "rolling_days" in rules["tiers"]["period"]:
                last = local_day(over, program["zone"])
            still = self._counted(program, member, rules, max(last, today))
            begins = day_start(still["start"], program["zone"])
            if rules["tiers"].get("downgrade") != "NEVER":
                by_time = over if ends <= max(now, begins) else ends
                status["keep"] = _missing(levels[rank], still, by_time)
        return status

    def journal(
        self, program_id: str, member_id: str, as_of: datetime | None = None
    ) -> list[dict[str, Any]]:
        """All entries, in order, with what time has done by an instant of now or later.

        An entry that time posted has `by_time`; its create_time is when it fell due or, where it
        was known of only later, then. Points that activate or expire at one instant are one entry.
        """
        program = self.programs[program_id]
        member = self._at(program, member_id, as_of or self._now(program))
        entries: list[dict[str, Any]] = member["journal"]
        return entries

    def totals(self, program_id: str, as_of: datetime | None = None) -> dict[str, int]:
        """Members of the program, and the sums of their available, pending, expired and lifetime
        points."""
        members = self.programs[program_id]["members"]
        balances = [self.balance(program_id, member_id, as_of)[1] for member_id in members]
        names = ("available", "pending", "expired", "lifetime")
        sums = {name: sum(balance[name] for balance in balances) for name in names}
        return {"members": len(members), **sums}

    def next_due(self, program_id: str, what: str = "") -> datetime | None:
        """When time next does anything, or one thing of ORDER, within the next few years."""
        program = self.programs[program_id]
        now = self._now(program)
        due = []
        for member_id in program["members"]:
            member = self._at(program, member_id, now)
            happenings = self._happenings(program, member, now.year + 5)
            due += [each[0] for each in happenings if what in ("", each[1])]
        return min((instant for instant in due if instant > now), default=None)

    def _at(self, program: dict[str, Any], member_id: str, at: datetime) -> dict[str, Any]:
        """A member when everything due by an instant, and by now, has happened."""
        member: dict[str, Any] = program["members"][member_id]
        self._live(program, member, self._now(program))
        if at > self._now(program):
            member = deepcopy({**member, "outcomes": {}})
            self._live(program, member, at)
        return member

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
            and _among(line.get("category", ""), promotion.get("categories"))
            and _among(line.get("sku", ""), promotion.get("skus"))
        ),
        Fraction(0),
    )


def _is_on(promotion: dict[str, Any], local: datetime) -> bool:
    """Whether a promotion's days and hours are now, by the clock on the wall."""
    today, clock = local.date().isoformat(), local.strftime("%H:%M:%S.%f")
    hours = promotion.get("hours")
    return (
        promotion.get("from", "") <= today <= promotion.get("until", "9999-12-31")
        and _among(WEEKDAYS[local.weekday()], promotion.get("weekdays"))
        and (not hours or hours["from"] <= clock < hours["until"])
    )


def _among(one: str, those: list[str] | None) -> bool:
    return not those or one in those


def _bonus_part(bonus: dict[str, Any]) -> dict[str, Any]:
    return {
        "rule": f"bonus:{bonus['id']}",
        "points": bonus["points"],
        "expires_days": bonus.get("expires_days"),
    }


def _has_room(limit: dict[str, int] | None, given: list[date], day: date) -> bool:
    """Whether something may be given on a day once more: it may have been given before that day
    and, when the day is told of late, after it, and no run of so many days may have too many."""
    if limit is None:
        return True
    if limit.get("days") is None:
        return len(given) < limit["count"]
    runs = [day - timedelta(back) for back in range(limit["days"])]
    return all(
        sum(first <= one < first + timedelta(limit["days"]) for one in given) < limit["count"]
        for first in runs
    )


def _lots(parts: list[dict[str, Any]]) -> list[tuple[int, int | None]]:
    """(points, expires_days) of a purchase's lots: what caps cut off is taken from its bonuses that
    have a date of their own, the last one first, and then from the rest."""
    cut = -sum(part["points"] for part in parts if part["points"] < 0)
    earned = [part for part in parts if part["points"] >= 0]
    plain = sum(part["points"] for part in earned if part["expires_days"] is None)
    lots: list[tuple[int, int | None]] = []
    for part in reversed(earned):
        if part["expires_days"] is not None:
            taken = min(cut, part["points"])
            cut -= taken
            lots.append((part["points"] - taken, part["expires_days"]))
    return [(plain - cut, None), *reversed(lots)]


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


def anniversary(first: date, year: int) -> date:
    """The same day of another year; 28 February for a 29th that it does not have."""
    try:
        return first.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def months_end(day: date, months: int, zone: ZoneInfo) -> datetime:
    """The end of the local month that lies some months after that of a day."""
    following = day.year * 12 + (day.month - 1) + months + 1
    return day_start(date(following // 12, following % 12 + 1, 1), zone)


def _expires(
    day: date, expires_days: int | None, rules: dict[str, Any], zone: ZoneInfo
) -> datetime | None:
    """When points earned on a day are over: after their own days, or as `expiry` says, or never."""
    if expires_days is not None:
        return day_start(day + timedelta(expires_days + 1), zone)
    months = (rules.get("expiry") or {}).get("after_months")
    return None if months is None else months_end(day, months, zone)


# -- plumbing -----------------------------------------------------------------------------------


def _in_force(versions: list[dict[str, Any]], instant: datetime) -> dict[str, Any]:
    """The last version that had begun; before all of them, the first."""
    begun = [version for version in versions if version["from"] <= instant]
    return begun[-1] if begun else versions[0]


def _ever_in_force(versions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All but those that another one followed at once; the first has had all time before."""
    following = [*(version["from"] for version in versions[1:]), None]
    return [
        v
        for v, end in zip(versions, following, strict=True)
        if v["version"] == 1 or v["from"] != end
    ]


def _bonuses(rules: dict[str, Any], occasion: str) -> list[dict[str, Any]]:
    return [bonus for bonus in rules.get("bonuses", []) if bonus["on"] == occasion]


def _levels(rules: dict[str, Any]) -> list[str]:
    return [level["id"] for level in (rules.get("tiers") or {}).get("levels", [])]


def _rank(rules: dict[str, Any], level: str) -> int:
    """The position of a level, the lowest being 0; 0 also for nothing that is known."""
    levels = _levels(rules)
    return levels.index(level) if level in levels else 0


def _tier(level: str, since: datetime) -> dict[str, Any]:
    """The state of whoever has just got the lowest level."""
    return {
        "level": level,
        "since": since,
        "valid_until": None,
        "grace_until": None,
        "override": None,
        "override_until": None,
    }


def _held(member: dict[str, Any]) -> str:
    """The level that counts now; empty for who joined when there were none."""
    tier = member["tier"]
    return (tier["override"] or tier["level"]) if tier else ""


def _reaches(level: dict[str, Any], counted: dict[str, Any]) -> bool:
    met = []
    if level.get("visits") is not None:
        met.append(counted["visits"] >= level["visits"])
    if level.get("spend") is not None:
        met.append(counted["spend"] >= Fraction(level["spend"]))
    return any(met) if level.get("match") == "ANY" else all(met)


def _missing(
    level: dict[str, Any], counted: dict[str, Any], by_time: datetime | None
) -> dict[str, Any] | None:
    """What is missing for a level; None when nothing is."""
    if _reaches(level, counted):
        return None
    return {
        "tier_id": level["id"],
        "visits": max(level.get("visits", 0) - counted["visits"], 0),
        "spend": max(Fraction(level.get("spend", 0)) - counted["spend"], Fraction(0)),
        "by_time": by_time,
    }


def _later(before: dict[str, Any], after: dict[str, datetime | None]) -> dict[str, datetime | None]:
    """The later of two promises: a new one never shortens what was promised before."""
    if after["valid_until"] is None:
        return after
    if before["valid_until"] is not None and before["valid_until"] >= after["valid_until"]:
        return {name: before[name] for name in after}
    assert after["grace_until"] is not None
    grace_until = max(after["grace_until"], before["grace_until"] or after["grace_until"])
    return {"valid_until": after["valid_until"], "grace_until": grace_until}


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
