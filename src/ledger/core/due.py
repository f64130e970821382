"""What time does to an account: holds lapse, points become spendable, lots expire, tiers end,
occasions come.

`settle` posts it entry by entry, each with the instant at which it fell due. It is done before and
after every command, so that what is posted does not depend on when anybody came by to look.
"""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import ZoneInfo

from ledger.core.giving import give_bonus
from ledger.core.holding import end_hold
from ledger.core.instants import day_start, local_day, next_anniversary, yearly
from ledger.core.membership import READ_ONLY
from ledger.core.model import (
    AVAILABLE,
    EXPIRED,
    PENDING,
    Account,
    EntryData,
    Lot,
    LotChange,
)
from ledger.core.posting import Posting
from ledger.core.program import DatedBonus, Program
from ledger.core.schedule import inactivity_time, next_alarm
from ledger.core.tiering import end_tier


class Occasion(NamedTuple):
    """A dated bonus that a member is due, and when: an instant (µs), the start of a local day."""

    instant: int
    day: int
    dated: DatedBonus


def settle(posting: Posting, not_before: int | None = None) -> None:
    """Post everything that fell due up to now, each with its own instant, in the order it fell due.

    At one instant: holds lapse, pending points become spendable, lots expire, the balance expires
    for want of activity, tiers end, bonuses are given, warnings are noted. What a command brings
    after its date expires `not_before` an instant (µs).
    """
    instant = not_before
    while True:
        due = posting.account.due_time
        occasion = next_occasion(posting.account, posting.program)
        fading = inactivity_time(posting.account, posting.program, posting.faded)
        alarm = next_alarm(posting.account, posting.program, posting.warned, fading)
        for other in (occasion, alarm):
            if other is not None and (due is None or other.instant < due):
                due = other.instant
        if fading is not None and (due is None or fading < due):
            due = fading
        if due is None or due > posting.now:
            posting.due_time = due
            posting.warned = posting.faded = max(posting.warned, posting.now)
            return
        # Points that waited past their own expiry expire when they would have become spendable.
        instant = due if instant is None else max(instant, due)
        if (
            _lapse(posting, instant)
            or _activate(posting, instant)
            or _expire(posting, instant)
            or (fading is not None and fading <= instant and _fade(posting, fading))
        ):
            posting.warned = max(posting.warned, instant - 1)
            posting.faded = max(posting.faded, instant - 1)
            continue
        # What is given from here on has until the next time that the balance expires.
        posting.faded = max(posting.faded, due)
        if end_tier(posting, instant):
            posting.warned = max(posting.warned, instant - 1)
        elif occasion is not None and occasion.instant == due:
            _celebrate(posting, occasion)
            posting.warned = max(posting.warned, due - 1)
        else:
            assert alarm is not None  # nothing else is due
            posting.warnings += alarm.warnings
            posting.warned = max(posting.warned, due)


def _celebrate(posting: Posting, occasion: Occasion) -> None:
    bonus, version = occasion.dated.bonus, occasion.dated.version
    given_under = posting.program.versions[version - 1]
    give_bonus(posting, bonus, bonus.points, occasion.instant, given_under, once=True)


def next_occasion(account: Account, program: Program) -> Occasion | None:
    """The first dated bonus the member has not had yet; None when none will come."""
    first: Occasion | None = None
    if not program.dated or not account.version or account.status in READ_ONLY:
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
    # What would have been given while nothing could be is not given later.
    resumed = local_day(account.resume_time, zone) if account.resume_time else enroll_day
    if bonus.on == "BIRTHDAY" and not account.birthday:
        return None
    given = account.marked(f"bonus:{bonus.id}")
    if bonus.on == "INACTIVE_DAYS":
        active_day = max(account.last_day, enroll_day)
        if given and given[-1] > active_day:
            return None  # once for each time that somebody stays away
        if dated.since_day is not None:
            active_day = max(active_day, dated.since_day)
        day = active_day + bonus.n
        return day if day > resumed else None
    after = max(given[-1], resumed) if given else resumed
    if dated.start is not None:
        start = local_day(dated.start, zone)
        after = max(after, start if day_start(start, zone) < dated.start else start - 1)
    if bonus.on == "MEMBERSHIP_ANNIVERSARY":
        return next_anniversary(enroll_day, after)
    month, day = divmod(account.birthday, 100)
    return yearly(month, day, after + 1)


def _lapse(posting: Posting, instant: int) -> bool:
    holds = posting.account.holds
    if not holds or holds[0].expire_time > instant:
        return False
    end_hold(posting, holds[0], "LAPSED", effective_time=holds[0].expire_time)
    return True


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
    _post_expiry(posting, lots[:1], instant)
    return True


def _fade(posting: Posting, instant: int) -> bool:
    _post_expiry(posting, posting.account.lots, instant, inactivity=True)
    return True


def _post_expiry(
    posting: Posting, lots: tuple[Lot, ...], instant: int, *, inactivity: bool = False
) -> None:
    points = sum(lot.points for lot in lots)
    changes = tuple(LotChange(-lot.points, lot.expire_time) for lot in lots)
    posting.post(
        "EXPIRY",
        -points,
        EntryData(lots=changes, inactivity=inactivity),
        debit=AVAILABLE,
        credit=EXPIRED,
        effective_time=instant,
        rules_version=posting.program.in_force(instant).version,
    )
