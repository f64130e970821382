"""When points will expire, lot by lot or for want of activity, and when to warn of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ledger.core.instants import day_start, local_day, month_end
from ledger.core.model import Account, Lot
from ledger.core.posting import Warning
from ledger.core.program import InactivityRule, Program, RulesVersion


class Alarm(NamedTuple):
    """What is to be warned of at an instant (µs), the start of a local day."""

    instant: int
    warnings: list[Warning]


class ScheduledExpiry(NamedTuple):
    """Points that expire together. Instants in µs."""

    expire_time: int
    points: int
    #: AVAILABLE, PENDING or HELD
    state: str
    #: when pending ones become spendable
    activate_time: int | None = None


class Schedule(NamedTuple):
    """What will expire and when, if nothing else happens."""

    #: soonest first
    items: tuple[ScheduledExpiry, ...]
    never_expiring: int
    #: when all that is spendable expires for want of activity; None: it does not
    inactivity_time: int | None
    inactivity_points: int


def schedule(account: Account, program: Program, now: int) -> Schedule:
    """What will expire of an account that is settled up to `now` (µs)."""
    items = [*_dated(account)]
    items.sort(key=lambda item: (item.expire_time, item.state, item.activate_time or 0))
    never = sum(lot.points for lot in account.lots if lot.expire_time is None)
    never += sum(lot.points for lot in account.pending_lots if lot.expire_time is None)
    held = [lot for hold in account.holds for lot in hold.lots]
    never += sum(lot.points for lot in held if lot.expire_time is None)
    fading = inactivity_time(account, program, now)
    fades = 0 if fading is None else _outlasting(account, fading)
    return Schedule(tuple(items), never, fading if fades else None, fades)


def _outlasting(account: Account, instant: int) -> int:
    """Points that can be spent at an instant (µs), if nothing else happens until then."""
    lots = [lot for lot in account.lots if lot.expire_time is None or lot.expire_time > instant]
    waiting = [
        lot
        for lot in account.pending_lots
        if lot.activate_time <= instant and (lot.expire_time is None or lot.expire_time > instant)
    ]
    return sum(lot.points for lot in lots) + sum(lot.points for lot in waiting)


def _dated(account: Account) -> Iterator[ScheduledExpiry]:
    for lot in account.lots:
        if lot.expire_time is not None:
            yield ScheduledExpiry(lot.expire_time, lot.points, "AVAILABLE")
    for waiting in account.pending_lots:
        if waiting.expire_time is not None:
            expire_time = max(waiting.expire_time, waiting.activate_time)
            yield ScheduledExpiry(expire_time, waiting.points, "PENDING", waiting.activate_time)
    for hold in account.holds:
        for lot in hold.lots:
            if lot.expire_time is not None:
                yield ScheduledExpiry(lot.expire_time, lot.points, "HELD")


def inactivity_time(account: Account, program: Program, lived: int) -> int | None:
    """When the balance expires for want of activity: the first such instant (µs) after `lived`.

    None when it does not, or when there is nothing that could. What comes in after one of these
    instants has passed over nothing has until the next.
    """
    if not program.inactivity or not (account.available or account.holds):
        return None
    found = (_inactivity_under(rule, account, program, lived) for rule in program.inactivity)
    return min((instant for instant in found if instant is not None), default=None)


def _inactivity_under(
    rule: InactivityRule, account: Account, program: Program, lived: int
) -> int | None:
    if rule.end is not None and rule.end <= lived:
        return None
    zone = program.zone
    day = local_day(account.active_time or account.enroll_time, zone)
    if rule.since_day is not None:
        day = max(day, rule.since_day)
    instant = month_end(day, rule.months, zone)
    while instant <= lived or (rule.start is not None and instant < rule.start):
        instant = month_end(local_day(instant, zone), rule.months, zone)
    return instant if rule.end is None or instant < rule.end else None


def next_alarm(account: Account, program: Program, lived: int, fading: int | None) -> Alarm | None:
    """The first instant after `lived` (µs) at which there is something to warn of, as things stand.

    `fading` is when the balance expires for want of activity.
    """
    if not program.warns or not account.lots:
        return None
    for version in program.versions[program.in_force(lived).version - 1 :]:
        if version.rules.warn_days:
            start = lived if version.version == 1 else max(lived, version.effective_time - 1)
            first = _first_alarm(account, program, version, start, fading)
            if first is not None:
                return first  # later versions warn later
    return None


def _first_alarm(
    account: Account, program: Program, version: RulesVersion, after: int, fading: int | None
) -> Alarm | None:
    """The first alarm after an instant (µs) while a rules version is in force."""
    following = program.versions[version.version : version.version + 1]
    first: Alarm | None = None
    for instant, warning in _alarms(account, program, version.rules.warn_days, after, fading):
        if following and instant >= following[0].effective_time:
            continue
        if first is None or instant < first.instant:
            first = Alarm(instant, [warning])
        elif instant == first.instant:
            first.warnings.append(warning)
    return first


def _alarms(
    account: Account,
    program: Program,
    distances: tuple[int, ...],
    after: int,
    fading: int | None,
) -> Iterator[tuple[int, Warning]]:
    """The next warning at each distance, with its instant."""
    zone = program.zone
    for days in distances:
        lot = _next_lot(account.lots, days, program, after)
        if lot is not None and lot.expire_time is not None:
            instant = day_start(local_day(lot.expire_time, zone) - days, zone)
            yield instant, Warning(lot.expire_time, days, lot.points)
        if fading is not None and account.available:
            instant = day_start(local_day(fading, zone) - days, zone)
            if instant > after and instant >= _known_since(program, fading):
                yield instant, Warning(fading, days, account.available, True)


def _known_since(program: Program, fading: int) -> int:
    """Since when (µs) the rule has held by which a balance expires at an instant."""
    for rule in program.inactivity:
        begun = rule.start is None or rule.start <= fading
        if rule.start is not None and begun and (rule.end is None or fading < rule.end):
            return rule.start
    return 0


def _next_lot(lots: tuple[Lot, ...], days: int, program: Program, after: int) -> Lot | None:
    """The first lot whose warning, so many days ahead, lies after an instant (µs)."""
    zone = program.zone
    for lot in lots:
        if lot.expire_time is None:
            return None
        if day_start(local_day(lot.expire_time, zone) - days, zone) > after:
            return lot
    return None
