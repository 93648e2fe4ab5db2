"""Metrics and traces as an OTLP collector receives them."""

from __future__ import annotations

import sys

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from riverrun.errors import SettingsError
from riverrun.launch.telemetry import Telemetry
from riverrun.runtime import metrics
from riverrun.runtime.meter import Distribution, Meter
from riverrun.runtime.metrics import METRICS, Kind
from riverrun.telemetry.collecting import collect
from tests.runtime.worlds import ALL_IN_ONE, MemoryWorld, messages
from tests.telemetry.collector import Collector
from tests.telemetry.worlds import watched

STAGES = ALL_IN_ONE.split("+")


def settings(monkeypatch: pytest.MonkeyPatch, collector: Collector, **more: str) -> dict[str, str]:
    """Set OpenTelemetry's variables: its exporters read them from the process itself."""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "NO_PROXY": "127.0.0.1", **more}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


def test_a_collector_gets_metrics_and_traces(memory: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every series arrives with its value, kind and labels; sampled records as spans; all under the service's name."""
    with Collector() as collector:
        environment = settings(monkeypatch, collector, OTEL_TRACES_SAMPLER="always_on")
        telemetry = Telemetry("shop", STAGES, environment)
        memory.publish(messages(30))
        member = watched(memory, tracing=telemetry.tracing)
        with telemetry.watching(*member):
            memory.settle(member.worker)
            expected = collect(*member)
    resource = collector.resources[0]
    assert all(each == resource for each in collector.resources)
    assert (resource["service.name"], resource["service.namespace"]) == (f"riverrun-{'-'.join(STAGES)}", "shop")
    assert {span.name for span in collector.spans} >= {"fold", "commit"}
    traced = member.deployment.observer.meter.counter(metrics.TRACED, ALL_IN_ONE).value
    assert traced == len([span for span in collector.spans if span.kind == span.SPAN_KIND_CONSUMER]) > 30
    definitions = {metric.name.removesuffix("_total"): metric for metric in METRICS}
    assert collector.metrics.keys() == {sample.metric.name.removesuffix("_total") for sample in expected}
    for name, metric in collector.metrics.items():
        definition = definitions[name]
        assert metric.description == definition.tells
        assert metric.WhichOneof("data") == {"counter": "sum"}.get(definition.kind.value, definition.kind.value)
        if definition.kind is Kind.COUNTER:
            assert metric.sum.is_monotonic
            assert metric.sum.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    out = {
        tuple(each.value.string_value for each in point.attributes): point.as_double
        for point in collector.metrics["riverrun_records_out"].sum.data_points
    }
    assert out == {each.labels: each.value for each in expected if each.metric is metrics.RECORDS_OUT}
    (batch,) = collector.metrics["riverrun_batch_records"].histogram.data_points
    (value,) = [each.value for each in expected if each.metric is metrics.BATCH_RECORDS]
    assert isinstance(value, Distribution)
    assert (tuple(batch.bucket_counts), batch.sum, batch.min, batch.max) == value
    assert tuple(batch.explicit_bounds) == metrics.BATCH_RECORDS.buckets
    member.worker.leave()


def test_a_service_without_stages_sends_what_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own counters, its memory and processor time; under its own name."""
    with Collector() as collector:
        meter = Meter()
        with Telemetry("shop", ["alerts"], settings(monkeypatch, collector)).living(meter.read):
            # In the order in which things happen, which is not that of the metrics.
            meter.counter(metrics.ALERTS, "raised").add(3)
            meter.counter(metrics.DELIVERIES, "ops", "delivered").add()
            meter.counter(metrics.ALERTS, "resolved").add()
    assert collector.resources[0]["service.name"] == "riverrun-alerts"
    points = collector.metrics["riverrun_alerts"].sum.data_points
    counts = {each.attributes[0].value.string_value: each.as_double for each in points}
    assert counts == {"raised": 3.0, "resolved": 1.0}
    assert {"riverrun_memory_bytes", "riverrun_cpu_seconds"} <= collector.metrics.keys()


def test_metrics_are_sent_at_intervals(memory: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the interval of the standard variable they come while the service runs, not at its end alone."""
    with Collector() as collector:
        environment = settings(monkeypatch, collector, OTEL_METRIC_EXPORT_INTERVAL="20", OTEL_TRACES_EXPORTER="none")
        telemetry = Telemetry("shop", STAGES, environment)
        assert telemetry.tracing is None
        member = watched(memory)
        with telemetry.watching(*member):
            for _ in range(2):
                assert collector.received.wait(30)
                collector.received.clear()
    member.worker.leave()


def test_a_collector_that_is_away_disturbs_nobody(memory: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictions go on, and the process ends, though nothing can be sent."""
    with Collector() as gone:
        environment = settings(monkeypatch, gone, OTEL_TRACES_SAMPLER="always_on", OTEL_EXPORTER_OTLP_TIMEOUT="1")
    telemetry = Telemetry("shop", STAGES, environment)
    memory.publish(messages(20))
    member = watched(memory, tracing=telemetry.tracing)
    with telemetry.watching(*member):
        memory.settle(member.worker)
    assert sum(task.folded for task in member.worker.tasks()) > 20
    member.worker.leave()


def test_the_operator_names_the_service(monkeypatch: pytest.MonkeyPatch, memory: MemoryWorld) -> None:
    """OpenTelemetry's own variables for names win over riverrun's."""
    with Collector() as collector:
        environment = settings(
            monkeypatch,
            collector,
            OTEL_SERVICE_NAME="my-scorer",
            OTEL_RESOURCE_ATTRIBUTES="service.namespace=mine,deployment.environment=test",
        )
        member = watched(memory)
        with Telemetry("shop", ["score"], environment).watching(*member):
            pass
        member.worker.leave()
    resource = collector.resources[0]
    names = resource["service.name"], resource["service.namespace"], resource["deployment.environment"]
    assert names == ("my-scorer", "mine", "test")


def test_without_the_sdk_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that is set while OpenTelemetry is not installed is an error that the operator can act on."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(SettingsError, match="cannot be imported") as caught:
        Telemetry("shop", STAGES, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
    assert "riverrun[telemetry]" in caught.value.hint
