"""PostgreSQL's own measure, the TPC-B-like transaction of pgbench, on the server that is measured.

Three updates, a select and an insert in each transaction: the work of a simple ledger, sent by a
client written in C. The program comes with the embedded server or with PostgreSQL's packages.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg2

from ledger.store.data_directory import MAJOR_VERSION, EmbeddedServerError, binaries

_LOGS: Final = "pgbench.*"
_INIT_SECONDS: Final = 300.0
#: that its threads need to connect, beyond the time it is to run
_PATIENCE_SECONDS: Final = 60.0


class PgbenchFailed(Exception):
    """pgbench ended with an error; the message is what it said."""


@dataclass(frozen=True)
class Outcome:
    """What a run of pgbench came to."""

    seconds: float
    cpu_seconds: float
    #: of each transaction, in order of size
    latencies_ns: list[int]


def find() -> Path | None:
    """The program, of the embedded server's package, else of the system; None: there is none."""
    candidates: list[Path] = []
    with contextlib.suppress(EmbeddedServerError):
        candidates.append(binaries(MAJOR_VERSION) / "pgbench")
    if (on_path := shutil.which("pgbench")) is not None:
        candidates.append(Path(on_path))
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"), reverse=True)
    return next((path for path in candidates if path.exists()), None)


def load(program: Path, dsn: str, scale: int) -> None:
    """Fill an empty database with 100,000 accounts for each unit of the scale. PgbenchFailed."""
    _run([program, "--initialize", "--init-steps=dtGvp", f"--scale={scale}", "--quiet", dsn])
    connection = psycopg2.connect(dsn)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "CHECKPOINT"
            )  # what loading left to write is no part of what is measured
    finally:
        connection.close()


def measure(program: Path, dsn: str, clients: int, seconds: float, directory: Path) -> Outcome:
    """Run prepared transactions of `clients` connections. Logs to a directory. PgbenchFailed."""
    for log in directory.glob(_LOGS):
        log.unlink()
    before = os.times()
    _run(
        [
            program,
            f"--client={clients}",
            f"--jobs={min(2, clients)}",
            "--protocol=prepared",
            "--no-vacuum",
            f"--time={max(1, round(seconds))}",
            "--log",
            f"--log-prefix={directory / 'pgbench'}",
            dsn,
        ]
    )
    after = os.times()
    began, ended, latencies = float("inf"), 0.0, []
    for at, microseconds in _logged(directory):
        began, ended = min(began, at - microseconds / 1e6), max(ended, at)
        latencies.append(int(microseconds * 1_000))
    if not latencies:
        raise PgbenchFailed("pgbench logged no transaction")
    used = after.children_user - before.children_user
    used += after.children_system - before.children_system
    return Outcome(ended - began, used, sorted(latencies))


def _logged(directory: Path) -> Iterator[tuple[float, float]]:
    """When each transaction ended (seconds), and how long it took (µs)."""
    for log in directory.glob(_LOGS):
        with log.open() as lines:
            for line in lines:
                # client, transaction, time, script, seconds, microseconds of the second
                fields = line.split()
                yield int(fields[4]) + int(fields[5]) / 1e6, float(fields[2])


def _run(command: list[Path | str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_INIT_SECONDS + _PATIENCE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PgbenchFailed(str(error)) from error
    if done.returncode:
        raise PgbenchFailed(done.stderr[-500:])
