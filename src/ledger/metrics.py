"""Every metric of the service, declared in one place. Never a label per member, terminal or key.

`Metrics` owns a registry of its own, so that two servers in one process (tests) do not mix.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from ledger import __version__

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

KINDS = (
    *("ENROLLED", "PURCHASE", "ACTIVITY", "BONUS", "EXPIRY", "ACTIVATION", "TIER_CHANGE"),
    *("HOLD", "CAPTURE", "RELEASE", "REDEMPTION", "REDEMPTION_REVERSAL", "RETURN", "DEBT_PAYMENT"),
    *("ADJUSTMENT", "TRANSFER_OUT", "TRANSFER_IN", "STATUS_CHANGE"),
)
COMMANDS = (
    *("enroll_member", "record_purchase", "record_activity", "override_tier", "settle"),
    *("hold_points", "capture_hold", "release_hold", "extend_hold", "redeem_points"),
    *("reverse_redemption", "record_return", "adjust_points", "transfer_points"),
    "set_member_status",
)
OUTCOMES = ("ok", "replayed", "refused", "error")
PHASES = ("load", "decide", "save", "commit")
UNAVAILABLE = (
    "OVERLOADED",
    "STORAGE_UNAVAILABLE",
    "COMMIT_UNKNOWN",
    "SHUTTING_DOWN",
    "TOO_MANY_STREAMS",
)
RETRY_CAUSES = ("conflict", "lock_timeout", "connection", "bisect")
POOL_STATES = ("in_use", "idle")
#: what a verification of members may find wrong
CHECKS = (
    *("account", "balance", "chain", "create_time", "debt", "double_entry", "expiry", "group"),
    *("holds", "limits", "lots", "purchases", "redemptions", "returns", "rules", "sequence"),
    *("shape", "status", "subject", "tier", "unreadable"),
)
#: what a call may be answered with
CODES = (
    *("OK", "CANCELLED", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "INTERNAL"),
    *("ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"),
    *("UNAVAILABLE", "UNAUTHENTICATED"),
)


class Tally:
    """Seconds by size, as a histogram shows them. For what happens with every command and in one
    thread only: it has no lock, and costs a tenth of a Histogram."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * (len(_SECONDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(_SECONDS, seconds)] += 1
        self._sum += seconds

    def show(self, family: HistogramMetricFamily, labels: list[str]) -> None:
        """Add it to what is about to be shown."""
        bounds = [*map(str, _SECONDS), "+Inf"]
        family.add_metric(
            labels, list(zip(bounds, accumulate(self._counts), strict=True)), self._sum
        )


class CallMeter:
    """The calls of one method. Used by the event loop's thread only."""

    __slots__ = ("_handled", "_seconds", "_started")

    def __init__(self) -> None:
        self._started = 0
        self._handled = Counts(dict.fromkeys(CODES, 0))
        self._seconds = Tally()

    def begin(self) -> None:
        self._started += 1

    def end(self, code: str, seconds: float) -> None:
        """One call has been answered with a code such as OK or INVALID_ARGUMENT."""
        self._handled[code] += 1
        self._seconds.observe(seconds)

    def show(
        self,
        labels: list[str],
        started: CounterMetricFamily,
        handled: CounterMetricFamily,
        handling: HistogramMetricFamily,
    ) -> None:
        """Add them to what is about to be shown."""
        started.add_metric(labels, self._started)
        for code, count in self._handled.copy().items():
            handled.add_metric([*labels, _code_name(code)], count)
        self._seconds.show(handling, labels)


def _code_name(code: str) -> str:
    """The code as dashboards know it: InvalidArgument for INVALID_ARGUMENT."""
    return code if code == "OK" else "".join(word.capitalize() for word in code.split("_"))


class _Tallies(Collector):
    """Shows what is not counted by prometheus_client itself."""

    def __init__(self) -> None:
        #: by type, service and method
        self.calls: dict[tuple[str, str, str], CallMeter] = {}
        self.queue_wait = Tally()

    def collect(self) -> Iterator[Metric]:
        rpc = ["grpc_type", "grpc_service", "grpc_method"]
        started = CounterMetricFamily(
            "grpc_server_started", "RPCs begun, on either port", labels=rpc
        )
        handled = CounterMetricFamily(
            "grpc_server_handled",
            "RPCs answered, on either port, by status",
            labels=[*rpc, "grpc_code"],
        )
        handling = HistogramMetricFamily(
            "grpc_server_handling_seconds",
            "Time from the arrival of an RPC to its answer",
            labels=rpc,
        )
        waits = HistogramMetricFamily(
            "ledger_queue_wait_seconds",
            "Time a command waits before its transaction begins",
            labels=[],
        )
        for method, meter in self.calls.items():
            meter.show(list(method), started, handled, handling)
        self.queue_wait.show(waits, [])
        yield from (started, handled, handling, waits)


class Metrics:
    """The metrics of one service process. `registry` is what /metrics shows."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._tallies = _Tallies()
        registry.register(self._tallies)
        self.queue_wait = self._tallies.queue_wait
        self.commands = Counter(
            "ledger_commands",
            "Commands by what became of them",
            ("program", "command", "outcome"),
            registry=registry,
        )
        self.points = Counter(
            "ledger_points",
            "Points moved by committed entries, by kind of entry",
            ("program", "kind"),
            registry=registry,
        )
        self.batch_size = Histogram(
            "ledger_batch_size", "Commands per transaction", buckets=_BATCH_SIZES, registry=registry
        )
        self.batch_seconds = Histogram(
            "ledger_batch_seconds",
            "Time a transaction spends in each phase",
            ("phase",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.queue_depth = Gauge(
            "ledger_queue_depth", "Commands waiting to be written", registry=registry
        )
        self.retries = Counter(
            "ledger_retries", "Transactions run again, by cause", ("cause",), registry=registry
        )
        self.unavailable = Counter(
            "ledger_unavailable",
            "Calls answered UNAVAILABLE, by reason",
            ("reason",),
            registry=registry,
        )
        self.commit_unknown = Counter(
            "ledger_commit_unknown",
            "Commands answered COMMIT_UNKNOWN: the database was lost while committing",
            registry=registry,
        )
        self.due_lag = Gauge(
            "ledger_due_lag_seconds",
            "Age of the oldest entry that time has made due and nobody has posted yet",
            registry=registry,
        )
        self.watchers = Gauge(
            "ledger_watchers", "Open streams of balances and events", registry=registry
        )
        self.feed_lag = Gauge(
            "ledger_feed_lag_seconds",
            "Age of the oldest commit that streams may not have been told of",
            registry=registry,
        )
        self.database_up = Gauge(
            "ledger_database_up", "1 while the database answers, else 0", registry=registry
        )
        self.certificate_expiry = Gauge(
            "ledger_certificate_expiry_timestamp_seconds",
            "When what TLS is made of ends (seconds since 1970); shown for what is configured",
            ("certificate",),
            registry=registry,
        )
        self.files_unusable = Gauge(
            "ledger_files_unusable",
            "1 while files that were changed can not be used, and what was read before stays",
            ("files",),
            registry=registry,
        )
        self.quota_refusals = Counter(
            "ledger_quota_refusals",
            "Calls refused because their caller made too many",
            registry=registry,
        )
        Info("ledger_build", "The version that is running", registry=registry).info(
            {"version": __version__}
        )
        self._add_gauges(registry)
        self._add_verification(registry)
        for phase in PHASES:
            self.batch_seconds.labels(phase)
        for cause in RETRY_CAUSES:
            self.retries.labels(cause)
        for reason in UNAVAILABLE:
            self.unavailable.labels(reason)

    def _add_gauges(self, registry: CollectorRegistry) -> None:
        """What is there: the same in every process of a service, but for its pool."""

        def of_program(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"ledger_{name}", text, ("program", *labels), registry=registry)

        self.outstanding_points = of_program(
            "outstanding_points", "Points that members have: available, held and pending"
        )
        self.held_points = of_program("held_points", "Points that open holds reserve")
        self.pending_points = of_program("pending_points", "Points that are not spendable yet")
        self.debt_points = of_program("debt_points", "Points that members owe")
        self.expiring_points = of_program(
            "expiring_points", "Available points whose date comes within 30 days"
        )
        self.members = of_program("members", "Members, without closed memberships", "tier")
        self.database_bytes = Gauge(
            "ledger_database_bytes", "Size of the database", registry=registry
        )
        self.table_bytes = Gauge(
            "ledger_table_bytes",
            "Size of a table with its indexes",
            ("table",),
            registry=registry,
        )
        self.pool_connections = Gauge(
            "ledger_pool_connections",
            "Connections to the database that are open, by state",
            ("state",),
            registry=registry,
        )
        self.pool_size = Gauge(
            "ledger_pool_size", "Connections that may be open at most", registry=registry
        )
        for state in POOL_STATES:
            self.pool_connections.labels(state)

    def _add_verification(self, registry: CollectorRegistry) -> None:
        """What the verification in the background did."""
        self.verify_drift = Counter(
            "ledger_verify_drift",
            "Contradictions that the verification in the background found, by check",
            ("check",),
            registry=registry,
        )
        self.verify_members = Counter(
            "ledger_verify_members", "Members that it has verified", registry=registry
        )
        self.verify_entries = Counter(
            "ledger_verify_entries", "Entries that it has folded again", registry=registry
        )
        self.verify_last_run = Gauge(
            "ledger_verify_last_run_timestamp_seconds",
            "When all members had last been verified; until then, when the first walk began",
            registry=registry,
        )
        for check in CHECKS:
            self.verify_drift.labels(check)

    def know_program(self, program_id: str) -> None:
        """Show every label set of a program from the start, at 0."""
        for command in COMMANDS:
            for outcome in OUTCOMES:
                self.commands.labels(program_id, command, outcome)
        for kind in KINDS:
            self.points.labels(program_id, kind)

    def know_method(self, service: str, method: str, streaming: bool = False) -> CallMeter:
        """The meter of a method, which from now on is shown, at 0."""
        key = ("server_stream" if streaming else "unary", service, method)
        return self._tallies.calls.setdefault(key, CallMeter())
