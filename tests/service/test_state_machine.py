"""Any history through gRPC on PostgreSQL goes as the model says, and everything stored adds up.

The histories are those of tests/core/test_state_machine.py; here each is a sandbox program of its
own on one server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from fractions import Fraction
from hashlib import sha256
from itertools import count
from typing import Any

import pytest
from google.protobuf import json_format, timestamp_pb2
from google.protobuf.message import Message
from google.type import money_pb2
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from ledger.v1 import (
    audit_pb2,
    balance_pb2,
    member_pb2,
    points_pb2,
    program_pb2,
    rules_pb2,
    types_pb2,
)
from tests.conftest import RunningServer
from tests.histories import SECONDS_TO_SHRINK, SETTINGS, Histories, Request, Rules
from tests.model import Outcome
from tests.service.client import Failure, GrpcClient
from tests.service.requests import instant, money

#: the status that goes with each reason
CODES = {
    "EFFECTIVE_TIME_OUT_OF_RANGE": "FAILED_PRECONDITION",
    "INVALID_FIELD": "INVALID_ARGUMENT",
    "MEMBER_ALREADY_ENROLLED": "ALREADY_EXISTS",
    "MEMBER_NOT_FOUND": "NOT_FOUND",
    "PURCHASE_ALREADY_RECORDED": "FAILED_PRECONDITION",
    "REQUEST_ID_REUSED": "ALREADY_EXISTS",
}


class Service:
    """A sandbox program behind gRPC. AdvanceClock settles everybody."""

    def __init__(self, client: GrpcClient, program_id: str) -> None:
        self.client = client
        self.program_id = program_id

    def create_program(self, program: dict[str, Any], rules: Rules) -> None:
        message = program_pb2.Program(
            **{**program, "clock_time": instant(program["clock_time"])},
        )
        self.client.create_program(
            program_pb2.CreateProgramRequest(program=message, rules=rules_message(rules))
        )

    def publish_rules(self, rules: Rules, effective_time: datetime | None) -> Outcome:
        request = program_pb2.PublishRulesRequest(
            program_id=self.program_id,
            rules=rules_message(rules),
            effective_time=stamp(effective_time),
        )
        return told(lambda: {"version": self.client.publish_rules(request).version})

    def advance_clock(self, clock_time: datetime) -> Outcome:
        request = program_pb2.AdvanceClockRequest(
            program_id=self.program_id, clock_time=instant(clock_time)
        )
        return told(
            lambda: {"clock_time": moment(self.client.advance_clock(request).program.clock_time)}
        )

    def enroll(self, request: Request) -> Outcome:
        message = member_pb2.EnrollMemberRequest(**fields(request))
        return told(lambda: receipt(self.client.enroll_member(message)))

    def record_purchase(self, request: Request) -> Outcome:
        message = points_pb2.RecordPurchaseRequest(**fields(request))
        return told(lambda: receipt(self.client.record_purchase(message)))

    def preview_purchase(self, request: Request) -> Outcome:
        content = {name: value for name, value in request.items() if name != "request_id"}
        message = points_pb2.PreviewPurchaseRequest(**fields(content))

        def preview() -> dict[str, Any]:
            answer = self.client.preview_purchase(message)
            return {"points": answer.points, "breakdown": lines_of(answer.breakdown)}

        return told(preview)

    def record_activity(self, request: Request) -> Outcome:
        message = points_pb2.RecordActivityRequest(**fields(request))
        return told(lambda: receipt(self.client.record_activity(message)))

    def override_tier(self, request: Request) -> Outcome:
        message = points_pb2.OverrideTierRequest(**fields(request))
        return told(lambda: receipt(self.client.override_tier(message)))

    def settle(self, member_id: str) -> None:
        """Nothing is ever due here: the clock has settled everybody."""

    def balance(self, member_id: str, as_of: datetime | None) -> dict[str, Any]:
        request = balance_pb2.GetBalanceRequest(
            program_id=self.program_id, member_id=member_id, as_of_time=stamp(as_of)
        )
        return shown(self.client.get_balance(request))

    def tier_status(self, member_id: str) -> dict[str, Any]:
        request = balance_pb2.GetTierStatusRequest(program_id=self.program_id, member_id=member_id)
        return status_dict(self.client.get_tier_status(request))

    def journal(self, member_id: str) -> list[dict[str, Any]]:
        return [entry_dict(entry) for entry in self._entries(member_id)]

    def check(self, member_id: str) -> None:
        entries = self._entries(member_id)
        assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
        head = bytes(32)
        for entry in entries:
            assert entry.previous_hash == head
            head = sha256(head + entry.canonical_form).digest()
            assert entry.hash == head
            assert all(line.description for line in entry.breakdown)
        verified = self.client.verify_member(
            audit_pb2.VerifyMemberRequest(program_id=self.program_id, member_id=member_id)
        )
        assert list(verified.findings) == []
        assert (verified.entries, verified.head_hash) == (len(entries), head)

    def trial_balance(self) -> dict[str, int]:
        answer = self.client.get_trial_balance(
            audit_pb2.GetTrialBalanceRequest(program_id=self.program_id)
        )
        assert answer.total_points == 0
        return {total.account: total.points for total in answer.accounts}

    def _entries(self, member_id: str) -> list[types_pb2.Entry]:
        request = balance_pb2.ListEntriesRequest(
            program_id=self.program_id,
            member_id=member_id,
            page_size=1_000,
            include_canonical_form=True,
        )
        answer = self.client.list_entries(request)
        assert answer.next_page_token == ""
        return list(answer.entries)[::-1]


def told(answer: Callable[[], dict[str, Any]]) -> Outcome:
    """An answer or a refusal in the words of the model."""
    try:
        return "ok", answer()
    except Failure as refused:
        failure = refused
    assert failure.code == CODES.get(failure.reason), failure
    assert failure.domain == "ledger"
    return "refused", failure.reason


def rules_message(rules: Rules) -> rules_pb2.Rules:
    return json_format.ParseDict(rules, rules_pb2.Rules())


def stamp(moment: datetime | None) -> timestamp_pb2.Timestamp | None:
    return None if moment is None else instant(moment)


def moment(stamp: timestamp_pb2.Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)


def fields(request: Request) -> dict[str, Any]:
    """The fields of a request's message."""
    made = dict(request)
    if "amount" in made:
        made["amount"] = money(made["amount"])
    if "lines" in made:
        made["lines"] = [
            types_pb2.PurchaseLine(
                category=line["category"], sku=line["sku"], amount=money(line["amount"])
            )
            for line in made["lines"]
        ]
    for name in ("effective_time", "until_time"):
        if name in made:
            made[name] = stamp(made[name])
    return made


def receipt(message: types_pb2.Receipt) -> dict[str, Any]:
    entries = [entry_dict(entry) for entry in message.entries]
    return {
        "entries": [entry for entry in entries if not entry["by_time"]],
        "balance": shown(message.balance),
        "tier": status_dict(message.tier),
        "replayed": message.replayed,
    }


def shown(balance: types_pb2.Balance) -> dict[str, Any]:
    expiry = balance.next_expiry
    return {
        "available": balance.available_points,
        "pending": balance.pending_points,
        "lifetime": balance.lifetime_points,
        "next_expiry": (moment(expiry.expire_time), expiry.points)
        if balance.HasField("next_expiry")
        else None,
        "tier_id": balance.tier_id,
    }


def status_dict(status: types_pb2.TierStatus) -> dict[str, Any]:
    if not status.tier_id:
        return {}
    return {
        "tier_id": status.tier_id,
        "since": moment(status.since_time),
        "valid_until": instant_of(status, "valid_until_time"),
        "grace_until": instant_of(status, "grace_until_time"),
        "visits": status.visits,
        "spend": amount(status.spend),
        "period_start": moment(status.period_start_time),
        "next": missing(status.next) if status.HasField("next") else None,
        "keep": missing(status.keep) if status.HasField("keep") else None,
    }


def missing(what: types_pb2.TierStatus.Missing) -> dict[str, Any]:
    return {
        "tier_id": what.tier_id,
        "visits": what.visits_missing,
        "spend": amount(what.spend_missing),
        "by_time": instant_of(what, "by_time"),
    }


def instant_of(message: Message, name: str) -> datetime | None:
    return moment(getattr(message, name)) if message.HasField(name) else None


def amount(money: money_pb2.Money) -> Fraction:
    return Fraction(money.units) + Fraction(money.nanos, 10**9)


def lines_of(breakdown: Iterable[types_pb2.BreakdownLine]) -> list[tuple[str, int]]:
    return [(line.rule, line.points) for line in breakdown]


def entry_dict(entry: types_pb2.Entry) -> dict[str, Any]:
    shown = {
        "kind": types_pb2.EntryKind.Name(entry.kind).removeprefix("ENTRY_KIND_"),
        "points": entry.points,
        "effective_time": moment(entry.effective_time),
        "create_time": moment(entry.create_time),
        "rules_version": entry.rules_version,
        "tier_id": entry.tier_id,
        "by_time": entry.actor == "time",
    }
    if entry.activity:
        shown["activity"] = entry.activity
    if entry.HasField("tier_change"):
        reason = types_pb2.TierChangeReason.Name(entry.tier_change.reason)
        shown["reason"] = reason.removeprefix("TIER_CHANGE_REASON_")
    if entry.purchase_id:
        shown["purchase_id"] = entry.purchase_id
    if entry.breakdown:
        shown["breakdown"] = lines_of(entry.breakdown)
    return shown


@pytest.mark.timeout(SECONDS_TO_SHRINK)
def test_any_history_goes_as_the_model_says(server: RunningServer) -> None:
    client = GrpcClient(server.grpc_address)
    numbers = count(1)

    class ServiceHistories(Histories):
        """Histories through gRPC, each in a program of its own."""

        def make_ledger(self) -> Service:
            self.program_id = f"history-{next(numbers)}"
            return Service(client, self.program_id)

    run_state_machine_as_test(
        ServiceHistories,
        settings=settings(SETTINGS, max_examples=30, stateful_step_count=30),
    )
    client.close()
