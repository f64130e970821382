"""What is to be reached, and what was. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.results import find

if TYPE_CHECKING:
    from benchmarks.run import Report


@dataclass(frozen=True)
class Target:
    """One figure that matters; `measured` is None where it was not measured."""

    what: str
    unit: str
    limit: float
    #: whether the limit must not be exceeded, rather than be reached
    at_most: bool
    measured: float | None
    #: what stands behind the figure
    detail: str = ""

    @property
    def reached(self) -> bool | None:
        """None: it was not measured."""
        if self.measured is None:
            return None
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit


def targets(report: Report) -> list[Target]:
    """All targets, with what a run measured."""
    quarter = next(
        (
            one
            for one in report.results
            if one.share_of_peak == 0.25 and one.workers == report.options.most_workers
        ),
        None,
    )
    grown = report.growth.compared[0] if report.growth else None
    return [
        _pair(
            *(report, "RecordPurchase full, 256 in flight", "RecordPurchase full", 256),
            *("× empty RPC", 0.60),
        ),
        _pair(report, "BatchWrite of 500", "BatchWrite × 500", 4, "× pgbench", 4.0),
        _pair(report, "GetBalance, 64 in flight", "GetBalance", 64, "× empty RPC", 0.75),
        Target(
            *("RecordPurchase in a grown ledger", "× a small one", 0.85, False),
            measured=None if grown is None else grown.ratio,
            detail=""
            if report.growth is None
            else f"{report.growth.members:,} members, {report.growth.entries:,} entries",
        ),
        Target(
            *("p99 of RecordPurchase full at a quarter of the peak", "ms", 15.0, True),
            measured=None if quarter is None else quarter.p99_ms,
            detail="" if quarter is None else f"{quarter.offered_per_second:,.0f} calls per s",
        ),
        _verify(report),
        Target(
            *("from start to first answer", "s", 2.0, True),
            measured=round(median(report.starts), 2) if report.starts else None,
            detail=f"median of {len(report.starts)}" if report.starts else "",
        ),
    ]


def _pair(
    report: Report, what: str, workload: str, in_flight: int, unit: str, limit: float
) -> Target:
    result = find(report.results, workload, in_flight, report.options.most_workers)
    pairs = [one for one in report.pairs if (one.workload, one.in_flight) == (workload, in_flight)]
    if not pairs or result is None:
        return Target(what, unit, limit, False, None)
    ratios = " ".join(f"{ratio:.2f}" for ratio in pairs[0].ratios)
    detail = f"{result.commands_per_second:,.0f} per s; each round: {ratios}"
    return Target(what, unit, limit, False, pairs[0].ratio, detail)


def _verify(report: Report) -> Target:
    entries, seconds = report.audit.entries, report.audit.verify_seconds
    if report.growth is not None and report.growth.verify_seconds is not None:
        entries, seconds = report.growth.entries, report.growth.verify_seconds
    return Target(
        *("verify, one process", "entries per s", 40_000.0, False),
        measured=round(entries / seconds) if seconds else None,
        detail=f"{entries:,} entries",
    )
