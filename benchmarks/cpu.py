"""CPU time of process trees and of the machine. Imports psutil only."""

from __future__ import annotations

import contextlib

import psutil


def tree_seconds(pid: int) -> float:
    """CPU seconds, user and system, of a process and of all its descendants so far.

    Those that have ended count as far as their parent has waited for them, as PostgreSQL does for
    its backends.
    """
    root = psutil.Process(pid)
    seconds = 0.0
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just become one that ended
            times = process.cpu_times()
            seconds += times.user + times.system
            seconds += times.children_user + times.children_system
    return seconds


def machine_seconds() -> float:
    """CPU seconds, of all cores, that were not idle so far.

    On a virtual machine those that its host gave to others count too.
    """
    times = psutil.cpu_times()._asdict()
    # The time of guests is part of `user` and `nice`.
    resting = ("idle", "iowait", "guest", "guest_nice")
    return sum(float(seconds) for name, seconds in times.items() if name not in resting)
