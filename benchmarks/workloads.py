"""What is measured: the workloads of a run, and how long each of them takes. Imports nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

#: service and method of the empty RPC
EMPTY_RPC: Final = ("benchmarks.Empty", "Call")


class Kind(Enum):
    """What a call or a workload is; the value is its name for people."""

    EMPTY = "empty RPC"
    PURCHASE = "RecordPurchase"
    BATCH = "BatchWrite"
    BALANCE = "GetBalance"
    #: two calls, one after the other, by the same caller
    HOLD = "HoldPoints+CaptureHold"
    REDEEM = "RedeemPoints"
    RETURN = "RecordReturn"
    #: a draw of MIX
    MIXED = "mixed day"
    #: purchases sent to the naive server
    NAIVE = "naive RecordPurchase"
    #: sent by pgbench itself, to the database
    PGBENCH = "pgbench TPC-B-like"


#: what a shop's day consists of, in percent
MIX: Final = {Kind.PURCHASE: 70, Kind.BALANCE: 20, Kind.REDEEM: 8, Kind.RETURN: 2}


@dataclass(frozen=True)
class Workload:
    """Callers that each send the next call when the one before is answered (closed loop); or, with
    a `rate`, calls that are sent when their time has come, whatever is still under way (open loop).
    """

    kind: Kind
    #: calls under way at any time, over all load generators; of an open loop: not more than that
    #: are expected, which decides on its connections
    in_flight: int
    #: Calls prepared for each second; whoever is faster than this has finished early.
    calls_per_second: int
    #: commands in each call
    commands: int = 1
    #: the empty RPC that it is compared with has this many in flight
    baseline_in_flight: int = 64
    measured: bool = True
    #: in the program with tiers, bonuses and promotions
    full_rules: bool = False
    #: as JSON over HTTP
    json: bool = False
    #: calls per second of an open loop, and what share of the peak that is
    rate: float | None = None
    rate_share: float = 0.0
    #: left out where a run is to be as short as possible
    detail: bool = False

    @property
    def title(self) -> str:
        """Its name, "full" under full rules, "JSON" over HTTP, with the size of its batches."""
        # A mixed day and holds need what only the full rules have, so it need not be said.
        said = self.full_rules and self.kind in (Kind.PURCHASE, Kind.BATCH)
        title = self.kind.value + " full" * said + " JSON" * self.json
        title += " open loop" * (self.rate is not None)
        batch = self.kind is Kind.BATCH
        return f"{title} × {self.commands}" if batch else title

    @property
    def name(self) -> str:
        """Unique in a run; part of the ids of what it sends."""
        name = self.title.lower().replace(" × ", "-").replace(" ", "-").replace("+", "-")
        if not self.measured:
            return f"{name}-warm-up"
        return f"{name}-{self.in_flight}" if self.rate is None else f"{name}-{self.rate:.0f}"

    @property
    def place(self) -> tuple[int, bool, bool, float, int, int]:
        """Where it stands among others in a table."""
        kind = list(Kind).index(self.kind)
        return kind, self.json, self.full_rules, self.rate_share, self.commands, self.in_flight


#: calls per second that single calls are prepared for, by how many are in flight
_EMPTY: Final = {1: 4_000, 16: 12_000, 64: 12_000, 256: 12_000}
_UNARY: Final = {1: 2_000, 16: 8_000, 64: 8_000, 256: 8_000}

WARM_UP: Final = (
    Workload(Kind.EMPTY, 64, 12_000, measured=False),
    Workload(Kind.PURCHASE, 64, 8_000, measured=False),
    Workload(Kind.PURCHASE, 64, 8_000, measured=False, full_rules=True),
)


def _single(kind: Kind, rates: dict[int, int], full_rules: bool = False) -> tuple[Workload, ...]:
    return tuple(
        Workload(kind, n, rate, baseline_in_flight=n, full_rules=full_rules, detail=n in (1, 16))
        for n, rate in rates.items()
    )


#: Purchases, before anything else is done with them.
WRITES: Final = (
    *_single(Kind.EMPTY, {n: rate for n, rate in _EMPTY.items() if n < 64}),
    *_single(Kind.PURCHASE, _UNARY),
    *_single(Kind.PURCHASE, {n: rate for n, rate in _UNARY.items() if n < 256}, full_rules=True),
    Workload(Kind.PURCHASE, 64, 5_000, json=True),
    Workload(Kind.NAIVE, 1, 2_000, baseline_in_flight=1, detail=True),
    Workload(Kind.NAIVE, 64, 5_000),
    Workload(Kind.BATCH, 4, 240, commands=100, detail=True),
    Workload(Kind.BATCH, 4, 240, commands=100, full_rules=True, detail=True),
    Workload(Kind.BATCH, 4, 60, commands=500, full_rules=True),
)

#: What matters most, as (what it is compared with, what is measured): several times and by turns,
#: so that both meet the same machine. The last purchases under plain rules are among them; balances
#: are read after these, and every answer is compared with what is then known.
PAIRS: Final = (
    (
        Workload(Kind.EMPTY, 256, 12_000, baseline_in_flight=256),
        Workload(Kind.PURCHASE, 256, 8_000, baseline_in_flight=256, full_rules=True),
    ),
    (Workload(Kind.PGBENCH, 32, 0), Workload(Kind.BATCH, 4, 60, commands=500)),
    (Workload(Kind.EMPTY, 64, 12_000), Workload(Kind.BALANCE, 64, 12_000)),
)

#: what reads, or needs purchases that were recorded before
AFTERWARDS: Final = (
    Workload(Kind.BALANCE, 64, 5_000, json=True),
    Workload(Kind.HOLD, 64, 4_000, commands=2, full_rules=True),
    Workload(Kind.MIXED, 64, 8_000, full_rules=True),
    Workload(Kind.MIXED, 64, 5_000, full_rules=True, json=True),
)

#: of a ledger that has really grown
GROWTH_MEMBERS: Final = 1_000_000

#: the shares of the peak at which an open loop is tried
OPEN_LOOP_SHARES: Final = (0.25, 0.5)


def open_loop(share: float, peak: float) -> Workload:
    """Purchases under full rules that arrive at a share of the highest rate that was reached."""
    rate = max(10.0, share * peak)
    return Workload(Kind.PURCHASE, 64, int(rate) + 1, full_rules=True, rate=rate, rate_share=share)


@dataclass(frozen=True)
class Mode:
    """How thorough a run is."""

    name: str
    #: of each workload
    seconds: float
    warm_up_seconds: float
    #: in each program, unless told otherwise
    members: int
    #: of pgbench: a hundred thousand accounts each
    scale: int
    #: how often the start is timed
    starts: int
    #: how often pairs are measured
    rounds: int
    #: whether the workloads that are details are measured, too
    details: bool = True
    #: members of the grown ledger, unless told otherwise; None: growth is not measured
    growth_members: int | None = None


CHECK: Final = Mode("check", 0.3, 0.1, members=500, scale=1, starts=0, rounds=1, details=False)
QUICK: Final = Mode("quick", 1.0, 0.5, members=10_000, scale=32, starts=3, rounds=3)
FULL: Final = Mode(
    "full", 4.0, 1.0, members=10_000, scale=32, starts=3, rounds=3, growth_members=100_000
)
