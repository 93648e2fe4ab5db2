"""How the small pipeline's predictions end, told by walking over all of them for every event: slow, and on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from riverrun.records.items import Event, Prediction
from riverrun.testing.small_pipeline import WAIT_MS

__all__ = ["Ending", "NaiveLabels"]


class Ending(NamedTuple):
    """An example as it ought to be."""

    prediction: int
    outcome: str
    label: float | None
    label_time: int


@dataclass(slots=True)
class _Waiting:
    prediction: Prediction
    deadline: int
    label: float | None = None
    status: str = "pending"


@dataclass(slots=True)
class _Early:
    label: float
    time: int
    used: bool = False


class NaiveLabels:
    """Ends predictions.

    Parameters
    ----------
    otherwise
        The label of what is not answered in time; None lets it expire.

    Attributes
    ----------
    endings
        The examples, in order.
    counts
        What the stage ought to have counted.
    watermark
        The greatest event time so far.
    """

    def __init__(self, otherwise: float | None) -> None:
        self.endings: list[Ending] = []
        names = ("predictions", "labelled", "defaulted", "expired", "pending", "revised", "late", "repeated")
        self.counts = dict.fromkeys(names, 0)
        self.watermark = 0
        self._otherwise = otherwise
        self._waiting: list[_Waiting] = []
        self._early: dict[str, _Early] = {}

    def fold(self, events: Sequence[Event], predictions: Sequence[Prediction]) -> None:
        """Fold a partition: before each event the prediction that was made on it."""
        by_event = {prediction.event_seq: prediction for prediction in predictions}
        for event in events:
            if event.seq in by_event:
                self._predict(by_event[event.seq])
            self._pass(event)

    def _predict(self, prediction: Prediction) -> None:
        self.counts["predictions"] += 1
        self.counts["pending"] += 1
        waiting = _Waiting(prediction, prediction.time + WAIT_MS)
        self._waiting.append(waiting)
        early = self._early.get(prediction.key)
        if early is not None and early.time <= waiting.deadline:
            self._end(waiting, "labelled", early.label, early.time)

    def _pass(self, event: Event) -> None:
        self.watermark = max(self.watermark, event.time)
        over = [waiting for waiting in self._waiting if waiting.deadline < self.watermark]
        for waiting in sorted(over, key=lambda each: (each.deadline, each.prediction.seq)):
            if waiting.status == "pending":
                outcome = "expired" if self._otherwise is None else "defaulted"
                self._end(waiting, outcome, self._otherwise, waiting.prediction.time + WAIT_MS)
            else:
                self._waiting.remove(waiting)
        self._early = {who: early for who, early in self._early.items() if early.time + WAIT_MS >= self.watermark}
        worth = event.fields.get("worth")
        if event.stream == "answered" and isinstance(worth, float):
            self._answer(event, 1.0 if worth > 2 else 0.0)

    def _answer(self, event: Event, label: float) -> None:
        known = [waiting for waiting in self._waiting if waiting.prediction.key == event.key]
        for waiting in known:
            if waiting.status == "pending":
                self._end(waiting, "labelled", label, event.time)
            elif waiting.status != "labelled":
                self.counts["late"] += 1
            elif waiting.label == label:
                self.counts["repeated"] += 1
            else:
                self.counts["revised"] += 1
                self._remember(waiting, label)
                self.endings.append(Ending(waiting.prediction.seq, "revised", label, event.time))
        in_time = event.time + WAIT_MS >= self.watermark
        if in_time and (event.key in self._early or not known):
            self._early[event.key] = _Early(label, event.time)

    def _end(self, waiting: _Waiting, outcome: str, label: float | None, time: int) -> None:
        self.counts["pending"] -= 1
        self.counts[outcome] += 1
        waiting.status = outcome
        self._remember(waiting, label)
        self.endings.append(Ending(waiting.prediction.seq, outcome, label, time))

    def _remember(self, waiting: _Waiting, label: float | None) -> None:
        waiting.label = label
        waiting.deadline = self.watermark + WAIT_MS
