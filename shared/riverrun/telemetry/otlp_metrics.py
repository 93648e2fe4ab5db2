"""Metrics by OpenTelemetry: the same samples that ``/metrics`` shows, sent by OTLP at intervals.

Nothing is measured a second time: what was collected is put into the SDK's own data types and handed to its exporter.
This module needs OpenTelemetry's SDK; import it only when metrics are to be sent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from riverrun.runtime.meter import Distribution, Sample
from riverrun.runtime.metrics import Kind, MetricDefinition

__all__ = ["MetricPush", "metrics_data"]

_LOG: Final = logging.getLogger("riverrun.telemetry")
_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE
_UNITS: Final = {"seconds": "s", "bytes": "By", "1": "1"}
"""As UCUM has them; what is counted stands in braces there."""
_LAST_S: Final = 1.0


def metrics_data(samples: Iterable[Sample], resource: Resource, started_ns: int, now_ns: int) -> MetricsData:
    """Return samples as OpenTelemetry's data.

    Parameters
    ----------
    samples
        With all of a metric's series in a row.
    resource
        What the process is called.
    started_ns, now_ns
        When counting began, and now; nanoseconds since the epoch.
    """
    metrics = [
        _metric(metric, list(series), started_ns, now_ns)
        for metric, series in groupby(samples, key=lambda sample: sample.metric)
    ]
    scope = ScopeMetrics(InstrumentationScope("riverrun"), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _metric(metric: MetricDefinition, series: list[Sample], started_ns: int, now_ns: int) -> Metric:
    numbers: list[NumberDataPoint] = []
    distributions: list[HistogramDataPoint] = []
    for sample in series:
        attributes = dict(zip(metric.labels, sample.labels, strict=True))
        value = sample.value
        if isinstance(value, Distribution):
            distributions.append(
                HistogramDataPoint(
                    attributes=attributes,
                    start_time_unix_nano=started_ns,
                    time_unix_nano=now_ns,
                    count=sum(value.counts),
                    sum=value.total,
                    bucket_counts=list(value.counts),
                    explicit_bounds=list(metric.buckets),
                    min=value.least,
                    max=value.most,
                )
            )
        else:
            numbers.append(NumberDataPoint(attributes, started_ns, now_ns, value))
    data: Sum | Gauge | Histogram
    if metric.kind is Kind.HISTOGRAM:
        data = Histogram(distributions, _CUMULATIVE)
    elif metric.kind is Kind.COUNTER:
        data = Sum(numbers, _CUMULATIVE, is_monotonic=True)
    else:
        data = Gauge(numbers)
    return Metric(metric.name.removesuffix("_total"), metric.tells, _unit(metric.unit), data)


def _unit(name: str) -> str:
    return _UNITS.get(name) or f"{{{name.removesuffix('s')}}}"


class MetricPush:
    """Sends metrics at intervals, and once more at the end.

    Parameters
    ----------
    collect
        Returns the samples.
    resource
        What the process is called.
    interval_s
        Between two exports, in seconds.
    exporter
        Where they go; by default by OTLP to where OpenTelemetry's variables say.
    """

    def __init__(
        self,
        collect: Callable[[], list[Sample]],
        resource: Resource,
        interval_s: float,
        exporter: MetricExporter | None = None,
    ) -> None:
        self._collect = collect
        self._resource = resource
        self._interval = interval_s
        self._exporter: MetricExporter = OTLPMetricExporter() if exporter is None else exporter
        self._started_ns = time.time_ns()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="riverrun-metrics", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def close(self) -> None:
        """Send once more, within a second, and stop."""
        self._stopping.set()
        self._thread.join(_LAST_S)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            self.push()
        self.push()
        self._exporter.shutdown()

    def push(self) -> None:
        """Send what is measured now; a collector that is away is told of and not waited for."""
        data = metrics_data(self._collect(), self._resource, self._started_ns, time.time_ns())
        if self._exporter.export(data) is not MetricExportResult.SUCCESS:
            _LOG.warning("metrics were not taken by the OTLP endpoint")
