"""Closed and open loops: who sends when, and from when on a call's time is counted."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.calls import Send
from benchmarks.requests import Call

#: a load generator that was refused this often in a job gives it up
_MAX_FAILURES = 100


@dataclass(frozen=True)
class Timing:
    """When a load generator was at work, and how long each call took."""

    #: on the clock that all processes of the machine share, in seconds
    began: float
    ended: float
    cpu_seconds: float
    #: in nanoseconds, in the order of the answers; of a closed loop from the moment of sending, of
    #: an open loop from the moment when it was to be sent
    latencies_ns: list[int]


class Loop:
    """Sends calls and keeps the time; `answered` are the calls with their answers."""

    def __init__(self, sends: Sequence[Send], calls: Sequence[Call]) -> None:
        self._sends = sends
        self._calls = calls
        self._latencies: list[int] = []
        self._failures = 0
        self.answered: list[tuple[Call, Any]] = []

    async def closed(self, in_flight: int, seconds: float) -> Timing:
        """Callers that each send the next call when theirs is answered, until time or calls are
        up."""
        remaining = iter(self._calls)
        deadline = time.perf_counter_ns() + int(seconds * 1e9)

        async def caller(send: Send) -> None:
            for call in remaining:
                came = await self._send(send, call, time.perf_counter_ns())
                if came >= deadline or self._failures >= _MAX_FAILURES:
                    return

        began, cpu = time.monotonic(), time.process_time()
        sends = self._sends
        await asyncio.gather(*(caller(sends[number % len(sends)]) for number in range(in_flight)))
        return Timing(began, time.monotonic(), time.process_time() - cpu, self._latencies)

    async def open(self, rate: float, seed: str, seconds: float) -> Timing:
        """Calls that come at random, `rate` a second on average, whoever is still waiting.

        A call's time counts from the moment when it was to be sent: one that this process is late
        with, because it or the service is busy, has waited all the same.
        """
        draw = random.Random(f"{seed} arrivals")
        began, cpu = time.monotonic(), time.process_time()
        start = time.perf_counter_ns()
        due = 0.0
        tasks: set[asyncio.Task[int]] = set()
        for number, call in enumerate(self._calls):
            due += draw.expovariate(rate)
            if due >= seconds or self._failures >= _MAX_FAILURES:
                break
            intended = start + int(due * 1e9)
            ahead = (intended - time.perf_counter_ns()) / 1e9
            if ahead > 0:
                await asyncio.sleep(ahead)
            send = self._sends[number % len(self._sends)]
            task = asyncio.create_task(self._send(send, call, intended))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        ended = max(time.monotonic(), began + min(due, seconds))
        return Timing(began, ended, time.process_time() - cpu, self._latencies)

    async def _send(self, send: Send, call: Call, since: int) -> int:
        """Send a call and note its answer; when that came. `since` is when its time began."""
        answer: Any
        try:
            answer = await send(call)
        except Exception as error:  # whatever it is, it is not the answer that was due
            answer = error
            self._failures += 1
        came = time.perf_counter_ns()
        self._latencies.append(came - since)
        self.answered.append((call, answer))
        return came
