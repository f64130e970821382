"""`python -m benchmarks.watchers`: what open streams of balances cost the writes of one process.

Purchases under full rules are measured by turns: with nobody watching, with members watched who are
drawn from all alike, and with those watched who come most often. Afterwards every watcher must have
seen the balance that its member has, and the ledger must hold what it acknowledged.

Exit code 0: the run is sound, however slow; 1: it is not.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import grpc
import psycopg2
from rich.console import Console
from rich.table import Table

from benchmarks.bench import Bench
from benchmarks.generator import Generators
from benchmarks.results import Result
from benchmarks.setup import enroll, full_program, plain_program
from benchmarks.shop import Shop
from benchmarks.system import System, running_system
from benchmarks.workloads import QUICK, Kind, Workload
from ledger.v1 import balance_pb2

_CONNECTIONS = 16
#: for all streams to show what they will show
_PATIENCE_SECONDS = 20.0
_WARM_UP_SECONDS = 2.0
NOBODY, ANYBODY, BUSIEST = "nobody", "anybody", "the busiest"


class WatchersFailed(Exception):
    """A stream broke off, or did not show what it should."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parsed = _parser().parse_args(arguments)
    with ExitStack() as stack:
        system = stack.enter_context(running_system(parsed.directory))
        generators = stack.enter_context(Generators(2))
        channel = stack.enter_context(grpc.insecure_channel(system.grpc_address))
        plain, full = plain_program(channel), full_program(channel)
        today = datetime.now(UTC).astimezone(ZoneInfo(full.time_zone)).date()
        shop = Shop(parsed.seed, parsed.members, full.time_zone, today)
        enroll(channel, plain, shop)
        enroll(channel, full, shop)
        mode = replace(QUICK, seconds=parsed.seconds, warm_up_seconds=_WARM_UP_SECONDS)
        bench = Bench(mode, _CONNECTIONS, system, generators, channel, shop, (plain, full))
        load = Workload(Kind.PURCHASE, parsed.in_flight, 8_000, full_rules=True)
        members = shop.member_ids()
        watched = {
            NOBODY: [],
            ANYBODY: random.Random(parsed.seed).sample(members, parsed.watchers),
            BUSIEST: members[: parsed.watchers],
        }
        bench.measure(replace(load, measured=False))
        results: dict[str, list[Result]] = {who: [] for who in watched}
        shown: dict[str, list[int]] = {who: [] for who in watched}
        for number in range(parsed.rounds):
            turns = [*watched.items()]
            for who, watching in turns[number % 3 :] + turns[: number % 3]:
                with _watchers(system, full.program_id, watching) as watchers:
                    results[who].append(bench.measure(load, name=f"{who}-{number}"))
                    shown[who].append(watchers.finish(system, full.program_id))
        _, faults = bench.audit()
    _print(parsed.watchers, results, shown)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.watchers",
        description="Measure what open streams of balances cost the writes of one process.",
    )
    for name, default, what in (
        ("watchers", 500, "streams"),
        ("rounds", 9, "times that each is measured, by turns"),
        ("members", 10_000, "members of the program"),
        ("in-flight", 256, "purchases under way at any time"),
        ("seed", 1, "of the load"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=what)
    parser.add_argument("--seconds", type=float, default=1.5, metavar="N", help="of each round")
    parser.add_argument("--directory", type=Path, default=Path("/tmp"), metavar="DIR")
    return parser


class _Watchers:
    """A process that watches members, each on a stream of its own."""

    def __init__(self, pipe: Connection, members: Sequence[str]) -> None:
        self._pipe = pipe
        self._members = members
        #: what the streams began with
        self._first = 0

    def begin(self, system: System, program_id: str) -> None:
        """Return when all streams are open."""
        self._first = self.finish(system, program_id)

    def finish(self, system: System, program_id: str) -> int:
        """How many balances were shown, once all show the version that is in the database.

        Raises WatchersFailed.
        """
        expected = _versions(system.database_url, program_id, self._members)
        give_up = time.monotonic() + _PATIENCE_SECONDS
        while True:
            self._pipe.send("say")
            count, seen = self._pipe.recv()
            if seen == expected:
                return int(count) - self._first
            if time.monotonic() > give_up:
                late = sum(seen.get(member) != version for member, version in expected.items())
                raise WatchersFailed(f"{late} streams do not show what there is")
            time.sleep(0.05)


@contextmanager
def _watchers(system: System, program_id: str, members: Sequence[str]) -> Iterator[_Watchers]:
    """All streams are open, and have shown a first balance."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_watch, args=(theirs, system.grpc_address, program_id, list(members))
    )
    process.start()
    try:
        watchers = _Watchers(ours, members)
        watchers.begin(system, program_id)
        yield watchers
    finally:
        ours.send("end")
        process.join(_PATIENCE_SECONDS)
        process.kill()


def _watch(pipe: Connection, address: str, program_id: str, members: Sequence[str]) -> None:
    """The process: open the streams, and answer how many balances came and the latest versions."""
    count, seen = 0, dict.fromkeys(members, 0)

    async def read(channel: grpc.aio.Channel, member_id: str) -> None:
        nonlocal count
        stream: Any = channel.unary_stream(
            "/ledger.v1.BalanceService/WatchBalance",
            request_serializer=balance_pb2.WatchBalanceRequest.SerializeToString,
            response_deserializer=balance_pb2.WatchBalanceResponse.FromString,
        )
        request = balance_pb2.WatchBalanceRequest(program_id=program_id, member_id=member_id)
        async for message in stream(request):
            if message.HasField("balance"):
                count += 1
                seen[member_id] = message.balance.version

    async def run() -> None:
        channels = [
            grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
            for _ in range(_CONNECTIONS)
        ]
        reading = [
            asyncio.create_task(read(channels[number % _CONNECTIONS], member_id))
            for number, member_id in enumerate(members)
        ]
        while await asyncio.to_thread(pipe.recv) == "say":
            pipe.send((count, seen))
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    asyncio.run(run())


def _versions(database_url: str, program_id: str, members: Sequence[str]) -> dict[str, int]:
    connection = psycopg2.connect(database_url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT member_id, version FROM accounts"
                " WHERE program_id = %s AND member_id = ANY(%s)",
                (program_id, list(members)),
            )
            return {str(member_id): int(version) for member_id, version in cursor}
    finally:
        connection.close()


def _print(watchers: int, results: dict[str, list[Result]], shown: dict[str, list[int]]) -> None:
    table = Table(title=f"RecordPurchase, full rules, one process, {watchers} watchers")
    table.add_column("watched")
    for heading in ("purchases/s", "of nobody's", "each round", "CPU µs", "shown/s", "others"):
        table.add_column(heading, justify="right")
    alone = [result.commands_per_second for result in results[NOBODY]]
    for who, rounds in results.items():
        rates = [result.commands_per_second for result in rounds]
        ratios = [rate / base for rate, base in zip(rates, alone, strict=True)]
        seconds = sum(result.seconds for result in rounds)
        table.add_row(
            who,
            f"{statistics.median(rates):,.0f}",
            f"{statistics.median(ratios):.3f}",
            " ".join(f"{ratio:.2f}" for ratio in ratios),
            f"{statistics.median(r.service_cpu_us + r.postgres_cpu_us for r in rounds):.0f}",
            f"{sum(shown[who]) / seconds:,.0f}",
            f"{statistics.median(result.foreign_cores for result in rounds):.2f}",
        )
    Console(width=None if sys.stdout.isatty() else 130).print(table)


if __name__ == "__main__":
    sys.exit(main())
