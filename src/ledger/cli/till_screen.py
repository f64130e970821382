"""A till for people: a big balance, colours that say how it stands, a prompt that stays in place.

Imports rich and the client. What happens by itself is written above what somebody is typing.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ledger.cli import output
from ledger.cli.values import format_date
from ledger.client import Balance, Event, Item, LedgerError, Missing, QueueError, Reward, Tier, Till

try:
    import readline  # also makes input() edit its line

    typed_so_far = readline.get_line_buffer
except ImportError:  # some Pythons are built without it

    def typed_so_far() -> str:
        return ""


#: digits that can be read from where the customer stands
_DIGITS: Final = {
    "0": ("┏━┓", "┃ ┃", "┗━┛"),
    "1": (" ┓ ", " ┃ ", " ╹ "),
    "2": ("╺━┓", "┏━┛", "┗━╸"),
    "3": ("╺━┓", " ━┫", "╺━┛"),
    "4": ("╻ ╻", "┗━┫", "  ╹"),
    "5": ("┏━╸", "┗━┓", "╺━┛"),
    "6": ("┏━╸", "┣━┓", "┗━┛"),
    "7": ("╺━┓", "  ┃", "  ╹"),
    "8": ("┏━┓", "┣━┫", "┗━┛"),
    "9": ("┏━┓", "┗━┫", "╺━┛"),
    ",": (" ", " ", "╻"),
}
#: how much of what waits is shown at the start
_SHOWN: Final = 5
_STATES: Final = {
    "waiting": Text("waits", "yellow"),
    "recorded": Text("recorded", "green"),
    "refused": Text("refused", "bold red"),
    "parked": Text("can not be recorded", "bold red"),
}


#: in narrower windows a table would be cut off: receipts' numbers and points are read from it
_NARROW_COLUMNS: Final = 70
#: of a redemption that nobody was told of
_TO_GIVE_BACK: Final = {"waiting", "recorded"}
_GIVEN_BACK: Final = "give nothing: nobody was told of it, and what it takes is given back"
#: what to do about an instant that the ledger does not take
_CLOCK: Final = (
    "Nothing was recorded: this till's clock is wrong, or it was offline for too long. Set the "
    "clock, then ring it up again."
)


class ScreenFace:
    """Prints for people, whose clocks show the time of `zone`."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._lock = threading.Lock()
        #: makes the prompt of the line that is being typed, as things stand; None: nothing is typed
        self._prompt: Callable[[], str] | None = None

    # -- the line that is typed -----------------------------------------------------------------

    def read(self, till: Till, member_id: str) -> str:
        """The next line. Raises EOFError at the end."""

        def prompt() -> str:
            # As wide whatever it says: the line is edited behind it.
            mark = "\001\033[32m\002●" if till.online else "\001\033[33m\002○"
            who = f" {member_id}" if member_id else ""
            return f"{mark}\001\033[0;1m\002{who} ›\001\033[0m\002 "

        waiting, _ = till.queue.counts()
        if waiting or not till.online:
            state = "online" if till.online else "offline"
            self._print(Text(f"{state} · {_writes(waiting)}" if waiting else state, "dim yellow"))
        with self._lock:
            self._prompt = prompt
        try:
            return input(prompt())
        finally:
            with self._lock:
                self._prompt = None

    def _print(self, *what: RenderableType) -> None:
        """Print; above the line that is being typed, if one is."""
        with self._lock:
            if self._prompt is not None:
                sys.stdout.write("\r\033[K")
                sys.stdout.flush()
            console: Console = output.console()
            for one in what:
                console.print(one)
            if self._prompt is not None:
                visible = self._prompt().replace("\001", "").replace("\002", "")
                sys.stdout.write(visible + typed_so_far())
                sys.stdout.flush()

    # -- what is shown --------------------------------------------------------------------------

    def started(self, till: Till, waiting: Sequence[Item], answered: Sequence[Item]) -> None:
        program = till.program
        title = Text.assemble((program.display_name or program.program_id, "bold"))
        if till.client.terminal_id:
            title.append(f" · {till.client.terminal_id}")
        state = (
            Text("● online", "green")
            if till.online
            else Text("○ offline: what is rung up waits in the queue", "yellow")
        )
        lines: list[RenderableType] = [state]
        if waiting:
            lines.append(Text(f"{_writes(len(waiting))} in {till.queue.path}", "yellow"))
        lines.append(Text("Scan a card or type a member's number. `help` lists the rest.", "dim"))
        self._print(Panel(Group(*lines), title=title, title_align="left", padding=(0, 2)))
        if waiting:
            self._print(Text("The last of what waits:", "bold"), self._table(waiting[-_SHOWN:]))
        if answered:
            self._print(
                Text("Answered before, and seen by nobody yet:", "bold"), self._table(answered)
            )

    def member(
        self,
        member_id: str,
        balance: Balance | None,
        tier: Tier | None,
        rewards: Sequence[Reward],
        why_not: LedgerError | None,
    ) -> None:
        if balance is None:
            known = why_not is not None and why_not.code != "NOT_FOUND"
            text = (
                "The balance is not known while the ledger is away."
                if known
                else "Not a member yet: the first purchase makes one, where the program does so."
            )
            self._print(_panel(Text(text, "yellow"), title=Text(member_id, "bold"), style="yellow"))
            return
        lines: list[RenderableType] = [self._big(balance)]
        if tier is not None and tier.tier_id:
            lines.append(self._tier(tier))
        if can_have := [f"{r.name} ({r.points:,})" for r in rewards if r.available]:
            lines.append(Text(f"Can have {', '.join(can_have[:4])}", "cyan"))
        self._print(_panel(Group(*lines), title=Text(member_id, "bold"), style="green"))

    def written(self, item: Item) -> None:
        if item.receipt is None:
            what = Text.assemble(("⧗ queued ", "bold yellow"), self._about(item))
            self._print(what, Text("  It goes up by itself when the ledger is there.", "dim"))
            return
        what = Text.assemble(("✓ ", "bold green"), self._about(item))
        self._print(what, *self._receipt(item))

    def _receipt(self, item: Item) -> list[RenderableType]:
        assert item.receipt is not None
        lines: list[RenderableType] = []
        redemption = item.receipt.redemption
        if redemption is not None and item.kind == "redemption":
            if redemption.value is not None:
                lines.append(Text(f"  Take {redemption.value} off the bill.", "bold cyan"))
            elif redemption.percent_off:
                lines.append(Text(f"  Take {redemption.percent_off} % off.", "bold cyan"))
        lines.append(_panel(self._big(item.receipt.balance), style="green"))
        lines += [Text(f"  │ {line}", "dim") for line in item.receipt.messages]
        return lines

    def rewards(self, member_id: str, rewards: Sequence[Reward]) -> None:
        if not rewards:
            self._print(Text("The program has no rewards."))
            return
        rows = [_reward(reward) for reward in rewards]
        if _is_narrow():
            for head, name, points, *rest in rows:
                self._print(_lines(head, name, Text.assemble(points, " points"), *rest))
            return
        table = _table("Reward", "Name", "Points", "Worth", "Now")
        for row in rows:
            table.add_row(*row)
        self._print(table)

    def queue(self, waiting: Sequence[Item], answered: Sequence[Item]) -> None:
        if not waiting and not answered:
            self._print(Text("✓ Nothing waits, and nothing is to be looked at.", "green"))
            return
        if waiting:
            self._print(self._table(waiting))
        if answered:
            self._print(
                Text("To be looked at; `seen NUMBER` takes it off the list:", "bold"),
                self._table(answered),
            )

    def _table(self, items: Sequence[Item]) -> RenderableType:
        table = _table("#", "When", "What", "Member", "State", "")
        lines: list[RenderableType] = []
        for item in items:
            when = item.create_time.astimezone(self._zone)
            why = _why(item.error) if item.error is not None else item.trouble
            if item.kind == "redemption" and not item.promised and item.state in _TO_GIVE_BACK:
                why = _GIVEN_BACK
            row = (
                Text(str(item.item_id), "bold"),
                Text(f"{format_date(when.date())} {when:%H:%M}"),
                self._about(item, with_member=False),
                Text(item.member_id),
                _STATES[item.state],
                Text(why, "dim"),
            )
            table.add_row(*row)
            lines.append(_lines(*row))
        return Group(*lines) if _is_narrow() else table

    def uploaded(self, items: Sequence[Item], waiting: int) -> None:
        for item in items:
            self._print(self._answered(item))
        rest = Text(f"{_writes(waiting)} still.", "yellow") if waiting else ""
        if not items or waiting:
            self._print(rest or Text("✓ Nothing waits.", "green"))

    def happened(self, event: Event, waiting: int) -> None:
        if event.kind == "online":
            more = f". {_writes(waiting)}, and up it goes" if waiting else ""
            self._print(Text(f"● The ledger is there{more}.", "green"))
        elif event.kind == "offline":
            why = (f" ({event.text})", "dim")
            rest = ": what is rung up waits in the queue."
            self._print(Text.assemble(("○ Offline", "bold yellow"), why, rest))
        elif event.item is not None:
            self._print(self._answered(event.item))
        else:
            self._print(Text(event.text, "red"))

    def _answered(self, item: Item) -> Text:
        if item.kind == "redemption" and not item.promised and item.receipt is not None:
            return Text.assemble(
                ("↑ ", "yellow"), self._about(item), (f": {_GIVEN_BACK}", "yellow")
            )
        if item.receipt is not None:
            balance = f"balance {item.receipt.balance.available_points:,}"
            return Text.assemble(("↑ ", "green"), self._about(item), (f" · {balance}", "dim"))
        assert item.error is not None
        return Text.assemble(
            ("✗ ", "bold red"), self._about(item), (f": {_why(item.error)}", "red"),
            (f" · `queue` lists it as #{item.item_id}", "dim"),
        )  # fmt: skip

    def failed(self, command: str, error: Exception) -> None:
        head, message = "✗ ", str(error)
        if isinstance(error, LedgerError | QueueError):
            head, message = f"✗ {error.reason}  ", error.message
        self._print(Text.assemble((head, "bold red"), message))
        if isinstance(error, LedgerError) and error.reason == "EFFECTIVE_TIME_OUT_OF_RANGE":
            self._print(Text(f"  {_CLOCK}", "yellow"))

    def said(self, what: str, text: str) -> None:
        self._print(Text(text, "" if what == "help" else "dim"))

    def stopped(self, waiting: int, path: str) -> None:
        if waiting:
            self._print(
                Text(
                    f"{_writes(waiting)} in {path}. They go up when a till is started with it.",
                    "yellow",
                )
            )

    # -- pieces ---------------------------------------------------------------------------------

    def _about(self, item: Item, *, with_member: bool = True) -> Text:
        """`purchase till-7-k3fmx2-1 of 12.99 EUR for m-1`."""
        text = Text(item.kind)
        if item.purchase_id:
            text.append(f" {item.purchase_id}", "bold")
        if item.amount is not None:
            text.append(f" {'of' if item.kind == 'purchase' else 'worth'} {item.amount}")
        if item.reward_id:
            text.append(f" {item.reward_id}", "bold")
        elif item.kind == "redemption":
            text.append(f" of {item.points:,} points")
        if with_member:
            text.append(f" for {item.member_id}")
        return text

    def _big(self, balance: Balance) -> RenderableType:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(vertical="bottom")
        noun = "point" if balance.available_points == 1 else "points"
        side = Text(noun, "bold")
        if balance.value is not None and balance.available_points:
            side.append(f"\nworth {balance.value}", "cyan")
        if balance.debt_points:
            side.append(f"\n{balance.debt_points:,} owed", "red")
        elif balance.pending_points or balance.held_points:
            side.append(
                f"\n{balance.pending_points:,} pending, {balance.held_points:,} held", "dim"
            )
        elif balance.next_expiry is not None:
            expiry = balance.next_expiry
            last = (expiry.expire_time - timedelta(microseconds=1)).astimezone(self._zone)
            side.append(f"\n{expiry.points:,} through {format_date(last.date())}", "dim")
        grid.add_row(Text(big(f"{balance.available_points:,}"), "bold green"), side)
        return grid

    def _tier(self, tier: Tier) -> Text:
        text = Text.assemble((tier.name or tier.tier_id, "bold magenta"))
        if tier.benefits:
            text.append(f" · {', '.join(tier.benefits)}")
        if tier.next is not None:
            text.append(f" · {_missing(tier.next)} to {tier.next.name or tier.next.tier_id}", "dim")
        return text


def big(number: str) -> str:
    """The number in digits three lines high."""
    rows = zip(*(_DIGITS[digit] for digit in number), strict=True)
    return "\n".join(" ".join(row) for row in rows)


def _is_narrow() -> bool:
    return output.console().width < _NARROW_COLUMNS


def _table(*columns: str) -> Table:
    """Nothing in it is cut off, and no number is broken."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        number = name in ("#", "Points")
        table.add_column(
            name, justify="right" if number else "left", no_wrap=number, overflow="fold"
        )
    return table


def _lines(head: Text, *cells: Text) -> Text:
    """A row of a table for a narrow window."""
    return Text.assemble(head, "\n  ", Text(" · ").join(cell for cell in cells if cell))


def _reward(reward: Reward) -> tuple[Text, ...]:
    off = f"{reward.percent_off} %" if reward.percent_off else ""
    obstacles = Text("; ".join(reward.obstacles), "dim")
    return (
        Text(reward.reward_id, "bold"),
        Text(reward.name),
        Text(f"{reward.points:,}"),
        Text(str(reward.value or off)),
        Text("✓ can be had", "green") if reward.available else obstacles,
    )


def _why(error: LedgerError) -> str:
    if error.reason == "EFFECTIVE_TIME_OUT_OF_RANGE":
        return f"{error.message}. {_CLOCK}"
    return error.message


def _missing(missing: Missing) -> str:
    parts = []
    if missing.visits:
        parts.append(f"{missing.visits} visit{'' if missing.visits == 1 else 's'}")
    if missing.spend is not None and missing.spend.amount:
        parts.append(str(missing.spend))
    return (" or " if missing.either else " and ").join(parts)


def _writes(number: int) -> str:
    return "1 write waits" if number == 1 else f"{number} writes wait"


def _panel(content: RenderableType, *, style: str, title: Text | None = None) -> Panel:
    return Panel(
        content,
        title=title,
        title_align="left",
        border_style=style,
        box=box.ROUNDED,
        padding=(0, 2),
        expand=False,
    )
