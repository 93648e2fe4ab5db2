"""Traces: taken from producers' headers, carried from stage to stage, sampled, and no change to what is written."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.util.re import parse_env_headers

from riverrun.errors import SettingsError
from riverrun.records.topics import Kind
from riverrun.runtime.ports import Headers, Record
from riverrun.runtime.tracing import Incoming
from riverrun.telemetry.otlp_traces import OtlpTracing
from riverrun.telemetry.sampler import Sampler
from riverrun.telemetry.settings import OtlpSettings, Sampling
from riverrun.testing.memory_failures import Failure
from riverrun.testing.small_world import asked
from tests.runtime.worlds import ALL_IN_ONE, MINUTE, WRITTEN, MemoryWorld, messages
from tests.telemetry.worlds import watched

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{PARENT}-01"
NOT_SAMPLED = f"00-{TRACE}-{PARENT}-00"
APART = "ingest features score labels learn"
NEVER = Sampling(ratio=0.0)
_TRACEPARENT = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-01")


@dataclass
class Kept(SpanExporter):
    """Keeps spans."""

    spans: list[ReadableSpan] = field(default_factory=list)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing is held."""


@dataclass
class Tracer:
    """A tracer whose spans can be looked at."""

    tracing: OtlpTracing
    kept: Kept

    def spans(self) -> list[ReadableSpan]:
        """Return all spans so far."""
        assert self.tracing._provider.force_flush()
        return self.kept.spans


Make = Callable[..., Tracer]


@pytest.fixture
def tracer() -> Iterator[Make]:
    """Makes tracers, and closes them."""
    made: list[OtlpTracing] = []

    def make(sampling: Sampling = NEVER, monotonic: Callable[[], float] = lambda: 0.0) -> Tracer:
        kept = Kept()
        made.append(OtlpTracing(Resource({}), sampling, kept, monotonic))
        return Tracer(made[-1], kept)

    yield make
    for each in made:
        each.close()


def ask_traced(world: MemoryWorld, number: int, headers: Headers) -> None:
    """Publish an event that asks for a prediction."""
    value = asked(number, f"w{number}", "x", number * MINUTE, 3)
    topic = world.small.topic("asked")
    world.memory.append(topic, 0, value, key=f"w{number}".encode(), headers=headers, timestamp=number)


def traces(records: Sequence[Record]) -> list[bytes | None]:
    """Return each record's traceparent."""
    return [dict(record.headers).get("traceparent") for record in records]


@pytest.mark.parametrize("layout", [ALL_IN_ONE, APART])
def test_a_trace_goes_through_all_stages(memory: MemoryWorld, tracer: Make, layout: str) -> None:
    """What follows from a sampled record carries its trace, chained or apart; what follows from another has none."""
    made = tracer()
    ask_traced(memory, 0, [("traceparent", SAMPLED.encode()), ("tracestate", b"vendor=1")])
    ask_traced(memory, 1, [("traceparent", NOT_SAMPLED.encode())])
    ask_traced(memory, 2, [])
    member = watched(memory, layout, tracing=made.tracing)
    memory.settle(member.worker)
    for kind in (Kind.EVENTS, Kind.VECTORS, Kind.PREDICTIONS):
        first, *rest = memory.records(kind, 0)
        (traceparent,) = traces([first])
        assert traceparent is not None
        assert _TRACEPARENT.fullmatch(traceparent)
        assert TRACE.encode() in traceparent
        assert dict(first.headers)["tracestate"] == b"vendor=1"
        assert traces(rest) == [None, None]
    member.worker.leave()
    spans = [span for span in made.spans() if span.kind is SpanKind.CONSUMER]
    # Apart, each stage has a span of its own; labels reads the prediction and the event.
    assert len(spans) == (1 if layout == ALL_IN_ONE else 5)
    assert {format(span.context.trace_id, "032x") for span in spans if span.context} == {TRACE}


def test_spans_follow_one_another(memory: MemoryWorld, tracer: Make) -> None:
    """Each stage's span is a child of the one before it, the first of the producer's; below are fold and commit."""
    made = tracer()
    ask_traced(memory, 0, [("traceparent", SAMPLED.encode())])
    member = watched(memory, "ingest features score", tracing=made.tracing)
    memory.settle(member.worker)
    member.worker.leave()
    consumers = [span for span in made.spans() if span.kind is SpanKind.CONSUMER]
    parents = [format(span.parent.span_id, "016x") for span in consumers if span.parent]
    ids = [format(span.context.span_id, "016x") for span in consumers if span.context]
    assert parents == [PARENT, *ids[:-1]]
    name = memory.small.pipeline.name
    assert [span.name for span in consumers] == [
        f"process {memory.small.topic('asked')}",
        f"process {name}.events",
        f"process {name}.vectors",
    ]
    for span in consumers:
        assert span.attributes is not None
        assert span.attributes["messaging.system"] == "kafka"
        # Behind what an opening left: an aborted record, and its marker.
        assert span.attributes["messaging.kafka.offset"] == (0 if span is consumers[0] else 2)
        below = [each for each in made.spans() if each.parent and span.context and each.parent == span.context]
        assert [each.name for each in below] == ["fold", "commit"]
        assert all(each.start_time and span.start_time and each.start_time >= span.start_time for each in below)
        assert all(each.end_time and span.end_time and each.end_time <= span.end_time for each in below)
    chains = [span.attributes["riverrun.chain"] for span in consumers if span.attributes]
    assert chains == ["ingest", "features", "score"]


def test_tracing_changes_nothing_else(make_memory: Callable[..., MemoryWorld], tracer: Make) -> None:
    """With every record traced, all that is written is the same to the byte, but for the trace headers."""
    plain, traced = make_memory(), make_memory()
    sent = messages(40)
    for world, tracing in ((plain, None), (traced, tracer(Sampling(ratio=1.0, per_second=10**6)).tracing)):
        world.publish(sent)
        member = watched(world, tracing=tracing, batch_limit=7)
        world.settle(member.worker)
        member.worker.leave()

    def contents(world: MemoryWorld) -> dict[Kind, list[object]]:
        return {
            kind: [
                (each.key, each.value, [pair for pair in each.headers if pair[0] != "traceparent"])
                for each in world.records(kind, 0)
            ]
            for kind in WRITTEN
            if kind is not Kind.MODELS
        }

    assert contents(traced) == contents(plain)
    assert None not in traces(traced.records(Kind.PREDICTIONS, 0))
    assert set(traces(plain.records(Kind.PREDICTIONS, 0))) == {None}


def test_records_begin_traces_at_the_producers_topics_only(memory: MemoryWorld, tracer: Make) -> None:
    """With a ratio of one half about half the events begin a trace; no later stage begins one of its own."""
    made = tracer(Sampling(ratio=0.5, per_second=10**6))
    for number in range(200):
        ask_traced(memory, number, [])
    member = watched(memory, "ingest features", tracing=made.tracing)
    memory.settle(member.worker)
    member.worker.leave()
    begun = [each for each in traces(memory.records(Kind.EVENTS, 0)) if each is not None]
    assert 50 < len(begun) < 150
    assert len(set(begun)) == len(begun)
    events, vectors = traces(memory.records(Kind.EVENTS, 0)), traces(memory.records(Kind.VECTORS, 0))
    same = [(a and a[3:35]) == (b and b[3:35]) for a, b in zip(events, vectors, strict=True)]
    assert all(same)


def test_a_transaction_that_fails_ends_its_traces_with_an_error(memory: MemoryWorld, tracer: Make) -> None:
    """The span of a record that was folded and not committed says so; folded again, it has a span that is well."""
    made = tracer()
    member = watched(memory, tracing=made.tracing)
    memory.settle(member.worker)
    ask_traced(memory, 0, [("traceparent", SAMPLED.encode())])
    memory.memory.fail_next(Failure.COMMIT_REFUSED)
    memory.settle(member.worker)
    member.worker.leave()
    first, second = [span.status for span in made.spans() if span.kind is SpanKind.CONSUMER]
    assert (first.status_code, first.description) == (StatusCode.ERROR, "its transaction was not committed")
    assert second.status_code is StatusCode.UNSET
    assert len(memory.records(Kind.PREDICTIONS, 0)) == 1


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"00-0-0-01",
        b"\xff\xfe" * 30,
        f"00-{'0' * 32}-{PARENT}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"ff-{TRACE}-{PARENT}-01".encode(),
        SAMPLED.encode() * 500,
        SAMPLED.upper().replace("-01", "-zz").encode(),
    ],
)
def test_a_malformed_context_is_no_context(memory: MemoryWorld, tracer: Make, header: bytes) -> None:
    """Whatever a stranger puts into traceparent, the event goes on, untraced."""
    ask_traced(memory, 0, [("traceparent", header), ("tracestate", b"\xff" * 10_000)])
    member = watched(memory, tracing=tracer().tracing)
    memory.settle(member.worker)
    assert traces(memory.records(Kind.PREDICTIONS, 0)) == [None]
    member.worker.leave()


def test_what_its_producer_did_not_sample_costs_no_look(
    memory: MemoryWorld, tracer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most producers write a context into every record, and sample few: the others are told by one digit.

    They are neither traced nor do they begin a trace, and nothing of the bound is used up.
    """
    made = tracer(Sampling(ratio=1.0))
    parsed: list[object] = []
    extract = made.tracing._propagator.extract

    def watched_extract(carrier: dict[str, str], context: Context) -> Context:
        parsed.append(carrier)
        return extract(carrier, context)

    monkeypatch.setattr(made.tracing._propagator, "extract", watched_extract)
    flags = {"00": False, "01": True, "02": False, "03": True, "ff": True}
    for number, flag in enumerate(flags):
        ask_traced(memory, number, [("traceparent", f"{SAMPLED[:-2]}{flag}".encode())])
    member = watched(memory, tracing=made.tracing)
    memory.settle(member.worker)
    found = traces(memory.records(Kind.PREDICTIONS, 0))
    assert [each is not None for each in found] == list(flags.values())
    assert len(parsed) == sum(flags.values())
    member.worker.leave()


def test_a_long_tracestate_is_left_behind(tracer: Make) -> None:
    """More than 512 characters of a vendor's state are not carried on; the trace is."""
    incoming = Incoming("t", 0, 0, 0, SAMPLED, "vendor=" + "x" * 600)
    trace = tracer().tracing.start(incoming, "ingest")
    assert trace is not None
    assert [name for name, _ in trace.headers] == ["traceparent"]
    trace.ended()


def test_a_second_has_its_share_and_no_more(tracer: Make) -> None:
    """However many records producers sample, no more than the bound are traced in a second."""
    now = 0.0
    made = tracer(Sampling(ratio=0.0, per_second=3), lambda: now)
    incoming = Incoming("t", 0, 0, 0, SAMPLED)
    for second in (0.0, 0.5, 1.0):
        now = second
        for _ in range(5):
            trace = made.tracing.start(incoming, "ingest")
            if trace is not None:
                trace.folded()
                trace.committing()
                trace.ended()
    assert len([span for span in made.spans() if span.kind is SpanKind.CONSUMER]) == 6


@given(st.floats(0.01, 0.99), st.integers(1, 999))
def test_gaps_have_the_distribution_of_single_draws(ratio: float, thousandth: int) -> None:
    """The n-th of equally likely draws gives the gap below which that share of geometric gaps lies."""
    steps = 1 << 53
    draw = thousandth * steps // 1_000
    sampler = Sampler(Sampling(ratio=ratio), lambda: 0.0, lambda bound: draw)
    gap = 0
    while not sampler.due():
        gap += 1
        assert gap < 20_000
    chance = (draw + 1) / steps
    assert (1 - ratio) ** (gap + 1) < chance * (1 + 1e-9)
    assert chance <= (1 - ratio) ** gap * (1 + 1e-9)


@pytest.mark.parametrize(("ratio", "share"), [(0.0, 0.0), (0.25, 0.25), (1.0, 1.0)])
def test_a_ratio_without_parents_goes_by_the_traces_id(ratio: float, share: float) -> None:
    """All services that sample by id pick the same traces: those whose low half lies below the ratio."""
    sampler = Sampler(Sampling(ratio=ratio, parent_based=False), lambda: 0.0)
    ids = [(number << 56) | 1 << 127 for number in range(256)]
    followed = sum(sampler.follows(trace_id) for trace_id in ids)
    assert isclose(followed / len(ids), share)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Sampling(0.001)),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, Sampling(1.0, parent_based=False)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, Sampling(0.0)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_on", "OTEL_TRACES_SAMPLER_ARG": "x"}, Sampling(1.0)),
        ({"OTEL_TRACES_SAMPLER_ARG": "0.5", "RIVERRUN_TRACES_PER_SECOND": "7"}, Sampling(0.5, per_second=7)),
    ],
)
def test_sampling_is_read_from_the_standard_variables(environment: dict[str, str], expected: Sampling) -> None:
    """OpenTelemetry's own names work, and the default is a thousandth."""
    assert Sampling.from_environment(environment) == expected


ON = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"OTEL_TRACES_SAMPLER": "jaeger_remote"},
        {"OTEL_TRACES_SAMPLER_ARG": "2"},
        {"OTEL_TRACES_SAMPLER_ARG": "nan"},
        {"RIVERRUN_TRACES_PER_SECOND": "-1"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_TRACES_EXPORTER": "zipkin"},
        {"OTEL_METRIC_EXPORT_INTERVAL": "0"},
    ],
)
def test_what_riverrun_does_not_do_is_refused(wrong: dict[str, str]) -> None:
    """A variable that asks for something else is an error that names it, not a silent difference."""
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        OtlpSettings.from_environment(ON | wrong)


@pytest.mark.parametrize("signal", ["", "TRACES_", "METRICS_"])
def test_headers_that_the_sdk_would_quote_in_a_log_are_refused(signal: str, caplog: pytest.LogCaptureFixture) -> None:
    """What OpenTelemetry cannot read it logs, token and all: an error names the variable alone. The rest is taken."""
    variable = f"OTEL_EXPORTER_OTLP_{signal}HEADERS"
    rng = random.Random(0)
    taken = 0
    for _ in range(3_000):
        text = "".join(rng.choice('ab=:"; \t,\\%2-/é') for _ in range(rng.randrange(1, 8)))
        caplog.clear()
        parse_env_headers(text, liberal=True)
        # A part of blanks alone is quoted too, and tells nothing.
        quoted = [record for record in caplog.records if record.getMessage().partition("occurrences: ")[2].strip()]
        if quoted:
            with pytest.raises(SettingsError) as caught:
                OtlpSettings.from_environment(ON | {variable: text})
            assert caught.value.message == f"{variable} has a part that is no header"
        else:
            assert OtlpSettings.from_environment(ON | {variable: text}) is not None
            taken += 1
    assert 100 < taken < 2_900


@pytest.mark.parametrize(
    "endpoint",
    [
        "collector:4318",
        "grpc://ada:s3cr3t@collector:4317",
        "http://ada:s3cr3t@collector:99999",
        "http://ada:s3cr3t/@collector:4318",
        "http://ada:s3cr3t@x@collector:4318",
        "http://ada:s3cr3t#@collector:4318",
        "http://collector:4318?token=s3cr3t",
        "http://:4318",
        "http://collector:0",
    ],
)
@pytest.mark.parametrize("signal", ["", "TRACES_", "METRICS_"])
def test_an_endpoint_that_the_exporters_would_quote_in_a_log_is_refused(signal: str, endpoint: str) -> None:
    """What `requests` cannot send to it logs, password and all: an error names the variable alone."""
    variable = f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT"
    with pytest.raises(SettingsError) as caught:
        OtlpSettings.from_environment(ON | {variable: endpoint})
    assert caught.value.message == f"{variable} is no URL of a collector"
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint", ["https://ada:s3%40t@c.example:443/otlp", "http://[::1]:4318/v1/traces", "http://c"]
)
def test_endpoints_of_every_shape_are_taken(endpoint: str) -> None:
    """User information that is percent-encoded, addresses of IPv6, paths, the default port."""
    settings = OtlpSettings.from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
    assert settings is not None
    assert (settings.traces, settings.metrics) == (True, True)


def test_otlp_is_off_unless_an_endpoint_is_set() -> None:
    """No endpoint, a disabled SDK or exporters set to none: nothing is sent."""
    for environment in ({}, ON | {"OTEL_SDK_DISABLED": "true"}, ON | dict.fromkeys(NONE, "none")):
        assert OtlpSettings.from_environment(environment) is None
    only = OtlpSettings.from_environment({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318/v1/metrics"})
    assert only is not None
    assert (only.traces, only.metrics) == (False, True)


NONE = ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER")
