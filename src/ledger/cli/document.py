"""The program document as a file: read from YAML or JSON, checked offline, every fault reported.

Imports yaml and the core; no grpc, no network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from ledger.cli.failure import CommandFailed, usage
from ledger.cli.values import parse_time
from ledger.core.errors import RulesInvalid
from ledger.core.instants import format_instant, zone_names
from ledger.core.money import CURRENCIES
from ledger.core.rules import read_rules

_PROGRAM_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_PROGRAM_NAMES = ("program_id", "display_name", "currency", "time_zone", "sandbox", "clock_time")
_MAX_BYTES = 1 << 20

Violations = list[tuple[str, str]]


@dataclass(frozen=True)
class ProgramDocument:
    """A document without faults. Both parts are plain data in the names of the protos."""

    program: dict[str, Any]
    rules: dict[str, Any]

    @property
    def program_id(self) -> str:
        return str(self.program["program_id"])


class _Loader(yaml.SafeLoader):
    """YAML without the surprises: times stay text, and a name given twice is an error."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as in the base class)
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value} is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


# YAML 1.1 reads `on` as true; in a bonus it is a name.
for _first in "oO":
    _Loader.yaml_implicit_resolvers[_first] = [
        (tag, pattern)
        for tag, pattern in _Loader.yaml_implicit_resolvers[_first]
        if not tag.endswith(":bool")
    ]

# YAML 1.1 reads 15:00 as 900, counting by sixty; in a promotion's hours it is a time of day.
_TIME_OF_DAY = ("tag:yaml.org,2002:str", re.compile(r"\d\d?:\d\d$", re.ASCII))
for _first in "0123456789":
    _Loader.yaml_implicit_resolvers[_first].insert(0, _TIME_OF_DAY)


def load(path: Path) -> ProgramDocument:
    """The document in a file. Raises CommandFailed with every fault (RULES_INVALID)."""
    document, violations = check(path)
    if document is None:
        count = len(violations)
        raise CommandFailed(
            f"{path} has {count} fault{'s' if count > 1 else ''}; nothing was sent",
            code="INVALID_ARGUMENT",
            reason="RULES_INVALID",
            violations=violations,
        )
    return document


def check(path: Path) -> tuple[ProgramDocument | None, Violations]:
    """The document, or None and every fault with its path, in document order.

    Raises CommandFailed (usage) when the file can not be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise usage(f"{path} can not be read: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        return None, [(str(path), "is larger than 1 MiB")]
    try:
        data = yaml.load(content, _Loader)
    except yaml.YAMLError as error:
        return None, [_syntax_fault(error)]
    except RecursionError:
        return None, [("document", "is nested too deeply")]
    if not isinstance(data, Mapping):
        return None, [("document", "must have the sections `program` and `rules`")]
    return _check_sections(data)


def dump(program: Mapping[str, Any], rules: Mapping[str, Any]) -> str:
    """The document of a program as YAML that `load` reads."""
    document = {"program": dict(program), "rules": dict(rules)}
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=96)


class _Dumper(yaml.SafeDumper):
    """Indents lists below their name, as people write it."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _check_sections(data: Mapping[Any, Any]) -> tuple[ProgramDocument | None, Violations]:
    violations: Violations = [
        (str(name), "is not known here; known are: program, rules")
        for name in data
        if name not in ("program", "rules")
    ]
    program, faults = _check_program(data.get("program"))
    violations += faults
    rules = data.get("rules")
    if rules is None:
        violations.append(("rules", "is required: a section"))
    else:
        currency = program.get("currency")
        known = isinstance(currency, str) and currency in CURRENCIES
        try:
            read_rules(rules, str(currency) if known else "EUR")
        except RulesInvalid as error:
            violations += [
                (_under_rules(fault.field), fault.description) for fault in error.violations
            ]
    if violations or not isinstance(rules, Mapping):
        return None, violations
    return ProgramDocument(program, dict(rules)), []


def _under_rules(field: str) -> str:
    return field if field == "rules" else f"rules.{field}"


def _check_program(section: object) -> tuple[dict[str, Any], Violations]:
    """The section without empty values, its clock_time as RFC 3339 in UTC; and its faults."""
    if not isinstance(section, Mapping):
        what = "is required: a section" if section is None else "must be a section"
        return {}, [("program", what)]
    faults: Violations = []
    program = {str(name): value for name, value in section.items() if value is not None}

    def fault(name: str, description: str) -> None:
        faults.append((f"program.{name}", description))

    for name in program:
        if name not in _PROGRAM_NAMES:
            fault(name, f"is not known here; known are: {', '.join(_PROGRAM_NAMES)}")
    program_id = program.get("program_id")
    what = "lower-case letters, digits and -, 1 to 63, beginning with a letter or digit"
    if program_id is None:
        fault("program_id", f"is required: {what}")
    elif not isinstance(program_id, str) or not _PROGRAM_ID.fullmatch(program_id):
        fault("program_id", f"must be {what}, not {program_id!r}")
    name = program.get("display_name", "")
    if not isinstance(name, str) or len(name) > 128 or not name.isprintable():
        fault("display_name", "must be a printable text of at most 128 characters")
    currency = program.get("currency")
    if currency is None:
        fault("currency", 'is required: an ISO 4217 code such as "EUR"')
    elif not isinstance(currency, str) or currency not in CURRENCIES:
        fault("currency", f'must be an ISO 4217 code such as "EUR", not {currency!r}')
    zone = _check_zone(program.get("time_zone"), fault)
    sandbox = program.get("sandbox", False)
    if not isinstance(sandbox, bool):
        fault("sandbox", f"must be true or false, not {sandbox!r}")
    clock_time = program.get("clock_time")
    if clock_time is not None:
        if sandbox is False:
            fault("clock_time", "is for sandboxes only: add `sandbox: true` or leave it out")
        try:
            text = clock_time.isoformat() if isinstance(clock_time, date) else str(clock_time)
            program["clock_time"] = format_instant(parse_time(text, zone))
        except ValueError as error:
            fault("clock_time", str(error))
    return program, faults


def _check_zone(name: object, fault: Any) -> ZoneInfo:
    if name is None:
        fault("time_zone", 'is required: an IANA name such as "Europe/Berlin"')
        return ZoneInfo("UTC")
    try:
        if name not in zone_names() or not isinstance(name, str):
            raise ValueError
        zone = ZoneInfo(name)
        datetime.now(UTC).astimezone(zone)
        return zone
    except (OSError, ValueError, KeyError):
        fault("time_zone", f'must be an IANA name such as "Europe/Berlin", not {name!r}')
        return ZoneInfo("UTC")


def _syntax_fault(error: yaml.YAMLError) -> tuple[str, str]:
    """Where the text stops being YAML, and why."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}"
        context = f" ({error.context})" if error.context else ""
        return where, f"{error.problem}{context}"
    return "document", " ".join(str(error).split())
