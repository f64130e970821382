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


class Settle(Command, frozen=True, kw_only=True, omit_defaults=True, tag="settle"):
    """Post whatever time has made due. Has no request id: doing it twice posts nothing more."""


_encode = msgspec.json.Encoder().encode


def fingerprint(command: Command) -> str:
    """32 hex digits of SHA-256 over the command's canonical JSON."""
    return sha256(_encode(command)).hexdigest()[:32]


def name(command: Command) -> str:
    """The command's snake-case name, as in metrics and batch items."""
    return str(command.__struct_config__.tag)
