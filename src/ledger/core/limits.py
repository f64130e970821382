"""How often a member may have something: marks of the days on which it was had."""

from __future__ import annotations

from ledger.core.model import Account, MarkChange
from ledger.core.posting import Posting
from ledger.core.rules import Limit


def limit_rule(reward_id: str) -> str:
    """What a reward's uses are remembered under."""
    return f"reward:{reward_id}"


def unmarks(reward_id: str, day: int) -> tuple[MarkChange, ...]:
    """What takes back that a reward was had on a local day; nothing where no use was counted."""
    return (MarkChange(limit_rule(reward_id), day, 0),) if day else ()


def has_room(account: Account, rule: str, limit: Limit | None, day: int) -> bool:
    """Whether a member may have something once more on a local day."""
    if limit is None:
        return True
    given = account.marked(rule)
    if limit.days is None:
        return len(given) < limit.count
    # A late one lies between others: no run of days that it falls in may have too many.
    last_days = [day, *(one for one in given if day < one < day + limit.days)]
    return all(
        sum(last - limit.days < one <= last for one in given) < limit.count for last in last_days
    )


def mark_of(posting: Posting, rule: str, day: int, limit: Limit) -> MarkChange:
    """The mark that something with a limit leaves: as long as a late upload could meet it."""
    if limit.days is None:
        return MarkChange(rule, day, limit.count)
    oldest = posting.today - posting.program.longest_backdate_days
    return MarkChange(rule, day, 0, oldest - limit.days)
