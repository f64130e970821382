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
    #: commands per transaction; None where none was written
    average_batch: float | None
    #: empty RPCs in flight in the run it is compared with
    baseline_in_flight: int
    #: its commands per second by the empty RPC's calls per second; None until both are known
    ratio_to_empty: float | None = None
    #: by those of a single process; None until both are known
    ratio_to_one_worker: float | None = None


def percentile(ordered: Sequence[int], share: float) -> float:
    """The smallest value that `share` of the values do not exceed; `ordered` is not empty."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def result_of(
    workload: Workload, workers: int, seconds: float, latencies_ns: Sequence[int], usage: Usage
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
        average_batch=(round(usage.batched_commands / usage.batches, 1) if usage.batches else None),
        baseline_in_flight=workload.baseline_in_flight,
    )


def compared(results: Sequence[Result]) -> list[Result]:
    """The results, each with its ratios to others of the same run."""
    of_one = {(one.workload, one.in_flight): one for one in results if one.workers == 1}

    def ratio(result: Result, other: Result | None) -> float | None:
        if other is None:
            return None
        return round(result.commands_per_second / other.commands_per_second, 3)

    return [
        replace(
            result,
            ratio_to_empty=ratio(result, of_one.get((Kind.EMPTY.value, result.baseline_in_flight))),
            ratio_to_one_worker=ratio(result, of_one.get((result.workload, result.in_flight))),
        )
        for result in results
    ]
