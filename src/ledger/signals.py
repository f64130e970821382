"""The signals that ask a process to end. Imports the standard library only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


def _asking() -> tuple[signal.Signals, ...]:
    """A terminal that is closed sends SIGHUP, unless nohup has the process ignore it."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return signal.SIGINT, signal.SIGTERM
    return signal.SIGINT, signal.SIGTERM, signal.SIGHUP


@contextlib.contextmanager
def calling(stop: Callable[[], None]) -> Iterator[None]:
    """Within the block, which is part of a running event loop, they call `stop`."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _asking()}
    for number in before:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler or signal.SIG_DFL)


@contextlib.contextmanager
def ending_in_order() -> Iterator[None]:
    """Within the block they end the process once the block is left, as Ctrl-C does anyway.

    What was begun is undone; the process then ends as it would have at once.
    """
    came: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        if not came:  # whoever asks twice does not make it end sooner
            came.append(number)
            raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield  # signals are not for it
        return
    mine = [n for n in _asking() if signal.getsignal(n) == signal.SIG_DFL]
    for number in mine:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)
        if came:
            os.kill(os.getpid(), came[0])
