"""What follows from a request is traced with it: its trace context goes into the records that it becomes."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.requests import Request

from riverrun.telemetry.otlp_traces import OtlpTracing
from riverrun.telemetry.settings import Sampling
from services.gateway.problems import Problem, ProblemKind
from services.gateway.trace_context import TracedRequests
from tests.gateway.world import NAME, GatewayWorld

CONTEXT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
EVENT = {"who": "w-traced", "place": "x", "at": 1_700_000_000_000, "size": 1.0}


@pytest.mark.parametrize("path", ["/v1/streams/asked", f"/v1/pipelines/{NAME}/predict"])
def test_records_carry_the_callers_context(world: GatewayWorld, path: str) -> None:
    """Published or predicted on, with what else the record's headers hold; what is no context is passed over."""
    topic = f"{NAME}-raw.asked"
    for context, carried in ((CONTEXT, [CONTEXT.encode()]), ("00-zz-zz-01", []), ("", [])):
        before = len(world.records(topic))
        assert world.ask("POST", path, [EVENT, EVENT], traceparent=context).status in (200, 202)
        new = sorted(world.records(topic), key=lambda each: each.timestamp)[before:]
        assert [[value for name, value in each.headers if name == "traceparent"] for each in new] == [carried, carried]


class Traced:
    """Requests that are traced, and the spans that come of them."""

    def __init__(self, sampling: Sampling) -> None:
        self._exporter = InMemorySpanExporter()
        self._tracing = OtlpTracing(Resource({}), sampling, self._exporter)
        self._requests = TracedRequests(self._tracing)

    def ask(self, context: str, error: BaseException | None = None, state: str = "") -> list[tuple[str, bytes]]:
        """Answer a request, well or not; return what its records carry."""
        carried: list[tuple[str, bytes]] = []
        given = ((b"traceparent", context.encode()), (b"tracestate", state.encode()))
        request = Request({"type": "http", "headers": [header for header in given if header[1]]})
        with (
            contextlib.suppress(LookupError, Problem, asyncio.CancelledError),
            self._requests.traced(request, "POST /x") as headers,
        ):
            carried += headers
            if error is not None:
                raise error
        return carried

    def spans(self) -> list[tuple[str, int, int, bool]]:
        """End it; return each span's name, parent, id, and whether it is an error."""
        self._tracing.close()
        found = []
        for span in self._exporter.get_finished_spans():
            assert span.context is not None
            parent = span.parent.span_id if span.parent is not None else 0
            found.append((span.name, parent, span.context.span_id, not span.status.is_ok and not span.status.is_unset))
        return found


def test_a_sampled_request_has_a_span_above_its_records() -> None:
    """Below the caller's; an error is told of, and goes on to whoever answers."""
    traced = Traced(Sampling(ratio=0.0))
    errors = (None, LookupError(), asyncio.CancelledError(), Problem(ProblemKind.NOT_FOUND, "no"))
    carried = [traced.ask(CONTEXT, error) for error in errors]
    spans = traced.spans()
    caller = int(CONTEXT.split("-")[2], 16)
    assert [span[:2] for span in spans] == [("POST /x", caller)] * 4
    # What the caller did wrong is no error of the server.
    assert [span[3] for span in spans] == [False, True, True, False]
    trace = CONTEXT.split("-")[1]
    assert carried == [[("traceparent", f"00-{trace}-{span[2]:016x}-01".encode())] for span in spans]


def test_what_is_not_sampled_goes_on_as_it_came() -> None:
    """Without a span; and nothing begins a trace where none is to begin."""
    traced = Traced(Sampling(ratio=0.0))
    unsampled = CONTEXT[:-1] + "0"
    whole = [("traceparent", unsampled.encode()), ("tracestate", b"a=1")]
    assert traced.ask(unsampled, state="a=1") == whole
    assert traced.ask("") == []
    assert traced.spans() == []


def test_a_share_of_the_other_requests_begins_a_trace() -> None:
    """All of them, if that is the share: without a parent, and carried by their records."""
    traced = Traced(Sampling(ratio=1.0))
    ((name, value),) = traced.ask("")
    ((_, parent, span, _),) = traced.spans()
    _, _, carried, flags = value.decode().split("-")
    assert (name, parent, int(carried, 16), int(flags, 16) & 1) == ("traceparent", 0, span, 1)
