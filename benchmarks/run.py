"""One run: start everything, put on the load, look whether the ledger is right."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import grpc

from benchmarks import pgbench, storage
from benchmarks.audit import Audit, combined
from benchmarks.bench import Bench
from benchmarks.generator import Generators
from benchmarks.growth import Growth, measure_growth
from benchmarks.machine import Machine, describe
from benchmarks.results import Result, compared, peak
from benchmarks.setup import enroll, full_program, plain_program
from benchmarks.shop import Shop
from benchmarks.storage import Storage
from benchmarks.system import (
    running_empty_server,
    running_naive_server,
    running_system,
    seconds_to_first_answer,
)
from benchmarks.workloads import (
    MEASURED,
    OPEN_LOOP_SHARES,
    WARM_UP,
    Kind,
    Mode,
    Workload,
    open_loop,
)


@dataclass(frozen=True)
class Options:
    """What a run is made with."""

    mode: Mode
    seed: int
    members: int
    #: load generator processes
    generators: int
    #: service processes; more than one are measured by turns with one
    workers: int
    #: gRPC connections of each load generator
    connections: int
    #: where the database's directory is made
    parent: Path
    #: members of the grown ledger; None: growth is not measured
    growth_members: int | None = None


@dataclass(frozen=True)
class Report:
    """What a run found."""

    began: datetime
    options: Options
    machine: Machine
    results: list[Result]
    storage: Storage
    #: None: not measured
    growth: Growth | None
    #: from nothing to the first answer, in seconds, each time
    starts: list[float]
    audit: Audit
    #: what could not be measured here, and why
    skipped: list[str]
    #: whatever was not as it must be; empty in a run that is worth reading
    faults: list[str]


def run(options: Options, progress: Callable[[str], None]) -> Report:
    """Make a run; `progress` is told what happens next.

    Raises ProcessFailed, SetupFailed, GeneratorFailed, PgbenchFailed, EmbeddedServerError,
    grpc.RpcError.
    """
    began = datetime.now(UTC)
    starts: list[float] = []
    if options.mode.starts:
        progress("timing the start")
        starts = seconds_to_first_answer(options.parent, options.mode.starts)
    with ExitStack() as stack:
        generators = stack.enter_context(Generators(options.generators))
        benches: list[Bench] = []
        for workers in sorted({1, options.workers}):
            progress(f"starting a database and a service of {workers} process(es)")
            benches.append(_bench(stack, options, generators, workers, began, progress))
        system = benches[0].system
        machine = describe(system.directory, system.database_url)
        results, skipped = _measure(options, benches, progress)
        progress("looking at the disk")
        stored = storage.measure(system.database_url)
        progress("verifying the ledger")
        audits, faults = zip(*(bench.audit() for bench in benches), strict=True)
        growth = None
        if options.growth_members is not None:
            growth = measure_growth(options, benches[0], generators, progress)
        return Report(
            began=began,
            options=options,
            machine=machine,
            results=compared(results),
            storage=stored,
            growth=growth,
            starts=starts,
            audit=combined(audits),
            skipped=skipped,
            faults=[fault for each in faults for fault in each] + (growth.faults if growth else []),
        )


def _bench(
    stack: ExitStack,
    options: Options,
    generators: Generators,
    workers: int,
    began: datetime,
    progress: Callable[[str], None],
) -> Bench:
    """A service with its members enrolled; that of one process with what it is compared with."""
    system = stack.enter_context(running_system(options.parent, workers))
    channel = stack.enter_context(grpc.insecure_channel(system.grpc_address))
    empty = naive = None
    if workers == 1:
        empty = stack.enter_context(running_empty_server(system.directory))
        naive = stack.enter_context(running_naive_server(system, options.members))
    plain, full = plain_program(channel), full_program(channel)
    today = began.astimezone(ZoneInfo(plain.time_zone)).date()
    shop = Shop(options.seed, options.members, plain.time_zone, today)
    progress(f"enrolling {options.members:,} members in each of two programs")
    enroll(channel, plain, shop)
    enroll(channel, full, shop)
    return Bench(
        options.mode,
        options.connections,
        system,
        generators,
        channel,
        shop,
        (plain, full),
        empty,
        naive,
    )


def _measure(
    options: Options, benches: list[Bench], progress: Callable[[str], None]
) -> tuple[list[Result], list[str]]:
    """The results of all workloads, and what was skipped."""
    results: list[Result] = []
    skipped: list[str] = []

    def measure(workload: Workload) -> None:
        compared_with = workload.kind in (Kind.EMPTY, Kind.NAIVE, Kind.PGBENCH)
        for bench in benches[:1] if compared_with else benches:
            if workload.kind is Kind.PGBENCH:
                program = pgbench.find()
                if program is None:
                    skipped.append(f"{workload.title}: there is no pgbench here")
                    return
                result = bench.measure_pgbench(workload, program)
            else:
                result = bench.measure(workload)
            if workload.measured:
                results.append(result)

    for workload in (*WARM_UP, *MEASURED):
        if options.mode.details or not workload.detail:
            progress(f"{workload.title}, {workload.in_flight} in flight")
            measure(workload)
    for share in OPEN_LOOP_SHARES:
        progress(f"an open loop at {share:.0%} of the peak")
        measure(open_loop(share, peak(results)))
    return results, skipped
