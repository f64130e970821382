"""A purchase: the points it earns, the tier it leads to, the friend who is thanked for it."""

from __future__ import annotations

from ledger.core.commands import RecordPurchase
from ledger.core.due import settle
from ledger.core.earning import Basket, earn, eligible_amount, lots_of
from ledger.core.enrolling import open_account
from ledger.core.errors import MemberNotFound, PurchaseAlreadyRecorded, invalid
from ledger.core.giving import give_bonus
from ledger.core.instants import local_day, local_minute
from ledger.core.membership import READ_ONLY, require_allowed
from ledger.core.model import AVAILABLE, ISSUANCE, MAX_POINTS, PENDING, DayChange, EntryData
from ledger.core.posting import Context, Posting
from ledger.core.program import RulesVersion
from ledger.core.rules import Rules
from ledger.core.tiering import remember_from, rise, tell_tier
from ledger.core.timing import happened, require_in_range


def record_purchase(posting: Posting, command: RecordPurchase, context: Context) -> None:
    """Post PURCHASE and what follows from it.

    Raises MEMBER_NOT_FOUND, MEMBER_NOT_ACTIVE, PURCHASE_ALREADY_RECORDED,
    EFFECTIVE_TIME_OUT_OF_RANGE; INVALID_FIELD when it would earn more than an entry can hold.
    """
    effective_time, version = happened(posting, command.effective_time)
    if not posting.known and not version.rules.auto_enroll:
        raise MemberNotFound(member_id=command.member_id, program_id=command.program_id)
    if posting.known:
        require_allowed(posting, command)
    credited = context.purchases.get(command.purchase_id)
    if credited is not None:
        # Only the member who has the receipt may learn where it stands.
        own = credited.member_id == command.member_id
        place = {"sequence": credited.sequence} if own else {}
        raise PurchaseAlreadyRecorded(purchase_id=command.purchase_id, **place)
    require_in_range(posting, effective_time, version)
    if not posting.known:
        open_account(posting, command, EntryData(), effective_time, version)
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
        debit=ISSUANCE,
        credit=PENDING if waiting else AVAILABLE,
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
            give_bonus(
                posting,
                bonus,
                bonus.referee_points,
                effective_time,
                version,
                command=command,
                related_member_id=referrer,
            )
    if not bonuses or context.others[referrer].status in READ_ONLY:
        return
    page = Posting(context.others[referrer], referrer, context)
    settle(page)
    for bonus in bonuses:
        give_bonus(
            page,
            bonus,
            bonus.points,
            min(effective_time, page.now),
            version,
            actor=posting.actor,
            related_member_id=posting.member_id,
        )
    settle(page)
    posting.others.append(page)
