"""What is done that is no purchase, and what it earns."""

from __future__ import annotations

from ledger.core.commands import RecordActivity
from ledger.core.earning import lot_of
from ledger.core.errors import invalid
from ledger.core.instants import local_day
from ledger.core.limits import has_room, mark_of
from ledger.core.membership import require_allowed
from ledger.core.model import AVAILABLE, ISSUANCE, BreakdownLine, EntryData, LotChange, MarkChange
from ledger.core.posting import Context, Posting
from ledger.core.tiering import tell_tier
from ledger.core.timing import happened, require_in_range


def record_activity(posting: Posting, command: RecordActivity, context: Context) -> None:
    """Post ACTIVITY with what its bonuses give.

    Raises MEMBER_NOT_ACTIVE, EFFECTIVE_TIME_OUT_OF_RANGE, INVALID_FIELD.
    """
    require_allowed(posting, command)
    effective_time, version = happened(posting, command.effective_time)
    require_in_range(posting, effective_time, version)
    bonuses = version.rules.bonuses_on("ACTIVITY")
    if command.activity not in {bonus.activity for bonus in bonuses}:
        known = ", ".join(sorted({bonus.activity for bonus in bonuses})) or "none"
        raise invalid("activity", f"no bonus of the program names it; known are: {known}")
    zone = posting.program.zone
    day = local_day(effective_time, zone)
    lines: list[BreakdownLine] = []
    lots: list[LotChange] = []
    marks: list[MarkChange] = []
    for bonus in bonuses:
        rule = f"bonus:{bonus.id}"
        if bonus.activity == command.activity and has_room(
            posting.account, rule, bonus.per_member, day
        ):
            lines.append(BreakdownLine(rule, bonus.points))
            lots.append(
                lot_of(bonus.points, day, zone, version.rules, expires_days=bonus.expires_days)
            )
            if bonus.per_member is not None:
                marks.append(mark_of(posting, rule, day, bonus.per_member))
    points = sum([line.points for line in lines])
    data = EntryData(
        breakdown=tuple(lines), lots=tuple(lots), marks=tuple(marks), activity=command.activity
    )
    tell_tier(posting, data)
    posting.post(
        "ACTIVITY",
        points,
        data,
        debit=ISSUANCE,
        credit=AVAILABLE,
        effective_time=effective_time,
        rules_version=version.version,
        command=command,
    )
