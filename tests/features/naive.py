"""Features the slow and obvious way: keeps every event and works each vector out from scratch.

Written from the documentation of the window (``riverrun/features/panes.py``) and of the aggregates
(``riverrun/pipeline/aggregates.py``), with none of their code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from riverrun.pipeline import Aggregate
from riverrun.records.items import FieldValue
from tests.features.made import Happening
from tests.pipeline.made import evaluate

HALF_LIVES_KEPT = 64
DECAY_PANES = 8


class Seen(NamedTuple):
    """An event and its place: its partition and the count of events before it."""

    happening: Happening
    partition: int
    place: int


class NaiveFeatures:
    """All events so far, of all partitions."""

    def __init__(self, features: Mapping[str, Aggregate]) -> None:
        self._features = features
        self._seen: list[Seen] = []

    def add(self, happening: Happening, partition: int = 0) -> None:
        self._seen.append(Seen(happening, partition, len(self._seen)))

    def watermark(self, partition: int | None = None) -> int:
        times = [seen.happening.time for seen in self._seen if partition in (None, seen.partition)]
        return max(times, default=0)

    def vector(self, happening: Happening, partition: int | None = None) -> tuple[FieldValue, ...]:
        """Return the features of an event that was not added yet, as a partition, or one for all, would."""
        watermark = self.watermark(partition)
        return tuple(self._value(aggregate, happening, watermark) for aggregate in self._features.values())

    def _value(self, aggregate: Aggregate, asking: Happening, watermark: int) -> FieldValue:
        wanted = [asking.fields.get(theirs) for _, theirs in aggregate.entity]
        if None in wanted:
            return empty(aggregate)
        of_entity = [
            seen
            for seen in self._seen
            if seen.happening.stream == aggregate.stream.name
            and [seen.happening.fields.get(mine) for mine, _ in aggregate.entity] == wanted
        ]
        if not of_entity:
            return empty(aggregate)
        window, panes = window_of(aggregate)
        length = window // panes
        newest = max(seen.happening.time // length for seen in of_entity)
        end = asking.time // length
        first = max(end, newest, watermark // length - panes) - panes + 1
        inside = [seen for seen in of_entity if first <= seen.happening.time // length <= end]
        return result(aggregate, inside)


def window_of(aggregate: Aggregate) -> tuple[int, int]:
    """Return the length of the window and the number of its panes."""
    if aggregate.window_ms is None:
        return int(dict(aggregate.params)["half_life_ms"]) * HALF_LIVES_KEPT, DECAY_PANES
    return aggregate.window_ms, aggregate.panes


def empty(aggregate: Aggregate) -> FieldValue:
    """Return what an aggregate of nothing is."""
    return {"count": 0, "distinct": 0, "sum": 0.0}.get(aggregate.function)


def result(aggregate: Aggregate, inside: list[Seen]) -> FieldValue:
    """Aggregate the events of a window."""
    pairs = [(value, seen) for seen in inside if (value := _argument(aggregate, seen.happening)) is not None]
    if not pairs:
        return empty(aggregate)
    if aggregate.function == "last":
        return max(pairs, key=lambda pair: (pair[1].happening.time, pair[1].partition, pair[1].place))[0]
    values = [value for value, _ in pairs]
    if aggregate.function in ("count", "distinct"):
        return len(values) if aggregate.function == "count" else len(set(values))
    numbers = [value for value in values if not isinstance(value, str)]
    if aggregate.function == "decayed_mean":
        newest = max(seen.happening.time for _, seen in pairs)
        half_life = dict(aggregate.params)["half_life_ms"]
        weights = [2.0 ** (-(newest - seen.happening.time) / half_life) for _, seen in pairs]
        return math.fsum(map(math.prod, zip(weights, numbers, strict=True))) / math.fsum(weights)
    return _of_numbers(aggregate, numbers)


def _of_numbers(aggregate: Aggregate, numbers: list[int | float]) -> FieldValue:
    mean = math.fsum(numbers) / len(numbers)
    match aggregate.function:
        case "sum":
            return math.fsum(numbers)
        case "mean":
            return mean
        case "variance":
            return math.fsum((number - mean) ** 2 for number in numbers) / len(numbers)
        case "min":
            return min(numbers)
        case "max":
            return max(numbers)
        case "quantile":
            return float(np.quantile(numbers, dict(aggregate.params)["q"]))
    raise AssertionError(aggregate.function)


def _argument(aggregate: Aggregate, happening: Happening) -> bool | int | float | str | None:
    if aggregate.value is None:
        return True
    value = evaluate(aggregate.value, happening.fields)
    assert not isinstance(value, bytes)
    return value
