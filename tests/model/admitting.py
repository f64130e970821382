"""Why a request is refused: the first reason that there is, in the order of the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.model.days import day_start, local_day
from tests.model.points import Member, Program, held_tier, now
from tests.model.returns import purchase_of, why_no_return
from tests.model.rules import DEFAULT_BACKDATE_DAYS, bonuses, in_force, levels, rank, reward
from tests.model.spending import (
    hold_of,
    redemption_of,
    why_no_capture,
    why_no_redemption,
    why_no_reversal,
    why_not_open,
)
from tests.model.writing import status, why_no_adjustment, why_no_transfer

Request = dict[str, Any]
Version = dict[str, Any]

#: How far ahead of now an effective_time may be; it then counts as now.
TOLERANCE = timedelta(minutes=5)

#: Refusals that stay the answer of their request_id for ever, when the member is enrolled.
REMEMBERED = (
    "MEMBER_NOT_ACTIVE",
    "PURCHASE_ALREADY_RECORDED",
    "EFFECTIVE_TIME_OUT_OF_RANGE",
    "INSUFFICIENT_POINTS",
    "HOLD_CLOSED",
    "HOLD_EXPIRED",
    "CAPTURE_EXCEEDS_HOLD",
    "RETURN_EXCEEDS_PURCHASE",
    "REVERSAL_EXCEEDS_REDEMPTION",
    "RETURNED_POINTS_SPENT",
    "REWARD_NOT_ELIGIBLE",
    "REWARD_OUT_OF_STOCK",
    "REWARD_LIMIT_REACHED",
    "BELOW_MINIMUM",
    "REDEMPTION_LIMIT_REACHED",
    "TRANSFER_LIMIT_REACHED",
    "APPROVAL_REQUIRED",
)
#: What members may not do who may only earn.
SPENDING = ("hold_points", "extend_hold", "redeem_points", "transfer_points")
#: What may have happened earlier than it is told.
DATED = ("enroll", "record_purchase", "record_activity", "record_return", "redeem_points")


def admit(command: str, program: Program, request: Request) -> tuple[str | None, datetime, Version]:
    """The reason to refuse, if any; when it counts as having happened; the rules version."""
    instant = now(program)
    effective = request.get("effective_time") or instant
    if instant < effective <= instant + TOLERANCE:
        effective = instant
    version = in_force(program, effective)
    reason = _who_not(command, program, request, version)
    if reason is None and command in DATED:
        days = version["rules"]["earning"].get("backdate_days", DEFAULT_BACKDATE_DAYS)
        today = local_day(instant, program["zone"])
        if not day_start(today - timedelta(days), program["zone"]) <= effective <= instant:
            reason = "EFFECTIVE_TIME_OUT_OF_RANGE"
    if reason is None:
        reason = _why_not(command, program, request, version)
    return reason, effective, version


def _who_not(command: str, program: Program, request: Request, version: Version) -> str | None:
    """What is not known, and who may not."""
    member = program["members"].get(request["member_id"])
    if command == "enroll":
        referrer = request.get("referrer_member_id")
        if member is not None:
            return "MEMBER_ALREADY_ENROLLED"
        if referrer == request["member_id"]:
            return "INVALID_FIELD"
        return "MEMBER_NOT_FOUND" if referrer and referrer not in program["members"] else None
    if member is None:
        joins = version["rules"].get("members", {}).get("auto_enroll", False)
        if command != "record_purchase" or not joins:
            return "MEMBER_NOT_FOUND"
    else:
        reason = _what_not(command, program, member, request)
        if reason is None and not _may(command, status(member)):
            reason = "MEMBER_NOT_ACTIVE"
        if reason is not None:
            return reason
    if command == "record_purchase" and request.get("purchase_id") in program["purchases"]:
        return "PURCHASE_ALREADY_RECORDED"
    return None


def _what_not(command: str, program: Program, member: Member, request: Request) -> str | None:
    """What a request names and is not there."""
    if command == "transfer_points":
        if request["to_member_id"] == request["member_id"]:
            return "INVALID_FIELD"
        return None if request["to_member_id"] in program["members"] else "MEMBER_NOT_FOUND"
    if command == "record_return" and purchase_of(member, request) is None:
        return "PURCHASE_NOT_FOUND"
    if request.get("hold_id") and hold_of(member, request) is None:
        return "HOLD_NOT_FOUND"
    if request.get("redemption_id") and redemption_of(member, request) is None:
        return "REDEMPTION_NOT_FOUND"
    rules = in_force(program, now(program))["rules"]
    if request.get("reward_id") and reward(rules, request["reward_id"]) is None:
        return "REWARD_NOT_FOUND"
    return None


def _may(command: str, state: str) -> bool:
    if state == "EARN_ONLY":
        return command not in SPENDING
    return state == "ACTIVE" or (state == "SUSPENDED" and command == "set_member_status")


def _why_not(command: str, program: Program, request: Request, version: Version) -> str | None:
    """What speaks against it otherwise."""
    member = program["members"].get(request["member_id"])
    checks: dict[str, Callable[[], str | None]] = {
        "hold_points": lambda: why_no_redemption(program, member, request),
        "redeem_points": lambda: why_no_redemption(program, member, request),
        "capture_hold": lambda: why_not_open(member, request) or why_no_capture(member, request),
        "release_hold": lambda: why_not_open(member, request),
        "extend_hold": lambda: why_not_open(member, request),
        "reverse_redemption": lambda: why_no_reversal(member, request),
        "record_return": lambda: why_no_return(program, member, request),
        "adjust_points": lambda: why_no_adjustment(program, member, request),
        "transfer_points": lambda: why_no_transfer(program, member, request),
        "override_tier": lambda: _why_no_override(program, member, request),
        "record_activity": lambda: _why_no_activity(request, version),
        "set_member_status": lambda: (
            "INVALID_FIELD" if request["status"] == status(member) else None
        ),
    }
    return checks[command]() if command in checks else None


def _why_no_activity(request: Request, version: Version) -> str | None:
    named = {bonus["activity"] for bonus in bonuses(version["rules"], "ACTIVITY")}
    return None if request["activity"] in named else "INVALID_FIELD"


def _why_no_override(program: Program, member: Member, request: Request) -> str | None:
    rules = in_force(program, now(program))["rules"]
    known = levels(rules)
    if request["tier_id"] not in known or request["until_time"] <= now(program):
        return "INVALID_FIELD"
    if known.index(request["tier_id"]) < rank(rules, held_tier(member)):
        return "INVALID_FIELD"
    return None
