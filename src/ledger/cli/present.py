"""How balances, receipts and statements look to a person. Imports rich and the messages.

Points have thousands separators and are right-aligned; times are in the program's zone; the last
day of a lot is shown as the day through which it can be spent, as people say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp
from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ledger.cli.messages import format_money, local, plural
from ledger.cli.values import format_date
from ledger.v1 import member_pb2, points_pb2, program_pb2, types_pb2

_KINDS = {
    types_pb2.ENTRY_KIND_ENROLLED: ("Enrolled", "cyan"),
    types_pb2.ENTRY_KIND_PURCHASE: ("Purchase", ""),
    types_pb2.ENTRY_KIND_ACTIVITY: ("Activity", ""),
    types_pb2.ENTRY_KIND_BONUS: ("Bonus", "magenta"),
    types_pb2.ENTRY_KIND_EXPIRY: ("Expired", "red"),
    types_pb2.ENTRY_KIND_ACTIVATION: ("Activated", "blue"),
    types_pb2.ENTRY_KIND_TIER_CHANGE: ("Tier", "bold yellow"),
}

_TIER_REASONS = {
    types_pb2.TIER_CHANGE_REASON_PROMOTED: "reached",
    types_pb2.TIER_CHANGE_REASON_RENEWED: "held anew",
    types_pb2.TIER_CHANGE_REASON_LOWERED: "not held anew",
    types_pb2.TIER_CHANGE_REASON_OVERRIDDEN: "by an operator's decision",
    types_pb2.TIER_CHANGE_REASON_OVERRIDE_ENDED: "the operator's decision has ended",
}


def points(number: int) -> str:
    """`1,234`."""
    return f"{number:,}"


def signed(number: int) -> Text:
    """`+1,234` in green, `-1,234` in red; 0 dim."""
    if not number:
        return Text("0", style="dim")
    return Text(f"{number:+,}", style="green" if number > 0 else "red")


def moment(stamp: Timestamp, zone: ZoneInfo) -> str:
    """`22 Nov 2026 16:40`, local."""
    when = local(stamp, zone)
    return f"{format_date(when.date())} {when:%H:%M}"


def through(stamp: Timestamp, zone: ZoneInfo) -> str:
    """The last local day before the instant: what ends at midnight lives through the day before."""
    return format_date((local(stamp, zone) - timedelta(microseconds=1)).date())


def from_day(stamp: Timestamp, zone: ZoneInfo) -> str:
    """The local day on which something begins."""
    return format_date(local(stamp, zone).date())


def until(stamp: Timestamp, now: datetime) -> str:
    """How far away an instant is, roughly: `in 3 days`, `in 8 months`."""
    days = (local(stamp, ZoneInfo("UTC")) - now).days
    if days < 1:
        return "within a day"
    if days < 60:
        return f"in {days} day{'s' if days > 1 else ''}"
    return f"in {days // 30} months"


def balance_panel(
    member_id: str, balance: types_pb2.Balance, program: program_pb2.Program, zone: ZoneInfo
) -> RenderableType:
    """A member's balance, as a panel."""
    as_of = local(balance.as_of_time, zone)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(justify="right")
    grid.add_column()
    worth = f"worth {format_money(balance.value)}" if balance.HasField("value") else ""
    available = Text(points(balance.available_points), style="bold green")
    grid.add_row("Available", available, worth)
    if balance.tier_id:
        grid.add_row("Tier", balance.tier_id, "")
    grid.add_row("Pending", points(balance.pending_points), "")
    grid.add_row("Held", points(balance.held_points), "")
    if balance.debt_points:
        grid.add_row("Debt", Text(points(balance.debt_points), style="red"), "")
    grid.add_row("Lifetime", points(balance.lifetime_points), "")
    if balance.HasField("next_expiry"):
        expiry = balance.next_expiry
        when = through(expiry.expire_time, zone)
        distance = until(expiry.expire_time, as_of)
        note = f"good through {when} ({distance})"
        grid.add_row("Next expiry", Text(points(expiry.points), style="yellow"), note)
    when = f"{moment(balance.as_of_time, zone)} {as_of:%Z}, version {balance.version}"
    title = Text.assemble((member_id, "bold"), " · ", program.display_name)
    return Panel(
        Group(grid, Text(f"\nAs of {when}", style="dim")),
        title=title,
        title_align="left",
        box=box.ROUNDED,
        padding=(0, 2),
        expand=False,
    )


def member_panel(
    member: member_pb2.Member, program: program_pb2.Program, zone: ZoneInfo
) -> RenderableType:
    """A member, as a panel."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    status = types_pb2.MemberStatus.Name(member.status).removeprefix("MEMBER_STATUS_")
    grid.add_row("Status", Text(status.capitalize(), style="green"))
    grid.add_row("Joined", f"{moment(member.enroll_time, zone)} ({program.time_zone})")
    grid.add_row("Entries", points(member.version))
    title = Text.assemble((member.member_id, "bold"), " · ", program.display_name)
    return Panel(grid, title=title, title_align="left", padding=(0, 2), expand=False)


def breakdown(lines: Iterable[types_pb2.BreakdownLine]) -> Table:
    """How points came about, a line for each rule."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_column(style="dim")
    for line in lines:
        description = "" if line.description == line.rule else line.description
        grid.add_row(f"  {line.rule}", signed(line.points), Text(description))
    return grid


def receipt_text(receipt: types_pb2.Receipt, zone: ZoneInfo) -> RenderableType:
    """What a write posted, entry by entry, and the balance after it."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_column(style="dim")
    for entry in receipt.entries:
        kind, style = _kind(entry.kind)
        grid.add_row(
            Text(f"  {kind}", style=style),
            _moved(entry),
            _explained(entry, zone),
        )
    return Group(grid, balance_line(receipt.balance), messages_text(receipt.messages))


def messages_text(messages: Sequence[str]) -> RenderableType:
    """What a till would print for the customer."""
    if not messages:
        return Text("")
    return Text("\n".join(["", "  To print:", *(f"  │ {line}" for line in messages)]))


def _explained(entry: types_pb2.Entry, zone: ZoneInfo) -> Text:
    parts = [_tiers(entry)] if entry.HasField("tier_change") else []
    parts += _reasons(entry, zone)
    if lives := lives_text(entry.lots, zone):
        parts.append(lives)
    return Text(" · ".join(parts))


def _reasons(entry: types_pb2.Entry, zone: ZoneInfo) -> list[str]:
    """Why an entry moved what it moved; a single reason needs no number of its own."""
    if entry.HasField("tier_change"):
        return _tier_reasons(entry.tier_change, zone)
    lines = [(line.description or line.rule, line.points) for line in entry.breakdown]
    texts = [why if len(lines) == 1 else f"{points:+,} {why}" for why, points in lines]
    if entry.related_member_id:
        enrolled = entry.kind == types_pb2.ENTRY_KIND_ENROLLED
        texts.append(f"{'referred by' if enrolled else 'with'} {entry.related_member_id}")
    return texts


def _tiers(entry: types_pb2.Entry) -> str:
    """`member → silver`, or the one tier where only its end changed."""
    change = entry.tier_change
    same = change.from_tier_id == change.to_tier_id
    return change.to_tier_id if same else f"{change.from_tier_id} → {change.to_tier_id}"


def _tier_reasons(change: types_pb2.TierChange, zone: ZoneInfo) -> list[str]:
    """Why the tier changed, what was counted against what was asked, and until when it is held."""
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


def balance_line(balance: types_pb2.Balance) -> Text:
    """The balance in one line."""
    text = Text.assemble("  Balance ", (points(balance.available_points), "bold green"), " points")
    if balance.pending_points:
        text.append(f", {points(balance.pending_points)} pending")
    if balance.HasField("value"):
        text.append(f", worth {format_money(balance.value)}")
    return text


def preview_text(preview: points_pb2.PreviewPurchaseResponse, zone: ZoneInfo) -> RenderableType:
    """What a purchase would earn, and why."""
    head = Text.assemble(
        "  It would earn ",
        signed(preview.points),
        f" points on {format_money(preview.eligible_amount)}",
        (f" · {lives_text(preview.lots, zone)}" if preview.lots else "", "dim"),
    )
    return Group(
        head,
        breakdown(preview.breakdown),
        balance_line(preview.balance),
        messages_text(preview.messages),
    )


def lives_text(lots: Iterable[types_pb2.LotChange], zone: ZoneInfo) -> str:
    """From when and until when the added points can be spent; empty if always."""
    texts = []
    for lot in lots:
        if lot.points <= 0:
            continue
        if lot.HasField("activate_time"):
            texts.append(f"spendable from {from_day(lot.activate_time, zone)}")
        if lot.HasField("expire_time"):
            texts.append(f"good through {through(lot.expire_time, zone)}")
    return ", ".join(dict.fromkeys(texts))


def statement_table(
    member_id: str,
    entries: Iterable[types_pb2.Entry],
    program: program_pb2.Program,
    zone: ZoneInfo,
) -> Table:
    """The entries as a table, in the order given."""
    table = Table(
        title=Text.assemble("Statement of ", (member_id, "bold"), f" · {program.display_name}"),
        title_justify="left",
        title_style="",
        caption=f"Times in {program.time_zone}.",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("#", justify="right", style="dim", no_wrap=True)
    table.add_column("When", no_wrap=True)
    table.add_column("What", ratio=1)
    table.add_column("Points", justify="right", no_wrap=True)
    table.add_column("Balance", justify="right", no_wrap=True)
    table.add_column("Good through", no_wrap=True)
    for entry in entries:
        table.add_row(
            str(entry.sequence),
            moment(entry.effective_time, zone),
            _what(entry, zone),
            _moved(entry),
            points(entry.available_points),
            _good_through(entry, zone),
        )
    return table


def _moved(entry: types_pb2.Entry) -> Text:
    """The points an entry moved; those that only became spendable are not a gain."""
    if not entry.debit_account:
        earns = bool(entry.breakdown) or entry.kind == types_pb2.ENTRY_KIND_ACTIVITY
        return Text("0" if earns else "", style="dim")
    if entry.kind == types_pb2.ENTRY_KIND_ACTIVATION:
        return Text(f"({abs(entry.points):,})", style="blue")
    return signed(entry.points)


def _kind(kind: types_pb2.EntryKind) -> tuple[str, str]:
    """A kind for people; one that is newer than this version is shown by its name."""
    if kind in _KINDS:
        return _KINDS[kind]
    names = types_pb2.EntryKind
    known = kind in names.values()
    return (names.Name(kind).removeprefix("ENTRY_KIND_") if known else f"Kind {kind}", "")


def _what(entry: types_pb2.Entry, zone: ZoneInfo) -> Text:
    kind, style = _kind(entry.kind)
    text = Text(kind, style=style)
    if entry.purchase_id:
        text.append(f" {entry.purchase_id}", style="bold")
    if entry.activity:
        text.append(f" {entry.activity}", style="bold")
    if entry.HasField("tier_change"):
        text.append(f" {_tiers(entry)}")
    if entry.HasField("amount"):
        text.append(f"  {format_money(entry.amount)}")
    if entry.location_id:
        text.append(f" at {entry.location_id}", style="dim")
    for reason in _reasons(entry, zone):
        text.append(f"\n{reason}", style="not bold dim")
    for lot in entry.lots:
        if lot.points > 0 and lot.HasField("activate_time"):
            text.append(f"\nspendable from {from_day(lot.activate_time, zone)}", style="yellow")
    return text


def _good_through(entry: types_pb2.Entry, zone: ZoneInfo) -> Text:
    days = dict.fromkeys(
        through(lot.expire_time, zone) if lot.HasField("expire_time") else "always"
        for lot in entry.lots
        if lot.points > 0
    )
    return Text("\n".join(days), style="dim")
