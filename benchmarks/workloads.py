"""What is measured: the workloads of a run, and how long each of them takes. Imports nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

#: service and method of the empty RPC
EMPTY_RPC: Final = ("benchmarks.Empty", "Call")


class Kind(Enum):
    """What a workload calls; the value is its name for people."""

    EMPTY = "empty RPC"
    PURCHASE = "RecordPurchase"
    BATCH = "BatchWrite"
    BALANCE = "GetBalance"
    JSON_BALANCE = "GetBalance JSON"


@dataclass(frozen=True)
class Workload:
    """A number of callers that each send the next call when the one before is answered."""

    kind: Kind
    #: calls under way at any time, over all load generators
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

    @property
    def title(self) -> str:
        """Its name, "full" under full rules, with the size of its batches."""
        title = f"{self.kind.value} full" if self.full_rules else self.kind.value
        return f"{title} × {self.commands}" if self.commands > 1 else title

    @property
    def name(self) -> str:
        """Unique in a run; part of the ids of what it sends."""
        name = self.title.lower().replace(" × ", "-").replace(" ", "-")
        return f"{name}-{self.in_flight}" if self.measured else f"{name}-warm-up"

    @property
    def writes(self) -> bool:
        """Whether it records purchases."""
        return self.kind in (Kind.PURCHASE, Kind.BATCH)


#: calls per second that single calls are prepared for, by how many are in flight
_UNARY: Final = {1: 4_000, 16: 12_000, 64: 12_000, 256: 12_000}

WARM_UP: Final = (
    Workload(Kind.EMPTY, 64, 12_000, measured=False),
    Workload(Kind.PURCHASE, 64, 12_000, measured=False),
)

#: Reads come last: by then the balances are known, and every answer is compared with them.
MEASURED: Final = (
    *(Workload(Kind.EMPTY, n, rate, baseline_in_flight=n) for n, rate in _UNARY.items()),
    *(Workload(Kind.PURCHASE, n, rate, baseline_in_flight=n) for n, rate in _UNARY.items()),
    Workload(Kind.PURCHASE, 64, 12_000, full_rules=True),
    Workload(Kind.PURCHASE, 256, 12_000, baseline_in_flight=256, full_rules=True),
    Workload(Kind.BATCH, 4, 60, commands=500),
    Workload(Kind.BATCH, 4, 60, commands=500, full_rules=True),
    Workload(Kind.BALANCE, 64, 12_000),
    Workload(Kind.JSON_BALANCE, 64, 12_000),
)


@dataclass(frozen=True)
class Mode:
    """How thorough a run is."""

    name: str
    #: of each workload
    seconds: float
    warm_up_seconds: float


CHECK: Final = Mode("check", 0.3, 0.1)
QUICK: Final = Mode("quick", 2.0, 0.5)
FULL: Final = Mode("full", 10.0, 2.0)
