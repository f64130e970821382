"""Points moved by hand: given or taken by an operator, handed from one member to another."""

from __future__ import annotations

from ledger.core.commands import AdjustPoints, TransferPoints
from ledger.core.due import settle
from ledger.core.earning import lot_of
from ledger.core.errors import ApprovalRequired, InsufficientPoints, MemberNotFound, invalid
from ledger.core.limits import count_transfer
from ledger.core.lots import into, out_of, take
from ledger.core.membership import require_allowed, require_open
from ledger.core.model import ADJUSTMENTS, AVAILABLE, MAX_BALANCE, TRANSFERS, EntryData
from ledger.core.posting import Context, Posting


def adjust_points(posting: Posting, command: AdjustPoints, context: Context) -> None:
    """Post ADJUSTMENT. What is given expires as if it were earned now.

    Raises MEMBER_NOT_ACTIVE, INVALID_FIELD, INSUFFICIENT_POINTS, APPROVAL_REQUIRED.
    """
    require_allowed(posting, command)
    version, points = posting.rules_now, command.points
    rules = version.rules
    if command.reason_code not in rules.reason_codes:
        raise invalid("reason_code", f"must be one of {', '.join(rules.reason_codes)}")
    if -points > posting.account.available:
        raise InsufficientPoints(available=posting.account.available, required=-points)
    limit, alone = rules.approval_above, command.approver.strip() in ("", posting.actor)
    if limit is not None and abs(points) > limit and alone:
        raise ApprovalRequired(limit=limit)
    lots = out_of(take(posting.account.lots, -points))
    if points > 0:
        lots = (lot_of(points, posting.today, posting.program.zone, rules),)
    posting.post(
        "ADJUSTMENT",
        points,
        EntryData(
            lots=lots,
            reason_code=command.reason_code,
            note=command.note,
            approver=command.approver,
        ),
        debit=ADJUSTMENTS if points > 0 else AVAILABLE,
        credit=AVAILABLE if points > 0 else ADJUSTMENTS,
        effective_time=posting.now,
        rules_version=version.version,
        command=command,
    )


def transfer_points(posting: Posting, command: TransferPoints, context: Context) -> None:
    """Post TRANSFER_OUT here and TRANSFER_IN on the other member's page.

    Raises INVALID_FIELD, MEMBER_NOT_FOUND, MEMBER_NOT_ACTIVE, INSUFFICIENT_POINTS,
    TRANSFER_LIMIT_REACHED.
    """
    other, points, now = command.to_member_id, command.points, posting.now
    if other == command.member_id:
        raise invalid("to_member_id", "must be another member")
    account = context.others.get(other)
    if account is None:
        raise MemberNotFound(member_id=other, program_id=command.program_id)
    require_allowed(posting, command)
    page = Posting(account, other, context)
    require_open(page)
    settle(page)
    if points > posting.account.available:
        raise InsufficientPoints(available=posting.account.available, required=points)
    if page.account.available + page.account.held + points > MAX_BALANCE:
        raise invalid("points", f"the other member would hold more than {MAX_BALANCE} points")
    counted = count_transfer(posting, points)
    taken = take(posting.account.lots, points)
    posting.post(
        "TRANSFER_OUT",
        -points,
        EntryData(lots=out_of(taken), counted=counted, related_member_id=other),
        debit=AVAILABLE,
        credit=TRANSFERS,
        effective_time=now,
        rules_version=posting.rules_now.version,
        command=command,
    )
    page.post(
        "TRANSFER_IN",
        points,
        EntryData(lots=into(taken), related_member_id=posting.member_id),
        debit=TRANSFERS,
        credit=AVAILABLE,
        effective_time=now,
        rules_version=posting.rules_now.version,
        actor=posting.actor,
    )
    settle(page, page.now)
    posting.others.append(page)
