"""How balances, members and expiry look to a person. Imports rich and the messages.

Points have thousands separators and are right-aligned; times are in the program's zone; the last
day of a lot is shown as the day through which it can be spent, as people say it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp
from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ledger.cli.messages import format_money, local, status_name
from ledger.cli.values import format_date
from ledger.v1 import balance_pb2, member_pb2, program_pb2, types_pb2


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
        owed = "the next points that come in pay it"
        grid.add_row("Debt", Text(points(balance.debt_points), style="red"), owed)
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
    active = member.status == types_pb2.MEMBER_STATUS_ACTIVE
    status = status_name(member.status).capitalize()
    grid.add_row("Status", Text(status, style="green" if active else "yellow"))
    grid.add_row("Joined", f"{moment(member.enroll_time, zone)} ({program.time_zone})")
    grid.add_row("Entries", points(member.version))
    title = Text.assemble((member.member_id, "bold"), " · ", program.display_name)
    return Panel(grid, title=title, title_align="left", padding=(0, 2), expand=False)


def balance_line(balance: types_pb2.Balance) -> Text:
    """The balance in one line."""
    noun = "point" if balance.available_points == 1 else "points"
    text = Text.assemble("  Balance ", (points(balance.available_points), "bold green"), f" {noun}")
    if balance.HasField("value") and balance.available_points:
        text.append(f", worth {format_money(balance.value)}")
    if balance.pending_points:
        text.append(f", {points(balance.pending_points)} pending")
    if balance.held_points:
        text.append(f", {points(balance.held_points)} held")
    if balance.debt_points:
        text.append(f", {points(balance.debt_points)} owed", style="red")
    return text


def expiry_table(
    member_id: str,
    schedule: balance_pb2.GetExpiryScheduleResponse,
    program: program_pb2.Program,
    zone: ZoneInfo,
) -> RenderableType:
    """Which points expire when, soonest first, and what does not."""
    now = local(schedule.as_of_time, zone)
    table = Table(
        title=Text.assemble("Points of ", (member_id, "bold"), f" · {program.display_name}"),
        title_justify="left",
        title_style="",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("Points", justify="right", no_wrap=True)
    table.add_column("Good through", no_wrap=True)
    table.add_column("", no_wrap=True, style="dim")
    table.add_column("")
    for item in schedule.items:
        table.add_row(
            points(item.points),
            through(item.expire_time, zone),
            until(item.expire_time, now),
            _lot_state(item, zone),
        )
    if schedule.never_expiring_points:
        table.add_row(points(schedule.never_expiring_points), "always", "", "")
    parts: list[RenderableType] = [table if table.row_count else Text("No points.")]
    if schedule.HasField("inactivity_expire_time"):
        last = through(schedule.inactivity_expire_time, zone)
        parts.append(Text(f"Unless something is bought or redeemed through {last}, all ends then."))
    return Group(*parts)


def _lot_state(item: balance_pb2.GetExpiryScheduleResponse.Item, zone: ZoneInfo) -> Text:
    if item.state == balance_pb2.LOT_STATE_PENDING:
        return Text(f"spendable from {from_day(item.activate_time, zone)}", style="blue")
    if item.state == balance_pb2.LOT_STATE_HELD:
        return Text("held", style="yellow")
    return Text("")
