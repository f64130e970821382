"""Whose turn it is to upload a queue: one thread of one process at a time.

The lock is the operating system's, on a file beside the queue: whoever dies gives it up.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ledger.client.queue_file import QueueUnusable

_POLL_SECONDS: Final = 0.02


@contextmanager
def turn(path: Path, timeout_seconds: float) -> Iterator[bool]:
    """Whether it is this thread's turn within the block; False when others kept it for so long."""
    lock = path.with_name(path.name + ".lock")
    try:
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise QueueUnusable(path, f"{lock} can not be opened: {error.strerror}") from None
    try:
        yield _locked(file, time.monotonic() + timeout_seconds)
    finally:
        # A process that was forked meanwhile has the file open, too, and would keep the turn.
        fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)


def _locked(file: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True
