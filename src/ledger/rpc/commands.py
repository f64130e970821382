"""Requests to commands. Fields are checked here, all faults at once; meaning is the core's.

Each function answers the command of one kind of request, and raises INVALID_FIELD for a malformed
one. `program` is None when there is none of that id, which is for the caller to refuse: what can
be checked without it still is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from calendar import monthrange
from typing import Any, TypedDict

from ledger.core.commands import (
    AdjustPoints,
    CaptureHold,
    EnrollMember,
    ExtendHold,
    HoldPoints,
    OverrideTier,
    RecordActivity,
    RedeemPoints,
    ReleaseHold,
    ReverseRedemption,
    SetMemberStatus,
    TransferPoints,
)
from ledger.core.instants import DAY, SECOND
from ledger.core.model import MAX_POINTS
from ledger.core.program import Program
from ledger.rpc.fields import Fields
from ledger.v1 import member_pb2, points_pb2, redemption_pb2, types_pb2

#: characters of what an operator says
MAX_REASON = 500
#: how long a hold may last (µs)
MAX_TTL = 28 * DAY
_LEAP_YEAR = 2000


class Head(TypedDict):
    """Whose account a request is about, and its own id."""

    program_id: str
    member_id: str
    request_id: str


class Place(TypedDict):
    """Where a request comes from."""

    location_id: str
    terminal_id: str


def head(fields: Fields, request: Any, program: Program | None) -> Head:
    """What all writes have in common."""
    if program is None:  # the id of a program has been checked when it was created
        fields.program_id(request.program_id)
    return {
        "program_id": request.program_id,
        "member_id": fields.text("member_id", request.member_id, required=True),
        "request_id": fields.text("request_id", request.request_id, required=True),
    }


def place(fields: Fields, request: Any) -> Place:
    """Where the caller says it happened."""
    return {
        "location_id": fields.text("location_id", request.location_id),
        "terminal_id": fields.text("terminal_id", request.terminal_id),
    }


def enroll_member(request: member_pb2.EnrollMemberRequest, program: Program | None) -> EnrollMember:
    fields = Fields()
    if program is None:
        fields.program_id(request.program_id)
    member_id = fields.text("member_id", request.member_id)
    if not member_id and program is not None:
        member_id = member_id_of(program, request.request_id)
    command = EnrollMember(
        program_id=request.program_id,
        member_id=member_id,
        request_id=fields.text("request_id", request.request_id, required=True),
        effective_time=fields.instant("effective_time", request),
        birthday=_birthday(fields, request.birthday) if request.HasField("birthday") else 0,
        referrer_member_id=fields.text("referrer_member_id", request.referrer_member_id),
        **place(fields, request),
    )
    fields.finish()
    return command


def member_id_of(program: Program, request_id: str) -> str:
    """The id of a member enrolled without one: a keyed hash, so that it says nothing of the request
    and a repeat finds the same member."""
    digest = hmac.digest(
        program.member_key, f"{program.program_id}\n{request_id}".encode(), hashlib.sha256
    )
    return "m-" + base64.b32encode(digest[:15]).decode().lower()


def _birthday(fields: Fields, birthday: member_pb2.Birthday) -> int:
    """month * 100 + day, which 29 February may be."""
    month, day = birthday.month, birthday.day
    if not 1 <= month <= 12:
        fields.fault("birthday.month", "must be from 1 to 12")
        return 0
    longest = monthrange(_LEAP_YEAR, month)[1]
    if not 1 <= day <= longest:
        fields.fault("birthday.day", f"must be from 1 to {longest} in month {month}")
    return month * 100 + day


def set_member_status(
    request: member_pb2.SetMemberStatusRequest, program: Program | None
) -> SetMemberStatus:
    fields = Fields()
    status = ""
    if request.status and request.status in types_pb2.MemberStatus.values():
        status = types_pb2.MemberStatus.Name(request.status).removeprefix("MEMBER_STATUS_")
    else:
        fields.fault("status", "is required: a status that a member can have")
    command = SetMemberStatus(
        **head(fields, request, program),
        status=status,
        reason=fields.text("reason", request.reason, required=True, most=MAX_REASON),
    )
    fields.finish()
    return command


def record_activity(
    request: points_pb2.RecordActivityRequest, program: Program | None
) -> RecordActivity:
    fields = Fields()
    command = RecordActivity(
        **head(fields, request, program),
        activity=fields.text("activity", request.activity, required=True),
        effective_time=fields.instant("effective_time", request),
        **place(fields, request),
    )
    fields.finish()
    return command


def override_tier(request: points_pb2.OverrideTierRequest, program: Program | None) -> OverrideTier:
    fields = Fields()
    command = OverrideTier(
        **head(fields, request, program),
        tier_id=fields.text("tier_id", request.tier_id, required=True),
        reason=fields.text("reason", request.reason, required=True, most=MAX_REASON),
        until_time=fields.instant("until_time", request, required=True) or 0,
    )
    fields.finish()
    return command


def adjust_points(request: points_pb2.AdjustPointsRequest, program: Program | None) -> AdjustPoints:
    fields = Fields()
    if not request.points or abs(request.points) > MAX_POINTS:
        fields.fault("points", f"is required: from {-MAX_POINTS} to {MAX_POINTS}, and not 0")
    command = AdjustPoints(
        **head(fields, request, program),
        points=request.points,
        reason_code=fields.text("reason_code", request.reason_code, required=True),
        note=fields.text("note", request.note, most=MAX_REASON),
        approver=fields.text("approver", request.approver),
    )
    fields.finish()
    return command


def transfer_points(
    request: points_pb2.TransferPointsRequest, program: Program | None
) -> TransferPoints:
    fields = Fields()
    command = TransferPoints(
        **head(fields, request, program),
        to_member_id=fields.text("to_member_id", request.to_member_id, required=True),
        points=fields.points("points", request.points),
    )
    fields.finish()
    return command


def hold_points(request: redemption_pb2.HoldPointsRequest, program: Program | None) -> HoldPoints:
    fields = Fields()
    command = HoldPoints(
        **head(fields, request, program),
        points=_points_or_reward(fields, request),
        reward_id=fields.text("reward_id", request.reward_id),
        ttl=fields.duration("ttl", request, SECOND, MAX_TTL),
        **place(fields, request),
    )
    fields.finish()
    return command


def redeem_points(
    request: redemption_pb2.RedeemPointsRequest, program: Program | None
) -> RedeemPoints:
    fields = Fields()
    command = RedeemPoints(
        **head(fields, request, program),
        points=_points_or_reward(fields, request),
        reward_id=fields.text("reward_id", request.reward_id),
        effective_time=fields.instant("effective_time", request),
        **place(fields, request),
    )
    fields.finish()
    return command


def _points_or_reward(
    fields: Fields,
    request: redemption_pb2.HoldPointsRequest | redemption_pb2.RedeemPointsRequest,
) -> int:
    """The points that are asked for; 0 where a reward is."""
    if not request.reward_id:
        return fields.points("points", request.points)
    if request.points:
        fields.fault("points", "must be left out where a reward_id is given")
    return 0


def capture_hold(
    request: redemption_pb2.CaptureHoldRequest, program: Program | None
) -> CaptureHold:
    fields = Fields()
    command = CaptureHold(
        **head(fields, request, program),
        hold_id=fields.text("hold_id", request.hold_id, required=True),
        points=_points_if_given(fields, request),
        **place(fields, request),
    )
    fields.finish()
    return command


def release_hold(
    request: redemption_pb2.ReleaseHoldRequest, program: Program | None
) -> ReleaseHold:
    fields = Fields()
    command = ReleaseHold(
        **head(fields, request, program),
        hold_id=fields.text("hold_id", request.hold_id, required=True),
        **place(fields, request),
    )
    fields.finish()
    return command


def extend_hold(request: redemption_pb2.ExtendHoldRequest, program: Program | None) -> ExtendHold:
    fields = Fields()
    command = ExtendHold(
        **head(fields, request, program),
        hold_id=fields.text("hold_id", request.hold_id, required=True),
        ttl=fields.duration("ttl", request, SECOND, MAX_TTL),
        **place(fields, request),
    )
    fields.finish()
    return command


def reverse_redemption(
    request: redemption_pb2.ReverseRedemptionRequest, program: Program | None
) -> ReverseRedemption:
    fields = Fields()
    command = ReverseRedemption(
        **head(fields, request, program),
        redemption_id=fields.text("redemption_id", request.redemption_id, required=True),
        points=_points_if_given(fields, request),
        **place(fields, request),
    )
    fields.finish()
    return command


def _points_if_given(
    fields: Fields,
    request: redemption_pb2.CaptureHoldRequest | redemption_pb2.ReverseRedemptionRequest,
) -> int | None:
    return fields.points("points", request.points) if request.HasField("points") else None
