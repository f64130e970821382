"""Metrics that were collected before, of one process or of several as if they were one."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.samples import Sample

#: types of what only ever grows, and can be added up over processes
_CUMULATIVE = ("counter", "histogram")
#: what other values of several processes come to; all others: the largest
_TOGETHER: Mapping[str, Callable[[float, float], float]] = {
    "ledger_queue_depth": operator.add,
    "ledger_pool_connections": operator.add,
    "ledger_watchers": operator.add,
    "ledger_pool_size": operator.add,
    "ledger_database_up": min,
    "ledger_certificate_expiry_timestamp_seconds": min,
}
#: what says something about a process alone
_OF_PROCESS = "process_"


class Exposition(CollectorRegistry):
    """Metrics that were collected before, as something to show."""

    def __init__(self, families: Iterable[Metric]) -> None:
        super().__init__()
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def merged(measured: Mapping[int, Iterable[Metric]], kept: Iterable[Metric] = ()) -> list[Metric]:
    """The metrics of a service of several processes, by number, as if it were one.

    What counts is added up, with what was `kept` of processes that have ended. Metrics of a process
    are shown for each, with a label `worker`.
    """
    families: dict[str, Metric] = {}
    values: dict[str, dict[tuple[str, frozenset[tuple[str, str]]], Sample]] = {}
    for number, family in chain(
        ((0, family) for family in kept),
        ((number, family) for number, shown in measured.items() for family in shown),
    ):
        into = values.setdefault(family.name, {})
        families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
        for sample in family.samples:
            if family.name.startswith(_OF_PROCESS):
                labels = {**sample.labels, "worker": str(number)}
                sample = Sample(sample.name, labels, sample.value)
            key = sample.name, frozenset(sample.labels.items())
            if (other := into.get(key)) is not None:
                value = _combine(family, sample.name)(other.value, sample.value)
                sample = Sample(sample.name, sample.labels, value)
            into[key] = sample
    for name, family in families.items():
        family.samples = list(values[name].values())
    return list(families.values())


def lasting(families: Iterable[Metric]) -> list[Metric]:
    """What still counts of a process when it has ended, so that sums do not become smaller."""
    return [
        family
        for family in families
        if family.type in _CUMULATIVE and not family.name.startswith(_OF_PROCESS)
    ]


def _combine(family: Metric, name: str) -> Callable[[float, float], float]:
    if name.endswith("_created"):
        return min
    return operator.add if family.type in _CUMULATIVE else _TOGETHER.get(family.name, max)
