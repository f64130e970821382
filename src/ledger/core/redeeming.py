"""Redemptions in one step, and giving redeemed points back."""

from __future__ import annotations

import msgspec

from ledger.core.commands import RedeemPoints, ReverseRedemption
from ledger.core.errors import RedemptionNotFound, ReversalExceedsRedemption
from ledger.core.ids import sequence_of_redemption
from ledger.core.instants import day_start
from ledger.core.limits import taken_back
from ledger.core.lots import into, last_taken, out_of, take, taken_by
from ledger.core.membership import require_allowed
from ledger.core.model import (
    AVAILABLE,
    REDEEMED,
    Entry,
    EntryData,
    Lot,
    RedemptionData,
)
from ledger.core.posting import Context, Posting
from ledger.core.rewards import price, wanted_reward, worth_of
from ledger.core.timing import happened, require_in_range


def redeem_points(posting: Posting, command: RedeemPoints, context: Context) -> None:
    """Post REDEMPTION: what is spent is what can be spent now, whenever it happened."""
    reward = wanted_reward(posting, command.reward_id)
    require_allowed(posting, command)
    effective_time, then = happened(posting, command.effective_time)
    require_in_range(posting, effective_time, then)
    asked = price(posting, reward, command.points, context.taken)
    worth = worth_of(reward, asked.points, posting.rules_now.rules)
    redemption = RedemptionData(
        posting.account.version + 1,
        asked.points,
        worth.value,
        worth.percent_off,
        asked.units,
        asked.day,
    )
    posting.post(
        "REDEMPTION",
        -asked.points,
        EntryData(
            lots=out_of(take(posting.account.lots, asked.points)),
            redemption=redemption,
            reward_id=command.reward_id,
            units=asked.units,
            marks=asked.marks,
            counted=asked.counted,
        ),
        debit=AVAILABLE,
        credit=REDEEMED,
        effective_time=effective_time,
        rules_version=posting.rules_now.version,
        command=command,
    )


def reverse_redemption(posting: Posting, command: ReverseRedemption, context: Context) -> None:
    """Post REDEMPTION_REVERSAL. A reward is given back, with its unit, once all of it is."""
    redeemed = _redemption(posting, command, context)
    require_allowed(posting, command)
    assert context.subject is not None
    latest = context.subject.latest or redeemed
    before = latest.data.redemption
    assert before is not None
    left = before.points - before.reversed_points
    points = left if command.points is None else command.points
    if points > left or before.reversed:
        raise ReversalExceedsRedemption(
            redemption_id=command.redemption_id, left=left, required=points
        )
    given_back = before.reversed_points + points
    full = given_back == before.points
    made_under = posting.program.versions[redeemed.rules_version - 1].rules
    uncounted = taken_back(made_under, redeemed.data.reward_id, before.day, points, whole=full)
    back = last_taken(taken_by(redeemed.data.lots), before.reversed_points, points)
    posting.post(
        "REDEMPTION_REVERSAL",
        points,
        EntryData(
            lots=into([_restored(posting, lot) for lot in back]),
            redemption=msgspec.structs.replace(before, reversed_points=given_back, reversed=full),
            reward_id=redeemed.data.reward_id,
            units=-before.units if full else 0,
            unmarks=uncounted.unmarks,
            counted=uncounted.counted,
        ),
        debit=REDEEMED,
        credit=AVAILABLE,
        effective_time=posting.now,
        rules_version=posting.rules_now.version,
        subject_sequence=redeemed.sequence,
        command=command,
    )


def _redemption(posting: Posting, command: ReverseRedemption, context: Context) -> Entry:
    """The entry that redeemed. Raises REDEMPTION_NOT_FOUND."""
    sequence = sequence_of_redemption(command.redemption_id, posting.program, posting.member_id)
    entry = None if context.subject is None else context.subject.entry
    made = None if entry is None else entry.data.redemption
    if entry is None or made is None or not made.sequence == entry.sequence == sequence:
        raise RedemptionNotFound(member_id=posting.member_id, redemption_id=command.redemption_id)
    return entry


def _restored(posting: Posting, lot: Lot) -> Lot:
    """The lot that points go back to: past its date, they live some days more."""
    days = posting.rules_now.rules.restore_grace_days
    if lot.expire_time is None or lot.expire_time > posting.now or not days:
        return lot
    return Lot(day_start(posting.today + days + 1, posting.program.zone), lot.points)
