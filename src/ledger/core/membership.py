"""What a member may do, by the status of the membership."""

from __future__ import annotations

from typing import Final

from ledger.core.commands import (
    Command,
    ExtendHold,
    HoldPoints,
    RedeemPoints,
    SetMemberStatus,
    TransferPoints,
)
from ledger.core.errors import MemberNotActive, invalid
from ledger.core.model import EntryData
from ledger.core.posting import Context, Posting

#: every status; what each allows is in `require_allowed`
STATUSES: Final = ("ACTIVE", "EARN_ONLY", "SUSPENDED", "CLOSED")
#: who only may be looked at
READ_ONLY: Final = frozenset({"SUSPENDED", "CLOSED"})
#: what takes points out at the member's wish; what was held before may still be captured
_SPENDING: Final = (HoldPoints, ExtendHold, RedeemPoints, TransferPoints)


def require_allowed(posting: Posting, command: Command) -> None:
    """Raises MEMBER_NOT_ACTIVE where the status does not allow a command.

    EARN_ONLY allows all but spending; SUSPENDED nothing but another status, CLOSED nothing.
    """
    status = posting.account.status
    if status == "ACTIVE":
        return
    spends = status == "EARN_ONLY" and isinstance(command, _SPENDING)
    reopens = status == "SUSPENDED" and isinstance(command, SetMemberStatus)
    if spends or (status in READ_ONLY and not reopens):
        raise MemberNotActive(member_id=posting.member_id, status=status)


def require_open(page: Posting) -> None:
    """Raises MEMBER_NOT_ACTIVE for a member who can be given nothing."""
    if page.account.status in READ_ONLY:
        raise MemberNotActive(member_id=page.member_id, status=page.account.status)


def set_status(posting: Posting, command: SetMemberStatus, context: Context) -> None:
    """Post the new status. Raises INVALID_FIELD for the one that the member has."""
    require_allowed(posting, command)
    if command.status == posting.account.status:
        raise invalid("status", f"is {command.status} already")
    posting.post(
        "STATUS_CHANGE",
        0,
        EntryData(status=command.status, note=command.reason),
        effective_time=posting.now,
        rules_version=posting.rules_now.version,
        command=command,
    )
