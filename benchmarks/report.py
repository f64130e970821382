"""A run for people, as tables, and for machines, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.results import Result
from benchmarks.run import Report
from benchmarks.summary import grown, milliseconds, pieces_line, storage_line, targets_table
from benchmarks.targets import targets

#: what others may use before the figures suffer; the kernel's share of our own work is in it
_QUIET_CORES = 0.2

_NOTE = (
    "Closed loop: each caller sends when its last call was answered. Open loop: calls arrive at "
    "random, at a share of the peak, and their time counts from when they were to be sent. Every "
    "write is on the disk before its answer. Load generators, service and PostgreSQL share the "
    "machine. × empty: commands per second by the calls per second of the empty RPC, with as many "
    "in flight (pairs, batches and mixed days: 64). × pgb.: by pgbench's transactions. CPU: for "
    "each command. Mean batch: commands per transaction. Full: with tiers, bonuses and promotions, "
    "as holds and the mixed day (70 % purchases, 20 % balances, 8 % rewards, 2 % returns)."
)
_WORKERS_NOTE = (
    " Workers: processes of the service, or of the empty RPC's server; each service has a database "
    "of its own. × one: commands per second by those of a single process."
)


def as_dict(report: Report) -> dict[str, Any]:
    """The run as plain data."""
    options = report.options
    return {
        "began": report.began.isoformat(timespec="seconds"),
        "mode": report.options.mode.name,
        "seed": options.seed,
        "members": options.members,
        "load_generators": options.generators,
        "workers": list(options.workers),
        "connections": options.connections,
        "machine": asdict(report.machine),
        "targets": [{**asdict(each), "reached": each.reached} for each in targets(report)],
        "pairs": [asdict(pair) for pair in report.pairs],
        "results": [asdict(result) for result in report.results],
        "storage": asdict(report.storage),
        "growth": None if report.growth is None else asdict(report.growth),
        "pieces": [asdict(piece) for piece in report.pieces],
        "start_seconds": report.starts,
        "skipped": report.skipped,
        "audit": asdict(report.audit),
        "faults": report.faults,
    }


def as_text(report: Report) -> RenderableType:
    """The run as a table with its surroundings."""
    by_workers = len(report.options.workers) > 1
    return Group(
        _surroundings(report),
        _table(report.results, by_workers),
        Text(_NOTE + _WORKERS_NOTE * by_workers + "\n", style="dim"),
        *(Text(f"skipped: {what}", style="yellow") for what in report.skipped),
        storage_line(report),
        pieces_line(report.pieces),
        *([] if report.growth is None else [grown(report.growth)]),
        targets_table(targets(report)),
        _verdict(report),
    )


def _surroundings(report: Report) -> RenderableType:
    machine, options = report.machine, report.options
    durability = ", ".join(f"{name}={value}" for name, value in machine.durability.items())
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    grid.add_row(
        "Machine",
        f"{machine.processor}, {machine.cores} cores, {machine.memory_bytes / 2**30:.0f} GiB, "
        f"{machine.system}",
    )
    grid.add_row("Disk", f"{machine.filesystem}, fdatasync of 8 KiB {machine.sync_us:.0f} µs")
    grid.add_row("PostgreSQL", f"{machine.postgresql}, {durability}")
    grid.add_row(
        "Software", f"ledger {machine.ledger}, Python {machine.python}, grpcio {machine.grpc}"
    )
    grid.add_row(
        "Run",
        f"{report.began:%Y-%m-%d %H:%M} UTC, {options.mode.name}, "
        f"{options.mode.seconds:g} s each, seed {options.seed}, {options.members:,} members, "
        f"a service of {' and of '.join(map(str, options.workers))} "
        f"process{'es' if options.most_workers > 1 else ''}, "
        f"{options.generators} load generator{'s' if options.generators > 1 else ''} "
        f"with up to {options.connections} connection{'s' if options.connections > 1 else ''}",
    )
    foreign = max(result.foreign_cores for result in report.results)
    grid.add_row(
        "Others",
        Text(
            f"processes that are no part of this run used up to {foreign:.2f} cores",
            style="yellow" if foreign > _QUIET_CORES else "",
        ),
    )
    return grid


def _table(results: list[Result], by_workers: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Workload", no_wrap=True)
    for name in (
        *(("work-\ners", "×\none") if by_workers else ()),
        *("in\nflight", "calls\nper s", "commands\nper s", "p50\nms", "p95\nms", "p99\nms"),
        *(
            "×\nempty",
            "×\npgb.",
            "CPU µs\nclient",
            "CPU µs\nservice",
            "CPU µs\nPostgreSQL",
            "mean\nbatch",
        ),
    ):
        table.add_column(name, justify="right", no_wrap=True)
    section = ""
    for result in results:
        if section and section != result.workload:
            table.add_section()
        section = result.workload
        table.add_row(
            result.workload,
            *((str(result.workers), _ratio(result.ratio_to_one_worker)) if by_workers else ()),
            _in_flight(result),
            f"{result.calls_per_second:,.0f}",
            f"{result.commands_per_second:,.0f}",
            milliseconds(result.p50_ms),
            milliseconds(result.p95_ms),
            milliseconds(result.p99_ms),
            _ratio(result.ratio_to_empty),
            _ratio(result.ratio_to_pgbench),
            f"{result.client_cpu_us:,.0f}",
            f"{result.service_cpu_us:,.0f}",
            f"{result.postgres_cpu_us:,.0f}",
            "–" if result.average_batch is None else f"{result.average_batch:,.1f}",
        )
    return table


def _in_flight(result: Result) -> str:
    """How many, or of an open loop its share of the peak."""
    share = result.share_of_peak
    return str(result.in_flight) if share is None else f"{share:.0%}"


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _verdict(report: Report) -> Text:
    audit = report.audit
    scale = (
        f"{audit.purchases:,} purchases of {audit.members:,} members, "
        f"{audit.outstanding_points:,} points outstanding; {audit.entries:,} entries verified "
        f"in {audit.verify_seconds:.1f} s"
    )
    if not report.faults:
        return Text.assemble(
            ("\n✓ the ledger holds exactly what it acknowledged", "bold green"), f": {scale}"
        )
    text = Text.assemble(("\n✗ this run is broken", "bold red"), f": {scale}")
    for fault in report.faults:
        text.append(f"\n  {fault}", "red")
    return text
