"""Measures of quality, over everything and over a window, cheap enough for every example of every model.

River's classes are kept for whatever a pipeline file asks for, but for those that nearly every pipeline has,
there are measures here that give the same figure for a fraction of the time: a model's quality must not cost
more than the model. The one that differs is ROC AUC. River's walks ten confusion matrices for every example,
ten thresholds evenly spaced, and so hardly sees a model of rare events. Here scores are counted in 481 bins
evenly spaced in log-odds, one increment an example, and the area is that of the bins (pairs within a bin
count as ties); over the window it is exact.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from math import exp, fsum, isfinite, log, sqrt
from typing import Final, Protocol, cast

import numpy as np
from river import metrics as river_metrics

from riverrun.models.adapter import BINARY, MODEL_FAILURES, REGRESSION, ModelError, Task

__all__ = ["Measure", "Metric", "make_measures"]

_LEAST: Final = 1e-15
_MOST: Final = 1.0 - 1e-15
_BINS_PER_UNIT: Final = 16
_LOG_ODDS: Final = 15
_EDGES: Final = tuple(
    1.0 / (1.0 + exp(-step / _BINS_PER_UNIT)) for step in range(-_LOG_ODDS * _BINS_PER_UNIT, _LOG_ODDS * _BINS_PER_UNIT)
)


class Metric(Protocol):
    """What is used of a River metric."""

    @property
    def bigger_is_better(self) -> bool:
        """Whether more is better."""
        ...

    def update(self, y_true: bool | float, y_pred: object) -> object:
        """Take in one example."""
        ...

    def get(self) -> object:
        """Return the figure."""
        ...


class Measure(ABC):
    """One figure of quality, kept over all examples, and computed over a window when asked."""

    __slots__ = ()

    name: str

    @abstractmethod
    def update(self, label: float, score: float) -> None:
        """Take in one example: its label (0 or 1 if binary) and the score that was served."""

    @abstractmethod
    def value(self) -> float | None:
        """Return the figure over all examples; None as long as it has none."""

    @abstractmethod
    def over(self, labels: Sequence[float], scores: Sequence[float]) -> float | None:
        """Return the figure over these examples alone."""

    @abstractmethod
    def state(self) -> object:
        """Return what `restore` needs, in types that a snapshot may hold."""

    @abstractmethod
    def restore(self, state: object) -> None:
        """Go on from a `state`."""


class _Average(Measure):
    """A figure that is a mean of one term an example."""

    __slots__ = ("count", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0

    def update(self, label: float, score: float) -> None:
        self.count += 1
        self.total += self.term(label, score)

    def value(self) -> float | None:
        return self.figure(self.total / self.count) if self.count else None

    def over(self, labels: Sequence[float], scores: Sequence[float]) -> float | None:
        return self.figure(fsum(map(self.term, labels, scores)) / len(labels)) if labels else None

    def state(self) -> object:
        return (self.count, self.total)

    def restore(self, state: object) -> None:
        self.count, self.total = cast("tuple[int, float]", state)

    @staticmethod
    @abstractmethod
    def term(label: float, score: float) -> float:
        """Return an example's contribution."""

    @staticmethod
    def figure(mean: float) -> float:
        """Return the figure for a mean of terms."""
        return mean


class _LogLoss(_Average):
    __slots__ = ()
    name = "LogLoss"

    @staticmethod
    def term(label: float, score: float) -> float:
        score = score if score > _LEAST else _LEAST
        score = score if score < _MOST else _MOST
        return -log(score) if label else -log(1.0 - score)


class _Accuracy(_Average):
    __slots__ = ()
    name = "Accuracy"

    @staticmethod
    def term(label: float, score: float) -> float:
        return 1.0 if (score > 0.5) == (label != 0.0) else 0.0


class _MAE(_Average):
    __slots__ = ()
    name = "MAE"

    @staticmethod
    def term(label: float, score: float) -> float:
        return abs(label - score)


class _RMSE(_Average):
    __slots__ = ()
    name = "RMSE"

    @staticmethod
    def term(label: float, score: float) -> float:
        return (label - score) * (label - score)

    @staticmethod
    def figure(mean: float) -> float:
        return sqrt(mean)


class _ROCAUC(Measure):
    __slots__ = ("_negatives", "_positives")
    name = "ROCAUC"

    def __init__(self) -> None:
        self._positives = [0] * (len(_EDGES) + 1)
        self._negatives = [0] * (len(_EDGES) + 1)

    def update(self, label: float, score: float) -> None:
        (self._positives if label else self._negatives)[bisect_right(_EDGES, score)] += 1

    def value(self) -> float | None:
        return _area(self._positives, self._negatives)

    def over(self, labels: Sequence[float], scores: Sequence[float]) -> float | None:
        truth = np.asarray(labels) != 0.0
        _, rank = np.unique(np.asarray(scores), return_inverse=True)
        size = int(rank.max()) + 1 if len(labels) else 0
        positives, negatives = (np.bincount(rank[part], minlength=size) for part in (truth, ~truth))
        return _area(cast("list[int]", positives.tolist()), cast("list[int]", negatives.tolist()))

    def state(self) -> object:
        return (list(self._positives), list(self._negatives))

    def restore(self, state: object) -> None:
        positives, negatives = cast("tuple[list[int], list[int]]", state)
        self._positives, self._negatives = list(positives), list(negatives)


def _area(positives: list[int], negatives: list[int]) -> float | None:
    """Return the area under the curve from counts by rising score, exact up to the last division."""
    below = twice = 0
    for positive, negative in zip(positives, negatives, strict=True):
        twice += positive * (2 * below + negative)
        below += negative
    pairs = below * sum(positives)
    return twice / (2 * pairs) if pairs else None


class _RiverMeasure(Measure):
    """Any metric of River's, or one with the same methods; over the window it is computed anew."""

    __slots__ = ("_binary", "_factory", "_metric", "_wants_labels", "name")

    def __init__(self, factory: Callable[[], object], task: Task) -> None:
        self._factory = factory
        self._metric = cast("Metric", factory())
        # A regression metric of probabilities is welcome (the mean square is Brier's score): it gets numbers.
        self._binary = task == BINARY and not isinstance(self._metric, river_metrics.base.RegressionMetric)
        self._wants_labels = bool(getattr(self._metric, "requires_labels", False))
        self.name = type(self._metric).__name__
        try:
            self.over((0.0, 1.0), (0.25, 0.75))
        except MODEL_FAILURES as error:
            raise ModelError(
                f"metrics= has {self.name}, which does not work for a {task} pipeline: {error!r}",
                hint="give classes such as river.metrics.LogLoss, without brackets",
            ) from error

    def update(self, label: float, score: float) -> None:
        self._put(self._metric, label, score)

    def value(self) -> float | None:
        return _figure(self._metric)

    def over(self, labels: Sequence[float], scores: Sequence[float]) -> float | None:
        fresh = cast("Metric", self._factory())
        for label, score in zip(labels, scores, strict=True):
            self._put(fresh, label, score)
        return _figure(fresh) if labels else None

    def state(self) -> object:
        return self._metric

    def restore(self, state: object) -> None:
        self._metric = cast("Metric", state)

    def _put(self, metric: Metric, label: float, score: float) -> None:
        if not self._binary:
            metric.update(label, score)
        elif self._wants_labels:
            metric.update(label != 0.0, score > 0.5)
        else:
            metric.update(label != 0.0, {True: score, False: 1.0 - score})


def _figure(metric: Metric) -> float | None:
    value = metric.get()
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


_FAST: Final[Mapping[object, type[Measure]]] = {
    river_metrics.LogLoss: _LogLoss,
    river_metrics.Accuracy: _Accuracy,
    river_metrics.ROCAUC: _ROCAUC,
    river_metrics.MAE: _MAE,
    river_metrics.RMSE: _RMSE,
}


_USUAL: Final[Mapping[str, tuple[type[Measure], ...]]] = {
    BINARY: (_LogLoss, _ROCAUC, _Accuracy),
    REGRESSION: (_MAE, _RMSE),
}


def make_measures(factories: Sequence[Callable[[], object]], task: Task) -> tuple[Measure, ...]:
    """Make the measures that a pipeline asks for; if none, log loss, ROC AUC and accuracy, or MAE and RMSE.

    Parameters
    ----------
    factories
        River's metric classes, or functions that make a metric. A class that has a fast counterpart here is
        replaced by it; a function (``lambda: ROCAUC(n_thresholds=20)``) is taken at its word.
    task
        What is predicted.

    Raises
    ------
    ModelError
        If a factory makes no metric, or two have the same name.
    """
    usual = _USUAL[task]
    if not factories:
        return tuple(measure() for measure in usual)
    measures: list[Measure] = []
    for factory in factories:
        fast = _FAST.get(factory) if isinstance(factory, type) else None
        measure = fast() if fast is not None and fast in usual else _RiverMeasure(factory, task)
        if any(measure.name == other.name for other in measures):
            raise ModelError(f"metrics= has {measure.name} twice", hint="keep one of them")
        measures.append(measure)
    return tuple(measures)
