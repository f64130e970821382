"""Traces with OpenTelemetry: a span for each call, with its wait in the queue and the phases of the
transaction that did it.

Imported only where tracing is on, since OpenTelemetry need not be there. Where traces go and how
many are kept is said by OpenTelemetry's own environment variables (OTEL_…). Spans carry no personal
data: names of methods, codes, numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from itertools import pairwise
from typing import Any

from google.rpc import code_pb2
from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ledger import __version__
from ledger.engine.batch import Item
from ledger.engine.watching import Instants
from ledger.metrics import PHASES
from ledger.rpc.calls import call_id, trace_id
from ledger.rpc.dispatch import Method

#: what says that the server is at fault, by the conventions for RPC spans
_FAULTS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE"})
#: of one call, that are followed: the first ones of a sandbox's year, say
_MOST_COMMANDS = 1_000
_HEADERS = frozenset({"traceparent", "tracestate"})


def make_provider() -> TracerProvider:
    """Where spans go: by OTLP over gRPC, to whom OTEL_EXPORTER_OTLP_ENDPOINT names."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    own = Resource.create({"service.name": "ledger", "service.version": __version__})
    provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class _Timeline:
    """What becomes of the commands of one call."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.submitted = 0.0
        #: of each transaction that did some of them, with the number of all commands in it
        self.transactions: list[tuple[Instants, int]] = []
        self.commands: list[int] = []


class Tracing:
    """Makes the spans of one service process. It watches the engine."""

    def __init__(self) -> None:
        self._provider = make_provider()
        self._tracer = self._provider.get_tracer("ledger", __version__)
        self._propagator = TraceContextTextMapPropagator()
        self._timeline: ContextVar[_Timeline | None] = ContextVar("timeline", default=None)
        #: of commands that wait, by identity: they are kept by their callers until then
        self._waiting: dict[int, _Timeline] = {}

    def begin(self, method: Method, headers: Iterable[tuple[str, Any]]) -> None:
        """Begin the span of the call that this context answers. The trace that the caller is part
        of is taken from its headers or metadata."""
        carrier = {name: value for name, value in headers if name in _HEADERS}
        span = self._tracer.start_span(
            f"{method.service}/{method.name}",
            self._propagator.extract(carrier) if carrier else Context(),
            SpanKind.SERVER,
            {"rpc.system": "grpc", "rpc.service": method.service, "rpc.method": method.name},
        )
        if span.is_recording():
            span.set_attribute("ledger.call_id", call_id.get())
            trace_id.set(f"{span.get_span_context().trace_id:032x}")
            self._timeline.set(_Timeline(span))

    def end(self, code: str, reason: str) -> None:
        """End the span of the call that this context answers, with a code such as OK."""
        timeline = self._timeline.get()
        if timeline is None:
            return
        self._timeline.set(None)
        span = timeline.span
        span.set_attribute("rpc.grpc.status_code", code_pb2.Code.Value(code))
        if reason:
            span.set_attribute("ledger.reason", reason)
        if code in _FAULTS:
            span.set_status(StatusCode.ERROR)
        self._tell(timeline)
        span.end()

    def submitted(self, items: Sequence[Item]) -> None:
        """See `Watcher`."""
        timeline = self._timeline.get()
        if timeline is not None and len(timeline.commands) < _MOST_COMMANDS:
            timeline.submitted = timeline.submitted or time.perf_counter()
            timeline.commands += [id(item.command) for item in items]
            self._waiting.update(dict.fromkeys(timeline.commands, timeline))

    def transacted(self, items: Sequence[Item], instants: Instants) -> None:
        """See `Watcher`."""
        found = (self._waiting.pop(id(item.command), None) for item in items)
        done = {id(timeline): timeline for timeline in found if timeline is not None}
        for timeline in done.values():
            timeline.transactions.append((instants, len(items)))

    def close(self) -> None:
        """Send what has not been sent yet."""
        self._provider.shutdown()

    def _tell(self, timeline: _Timeline) -> None:
        """Make the spans of what has become of the commands of a call."""
        for command in timeline.commands:
            if self._waiting.get(command) is timeline:
                del self._waiting[command]
        # Spans are on the wall clock, what was measured is not.
        offset = time.time() - time.perf_counter()
        within = set_span_in_context(timeline.span)

        def spanned(name: str, since: float, until: float, parent: Context) -> None:
            made = self._tracer.start_span(name, parent, start_time=_nanoseconds(since + offset))
            made.end(_nanoseconds(until + offset))

        if timeline.transactions:
            spanned("queue", timeline.submitted, timeline.transactions[0][0].began, within)
        for instants, commands in timeline.transactions:
            batch = self._tracer.start_span(
                "batch",
                within,
                attributes={"ledger.commands": commands},
                start_time=_nanoseconds(instants.began + offset),
            )
            for phase, (since, until) in zip(PHASES, pairwise(instants), strict=True):
                spanned(phase, since, until, set_span_in_context(batch))
            batch.end(_nanoseconds(instants.committed + offset))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1_000_000_000)
