"""``aggregates``: what an aggregate costs among many, against one alone: the features of one vector, and their update.

Processor time of one thread, in memory: an event folded and a vector taken, with every number of aggregates in turn,
round after round. The aggregates are of different functions, fields and windows, of one entity or spread over four.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Final

from benchmarks.figures import Figure
from benchmarks.lab import Lab
from benchmarks.rounds import median_and_spread
from benchmarks.synthetic import make_stream
from riverrun.features import FeaturePlan, FeatureTable
from riverrun.pipeline import Aggregate, Expression, count, last, max_, mean, variance
from riverrun.records.items import FieldValue

COUNTS: Final = (1, 2, 4, 8, 16, 32, 64)
ENTITIES: Final = (1, 4)
_FUNCTIONS: Final[tuple[Callable[[Expression], Aggregate], ...]] = (mean, max_, count, last, variance)
_WINDOWS: Final = ("1h", "3h", "12h", "1d")
_FIELDS: Final = 8
_EVENTS: Final = 1_000
_STEP_MS: Final = 20_000
_ROUNDS: Final = 15


def measure(lab: Lab) -> Figure:
    """Measure; the figure is the worse of one entity and four, and so is that of the worst doubling on the way."""
    rounds = _ROUNDS * (1 if lab.size.name == "quick" else 4)
    benches = {(entities, number): _Bench(number, entities) for entities in ENTITIES for number in COUNTS}
    costs: dict[tuple[int, int], list[float]] = {each: [] for each in benches}
    for _ in range(rounds):
        for each, bench in benches.items():
            costs[each].append(bench.run())
    ratios = {entities: _ratios(costs[entities, COUNTS[0]], costs[entities, COUNTS[-1]]) for entities in ENTITIES}
    worst = max(ENTITIES, key=lambda entities: median_and_spread(ratios[entities])[0])
    value, spread = median_and_spread(ratios[worst])
    doublings = [
        median_and_spread(_ratios(costs[entities, fewer], costs[entities, more]))[0]
        for entities in ENTITIES
        for fewer, more in pairwise(COUNTS)
    ]
    micros = {
        f"{entities}_entities_{number}_us": round(median_and_spread(each)[0] * 1e6, 2)
        for (entities, number), each in costs.items()
    }
    parts = {"worst_doubling": (max(doublings), 1.0)}
    return Figure("aggregates", value, spread, tuple(ratios[worst]), parts, {"worst_entities": worst, **micros})


def _ratios(fewer: list[float], more: list[float]) -> list[float]:
    """Return, round by round, what an aggregate costs among more, by what it costs among fewer."""
    return [each / other for other, each in zip(fewer, more, strict=True)]


class _Bench:
    """A table with so many aggregates, spread over so many entities."""

    def __init__(self, number: int, entities: int) -> None:
        names = tuple(f"e{index}" for index in range(entities))
        values = tuple(f"f{index}" for index in range(_FIELDS))
        asked = make_stream("aggregates-raw.asked", values, names)
        features = {}
        for index in range(number):
            function = _FUNCTIONS[index % len(_FUNCTIONS)]
            value = asked[values[index // len(_FUNCTIONS) % _FIELDS]]
            window = _WINDOWS[index // (len(_FUNCTIONS) * _FIELDS) % len(_WINDOWS)]
            features[f"a{index}"] = function(value).by(names[index % entities]).over(window, panes=6)
        self._number = number
        self._table = FeatureTable(FeaturePlan.of(asked, features))
        self._fields: dict[str, FieldValue] = {
            **{name: f"{name}-x" for name in names},
            **{name: float(index) for index, name in enumerate(values)},
            "id": "i",
            "who": "w",
            "at": 0,
        }
        self._seq = 0

    def run(self) -> float:
        """Return the seconds that one aggregate of one event takes."""
        table, fields, seq = self._table, self._fields, self._seq
        began = time.thread_time()
        for number in range(seq, seq + _EVENTS):
            table.vector(fields, number * _STEP_MS)
            table.update("asked", fields, number * _STEP_MS, number)
        took = time.thread_time() - began
        self._seq = seq + _EVENTS
        return took / _EVENTS / self._number
