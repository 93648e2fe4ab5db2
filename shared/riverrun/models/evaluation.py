"""Prequential evaluation: each example is scored before it is learned, by the score that was really served.

The label comes late; the score was given when the prediction was made, by the model of that moment. That is
what is evaluated, not what the model would say now, with labels it had not seen then: progressive validation
with delayed labels, as River's ``evaluate.progressive_val_score`` does when it is given a ``delay``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

from riverrun.models.adapter import Task
from riverrun.models.measures import make_measures

__all__ = ["Evaluator"]


class Evaluator:
    """One model's quality so far and over the last examples. Its state belongs to the learner's fold.

    Parameters
    ----------
    metrics
        Factories of River metrics; empty for the task's usual ones.
    task
        What is predicted.
    window
        How many of the last examples the window holds.

    Examples
    --------
    >>> evaluator = Evaluator((), "regression", window=2)
    >>> for label, score in ((1.0, 9.0), (2.0, 3.0), (4.0, 4.0)):
    ...     evaluator.update(label, score)
    >>> evaluator.metrics()["MAE"], evaluator.window_metrics()["MAE"]
    (3.0, 0.5)
    """

    __slots__ = ("_labels", "_measures", "_scores", "_updates", "count")

    def __init__(self, metrics: Sequence[Callable[[], object]], task: Task, window: int = 5_000) -> None:
        self.count = 0
        self._measures = make_measures(metrics, task)
        self._updates = tuple(measure.update for measure in self._measures)
        self._labels: deque[float] = deque(maxlen=window)
        self._scores: deque[float] = deque(maxlen=window)

    def update(self, label: float, score: float) -> None:
        """Take in one example and the score that was served for it; both finite."""
        self.count += 1
        self._labels.append(label)
        self._scores.append(score)
        for update in self._updates:
            update(label, score)

    def metrics(self) -> dict[str, float]:
        """Return the figures over all examples; those that have no value yet are left out."""
        return _known({measure.name: measure.value() for measure in self._measures})

    def window_metrics(self) -> dict[str, float]:
        """Return the figures over the window."""
        labels, scores = list(self._labels), list(self._scores)
        return _known({measure.name: measure.over(labels, scores) for measure in self._measures})

    def state(self) -> object:
        """Return what `restore` needs, in types that a snapshot may hold."""
        parts = {measure.name: measure.state() for measure in self._measures}
        return (self.count, list(self._labels), list(self._scores), parts)

    def restore(self, state: object) -> None:
        """Go on from a `state` of an evaluator with the same metrics.

        Raises
        ------
        ValueError
            If the metrics are not the same.
        """
        count, labels, scores, parts = cast("tuple[int, list[float], list[float], dict[str, object]]", state)
        if list(parts) != [measure.name for measure in self._measures]:
            raise ValueError(f"the stored metrics are {list(parts)}")
        for measure in self._measures:
            measure.restore(parts[measure.name])
        self.count = count
        self._labels.clear()
        self._labels.extend(labels)
        self._scores.clear()
        self._scores.extend(scores)


def _known(figures: dict[str, float | None]) -> dict[str, float]:
    return {name: figure for name, figure in figures.items() if figure is not None}
