"""What must hold over all members together: totals, transfers, budgets, stock, rules, warnings, one
outcome per request.

The sums of a program's entries and accounts are gathered member by member, wherever that is done
(`Sums`), and compared in the end with each other and with what is stored beside the journal.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from ledger.core.model import AVAILABLE, DEBT, HELD, PENDING, TRANSFERS, Account, Entry
from ledger.core.verify import StoredAccount

_PROMOTION = "promotion:"

#: (program_id, rules version, promotion_id)
Promoted = tuple[str, int, str]
#: expire_time (µs) and points
_Lot = tuple[int | None, int]


class Finding(NamedTuple):
    """Something stored that contradicts the journal. sequence 0 = not one entry's fault."""

    check: str
    program_id: str
    member_id: str
    sequence: int
    detail: str


class Transfer(NamedTuple):
    """Points that go from one member to another, as both sides have to tell it."""

    program_id: str
    sender: str
    recipient: str
    points: int
    lots: tuple[_Lot, ...]
    #: µs
    effective_time: int


class Side(NamedTuple):
    """The entry that tells one side of a transfer."""

    member_id: str
    sequence: int
    kind: str


@dataclass
class Sums:
    """Sums over members, of what their entries say and of what their accounts hold."""

    #: points that entries moved, by program and ledger account
    moved: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: points that accounts hold, by program and ledger account
    held: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: points that promotions gave
    promoted: Counter[Promoted] = field(default_factory=Counter)
    #: units of stock taken and not given back, by program and reward
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: transfers of which only one side has been seen, all entries of one transfer of the same side
    one_sided: dict[Transfer, list[Side]] = field(default_factory=dict)

    def add_entry(self, entry: Entry) -> None:
        """Count what an entry says."""
        program_id, data = entry.program_id, entry.data
        if entry.points:
            self.moved[program_id, entry.debit_account] -= abs(entry.points)
            self.moved[program_id, entry.credit_account] += abs(entry.points)
        for line in data.breakdown:
            if line.rule.startswith(_PROMOTION):
                promotion_id = line.rule.removeprefix(_PROMOTION)
                self.promoted[program_id, entry.rules_version, promotion_id] += line.points
        if data.units:
            self.taken[program_id, data.reward_id] += data.units
        if entry.kind in ("TRANSFER_OUT", "TRANSFER_IN"):
            self._add_side(_transfer(entry), Side(entry.member_id, entry.sequence, entry.kind))

    def _add_side(self, transfer: Transfer, side: Side) -> None:
        """Count one side of a transfer, or no more the other side that was waiting for it."""
        waiting = self.one_sided.setdefault(transfer, [])
        if waiting and waiting[0].kind != side.kind:
            waiting.pop()
        else:
            waiting.append(side)
        if not waiting:
            del self.one_sided[transfer]

    def add_account(self, program_id: str, stored: StoredAccount | None, folded: Account) -> None:
        """Count what an account holds: by its columns and, for what has none, by its fold."""
        if stored is not None:
            self.held[program_id, AVAILABLE] += stored.available
            self.held[program_id, HELD] += stored.held
        self.held[program_id, PENDING] += folded.pending
        self.held[program_id, DEBT] -= folded.debt

    def add(self, other: Sums) -> None:
        """Count other members, too."""
        self.moved.update(other.moved)
        self.held.update(other.held)
        self.promoted.update(other.promoted)
        self.taken.update(other.taken)
        for transfer, sides in other.one_sided.items():
            for side in sides:
                self._add_side(transfer, side)


def _transfer(entry: Entry) -> Transfer:
    """What one side tells of a transfer."""
    here, there = entry.member_id, entry.data.related_member_id
    sender, recipient = (here, there) if entry.kind == "TRANSFER_OUT" else (there, here)
    lots = tuple([(change.expire_time, abs(change.points)) for change in entry.data.lots])
    points = abs(entry.points)
    return Transfer(entry.program_id, sender, recipient, points, lots, entry.effective_time)


def check_totals(connection: sa.Connection, program_id: str | None, sums: Sums) -> list[Finding]:
    """Everything about all members of a program, or of all, that does not hold."""
    return [
        *_check_outcomes(connection, program_id),
        *_check_receipts(connection, program_id),
        *_check_rules(connection, program_id),
        *_check_warnings(connection, program_id),
        *_check_budgets(connection, program_id, sums.promoted),
        *_check_stock(connection, program_id, sums.taken),
        *_check_transfers(sums),
        *_check_balance(sums),
    ]


def _check_outcomes(connection: sa.Connection, program_id: str | None) -> list[Finding]:
    """A request id has one outcome: it posted entries or was refused, never both."""
    rows = connection.exec_driver_sql(
        "SELECT e.program_id, e.member_id, e.sequence, e.request_id FROM refusals r"
        " JOIN entries e USING (program_id, member_id, request_id)"
        " WHERE %s::text IS NULL OR program_id = %s",
        (program_id, program_id),
    )
    return [
        Finding("outcome", row[0], row[1], row[2], f"request {row[3]} was also refused")
        for row in rows
    ]


def _check_receipts(connection: sa.Connection, program_id: str | None) -> list[Finding]:
    """A receipt is credited to the purchase that it is of."""
    rows = connection.exec_driver_sql(
        "SELECT p.program_id, p.member_id, p.sequence, p.purchase_id FROM purchases p"
        " LEFT JOIN entries e ON e.program_id = p.program_id AND e.member_id = p.member_id"
        " AND e.sequence = p.sequence AND e.kind = 'PURCHASE' AND e.purchase_id = p.purchase_id"
        " WHERE (%s::text IS NULL OR p.program_id = %s) AND e.sequence IS NULL",
        (program_id, program_id),
    )
    fault = "is credited to an entry that is not that purchase"
    return [
        Finding("purchases", row[0], row[1], row[2], f"purchase {row[3]} {fault}") for row in rows
    ]


def _check_rules(connection: sa.Connection, program_id: str | None) -> list[Finding]:
    """The program and the rules version that an entry was decided under are there."""
    rows = connection.exec_driver_sql(
        "SELECT e.program_id, e.rules_version FROM entries e"
        " WHERE %s::text IS NULL OR e.program_id = %s EXCEPT SELECT r.program_id, r.version"
        " FROM rules_versions r JOIN programs p USING (program_id)",
        (program_id, program_id),
    )
    return [
        Finding("rules", row[0], "", 0, f"entries name rules version {row[1]}, which is not there")
        for row in rows
    ]


def _check_warnings(connection: sa.Connection, program_id: str | None) -> list[Finding]:
    """Members were warned ahead, of points that they can have had."""
    rows = connection.exec_driver_sql(
        "SELECT w.program_id, w.member_id, w.expire_time, w.points, w.days"
        " FROM expiry_warnings w LEFT JOIN accounts a USING (program_id, member_id)"
        " WHERE (%s::text IS NULL OR program_id = %s)"
        " AND (a.version IS NULL OR w.points <= 0 OR w.days < 1)",
        (program_id, program_id),
    )
    return [
        Finding("warnings", row[0], row[1], 0, f"{row[3]} points at {row[2]}, {row[4]} days ahead")
        for row in rows
    ]


def _check_budgets(
    connection: sa.Connection, program_id: str | None, promoted: Counter[Promoted]
) -> list[Finding]:
    """What a promotion has drawn on its budget is what entries say, while it had one."""
    rows = connection.exec_driver_sql(
        "SELECT program_id, promotion_id, spent FROM promotion_budgets"
        " WHERE %s::text IS NULL OR program_id = %s",
        (program_id, program_id),
    )
    noted = {(row[0], row[1]): int(row[2]) for row in rows}
    versions = connection.exec_driver_sql(
        "SELECT program_id, version, document FROM rules_versions WHERE program_id = ANY(%s)",
        (list({program for program, _, _ in promoted}),),
    )
    with_budget = {
        (row[0], row[1], promotion["id"])
        for row in versions
        for promotion in _promotions(row[2])
        if promotion.get("budget") is not None
    }
    given: Counter[tuple[str, str]] = Counter()
    for (program, version, promotion_id), points in promoted.items():
        if (program, version, promotion_id) in with_budget:
            given[program, promotion_id] += points
    return [
        Finding(
            "budget", program, "", 0, f"promotion {name} has drawn {spent} on its budget, {said}"
        )
        for program, name, spent, said in _differences(noted, given)
    ]


def _differences(
    noted: Mapping[tuple[str, str], int], said: Counter[tuple[str, str]]
) -> Iterator[tuple[str, str, int, str]]:
    """Where a running total is not the sum of what entries say: program, name, total, that sum."""
    for key in sorted(noted.keys() | said.keys()):
        if noted.get(key, 0) != said[key]:
            yield (*key, noted.get(key, 0), f"entries say {said[key]}")


def _promotions(document: str) -> list[dict[str, Any]]:
    """The promotions of a rules document; none of one that can not be read."""
    try:
        return list(json.loads(document).get("promotions", ()))
    except ValueError:
        return []


def _check_stock(
    connection: sa.Connection, program_id: str | None, taken: Counter[tuple[str, str]]
) -> list[Finding]:
    """What is noted as taken of a reward's stock is what entries took and did not give back."""
    rows = connection.exec_driver_sql(
        "SELECT program_id, reward_id, taken FROM rewards_stock"
        " WHERE %s::text IS NULL OR program_id = %s",
        (program_id, program_id),
    )
    noted = {(row[0], row[1]): int(row[2]) for row in rows}
    return [
        Finding("stock", program, "", 0, f"{out} units of reward {name} are noted as taken, {said}")
        for program, name, out, said in _differences(noted, taken)
    ]


def _check_transfers(sums: Sums) -> list[Finding]:
    """What left one member arrived at the other: as many points, of the same lots, at once."""
    return [
        Finding(
            "transfers",
            transfer.program_id,
            side.member_id,
            side.sequence,
            f"{transfer.points} points from {transfer.sender} to {transfer.recipient} are told by a"
            f" {side.kind} alone",
        )
        for transfer, sides in sums.one_sided.items()
        for side in sides
    ]


def _check_balance(sums: Sums) -> list[Finding]:
    """Points only move: what the accounts hold is what the journal moved there, nothing is left
    between members, and all of it together is zero."""
    findings = []
    for program_id in sorted({program_id for program_id, _ in sums.moved}):
        moved = {
            name: points for (program, name), points in sums.moved.items() if program == program_id
        }
        details = []
        if total := sum(moved.values()):
            details.append(f"all ledger accounts together hold {total} points, not 0")
        for name in (AVAILABLE, PENDING, HELD, DEBT):
            held = sums.held[program_id, name]
            if moved.get(name, 0) != held:
                details.append(
                    f"{name}: the journal moved {moved.get(name, 0)}, the accounts hold {held}"
                )
        if left := moved.get(TRANSFERS, 0):
            details.append(f"{TRANSFERS}: {left} points are left between members, not 0")
        findings += [Finding("trial_balance", program_id, "", 0, detail) for detail in details]
    return findings
