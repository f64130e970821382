"""Before the load: the programs, and all members enrolled. Sends gRPC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import as_file, files
from pathlib import Path
from zoneinfo import ZoneInfo

import grpc
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from benchmarks.shop import DAYS, Earning, Shop
from ledger.cli.document import ProgramDocument, load
from ledger.v1 import (
    member_pb2,
    points_pb2,
    points_pb2_grpc,
    program_pb2,
    program_pb2_grpc,
    rules_pb2,
)

#: what members of the full program are welcomed with: more than the busiest redeems in a long run
OPENING_POINTS = 1_000_000

_BATCH = 500
_TIMEOUT_SECONDS = 60.0


class SetupFailed(Exception):
    """The service refused a member."""


@dataclass(frozen=True)
class Program:
    """A program that load runs in."""

    program_id: str
    currency: str
    time_zone: str
    #: None: its rules are more than the benchmark can work out
    earning: Earning | None
    #: points for enrolling
    welcome: int


def plain_program(channel: grpc.Channel) -> Program:
    """A program with plain rules, created. Raises grpc.RpcError; ValueError as `Earning.of`."""
    document = load(Path(__file__).with_name("plain-shop.yaml"))
    return _create(channel, document, Earning.of(document.rules))


def full_program(channel: grpc.Channel) -> Program:
    """The demo's program with tiers, bonuses and promotions, created; its members are welcomed
    with OPENING_POINTS. Raises grpc.RpcError."""
    with as_file(files("ledger") / "demo" / "coffee-shop.yaml") as path:
        document = load(path)
    for bonus in document.rules["bonuses"]:
        if bonus["on"] == "ENROLLMENT":
            bonus["points"] = OPENING_POINTS
    return _create(channel, document, None)


def _create(channel: grpc.Channel, document: ProgramDocument, earning: Earning | None) -> Program:
    program_pb2_grpc.ProgramServiceStub(channel).CreateProgram(
        program_pb2.CreateProgramRequest(
            program=json_format.ParseDict(document.program, program_pb2.Program()),
            rules=json_format.ParseDict(document.rules, rules_pb2.Rules()),
        ),
        timeout=_TIMEOUT_SECONDS,
    )
    return Program(
        program_id=document.program_id,
        currency=document.program["currency"],
        time_zone=document.program["time_zone"],
        earning=earning,
        welcome=sum(
            bonus["points"] for bonus in document.rules["bonuses"] if bonus["on"] == "ENROLLMENT"
        ),
    )


def enroll(channel: grpc.Channel, program: Program, shop: Shop) -> None:
    """Enroll all members of the shop, a few days before their first purchase.

    Raises SetupFailed, grpc.RpcError.
    """
    stub = points_pb2_grpc.PointsServiceStub(channel)
    since = datetime.combine(shop.today, datetime.min.time(), ZoneInfo(program.time_zone))
    enrolled = Timestamp(
        seconds=int((since.astimezone(UTC) - timedelta(days=2 * DAYS)).timestamp())
    )
    members: Sequence[str] = shop.member_ids()
    for at in range(0, len(members), _BATCH):
        items = [
            points_pb2.BatchWriteItem(
                enroll_member=member_pb2.EnrollMemberRequest(
                    request_id="enroll",
                    program_id=program.program_id,
                    member_id=member_id,
                    effective_time=enrolled,
                )
            )
            for member_id in members[at : at + _BATCH]
        ]
        answer = stub.BatchWrite(
            points_pb2.BatchWriteRequest(items=items), timeout=_TIMEOUT_SECONDS
        )
        for result in answer.results:
            if not result.HasField("receipt"):
                raise SetupFailed(f"a member was not enrolled: {result.error.message}")
