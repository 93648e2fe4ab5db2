"""Traces by OpenTelemetry: one span for each traced record in each chain, with its fold and its commit below it.

A request by HTTP has one too, above those of the records that it becomes.

This module needs OpenTelemetry's SDK; import it only when traces are asked for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from riverrun.runtime.ports import Headers
from riverrun.runtime.tracing import TRACEPARENT, TRACESTATE, Incoming
from riverrun.telemetry.sampler import Sampler
from riverrun.telemetry.settings import Sampling

__all__ = ["OtlpTracing"]

_FLUSH_S: Final = 1.0
"""How long an ending process may take to send its last spans."""

_MOST_STATE: Final = 512
"""Longest tracestate carried on, in characters: as much as the specification asks for."""


class OtlpTracing:
    """The runtime's tracing, on OpenTelemetry.

    Parameters
    ----------
    resource
        What the process is called.
    sampling
        What is traced.
    exporter
        Where spans go; by default by OTLP to where OpenTelemetry's variables say.
    monotonic
        A clock in seconds, for the bound a second.
    """

    def __init__(
        self,
        resource: Resource,
        sampling: Sampling,
        exporter: SpanExporter | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        # The choice is made here, before a span is thought of: whatever becomes one is kept.
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter() if exporter is None else exporter))
        self._tracer = self._provider.get_tracer("riverrun")
        self._propagator = TraceContextTextMapPropagator()
        self._sampler = Sampler(sampling, monotonic)
        self.due = self._sampler.due
        self.has_room = self._sampler.has_room
        self.may_follow = self._sampler.may_follow

    def start(self, incoming: Incoming, chain: str) -> _RecordTrace | None:
        """Start a record's span, unless its producer did not sample it or this second has had its share."""
        parent = self._admitted(incoming.traceparent, incoming.tracestate)
        if parent is None:
            return None
        span = self._tracer.start_span(
            f"process {incoming.topic}",
            context=parent,
            kind=trace.SpanKind.CONSUMER,
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.type": "process",
                "messaging.destination.name": incoming.topic,
                "messaging.destination.partition.id": str(incoming.partition),
                "messaging.kafka.offset": incoming.offset,
                "riverrun.chain": chain,
                "riverrun.waited_ms": int(time.time() * 1000) - incoming.timestamp,
            },
        )
        context = trace.set_span_in_context(span, Context())
        return _RecordTrace(self._tracer, span, context, self._carried(context))

    def serve(self, name: str, traceparent: str = "", tracestate: str = "") -> _RequestTrace | None:
        """Start a request's span, unless its caller did not sample it or this second has had its share."""
        parent = self._admitted(traceparent, tracestate)
        if parent is None:
            return None
        span = self._tracer.start_span(name, context=parent, kind=trace.SpanKind.SERVER)
        return _RequestTrace(span, self._carried(trace.set_span_in_context(span, Context())))

    def _admitted(self, traceparent: str, tracestate: str) -> Context | None:
        """Return what a span's parent is, if it may be one."""
        if not self._sampler.has_room():
            return None
        if traceparent and not self._sampler.may_follow(traceparent.encode("ascii", "replace")):
            return None
        parent = Context()
        if traceparent:
            carrier = {TRACEPARENT: traceparent}
            if 0 < len(tracestate) <= _MOST_STATE:
                carrier[TRACESTATE] = tracestate
            parent = self._propagator.extract(carrier, parent)
            context = trace.get_current_span(parent).get_span_context()
            if not context.is_valid or not self._sampler.follows(context.trace_id):
                return None
        self._sampler.admits()
        return parent

    def _carried(self, context: Context) -> Headers:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, context)
        return [(name, value.encode()) for name, value in carrier.items()]

    def close(self) -> None:
        """Send the last spans, within a second; what cannot be sent by then is not missed."""
        ending = threading.Thread(target=self._provider.shutdown, name="riverrun-traces-end", daemon=True)
        ending.start()
        ending.join(_FLUSH_S)


class _RecordTrace:
    """A record's span, and the two below it."""

    __slots__ = ("_child", "_context", "_span", "_tracer", "headers")

    def __init__(self, tracer: trace.Tracer, span: trace.Span, context: Context, headers: Headers) -> None:
        self._tracer = tracer
        self._span = span
        self._context = context
        self.headers = headers
        self._child = tracer.start_span("fold", self._context)

    def folded(self) -> None:
        """Tell that all stages have folded it."""
        self._child.end()

    def committing(self) -> None:
        """Tell that its transaction is about to be committed."""
        self._child = self._tracer.start_span("commit", self._context)

    def ended(self, error: str = "") -> None:
        """Tell that it was committed, or why not."""
        if error:
            self._span.set_status(trace.StatusCode.ERROR, error)
        if self._child.is_recording():
            self._child.end()
        self._span.end()


class _RequestTrace:
    """A request's span."""

    __slots__ = ("_span", "headers")

    def __init__(self, span: trace.Span, headers: Headers) -> None:
        self._span = span
        self.headers = headers

    def ended(self, error: str = "") -> None:
        """Tell that it was answered well, or what was wrong."""
        if error:
            self._span.set_status(trace.StatusCode.ERROR, error)
        self._span.end()
