"""After the load: the ledger must hold exactly what it acknowledged, no more and no less.

Looks at the database behind the service's back, at the service's own trial balance, and folds
every journal again. What should be there is worked out by `benchmarks.shop`, not by the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import psycopg2

from benchmarks.shop import Purchase
from ledger.core.model import AVAILABLE
from ledger.store.verify import verify
from ledger.v1 import audit_pb2, audit_pb2_grpc

_MAX_EXAMPLES = 5


@dataclass(frozen=True)
class Audit:
    """What was compared; `faults` is empty when the ledger is right."""

    purchases: int
    members: int
    entries: int
    outstanding_points: int
    verify_seconds: float
    faults: list[str]


def audit(
    channel: grpc.Channel,
    database_url: str,
    program_id: str,
    acknowledged: Sequence[Purchase],
    moved: Mapping[str, int],
    balances: Mapping[str, int] | None,
) -> Audit:
    """Compare a program's ledger with the purchases it acknowledged, the points that its receipts
    brought to each ledger account, and the balances where they can be worked out (not None).

    Whatever it posted must also agree with itself; grpc.RpcError when the service is gone. One
    process verifies, so that its speed is that of a core.
    """
    faults: list[str] = []
    sent = {purchase.purchase_id: purchase.member_id for purchase in acknowledged}
    faults += _compare("purchase", sent, _stored_purchases(database_url, program_id))
    stored = _stored_balances(database_url, program_id)
    if balances is not None:
        faults += _compare("balance of", balances, stored)
    outstanding = sum(stored.values())
    faults += _compare(
        "available points:", {program_id: moved[AVAILABLE]}, {program_id: outstanding}
    )
    faults += check_trial_balance(channel, program_id, moved)
    report = verify(database_url, program_id=program_id, workers=1)
    faults += [
        f"verify: {finding.check}: {finding.member_id} {finding.detail}"
        for finding in report.findings[:_MAX_EXAMPLES]
    ]
    # Every member joined, was welcomed, and then bought; nothing has expired.
    expected = 2 * len(stored) + len(sent)
    if balances is not None and report.entries != expected:
        faults.append(f"the journal has {report.entries} entries, not {expected}")
    return Audit(
        purchases=len(sent),
        members=report.members,
        entries=report.entries,
        outstanding_points=outstanding,
        verify_seconds=report.seconds,
        faults=faults,
    )


def combined(audits: Sequence[Audit]) -> Audit:
    """What all of them covered."""
    return Audit(
        purchases=sum(each.purchases for each in audits),
        members=sum(each.members for each in audits),
        entries=sum(each.entries for each in audits),
        outstanding_points=sum(each.outstanding_points for each in audits),
        verify_seconds=sum(each.verify_seconds for each in audits),
        faults=[fault for each in audits for fault in each.faults],
    )


def check_answers(answered: Counter[tuple[str, int]], balances: Mapping[str, int]) -> list[str]:
    """Faults of balances that were answered when all purchases were in."""
    wrong = [
        f"GetBalance answered {points} for {member_id}, who has {balances[member_id]}"
        for member_id, points in answered
        if balances[member_id] != points
    ]
    return wrong[:_MAX_EXAMPLES]


def _compare(what: str, expected: Mapping[str, object], found: Mapping[str, object]) -> list[str]:
    """Differences in words: a few of them, and how many there are."""
    names = expected.keys() | found.keys()
    wrong = sorted(name for name in names if expected.get(name) != found.get(name))
    faults = [
        f"{what} {name}: expected {expected.get(name)}, found {found.get(name)}"
        for name in wrong[:_MAX_EXAMPLES]
    ]
    if len(wrong) > _MAX_EXAMPLES:
        faults.append(f"{what}: {len(wrong)} differences in all")
    return faults


def check_trial_balance(
    channel: grpc.Channel, program_id: str, moved: Mapping[str, int]
) -> list[str]:
    """Faults of a program's trial balance, which must be what receipts told. grpc.RpcError."""
    request = audit_pb2.GetTrialBalanceRequest(program_id=program_id)
    answer = audit_pb2_grpc.AuditServiceStub(channel).GetTrialBalance(request, timeout=300.0)
    found = {total.account: total.points for total in answer.accounts if total.points}
    expected = {account: points for account, points in moved.items() if points}
    faults = _compare("trial balance:", expected, found)
    if answer.total_points:
        faults.append(f"the trial balance is {answer.total_points}, not 0")
    return faults


def _stored_purchases(url: str, program_id: str) -> dict[str, object]:
    query = "SELECT purchase_id, member_id FROM purchases WHERE program_id = %s"
    return _pairs(url, query, program_id)


def _stored_balances(url: str, program_id: str) -> dict[str, int]:
    query = "SELECT member_id, available FROM accounts WHERE program_id = %s"
    return _pairs(url, query, program_id)


def _pairs(url: str, query: str, program_id: str) -> dict[str, Any]:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query, (program_id,))
            return dict(cursor.fetchall())
    finally:
        connection.close()
