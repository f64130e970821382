"""Runs commands in this process and keeps what they print."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger.cli import run
from tests.conftest import RUN_DIRECTORY

PROGRAM = """
program: {program_id: beans, display_name: Beans, currency: EUR, time_zone: Europe/Berlin,
          sandbox: true, clock_time: 2026-01-10T09:00:00Z}
rules:
  earning: {rate: {points: 1, per: "1.00"}, exclude_categories: [gift-card]}
  expiry: {after_months: 12}
  redemption: {value: {points: 100, amount: "1.00"}}
  members: {auto_enroll: true}
  bonuses: [{id: welcome, on: ENROLLMENT, points: 50}]
"""


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)

    @property
    def failure(self) -> Any:
        """The failure on stderr, of a command with --json. Notes may come before it."""
        return json.loads(self.err.splitlines()[-1])


Cli = Callable[..., Result]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs `ledger` with arguments, untouched by the settings of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("LEDGER_")]:
        if name != RUN_DIRECTORY and name != "LEDGER_CDNOW_FILE":
            monkeypatch.delenv(name)

    def command(*arguments: object) -> Result:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return command


@pytest.fixture
def program_file(tmp_path: Path) -> Path:
    """A valid document of a sandbox program."""
    file = tmp_path / "beans.yaml"
    file.write_text(PROGRAM)
    return file
