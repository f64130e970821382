"""Every command teaches: help text, examples, every option explained; and the help is quick."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger import __version__
from ledger.cli.app import command
from tests.cli.conftest import Cli


def commands(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, member in group.commands.items():
        if hasattr(member, "commands"):
            yield from commands(member, *path, name)
        else:
            yield (*path, name), member


ALL = dict(commands(command()))


def test_all_commands_are_there() -> None:
    assert {" ".join(path) for path in ALL} == {
        "serve",
        "till",
        "migrate",
        "doctor",
        "verify",
        "replay",
        "demo",
        "purchase",
        "return",
        "adjust",
        "transfer",
        "rewards",
        "redeem",
        "reverse",
        "hold",
        "capture",
        "release",
        "extend",
        "balance",
        "statement",
        "expiring",
        "explain",
        "watch",
        "events",
        "tier",
        "activity",
        "override-tier",
        "program apply",
        "program show",
        "program list",
        "program validate",
        "member enroll",
        "member show",
        "member status",
        "keys create",
        "keys list",
        "keys revoke",
        "keys rotate-token-key",
        "embedded status",
        "embedded stop",
    }


DOCS = sorted(Path(__file__).parents[2].glob("docs/*.md"))


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)
def test_commands_that_operators_and_integrators_read_of_exist(page: Path) -> None:
    groups = {path[0] for path in ALL if len(path) > 1}
    told = r"(?<!namespace )(?<![\w./-])ledger ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?"
    for line in page.read_text().splitlines():
        of_console = re.findall(told, line.partition("  #")[0]) if re.match("[$#] ", line) else []
        for first, second in [*re.findall(f"`{told}", line), *of_console]:
            path = (first, second) if first in groups and second else (first,)
            assert path in ALL or (first in groups and not second), line


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_a_command_is_documented_with_examples(path: tuple[str, ...], cli: Cli) -> None:
    result = cli(*path, "--help")

    assert result.code == 0
    text = ALL[path].help or ""
    assert len(text.partition("\n")[0]) > 20, "a sentence that says what it does"
    assert f"ledger {' '.join(path)}" in text.partition("Examples:")[2], "examples to copy"
    for line in text.splitlines():
        assert line.strip() in result.out
        assert len(line) <= 76, f"does not fit a terminal: {line}"


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_parameter_is_documented_and_json_is_everywhere(path: tuple[str, ...]) -> None:
    for parameter in ALL[path].params:
        assert parameter.help, f"{' '.join(path)}: {parameter.name} has no help"
    assert "json" in {parameter.name for parameter in ALL[path].params}


@pytest.mark.parametrize("group", ["program", "member", "embedded"])
def test_a_group_without_a_command_shows_its_help(group: str, cli: Cli) -> None:
    result = cli(group)

    assert result.code == 2
    assert "Commands:" in result.out + result.err


def test_the_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from ledger.cli import run; run(['--help']); "
        "heavy = {'grpc', 'google.protobuf', 'pydantic', 'sqlalchemy', 'structlog', 'yaml', 'rich'}"
        "; sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert ended.returncode == 0, ended.stderr
    assert "Exit codes" in ended.stdout


def test_the_version_is_printed(cli: Cli) -> None:
    assert cli("--version").out == f"ledger {__version__}\n"


def test_a_misspelt_command_is_wrong_usage(cli: Cli) -> None:
    result = cli("blance")

    assert result.code == 2
    assert "balance" in result.err


def test_wrong_usage_is_json_too(cli: Cli) -> None:
    result = cli("balance", "--json")

    assert result.code == 2
    assert result.out == ""
    assert result.failure["reason"] == "USAGE"
    assert "MEMBER" in result.failure["message"]
