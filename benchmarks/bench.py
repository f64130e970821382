"""Measures one service: sends workloads to it, and keeps what it was told for the audit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import grpc
import psycopg2

from benchmarks import pgbench
from benchmarks.answers import Answers
from benchmarks.audit import Audit, audit, check_answers, combined
from benchmarks.cpu import machine_seconds, tree_seconds
from benchmarks.generator import Generators, Job, Measured
from benchmarks.results import Result, Usage, result_of
from benchmarks.setup import Program
from benchmarks.shop import Shop
from benchmarks.system import Server, System
from benchmarks.workloads import Kind, Mode, Workload
from ledger.core.model import AVAILABLE, ISSUANCE

#: purchases kept ready to be returned, for each call of a mixed day
_RETURNS: Final = 0.03


class Bench:
    """A service under load. `empty` and `naive` are what it is compared with; None where they are
    not measured."""

    def __init__(
        self,
        mode: Mode,
        connections: int,
        system: System,
        generators: Generators,
        channel: grpc.Channel,
        shop: Shop,
        programs: tuple[Program, Program],
        empty: Server | None = None,
        naive: Server | None = None,
    ) -> None:
        self.system = system
        self.shop = shop
        self.channel = channel
        self.plain, self.full = programs
        self._mode = mode
        self._connections = connections
        self._generators = generators
        self._empty = empty
        self._naive = naive
        #: by program_id
        self.answers = {program.program_id: Answers() for program in programs}
        #: of the acknowledged purchases, how many were handed out to be returned
        self._returned = 0
        self._pgbench_dsn: str | None = None
        #: what was answered outside of the service, and is not in its ledger
        self.elsewhere = Answers()

    def measure(self, workload: Workload, shop: Shop | None = None, name: str = "") -> Result:
        """Run a workload and note its answers; its figures. `shop` stands in for its own, and
        `name` is then unique in the run."""
        before = after = Usage(0, 0, 0, 0, 0, 0)

        def on_start() -> None:
            nonlocal before
            before = self._usage(workload)

        def on_end() -> None:
            nonlocal after
            after = self._usage(workload)

        count = self._generators.count
        jobs = [
            self._job(workload, number, shop or self.shop, name or workload.name)
            for number in range(count)
        ]
        if workload.kind is Kind.MIXED:
            jobs = [self._with_returns(job) for job in jobs]
        measured = self._generators.run(workload, jobs.__getitem__, on_start, on_end)
        self._answers_of(workload).add(measured.answers)
        return result_of(
            workload,
            self.system.workers,
            measured.seconds,
            measured.latencies_ns,
            _between(before, after, measured),
            measured.answers.refused,
        )

    def measure_pgbench(self, workload: Workload, program: Path) -> Result:
        """Run pgbench in a database of its own on the same server. Raises PgbenchFailed."""
        if self._pgbench_dsn is None:
            self._pgbench_dsn = self.system.new_database("pgbench")
            pgbench.load(program, self._pgbench_dsn, self._mode.scale)
        clients, directory = workload.in_flight, self.system.directory
        before = self._usage(workload)
        outcome = pgbench.measure(
            program, self._pgbench_dsn, clients, self._mode.seconds, directory
        )
        after = self._usage(workload)
        measured = Measured(outcome.seconds, outcome.cpu_seconds, outcome.latencies_ns, Answers())
        usage = _between(before, after, measured)
        workers = self.system.workers
        return result_of(workload, workers, outcome.seconds, outcome.latencies_ns, usage)

    def audit(self) -> tuple[Audit, list[str]]:
        """What the ledger holds, and everything that is not as it must be."""
        members = self.shop.member_ids()
        faults = [f"{count} × {what}" for what, count in self.elsewhere.failures.most_common()]
        found = []
        for program in (self.plain, self.full):
            answers = self.answers[program.program_id]
            balances = None
            if program.earning is not None:
                balances = program.earning.balances(members, answers.acknowledged)
                faults += check_answers(answers.balances, balances)
            welcome = program.welcome * len(members)
            moved = answers.moved.copy()
            moved.update({AVAILABLE: welcome, ISSUANCE: -welcome})
            url, program_id = self.system.database_url, program.program_id
            found.append(
                audit(self.channel, url, program_id, answers.acknowledged, moved, balances)
            )
            faults += [f"{count} × {what}" for what, count in answers.failures.most_common()]
            faults += found[-1].faults
        return combined(found), faults

    def _answers_of(self, workload: Workload) -> Answers:
        if workload.kind in (Kind.EMPTY, Kind.NAIVE):
            return self.elsewhere
        return self.answers[self._program(workload).program_id]

    def _job(self, workload: Workload, number: int, shop: Shop, name: str) -> Job:
        count, mode = self._generators.count, self._mode
        seconds = mode.seconds if workload.measured else mode.warm_up_seconds
        in_flight = _share(workload.in_flight, count, number)
        # An open loop's arrivals are random, so there may be more of them.
        calls = int(workload.calls_per_second * seconds * (1.5 if workload.rate else 1)) + count
        return Job(
            workload=workload,
            address=self._address(workload),
            shop=shop,
            program_id=self._program(workload).program_id,
            currency=self._program(workload).currency,
            name=f"{name}-{number}",
            in_flight=in_flight,
            connections=max(1, min(in_flight, self._connections)),
            calls=-(-calls * in_flight // workload.in_flight),
            seconds=seconds,
            rate=None if workload.rate is None else workload.rate / count,
        )

    def _with_returns(self, job: Job) -> Job:
        """The job, with purchases to return that were recorded before and not handed out yet."""
        bought = self.answers[self.full.program_id].acknowledged
        began, self._returned = self._returned, self._returned + int(job.calls * _RETURNS)
        return replace(job, returnable=tuple(bought[began : self._returned]))

    def _program(self, workload: Workload) -> Program:
        return self.full if workload.full_rules else self.plain

    def _address(self, workload: Workload) -> str:
        server = self._served_by(workload)
        if server is not None:
            return server.address
        return self.system.http_url if workload.json else self.system.grpc_address

    def _served_by(self, workload: Workload) -> Server | None:
        """The server that the service is compared with in a workload; None: it is the service."""
        return {Kind.EMPTY: self._empty, Kind.NAIVE: self._naive}.get(workload.kind)

    def _usage(self, workload: Workload) -> Usage:
        system = self.system
        server = self._served_by(workload)
        pid = system.service_pid if server is None else server.pid
        return Usage(
            client=0.0,
            service=tree_seconds(pid),
            postgres=tree_seconds(system.postgres_pid),
            machine=machine_seconds(),
            batches=system.metric("ledger_batch_size_count"),
            batched_commands=system.metric("ledger_batch_size_sum"),
            wal=_wal_bytes(system.database_url),
        )


def _wal_bytes(url: str) -> float:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
            return float((cursor.fetchone() or (0,))[0])
    finally:
        connection.close()


def _between(before: Usage, after: Usage, measured: Measured) -> Usage:
    return Usage(
        client=measured.client_cpu_seconds,
        service=after.service - before.service,
        postgres=after.postgres - before.postgres,
        machine=after.machine - before.machine,
        batches=after.batches - before.batches,
        batched_commands=after.batched_commands - before.batched_commands,
        wal=after.wal - before.wal,
    )


def _share(total: int, parts: int, number: int) -> int:
    """Part `number` of a total that is divided as evenly as whole numbers can be."""
    return total // parts + (1 if number < total % parts else 0)
