"""How balances and events look to a person who follows them, a line each. Imports rich and the
messages."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text

from ledger.cli.messages import format_money, local, plural
from ledger.cli.present import points, signed, through
from ledger.cli.present_entries import kind, moved, subject
from ledger.v1 import balance_pb2, types_pb2


def balance_line(
    balance: types_pb2.Balance, before: types_pb2.Balance | None, zone: ZoneInfo
) -> Text:
    """A balance, and by how much it is another than the one before."""
    line = _time(balance.as_of_time, zone)
    line.append(f"  {plural(balance.available_points, 'point')}", style="bold")
    if before is not None and balance.available_points != before.available_points:
        line.append("  ").append(signed(balance.available_points - before.available_points))
    parts = [
        f"{points(number)} {what}"
        for number, what in (
            (balance.held_points, "held"),
            (balance.pending_points, "pending"),
            (balance.debt_points, "owed"),
        )
        if number
    ]
    if balance.HasField("value"):
        parts.insert(0, f"worth {format_money(balance.value)}")
    if balance.tier_id:
        parts.append(balance.tier_id)
    return line.append(f"  {' · '.join(parts)}", style="dim") if parts else line


def event_line(message: balance_pb2.StreamEventsResponse, zone: ZoneInfo) -> Text:
    """An entry, or a warning."""
    if message.HasField("expiry_warning"):
        warning = message.expiry_warning
        line = _time(warning.create_time, zone).append(f"  {warning.member_id}", style="bold")
        line.append("  Warning", style="yellow")
        last = through(warning.expire_time, zone)
        why = " unless something is bought or redeemed" if warning.inactivity else ""
        return line.append(f"  {plural(warning.points, 'point')} good through {last}{why}")
    entry = message.entry
    line = _time(entry.create_time, zone).append(f"  {entry.member_id}", style="bold")
    line.append(f"  #{entry.sequence}  ", style="dim").append(kind(entry))
    if about := subject(entry, {}):
        line.append(f" {about}")
    if entry.HasField("amount"):
        line.append(f"  {format_money(entry.amount)}")
    if change := moved(entry):
        line.append("  ").append(change)
    return line.append(f"  balance {points(entry.available_points)}", style="dim")


def _time(stamp: Timestamp, zone: ZoneInfo) -> Text:
    return Text(f"{local(stamp, zone):%Y-%m-%d %H:%M:%S}", style="dim")
