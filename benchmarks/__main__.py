"""`python -m benchmarks`: measures the ledger on this machine, and checks that it counted right.

Exit code 0: the run is sound, however slow; 1: it is not: a call was not answered as it must be,
the ledger does not hold what it acknowledged, or the run came to no end.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import grpc
from rich.console import Console

from benchmarks.generator import GeneratorFailed
from benchmarks.pgbench import PgbenchFailed
from benchmarks.plot import write_plots
from benchmarks.report import as_dict, as_text
from benchmarks.run import Options, run
from benchmarks.setup import SetupFailed
from benchmarks.system import ProcessFailed
from benchmarks.workloads import CHECK, FULL, GROWTH_MEMBERS, QUICK
from ledger.rpc.processors import processors
from ledger.store.embedded import EmbeddedServerError

#: columns of the report where no terminal says how wide it is; with those that compare workers
_WIDTH = 146
_WIDTH_BY_WORKERS = 159

BROKEN = 1
INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parsed = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _leave)  # so that what was started is ended
    told = Console(stderr=True)
    options = Options(
        mode=parsed.mode,
        seed=parsed.seed,
        members=parsed.members or parsed.mode.members,
        generators=parsed.generators,
        workers=tuple(sorted(set(parsed.workers))),
        connections=parsed.connections,
        parent=parsed.directory,
        growth_members=parsed.growth_members
        or (GROWTH_MEMBERS if parsed.growth else parsed.mode.growth_members),
    )
    try:
        with told.status("…", refresh_per_second=1) as status:
            report = run(options, lambda what: status.update(f"{what} …"))
    except grpc.RpcError as error:
        told.print(f"the service does not answer: {error}", style="red", markup=False)
        return BROKEN
    except (
        ProcessFailed,
        SetupFailed,
        GeneratorFailed,
        PgbenchFailed,
        EmbeddedServerError,
        ValueError,
        OSError,
    ) as error:
        told.print(f"the run failed: {error}", style="red", markup=False)
        return BROKEN
    except KeyboardInterrupt:
        return INTERRUPTED
    if parsed.json is not None:
        parsed.json.write_text(json.dumps(as_dict(report), indent=2) + "\n")
    if parsed.svg is not None:
        write_plots(report.results, options.most_workers, parsed.svg)
    width = _WIDTH_BY_WORKERS if len(options.workers) > 1 else _WIDTH
    console = Console(width=None if sys.stdout.isatty() else width)
    console.print(as_text(report))
    return BROKEN if report.faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the ledger on this machine, with a database of its own. "
        "Afterwards the ledger must hold exactly what it acknowledged.",
    )
    modes = parser.add_mutually_exclusive_group()
    for mode, what in (
        (QUICK, "under two minutes (default)"),
        (FULL, "under fifteen minutes, steadier figures, and growth"),
        (CHECK, "as short as possible: fails only if something is wrong, its figures say little"),
    ):
        modes.add_argument(
            f"--{mode.name}",
            dest="mode",
            action="store_const",
            const=mode,
            default=QUICK,
            help=f"{mode.seconds:g} s per workload: {what}",
        )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE too")
    parser.add_argument(
        "--svg", type=Path, metavar="DIR", help="draw throughput.svg and latency.svg in DIR"
    )
    parser.add_argument(
        "--growth",
        action="store_true",
        help=f"compare with a ledger of {GROWTH_MEMBERS:,} members with ten entries each, too, "
        f"which takes a while to write; --full has {FULL.growth_members:,}",
    )
    parser.add_argument(
        "--growth-members",
        type=_positive,
        metavar="N",
        help="the same with so many members",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="of the load (default: %(default)s)"
    )
    parser.add_argument(
        "--members",
        type=_positive,
        metavar="N",
        help=f"members in each program (default: {QUICK.members:,}; {CHECK.members:,} to check)",
    )
    parser.add_argument(
        "--generators",
        type=_positive,
        default=2,
        metavar="N",
        help="load generator processes, which share what is in flight (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=_positive,
        nargs="+",
        default=[len(processors()) or 1],
        metavar="N",
        help="processes of the service; several numbers are measured by turns (default: one for "
        "each processor, here %(default)s)",
    )
    parser.add_argument(
        "--connections",
        type=_positive,
        default=16,
        metavar="N",
        help="gRPC connections of each load generator; never more than it has in flight "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path("/tmp"),
        metavar="DIR",
        help="where the database is made for the run; its path must be short "
        "(default: %(default)s)",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
