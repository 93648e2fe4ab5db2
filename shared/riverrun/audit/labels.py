"""How predictions end, written once more as plainly as it can be said: lists, dictionaries and one heap.

All in event time. The watermark is the greatest time of any event so far. A prediction at time *t* waits until the
watermark lies beyond *t* + wait. An event first moves the watermark, then ends what is overdue, then labels: all that
wait with its join value; those that have a label already, if it differs, are revised. A label that finds no prediction
is kept for its own time + wait. A prediction that has ended is remembered for another wait.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from riverrun.pipeline import Pipeline, compile_expression
from riverrun.records.items import DEFAULTED, EXPIRED, LABELLED, REVISED, Event, FieldValue, Prediction

__all__ = ["End", "Labels"]

_PRUNE_EVERY: Final = 10_000
_NEVER: Final = -1


class End(NamedTuple):
    """What became of a prediction: what its example must say."""

    prediction: Prediction
    outcome: str
    label: float | None
    label_time: int


@dataclass(slots=True)
class _Entry:
    """A prediction that is waiting, or is remembered: ``status`` is empty while it waits, else how it ended."""

    prediction: Prediction
    deadline: int
    status: str = ""
    label: float | None = None
    is_gone: bool = False


class Labels:
    """The predictions of one partition and their labels.

    Parameters
    ----------
    pipeline
        What a label is and how long it is waited for.

    Attributes
    ----------
    counts
        How many predictions came, and ended in each way.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        label = pipeline.label
        self.counts: Counter[str] = Counter()
        self._stream = pipeline.label_stream.name
        self._join = None if label.join == pipeline.label_stream.key_field else label.join
        self._value = compile_expression(label.value)
        self._wait = label.wait_ms
        self._otherwise = None if label.otherwise is None else float(label.otherwise)
        self._recurring = label.recurring
        self._watermark = 0
        self._entries: dict[str, list[_Entry]] = {}
        self._heap: list[tuple[int, int, _Entry]] = []
        self._early: dict[str, tuple[float, int]] = {}
        self._prune_at = _PRUNE_EVERY

    def take_prediction(self, prediction: Prediction) -> Iterator[End]:
        """Enter a prediction; it ends at once if its label was there before it."""
        self.counts["predictions"] += 1
        join, deadline = prediction.key, prediction.time + self._wait
        entry = _Entry(prediction, deadline)
        self._entries.setdefault(join, []).append(entry)
        early = self._early_label(join)
        if early is not None and early[1] <= deadline:
            entry.status, entry.label, entry.deadline = LABELLED, early[0], self._watermark + self._wait
            yield self._end(entry, LABELLED, *early)
        heapq.heappush(self._heap, (entry.deadline, prediction.seq, entry))

    def take_event(self, event: Event) -> Iterator[End]:
        """Take an event: end what is overdue, then label."""
        self._watermark = max(self._watermark, event.time)
        yield from self._end_overdue()
        if event.stream == self._stream:
            yield from self._take_label(event)

    def _end_overdue(self) -> Iterator[End]:
        due: list[_Entry] = []
        while self._heap and self._heap[0][0] < self._watermark:
            deadline, _, entry = heapq.heappop(self._heap)
            if not entry.is_gone and entry.deadline == deadline:
                # It may be in the heap for this deadline twice.
                entry.deadline = _NEVER
                due.append(entry)
        for entry in due:
            waited, entry.status = not entry.status, entry.status or EXPIRED
            if waited:
                outcome = EXPIRED if self._otherwise is None else DEFAULTED
                yield self._end(entry, outcome, self._otherwise, entry.prediction.time + self._wait)
            if waited and not self._recurring:
                self._remember(entry)
            else:
                self._drop(entry)

    def _take_label(self, event: Event) -> Iterator[End]:
        label, join = _number(self._value(event.fields)), self._join_value(event)
        if label is None or join is None:
            return
        entries = list(self._entries.get(join, ()))
        for entry in entries:
            if entry.prediction.event_seq == event.seq or entry.status == EXPIRED:
                continue
            if not entry.status:
                self._give(entry, label)
                yield self._end(entry, LABELLED, label, event.time)
            elif entry.label != label:
                self._give(entry, label)
                self.counts[REVISED] += 1
                yield End(entry.prediction, REVISED, label, event.time)
        in_time = not self._recurring and event.time + self._wait >= self._watermark
        if in_time and (not entries or self._early_label(join) is not None):
            self._keep_early(join, label, event.time)

    def _give(self, entry: _Entry, label: float) -> None:
        entry.status, entry.label = LABELLED, label
        if self._recurring:
            self._drop(entry)
        else:
            self._remember(entry)

    def _remember(self, entry: _Entry) -> None:
        entry.deadline = self._watermark + self._wait
        heapq.heappush(self._heap, (entry.deadline, entry.prediction.seq, entry))

    def _drop(self, entry: _Entry) -> None:
        entry.is_gone = True
        others = [each for each in self._entries[entry.prediction.key] if each is not entry]
        if others:
            self._entries[entry.prediction.key] = others
        else:
            del self._entries[entry.prediction.key]

    def _end(self, entry: _Entry, outcome: str, label: float | None, time: int) -> End:
        self.counts[outcome] += 1
        return End(entry.prediction, outcome, label, time)

    def _join_value(self, event: Event) -> str | None:
        if self._join is None:
            return event.key
        value = event.fields.get(self._join)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, bytes):
            return value.hex()
        return None if value is None else str(value)

    def _early_label(self, join: str) -> tuple[float, int] | None:
        early = self._early.get(join)
        return early if early is not None and early[1] + self._wait >= self._watermark else None

    def _keep_early(self, join: str, label: float, time: int) -> None:
        self._early[join] = label, time
        if len(self._early) >= self._prune_at:
            self._early = {name: each for name, each in self._early.items() if self._early_label(name) is not None}
            self._prune_at = 2 * len(self._early) + _PRUNE_EVERY


def _number(value: FieldValue) -> float | None:
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return float(value)
    return None
