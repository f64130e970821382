"""The signals that ask a process to end. Imports the standard library only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

#: what has asked this process to end before it could be told in order
_came: list[int] = []


def _asking() -> tuple[signal.Signals, ...]:
    """A terminal that is closed sends SIGHUP, unless nohup has the process ignore it."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return signal.SIGINT, signal.SIGTERM
    return signal.SIGINT, signal.SIGTERM, signal.SIGHUP


@contextlib.contextmanager
def calling(stop: Callable[[], None]) -> Iterator[None]:
    """Within the block, which is part of a running event loop, they call `stop`.

    So does one that came before and was not heard: an exception that a signal raises is lost where
    the interpreter cleans up, or where a library takes any exception for its own.
    """
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _asking()}
    for number in before:
        loop.add_signal_handler(number, stop)
    if _came:
        stop()
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

    def end(number: int, _: FrameType | None) -> None:
        if not _came:  # whoever asks twice does not make it end sooner
            _came.append(number)
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
        if _came:
            os.kill(os.getpid(), _came[0])
