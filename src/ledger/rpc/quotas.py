"""How much one caller may ask for in a second: a bucket of tokens for each principal.

A bucket holds BURST_SECONDS of the rate. A call takes one token, a BatchWrite one for each item.
One token is enough to be let in: a batch may take more than there are, and what comes next waits
until they are paid for. Each process counts for itself.
"""

from __future__ import annotations

import time

from google.protobuf.message import Message

from ledger.core.errors import QuotaExceeded
from ledger.metrics import Metrics
from ledger.rpc.principals import Principal
from ledger.v1.points_pb2 import BatchWriteRequest

#: how long a caller who was quiet may go faster
BURST_SECONDS = 2.0
#: the most that can be said of a caller; 0 is without a limit
MAX_QUOTA = 1_000_000
#: from so many buckets on, those that are full again are dropped now and then
_MANY = 10_000


class Quotas:
    """Lets each principal ask for `per_second` a second, or for what is its own; 0: anything."""

    def __init__(self, per_second: float, metrics: Metrics) -> None:
        self._per_second = per_second
        self._refusals = metrics.quota_refusals
        #: by caller, tokens at an instant, and when there are as many as there can be (monotonic
        #: seconds); one that is not there is full
        self._buckets: dict[str, tuple[float, float, float]] = {}
        self._sweep_at = _MANY

    def spend(self, principal: Principal, request: Message) -> None:
        """Take what a call costs. Raises QUOTA_EXCEEDED, which takes nothing."""
        own, caller = principal.quota_per_second, principal.caller
        rate = self._per_second if own is None else own
        if not rate:
            return
        cost = max(1, len(request.items)) if isinstance(request, BatchWriteRequest) else 1
        now = time.monotonic()
        full = max(1.0, rate * BURST_SECONDS)
        level = full
        bucket = self._buckets.get(caller)
        if bucket is not None:
            level = min(full, bucket[0] + (now - bucket[1]) * rate)
        if level < 1.0:
            self._refusals.inc()
            refusal = QuotaExceeded(per_second=f"{rate:g}")
            refusal.retry_after = (1.0 - level) / rate
            raise refusal
        level -= cost
        self._buckets[caller] = level, now, now + (full - level) / rate
        if len(self._buckets) > self._sweep_at:
            self._sweep(now)

    def _sweep(self, now: float) -> None:
        self._buckets = {
            caller: bucket for caller, bucket in self._buckets.items() if bucket[2] > now
        }
        self._sweep_at = max(_MANY, 2 * len(self._buckets))
