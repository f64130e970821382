"""Which processor a serving process keeps to. Imports nothing of the rest of the package.

The threads of one process take turns: they share an interpreter, and hand every call over to each
other several times. Spread over processors each such turn wakes another processor up, which costs
more than most turns do. On one processor they simply follow each other.
"""

from __future__ import annotations

import os


def processors() -> list[int]:
    """The processors that this process may use; empty where the system does not tell."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    return sorted(os.sched_getaffinity(0))


def keep_to_one(number: int) -> None:
    """Keep this process, with the threads that it is going to have, to the `number`-th processor it
    may use, from the last on (1 is the last one): the first ones tend to serve devices.

    Does nothing where the system does not let processes choose.
    """
    available = processors()
    if available:
        os.sched_setaffinity(0, {available[-1 - (number - 1) % len(available)]})
