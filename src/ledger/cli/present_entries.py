"""How entries look to a person, in receipts and statements. Imports rich and the messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final
from zoneinfo import ZoneInfo

from rich.text import Text

from ledger.cli.messages import format_money, plural, status_name
from ledger.cli.present import from_day, moment, signed, through
from ledger.core.model import DEBT, PENDING
from ledger.v1 import types_pb2

_KINDS: Final = {
    types_pb2.ENTRY_KIND_ENROLLED: ("Enrolled", "cyan"),
    types_pb2.ENTRY_KIND_PURCHASE: ("Purchase", ""),
    types_pb2.ENTRY_KIND_ACTIVITY: ("Activity", ""),
    types_pb2.ENTRY_KIND_BONUS: ("Bonus", "magenta"),
    types_pb2.ENTRY_KIND_ADJUSTMENT: ("Adjustment", "magenta"),
    types_pb2.ENTRY_KIND_RETURN: ("Return", "red"),
    types_pb2.ENTRY_KIND_HOLD: ("Hold", "yellow"),
    types_pb2.ENTRY_KIND_CAPTURE: ("Captured", ""),
    types_pb2.ENTRY_KIND_RELEASE: ("Released", "blue"),
    types_pb2.ENTRY_KIND_REDEMPTION: ("Redeemed", ""),
    types_pb2.ENTRY_KIND_REDEMPTION_REVERSAL: ("Given back", "blue"),
    types_pb2.ENTRY_KIND_EXPIRY: ("Expired", "red"),
    types_pb2.ENTRY_KIND_ACTIVATION: ("Activated", "blue"),
    types_pb2.ENTRY_KIND_TRANSFER_OUT: ("Transfer to", ""),
    types_pb2.ENTRY_KIND_TRANSFER_IN: ("Transfer from", ""),
    types_pb2.ENTRY_KIND_TIER_CHANGE: ("Tier", "bold yellow"),
    types_pb2.ENTRY_KIND_STATUS_CHANGE: ("Status", "cyan"),
    types_pb2.ENTRY_KIND_DEBT_PAYMENT: ("Debt paid", "red"),
}

_TIER_REASONS: Final = {
    types_pb2.TIER_CHANGE_REASON_PROMOTED: "reached",
    types_pb2.TIER_CHANGE_REASON_RENEWED: "held anew",
    types_pb2.TIER_CHANGE_REASON_LOWERED: "not held anew",
    types_pb2.TIER_CHANGE_REASON_OVERRIDDEN: "by an operator's decision",
    types_pb2.TIER_CHANGE_REASON_OVERRIDE_ENDED: "the operator's decision has ended",
}


def kind(entry: types_pb2.Entry) -> Text:
    """A kind for people; one that is newer than this version is shown by its name."""
    if entry.kind == types_pb2.ENTRY_KIND_HOLD and entry.subject_sequence:
        return Text("Hold extended", style="yellow")
    if (
        entry.kind == types_pb2.ENTRY_KIND_RELEASE
        and entry.hold.state == types_pb2.HOLD_STATE_LAPSED
    ):
        return Text("Hold lapsed", style="blue")
    if entry.kind in _KINDS:
        return Text(*_KINDS[entry.kind])
    names = types_pb2.EntryKind
    known = entry.kind in names.values()
    return Text(
        names.Name(entry.kind).removeprefix("ENTRY_KIND_") if known else f"Kind {entry.kind}"
    )


def moved(entry: types_pb2.Entry) -> Text:
    """The points an entry moved; in brackets those that were gained or lost by another one."""
    if not entry.debit_account:
        earns = bool(entry.breakdown) or entry.kind == types_pb2.ENTRY_KIND_ACTIVITY
        return Text("0" if earns else "", style="dim")
    if entry.kind == types_pb2.ENTRY_KIND_ACTIVATION:
        return Text(f"({abs(entry.points):,})", style="blue")
    # what is captured left the balance when it was held, what is owed leaves it when it is paid
    if entry.kind == types_pb2.ENTRY_KIND_CAPTURE or entry.debit_account == DEBT:
        return Text(f"({entry.points:+,})", style="dim")
    return signed(entry.points)


def subject(entry: types_pb2.Entry, rewards: Mapping[str, str]) -> str:
    """What the entry is about, in a word. `rewards` are names by id."""
    return about(entry, rewards) or entry.purchase_id or entry.hold_id or entry.redemption_id


def other_ids(entry: types_pb2.Entry) -> list[str]:
    """The hold and the redemption it is about, as far as `subject` does not tell them."""
    ids = []
    if entry.hold_id and entry.reward_id:
        ids.append(f"hold {entry.hold_id}")
    if entry.redemption_id and (entry.reward_id or entry.hold_id):
        ids.append(f"redemption {entry.redemption_id}")
    return ids


def about(entry: types_pb2.Entry, rewards: Mapping[str, str]) -> str:
    """A reward, another member, a tier, a status, a reason: what needs no number to be known."""
    if entry.reward_id:
        return rewards.get(entry.reward_id, entry.reward_id)
    if entry.kind in (types_pb2.ENTRY_KIND_TRANSFER_OUT, types_pb2.ENTRY_KIND_TRANSFER_IN):
        return entry.related_member_id
    if entry.kind == types_pb2.ENTRY_KIND_STATUS_CHANGE:
        return status_name(entry.status)
    if entry.HasField("tier_change"):
        change = entry.tier_change
        same = change.from_tier_id == change.to_tier_id
        return change.to_tier_id if same else f"{change.from_tier_id} → {change.to_tier_id}"
    return entry.activity or entry.reason_code


def reasons(entry: types_pb2.Entry, zone: ZoneInfo) -> list[str]:
    """Why an entry moved what it moved, and what else is to be known of it.

    A single reason needs no number of its own.
    """
    told = _TOLD.get(entry.kind)
    lines = [(line.description or line.rule, line.points) for line in entry.breakdown]
    texts = [why if len(lines) == 1 else f"{points:+,} {why}" for why, points in lines]
    return texts + (told(entry, zone) if told is not None else [])


def _enrolled(entry: types_pb2.Entry, zone: ZoneInfo) -> list[str]:
    return [f"referred by {entry.related_member_id}"] if entry.related_member_id else []


def _bonus(entry: types_pb2.Entry, zone: ZoneInfo) -> list[str]:
    return [f"with {entry.related_member_id}"] if entry.related_member_id else []


def _held(entry: types_pb2.Entry, zone: ZoneInfo) -> list[str]:
    return [f"until {moment(entry.hold.expire_time, zone)}"]


def _captured(entry: types_pb2.Entry, zone: ZoneInfo) -> list[str]:
    hold = entry.hold
    part = hold.captured_points < hold.points
    of = f"{hold.captured_points:,} of {plural(hold.points, 'held point')}"
    return ([of] if part else []) + _redeemed(entry, zone)


def _released(entry: types_pb2.Entry, zone: ZoneInfo) -> list[str]:
    if entry.hold.state == types_pb2.HOLD_STATE_CAPTURED:
        return [f"the rest of {plural(entry.hold.points, 'held point')}"]
    return []


def _redeemed(entry: types_pb2.Entry, zone: ZoneInfo) -> list[str]:
    redemption = entry.redemption
    texts = []
    if redemption.HasField("value"):
        texts.append(f"worth {format_money(redemption.value)}")
    if redemption.percent_off:
        texts.append(f"{redemption.percent_off} % off")
    return texts


def _given_back(entry: types_pb2.Entry, zone: ZoneInfo) -> list[str]:
    redemption = entry.redemption
    if redemption.reversed_points >= redemption.points:
        return []
    of = plural(redemption.points, "point")
    return [f"{redemption.reversed_points:,} of {of} given back so far"]


def _returned(entry: types_pb2.Entry, zone: ZoneInfo) -> list[str]:
    texts = []
    if entry.HasField("returned"):
        back = entry.returned
        if back.full:
            texts.append("all of it is back")
        elif back.amount != entry.amount:
            texts.append(f"{format_money(back.amount)} of it so far")
    if entry.debit_account == DEBT:
        texts.append("owed, because they were spent already")
    elif entry.debit_account == PENDING:
        texts.append("of the points that were to come")
    if entry.forgiven_points:
        texts.append(f"{plural(entry.forgiven_points, 'point')} let go, spent already")
    return texts


def _adjusted(entry: types_pb2.Entry, zone: ZoneInfo) -> list[str]:
    who = f"by {entry.actor}"
    if entry.approver:
        who += f", approved by {entry.approver}"
    return [entry.note, who] if entry.note else [who]


def _status(entry: types_pb2.Entry, zone: ZoneInfo) -> list[str]:
    return [entry.note, f"by {entry.actor}"]


def _expired(entry: types_pb2.Entry, zone: ZoneInfo) -> list[str]:
    return ["nothing was bought or redeemed for long"] if entry.inactivity else []


def _tier_reasons(entry: types_pb2.Entry, zone: ZoneInfo) -> list[str]:
    """Why the tier changed, what was counted against what was asked, and until when it is held."""
    change = entry.tier_change
    lines = [_TIER_REASONS.get(change.reason, "changed")]
    if change.note:
        lines[0] += f": {change.note}"
    if change.reason != types_pb2.TIER_CHANGE_REASON_OVERRIDDEN:
        counted = []
        if change.visits_needed:
            counted.append(f"{change.visits:,} of {plural(change.visits_needed, 'visit')}")
        if change.HasField("spend_needed"):
            counted.append(f"{format_money(change.spend)} of {format_money(change.spend_needed)}")
        if counted:
            first = from_day(change.period_start_time, zone)
            last = through(change.period_end_time, zone)
            lines.append(f"{', '.join(counted)}, {first} to {last}")
    if change.HasField("valid_until_time"):
        lines.append(f"held through {through(change.valid_until_time, zone)}")
    return lines


#: what is told of an entry beside its breakdown, by its kind
_TOLD: Final[Mapping[types_pb2.EntryKind, Callable[[types_pb2.Entry, ZoneInfo], list[str]]]] = {
    types_pb2.ENTRY_KIND_ENROLLED: _enrolled,
    types_pb2.ENTRY_KIND_BONUS: _bonus,
    types_pb2.ENTRY_KIND_ADJUSTMENT: _adjusted,
    types_pb2.ENTRY_KIND_RETURN: _returned,
    types_pb2.ENTRY_KIND_HOLD: _held,
    types_pb2.ENTRY_KIND_CAPTURE: _captured,
    types_pb2.ENTRY_KIND_RELEASE: _released,
    types_pb2.ENTRY_KIND_REDEMPTION: _redeemed,
    types_pb2.ENTRY_KIND_REDEMPTION_REVERSAL: _given_back,
    types_pb2.ENTRY_KIND_EXPIRY: _expired,
    types_pb2.ENTRY_KIND_TIER_CHANGE: _tier_reasons,
    types_pb2.ENTRY_KIND_STATUS_CHANGE: _status,
}


def lives_text(lots: Iterable[types_pb2.LotChange], zone: ZoneInfo) -> str:
    """From when and until when the added points can be spent; empty if always."""
    texts = []
    for lot in lots:
        if lot.points <= 0 or lot.held:
            continue
        if lot.HasField("activate_time"):
            texts.append(f"spendable from {from_day(lot.activate_time, zone)}")
        if lot.HasField("expire_time"):
            texts.append(f"good through {through(lot.expire_time, zone)}")
    return ", ".join(dict.fromkeys(texts))


def good_through(lots: Iterable[types_pb2.LotChange], zone: ZoneInfo) -> list[str]:
    """The last days on which the added points can be spent."""
    days = dict.fromkeys(
        through(lot.expire_time, zone) if lot.HasField("expire_time") else "always"
        for lot in lots
        if lot.points > 0 and not lot.held
    )
    return list(days)
