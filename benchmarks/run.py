"""One run: start everything, put on the load, look whether the ledger is right."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import grpc

from benchmarks import pgbench, pieces, storage
from benchmarks.audit import Audit, combined
from benchmarks.bench import Bench
from benchmarks.generator import Generators
from benchmarks.growth import Growth, measure_growth
from benchmarks.machine import Machine, describe
from benchmarks.pieces import Piece
from benchmarks.results import Pair, Result, compared, peak
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
    AFTERWARDS,
    OPEN_LOOP_SHARES,
    PAIRS,
    WARM_UP,
    WRITES,
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
    #: service processes; several numbers of them, ascending, are measured by turns
    workers: tuple[int, ...]
    #: gRPC connections of each load generator
    connections: int
    #: where the database's directory is made
    parent: Path
    #: members of the grown ledger; None: growth is not measured
    growth_members: int | None = None

    @property
    def most_workers(self) -> int:
        """Of the service that targets and charts are about."""
        return self.workers[-1]


@dataclass(frozen=True)
class Report:
    """What a run found."""

    began: datetime
    options: Options
    machine: Machine
    results: list[Result]
    pairs: list[Pair]
    storage: Storage
    #: None: not measured
    growth: Growth | None
    #: from nothing to the first answer, in seconds, each time
    starts: list[float]
    #: of a purchase's processor time in the service
    pieces: list[Piece]
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
        for workers in options.workers:
            progress(f"starting a database and a service of {workers} process(es)")
            benches.append(_bench(stack, options, generators, workers, began, progress))
        main = benches[-1]
        system = main.system
        machine = describe(system.directory, system.database_url)
        measuring = _Measuring(options, benches, progress)
        measuring.run()
        progress("looking at the disk")
        stored = storage.measure(system.database_url)
        progress("verifying the ledger")
        audits, faults = zip(*(bench.audit() for bench in benches), strict=True)
        growth = None
        if options.growth_members is not None:
            growth = measure_growth(options, main, generators, progress)
        return Report(
            began=began,
            options=options,
            machine=machine,
            results=measuring.results,
            pairs=measuring.pairs,
            storage=stored,
            growth=growth,
            starts=starts,
            pieces=pieces.measure(options.seed),
            audit=combined(audits),
            skipped=measuring.skipped,
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
    """A service with its members enrolled, and what it is compared with."""
    system = stack.enter_context(running_system(options.parent, workers))
    channel = stack.enter_context(grpc.insecure_channel(system.grpc_address))
    empty = stack.enter_context(running_empty_server(system.directory, workers))
    naive = None
    if workers == options.most_workers:
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


class _Measuring:
    """Runs the workloads on every service, one after the other."""

    def __init__(
        self, options: Options, benches: list[Bench], progress: Callable[[str], None]
    ) -> None:
        self._options = options
        self._benches = benches
        self._progress = progress
        self._pgbench = pgbench.find()
        self._results: list[tuple[Workload, Result]] = []
        self.pairs: list[Pair] = []
        self.skipped: list[str] = []

    @property
    def results(self) -> list[Result]:
        """In the order of a table, with their ratios."""
        ordered = sorted(self._results, key=lambda each: (each[0].place, each[1].workers))
        return compared([result for _, result in ordered])

    def run(self) -> None:
        """Measure everything that the mode asks for."""
        for workload in WARM_UP:
            self._each(workload)
        self._all(WRITES)
        for baseline, workload in PAIRS:
            self._pair(baseline, workload)
        self._all(AFTERWARDS)
        highest = peak([result for _, result in self._results])
        for share in OPEN_LOOP_SHARES:
            self._all([open_loop(share, highest)])

    def _all(self, workloads: Iterable[Workload]) -> None:
        for workload in workloads:
            if self._options.mode.details or not workload.detail:
                self._results += [(workload, result) for result in self._each(workload)]

    def _each(self, workload: Workload, name: str = "") -> list[Result]:
        """The results of a workload, one for each service that it is measured on."""
        self._progress(f"{workload.title}, {workload.in_flight} in flight")
        if workload.kind is Kind.PGBENCH:
            assert self._pgbench is not None
            return [self._benches[-1].measure_pgbench(workload, self._pgbench)]
        benches = self._benches[-1:] if workload.kind is Kind.NAIVE else self._benches
        return [bench.measure(workload, name=name) for bench in benches]

    def _pair(self, baseline: Workload, workload: Workload) -> None:
        """Measure both by turns, and keep the round whose ratio is the median."""
        with_baseline = baseline.kind is not Kind.PGBENCH or self._pgbench is not None
        if not with_baseline:
            self.skipped.append(f"{baseline.title}: there is no pgbench here")
        rounds = []
        for number in range(self._options.mode.rounds):
            first = self._each(baseline, f"{baseline.name}-{number}") if with_baseline else []
            second = self._each(workload, f"{workload.name}-{number}")
            rate = first[-1].commands_per_second if first else 1.0
            rounds.append((round(second[-1].commands_per_second / rate, 3), first, second))
        ratios = [each[0] for each in rounds]
        rounds.sort(key=lambda each: each[0])
        ratio, first, second = rounds[len(rounds) // 2]
        self._results += [(baseline, result) for result in first]
        self._results += [(workload, result) for result in second]
        if with_baseline:
            self.pairs.append(Pair(workload.title, workload.in_flight, ratio, ratios))
