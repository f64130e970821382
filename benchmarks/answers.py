"""What the answers said: unpacked after the clock has stopped, and kept for the audit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import grpc
from google.protobuf import json_format
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from benchmarks.requests import Call
from benchmarks.shop import Purchase
from benchmarks.workloads import Kind
from ledger.v1 import points_pb2, types_pb2

#: commands that the rules may refuse, when a member has too few points
_REFUSABLE: Final = (Kind.HOLD, Kind.REDEEM)
_MAX_WORDS: Final = 200

MessageT = TypeVar("MessageT", bound=Message)


class HttpFailed(Exception):
    """An answer over HTTP that is not the one that was due."""


@dataclass
class Answers:
    """What load generators were told."""

    #: purchases that are in the ledger
    acknowledged: list[Purchase] = field(default_factory=list)
    #: points that entries brought to each ledger account, as receipts told
    moved: Counter[str] = field(default_factory=Counter)
    #: (member, available points), each as often as it was answered
    balances: Counter[tuple[str, int]] = field(default_factory=Counter)
    #: redemptions that members had too few points for
    refused: int = 0
    #: anything but the answer that was due, in words, with how often it came
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, other: Answers) -> None:
        """Take in what another load generator was told."""
        self.acknowledged += other.acknowledged
        self.moved.update(other.moved)  # adding counters would drop what is below zero
        self.balances += other.balances
        self.refused += other.refused
        self.failures += other.failures

    def read(self, call: Call, answer: Any) -> None:
        """Note what an answer says. An exception is an answer too."""
        if isinstance(answer, BaseException):
            self._read_failure(call, answer)
            return
        match call.kind:
            case Kind.EMPTY:
                Empty.FromString(answer)
            case Kind.PURCHASE:
                self._read_receipt(call.purchases[0], _unpack(answer, types_pb2.Receipt))
            case Kind.NAIVE:
                receipt = types_pb2.Receipt.FromString(answer)
                if [entry.purchase_id for entry in receipt.entries] != [
                    call.purchases[0].purchase_id
                ]:
                    self.failures["the naive server credited another purchase"] += 1
            case Kind.BATCH:
                self._read_batch(call.purchases, points_pb2.BatchWriteResponse.FromString(answer))
            case Kind.BALANCE:
                balance = _unpack(answer, types_pb2.Balance)
                self.balances[call.member_id, balance.available_points] += 1
            case Kind.HOLD:
                for part in answer:
                    self._move(types_pb2.Receipt.FromString(part))
            case _:
                self._move(_unpack(answer, types_pb2.Receipt))

    def _read_failure(self, call: Call, error: BaseException) -> None:
        refused = isinstance(error, HttpFailed) and '"failed_precondition"' in str(error)
        words = repr(error)
        if isinstance(error, grpc.Call):
            refused = error.code() is grpc.StatusCode.FAILED_PRECONDITION
            words = f"{error.code().name} {error.details()}"
        if refused and call.kind in _REFUSABLE:
            self.refused += 1
        else:
            self.failures[f"{call.kind.value}: {words}"[:_MAX_WORDS]] += 1

    def _read_receipt(self, purchase: Purchase, receipt: types_pb2.Receipt) -> None:
        entries = [entry for entry in receipt.entries if entry.purchase_id == purchase.purchase_id]
        if len(entries) != 1 or receipt.replayed:
            self.failures["a receipt that is not of the purchase that was sent"] += 1
            return
        self.acknowledged.append(purchase)
        self._move(receipt)

    def _read_batch(
        self, purchases: tuple[Purchase, ...], answer: points_pb2.BatchWriteResponse
    ) -> None:
        if len(answer.results) != len(purchases):
            self.failures["a batch with more or fewer results than items"] += 1
            return
        for purchase, result in zip(purchases, answer.results, strict=True):
            if result.HasField("receipt"):
                self._read_receipt(purchase, result.receipt)
            else:
                self.failures[f"item of a batch: {result.error.message}"[:_MAX_WORDS]] += 1

    def _move(self, receipt: types_pb2.Receipt) -> None:
        for entry in receipt.entries:
            if entry.points:
                self.moved[entry.debit_account] -= abs(entry.points)
                self.moved[entry.credit_account] += abs(entry.points)


def _unpack(answer: bytes | str, message: type[MessageT]) -> MessageT:
    """An answer over gRPC, or (text) as JSON."""
    if isinstance(answer, str):
        return json_format.Parse(answer, message())
    return message.FromString(answer)
