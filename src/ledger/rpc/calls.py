"""What is known of a call by its number, and what is logged of calls.

Each call gets a number of its own, since a request_id is the caller's and may say anything. The
number stands in what is logged while it is answered, and the caller is told it. Nothing is logged
of a call that is answered OK and in time.
"""

from __future__ import annotations

import random
import time
from contextvars import ContextVar
from typing import Final

import structlog

log = structlog.get_logger(__name__)

#: header and trailer by which a caller is told the number
HEADER: Final = "ledger-call-id"
#: the number of the call that is answered in this context; empty: of none
call_id: ContextVar[str] = ContextVar("call_id", default="")

#: the trace that it is part of; empty: tracing is off, or it is not kept
trace_id: ContextVar[str] = ContextVar("trace_id", default="")

#: slow calls that are logged in a second: when everything is slow, there are thousands
_MOST_A_SECOND = 5
_random = random.Random()


def begin_call() -> str:
    """A number for the call that begins here. It is not guessed from another one."""
    number = f"{_random.getrandbits(64):016x}"
    call_id.set(number)
    return number


class CallLog:
    """Logs calls that took `slow_seconds` or longer (0: none) and, when asked to, refusals."""

    def __init__(self, slow_seconds: float) -> None:
        self._slow_seconds = slow_seconds or float("inf")
        self._second = 0
        self._logged = self._left_out = 0

    def ended(self, method: str, code: str, reason: str, seconds: float) -> None:
        """A call to a method, such as PointsService/RecordPurchase, has been answered."""
        if code == "OK" and seconds < self._slow_seconds:
            return
        rounded = round(seconds, 4)
        if reason == "COMMIT_UNKNOWN":
            log.warning("outcome unknown", method=method, code=code, seconds=rounded)
        elif code != "INTERNAL":  # which has been logged already, with its traceback
            log.debug("call ended", method=method, code=code, reason=reason, seconds=rounded)
        if seconds >= self._slow_seconds:
            self._tell_slow(method, code, rounded)

    def _tell_slow(self, method: str, code: str, seconds: float) -> None:
        second = int(time.monotonic())
        if second != self._second:
            if self._left_out:
                log.warning("more slow calls", calls=self._left_out)
            self._second, self._logged, self._left_out = second, 0, 0
        if self._logged < _MOST_A_SECOND:
            self._logged += 1
            log.warning("slow call", method=method, code=code, seconds=seconds)
        else:
            self._left_out += 1
