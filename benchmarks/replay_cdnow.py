"""The whole CDNOW purchase history through a real server, and out again exactly.

`python -m benchmarks.replay_cdnow SOURCE` replays the purchases through the command line, as anyone
would, into a server and database of their own, and checks what must hold: every point is there, a
second run changes nothing, with `after_months: 6` everything has expired in the end, every tier is
reached and lost on the day that `benchmarks.cdnow_tiers` says, and the verification finds nothing.
Exit code 1 when anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any

import grpc
import psycopg2
from google.protobuf.timestamp_pb2 import Timestamp

from benchmarks.cdnow import TIME_OF_DAY, TIME_ZONE, Purchase, convert, first_members, parse
from benchmarks.cdnow_tiers import LEVELS, Change, held_on, tier_changes
from benchmarks.system import System, running_system
from ledger.v1 import program_pb2, program_pb2_grpc

_PROGRAM = """\
program: {{program_id: {name}, display_name: CDNOW, currency: USD, time_zone: America/New_York,
          sandbox: true, clock_time: "1997-01-01T00:00:00Z"}}
rules:
  earning: {{rate: {{points: 1, per: "1.00"}}, rounding: FLOOR}}
  members: {{auto_enroll: true}}
{more_rules}"""
_TIERS = """\
  visits: {minimum: "5.00", per_day: 1}
  tiers:
    period: {rolling_days: 365}
    levels: [{id: member}, {id: silver, visits: 5}, {id: gold, visits: 12}]
    keep_months: 12
    grace_days: 30
    downgrade: ONE_LEVEL
"""
_PROGRAMS = {
    "cdnow": "",
    "cdnow-expiring": "  expiry: {after_months: 6}\n",
    "cdnow-tiers": _TIERS,
}
_END = "1999-01-02T00:00:00Z"
_LAST_DAY = date(1998, 6, 30)
#: in the program's zone; with the next second fifty members would go down already
_LAST_SECOND = f"{_LAST_DAY}T23:59:59"
#: by then everybody is back on the lowest level
_TIERS_END = date(2000, 8, 31)


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


class Tiers:
    """The tiers of the program cdnow-tiers: what the database has of them, and its clock."""

    def __init__(self, system: System) -> None:
        self._system = system

    def held(self) -> Counter[str]:
        """How many members hold each level now."""
        rows = self._rows("SELECT tier_id FROM accounts WHERE program_id = 'cdnow-tiers'")
        return Counter(level for (level,) in rows)

    def changes(self) -> dict[str, list[Change]]:
        """All changes of every member who had any, the first change first."""
        rows = self._rows("""
            SELECT member_id, effective_time, data::json -> 'why' ->> 'reason', tier_id
            FROM entries WHERE program_id = 'cdnow-tiers' AND kind = 'TIER_CHANGE'
            ORDER BY member_id, sequence""")
        changes: dict[str, list[Change]] = {}
        for member, time, reason, level in rows:
            day = time.astimezone(TIME_ZONE).date()
            changes.setdefault(member, []).append(Change(day, reason, level))
        return changes

    def advance(self, day: date) -> None:
        """Move the clock to the noon of a day."""
        clock_time = Timestamp()
        clock_time.FromDatetime(datetime.combine(day, TIME_OF_DAY, TIME_ZONE))
        request = program_pb2.AdvanceClockRequest(program_id="cdnow-tiers", clock_time=clock_time)
        with grpc.insecure_channel(self._system.grpc_address) as channel:
            program_pb2_grpc.ProgramServiceStub(channel).AdvanceClock(request, timeout=600.0)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with (
            closing(psycopg2.connect(self._system.database_url)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(query)
            return cursor.fetchall()


#: what it is, as the ledger has it, as it must be
_Fact = tuple[str, object, object]


def replay(source: Path, members: int | None = None) -> list[str]:
    """Replay the first `members` customers (default: all); answers what is not as it must be."""
    with source.open(encoding="ascii") as lines:
        purchases = list(first_members(parse(lines), members or sys.maxsize))
    with running_system(Path(tempfile.gettempdir())) as system:
        whole = convert(source, system.directory / "cdnow.csv", members)
        ledger = Ledger(system)
        for name, more_rules in _PROGRAMS.items():
            document = _PROGRAM.format(name=name, more_rules=more_rules)
            (system.directory / f"{name}.yaml").write_text(document)
            ledger.show("program", "apply", f"{name}.yaml")
        ledger.show("replay", "cdnow.csv", "--program", "cdnow")
        ledger.show("replay", "cdnow.csv", "--program", "cdnow")
        twice = ledger.ask("verify", "--program", "cdnow")
        ledger.show("replay", "cdnow.csv", "--program", "cdnow-expiring", "--until", _END)
        ledger.show("replay", "cdnow.csv", "--program", "cdnow-tiers", "--until", _LAST_SECOND)
        facts = _check_tiers(Tiers(system), purchases)
        ledger.show("verify")
        report = ledger.ask("verify")
    points = whole.whole_dollars
    outstanding = {"issuance": -points, "member:available": points}
    expired = {"expired": points, "issuance": -points, "member:available": 0}
    facts += [
        ("entries after the second run", twice["entries"], whole.purchases + whole.members),
        ("members after the second run", twice["members"], whole.members),
        ("points that never expire", report["totals"]["cdnow"], outstanding),
        ("points that expired", report["totals"]["cdnow-expiring"], expired),
        ("points with tiers", report["totals"]["cdnow-tiers"], outstanding),
        ("findings", report["findings"], []),
    ]
    return [
        f"{what}: {found!r}, must be {meant!r}" for what, found, meant in facts if found != meant
    ]


def _check_tiers(tiers: Tiers, purchases: list[Purchase]) -> list[_Fact]:
    """Compare the tiers with the independent answer, on the last day of the purchases and member by
    member until every tier is lost again; shows the former.
    """
    meant = tier_changes(purchases, _LAST_DAY)
    expected = _counts(meant, held_on(meant, _LAST_DAY))
    counts = _counts(tiers.changes(), tiers.held())
    print(f" {f'Tiers on {_LAST_DAY}':24}{'ledger':>10}{'independently':>16}")
    print(f" {'─' * 50}")
    for what, count in counts.items():
        print(f" {what:24}{count:>10,}{expected[what]:>16,}")
    print(flush=True)
    tiers.advance(_TIERS_END)
    found, meant = tiers.changes(), tier_changes(purchases, _TIERS_END)
    return [
        *((what, count, expected[what]) for what, count in counts.items()),
        *((f"tier changes of {one}", found.get(one, []), meant[one]) for one in meant),
        ("tiers in the end", tiers.held(), {LEVELS[0]: len(meant)}),
    ]


def _counts(changes: Mapping[str, list[Change]], held: Mapping[str, int]) -> dict[str, int]:
    """What tiers come to, by what it is."""
    made = Counter((change.reason, change.level) for own in changes.values() for change in own)
    member, silver, gold = LEVELS
    return {
        "promoted to silver": made["PROMOTED", silver],
        "promoted to gold": made["PROMOTED", gold],
        "lowered to silver": made["LOWERED", silver],
        "lowered to member": made["LOWERED", member],
        **{f"in tier {level}": held.get(level, 0) for level in LEVELS},
    }


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
