"""Any history through gRPC on PostgreSQL goes as the model says, and everything stored adds up.

The histories are those of tests/core/test_state_machine.py; here each is a sandbox program of its
own on one server.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from fractions import Fraction
from hashlib import sha256
from itertools import count
from typing import Any

import pytest
from google.protobuf import duration_pb2, json_format, timestamp_pb2
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
    redemption_pb2,
    rules_pb2,
    types_pb2,
)
from tests.conftest import RunningServer
from tests.histories import SECONDS_TO_SHRINK, SETTINGS, Histories, Names, Request, Rules
from tests.model import REMEMBERED, Outcome
from tests.model.points import AVAILABLE, HELD, PENDING
from tests.service.client import Client, Failure, GrpcClient
from tests.service.requests import instant, money

#: the status that goes with each reason
CODES = {
    "INVALID_FIELD": "INVALID_ARGUMENT",
    "MEMBER_ALREADY_ENROLLED": "ALREADY_EXISTS",
    "REQUEST_ID_REUSED": "ALREADY_EXISTS",
    **dict.fromkeys(REMEMBERED, "FAILED_PRECONDITION"),
    **{
        f"{what}_NOT_FOUND": "NOT_FOUND"
        for what in ("HOLD", "MEMBER", "PURCHASE", "REDEMPTION", "REWARD")
    },
}


class Service:
    """A sandbox program behind gRPC. AdvanceClock settles everybody."""

    def __init__(self, client: GrpcClient, program_id: str) -> None:
        self.client = client
        self.program_id = program_id
        self.names = Names()
        #: the journal that was told last, for `check`
        self.latest: list[types_pb2.Entry] = []

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

    def write(self, method: str, request: Request) -> Outcome:
        call, message = WRITES[method]
        content = message(**self._fields(request))
        return told(lambda: self._receipt(call(self.client, content)))

    def preview_purchase(self, request: Request) -> Outcome:
        content = {name: value for name, value in request.items() if name != "request_id"}
        message = points_pb2.PreviewPurchaseRequest(**self._fields(content))

        def preview() -> dict[str, Any]:
            answer = self.client.preview_purchase(message)
            return {"points": answer.points, "breakdown": lines_of(answer.breakdown)}

        return told(preview)

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
        self.latest = self._entries(member_id)
        return [self.shown(entry) for entry in self.latest]

    def check(self, member_id: str) -> None:
        entries = self.latest
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

    def warnings(self, member_id: str) -> None:
        """No call tells them."""

    def offers(self, member_id: str) -> dict[str, tuple[bool, int | None]]:
        request = redemption_pb2.ListRewardsRequest(program_id=self.program_id, member_id=member_id)
        found: dict[str, tuple[bool, int | None]] = {}
        for offer in self.client.list_rewards(request).rewards:
            assert offer.available == (not offer.obstacles)
            left = offer.stock_left if offer.HasField("stock_left") else None
            found[offer.reward_id] = (offer.available, left)
        return found

    def trial_balance(self) -> dict[str, int]:
        answer = self.client.get_trial_balance(
            audit_pb2.GetTrialBalanceRequest(program_id=self.program_id)
        )
        assert answer.total_points == 0
        return {total.account: total.points for total in answer.accounts}

    def _fields(self, request: Request) -> dict[str, Any]:
        """The fields of a request's message."""
        made = dict(request)
        if "amount" in made:
            made["amount"] = money(made["amount"])
        if "lines" in made:
            made["lines"] = [
                types_pb2.PurchaseLine(**{**line, "amount": money(line["amount"])})
                for line in made["lines"]
            ]
        for name in ("effective_time", "until_time"):
            if name in made:
                made[name] = stamp(made[name])
        if "ttl" in made:
            made["ttl"] = duration_pb2.Duration()
            made["ttl"].FromTimedelta(request["ttl"])
        if "status" in made:
            made["status"] = f"MEMBER_STATUS_{made['status']}"
        for name in ("hold_id", "redemption_id"):
            if name in made:
                made[name] = self.names.real(made[name])
        return made

    def _receipt(self, message: types_pb2.Receipt) -> dict[str, Any]:
        entries = [self.shown(entry) for entry in message.entries]
        member_id = message.entries[0].member_id
        hold = self._hold(member_id, message.hold) if message.HasField("hold") else None
        made = message.redemption if message.HasField("redemption") else None
        return {
            "entries": [entry for entry in entries if not entry["by_time"]],
            "balance": shown(message.balance),
            "tier": status_dict(message.tier),
            "hold": hold,
            "redemption": None if made is None else self._redemption(member_id, made),
            "replayed": message.replayed,
        }

    def _hold(self, member_id: str, hold: types_pb2.Hold) -> dict[str, Any]:
        state = types_pb2.HoldState.Name(hold.state).removeprefix("HOLD_STATE_")
        return {
            "hold_id": self.names.name(member_id, "h", hold.hold_id),
            "points": hold.points,
            "state": state,
            "captured": hold.captured_points,
            "expires": moment(hold.expire_time),
        }

    def _redemption(self, member_id: str, made: types_pb2.Redemption) -> dict[str, Any]:
        return {
            "redemption_id": self.names.name(member_id, "r", made.redemption_id),
            "points": made.points,
            "value": amount(made.value) if made.HasField("value") else None,
            "percent": made.percent_off or None,
            "reversed": made.reversed_points,
        }

    def shown(self, entry: types_pb2.Entry) -> dict[str, Any]:
        """An entry as the model shows it."""
        shown = {
            "kind": types_pb2.EntryKind.Name(entry.kind).removeprefix("ENTRY_KIND_"),
            "points": entry.points,
            "effective_time": moment(entry.effective_time),
            "create_time": moment(entry.create_time),
            "rules_version": entry.rules_version,
            "tier_id": entry.tier_id,
            "by_time": entry.actor == "time",
            "debit": entry.debit_account,
            "credit": entry.credit_account,
            "lots": lots_of(entry),
        }
        status = types_pb2.MemberStatus.Name(entry.status).removeprefix("MEMBER_STATUS_")
        said: dict[str, Any] = {
            "activity": entry.activity,
            "purchase_id": entry.purchase_id,
            "breakdown": lines_of(entry.breakdown),
            "related": entry.related_member_id,
            "reason_code": entry.reason_code,
            "status": status if entry.status else "",
            "inactivity": entry.inactivity,
        }
        if entry.HasField("tier_change"):
            reason = types_pb2.TierChangeReason.Name(entry.tier_change.reason)
            said["reason"] = reason.removeprefix("TIER_CHANGE_REASON_")
        shown |= {name: value for name, value in said.items() if value}
        if entry.HasField("hold") or entry.HasField("redemption"):
            shown["reward"] = entry.reward_id
        if entry.HasField("hold"):
            shown["hold"] = self._hold(entry.member_id, entry.hold)
        if entry.HasField("redemption"):
            shown["redemption"] = self._redemption(entry.member_id, entry.redemption)
        if entry.HasField("returned"):
            shown["amount"] = amount(entry.amount)
            shown["eligible"] = amount(entry.eligible_amount)
            shown["returned"] = returned_dict(entry.returned)
            shown["forgiven"] = entry.forgiven_points
        return shown

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


def returned_dict(returned: types_pb2.Returned) -> dict[str, Any]:
    return {
        "amount": amount(returned.amount),
        "eligible": amount(returned.eligible_amount),
        "points": returned.points,
        "full": returned.full,
    }


def lots_of(entry: types_pb2.Entry) -> dict[Any, int]:
    """What an entry changes in lots: points by account, activation and expiry."""
    lots: Counter[Any] = Counter()
    for change in entry.lots:
        activates = instant_of(change, "activate_time")
        account = HELD if change.held else AVAILABLE if activates is None else PENDING
        lots[account, activates, instant_of(change, "expire_time")] += change.points
    return {lot: points for lot, points in lots.items() if points}


def shown(balance: types_pb2.Balance) -> dict[str, Any]:
    expiry = balance.next_expiry
    return {
        "available": balance.available_points,
        "held": balance.held_points,
        "debt": balance.debt_points,
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


#: how each write is called, and with what
WRITES: dict[str, tuple[Callable[..., types_pb2.Receipt], Callable[..., Message]]] = {
    "enroll": (Client.enroll_member, member_pb2.EnrollMemberRequest),
    "record_purchase": (Client.record_purchase, points_pb2.RecordPurchaseRequest),
    "record_activity": (Client.record_activity, points_pb2.RecordActivityRequest),
    "record_return": (Client.record_return, points_pb2.RecordReturnRequest),
    "override_tier": (Client.override_tier, points_pb2.OverrideTierRequest),
    "adjust_points": (Client.adjust_points, points_pb2.AdjustPointsRequest),
    "transfer_points": (Client.transfer_points, points_pb2.TransferPointsRequest),
    "hold_points": (Client.hold_points, redemption_pb2.HoldPointsRequest),
    "capture_hold": (Client.capture_hold, redemption_pb2.CaptureHoldRequest),
    "release_hold": (Client.release_hold, redemption_pb2.ReleaseHoldRequest),
    "extend_hold": (Client.extend_hold, redemption_pb2.ExtendHoldRequest),
    "redeem_points": (Client.redeem_points, redemption_pb2.RedeemPointsRequest),
    "reverse_redemption": (Client.reverse_redemption, redemption_pb2.ReverseRedemptionRequest),
    "set_member_status": (Client.set_member_status, member_pb2.SetMemberStatusRequest),
}


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
        settings=settings(SETTINGS, max_examples=25, stateful_step_count=30),
    )
    client.close()
