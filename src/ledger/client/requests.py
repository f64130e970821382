"""The requests of a till as messages: ids checked, money and instants exact, the same each time.

A request is made once, before it is sent for the first time, with its request id and its instant;
whatever is sent later is that same message. So the ledger recognises it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.client.values import Amount, malformed, money_of, timestamp_of
from ledger.v1 import member_pb2, points_pb2, redemption_pb2, types_pb2

_MAX_ID: Final = 128
_MAX_POINTS: Final = 10**15


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a receipt; `amount` is for all its pieces. The category decides what it earns."""

    amount: Amount
    category: str = ""
    sku: str = ""
    quantity: int = 0


def new_request_id() -> str:
    """An idempotency key that nobody has used."""
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Requests:
    """Makes the requests of one terminal. Each method raises InvalidRequest for a fault."""

    program_id: str
    currency: str
    location_id: str = ""
    terminal_id: str = ""

    def __post_init__(self) -> None:
        _identifier("location_id", self.location_id, required=False)
        _identifier("terminal_id", self.terminal_id, required=False)

    def purchase(
        self,
        member_id: str,
        amount: Amount,
        *,
        purchase_id: str,
        request_id: str,
        lines: Sequence[Line] = (),
        effective_time: datetime | None = None,
    ) -> points_pb2.RecordPurchaseRequest:
        return points_pb2.RecordPurchaseRequest(
            request_id=_identifier("request_id", request_id),
            program_id=self.program_id,
            member_id=_identifier("member_id", member_id),
            purchase_id=_identifier("purchase_id", purchase_id),
            amount=money_of("amount", amount, self.currency),
            lines=self._lines(lines),
            effective_time=_instant(effective_time),
            location_id=self.location_id,
            terminal_id=self.terminal_id,
        )

    def return_(
        self,
        member_id: str,
        purchase_id: str,
        *,
        request_id: str,
        amount: Amount | None = None,
        lines: Sequence[Line] = (),
        effective_time: datetime | None = None,
    ) -> points_pb2.RecordReturnRequest:
        """Without amount and lines, all that is left of the purchase comes back."""
        if amount is not None and lines:
            raise malformed("amount", "is not given together with lines")
        return points_pb2.RecordReturnRequest(
            request_id=_identifier("request_id", request_id),
            program_id=self.program_id,
            member_id=_identifier("member_id", member_id),
            purchase_id=_identifier("purchase_id", purchase_id),
            amount=None if amount is None else money_of("amount", amount, self.currency),
            lines=self._lines(lines),
            full=amount is None and not lines,
            effective_time=_instant(effective_time),
            location_id=self.location_id,
            terminal_id=self.terminal_id,
        )

    def redeem(
        self,
        member_id: str,
        *,
        points: int = 0,
        reward_id: str = "",
        request_id: str,
        effective_time: datetime | None = None,
    ) -> redemption_pb2.RedeemPointsRequest:
        _points_or_reward(points, reward_id)
        return redemption_pb2.RedeemPointsRequest(
            request_id=_identifier("request_id", request_id),
            program_id=self.program_id,
            member_id=_identifier("member_id", member_id),
            points=points,
            reward_id=reward_id,
            effective_time=_instant(effective_time),
            location_id=self.location_id,
            terminal_id=self.terminal_id,
        )

    def reverse(
        self, member_id: str, redemption_id: str, *, points: int | None = None, request_id: str
    ) -> redemption_pb2.ReverseRedemptionRequest:
        return redemption_pb2.ReverseRedemptionRequest(
            request_id=_identifier("request_id", request_id),
            program_id=self.program_id,
            member_id=_identifier("member_id", member_id),
            redemption_id=_identifier("redemption_id", redemption_id),
            points=None if points is None else _points(points),
            location_id=self.location_id,
            terminal_id=self.terminal_id,
        )

    def hold(
        self,
        member_id: str,
        *,
        points: int = 0,
        reward_id: str = "",
        ttl: timedelta | None = None,
        request_id: str,
    ) -> redemption_pb2.HoldPointsRequest:
        _points_or_reward(points, reward_id)
        length = Duration()
        if ttl is not None:
            length.FromTimedelta(ttl)
        return redemption_pb2.HoldPointsRequest(
            request_id=_identifier("request_id", request_id),
            program_id=self.program_id,
            member_id=_identifier("member_id", member_id),
            points=points,
            reward_id=reward_id,
            ttl=None if ttl is None else length,
            location_id=self.location_id,
            terminal_id=self.terminal_id,
        )

    def capture(
        self, member_id: str, hold_id: str, *, points: int | None = None, request_id: str
    ) -> redemption_pb2.CaptureHoldRequest:
        return redemption_pb2.CaptureHoldRequest(
            request_id=_identifier("request_id", request_id),
            program_id=self.program_id,
            member_id=_identifier("member_id", member_id),
            hold_id=_identifier("hold_id", hold_id),
            points=None if points is None else _points(points),
            location_id=self.location_id,
            terminal_id=self.terminal_id,
        )

    def release(
        self, member_id: str, hold_id: str, *, request_id: str
    ) -> redemption_pb2.ReleaseHoldRequest:
        return redemption_pb2.ReleaseHoldRequest(
            request_id=_identifier("request_id", request_id),
            program_id=self.program_id,
            member_id=_identifier("member_id", member_id),
            hold_id=_identifier("hold_id", hold_id),
            location_id=self.location_id,
            terminal_id=self.terminal_id,
        )

    def enroll(
        self, member_id: str, *, referrer_member_id: str = "", request_id: str
    ) -> member_pb2.EnrollMemberRequest:
        return member_pb2.EnrollMemberRequest(
            request_id=_identifier("request_id", request_id),
            program_id=self.program_id,
            member_id=_identifier("member_id", member_id, required=False),
            referrer_member_id=_identifier("referrer_member_id", referrer_member_id, False),
            location_id=self.location_id,
            terminal_id=self.terminal_id,
        )

    def _lines(self, lines: Sequence[Line]) -> list[types_pb2.PurchaseLine]:
        return [
            types_pb2.PurchaseLine(
                sku=_identifier(f"lines[{index}].sku", line.sku, required=False),
                category=_identifier(f"lines[{index}].category", line.category, required=False),
                quantity=line.quantity,
                amount=money_of(f"lines[{index}].amount", line.amount, self.currency),
            )
            for index, line in enumerate(lines)
        ]


def _identifier(field: str, value: str, required: bool = True) -> str:
    if not value and not required:
        return value
    if not 1 <= len(value) <= _MAX_ID or not value.isprintable():
        raise malformed(field, f"must be 1 to {_MAX_ID} printable characters")
    return value


def _points(points: int) -> int:
    if not 1 <= points <= _MAX_POINTS:
        raise malformed("points", f"must be from 1 to {_MAX_POINTS}")
    return points


def _points_or_reward(points: int, reward_id: str) -> None:
    if bool(points) == bool(reward_id):
        raise malformed("points", "are given, or else a reward_id")
    if points:
        _points(points)
    _identifier("reward_id", reward_id, required=False)


def _instant(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else timestamp_of("effective_time", moment)
