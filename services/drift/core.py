"""The fold of both drift stages: every record goes to a monitor of all records, and to those of its segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

from riverrun.drift.detectors import DetectorsState, ErrorDetectors
from riverrun.drift.monitor import Monitor, MonitorState
from riverrun.drift.settings import MonitorSettings
from riverrun.drift.shifts import Mark, Shift
from riverrun.drift.signals import Signal
from riverrun.records.items import Drift, Example, FieldValue, Prediction, Source
from services.drift.findings import Place, finding
from services.drift.observing import Observation, Observer

__all__ = ["DriftCore", "DriftSettings", "DriftState"]

_MOST_SEGMENTS: Final = 64
"""Values of a segment that are watched, the first to come; the others are counted."""


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """How a drift stage watches.

    Parameters
    ----------
    topic, partition
        The records' place: the source of the findings.
    whole, segment
        How all records are watched, and how those of a segment.
    models
        Names of the models whose errors River's detectors follow; empty for a stage that sees no errors.
    """

    topic: str
    partition: int
    whole: MonitorSettings
    segment: MonitorSettings
    models: tuple[str, ...] = ()


class DriftState(TypedDict):
    """All that the fold has made, in types that a pickle of a model may hold."""

    folded: int
    next: dict[int, int]
    watermark: int
    counters: dict[str, int]
    values: list[list[FieldValue]]
    segment_values: list[list[FieldValue]]
    whole: MonitorState
    segments: list[tuple[int, int, MonitorState]]
    detectors: list[DetectorsState]


class DriftCore:
    """Folds records into what they are distributed like, and tells what has moved.

    Parameters
    ----------
    observer
        Sees what is watched of a record.
    settings
        How it is watched.
    """

    def __init__(self, observer: Observer, settings: DriftSettings) -> None:
        self.settings = settings
        self._observer = observer
        self._fresh()

    def _fresh(self) -> None:
        settings, signals = self.settings, self._observer.signals
        self._folded = 0
        self._next: dict[int, int] = {}
        self._watermark = 0
        self._counters = {"records": 0, "watched": 0, "unwatched_segments": 0, "findings": 0}
        self._whole = Monitor(signals, settings.whole, self._confirmed)
        self._segments: dict[tuple[int, int], Monitor] = {}
        self._detectors = {model: ErrorDetectors(2 * settings.whole.window) for model in settings.models}

    @property
    def origin(self) -> str:
        """What a stored state must have grown from, as text: the settings, the signals and the segments."""
        return repr((self.settings, self._observer.signals, tuple(self._observer.segments)))

    @property
    def watermark(self) -> int:
        """The greatest event time folded, in milliseconds; 0 before the first."""
        return self._watermark

    @property
    def folded(self) -> int:
        """How many records were folded."""
        return self._folded

    def step(self, item: Prediction | Example) -> Sequence[Drift]:
        """Fold one record; return what has moved."""
        writer = item.writer if isinstance(item, Example) else self.settings.partition
        self._next[writer] = item.seq + 1
        position = self._folded
        self._folded += 1
        self._counters["records"] += 1
        known = item.label_time if isinstance(item, Example) else item.time
        self._watermark = max(self._watermark, item.time, known)
        seen = self._observer.observe(item)
        if seen is None:
            return ()
        self._counters["watched"] += 1
        for model, error, wrong in seen.errors:
            self._detectors[model].take(error, wrong=wrong)
        moved = [("", shift) for shift in self._whole.take(seen.row, position, item.time)]
        if seen.segments:
            moved += self._take_segments(seen, position, item.time)
        if not moved:
            return ()
        self._counters["findings"] += len(moved)
        source = Source(self.settings.topic, self.settings.partition, item.seq)
        at = Mark(position, self._watermark)
        return [self._finding(shift, Place(source, segment, at)) for segment, shift in moved]

    def _take_segments(self, seen: Observation, position: int, time: int) -> list[tuple[str, Shift]]:
        moved = []
        for index, (name, encoder) in enumerate(self._observer.segments.items()):
            code = seen.segments[index]
            if code is None:
                continue
            monitor = self._segments.get((index, code))
            if monitor is None:
                if code >= _MOST_SEGMENTS:
                    self._counters["unwatched_segments"] += 1
                    continue
                monitor = self._segments[index, code] = Monitor(self._observer.signals, self.settings.segment)
            moved += [(f"{name}={encoder.label(code)}", shift) for shift in monitor.take(seen.row, position, time)]
        return moved

    def _confirmed(self, model: str) -> bool:
        return bool(self._detectors[model].signalled())

    def _finding(self, shift: Shift, place: Place) -> Drift:
        signal: Signal = self._observer.signals[shift.signal]
        whole = shift.kind == "error" and not place.segment
        detectors = self._detectors[signal.subject].signalled() if whole else ()
        return finding(shift, signal, self._observer.encoders[shift.signal], place, detectors)

    def replay(self, item: Prediction | Example) -> None:
        """Fold one record again, unless the restored state reflects it already."""
        writer = item.writer if isinstance(item, Example) else self.settings.partition
        if item.seq >= self._next.get(writer, 0):
            self.step(item)

    def prefetch(self, items: Sequence[Prediction | Example]) -> None:
        """Nothing is needed from outside."""

    def counters(self) -> Mapping[str, int]:
        """Return how many records came, were watched, and what was found.

        ``unwatched_segments`` counts records of segments beyond the first 64 values.
        """
        return self._counters

    def resume(self, counters: Mapping[str, int], watermark: int) -> None:
        """Take over the committed counters and watermark."""
        self._counters = {name: counters.get(name, 0) for name in self._counters}
        self._watermark = watermark

    def state(self) -> DriftState:
        """Return everything that the fold has made; it shares the detectors, so pickle it before the next step."""
        return DriftState(
            folded=self._folded,
            next=dict(self._next),
            watermark=self._watermark,
            counters=dict(self._counters),
            values=[list(encoder.values) for encoder in self._observer.encoders],
            segment_values=[list(encoder.values) for encoder in self._observer.segments.values()],
            whole=self._whole.state(),
            segments=[(index, code, each.state()) for (index, code), each in self._segments.items()],
            detectors=[detectors.state() for detectors in self._detectors.values()],
        )

    def restore(self, state: DriftState) -> None:
        """Go on from a `state` of the same origin."""
        self._fresh()
        self._folded = state["folded"]
        self._next = dict(state["next"])
        self._watermark = state["watermark"]
        self._counters = dict(state["counters"])
        for encoder, values in zip(self._observer.encoders, state["values"], strict=True):
            encoder.restore(values)
        for encoder, values in zip(self._observer.segments.values(), state["segment_values"], strict=True):
            encoder.restore(values)
        self._whole.restore(state["whole"])
        for index, code, part in state["segments"]:
            monitor = self._segments[index, code] = Monitor(self._observer.signals, self.settings.segment)
            monitor.restore(part)
        for detectors, stored in zip(self._detectors.values(), state["detectors"], strict=True):
            detectors.restore(stored)

    def reset(self) -> None:
        """Go back to before the first record."""
        self._fresh()
        for encoder in (*self._observer.encoders, *self._observer.segments.values()):
            encoder.restore(())
