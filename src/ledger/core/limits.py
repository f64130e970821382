"""How often, and how much, a member may have of something: marks of the days on which it was had,
and what the present day has seen of redemptions and transfers."""

from __future__ import annotations

from typing import NamedTuple

from ledger.core.errors import RedemptionLimitReached, TransferLimitReached
from ledger.core.instants import day_start, format_instant
from ledger.core.model import Account, DayUse, MarkChange
from ledger.core.posting import Posting
from ledger.core.rules import DailyLimit, Limit, Rules


class TakenBack(NamedTuple):
    """What counts no more towards limits when points of a hold or a redemption come back."""

    unmarks: tuple[MarkChange, ...] = ()
    counted: DayUse | None = None


def limit_rule(reward_id: str) -> str:
    """What a reward's uses are remembered under."""
    return f"reward:{reward_id}"


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


def taken_back(rules: Rules, reward_id: str, day: int, points: int, *, whole: bool) -> TakenBack:
    """What a hold or redemption made under these rules, which counted on a local day (0: on none),
    counts no more: its points, and once the `whole` of it is back, that it was made."""
    if not day:
        return TakenBack()
    reward = rules.reward(reward_id) if reward_id else None
    marked = whole and reward is not None and reward.per_member is not None
    return TakenBack(
        (MarkChange(limit_rule(reward_id), day, 0),) if marked else (),
        None if rules.redemption_limit is None else DayUse(day, -int(whole), -points),
    )


def count_redemption(posting: Posting, points: int) -> DayUse | None:
    """What a redemption of points counts towards the limit of today; None: there is none.

    Raises REDEMPTION_LIMIT_REACHED.
    """
    limit, use = posting.rules_now.rules.redemption_limit, posting.account.redeemed
    if limit is None:
        return None
    if not fits_today(limit, use, posting.today, points):
        raise RedemptionLimitReached(**_refused(posting, limit, use, points))
    return DayUse(posting.today, 1, points)


def count_transfer(posting: Posting, points: int) -> DayUse | None:
    """What handing on points counts towards the limit of today; None: there is none.

    Raises TRANSFER_LIMIT_REACHED.
    """
    limit, use = posting.rules_now.rules.transfer_limit, posting.account.transferred
    if limit is None:
        return None
    if not fits_today(limit, use, posting.today, points):
        raise TransferLimitReached(**_refused(posting, limit, use, points))
    return DayUse(posting.today, 1, points)


def fits_today(limit: DailyLimit, use: DayUse | None, day: int, points: int) -> bool:
    """Whether a local day has room for so many points once more."""
    left = _left(limit, use, day)
    return (left.count is None or left.count > 0) and (left.points is None or points <= left.points)


def limit_text(limit: DailyLimit) -> str:
    """`once`, `3 times and 500 points`, `500 points`."""
    parts = []
    if limit.count is not None:
        parts.append("once" if limit.count == 1 else f"{limit.count} times")
    if limit.points is not None:
        parts.append("1 point" if limit.points == 1 else f"{limit.points} points")
    return " and ".join(parts)


def _left(limit: DailyLimit, use: DayUse | None, day: int) -> DailyLimit:
    """What of a limit is left on a local day. A stricter one may have come meanwhile."""
    if use is None or use.day != day:
        return limit
    return DailyLimit(
        None if limit.count is None else max(0, limit.count - use.count),
        None if limit.points is None else max(0, limit.points - use.points),
    )


def _refused(
    posting: Posting, limit: DailyLimit, use: DayUse | None, points: int
) -> dict[str, object]:
    """What a refusal says."""
    left = _left(limit, use, posting.today)
    counts = {"count_left": left.count, "points_left": left.points}
    return {
        "required": points,
        "limit": limit_text(limit),
        "left": limit_text(left),
        **{name: number for name, number in counts.items() if number is not None},
        "again_time": format_instant(day_start(posting.today + 1, posting.program.zone)),
    }
