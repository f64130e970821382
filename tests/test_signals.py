"""Signals that ask a process to end are heard, whenever they come."""

from __future__ import annotations

import signal
import subprocess
import sys

_SWALLOWED = """
import asyncio, os, signal
from ledger.signals import calling, ending_in_order

class Careless:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):
            pass

async def serve():
    stop = asyncio.Event()
    with calling(stop.set):
        await asyncio.wait_for(stop.wait(), 20)
    print("stopped", flush=True)

with ending_in_order():
    Careless()
    print("serving", flush=True)
    asyncio.run(serve())
"""


def test_a_signal_whose_exception_was_lost_in_a_finalizer_still_ends_the_process() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _SWALLOWED], capture_output=True, text=True, timeout=60
    )
    assert ended.stdout == "serving\nstopped\n", ended.stderr
    assert ended.returncode == -signal.SIGTERM
    assert "Exception ignored" in ended.stderr
