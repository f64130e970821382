"""One run: start everything, put on the load, look whether the ledger is right."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import grpc

from benchmarks.audit import Audit, audit, check_answers, combined
from benchmarks.calls import Answers
from benchmarks.cpu import machine_seconds, tree_seconds
from benchmarks.generator import Generators, Job, Measured
from benchmarks.machine import Machine, describe
from benchmarks.results import Result, Usage, compared, result_of
from benchmarks.setup import Program, enroll, full_program, plain_program
from benchmarks.shop import Shop
from benchmarks.system import EmptyServer, System, running_empty_server, running_system
from benchmarks.workloads import MEASURED, WARM_UP, Kind, Mode, Workload


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


@dataclass(frozen=True)
class Report:
    """What a run found."""

    began: datetime
    options: Options
    machine: Machine
    results: list[Result]
    audit: Audit
    #: whatever was not as it must be; empty in a run that is worth reading
    faults: list[str]


def run(options: Options, progress: Callable[[str], None]) -> Report:
    """Make a run; `progress` is told what happens next.

    Raises ProcessFailed, SetupFailed, GeneratorFailed, EmbeddedServerError, grpc.RpcError.
    """
    began = datetime.now(UTC)
    with ExitStack() as stack:
        benches: list[_Bench] = []
        generators = stack.enter_context(Generators(options.generators))
        for workers in sorted({1, options.workers}):
            progress(f"starting a database and a service of {workers} process(es)")
            system = stack.enter_context(running_system(options.parent, workers))
            channel = stack.enter_context(grpc.insecure_channel(system.grpc_address))
            if not benches:
                machine = describe(system.directory, system.database_url)
                empty = stack.enter_context(running_empty_server(system.directory))
            plain, full = plain_program(channel), full_program(channel)
            today = began.astimezone(ZoneInfo(plain.time_zone)).date()
            shop = Shop(options.seed, options.members, plain.time_zone, today)
            progress(f"enrolling {options.members:,} members in each of two programs")
            enroll(channel, plain, shop)
            enroll(channel, full, shop)
            benches.append(_Bench(options, system, empty, generators, plain, full, shop, channel))
        results: list[Result] = []
        for workload in (*WARM_UP, *MEASURED):
            progress(f"{workload.title}, {workload.in_flight} in flight")
            for bench in benches[:1] if workload.kind is Kind.EMPTY else benches:
                result = bench.measure(workload)
                if workload.measured:
                    results.append(result)
        progress("verifying the ledger")
        audits, faults = zip(*(bench.audit() for bench in benches), strict=True)
        all_faults = [fault for each in faults for fault in each]
        return Report(began, options, machine, compared(results), combined(audits), all_faults)


class _Bench:
    """Measures one service, and keeps what it was told."""

    def __init__(
        self,
        options: Options,
        system: System,
        empty: EmptyServer,
        generators: Generators,
        plain: Program,
        full: Program,
        shop: Shop,
        channel: grpc.Channel,
    ) -> None:
        self._options = options
        self._system = system
        self._empty = empty
        self._generators = generators
        self._plain = plain
        self._full = full
        self._shop = shop
        self._channel = channel
        #: by program_id
        self._answers = {plain.program_id: Answers(), full.program_id: Answers()}

    def measure(self, workload: Workload) -> Result:
        """Run a workload and note its answers; its figures."""
        before = after = Usage(0, 0, 0, 0, 0, 0)

        def on_start() -> None:
            nonlocal before
            before = self._usage(workload)

        def on_end() -> None:
            nonlocal after
            after = self._usage(workload)

        measured = self._generators.run(
            workload, lambda number: self._job(workload, number), on_start, on_end
        )
        self._answers[self._program(workload).program_id].add(measured.answers)
        usage = _between(before, after, measured)
        workers = self._system.workers
        return result_of(workload, workers, measured.seconds, measured.latencies_ns, usage)

    def audit(self) -> tuple[Audit, list[str]]:
        """What the ledger holds, and everything that is not as it must be."""
        members = self._shop.member_ids()
        faults: list[str] = []
        found = []
        for program in (self._plain, self._full):
            answers = self._answers[program.program_id]
            balances = None
            if program.earning is not None:
                balances = program.earning.balances(members, answers.acknowledged)
                faults += check_answers(answers.balances, balances)
            told = answers.credited_points + program.welcome * len(members)
            url, program_id = self._system.database_url, program.program_id
            found.append(
                audit(self._channel, url, program_id, answers.acknowledged, told, balances)
            )
            faults += [f"{count} × {what}" for what, count in answers.failures.most_common()]
            faults += found[-1].faults
        return combined(found), faults

    def _job(self, workload: Workload, number: int) -> Job:
        count, mode = self._generators.count, self._options.mode
        seconds = mode.seconds if workload.measured else mode.warm_up_seconds
        in_flight = _share(workload.in_flight, count, number)
        return Job(
            workload=workload,
            address=self._address(workload),
            shop=self._shop,
            program_id=self._program(workload).program_id,
            currency=self._program(workload).currency,
            name=f"{workload.name}-{number}",
            in_flight=in_flight,
            connections=max(1, min(in_flight, self._options.connections)),
            calls=_share(int(workload.calls_per_second * seconds) + count, count, number),
            seconds=seconds,
        )

    def _program(self, workload: Workload) -> Program:
        return self._full if workload.full_rules else self._plain

    def _address(self, workload: Workload) -> str:
        match workload.kind:
            case Kind.EMPTY:
                return self._empty.address
            case Kind.JSON_BALANCE:
                return self._system.http_url
        return self._system.grpc_address

    def _usage(self, workload: Workload) -> Usage:
        system = self._system
        served_by = self._empty.pid if workload.kind is Kind.EMPTY else system.service_pid
        return Usage(
            client=0.0,
            service=tree_seconds(served_by),
            postgres=tree_seconds(system.postgres_pid),
            machine=machine_seconds(),
            batches=system.metric("ledger_batch_size_count"),
            batched_commands=system.metric("ledger_batch_size_sum"),
        )


def _between(before: Usage, after: Usage, measured: Measured) -> Usage:
    return Usage(
        client=measured.client_cpu_seconds,
        service=after.service - before.service,
        postgres=after.postgres - before.postgres,
        machine=after.machine - before.machine,
        batches=after.batches - before.batches,
        batched_commands=after.batched_commands - before.batched_commands,
    )


def _share(total: int, parts: int, number: int) -> int:
    """Part `number` of a total that is divided as evenly as whole numbers can be."""
    return total // parts + (1 if number < total % parts else 0)
