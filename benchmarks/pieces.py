"""What a purchase costs the service, piece by piece: pure Python, on one core, without a server.

The pieces are timed one after the other over the same purchases; what is missing to the processor
time of a whole command is gRPC itself, the threads that hand over to each other, and the driver of
the database. `python -m benchmarks.pieces` prints them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import as_file, files
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from benchmarks.requests import Requests
from benchmarks.shop import Shop
from benchmarks.workloads import Kind, Workload
from ledger.cli.document import load
from ledger.core.chain import chain
from ledger.core.commands import EnrollMember
from ledger.core.decide import decide
from ledger.core.model import Account, Receipt, balance_of, encode
from ledger.core.posting import Context, Posting
from ledger.core.program import Program, RulesVersion
from ledger.core.rules import read_rules
from ledger.rpc.answers import receipt_message
from ledger.rpc.purchases import record_purchase
from ledger.store.rows import copy_text
from ledger.v1 import points_pb2

_MEMBERS: Final = 500
_PURCHASES: Final = 3_000

InT = TypeVar("InT")
OutT = TypeVar("OutT")


@dataclass(frozen=True)
class Piece:
    """One step of the way, in µs of processor time for each purchase."""

    what: str
    cpu_us: float


def measure(seed: int = 1) -> list[Piece]:
    """The pieces of a purchase under full rules, in the order of its way."""
    program = _program()
    now = time.time_ns() // 1_000
    shop = Shop(seed, _MEMBERS, program.zone.key, datetime.now(program.zone).date())
    requests = Requests(shop, program.program_id, program.currency, json=False)
    workload = Workload(Kind.PURCHASE, 1, 1, full_rules=True)
    packed = [call.request for call in requests.prepare(workload, "pieces", _PURCHASES, ())]
    context = Context(program=program, now=now, actor="benchmark")
    accounts: dict[str, Account] = {}
    for member_id in shop.member_ids():
        enroll = EnrollMember(
            program_id=program.program_id, member_id=member_id, request_id="enroll"
        )
        accounts[member_id] = decide(None, enroll, context).account
    pieces: list[Piece] = []

    def timed(what: str, step: Callable[[InT], OutT], values: Sequence[InT]) -> list[OutT]:
        began = time.process_time()
        made = [step(value) for value in values]
        taken = (time.process_time() - began) * 1e6 / len(values)
        pieces.append(Piece(what, round(taken, 1)))
        return made

    def decided(command: Any) -> Posting:
        posting = decide(accounts[command.member_id], command, context)
        accounts[command.member_id] = posting.account
        return posting

    def receipt(posting: Posting) -> Any:
        balance = balance_of(posting.account, posting.now)
        return receipt_message(Receipt(entries=tuple(posting.entries), balance=balance), program)

    messages = timed("unpack", points_pb2.RecordPurchaseRequest.FromString, packed)
    commands = timed("to a command", lambda each: record_purchase(each, program), messages)
    postings = timed("decide", decided, commands)
    chains = timed("hash", lambda each: chain(bytes(32), each.entries), postings)
    rows = list(zip(postings, chains, strict=True))
    timed("rows", lambda row: copy_text(list(zip(row[0].entries, row[1], strict=True))), rows)
    timed("account", lambda posting: encode(posting.account), postings)
    answers = timed("receipt", receipt, postings)
    timed("pack", lambda answer: answer.SerializeToString(), answers)
    return pieces


def _program() -> Program:
    """The demo's program, without a database."""
    with as_file(files("ledger") / "demo" / "coffee-shop.yaml") as path:
        document = load(path)
    currency = document.program["currency"]
    created = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    return Program(
        program_id=document.program_id,
        display_name=document.program["display_name"],
        currency=currency,
        zone=ZoneInfo(document.program["time_zone"]),
        clock_time=None,
        member_key=bytes(32),
        create_time=created,
        versions=(RulesVersion(1, created, read_rules(document.rules, currency)),),
    )


if __name__ == "__main__":
    for piece in measure():
        print(f"{piece.what:16}{piece.cpu_us:8.1f} µs")
