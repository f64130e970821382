"""What callers may ask of one member's account. A command is content only: no actor, no clock.

`fingerprint` tells two contents apart under one request id. Defaults are left out of what is
hashed, so that a field added later does not change the fingerprint of a request without it.
"""

from __future__ import annotations

from hashlib import sha256

import msgspec

from ledger.core.model import PurchaseLine


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Common to all: whose account, and the caller's own id for this request."""

    program_id: str
    member_id: str
    request_id: str = ""


class EnrollMember(Command, frozen=True, kw_only=True, omit_defaults=True, tag="enroll_member"):
    """Open an account. Errors in check order: MEMBER_ALREADY_ENROLLED, MEMBER_NOT_FOUND (the
    referrer), EFFECTIVE_TIME_OUT_OF_RANGE.
    """

    effective_time: int | None = None
    location_id: str = ""
    terminal_id: str = ""
    #: month * 100 + day; 0 = not known
    birthday: int = 0
    referrer_member_id: str = ""


class RecordPurchase(Command, frozen=True, kw_only=True, omit_defaults=True, tag="record_purchase"):
    """Credit a receipt. Errors in check order: MEMBER_NOT_FOUND, PURCHASE_ALREADY_RECORDED,
    EFFECTIVE_TIME_OUT_OF_RANGE; INVALID_FIELD when it would earn more than an entry can hold.
    """

    purchase_id: str
    #: minor units of the program's currency
    amount: int
    lines: tuple[PurchaseLine, ...] = ()
    effective_time: int | None = None
    location_id: str = ""
    terminal_id: str = ""


class RecordActivity(Command, frozen=True, kw_only=True, omit_defaults=True, tag="record_activity"):
    """Reward something done that is no purchase. Errors in check order: MEMBER_NOT_FOUND,
    EFFECTIVE_TIME_OUT_OF_RANGE, INVALID_FIELD for an activity that no bonus names.
    """

    activity: str
    effective_time: int | None = None
    location_id: str = ""
    terminal_id: str = ""


class OverrideTier(Command, frozen=True, kw_only=True, omit_defaults=True, tag="override_tier"):
    """Let a member hold a level until an instant (µs). Errors in check order: MEMBER_NOT_FOUND,
    INVALID_FIELD for a level below the one held or unknown, or an end that is not ahead.
    """

    tier_id: str
    reason: str
    until_time: int


class RecordReturn(Command, frozen=True, kw_only=True, omit_defaults=True, tag="record_return"):
    """Take back what a purchase earned, by an amount, by lines, or in full. Errors in check order:
    MEMBER_NOT_FOUND, PURCHASE_NOT_FOUND, MEMBER_NOT_ACTIVE, EFFECTIVE_TIME_OUT_OF_RANGE,
    RETURN_EXCEEDS_PURCHASE, RETURNED_POINTS_SPENT.
    """

    purchase_id: str
    #: minor units; None: by lines or in full
    amount: int | None = None
    lines: tuple[PurchaseLine, ...] = ()
    full: bool = False
    effective_time: int | None = None
    location_id: str = ""
    terminal_id: str = ""


class HoldPoints(Command, frozen=True, kw_only=True, omit_defaults=True, tag="hold_points"):
    """Reserve points, or those that a reward costs. Errors in check order: MEMBER_NOT_FOUND,
    REWARD_NOT_FOUND, MEMBER_NOT_ACTIVE, INSUFFICIENT_POINTS, REWARD_NOT_ELIGIBLE,
    REWARD_OUT_OF_STOCK, REWARD_LIMIT_REACHED, BELOW_MINIMUM, REDEMPTION_LIMIT_REACHED.
    """

    #: 0 with a reward
    points: int = 0
    #: empty with points
    reward_id: str = ""
    #: how long it lasts (µs); None: as the rules say
    ttl: int | None = None
    location_id: str = ""
    terminal_id: str = ""


class CaptureHold(Command, frozen=True, kw_only=True, omit_defaults=True, tag="capture_hold"):
    """Spend what is held, or a part of it; the rest goes back. Errors in check order:
    MEMBER_NOT_FOUND, HOLD_NOT_FOUND, MEMBER_NOT_ACTIVE, HOLD_CLOSED, HOLD_EXPIRED,
    CAPTURE_EXCEEDS_HOLD; INVALID_FIELD for a part of a reward.
    """

    hold_id: str
    #: None: all
    points: int | None = None
    location_id: str = ""
    terminal_id: str = ""


class ReleaseHold(Command, frozen=True, kw_only=True, omit_defaults=True, tag="release_hold"):
    """Give back what is held. Errors in check order: MEMBER_NOT_FOUND, HOLD_NOT_FOUND,
    MEMBER_NOT_ACTIVE, HOLD_CLOSED, HOLD_EXPIRED.
    """

    hold_id: str
    location_id: str = ""
    terminal_id: str = ""


class ExtendHold(Command, frozen=True, kw_only=True, omit_defaults=True, tag="extend_hold"):
    """Let a hold last at least so long from now; it never ends sooner. Errors as ReleaseHold."""

    hold_id: str
    #: µs from now; None: as the rules say
    ttl: int | None = None
    location_id: str = ""
    terminal_id: str = ""


class RedeemPoints(Command, frozen=True, kw_only=True, omit_defaults=True, tag="redeem_points"):
    """Spend points or get a reward in one step. Errors in check order: MEMBER_NOT_FOUND,
    REWARD_NOT_FOUND, MEMBER_NOT_ACTIVE, EFFECTIVE_TIME_OUT_OF_RANGE, INSUFFICIENT_POINTS,
    REWARD_NOT_ELIGIBLE, REWARD_OUT_OF_STOCK, REWARD_LIMIT_REACHED, BELOW_MINIMUM,
    REDEMPTION_LIMIT_REACHED.
    """

    #: 0 with a reward
    points: int = 0
    #: empty with points
    reward_id: str = ""
    effective_time: int | None = None
    location_id: str = ""
    terminal_id: str = ""


class ReverseRedemption(
    Command, frozen=True, kw_only=True, omit_defaults=True, tag="reverse_redemption"
):
    """Give redeemed points back, all or a part. Errors in check order: MEMBER_NOT_FOUND,
    REDEMPTION_NOT_FOUND, MEMBER_NOT_ACTIVE, REVERSAL_EXCEEDS_REDEMPTION.
    """

    redemption_id: str
    #: None: all that has not been given back yet
    points: int | None = None
    location_id: str = ""
    terminal_id: str = ""


class AdjustPoints(Command, frozen=True, kw_only=True, omit_defaults=True, tag="adjust_points"):
    """Give or take points by hand. Errors in check order: MEMBER_NOT_FOUND, MEMBER_NOT_ACTIVE,
    INVALID_FIELD for a reason code that the rules do not have, INSUFFICIENT_POINTS,
    APPROVAL_REQUIRED.
    """

    #: negative: taken
    points: int
    reason_code: str
    note: str = ""
    #: the second principal who approves; empty: nobody does
    approver: str = ""


class TransferPoints(Command, frozen=True, kw_only=True, omit_defaults=True, tag="transfer_points"):
    """Hand points to another member; they keep their dates. Errors in check order: MEMBER_NOT_FOUND
    (either), MEMBER_NOT_ACTIVE (either), INSUFFICIENT_POINTS, TRANSFER_LIMIT_REACHED; INVALID_FIELD
    to oneself.
    """

    to_member_id: str
    points: int


class SetMemberStatus(
    Command, frozen=True, kw_only=True, omit_defaults=True, tag="set_member_status"
):
    """Let a member do more or less. Errors in check order: MEMBER_NOT_FOUND, MEMBER_NOT_ACTIVE for
    a closed membership.
    """

    #: ACTIVE, EARN_ONLY, SUSPENDED or CLOSED
    status: str
    reason: str


class Settle(Command, frozen=True, kw_only=True, omit_defaults=True, tag="settle"):
    """Post whatever time has made due. Has no request id: doing it twice posts nothing more."""


_encode = msgspec.json.Encoder().encode


def fingerprint(command: Command) -> str:
    """32 hex digits of SHA-256 over the command's canonical JSON."""
    return sha256(_encode(command)).hexdigest()[:32]


def name(command: Command) -> str:
    """The command's snake-case name, as in metrics and batch items."""
    return str(command.__struct_config__.tag)
