"""Decide what a command posts: `decide(account, command, context) -> Posting` or a LedgerError.

Pure: everything known about the world outside the account comes in the Context. Whatever time has
made due is posted before the command (`settle`) and once more after it, because what a late upload
brings may be due already. A refusal posts nothing at all.
"""

from __future__ import annotations

from ledger.core.commands import (
    Command,
    EnrollMember,
    OverrideTier,
    RecordActivity,
    RecordPurchase,
    Settle,
)
from ledger.core.due import settle
from ledger.core.earning import Basket, earn, eligible_amount, lot_of, lots_of
from ledger.core.errors import (
    EffectiveTimeOutOfRange,
    MemberAlreadyEnrolled,
    MemberNotFound,
    PurchaseAlreadyRecorded,
    invalid,
)
from ledger.core.giving import give
from ledger.core.instants import MINUTE, day_start, format_instant, local_day, local_minute
from ledger.core.model import (
    AVAILABLE,
    ISSUANCE,
    MAX_POINTS,
    PENDING,
    Account,
    BreakdownLine,
    DayChange,
    EntryData,
    LotChange,
    MarkChange,
)
from ledger.core.posting import Context, Posting
from ledger.core.program import RulesVersion
from ledger.core.rules import Bonus, Limit, Rules
from ledger.core.tiering import override_tier, remember_from, rise, tell_tier

#: a till's clock may be this far ahead; such an effective_time counts as now
CLOCK_TOLERANCE = 5 * MINUTE


def decide(account: Account | None, command: Command, context: Context) -> Posting:
    """The entries that a command posts, and the account after them.

    Raises in this order: MEMBER_ALREADY_ENROLLED, MEMBER_NOT_FOUND, PURCHASE_ALREADY_RECORDED,
    EFFECTIVE_TIME_OUT_OF_RANGE, INVALID_FIELD (what it earns does not fit the ledger).
    """
    posting = Posting(account, command.member_id, context)
    settle(posting)
    posting.own = len(posting.entries)
    match command:
        case RecordPurchase():
            _record_purchase(posting, account is None, command, context)
        case EnrollMember():
            _enroll_member(posting, account is None, command, context)
        case RecordActivity():
            _require_member(account, command)
            _record_activity(posting, command)
        case OverrideTier():
            _require_member(account, command)
            override_tier(posting, command)
        case Settle():
            posting.own = 0
            return posting
        case _:
            raise TypeError(f"no rule decides {type(command).__name__}")
    settle(posting)
    posting.close(command)
    return posting


def other_member(account: Account | None, command: Command) -> str:
    """The other member that a command may concern; empty: none. `account` is the command's own."""
    if isinstance(command, EnrollMember):
        return command.referrer_member_id
    if isinstance(command, RecordPurchase) and account is not None:
        return account.referrer
    return ""


def _require_member(account: Account | None, command: Command) -> None:
    if account is None:
        raise MemberNotFound(member_id=command.member_id, program_id=command.program_id)


def _enroll_member(
    posting: Posting, unknown: bool, command: EnrollMember, context: Context
) -> None:
    if not unknown:
        raise MemberAlreadyEnrolled(member_id=command.member_id)
    referrer = command.referrer_member_id
    if referrer == command.member_id:
        raise invalid("referrer_member_id", "must be another member")
    if referrer and referrer not in context.others:
        raise MemberNotFound(member_id=referrer, program_id=command.program_id)
    effective_time, version = _when(posting, command.effective_time)
    _require_in_range(posting, effective_time, version)
    data = EntryData(birthday=command.birthday, related_member_id=referrer)
    _open_account(posting, command, data, effective_time, version)


def _open_account(
    posting: Posting,
    command: Command,
    data: EntryData,
    effective_time: int,
    version: RulesVersion,
) -> None:
    """Post ENROLLED and what the program gives for enrolling."""
    tell_tier(posting, data, enroll_time=effective_time)
    posting.post(
        "ENROLLED",
        0,
        data,
        effective_time=effective_time,
        rules_version=version.version,
        command=command,
    )
    for bonus in version.rules.bonuses_on("ENROLLMENT"):
        give(
            posting,
            f"bonus:{bonus.id}",
            bonus.points,
            effective_time,
            version,
            expires_days=bonus.expires_days,
            command=command,
        )


def _record_activity(posting: Posting, command: RecordActivity) -> None:
    effective_time, version = _when(posting, command.effective_time)
    _require_in_range(posting, effective_time, version)
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
        if bonus.activity == command.activity and _has_room(posting.account, bonus, day):
            rule = f"bonus:{bonus.id}"
            lines.append(BreakdownLine(rule, bonus.points))
            lots.append(
                lot_of(bonus.points, day, zone, version.rules, expires_days=bonus.expires_days)
            )
            if bonus.per_member is not None:
                marks.append(_mark_of(posting, rule, day, bonus.per_member))
    points = sum([line.points for line in lines])
    data = EntryData(
        breakdown=tuple(lines), lots=tuple(lots), marks=tuple(marks), activity=command.activity
    )
    tell_tier(posting, data)
    posting.post(
        "ACTIVITY",
        points,
        data,
        debit=ISSUANCE if points else "",
        credit=AVAILABLE if points else "",
        effective_time=effective_time,
        rules_version=version.version,
        command=command,
    )


def _has_room(account: Account, bonus: Bonus, day: int) -> bool:
    """Whether a member may be given a bonus once more on a local day."""
    limit = bonus.per_member
    if limit is None:
        return True
    given = account.marked(f"bonus:{bonus.id}")
    if limit.days is None:
        return len(given) < limit.count
    # A late one lies between others: no run of days that it falls in may have too many.
    last_days = [day, *(one for one in given if day < one < day + limit.days)]
    return all(
        sum(last - limit.days < one <= last for one in given) < limit.count for last in last_days
    )


def _mark_of(posting: Posting, rule: str, day: int, limit: Limit) -> MarkChange:
    """The mark that a rule with a limit leaves: as long as a late upload could meet it."""
    if limit.days is None:
        return MarkChange(rule, day, limit.count)
    oldest = posting.today - posting.program.longest_backdate_days
    return MarkChange(rule, day, 0, oldest - limit.days)


def _record_purchase(
    posting: Posting, unknown: bool, command: RecordPurchase, context: Context
) -> None:
    effective_time, version = _when(posting, command.effective_time)
    if unknown and not version.rules.auto_enroll:
        raise MemberNotFound(member_id=command.member_id, program_id=command.program_id)
    credited = context.purchases.get(command.purchase_id)
    if credited is not None:
        # Only the member who has the receipt may learn where it stands.
        own = credited.member_id == command.member_id
        place = {"sequence": credited.sequence} if own else {}
        raise PurchaseAlreadyRecorded(purchase_id=command.purchase_id, **place)
    _require_in_range(posting, effective_time, version)
    if unknown:
        _open_account(posting, command, EntryData(), effective_time, version)
    referrer = posting.account.referrer
    visit = _credit_purchase(posting, command, context, effective_time, version)
    if visit and referrer:
        _thank_for_referral(posting, command, context, referrer, effective_time, version)


def _credit_purchase(
    posting: Posting,
    command: RecordPurchase,
    context: Context,
    effective_time: int,
    version: RulesVersion,
) -> bool:
    """Post the purchase and the tier it leads to; whether it is a visit more."""
    program, rules, account = posting.program, version.rules, posting.account
    day = local_day(effective_time, program.zone)
    eligible = eligible_amount(command.amount, command.lines, rules)
    earned_that_day = purchases = 0
    for known in account.days:
        if known.day == day:
            earned_that_day, purchases = known.earned, known.purchases
    counts = program.remembers_days or bool(account.referrer)
    qualifies = counts and 0 < eligible >= rules.visit_minimum
    visits = int(qualifies and purchases < rules.visits_per_day)
    basket = Basket(
        eligible=eligible,
        lines=command.lines,
        day=day,
        minute=local_minute(effective_time, program.zone) if rules.promotions else 0,
        location_id=command.location_id,
        level=_level_held(posting, rules),
        visit=account.visits + 1 if visits else 0,
        earned_that_day=earned_that_day,
    )
    earned = earn(rules, basket, account, context.budgets)
    points = sum([line.points for line in earned.breakdown])
    if sum([line.points for line in earned.breakdown if line.points > 0]) > MAX_POINTS:
        raise invalid("amount", f"would earn more than {MAX_POINTS} points before any cap")
    lots = lots_of(earned.parts, day, program.zone, rules, pending_days=rules.pending_days)
    change = None
    if counts:
        forget_before = remember_from(posting)
        change = DayChange(day, points, forget_before, int(qualifies), eligible, visits)
    data = EntryData(
        breakdown=earned.breakdown,
        lots=lots,
        amount=command.amount,
        eligible=eligible,
        lines=command.lines,
        day=change,
        marks=earned.marks,
    )
    standing = tell_tier(posting, data, change)
    waiting = bool(lots) and lots[0].activate_time is not None
    posting.post(
        "PURCHASE",
        points,
        data,
        debit=ISSUANCE if points else "",
        credit=(PENDING if waiting else AVAILABLE) if points else "",
        effective_time=effective_time,
        rules_version=version.version,
        command=command,
        purchase_id=command.purchase_id,
    )
    posting.spent = earned.spent
    if eligible:
        rise(posting, standing, command)
    return bool(visits)


def _level_held(posting: Posting, rules: Rules) -> str:
    """The level that counts under the rules: the one held or, in a version that did not know it
    yet, the highest beneath it; who has none yet has the lowest."""
    tiers, present = rules.tiers, posting.rules_now.rules.tiers
    if tiers is None:
        return ""
    held = posting.account.tier_id
    if held not in tiers.ranks and present is not None:
        beneath = present.levels[: present.rank(held)]
        held = next((level.id for level in reversed(beneath) if level.id in tiers.ranks), "")
    return tiers.levels[tiers.rank(held)].id


def _thank_for_referral(
    posting: Posting,
    command: RecordPurchase,
    context: Context,
    referrer: str,
    effective_time: int,
    version: RulesVersion,
) -> None:
    """Give both sides of a referral what the program gives at the referee's first visit."""
    bonuses = version.rules.bonuses_on("REFERRAL")
    for bonus in bonuses:
        if bonus.referee_points:
            give(
                posting,
                f"bonus:{bonus.id}",
                bonus.referee_points,
                effective_time,
                version,
                expires_days=bonus.expires_days,
                command=command,
                related_member_id=referrer,
            )
    if not bonuses:
        return
    page = Posting(context.others[referrer], referrer, context)
    settle(page)
    for bonus in bonuses:
        give(
            page,
            f"bonus:{bonus.id}",
            bonus.points,
            min(effective_time, page.now),
            version,
            expires_days=bonus.expires_days,
            actor=posting.actor,
            related_member_id=posting.member_id,
        )
    settle(page)
    posting.others.append(page)


def _when(posting: Posting, requested: int | None) -> tuple[int, RulesVersion]:
    """When it happened, possible or not, and the rules in force then."""
    now, program = posting.now, posting.program
    if requested is None or now <= requested <= now + CLOCK_TOLERANCE:
        requested = now
    return requested, program.in_force(requested)


def _require_in_range(posting: Posting, effective_time: int, version: RulesVersion) -> None:
    """Raises EFFECTIVE_TIME_OUT_OF_RANGE for the future and for what is too long ago."""
    now, zone = posting.now, posting.program.zone
    earliest = day_start(local_day(now, zone) - version.rules.backdate_days, zone)
    if not earliest <= effective_time <= now:
        raise EffectiveTimeOutOfRange(
            effective_time=format_instant(effective_time),
            earliest=format_instant(earliest),
            latest=format_instant(now + CLOCK_TOLERANCE),
        )
