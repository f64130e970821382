"""The load generators: processes of their own that send a workload and keep the time.

`Generators` runs in the benchmark's process and `_generate` in each of theirs. They talk over a
pipe: a job comes in, "ready" goes out, "go" comes in, then the timing goes out and after it the
answers, so that looking into answers is never part of what is measured.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self, TypeVar

import uvloop

from benchmarks.answers import Answers
from benchmarks.calls import senders
from benchmarks.loops import Loop, Timing
from benchmarks.requests import Requests
from benchmarks.shop import Purchase, Shop
from benchmarks.workloads import Workload

#: to build a job's requests, or to read its answers
_PATIENCE_SECONDS = 300.0

MessageT = TypeVar("MessageT")


class GeneratorFailed(Exception):
    """A load generator has ended, or does not answer."""


@dataclass(frozen=True)
class Job:
    """One load generator's share of a workload."""

    workload: Workload
    #: host:port, or a URL
    address: str
    shop: Shop
    program_id: str
    currency: str
    #: unique in the run
    name: str
    in_flight: int
    #: gRPC connections, among which the callers are divided
    connections: int
    calls: int
    seconds: float
    #: calls per second of an open loop
    rate: float | None = None
    #: purchases that it may return
    returnable: tuple[Purchase, ...] = ()


@dataclass(frozen=True)
class Measured:
    """What all load generators together did in a workload."""

    seconds: float
    client_cpu_seconds: float
    latencies_ns: list[int]
    answers: Answers


class Generators:
    """`count` load generators, which end with the `with` block."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._processes: list[BaseProcess] = []
        self._pipes: list[Connection] = []

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        for number in range(self.count):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_generate, args=(theirs,), name=f"load-{number}", daemon=True
            )
            process.start()
            theirs.close()
            self._processes.append(process)
            self._pipes.append(ours)
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.terminate()
            process.join()

    def run(
        self,
        workload: Workload,
        job: Callable[[int], Job],
        on_start: Callable[[], None],
        on_end: Callable[[], None],
    ) -> Measured:
        """Run a workload; `job` tells each load generator's share.

        `on_start` is called right before the first call is sent, `on_end` right after the last one
        was answered. Raises GeneratorFailed.
        """
        for number, pipe in enumerate(self._pipes):
            pipe.send(job(number))
        for pipe in self._pipes:
            self._receive(pipe, str, _PATIENCE_SECONDS)
        on_start()
        for pipe in self._pipes:
            pipe.send("go")
        timings = [self._receive(pipe, Timing, _PATIENCE_SECONDS) for pipe in self._pipes]
        on_end()
        answers = Answers()
        for pipe in self._pipes:
            answers.add(self._receive(pipe, Answers, _PATIENCE_SECONDS))
        return Measured(
            seconds=max(timing.ended for timing in timings)
            - min(timing.began for timing in timings),
            client_cpu_seconds=sum(timing.cpu_seconds for timing in timings),
            latencies_ns=sorted(ns for timing in timings for ns in timing.latencies_ns),
            answers=answers,
        )

    def _receive(self, pipe: Connection, kind: type[MessageT], seconds: float) -> MessageT:
        try:
            message = pipe.recv() if pipe.poll(seconds) else None
        except (EOFError, ConnectionError):
            message = None
        if not isinstance(message, kind):
            raise GeneratorFailed("a load generator has ended, or does not answer")
        return message


def _generate(pipe: Connection) -> None:
    """Do one job after the other until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this process ends it
    while True:
        try:
            job: Job = pipe.recv()
        except EOFError:
            return
        uvloop.run(_do(job, pipe))


async def _do(job: Job, pipe: Connection) -> None:
    requests = Requests(job.shop, job.program_id, job.currency, job.workload.json)
    calls = requests.prepare(job.workload, job.name, job.calls, job.returnable)
    async with senders(job.address, job.workload.json, job.connections) as sends:
        # What was prepared stays; the collector need not look through it again and again.
        gc.collect()
        gc.freeze()
        pipe.send("ready")
        await asyncio.to_thread(pipe.recv)
        loop = Loop(sends, calls)
        if job.rate is None:
            timing = await loop.closed(job.in_flight, job.seconds)
        else:
            timing = await loop.open(job.rate, job.name, job.seconds)
        pipe.send(timing)
    answers = Answers()
    for call, answer in loop.answered:
        answers.read(call, answer)
    pipe.send(answers)
    gc.unfreeze()
