"""Counts and distributions, kept in memory by the worker and read by whoever exposes them.

One thread writes a series; others read it. A reader may see a batch half counted, which no figure minds. Nothing here
knows of Prometheus or OpenTelemetry.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from riverrun.runtime.metrics import Kind, MetricDefinition

__all__ = ["Counter", "Distribution", "Histogram", "Meter", "Sample"]


class Distribution(NamedTuple):
    """A histogram's contents: observations by bucket (the last is for what lies above all bounds), and their sum.

    ``least`` and ``most`` are the extremes that were observed; 0 before the first.
    """

    counts: tuple[int, ...]
    total: float
    least: float = 0.0
    most: float = 0.0


class Sample(NamedTuple):
    """One series at one moment."""

    metric: MetricDefinition
    labels: tuple[str, ...]
    value: float | Distribution


class Counter:
    """A count that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1.0) -> None:
        """Count."""
        self.value += amount


class Histogram:
    """A distribution in fixed buckets.

    Examples
    --------
    >>> histogram = Histogram((1.0, 5.0))
    >>> for value in (0.5, 1.0, 4.0, 9.0):
    ...     histogram.observe(value)
    >>> histogram.read()
    Distribution(counts=(2, 1, 1), total=14.5, least=0.5, most=9.0)
    """

    __slots__ = ("_bounds", "_counts", "_least", "_most", "_total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0
        self._least, self._most = inf, -inf

    def observe(self, value: float) -> None:
        """Take in one value; a bound belongs to the bucket below it."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value
        self._least = min(value, self._least)
        self._most = max(value, self._most)

    def read(self) -> Distribution:
        """Return what was observed."""
        counts = tuple(self._counts)
        return Distribution(counts, self._total, self._least, self._most) if any(counts) else Distribution(counts, 0.0)


class Meter:
    """All series of a process."""

    __slots__ = ("_counters", "_histograms")

    def __init__(self) -> None:
        self._counters: dict[tuple[MetricDefinition, tuple[str, ...]], Counter] = {}
        self._histograms: dict[tuple[MetricDefinition, tuple[str, ...]], Histogram] = {}

    def counter(self, metric: MetricDefinition, *labels: str) -> Counter:
        """Return the counter of these labels; asked for again, it is the same one."""
        _check(metric, Kind.COUNTER, labels)
        return self._counters.setdefault((metric, labels), Counter())

    def histogram(self, metric: MetricDefinition, *labels: str) -> Histogram:
        """Return the histogram of these labels; asked for again, it is the same one."""
        _check(metric, Kind.HISTOGRAM, labels)
        return self._histograms.setdefault((metric, labels), Histogram(metric.buckets))

    def read(self) -> list[Sample]:
        """Return every series as it is now."""
        counters = [Sample(*key, counter.value) for key, counter in list(self._counters.items())]
        return counters + [Sample(*key, histogram.read()) for key, histogram in list(self._histograms.items())]


def _check(metric: MetricDefinition, kind: Kind, labels: tuple[str, ...]) -> None:
    if metric.kind is not kind or len(labels) != len(metric.labels):
        raise TypeError(f"{metric.name} is a {metric.kind} with labels {metric.labels}, not a {kind} with {labels}")
