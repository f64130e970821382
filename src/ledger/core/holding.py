"""Holds: points reserved until they are captured, released or the time is over."""

from __future__ import annotations

from ledger.core.commands import CaptureHold, Command, ExtendHold, HoldPoints, ReleaseHold
from ledger.core.errors import (
    CaptureExceedsHold,
    HoldClosed,
    HoldExpired,
    HoldNotFound,
    invalid,
)
from ledger.core.ids import sequence_of_hold
from ledger.core.instants import format_instant
from ledger.core.limits import taken_back
from ledger.core.lots import into, out_of, take
from ledger.core.membership import require_allowed
from ledger.core.model import (
    AVAILABLE,
    HELD,
    REDEEMED,
    EntryData,
    Hold,
    HoldData,
    Lot,
    LotChange,
    RedemptionData,
)
from ledger.core.posting import Context, Posting
from ledger.core.rewards import price, wanted_reward, worth_of_hold


def hold_points(posting: Posting, command: HoldPoints, context: Context) -> None:
    """Post HOLD."""
    reward = wanted_reward(posting, command.reward_id)
    require_allowed(posting, command)
    asked = price(posting, reward, command.points, context.taken)
    sequence = posting.account.version + 1
    lots = take(posting.account.lots, asked.points)
    posting.post(
        "HOLD",
        -asked.points,
        EntryData(
            lots=(*out_of(lots), *into(lots, hold=sequence)),
            hold=HoldData(sequence, "OPEN", asked.points, _lapse_time(posting, command.ttl)),
            reward_id=command.reward_id,
            units=asked.units,
            marks=asked.marks,
            counted=asked.counted,
        ),
        debit=AVAILABLE,
        credit=HELD,
        effective_time=posting.now,
        rules_version=posting.rules_now.version,
        command=command,
    )


def capture_hold(posting: Posting, command: CaptureHold, context: Context) -> None:
    """Post CAPTURE and, for what is not captured, RELEASE."""
    hold = _open_hold(posting, command, command.hold_id, context)
    points = hold.points if command.points is None else command.points
    if points > hold.points:
        raise CaptureExceedsHold(hold_id=command.hold_id, held=hold.points, required=points)
    if hold.reward_id and points != hold.points:
        raise invalid("points", f"must be absent or {hold.points}: a reward is captured whole")
    lots = take(hold.lots, points)
    worth = worth_of_hold(posting.program, hold, points)
    ended = HoldData(hold.sequence, "CAPTURED", hold.points, hold.expire_time, points)
    posting.post(
        "CAPTURE",
        -points,
        EntryData(
            lots=out_of(lots, hold=hold.sequence),
            hold=ended,
            redemption=RedemptionData(
                posting.account.version + 1,
                points,
                worth.value,
                worth.percent_off,
                hold.units,
                hold.day,
            ),
            reward_id=hold.reward_id,
        ),
        debit=HELD,
        credit=REDEEMED,
        effective_time=posting.now,
        rules_version=hold.version,
        subject_sequence=hold.sequence,
        command=command,
    )
    if points < hold.points:
        rest = next(each for each in posting.account.holds if each.sequence == hold.sequence)
        _give_back(posting, rest, ended, effective_time=posting.now, command=command)


def release_hold(posting: Posting, command: ReleaseHold, context: Context) -> None:
    """Post RELEASE."""
    hold = _open_hold(posting, command, command.hold_id, context)
    end_hold(posting, hold, "RELEASED", effective_time=posting.now, command=command)


def extend_hold(posting: Posting, command: ExtendHold, context: Context) -> None:
    """Post HOLD again, with the later end and no points."""
    hold = _open_hold(posting, command, command.hold_id, context)
    expire_time = max(hold.expire_time, _lapse_time(posting, command.ttl))
    posting.post(
        "HOLD",
        0,
        EntryData(
            hold=HoldData(hold.sequence, "OPEN", hold.points, expire_time),
            reward_id=hold.reward_id,
        ),
        effective_time=posting.now,
        rules_version=posting.rules_now.version,
        subject_sequence=hold.sequence,
        command=command,
    )


def _lapse_time(posting: Posting, ttl: int | None) -> int:
    """When a hold lapses (µs) that is to last so long from now; None: as the rules say."""
    return posting.now + (posting.rules_now.rules.hold_ttl if ttl is None else ttl)


def end_hold(
    posting: Posting, hold: Hold, state: str, *, effective_time: int, command: Command | None = None
) -> None:
    """Give back all that is held, with the unit and the use of a reward that were reserved."""
    ended = HoldData(hold.sequence, state, hold.points, hold.expire_time)
    _give_back(posting, hold, ended, effective_time=effective_time, command=command, unused=True)


def _give_back(
    posting: Posting,
    hold: Hold,
    ended: HoldData,
    *,
    effective_time: int,
    command: Command | None,
    unused: bool = False,
) -> None:
    points = sum(lot.points for lot in hold.lots)
    made_under = posting.program.versions[hold.version - 1].rules
    uncounted = taken_back(made_under, hold.reward_id, hold.day, points, whole=unused)
    posting.post(
        "RELEASE",
        points,
        EntryData(
            lots=(*out_of(hold.lots, hold=hold.sequence), *_returning(posting, hold)),
            hold=ended,
            reward_id=hold.reward_id,
            units=-hold.units if unused else 0,
            unmarks=uncounted.unmarks,
            counted=uncounted.counted,
        ),
        debit=HELD,
        credit=AVAILABLE,
        effective_time=effective_time,
        rules_version=posting.program.in_force(effective_time).version,
        subject_sequence=hold.sequence,
        command=command,
    )


def _returning(posting: Posting, hold: Hold) -> tuple[LotChange, ...]:
    """The lots that held points return to. Where the balance expired meanwhile for want of
    activity, theirs is that date too."""
    faded = posting.account.faded_time
    if hold.sequence > posting.account.faded_sequence:
        return into(hold.lots)
    return into(
        Lot(faded if lot.expire_time is None else min(lot.expire_time, faded), lot.points)
        for lot in hold.lots
    )


def _open_hold(posting: Posting, command: Command, hold_id: str, context: Context) -> Hold:
    """The open hold of this id.

    Raises HOLD_NOT_FOUND, MEMBER_NOT_ACTIVE, HOLD_CLOSED, HOLD_EXPIRED.
    """
    sequence = sequence_of_hold(hold_id, posting.program, posting.member_id)
    subject = context.subject
    made = None if subject is None else subject.entry.data.hold
    if subject is None or made is None or not made.sequence == subject.entry.sequence == sequence:
        raise HoldNotFound(member_id=posting.member_id, hold_id=hold_id)
    require_allowed(posting, command)
    for hold in posting.account.holds:
        if hold.sequence == sequence:
            return hold
    ends = [entry for entry in posting.entries if entry.subject_sequence == sequence]
    last = ends[-1] if ends else subject.latest
    ended = None if last is None else last.data.hold
    assert ended is not None  # it is open, or something has ended it
    if ended.state == "LAPSED":
        raise HoldExpired(hold_id=hold_id, expire_time=format_instant(ended.expire_time))
    raise HoldClosed(hold_id=hold_id, state=ended.state)
