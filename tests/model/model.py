"""All programs and members, with the methods of the API that change or show them."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from datetime import datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from tests.model import points as places
from tests.model.admitting import REMEMBERED, admit
from tests.model.earning import earn
from tests.model.living import happenings, live, live_all
from tests.model.points import (
    AVAILABLE,
    DEBT,
    EXPIRED,
    HELD,
    ISSUANCE,
    PENDING,
    Member,
    Program,
    now,
    standing,
    sums,
)
from tests.model.returns import give_back
from tests.model.rules import in_force
from tests.model.spending import (
    capture,
    extend,
    hold,
    hold_of,
    redeem,
    release,
    reverse,
    units_taken,
    why_no_redemption,
)
from tests.model.tiers import override, tier_status
from tests.model.writing import adjust, buy, do, join, set_status, status, transfer

#: ("ok", what was done) or ("refused", the reason).
Outcome = tuple[str, Any]
Request = dict[str, Any]

#: Entries that tell the tier, so that a receipt can.
TELLING = ("ENROLLED", "PURCHASE", "ACTIVITY", "RETURN", "TIER_CHANGE")


class Model:
    """All programs and members. Every write answers what `admitting` has against it, or ("ok",
    {entries, balance, tier, hold, redemption, replayed})."""

    def __init__(self, wall_time: datetime) -> None:
        #: The present in programs that are no sandbox.
        self.wall_time = wall_time
        self.programs: dict[str, Program] = {}

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
            "wall_time": lambda: self.wall_time,
            # When time itself writes something: as of when.
            "time_writes": None,
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
        earliest = max(now(program), latest["from"])
        if effective_time is not None and effective_time < earliest:
            return "refused", "EFFECTIVE_TIME_OUT_OF_RANGE"
        if expected_version not in (None, latest["version"]):
            return "refused", "VERSION_MISMATCH"
        live_all(program)
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

    def write(self, command: str, request: Request) -> Outcome:
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
        live_all(program)
        refusal, effective, version = admit(command, program, request)
        if refusal:
            outcome: Outcome = ("refused", refusal)
            if member is not None and refusal in REMEMBERED:
                member["outcomes"][request["request_id"]] = (content, outcome)
            return outcome
        before = len(member["journal"]) if member is not None else 0
        if member is None:
            join(program, request, effective, version)
        member = program["members"][request["member_id"]]
        self._do(command, program, member, request, effective, version)
        entries = member["journal"][before:]
        live_all(program)
        done = self._receipt(request, entries)
        member["outcomes"][request["request_id"]] = (content, ("ok", done))
        return "ok", done

    def _do(
        self,
        command: str,
        program: Program,
        member: Member,
        request: Request,
        effective: datetime,
        version: dict[str, Any],
    ) -> None:
        if command == "record_purchase":
            buy(program, member, request, effective, version)
        elif command == "record_activity":
            do(program, member, request, effective, version)
        elif command == "override_tier":
            override(program, member, request["tier_id"], request["until_time"])
        elif command == "record_return":
            give_back(program, member, request, effective)
        elif command == "redeem_points":
            redeem(program, member, request, effective)
        elif command == "release_hold":
            release(program, member, hold_of(member, request), "RELEASED", now(program))
        elif command != "enroll":
            write = {
                "hold_points": hold,
                "capture_hold": capture,
                "extend_hold": extend,
                "reverse_redemption": reverse,
                "adjust_points": adjust,
                "transfer_points": transfer,
                "set_member_status": set_status,
            }[command]
            write(program, member, request)

    def _receipt(self, request: Request, entries: list[dict[str, Any]]) -> dict[str, Any]:
        place = request["program_id"], request["member_id"]
        tells = any(each["kind"] in TELLING for each in entries)
        done = {
            "entries": entries,
            "balance": self.balance(*place)[1],
            "tier": self.tier_status(*place) if tells else {},
            "replayed": False,
        }
        for name in ("hold", "redemption"):
            said = [entry[name] for entry in entries if name in entry]
            done[name] = said[-1] if said else None
        return done

    def enroll(self, request: Request) -> Outcome:
        """EnrollMember with a member_id. INVALID_FIELD: referred by oneself."""
        return self.write("enroll", request)

    def record_purchase(self, request: Request) -> Outcome:
        return self.write("record_purchase", request)

    def preview_purchase(self, request: Request) -> Outcome:
        """What `record_purchase` would say of the points, and nothing changes."""
        program = self.programs.get(request["program_id"])
        if program is None:
            return "refused", "PROGRAM_NOT_FOUND"
        live_all(program)
        refusal, effective, version = admit("record_purchase", program, request)
        if refusal:
            return "refused", refusal
        member = program["members"].get(request["member_id"])
        parts = earn(program, member, request, effective, version)["parts"]
        return "ok", {
            "points": sum(part["points"] for part in parts),
            "breakdown": [(part["rule"], part["points"]) for part in parts],
        }

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
        at = as_of or now(program)
        member = self._at(program, member_id, at)
        totals = sums(member, at)
        lots = [
            (step[2], parcel["points"])
            for parcel in member["parcels"]
            if (step := standing(parcel, at)) and step[1] == AVAILABLE and step[2]
        ]
        soonest = min((date for date, _ in lots), default=None)
        said = [entry["tier_id"] for entry in member["journal"] if entry["create_time"] <= at]
        return "ok", {
            "available": totals[AVAILABLE],
            "held": totals[HELD],
            "pending": totals[PENDING],
            "debt": -totals[DEBT],
            "expired": totals[EXPIRED],
            "lifetime": -totals[ISSUANCE],
            "next_expiry": soonest
            and (soonest, sum(points for date, points in lots if date == soonest)),
            "tier_id": said[-1] if said else "",
        }

    def lots(self, program_id: str, member_id: str) -> dict[Any, int]:
        """Points now by lot: (account, when they activate, when they expire)."""
        program = self.programs[program_id]
        found: Counter[Any] = Counter()
        for parcel in self._at(program, member_id, now(program))["parcels"]:
            if (lot := places.lot_of(parcel)) is not None:
                found[lot] += parcel["points"]
        return dict(found)

    def warnings(self, program_id: str, member_id: str) -> dict[Any, int]:
        """Points that were warned of by now, by when they expire, how many days ahead, and whether
        for want of activity."""
        program = self.programs[program_id]
        said: dict[Any, int] = self._at(program, member_id, now(program))["warnings"]
        return said

    def tier_status(self, program_id: str, member_id: str) -> dict[str, Any]:
        """The tier held now, until when, what is counted, and what the next level asks beyond.

        Empty while the rules in force have no tiers.
        """
        program = self.programs[program_id]
        return tier_status(program, self._at(program, member_id, now(program)))

    def journal(
        self, program_id: str, member_id: str, as_of: datetime | None = None
    ) -> list[dict[str, Any]]:
        """All entries, in order, with what time has done by an instant of now or later.

        An entry that time posted has `by_time`; its create_time is when it fell due or, where it
        was known of only later, then. Points that activate or expire at one instant are one entry.
        """
        program = self.programs[program_id]
        member = self._at(program, member_id, as_of or now(program))
        entries: list[dict[str, Any]] = member["journal"]
        return entries

    def trial_balance(self, program_id: str) -> dict[str, int]:
        """Points by ledger account, over all members; accounts without any left out."""
        program = self.programs[program_id]
        live_all(program)
        totals: Counter[str] = Counter()
        for member in program["members"].values():
            for account, points in sums(member, now(program)).items():
                totals[account] += points
        return {account: points for account, points in totals.items() if points}

    def units(self, program_id: str) -> dict[str, int]:
        """Units taken now by reward, of those that were ever taken."""
        program = self.programs[program_id]
        live_all(program)
        members = program["members"].values()
        names = {use["reward"] for member in members for use in member["uses"] if use["unit"]}
        return {name: units_taken(program, name) for name in names}

    def offers(self, program_id: str, member_id: str) -> dict[str, tuple[bool, int | None]]:
        """By reward of the rules in force: whether a member can have it now, and how many units
        are left of those that have a stock."""
        program = self.programs[program_id]
        live_all(program)
        member = program["members"][member_id]
        found = {}
        for reward in in_force(program, now(program))["rules"].get("rewards", []):
            reason = why_no_redemption(program, member, {"reward_id": reward["id"]})
            can = status(member) == "ACTIVE" and reason is None
            left = None
            if reward.get("stock") is not None:
                left = max(0, reward["stock"] - units_taken(program, reward["id"]))
            found[reward["id"]] = (can, left)
        return found

    def totals(self, program_id: str, as_of: datetime | None = None) -> dict[str, int]:
        """Members of the program, and the sums of their points."""
        members = self.programs[program_id]["members"]
        balances = [self.balance(program_id, member_id, as_of)[1] for member_id in members]
        names = ("available", "held", "pending", "debt", "expired", "lifetime")
        of_all = {name: sum(balance[name] for balance in balances) for name in names}
        return {"members": len(members), **of_all}

    def next_due(self, program_id: str, what: str = "") -> datetime | None:
        """When time next does anything, or one thing of ORDER, within the next few years."""
        program = self.programs[program_id]
        instant = now(program)
        due = []
        for member_id in program["members"]:
            member = self._at(program, member_id, instant)
            coming = happenings(program, member, instant.year + 5)
            due += [each[0] for each in coming if what in ("", each[1])]
        return min((at for at in due if at > instant), default=None)

    def _at(self, program: Program, member_id: str, at: datetime) -> Member:
        """A member when everything due by an instant, and by now, has happened."""
        member: Member = program["members"][member_id]
        live(program, member, now(program))
        if at > now(program):
            member = deepcopy({**member, "outcomes": {}})
            live(program, member, at)
        return member


def _content(request: Any) -> Any:
    """What makes two requests the same: all fields but those left at their defaults."""
    if isinstance(request, dict):
        return {
            name: Fraction(value) if name == "amount" else _content(value)
            for name, value in request.items()
            if value not in (None, "", [], 0)
        }
    return [_content(line) for line in request] if isinstance(request, list) else request
