"""What commands print: results to stdout, everything else to stderr, JSON when asked for.

Colours follow the terminal and NO_COLOR. Imports rich and the standard library only.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ledger.cli.failure import NO_ANSWER, CommandFailed

__all__ = [
    "bold",
    "console",
    "done",
    "escape",
    "interactive",
    "messages",
    "note",
    "print_failure",
    "print_json",
    "print_json_line",
    "print_line",
]

#: how wide a table is where nobody's terminal says
_PLAIN_WIDTH = 120


def console() -> Console:
    """Where results go. Made anew each time: tests and pipes exchange sys.stdout."""
    return _console(stderr=False)


def messages() -> Console:
    """Where notes, progress and failures go."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PLAIN_WIDTH
    return Console(stderr=stderr, highlight=False, width=width)


def interactive() -> bool:
    """Whether somebody is looking: only then is progress animated."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    indent = 2 if sys.stdout.isatty() else None
    print(json.dumps(document, indent=indent, ensure_ascii=False))


def print_line(text: Text) -> None:
    """One of many results, on a line of its own, at once."""
    console().print(text, soft_wrap=True)
    sys.stdout.flush()


def print_json_line(document: Any) -> None:
    """One of many JSON documents on stdout, on a line of its own, at once."""
    print(json.dumps(document, ensure_ascii=False), flush=True)


def note(text: str) -> None:
    """A remark on stderr."""
    messages().print(Text(text, style="dim"), soft_wrap=True)


def bold(text: str) -> str:
    """Markup of the text as it is, in bold."""
    return f"[bold]{escape(text)}[/]"


def done(text: str) -> None:
    """What was achieved, with a tick. `text` is rich markup."""
    console().print(f"[green]✓[/green] {text}", soft_wrap=True)


def print_failure(failure: CommandFailed, as_json: bool) -> None:
    """The failure on stderr: the reason, what it says, each violation on a line of its own."""
    if as_json:
        print(json.dumps(failure.as_dict(), ensure_ascii=False), file=sys.stderr)
        return
    out = messages()
    title = "Error" if failure.reason == "USAGE" else failure.reason or failure.code
    out.print(f"[bold red]{escape(title)}[/]  {escape(failure.message)}", soft_wrap=True)
    if [f"{field}: {fault}" for field, fault in failure.violations] != [failure.message]:
        _print_violations(out, failure.violations)
    facts = [
        f"{name} {value}"
        for name, value in failure.metadata.items()
        if value not in failure.message
    ]
    if facts and not failure.violations:
        out.print(Text(f"  {', '.join(facts)}", style="dim"), soft_wrap=True)
    if failure.advice:
        out.print(f"  {escape(failure.advice)}", soft_wrap=True)
    elif failure.exit_code == NO_ANSWER:
        out.print("  Trying again is safe.", style="dim")


def _print_violations(out: Console, violations: list[tuple[str, str]]) -> None:
    """One line for each, where lines may be long; on a terminal wrapped below itself."""
    if not out.is_terminal:
        for field, description in violations:
            out.print(Text(f"  {field}  {description}"), soft_wrap=True)
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="yellow", overflow="fold", max_width=max(20, out.width // 2))
    grid.add_column()
    for field, description in violations:
        grid.add_row(Text(f"  {field}"), Text(description))
    out.print(grid)
