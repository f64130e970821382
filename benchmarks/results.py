"""What a workload came to, in the figures that are reported. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.workloads import Kind, Workload


@dataclass(frozen=True)
class Usage:
    """What was used up while a workload ran, in CPU seconds, and the transactions written."""

    client: float
    service: float
    postgres: float
    #: of the whole machine, whoever used them
    machine: float
    batches: float
    batched_commands: float
    #: bytes of the write-ahead log
    wal: float = 0.0

    @property
    def foreign(self) -> float:
        """CPU seconds that others used."""
        return self.machine - self.client - self.service - self.postgres


@dataclass(frozen=True)
class Result:
    """A workload's figures. Latencies are of calls, in ms; CPU is in µs for each command."""

    workload: str
    #: processes that served it
    workers: int
    in_flight: int
    #: calls per second of an open loop, and what share of the peak that is; None: a closed loop
    offered_per_second: float | None
    share_of_peak: float | None
    full_rules: bool
    json: bool
    commands_per_call: int
    seconds: float
    calls: int
    calls_per_second: float
    commands_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    client_cpu_us: float
    service_cpu_us: float
    postgres_cpu_us: float
    #: CPU seconds per second that went to processes which are no part of the run
    foreign_cores: float
    wal_bytes: float
    #: redemptions that members had too few points for
    refused: int
    #: commands per transaction; None where none was written
    average_batch: float | None
    #: empty RPCs in flight in the run it is compared with
    baseline_in_flight: int
    #: its commands per second by the empty RPC's calls per second; None until both are known
    ratio_to_empty: float | None = None
    #: by pgbench's transactions per second; None until both are known
    ratio_to_pgbench: float | None = None
    #: by those of a single process; None until both are known
    ratio_to_one_worker: float | None = None


@dataclass(frozen=True)
class Pair:
    """A workload against what it is compared with, measured by turns: commands per second by those
    of the other, the median and in each round."""

    workload: str
    in_flight: int
    ratio: float
    ratios: list[float]


def percentile(ordered: Sequence[int], share: float) -> float:
    """The smallest value that `share` of the values do not exceed; `ordered` is not empty."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def result_of(
    workload: Workload,
    workers: int,
    seconds: float,
    latencies_ns: Sequence[int],
    usage: Usage,
    refused: int = 0,
) -> Result:
    """The figures of a workload whose `latencies_ns` are in order."""
    calls = len(latencies_ns)
    commands = calls * workload.commands

    def milliseconds(share: float) -> float:
        return round(percentile(latencies_ns, share) / 1e6, 3)

    def microseconds(cpu_seconds: float) -> float:
        return round(cpu_seconds * 1e6 / commands, 1)

    return Result(
        workload=workload.title,
        workers=workers,
        in_flight=workload.in_flight,
        offered_per_second=None if workload.rate is None else round(workload.rate, 1),
        share_of_peak=None if workload.rate is None else workload.rate_share,
        full_rules=workload.full_rules,
        json=workload.json,
        commands_per_call=workload.commands,
        seconds=round(seconds, 3),
        calls=calls,
        calls_per_second=round(calls / seconds, 1),
        commands_per_second=round(commands / seconds, 1),
        p50_ms=milliseconds(0.50),
        p95_ms=milliseconds(0.95),
        p99_ms=milliseconds(0.99),
        client_cpu_us=microseconds(usage.client),
        service_cpu_us=microseconds(usage.service),
        postgres_cpu_us=microseconds(usage.postgres),
        foreign_cores=round(max(0.0, usage.foreign) / seconds, 2),
        wal_bytes=round(usage.wal / commands, 1),
        refused=refused,
        average_batch=(round(usage.batched_commands / usage.batches, 1) if usage.batches else None),
        baseline_in_flight=workload.baseline_in_flight,
    )


def compared(results: Sequence[Result]) -> list[Result]:
    """The results, each with its ratios to others of the same run."""
    closed = {
        (one.workload, one.in_flight, one.workers): one
        for one in results
        if one.offered_per_second is None
    }
    pgbench = next((one for one in results if one.workload == Kind.PGBENCH.value), None)

    def ratio(result: Result, other: Result | None) -> float | None:
        if other is None or result.offered_per_second is not None:
            return None  # an open loop's rate was chosen
        return round(result.commands_per_second / other.commands_per_second, 3)

    def ratio_to_empty(result: Result) -> float | None:
        if result is pgbench:
            return None
        alike = (Kind.EMPTY.value, result.baseline_in_flight, result.workers)
        return ratio(result, closed.get(alike))

    return [
        replace(
            result,
            ratio_to_empty=ratio_to_empty(result),
            ratio_to_pgbench=ratio(result, pgbench),
            ratio_to_one_worker=ratio(result, closed.get((result.workload, result.in_flight, 1))),
        )
        for result in results
    ]


def find(results: Sequence[Result], workload: str, in_flight: int, workers: int) -> Result | None:
    """The result of a closed loop by its title, of a service of so many processes."""
    wanted = (workload, in_flight, workers)
    for result in results:
        same = (result.workload, result.in_flight, result.workers) == wanted
        if same and result.offered_per_second is None:
            return result
    return None


def peak(results: Sequence[Result]) -> float:
    """The most purchases per second that single calls reached under full rules."""
    title = f"{Kind.PURCHASE.value} full"
    return max((one.commands_per_second for one in results if one.workload == title), default=0.0)
