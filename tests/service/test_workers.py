"""`ledger serve --workers`: several processes are one service on one pair of ports."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from psycopg2.extensions import connection as Connection

from ledger.exposition import Exposition, lasting, merged
from ledger.metrics import Metrics
from ledger.rpc.processors import processors
from ledger.rpc.workers import (
    BEAT_SECONDS,
    MEASURE_SECONDS,
    MISSED_BEATS,
    WorkerFailed,
    Workers,
    reserved,
)
from tests.faults.load import Load, client_of, open_shop
from tests.faults.processes import ServiceProcess, eventually
from tests.service.client import GrpcClient
from tests.service.requests import PROGRAM, open_program, purchase

WORKERS = 2


# -- metrics -------------------------------------------------------------------------------------


def measured(metrics: Metrics) -> list[Metric]:
    return list(metrics.registry.collect())


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


@pytest.fixture
def pair() -> tuple[Metrics, Metrics]:
    """What two workers count; only the first knows the program from its start."""
    first, second = Metrics(), Metrics()
    first.know_program("beans")
    return first, second


def shown(*of_workers: Metrics) -> CollectorRegistry:
    return Exposition(merged({n: measured(one) for n, one in enumerate(of_workers, start=1)}))


def test_what_workers_count_is_added_up(pair: tuple[Metrics, Metrics]) -> None:
    first, second = pair
    first.commands.labels("beans", "settle", "ok").inc(3)
    second.commands.labels("beans", "settle", "ok").inc(4)
    second.points.labels("tea", "PURCHASE").inc(12)
    for metrics, size in ((first, 1), (second, 1), (second, 400)):
        metrics.batch_size.observe(size)
        metrics.queue_wait.observe(0.02)
    first.know_method("S", "M").begin()
    second.know_method("S", "M").begin()

    registry = shown(first, second)

    commands = {"program": "beans", "command": "settle"}
    assert value(registry, "ledger_commands_total", **commands, outcome="ok") == 7
    assert value(registry, "ledger_commands_total", **commands, outcome="error") == 0
    assert value(registry, "ledger_points_total", program="tea", kind="PURCHASE") == 12
    assert value(registry, "ledger_batch_size_count") == 3
    assert value(registry, "ledger_batch_size_sum") == 402
    assert value(registry, "ledger_batch_size_bucket", le="1.0") == 2
    assert value(registry, "ledger_batch_size_bucket", le="+Inf") == 3
    assert value(registry, "ledger_queue_wait_seconds_count") == 3
    rpc = {"grpc_type": "unary", "grpc_service": "S", "grpc_method": "M"}
    assert value(registry, "grpc_server_started_total", **rpc) == 2


def test_what_workers_see_is_shown_as_of_one_service(pair: tuple[Metrics, Metrics]) -> None:
    first, second = pair
    for metrics, waiting, up, lag in ((first, 3, 1, 0.5), (second, 4, 0, 2.5)):
        metrics.queue_depth.set(waiting)
        metrics.database_up.set(up)
        metrics.due_lag.set(lag)
        # Each shows what was last counted in the database, one of them a moment later.
        metrics.outstanding_points.labels("beans").set(100 + waiting)
        metrics.pool_connections.labels("idle").set(waiting)
        metrics.pool_size.set(8)

    registry = shown(first, second)

    assert value(registry, "ledger_queue_depth") == 7
    assert value(registry, "ledger_database_up") == 0
    assert value(registry, "ledger_due_lag_seconds") == 2.5
    assert value(registry, "ledger_outstanding_points", program="beans") == 104
    assert value(registry, "ledger_pool_connections", state="idle") == 7
    assert value(registry, "ledger_pool_size") == 16
    (build,) = next(family for family in registry.collect() if "build" in family.name).samples
    assert build.value == 1


def test_metrics_of_processes_are_told_apart(pair: tuple[Metrics, Metrics]) -> None:
    registry = shown(*pair)

    of_processes = [family for family in registry.collect() if family.name.startswith("process_")]
    assert of_processes
    for family in of_processes:
        assert [sample.labels for sample in family.samples] == [{"worker": "1"}, {"worker": "2"}]


def test_merging_changes_nothing_that_one_worker_shows() -> None:
    metrics = Metrics()
    metrics.know_program("beans")
    metrics.batch_size.observe(5)

    before, after = measured(metrics), merged({1: measured(metrics)})

    def of_service(families: list[Metric]) -> list[Metric]:
        mine = [one for one in families if not one.name.startswith(("process_", "python_"))]
        return sorted(mine, key=lambda family: family.name)

    assert of_service(after) == of_service(before)


def test_what_a_process_counted_stays_when_it_has_ended(pair: tuple[Metrics, Metrics]) -> None:
    first, second = pair
    for metrics in pair:
        metrics.commit_unknown.inc(5)
        metrics.queue_depth.set(5)
        metrics.batch_size.observe(5)

    kept = merged({1: lasting(measured(first))}, ())
    kept = merged({1: lasting(measured(first))}, kept)  # and so did the one after it
    registry = Exposition(merged({1: [], 2: measured(second)}, kept))

    assert value(registry, "ledger_commit_unknown_total") == 15
    assert value(registry, "ledger_batch_size_count") == 3
    assert value(registry, "ledger_queue_depth") == 5
    assert value(registry, "process_cpu_seconds_total", worker="1") is None
    assert value(registry, "process_cpu_seconds_total", worker="0") is None


# -- ports ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_reserved_port_is_for_workers_only(host: str) -> None:
    with contextlib.ExitStack() as stack:
        try:
            address = stack.enter_context(reserved(f"{host}:0", "gRPC"))
        except OSError as error:
            pytest.skip(f"{error}")  # no IPv6 here
        assert address.startswith(f"{host}:")
        assert not address.endswith(":0")
        for workers in range(WORKERS + 1):
            with contextlib.ExitStack() as listening:
                for _ in range(workers):
                    listening.enter_context(listener(address, share=True))
                with pytest.raises(OSError, match="in use"):
                    listener(address, share=False)
                for what in ("gRPC", "HTTP"):
                    with (
                        pytest.raises(OSError, match=f"can not listen on .* for {what}"),
                        reserved(address, what),
                    ):
                        pass
    with reserved(address, "gRPC"), listener(address, share=True):
        pass


def listener(address: str, share: bool) -> socket.socket:
    """A socket that listens as servers do."""
    host, _, port = address.rpartition(":")
    (family, _, _, _, place), *_ = socket.getaddrinfo(host.strip("[]"), int(port))
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(share))
        made.bind(place)
        made.listen()
    except OSError:
        made.close()
        raise
    return made


def test_a_port_where_somebody_listens_is_not_reserved() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match="in use"), reserved(address, "HTTP"):
            pass


# -- starting and ending -------------------------------------------------------------------------

#: Stands in for a worker: it says that it is ready, and ends.
SHORT_LIVED = """
import asyncio, socket, sys
from ledger.rpc.link import Link
async def main():
    link = await Link.open(socket.socket(fileno=int(sys.argv[2])))
    link.send("ready")
    await link._writer.drain()
asyncio.run(main())
"""


@pytest.mark.parametrize("count", [1, 3])
async def test_workers_that_do_not_start_are_not_started_again(count: int) -> None:
    ready: list[bool] = []
    command = (sys.executable, "-c", "raise SystemExit(7)")
    with pytest.raises(WorkerFailed, match="ended with 7 at its start"):
        await Workers(count, command, None, lambda: ready.append(True)).run()
    assert ready == []


async def test_workers_that_never_last_are_given_up() -> None:
    ready: list[bool] = []
    with pytest.raises(WorkerFailed, match="worker 1 ended with 0"):
        await Workers(1, (sys.executable, "-c", SHORT_LIVED), 1, lambda: ready.append(True)).run()
    assert ready == [True]


async def test_a_worker_that_can_not_be_started_any_more_is_tried_again_before_it_is_given_up(
    tmp_path: Path,
) -> None:
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    program.chmod(0o700)
    workers = Workers(1, (str(program), "-c", SHORT_LIVED), 1, program.unlink)
    with (
        structlog.testing.capture_logs() as logs,
        pytest.raises(WorkerFailed, match="worker 1 could not be started"),
    ):
        await workers.run()
    told = [log["error"] for log in logs if log["event"] == "worker can not be started"]
    assert told == ["No such file or directory"] * 4


async def test_workers_of_a_program_that_is_not_there_are_not_started_again() -> None:
    with pytest.raises(WorkerFailed, match="worker 1 could not be started"):
        await Workers(1, ("/nonexistent/python",), None, lambda: None).run()


def test_a_worker_that_can_not_serve_says_why_in_a_line_of_its_own(
    database_url: str, administrator: Connection, tmp_path: Path
) -> None:
    with administrator.cursor() as cursor:
        # One is enough to look at the schema before workers are started.
        cursor.execute("CREATE ROLE lonely LOGIN CONNECTION LIMIT 1")
        cursor.execute("GRANT ledger_service TO lonely")
    environment = {
        "LEDGER_DATABASE_URL": database_url.replace("postgres@", "lonely@"),
        "LEDGER_WORKERS": str(WORKERS),
    }
    try:
        with (
            ServiceProcess(environment, tmp_path / "log", arguments=["--json"]) as service,
            pytest.raises(RuntimeError, match="ended with 1"),
        ):
            service.start()
        lines = [json.loads(line) for line in service.log_lines()]
    finally:
        with administrator.cursor() as cursor:
            cursor.execute("DROP ROLE lonely")
    assert any("too many connections" in line.get("reason", "") for line in lines)
    assert lines[-1]["reason"] == "WORKER_FAILED"


@contextlib.contextmanager
def workers_of(database_url: str, log: Path, *arguments: str) -> Iterator[ServiceProcess]:
    """A service of two workers, all of them ready."""
    environment = {"LEDGER_DATABASE_URL": database_url, "LEDGER_WORKERS": str(WORKERS)}
    with ServiceProcess(environment, log, arguments=arguments) as service:
        service.start()
        eventually("all workers serve", lambda: len(answered(service)) == WORKERS, 30)
        yield service
        assert service.terminate(25.0) == 0


def serving(service: ServiceProcess, timeout_seconds: float = 10.0) -> set[str]:
    """The numbers of the workers that say what they measure."""
    return {
        sample.rpartition('worker="')[2].partition('"')[0]
        for sample in samples(service, timeout_seconds)
        if sample.startswith("process_start_time_seconds{")
    }


def samples(service: ServiceProcess, timeout_seconds: float = 10.0) -> dict[str, float]:
    """What /metrics shows, from whichever worker, on a connection of its own."""
    url = f"{service.http_url}/metrics"
    with urllib.request.urlopen(url, timeout=timeout_seconds) as answer:
        rows = answer.read().decode().splitlines()
    pairs = (row.rpartition(" ") for row in rows if not row.startswith("#"))
    return {name: float(number) for name, _, number in pairs}


def processes_of(service: ServiceProcess) -> list[psutil.Process]:
    return psutil.Process(service.pid).children()


def clients(address: str, count: int) -> list[GrpcClient]:
    """Clients that each have a connection of their own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    return [GrpcClient(address, options=options) for _ in range(count)]


def test_connections_are_dealt_out_and_metrics_show_all_of_them(
    database_url: str, tmp_path: Path
) -> None:
    purchases = f'ledger_commands_total{{command="record_purchase",outcome="ok",program="{PROGRAM}"'
    with workers_of(database_url, tmp_path / "log") as service:
        connected = clients(service.grpc_address, 24)
        open_program(connected[0], sandbox=False)
        for number, client in enumerate(connected):
            client.record_purchase(purchase(number, "10.00"))
        port = int(service.grpc_address.rpartition(":")[2])
        dealt = [
            sum(one.laddr.port == port and one.status == "ESTABLISHED" for one in connections)
            for connections in (each.net_connections("tcp") for each in processes_of(service))
        ]
        assert sum(dealt) == 24
        assert all(dealt), dealt
        for _ in range(8):
            found = samples(service)
            assert found[f"{purchases}}}"] == 24
            assert found["ledger_queue_wait_seconds_count"] >= 24
            assert found["ledger_database_up"] == 1
            assert len(serving(service)) == WORKERS
        for client in connected:
            client.close()


def kept_to(process: psutil.Process) -> set[int]:
    """The processors that any thread of a process may run on."""
    threads = [thread.id for thread in process.threads()]
    return set().union(*(os.sched_getaffinity(thread) for thread in threads))


@pytest.mark.skipif(len(processors()) < WORKERS, reason="there is no processor for each worker")
def test_each_worker_keeps_to_a_processor_of_its_own(database_url: str, tmp_path: Path) -> None:
    with workers_of(database_url, tmp_path / "log") as service:
        kept = [kept_to(process) for process in processes_of(service)]
        assert [len(each) for each in kept] == [1] * WORKERS
        assert len(set().union(*kept)) == WORKERS
        assert kept_to(psutil.Process(service.pid)) == set(processors())


@pytest.mark.skipif(len(processors()) < 2, reason="there is one processor only")
@pytest.mark.parametrize(("workers", "flag", "kept"), [(2, "--no-pin", False), (1, "--pin", True)])
def test_pinning_can_be_asked_for_and_declined(
    database_url: str, tmp_path: Path, workers: int, flag: str, kept: bool
) -> None:
    environment = {"LEDGER_DATABASE_URL": database_url, "LEDGER_WORKERS": str(workers)}
    with ServiceProcess(environment, tmp_path / "log", arguments=[flag]) as service:
        service.start()
        serving = processes_of(service) if workers > 1 else [psutil.Process(service.pid)]
        wanted = 1 if kept else len(processors())
        assert [len(kept_to(process)) for process in serving] == [wanted] * workers


def test_a_start_is_told_once(database_url: str, tmp_path: Path) -> None:
    with workers_of(database_url, tmp_path / "log", "--json") as service:
        told = [json.loads(line) for line in service.log_lines()]
        assert [line["grpcAddress"] for line in told if "grpcAddress" in line] == [
            service.grpc_address
        ]
        assert sum(line.get("event") == "development mode" for line in told) == 1
        assert {line.get("worker") for line in told if line.get("event") == "serving"} == {1, 2}


def test_ports_of_another_service_are_refused(database_url: str, tmp_path: Path) -> None:
    with workers_of(database_url, tmp_path / "log") as service:
        for workers, taken in (
            ("1", "LEDGER_GRPC_ADDRESS"),
            (str(WORKERS), "LEDGER_GRPC_ADDRESS"),
            (str(WORKERS), "LEDGER_HTTP_ADDRESS"),
        ):
            environment = {
                **os.environ,
                "LEDGER_DATABASE_URL": database_url,
                "LEDGER_GRPC_ADDRESS": "127.0.0.1:0",
                "LEDGER_HTTP_ADDRESS": "127.0.0.1:0",
                taken: service.environment[taken],
                "LEDGER_WORKERS": workers,
            }
            command = [sys.executable, "-m", "ledger", "serve", "--json"]
            refused = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=60
            )
            assert refused.returncode == 1
            failure = json.loads(refused.stderr.splitlines()[-1])
            assert failure["reason"] == "CAN_NOT_LISTEN"
            assert service.environment[taken] in failure["message"]


@pytest.mark.faults
def test_a_worker_that_is_killed_under_load_is_replaced_and_nothing_is_lost(
    database_url: str, tmp_path: Path
) -> None:
    with workers_of(database_url, tmp_path / "log") as service:
        with contextlib.closing(client_of(service.grpc_address)) as client:
            open_shop(client)
        load = Load(service.grpc_address, seed=11)
        before: dict[str, float] = {}
        with load.running():
            for _ in range(3):
                load.wait_for_answers(100)
                before = samples(service)
                victim = processes_of(service)[0]
                os.kill(victim.pid, signal.SIGKILL)
                load.wait_for_answers(50)
                eventually("it is replaced", lambda: len(answered(service)) == WORKERS, 30)
                assert victim.pid not in {each.pid for each in processes_of(service)}
                after = samples(service)
                lost = [name for name, number in before.items() if is_less(name, after, number)]
                assert lost == []
        load.settle()
        load.check(database_url)
        assert sum("worker ended" in line for line in service.log_lines()) == 3


def is_less(name: str, after: dict[str, float], before: float) -> bool:
    """Whether something that counts for all workers became smaller."""
    counts = name.partition("{")[0].endswith(("_total", "_count", "_sum", "_bucket"))
    return counts and not name.startswith("process_") and after.get(name, 0) < before


@pytest.mark.faults
def test_workers_end_when_their_parent_is_killed(database_url: str, tmp_path: Path) -> None:
    environment = {"LEDGER_DATABASE_URL": database_url, "LEDGER_WORKERS": str(WORKERS)}
    with ServiceProcess(environment, tmp_path / "log") as service:
        service.start()
        left = processes_of(service)
        assert len(left) == WORKERS
        service.kill()
        _, alive = psutil.wait_procs(left, timeout=25)
        assert alive == []
        service.start()
        assert service.terminate(25.0) == 0


@pytest.mark.faults
def test_a_worker_that_hangs_does_not_keep_metrics_from_being_shown(
    database_url: str, tmp_path: Path
) -> None:
    with workers_of(database_url, tmp_path / "log") as service:
        hanging = processes_of(service)[0]
        hanging.suspend()
        try:
            # Connections that are dealt to the one that hangs are not answered.
            eventually("the other one answers", lambda: answered(service), 60)
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):  # it may have been replaced by now
                hanging.resume()


@pytest.mark.faults
def test_a_worker_that_hangs_is_replaced_and_nothing_is_lost(
    database_url: str, tmp_path: Path
) -> None:
    with workers_of(database_url, tmp_path / "log") as service:
        with contextlib.closing(client_of(service.grpc_address)) as client:
            open_shop(client)
        load = Load(service.grpc_address, seed=12)
        with load.running():
            load.wait_for_answers(100)
            hanging, other = processes_of(service)
            began = time.monotonic()
            hanging.suspend()
            service.wait_for_log("worker hangs", BEAT_SECONDS * (MISSED_BEATS + 2))
            eventually("it is replaced", lambda: len(answered(service)) == WORKERS, 30)
            print(f"replaced after {time.monotonic() - began:.1f} s")
            assert not hanging.is_running()
            assert other in processes_of(service)
            load.wait_for_answers(50)
        load.settle()
        load.check(database_url)


@pytest.mark.faults_long
def test_a_service_that_stood_still_as_a_whole_does_not_blame_its_workers(
    database_url: str, tmp_path: Path
) -> None:
    with workers_of(database_url, tmp_path / "log") as service:
        workers = processes_of(service)
        service.pause()
        time.sleep(BEAT_SECONDS * (MISSED_BEATS + 1))
        service.resume()
        time.sleep(BEAT_SECONDS * 2)
        assert processes_of(service) == workers
        assert not any("worker hangs" in line for line in service.log_lines())


def answered(service: ServiceProcess) -> set[str]:
    """The workers whose metrics are shown, if the one that is asked answers."""
    try:
        return serving(service, MEASURE_SECONDS + 1)
    except OSError:
        return set()
