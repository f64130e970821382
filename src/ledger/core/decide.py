"""Decide what a command posts: `decide(account, command, context) -> Posting` or a LedgerError.

Pure: everything known about the world outside the account comes in the Context. Whatever time has
made due is posted before the command (`settle`) and once more after it, because what a late upload
or a release brings may be due already. A refusal posts nothing at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ledger.core.activities import record_activity
from ledger.core.adjusting import adjust_points, transfer_points
from ledger.core.commands import (
    AdjustPoints,
    CaptureHold,
    Command,
    EnrollMember,
    ExtendHold,
    HoldPoints,
    OverrideTier,
    RecordActivity,
    RecordPurchase,
    RecordReturn,
    RedeemPoints,
    ReleaseHold,
    ReverseRedemption,
    SetMemberStatus,
    Settle,
    TransferPoints,
)
from ledger.core.due import settle
from ledger.core.enrolling import enroll_member
from ledger.core.errors import MemberNotFound
from ledger.core.holding import capture_hold, extend_hold, hold_points, release_hold
from ledger.core.ids import sequence_of_hold, sequence_of_redemption
from ledger.core.membership import set_status
from ledger.core.model import Account, PurchaseRef
from ledger.core.posting import Context, Posting
from ledger.core.program import Program
from ledger.core.purchasing import record_purchase
from ledger.core.redeeming import redeem_points, reverse_redemption
from ledger.core.returning import record_return
from ledger.core.tiering import override_tier

#: what writes each command on the member's page; Settle writes nothing of its own
_WRITES: Final[Mapping[type[Command], Callable[[Posting, Any, Context], None]]] = {
    EnrollMember: enroll_member,
    RecordPurchase: record_purchase,
    RecordActivity: record_activity,
    RecordReturn: record_return,
    HoldPoints: hold_points,
    CaptureHold: capture_hold,
    ReleaseHold: release_hold,
    ExtendHold: extend_hold,
    RedeemPoints: redeem_points,
    ReverseRedemption: reverse_redemption,
    AdjustPoints: adjust_points,
    TransferPoints: transfer_points,
    OverrideTier: override_tier,
    SetMemberStatus: set_status,
}
#: what may come from somebody who is no member yet
_OPENING: Final = (EnrollMember, RecordPurchase)
_ON_HOLDS: Final = (CaptureHold, ReleaseHold, ExtendHold)
_SPENDING: Final = (HoldPoints, RedeemPoints)
#: what may be older than its upload, with points whose date has come meanwhile
_DATED: Final = (EnrollMember, RecordPurchase, RecordActivity)


def decide(account: Account | None, command: Command, context: Context) -> Posting:
    """The entries that a command posts, and the account after them.

    Raises the errors of the command, in the order that its docstring says.
    """
    posting = Posting(account, command.member_id, context)
    settle(posting)
    if isinstance(command, Settle):
        return posting
    write = _WRITES.get(type(command))
    if write is None:
        raise TypeError(f"no rule decides {type(command).__name__}")
    if account is None and not isinstance(command, _OPENING):
        raise MemberNotFound(member_id=command.member_id, program_id=command.program_id)
    posting.own = len(posting.entries)
    write(posting, command, context)
    # What comes back past its date expires now; what was earned then, when it would have.
    settle(posting, None if isinstance(command, _DATED) else posting.now)
    posting.close(command)
    return posting


def other_member(account: Account | None, command: Command) -> str:
    """The other member that a command may concern; empty: none. `account` is the command's own."""
    if isinstance(command, EnrollMember):
        return command.referrer_member_id
    if isinstance(command, TransferPoints):
        return command.to_member_id
    if isinstance(command, RecordPurchase) and account is not None:
        return account.referrer
    return ""


def subject_sequence(
    command: Command, program: Program, purchase: PurchaseRef | None
) -> int | None:
    """The sequence of the member's earlier entry that a command is about; None: of none.

    `purchase` tells where the receipt that a return names was credited.
    """
    member_id = command.member_id
    if isinstance(command, RecordReturn):
        own = purchase is not None and purchase.member_id == member_id
        return purchase.sequence if own and purchase is not None else None
    if isinstance(command, _ON_HOLDS):
        return sequence_of_hold(command.hold_id, program, member_id)
    if isinstance(command, ReverseRedemption):
        return sequence_of_redemption(command.redemption_id, program, member_id)
    return None


def reward_wanted(command: Command) -> str:
    """The reward of which a command may take a unit; empty: of none."""
    return command.reward_id if isinstance(command, _SPENDING) else ""
