"""What time does to an account: points become spendable, lots expire, tiers end, occasions come.

`settle` posts it entry by entry, each with the instant at which it fell due. It is done before and
after every command, so that what is posted does not depend on when anybody came by to look.
"""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import ZoneInfo

from ledger.core.giving import give
from ledger.core.instants import date_of, day_start, local_day, yearly
from ledger.core.model import (
    AVAILABLE,
    EXPIRED,
    PENDING,
    Account,
    EntryData,
    LotChange,
)
from ledger.core.posting import Posting
from ledger.core.program import DatedBonus, Program
from ledger.core.tiering import end_tier


class Occasion(NamedTuple):
    """A dated bonus that a member is due, and when: an instant (µs), the start of a local day."""

    instant: int
    day: int
    dated: DatedBonus


def settle(posting: Posting) -> None:
    """Post everything that fell due up to now, each with its own instant, in the order it fell due.

    At one instant: pending points become spendable, lots expire, tiers end, bonuses are given.
    """
    instant = None
    while True:
        due = posting.account.due_time
        occasion = next_occasion(posting.account, posting.program)
        if occasion is not None and (due is None or occasion.instant < due):
            due = occasion.instant
        if due is None or due > posting.now:
            posting.due_time = due
            return
        # Points that waited past their own expiry expire when they would have become spendable.
        instant = due if instant is None else max(instant, due)
        if _activate(posting, instant) or _expire(posting, instant) or end_tier(posting, instant):
            continue
        assert occasion is not None  # nothing else is due
        bonus, version = occasion.dated.bonus, occasion.dated.version
        give(
            posting,
            f"bonus:{bonus.id}",
            bonus.points,
            occasion.instant,
            posting.program.versions[version - 1],
            expires_days=bonus.expires_days,
            once=True,
        )


def next_occasion(account: Account, program: Program) -> Occasion | None:
    """The first dated bonus the member has not had yet; None when none will come."""
    first: Occasion | None = None
    if not program.dated or not account.version:
        return None
    zone = program.zone
    enroll_day = local_day(account.enroll_time, zone)
    for dated in program.dated:
        day = _occasion_day(account, dated, enroll_day, zone)
        if day is None:
            continue
        instant = day_start(day, zone)
        if (dated.start is not None and instant < dated.start) or (
            dated.end is not None and instant >= dated.end
        ):
            continue
        if first is None or instant < first.instant:
            first = Occasion(instant, day, dated)
    return first


def _occasion_day(
    account: Account, dated: DatedBonus, enroll_day: int, zone: ZoneInfo
) -> int | None:
    """The local day on which a bonus is due to a member next; None: never, as things stand."""
    bonus = dated.bonus
    if bonus.on == "BIRTHDAY" and not account.birthday:
        return None
    given = account.marked(f"bonus:{bonus.id}")
    if bonus.on == "INACTIVE_DAYS":
        active_day = max(account.last_day, enroll_day)
        if given and given[-1] > active_day:
            return None  # once for each time that somebody stays away
        if dated.since_day is not None:
            active_day = max(active_day, dated.since_day)
        return active_day + bonus.n
    after = max(given[-1], enroll_day) if given else enroll_day
    if dated.start is not None:
        start = local_day(dated.start, zone)
        after = max(after, start if day_start(start, zone) < dated.start else start - 1)
    if bonus.on == "MEMBERSHIP_ANNIVERSARY":
        return _anniversary_after(enroll_day, after)
    month, day = divmod(account.birthday, 100)
    return yearly(month, day, after + 1)


def _anniversary_after(enroll_day: int, after: int) -> int:
    first = date_of(enroll_day)
    return yearly(first.month, first.day, after + 1)


def _activate(posting: Posting, instant: int) -> bool:
    ready = [lot for lot in posting.account.pending_lots if lot.activate_time <= instant]
    if not ready:
        return False
    changes = [LotChange(-lot.points, lot.expire_time, lot.activate_time) for lot in ready]
    changes += [LotChange(lot.points, lot.expire_time) for lot in ready]
    posting.post(
        "ACTIVATION",
        sum(lot.points for lot in ready),
        EntryData(lots=tuple(changes)),
        debit=PENDING,
        credit=AVAILABLE,
        effective_time=instant,
        rules_version=posting.program.in_force(instant).version,
    )
    return True


def _expire(posting: Posting, instant: int) -> bool:
    lots = posting.account.lots
    if not lots or lots[0].expire_time is None or lots[0].expire_time > instant:
        return False
    posting.post(
        "EXPIRY",
        -lots[0].points,
        EntryData(lots=(LotChange(-lots[0].points, lots[0].expire_time),)),
        debit=AVAILABLE,
        credit=EXPIRED,
        effective_time=instant,
        rules_version=posting.program.in_force(instant).version,
    )
    return True
