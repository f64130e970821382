"""Tiers as messages: what a member holds, and why it changed. Messages are filled in place."""

from __future__ import annotations

from ledger.core.instants import day_start
from ledger.core.model import Entry, TierReason, TierState
from ledger.core.program import Program
from ledger.core.status import Missing, TierStatus
from ledger.rpc.wellknown import money, timestamp
from ledger.v1 import types_pb2

#: the proto numbers of the reasons of a change, by the names that the journal uses
_REASON_NUMBERS = {
    name.removeprefix("TIER_CHANGE_REASON_"): types_pb2.TierChangeReason.Value(name)
    for name in types_pb2.TierChangeReason.keys()  # noqa: SIM118 (not a mapping)
}


def fill_tier_status(
    message: types_pb2.TierStatus, status: TierStatus | None, program: Program
) -> None:
    """What a member holds; None, in a program without tiers, leaves the message empty."""
    if status is None:
        return
    message.tier_id = status.tier_id
    message.name = status.name
    message.benefits.extend(status.benefits)
    message.since_time.CopyFrom(timestamp(status.since_time))
    if status.valid_until_time is not None:
        message.valid_until_time.CopyFrom(timestamp(status.valid_until_time))
    if status.grace_until_time is not None:
        message.grace_until_time.CopyFrom(timestamp(status.grace_until_time))
    message.overridden = status.overridden
    message.period_start_time.CopyFrom(timestamp(status.period_start_time))
    if status.period_end_time is not None:
        message.period_end_time.CopyFrom(timestamp(status.period_end_time))
    message.visits = status.visits
    message.spend.CopyFrom(money(status.spend, program.currency))
    if status.next is not None:
        _fill_missing(message.next, status.next, program)
    if status.keep is not None:
        _fill_missing(message.keep, status.keep, program)


def _fill_missing(
    message: types_pb2.TierStatus.Missing, missing: Missing, program: Program
) -> None:
    message.tier_id = missing.tier_id
    message.name = missing.name
    message.visits_missing = missing.visits
    message.spend_missing.CopyFrom(money(missing.spend, program.currency))
    message.either = missing.either
    message.from_time.CopyFrom(timestamp(missing.from_time))
    if missing.by_time is not None:
        message.by_time.CopyFrom(timestamp(missing.by_time))


def fill_tier_change(
    message: types_pb2.TierChange,
    why: TierReason,
    state: TierState,
    entry: Entry,
    program: Program,
) -> None:
    """Why an entry changed the tier into `state`."""
    message.reason = _REASON_NUMBERS[why.reason]  # type: ignore[assignment]
    message.from_tier_id = why.from_tier
    message.to_tier_id = entry.tier_id
    message.visits = why.visits
    message.spend.CopyFrom(money(why.spend, program.currency))
    if why.visits_needed is not None:
        message.visits_needed = why.visits_needed
    if why.spend_needed is not None:
        message.spend_needed.CopyFrom(money(why.spend_needed, program.currency))
    message.period_start_time.CopyFrom(timestamp(day_start(why.start_day, program.zone)))
    message.period_end_time.CopyFrom(timestamp(day_start(why.end_day + 1, program.zone)))
    valid_until = state.override_until if state.override else state.valid_until
    if valid_until is not None:
        message.valid_until_time.CopyFrom(timestamp(valid_until))
    if why.note:
        message.note = why.note
