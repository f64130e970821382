"""What the figures of a run depend on: the machine, its disk, and the versions of everything."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
import psutil
import psycopg2

from ledger import __version__

_SYNCS: Final = 200
_PAGE: Final = bytes(8192)
#: what decides whether an acknowledged write is on the disk
_DURABILITY: Final = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method")


@dataclass(frozen=True)
class Machine:
    """Where and with what the run was made."""

    processor: str
    cores: int
    memory_bytes: int
    system: str
    filesystem: str
    #: median time to make 8 KiB durable in the database's directory
    sync_us: float
    python: str
    grpc: str
    postgresql: str
    ledger: str
    #: the database's settings
    durability: dict[str, str]


def describe(directory: Path, database_url: str) -> Machine:
    """This machine, the disk below a directory, and a database."""
    connection = psycopg2.connect(database_url)
    try:
        with connection.cursor() as cursor:
            settings = {}
            for name in ("server_version", *_DURABILITY):
                cursor.execute(f"SHOW {name}")
                settings[name] = str((cursor.fetchone() or ("",))[0])
    finally:
        connection.close()
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.release()}",
        filesystem=_filesystem(directory),
        sync_us=round(_sync_us(directory), 1),
        python=platform.python_version(),
        grpc=str(grpc.__version__),
        postgresql=settings.pop("server_version"),
        ledger=__version__,
        durability=settings,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _filesystem(directory: Path) -> str:
    """The type of the file system that holds a directory, such as ext4; tmpfs is no disk at all."""
    mounts = {
        Path(partition.mountpoint): partition.fstype
        for partition in psutil.disk_partitions(all=True)
    }
    for parent in (directory.resolve(), *directory.resolve().parents):
        if parent in mounts:
            return mounts[parent]
    return "unknown"


def _sync_us(directory: Path) -> float:
    sync = getattr(os, "fdatasync", os.fsync)
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        times = []
        for _ in range(_SYNCS):
            os.pwrite(file.fileno(), _PAGE, 0)
            began = time.perf_counter_ns()
            sync(file.fileno())
            times.append((time.perf_counter_ns() - began) / 1_000)
    return statistics.median(times)
