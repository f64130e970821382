"""Returns: what a purchase earned is taken back, in parts that add up exactly.

Rates, tier and promotions are those that the purchase was credited under. What is returned is
counted over all returns of a purchase, so that nothing is lost or doubled by rounding.
"""

from __future__ import annotations

import msgspec

from ledger.core.commands import RecordReturn
from ledger.core.earning import eligible_amount
from ledger.core.errors import (
    PurchaseNotFound,
    ReturnedPointsSpent,
    ReturnExceedsPurchase,
)
from ledger.core.instants import local_day
from ledger.core.lots import out_of, take
from ledger.core.membership import require_allowed
from ledger.core.model import (
    AVAILABLE,
    DEBT,
    ISSUANCE,
    PENDING,
    DayChange,
    Entry,
    EntryData,
    LotChange,
    PendingLot,
    PurchaseLine,
    ReturnData,
)
from ledger.core.money import format_minor
from ledger.core.posting import Context, Posting
from ledger.core.program import Program
from ledger.core.tiering import remember_from, tell_tier
from ledger.core.timing import happened, require_in_range


class _Shares:
    """Where the points of a return come from, account by account."""

    def __init__(self, posting: Posting, purchase: Entry, points: int) -> None:
        account = posting.account
        lots = purchase.data.lots
        waiting = {(lot.activate_time, lot.expire_time) for lot in lots}
        self.pending: list[LotChange] = []
        left = points
        for lot in account.pending_lots:
            part = min(left, lot.points)
            if part and (lot.activate_time, lot.expire_time) in waiting:
                self.pending.append(_out_of_pending(lot, part))
                left -= part
        self.available = take(account.lots, left, first={lot.expire_time for lot in lots})
        self.pending_points = -sum(change.points for change in self.pending)
        self.available_points = sum(lot.points for lot in self.available)
        #: what is missing
        self.shortfall = left - self.available_points


def _out_of_pending(lot: PendingLot, points: int) -> LotChange:
    return LotChange(-points, lot.expire_time, lot.activate_time)


def record_return(posting: Posting, command: RecordReturn, context: Context) -> None:
    """Post RETURN, once for each ledger account that points come from.

    Raises PURCHASE_NOT_FOUND, MEMBER_NOT_ACTIVE, EFFECTIVE_TIME_OUT_OF_RANGE,
    RETURN_EXCEEDS_PURCHASE, RETURNED_POINTS_SPENT.
    """
    subject = context.subject
    if subject is None or subject.entry.purchase_id != command.purchase_id:
        raise PurchaseNotFound(member_id=posting.member_id, purchase_id=command.purchase_id)
    purchase = subject.entry
    require_allowed(posting, command)
    effective_time, version = happened(posting, command.effective_time)
    require_in_range(posting, effective_time, version)
    before = subject.latest.data.returned if subject.latest is not None else None
    if before is None:
        before = ReturnData(purchase.sequence, 0, 0, 0)
    after = _returned(purchase, before, command, posting.program)
    points = after.points - before.points
    shares = _Shares(posting, purchase, points)
    shortfall = posting.rules_now.rules.shortfall
    if shares.shortfall and shortfall == "REFUSE":
        raise ReturnedPointsSpent(available=points - shares.shortfall, required=points)
    forgiven = shares.shortfall if shortfall == "FORGIVE" else 0
    change = _day_change(posting, purchase, before, after)
    data = EntryData(
        amount=after.amount - before.amount,
        eligible=after.eligible - before.eligible,
        lines=command.lines,
        day=change,
        returned=after,
        forgiven_points=forgiven,
        unmarks=purchase.data.marks if after.full else (),
    )
    tell_tier(posting, data, change)
    parts = [
        (PENDING, shares.pending_points, tuple(shares.pending)),
        (AVAILABLE, shares.available_points, out_of(shares.available)),
        (DEBT, shares.shortfall - forgiven, ()),
    ]
    parts = [part for part in parts if part[1]] or [("", 0, ())]
    for index, (source, taken, lots) in enumerate(parts):
        page = data if not index else EntryData()
        page.lots = lots
        posting.post(
            "RETURN",
            -taken,
            page,
            debit=source,
            credit=ISSUANCE,
            effective_time=effective_time,
            rules_version=posting.rules_now.version,
            command=command,
            purchase_id=command.purchase_id,
            subject_sequence=0 if index else purchase.sequence,
        )


def _returned(
    purchase: Entry, before: ReturnData, command: RecordReturn, program: Program
) -> ReturnData:
    """What has been returned with this return. Raises RETURN_EXCEEDS_PURCHASE."""
    bought, earning = purchase.data.amount or 0, purchase.data.eligible or 0
    left, left_earning = bought - before.amount, earning - before.eligible
    lines = before.lines
    if command.full:
        amount, eligible = left, left_earning
    elif command.lines:
        amount = sum([line.amount for line in command.lines])
        rules = program.versions[purchase.rules_version - 1].rules
        eligible = min(left_earning, eligible_amount(amount, command.lines, rules))
        lines = _merged(before.lines, command.lines)
        _require_bought(purchase, lines, program)
    else:
        amount = command.amount or 0
        eligible = left_earning * amount // left if 0 < amount <= left else 0
    if amount > left or before.full:
        raise ReturnExceedsPurchase(
            purchase_id=purchase.purchase_id,
            left=format_minor(0 if before.full else left, program.currency),
            returned="all" if command.full else format_minor(amount, program.currency),
        )
    full = amount == left
    returned = before.eligible + (left_earning if full else eligible)
    return ReturnData(
        purchase.sequence,
        before.amount + amount,
        returned,
        purchase.points if full else share(purchase, returned),
        full,
        lines,
    )


def share(purchase: Entry, returned: int) -> int:
    """Points that so many returned minor units of what had earned stand for.

    Bonuses go only with the whole purchase; what a cap has cut was cut of them first.
    """
    lines = purchase.data.breakdown
    bonuses = sum([line.points for line in lines if line.rule.startswith("bonus:")])
    cut = -sum([line.points for line in lines if line.rule.startswith("cap:")])
    regular = purchase.points - max(0, bonuses - cut)
    earning = purchase.data.eligible or 0
    return regular * returned // earning if earning else 0


def _merged(
    lines: tuple[PurchaseLine, ...], more: tuple[PurchaseLine, ...]
) -> tuple[PurchaseLine, ...]:
    """Lines added up by article and category, in the order in which they first came."""
    merged: dict[tuple[str, str], PurchaseLine] = {}
    for line in (*lines, *more):
        key = (line.sku, line.category)
        known = merged.get(key)
        if known is not None:
            quantity, amount = known.quantity + line.quantity, known.amount + line.amount
            line = msgspec.structs.replace(line, quantity=quantity, amount=amount)
        merged[key] = line
    return tuple(merged.values())


def _require_bought(purchase: Entry, returned: tuple[PurchaseLine, ...], program: Program) -> None:
    """Raises RETURN_EXCEEDS_PURCHASE for lines that were not bought, or not so much of them."""
    bought = {(line.sku, line.category): line for line in _merged((), purchase.data.lines)}
    for line in returned:
        known = bought.get((line.sku, line.category), PurchaseLine("", "", 0, 0))
        too_many = known.quantity and line.quantity > known.quantity
        if line.amount > known.amount or too_many:
            raise ReturnExceedsPurchase(
                purchase_id=purchase.purchase_id,
                left=f"{_pieces(known, program)} of {line.sku!r} in category {line.category!r}",
                returned=_pieces(line, program),
            )


def _pieces(line: PurchaseLine, program: Program) -> str:
    """`2 for 6.40 EUR`, or the amount alone."""
    amount = format_minor(line.amount, program.currency)
    return f"{line.quantity} for {amount}" if line.quantity else amount


def _day_change(
    posting: Posting, purchase: Entry, before: ReturnData, after: ReturnData
) -> DayChange | None:
    """What a return takes from the local day of its purchase, as far as that is remembered."""
    counted = purchase.data.day
    if counted is None:
        return None
    day = local_day(purchase.effective_time, posting.program.zone)
    known = next((each for each in posting.account.days if each.day == day), None)
    purchases = counted.purchases if after.full else 0
    if known is None:
        visits = min(counted.visits, posting.account.visits) if after.full else 0
        if not visits:
            return None
        return DayChange(day, 0, remember_from(posting), visits=-visits)
    per_day = posting.program.versions[purchase.rules_version - 1].rules.visits_per_day
    purchases = min(purchases, known.purchases)
    visits = min(known.purchases, per_day) - min(known.purchases - purchases, per_day)
    return DayChange(
        day,
        -min(known.earned, after.points - before.points),
        remember_from(posting),
        -purchases,
        -min(known.spend, after.eligible - before.eligible),
        -min(visits, posting.account.visits),
    )
