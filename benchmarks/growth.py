"""What a ledger costs that has grown: many members and entries, or many entries of one member.

A second service with a database of its own is filled by COPY (`benchmarks.history`) and measured by
turns with the first, so that both meet the same machine.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import grpc

from benchmarks import storage
from benchmarks.audit import check_trial_balance
from benchmarks.bench import Bench
from benchmarks.generator import Generators
from benchmarks.history import fill
from benchmarks.results import Result
from benchmarks.setup import full_program, plain_program
from benchmarks.shop import Shop
from benchmarks.storage import Storage
from benchmarks.system import running_system
from benchmarks.workloads import Kind, Workload
from ledger.store.verify import verify
from ledger.v1 import audit_pb2, audit_pb2_grpc

if TYPE_CHECKING:
    from benchmarks.run import Options

#: of a member on average, and of those who are compared: the entries of enrolment come with them
_PURCHASES: Final = 8
_SHORT, _LONG = 8, 9_998
_ROUNDS: Final = 3
#: more than this are not verified: it would take longer than the rest of the run
_MOST_VERIFIED: Final = 2_000_000

_PURCHASE = Workload(Kind.PURCHASE, 256, 8_000, baseline_in_flight=256, full_rules=True)
_BALANCE = Workload(Kind.BALANCE, 64, 12_000, full_rules=True)
_ONE_PURCHASE = Workload(Kind.PURCHASE, 1, 2_000, full_rules=True)
_ONE_BALANCE = Workload(Kind.BALANCE, 1, 3_000, full_rules=True)


@dataclass(frozen=True)
class Compared:
    """A workload on the small ledger, or the short history, and on the large or long one, by turns:
    the round whose ratio is the median."""

    what: str
    small: Result
    large: Result
    #: calls per second of the large by those of the small, of that round and of each
    ratio: float
    ratios: list[float]


@dataclass(frozen=True)
class Growth:
    """A grown ledger."""

    members: int
    entries: int
    #: to draw, decide and COPY them
    load_seconds: float
    storage: Storage
    compared: list[Compared]
    #: None: not verified
    verify_seconds: float | None
    faults: list[str]


def measure_growth(
    options: Options, small: Bench, generators: Generators, progress: Callable[[str], None]
) -> Growth:
    """Fill a ledger and compare it with a small one. Raises as `benchmarks.run.run`."""
    assert options.growth_members is not None
    with ExitStack() as stack:
        system = stack.enter_context(running_system(options.parent, options.most_workers))
        channel = stack.enter_context(grpc.insecure_channel(system.grpc_address))
        programs = plain_program(channel), full_program(channel)
        program_id = programs[1].program_id
        shop = replace(small.shop, members=options.growth_members)
        progress(f"writing the journals of {shop.members:,} members")
        began = time.monotonic()
        fill(system.database_url, program_id, shop, _PURCHASES)
        load_seconds = time.monotonic() - began
        short, long = replace(shop, members=1, prefix="s"), replace(shop, members=1, prefix="l")
        fill(system.database_url, program_id, short, _SHORT, exactly=True)
        fill(system.database_url, program_id, long, _LONG, exactly=True)
        stored = storage.measure(system.database_url)
        large = Bench(
            options.mode, options.connections, system, generators, channel, shop, programs
        )
        before = _trial_balance(channel, program_id)
        for bench in (small, large):
            bench.measure(replace(_PURCHASE, measured=False), name="growth-warm-up")
        compared = []
        for workload in (_PURCHASE, _BALANCE):
            progress(f"{workload.title} with {shop.members:,} members")
            compared.append(_compare(workload, f"{workload.kind.value} of all", small, large))
        for workload in (_ONE_PURCHASE, _ONE_BALANCE):
            progress(f"{workload.title} of a member with {_LONG + 2:,} entries")
            what = f"{workload.kind.value} of one"
            compared.append(_compare(workload, what, large, large, (short, long)))
        faults, verify_seconds = [], None
        answers = large.answers[program_id]
        faults += [f"{count} × {what}" for what, count in answers.failures.most_common()]
        before.update(answers.moved)
        faults += check_trial_balance(channel, program_id, before)
        if stored.entries <= _MOST_VERIFIED:
            progress("verifying the grown ledger")
            report = verify(system.database_url, program_id=program_id, workers=1)
            verify_seconds = round(report.seconds, 1)
            faults += [f"verify: {each.check}: {each.detail}" for each in report.findings[:5]]
        return Growth(
            members=stored.accounts,
            entries=stored.entries,
            load_seconds=round(load_seconds, 1),
            storage=stored,
            compared=compared,
            verify_seconds=verify_seconds,
            faults=faults,
        )


def _compare(
    workload: Workload,
    what: str,
    small: Bench,
    large: Bench,
    shops: tuple[Shop, Shop] | None = None,
) -> Compared:
    """Measure a workload on both, several times by turns; with `shops`, each has one of its own."""
    rounds: list[tuple[float, Result, Result]] = []
    for number in range(_ROUNDS):
        first, second = (
            bench.measure(
                workload,
                None if shops is None else shops[side],
                f"growth-{workload.name}-{what[-3:]}-{number}-{side}",
            )
            for side, bench in enumerate((small, large))
        )
        ratio = round(second.calls_per_second / first.calls_per_second, 3)
        rounds.append((ratio, first, second))
    ratios = [each[0] for each in rounds]
    rounds.sort(key=lambda each: each[0])
    middle = rounds[len(rounds) // 2]
    return Compared(what, middle[1], middle[2], middle[0], ratios)


def _trial_balance(channel: grpc.Channel, program_id: str) -> Counter[str]:
    answer = audit_pb2_grpc.AuditServiceStub(channel).GetTrialBalance(
        audit_pb2.GetTrialBalanceRequest(program_id=program_id), timeout=300.0
    )
    return Counter({total.account: total.points for total in answer.accounts})
