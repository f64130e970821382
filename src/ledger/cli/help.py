"""The `--help` of every command: the docstring as it is written, then options by their panel.

Plain text on purpose: typer's rich help takes longer to load than all the rest of `ledger --help`.
Imports typer only.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from ledger.cli.credentials import connection_options


class Command(TyperCommand):
    """A command that shows its docstring unchanged, examples and all.

    One that has --server can be told everything else that a connection needs, too.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if any(parameter.name == "server" for parameter in self.params):
            self.params += _connection_parameters()

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        _write_text(self.help, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_parameters(self, ctx, formatter)


class Group(TyperGroup):
    """A group of commands, listed by their panel with the whole first sentence of each."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        _write_text(self.help, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self.format_commands(ctx, formatter)
        _write_parameters(self, ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            assert command is not None
            panel = getattr(command, "rich_help_panel", None) or "Commands"
            first = inspect.cleandoc(command.help or "").partition("\n\n")[0]
            panels.setdefault(panel, []).append((name, " ".join(first.split())))
        _write_panels(panels, formatter)


@cache
def _connection_parameters() -> list[Any]:
    """The options of `connection_options`, as typer makes them of a command's parameters."""
    alone = typer.Typer(add_completion=False)
    alone.command()(connection_options)
    return list(get_command(alone).params)


def _write_text(text: str | None, formatter: Any) -> None:
    formatter.write_paragraph()
    for line in inspect.cleandoc(text or "").splitlines():
        formatter.write(f"  {line}".rstrip() + "\n")


def _write_parameters(command: Any, ctx: Any, formatter: Any) -> None:
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
            panel = getattr(parameter, "rich_help_panel", None) or usual
            panels.setdefault(panel, []).append(record)
    _write_panels(panels, formatter)


def _write_panels(panels: dict[str, list[tuple[str, str]]], formatter: Any) -> None:
    for panel, records in panels.items():
        with formatter.section(panel):
            formatter.write_dl(records)
