"""What a dashboard is made of, before it is Grafana's JSON: rows of panels, panels of queries.

In expressions `$job` and `$program` are what is chosen at the top of a dashboard. Standard library
only, as all of this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Panel:
    """One picture. `queries` are pairs of an expression and what its lines are called."""

    title: str
    #: what to make of it
    about: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False
    #: from which value on it is yellow, and red
    warn: float | None = None
    alarm: float | None = None


@dataclass(frozen=True)
class Row:
    """Panels below a heading, from left to right."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Dashboard:
    """One page. `variables` are pairs of a name and the query that its values come from."""

    uid: str
    title: str
    about: str
    rows: Sequence[Row]
    variables: Sequence[tuple[str, str]]


#: what a dashboard is about: one installation
JOB = ("job", "label_values(ledger_build_info, job)")

#: the window of a rate: as wide as the picture needs, and at least four scrapes
RATE = "[$__rate_interval]"


def quantiles(histogram: str, labels: str) -> list[tuple[str, str]]:
    """The median, p95 and p99 of a histogram."""
    return [
        (
            f"histogram_quantile({share}, "
            f"sum by (le) (rate({histogram}_bucket{{{labels}}}{RATE})))",
            f"p{share * 100:g}",
        )
        for share in (0.5, 0.95, 0.99)
    ]


def stat(title: str, about: str, expr: str, *, line: str = "", **more: Any) -> Panel:
    """A number, or one for each `line`."""
    return Panel(title, about, [(expr, line)], kind="stat", **{"width": 4, **more})
