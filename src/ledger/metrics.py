"""Every metric of the service, declared in one place. Never a label per member, terminal or key.

`Metrics` owns a registry of its own, so that two servers in one process (tests) do not mix.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from ledger import __version__

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

KINDS = ("ENROLLED", "PURCHASE", "ACTIVITY", "BONUS", "EXPIRY", "ACTIVATION", "TIER_CHANGE")
COMMANDS = ("enroll_member", "record_purchase", "record_activity", "override_tier", "settle")
OUTCOMES = ("ok", "replayed", "refused", "error")
PHASES = ("load", "decide", "save", "commit")
RETRY_CAUSES = ("conflict", "lock_timeout", "connection", "bisect")


class Metrics:
    """The metrics of one service process. `registry` is what /metrics shows."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        rpc = ("grpc_type", "grpc_service", "grpc_method")
        self.started = Counter(
            "grpc_server_started", "RPCs begun, on either port", rpc, registry=registry
        )
        self.handled = Counter(
            "grpc_server_handled",
            "RPCs answered, on either port, by status",
            (*rpc, "grpc_code"),
            registry=registry,
        )
        self.handling = Histogram(
            "grpc_server_handling_seconds",
            "Time from the arrival of an RPC to its answer",
            rpc,
            buckets=_SECONDS,
            registry=registry,
        )
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
        self.queue_wait = Histogram(
            "ledger_queue_wait_seconds",
            "Time a command waits before its transaction begins",
            buckets=_SECONDS,
            registry=registry,
        )
        self.retries = Counter(
            "ledger_retries", "Transactions run again, by cause", ("cause",), registry=registry
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
        self.database_up = Gauge(
            "ledger_database_up", "1 while the database answers, else 0", registry=registry
        )
        Info("ledger_build", "The version that is running", registry=registry).info(
            {"version": __version__}
        )
        for phase in PHASES:
            self.batch_seconds.labels(phase)
        for cause in RETRY_CAUSES:
            self.retries.labels(cause)

    def know_program(self, program_id: str) -> None:
        """Show every label set of a program from the start, at 0."""
        for command in COMMANDS:
            for outcome in OUTCOMES:
                self.commands.labels(program_id, command, outcome)
        for kind in KINDS:
            self.points.labels(program_id, kind)

    def know_methods(self, methods: Iterable[tuple[str, str]]) -> None:
        """Show every (service, method) from the start, at 0."""
        for service, method in methods:
            self.started.labels("unary", service, method)
            self.handled.labels("unary", service, method, "OK")
            self.handling.labels("unary", service, method)
