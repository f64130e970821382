"""How a member's tier looks to a person. Imports rich and the messages."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from google.type.money_pb2 import Money
from rich import box
from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ledger.cli.messages import format_money, nanos, plural
from ledger.cli.present import from_day, through
from ledger.v1 import program_pb2, types_pb2

_BAR_WIDTH = 20


def tier_panel(
    member_id: str, status: types_pb2.TierStatus, program: program_pb2.Program, zone: ZoneInfo
) -> RenderableType:
    """What a member holds, and what is missing for more, as a panel."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    name = Text(status.name, style="bold green")
    if status.overridden:
        name.append("  by an operator's decision", style="not bold yellow")
    grid.add_row("Tier", name)
    grid.add_row("Since", from_day(status.since_time, zone))
    grid.add_row("Held", _held(status, zone))
    if status.benefits:
        grid.add_row("Benefits", Text(", ".join(status.benefits)))
    counted = f"{plural(status.visits, 'visit')} and {format_money(status.spend)}"
    period = f"since {from_day(status.period_start_time, zone)}"
    if status.HasField("period_end_time"):
        period += f", anew from {from_day(status.period_end_time, zone)}"
    grid.add_row("Counts now", Text.assemble(counted, (f"  {period}", "dim")))
    if status.HasField("next"):
        grid.add_row("", "")
        grid.add_row(Text(f"To {status.next.name}"), _missing(status.next, zone))
        for bar in _bars(status):
            grid.add_row("", bar)
    if status.HasField("keep"):
        first = from_day(status.keep.from_time, zone)
        counting = (f"  counting from {first}", "dim")
        grid.add_row("To keep it", Text.assemble(_missing(status.keep, zone), counting))
    title = Text.assemble((member_id, "bold"), " · ", program.display_name)
    return Panel(
        grid, title=title, title_align="left", box=box.ROUNDED, padding=(0, 2), expand=False
    )


def _held(status: types_pb2.TierStatus, zone: ZoneInfo) -> str:
    if not status.HasField("valid_until_time"):
        return "for good"
    held = f"through {through(status.valid_until_time, zone)}"
    if status.grace_until_time != status.valid_until_time:
        held += f", with grace through {through(status.grace_until_time, zone)}"
    return held


def _missing(missing: types_pb2.TierStatus.Missing, zone: ZoneInfo) -> Text:
    """`3 visits more through 31 Mar 2027`."""
    parts = []
    if missing.visits_missing:
        parts.append(plural(missing.visits_missing, "visit"))
    if nanos(missing.spend_missing):
        parts.append(format_money(missing.spend_missing))
    text = Text((" or " if missing.either else " and ").join(parts) + " more")
    if missing.HasField("by_time"):
        text.append(f" through {through(missing.by_time, zone)}")
    return text


def _bars(status: types_pb2.TierStatus) -> list[Text]:
    """How far it is to the next tier: by visits, by spend, or by both."""
    missing = status.next
    bars = []
    if missing.visits_missing:
        needed = status.visits + missing.visits_missing
        bars.append(_bar(status.visits / needed, f"{status.visits} of {plural(needed, 'visit')}"))
    if spend_missing := nanos(missing.spend_missing):
        spent = nanos(status.spend)
        needed = spent + spend_missing
        units, rest = divmod(needed, 10**9)
        total = Money(currency_code=status.spend.currency_code, units=units, nanos=rest)
        of = f"{format_money(status.spend)} of {format_money(total)}"
        bars.append(_bar(spent / needed, of))
    return bars


def _bar(share: float, label: str) -> Text:
    full = int(share * _BAR_WIDTH)
    return Text.assemble(
        ("█" * full, "green"), ("░" * (_BAR_WIDTH - full), "dim"), (f"  {label}", "")
    )
