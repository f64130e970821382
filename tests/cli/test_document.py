"""`program validate`: offline, every fault with its path; and documents survive a round trip."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from ledger.cli import document
from tests.cli.conftest import PROGRAM, Cli

FAULTY = """
program: {program_id: Bean_Street, currency: EURO, time_zone: Europe/Berln, colour: red,
          clock_time: 2026-01-01}
rules:
  earning:
    rate: {points: -1, per: 1.00}
    rounding: UP
  tears: {}
  bonuses:
    - {id: welcome, on: ENROLLMENT, points: 50}
    - {id: welcome, on: FULL_MOON, points: 50}
more: 1
"""


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "program.yaml"
    file.write_text(text)
    return file


def test_the_demo_is_a_valid_document(cli: Cli) -> None:
    path = files("ledger") / "demo" / "coffee-shop.yaml"

    result = cli("program", "validate", path)

    assert result.code == 0
    assert "bean-street" in result.out


def test_what_the_guide_shows_is_valid(tmp_path: Path) -> None:
    guide = Path(__file__).parents[2] / "docs" / "rules.md"
    whole, *sections = re.findall(r"```yaml\n(.*?)```", guide.read_text(), re.DOTALL)
    assert len(sections) == 3

    for shown in ("", *sections):
        # A section that is shown alone takes the place of that in the whole document.
        name = shown.partition(":")[0]
        base = whole.partition(f"  {name}:\n")[0] if shown else whole
        text = base + "".join(f"  {line}\n" for line in shown.splitlines())
        _, violations = document.check(write(tmp_path, text))
        assert violations == []


def test_every_fault_is_reported_with_its_path(tmp_path: Path, cli: Cli) -> None:
    result = cli("program", "validate", write(tmp_path, FAULTY), "--json")

    assert result.code == 1
    assert result.json["valid"] is False
    assert {violation["field"] for violation in result.json["violations"]} == {
        "more",
        "program.program_id",
        "program.currency",
        "program.time_zone",
        "program.colour",
        "program.clock_time",
        "rules.earning.rate.points",
        "rules.earning.rate.per",
        "rules.earning.rounding",
        "rules.tears",
        "rules.bonuses[1].id",
        "rules.bonuses[1].on",
    }


def test_faults_are_lines_for_people(tmp_path: Path, cli: Cli) -> None:
    result = cli("program", "validate", write(tmp_path, FAULTY))

    assert result.code == 1
    assert "12 faults" in result.err
    assert "  rules.earning.rounding  must be one of FLOOR, NEAREST, CEILING" in result.err


def test_nothing_is_sent_when_a_document_has_faults(tmp_path: Path, cli: Cli) -> None:
    nobody = "127.0.0.1:1"

    result = cli("program", "apply", write(tmp_path, FAULTY), "--server", nobody, "--json")

    assert result.code == 1
    assert result.failure["reason"] == "RULES_INVALID"
    assert len(result.failure["violations"]) == 12


@pytest.mark.parametrize(
    ("text", "field", "description"),
    [
        ("program: {program_id: x\nrules: [", "line 2, column 6", "expected ','"),
        ("a: 1\na: 2\n", "line 2, column 1", "a is given twice"),
        ("", "document", "must have the sections"),
        ("- 1\n", "document", "must have the sections"),
        ("rules: {}\n", "program", "is required"),
        ("a: \x00", "document", "special characters are not allowed"),
        ("[" * 5000, "document", "is nested too deeply"),
    ],
)
def test_text_that_is_no_document(text: str, field: str, description: str, tmp_path: Path) -> None:
    read, violations = document.check(write(tmp_path, text))

    assert read is None
    found = dict(violations)
    assert description in found[field]


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path, cli: Cli) -> None:
    result = cli("program", "validate", tmp_path / "none.yaml")

    assert result.code == 2
    assert "can not be read" in result.err


def test_json_is_yaml_too_and_on_is_a_name(tmp_path: Path) -> None:
    read, violations = document.check(write(tmp_path, PROGRAM))

    assert violations == []
    assert read is not None
    assert read.rules["bonuses"][0]["on"] == "ENROLLMENT"
    assert read.program["clock_time"] == "2026-01-10T09:00:00Z"


def test_dates_and_times_of_day_need_no_quotes(tmp_path: Path) -> None:
    promotion = (
        "    - {id: happy, points: 5, from: 2027-01-01, hours: {from: 09:00, until: 24:00}}\n"
        "    - {id: later, points: 5, hours: {from: 15:00, until: 18:30}}\n"
    )
    read, violations = document.check(write(tmp_path, PROGRAM + "  promotions:\n" + promotion))

    assert violations == []
    assert read is not None
    happy, later = read.rules["promotions"]
    assert (happy["from"], happy["hours"]) == ("2027-01-01", {"from": "09:00", "until": "24:00"})
    assert later["hours"] == {"from": "15:00", "until": "18:30"}


def test_a_dumped_document_reads_the_same(tmp_path: Path) -> None:
    read, _ = document.check(write(tmp_path, PROGRAM))
    assert read is not None

    again, violations = document.check(write(tmp_path, document.dump(read.program, read.rules)))

    assert violations == []
    assert again == read


def test_times_of_a_clock_without_an_offset_are_local_to_the_program(tmp_path: Path) -> None:
    text = PROGRAM.replace("2026-01-10T09:00:00Z", "2026-01-10 10:00")

    read, _ = document.check(write(tmp_path, text))

    assert read is not None
    assert read.program["clock_time"] == "2026-01-10T09:00:00Z"
