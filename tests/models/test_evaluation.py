"""The measures are River's, but faster; the evaluator's state is all there is to it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.models.adapter import BINARY, REGRESSION, ModelError, Task
from riverrun.models.digest import digest
from riverrun.models.evaluation import Evaluator
from riverrun.models.pickling import dump_state, load_state
from tests.models.zoo import river

metrics = river.metrics

scores = st.floats(0, 1) | st.sampled_from((0.0, 0.5, 1.0))
pairs = st.lists(st.tuples(st.sampled_from((0.0, 1.0)), scores), max_size=60)


def _plain(factory: Callable[[], Any], examples: list[tuple[float, float]], task: Task) -> float:
    metric = factory()
    for label, score in examples:
        if isinstance(metric, metrics.base.RegressionMetric):
            metric.update(label, score)
        elif getattr(metric, "requires_labels", False):
            metric.update(label != 0, score > 0.5)
        else:
            metric.update(label != 0, {True: score, False: 1 - score})
    return float(metric.get())


def _area(examples: list[tuple[float, float]]) -> float | None:
    """Compute the area by its definition: the chance that a positive scores above a negative."""
    positives = [score for label, score in examples if label]
    negatives = [score for label, score in examples if not label]
    if not positives or not negatives:
        return None
    wins = sum((p > n) + (p == n) / 2 for p, n in product(positives, negatives))
    return wins / (len(positives) * len(negatives))


@given(pairs, st.integers(1, 40))
def test_usual_binary_measures(examples: list[tuple[float, float]], window: int) -> None:
    """Log loss and accuracy are River's, the window's area is the exact one."""
    evaluator = Evaluator((), BINARY, window)
    for label, score in examples:
        evaluator.update(label, score)
    assert evaluator.count == len(examples)
    for found, seen in ((evaluator.metrics(), examples), (evaluator.window_metrics(), examples[-window:])):
        if not seen:
            assert found == {}
            continue
        assert found["LogLoss"] == pytest.approx(_plain(metrics.LogLoss, seen, BINARY))
        assert found["Accuracy"] == pytest.approx(_plain(metrics.Accuracy, seen, BINARY))
    exact = _area(examples[-window:])
    assert evaluator.window_metrics().get("ROCAUC") == (pytest.approx(exact) if exact is not None else None)


def test_area_over_everything_is_nearly_exact() -> None:
    """For rare events and scores all near zero, the binned area is within 0.002 of the exact one."""
    rng = random.Random(1)
    examples = []
    for _ in range(2_000):
        label = float(rng.random() < 0.05)
        examples.append((label, 1 / (1 + math.exp(-rng.gauss(-4 + label, 1)))))
    evaluator = Evaluator((), BINARY)
    for label, score in examples:
        evaluator.update(label, score)
    assert evaluator.metrics()["ROCAUC"] == pytest.approx(_area(examples), abs=0.002)


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1, max_size=40))
def test_usual_regression_measures(examples: list[tuple[float, float]]) -> None:
    """MAE and RMSE are River's."""
    evaluator = Evaluator((), REGRESSION)
    for label, score in examples:
        evaluator.update(label, score)
    for found in (evaluator.metrics(), evaluator.window_metrics()):
        assert found["MAE"] == pytest.approx(_plain(metrics.MAE, examples, REGRESSION))
        assert found["RMSE"] == pytest.approx(_plain(metrics.RMSE, examples, REGRESSION), abs=1e-9)


CHOICES: list[tuple[Task, tuple[Callable[[], Any], ...]]] = [
    (BINARY, ()),
    (BINARY, (metrics.F1, metrics.LogLoss, metrics.CrossEntropy)),
    (BINARY, (metrics.RollingROCAUC, lambda: metrics.ROCAUC(n_thresholds=5))),
    (BINARY, (metrics.MSE,)),
    (REGRESSION, (metrics.R2, metrics.MAE)),
]


@pytest.mark.parametrize(("task", "factories"), CHOICES)
def test_state_is_all(task: Task, factories: tuple[Callable[[], Any], ...]) -> None:
    """An evaluator restored from a snapshot of its state says the same, at once and after more examples."""
    rng = random.Random(2)
    examples = [(float(rng.random() < 0.4), rng.random()) for _ in range(80)]
    original, restored = Evaluator(factories, task, 30), Evaluator(factories, task, 30)
    for label, score in examples[:50]:
        original.update(label, score)
    payload = dump_state(original.state())
    before = digest(original.state())
    restored.restore(load_state(payload))
    assert digest(restored.state()) == before
    for label, score in examples[50:]:
        original.update(label, score)
        restored.update(label, score)
    assert restored.metrics() == original.metrics()
    assert restored.window_metrics() == original.window_metrics()
    assert digest(restored.state()) == digest(original.state()) != before
    for factory in factories:
        name = type(factory()).__name__
        if isinstance(factory, type) and name in original.metrics():
            assert original.metrics()[name] == pytest.approx(_plain(factory, examples, task))
            assert original.window_metrics()[name] == pytest.approx(_plain(factory, examples[-30:], task))


def test_state_of_other_metrics_is_refused() -> None:
    """A state cannot be restored into an evaluator that measures something else."""
    with pytest.raises(ValueError, match="LogLoss"):
        Evaluator((), REGRESSION).restore(Evaluator((), BINARY).state())


def test_what_is_no_metric_is_refused() -> None:
    """A factory of something else, a metric for other tasks, and one metric twice, are refused in words."""
    with pytest.raises(ModelError, match="does not work"):
        Evaluator((dict,), BINARY)
    with pytest.raises(ModelError, match="does not work"):
        Evaluator((metrics.F1, metrics.Silhouette), BINARY)
    with pytest.raises(ModelError, match="twice"):
        Evaluator((metrics.F1, metrics.F1), BINARY)


def test_figures_without_a_value_are_left_out() -> None:
    """As long as all labels are alike there is no area, and no figure that is not a number is ever sent."""
    evaluator = Evaluator((), BINARY)
    evaluator.update(1.0, 0.7)
    assert set(evaluator.metrics()) == set(evaluator.window_metrics()) == {"LogLoss", "Accuracy"}
