"""The whole CDNOW purchase history through a real server, and out again exactly.

`python -m benchmarks.replay_cdnow SOURCE` replays the purchases through the command line, as anyone
would, into a server and database of their own, and checks what must hold: every point is there, a
second run changes nothing, with `after_months: 6` everything has expired in the end, and the
verification finds nothing. Exit code 1 when anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.cdnow import convert
from benchmarks.system import System, running_system

_PROGRAM = """\
program: {{program_id: {name}, display_name: CDNOW, currency: USD, time_zone: America/New_York,
          sandbox: true, clock_time: "1997-01-01T00:00:00Z"}}
rules:
  earning: {{rate: {{points: 1, per: "1.00"}}, rounding: FLOOR}}
  members: {{auto_enroll: true}}
{expiry}"""
_PROGRAMS = {"cdnow": "", "cdnow-expiring": "  expiry: {after_months: 6}\n"}
_END = "1999-01-02T00:00:00Z"


class Ledger:
    """The command line, against one running system."""

    def __init__(self, system: System) -> None:
        self._directory = system.directory
        self._environment = {
            **os.environ,
            "LEDGER_SERVER": system.grpc_address,
            "LEDGER_DATABASE_URL": system.database_url,
        }

    def show(self, *arguments: str) -> None:
        """Run a command for people to see."""
        print(f"$ ledger {' '.join(arguments)}", flush=True)
        self._run(arguments, None)
        print(flush=True)

    def ask(self, *arguments: str) -> Any:
        """The JSON answer of a command."""
        return json.loads(self._run((*arguments, "--json"), subprocess.PIPE).stdout)

    def _run(self, arguments: tuple[str, ...], output: int | None) -> Any:
        command = [sys.executable, "-m", "ledger", *arguments]
        return subprocess.run(
            command, cwd=self._directory, env=self._environment, stdout=output, check=True
        )


def replay(source: Path, members: int | None = None) -> list[str]:
    """Replay the first `members` customers (default: all); answers what is not as it must be."""
    with running_system(Path(tempfile.gettempdir())) as system:
        whole = convert(source, system.directory / "cdnow.csv", members)
        ledger = Ledger(system)
        for name, expiry in _PROGRAMS.items():
            document = _PROGRAM.format(name=name, expiry=expiry)
            (system.directory / f"{name}.yaml").write_text(document)
            ledger.show("program", "apply", f"{name}.yaml")
        ledger.show("replay", "cdnow.csv", "--program", "cdnow")
        ledger.show("replay", "cdnow.csv", "--program", "cdnow")
        twice = ledger.ask("verify", "--program", "cdnow")
        ledger.show("replay", "cdnow.csv", "--program", "cdnow-expiring", "--until", _END)
        ledger.show("verify")
        report = ledger.ask("verify")
    points = whole.whole_dollars
    outstanding = {"issuance": -points, "member:available": points}
    expired = {"expired": points, "issuance": -points, "member:available": 0}
    facts: tuple[tuple[str, object, object], ...] = (
        ("entries after the second run", twice["entries"], whole.purchases + whole.members),
        ("members after the second run", twice["members"], whole.members),
        ("points that never expire", report["totals"]["cdnow"], outstanding),
        ("points that expired", report["totals"]["cdnow-expiring"], expired),
        ("findings", report["findings"], []),
    )
    return [
        f"{what}: {found!r}, must be {meant!r}" for what, found, meant in facts if found != meant
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.replay_cdnow")
    parser.add_argument("source", type=Path, help="CDNOW_master.txt")
    parser.add_argument("--members", type=int, help="only the first N customers")
    arguments = parser.parse_args()
    faults = replay(arguments.source.resolve(), arguments.members)
    for fault in faults:
        print(f"wrong: {fault}", file=sys.stderr)
    print("everything is exactly as it must be" if not faults else f"{len(faults)} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
