"""The detectors under judgement: both drift stages' cores, behind a model that learns online."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Final

from river import linear_model

from benchmarks.drift.streams import CATEGORIES, FEATURES, NUMBERS, Event
from riverrun.models.adapter import make_learner
from riverrun.pipeline import Drift, Model
from riverrun.records.items import EXPIRED, LABELLED, Example, FieldValue, ModelScore, Prediction, Source
from riverrun.records.items import Drift as Finding
from services.drift.core import DriftCore, DriftSettings
from services.drift.observing import ErrorObserver, InputObserver
from services.drift.watching import monitor_settings

__all__ = ["WAIT", "Subject"]

WAIT: Final = 1_000
"""Events after which a label is not waited for any longer."""

_MODEL: Final = "line"
_SECOND_MS: Final = 1_000


class Subject:
    """Folds a stream as a pipeline would that declares ``drift=Drift(segments=["region"])``.

    Attributes
    ----------
    found
        What was found, with the number of events that had been seen by then.
    """

    def __init__(self) -> None:
        self.found: list[tuple[int, Finding]] = []
        self._vectors: dict[bytes, tuple[FieldValue, ...]] = {}
        self._model = make_learner(Model(_MODEL, linear_model.LogisticRegression), "binary")
        drift = Drift(segments=["region"])
        whole, segment = monitor_settings(drift)
        watched = {name: name in CATEGORIES for name in FEATURES}
        inputs = InputObserver(FEATURES, watched, (_MODEL,), drift.segments, self._vectors.__getitem__)
        errors = ErrorObserver(FEATURES, (_MODEL,), drift.segments, binary=True, read_vector=self._vectors.__getitem__)
        self._inputs = DriftCore(inputs, DriftSettings("judged.predictions", 0, whole, segment))
        self._errors = DriftCore(errors, DriftSettings("judged.examples", 0, whole, segment, (_MODEL,)))
        self._due: list[tuple[int, int, Example]] = []
        self._examples = 0

    def run(self, events: Iterable[Event]) -> None:
        """Fold a stream's events, each label when it comes."""
        for number, event in enumerate(events):
            while self._due and self._due[0][0] <= number:
                self._learn(number, heapq.heappop(self._due)[2])
            self._predict(number, event)

    def _predict(self, number: int, event: Event) -> None:
        vector = b"%d" % number
        self._vectors[vector] = event.values
        x = _numbers(event.values)
        scores = (ModelScore(_MODEL, self._examples, self._model.predict(x)),)
        time = number * _SECOND_MS
        prediction = Prediction(str(number), "", time, number, scores, vector, Source("judged.vectors", 0, number))
        prediction.seq = number
        self.found += [(number, finding) for finding in self._inputs.step(prediction)]
        known = WAIT if event.label_delay is None else event.label_delay
        outcome, label = (EXPIRED, None) if event.label_delay is None else (LABELLED, float(event.label))
        due = time + known * _SECOND_MS
        example = Example(str(number), "", time, outcome, label, due, scores, vector, prediction.source)
        heapq.heappush(self._due, (number + known, number, example))

    def _learn(self, number: int, example: Example) -> None:
        example.seq = self._examples
        self._examples += 1
        self.found += [(number, finding) for finding in self._errors.step(example)]
        values = self._vectors.pop(example.vector)
        if example.label is not None:
            self._model.learn(_numbers(values), example.label)


def _numbers(values: Sequence[FieldValue]) -> dict[str, FieldValue]:
    """Return the numbers that the model learns from; a missing one is its mean."""
    return {name: value or 0.0 for name, value in zip(NUMBERS, values, strict=False)}
