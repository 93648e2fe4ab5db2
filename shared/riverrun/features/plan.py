"""The features of a pipeline, compiled: which aggregates there are, where each lies, and what an event updates.

Aggregates that say the same are one, however many features use them. Those of the same entity are a *group*: their
partials live, travel and are stored together. Those of a group over the same stream and window share a ring.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from riverrun.features.entities import EntityOf, entity_of
from riverrun.features.errors import FeaturePlanError
from riverrun.features.panes import Column, RingLayout
from riverrun.features.partials import Count, DecayedMean, Last, Maximum, Mean, Minimum, Partial, Sum, Variance
from riverrun.features.sketches import Distinct, Quantile
from riverrun.pipeline.compiling import compile_expression
from riverrun.pipeline.expressions import HALF_LIFE_MS, QUANTILE, Aggregate, Expression, Literal
from riverrun.pipeline.traversal import aggregates_in, describe

if TYPE_CHECKING:
    from riverrun.pipeline import Pipeline
    from riverrun.pipeline.closures import Compiled
    from riverrun.pipeline.streams import Stream
    from riverrun.records.items import FieldValue

__all__ = ["DECAY_HALF_LIVES", "FORMAT", "FeaturePlan", "Group", "StreamGroup", "StreamUpdates"]

FORMAT: Final = 1
"""Version of the stored partials' bytes, and of what the partials mean."""

DECAY_HALF_LIVES: Final = 64
"""A decayed mean forgets what is older than so many half-lives: it would weigh less than a double can tell."""

_DECAY_PANES: Final = 8
_MAX_PANES: Final = 10_000

_SIMPLE: Final[Mapping[str, Partial]] = {
    "count": Count(),
    "sum": Sum(),
    "mean": Mean(),
    "variance": Variance(),
    "min": Minimum(),
    "max": Maximum(),
    "last": Last(),
    "distinct": Distinct(),
}

_Pairs = tuple[tuple[str, str], ...]


class _RingKey(NamedTuple):
    """What aggregates must have in common to share a ring."""

    stream: str
    pane_ms: int
    panes: int


@dataclass(frozen=True, slots=True)
class Group:
    """The aggregates of one kind of entity.

    Attributes
    ----------
    id : str
        Its stable name: the fields of the event to predict on, with those of the stream where they differ.
    entity : callable
        Names the entity of an event to predict on.
    layouts : tuple of RingLayout
        The rings that an entity may have.
    fingerprint : bytes
        Eight bytes that change when anything about the group's aggregates does.
    is_local : bool
        Whether all events of an entity are in one partition, since the entity includes the key.
    """

    id: str
    entity: EntityOf
    layouts: tuple[RingLayout, ...]
    fingerprint: bytes
    is_local: bool


class StreamGroup(NamedTuple):
    """What an event of one stream updates in one group: the rings, by their number in the group."""

    group: int
    entity: EntityOf
    rings: tuple[tuple[int, RingLayout], ...]


@dataclass(frozen=True, slots=True)
class StreamUpdates:
    """What an event of one stream updates: the values to take from it, each once, and the groups to fold them into."""

    values: tuple[Compiled, ...]
    groups: tuple[StreamGroup, ...]


@dataclass(frozen=True, slots=True)
class FeaturePlan:
    """A pipeline's features, ready to be computed.

    Attributes
    ----------
    predict_on : str
        Name of the stream whose events get a vector.
    names : tuple of str
        The features, in the order of a vector.
    groups : tuple of Group
        The kinds of entities.
    streams : mapping of str to StreamUpdates
        The aggregated streams by name.
    empty : tuple
        What each aggregate is when nothing was folded: None, or 0.
    fingerprint : str
        Changes when anything does that makes stored partials useless.
    """

    predict_on: str
    names: tuple[str, ...]
    groups: tuple[Group, ...]
    streams: Mapping[str, StreamUpdates]
    empty: tuple[FieldValue, ...]
    fingerprint: str
    _features: tuple[Expression, ...]
    _slots: Mapping[str, int]

    @classmethod
    def compile(cls, pipeline: Pipeline) -> FeaturePlan:
        """Compile the features of a pipeline.

        Raises
        ------
        FeaturePlanError
            If a window cannot be divided into its panes, or an aggregate is of no known function.
        ExpressionError
            If an expression has no kind.
        """
        return cls.of(pipeline.predict_on, pipeline.features)

    @classmethod
    def of(cls, predict_on: Stream, features: Mapping[str, Expression]) -> FeaturePlan:
        """Compile features of the events of ``predict_on``; raises as :meth:`compile`."""
        aggregates = {describe(found): found for value in features.values() for found in aggregates_in(value)}
        builder = _Builder(predict_on, aggregates)
        groups = builder.groups()
        digest = hashlib.sha256(b"".join(group.fingerprint for group in groups))
        return cls(
            predict_on=predict_on.name,
            names=tuple(features),
            groups=groups,
            streams=builder.streams(groups),
            empty=tuple(_empty(found) for found in aggregates.values()),
            fingerprint=digest.hexdigest()[:16],
            _features=tuple(features.values()),
            _slots=builder.slots,
        )

    def bind(self, results: list[FieldValue]) -> tuple[Compiled, ...]:
        """Return each feature as a function of an event's fields, that finds aggregates in ``results``."""

        def read(aggregate: Aggregate) -> Compiled:
            slot = self._slots[describe(aggregate)]
            return lambda _fields: results[slot]

        return tuple(compile_expression(feature, read) for feature in self._features)


class _Builder:
    """Sorts aggregates into groups and rings, in an order that does not depend on that of the features."""

    def __init__(self, predict_on: Stream, aggregates: Mapping[str, Aggregate]) -> None:
        self._predict_on = predict_on
        self._aggregates = aggregates
        self.slots = {text: slot for slot, text in enumerate(aggregates)}
        self._values: dict[str, dict[str, int]] = {}
        self._compiled: dict[str, list[Compiled]] = {}
        self._sorted: dict[_Pairs, dict[_RingKey, list[str]]] = {}
        for text in sorted(aggregates, key=lambda text: (not _partial(aggregates[text]).codes, text)):
            aggregate = aggregates[text]
            pairs = tuple(sorted(aggregate.entity, key=lambda pair: (pair[1], pair[0])))
            self._sorted.setdefault(pairs, {}).setdefault(_ring_key(aggregate), []).append(text)

    def groups(self) -> tuple[Group, ...]:
        """Return the groups, sorted by their pairs of fields."""
        return tuple(self._group(pairs, rings) for pairs, rings in sorted(self._sorted.items()))

    def _group(self, pairs: _Pairs, rings: Mapping[_RingKey, list[str]]) -> Group:
        name = "+".join(theirs if mine == theirs else f"{mine}={theirs}" for mine, theirs in pairs) or "*"
        ordered = sorted(rings.items())
        identity = repr((FORMAT, name, [(*key, texts) for key, texts in ordered]))
        key_field = self._predict_on.key_field
        streams = [self._aggregates[texts[0]].stream for texts in rings.values()]
        return Group(
            id=name,
            entity=entity_of([theirs for _, theirs in pairs]),
            layouts=tuple(self._layout(key, texts) for key, texts in ordered),
            fingerprint=hashlib.sha256(identity.encode()).digest()[:8],
            is_local=all((stream.key_field, key_field) in pairs for stream in streams),
        )

    def _layout(self, key: _RingKey, texts: list[str]) -> RingLayout:
        columns = []
        for text in texts:
            aggregate = self._aggregates[text]
            columns.append(Column(_partial(aggregate), self._value_slot(aggregate), self.slots[text]))
        return RingLayout(key.pane_ms, key.panes, columns)

    def _value_slot(self, aggregate: Aggregate) -> int:
        value = aggregate.value if aggregate.value is not None else Literal(value=True)
        slots = self._values.setdefault(aggregate.stream.name, {})
        text = describe(value)
        if text not in slots:
            slots[text] = len(slots)
            self._compiled.setdefault(aggregate.stream.name, []).append(compile_expression(value))
        return slots[text]

    def streams(self, groups: tuple[Group, ...]) -> Mapping[str, StreamUpdates]:
        """Return what the events of each stream update."""
        found: dict[str, list[StreamGroup]] = {}
        for number, (pairs, rings) in enumerate(sorted(self._sorted.items())):
            by_stream: dict[str, list[tuple[int, RingLayout]]] = {}
            for index, key in enumerate(sorted(rings)):
                by_stream.setdefault(key.stream, []).append((index, groups[number].layouts[index]))
            entity = entity_of([mine for mine, _ in pairs])
            for stream, layouts in by_stream.items():
                found.setdefault(stream, []).append(StreamGroup(number, entity, tuple(layouts)))
        return {stream: StreamUpdates(tuple(self._compiled[stream]), tuple(parts)) for stream, parts in found.items()}


def _ring_key(aggregate: Aggregate) -> _RingKey:
    window_ms, panes = aggregate.window_ms, aggregate.panes
    if window_ms is None and aggregate.function == "decayed_mean":
        window_ms, panes = int(_parameter(aggregate, HALF_LIFE_MS)) * DECAY_HALF_LIVES, _DECAY_PANES
    if window_ms is None:
        raise FeaturePlanError(f"{describe(aggregate)} has no window", hint='add .over("1h")')
    if not 1 <= panes <= _MAX_PANES or window_ms < panes or window_ms % panes:
        raise FeaturePlanError(
            f"the window of {describe(aggregate)}, {window_ms} ms, cannot be divided into {panes} panes",
            hint=f"panes is a number from 1 to {_MAX_PANES} that divides the window into whole milliseconds",
        )
    return _RingKey(aggregate.stream.name, window_ms // panes, panes)


def _partial(aggregate: Aggregate) -> Partial:
    if aggregate.function == "decayed_mean":
        return DecayedMean(_parameter(aggregate, HALF_LIFE_MS))
    if aggregate.function == "quantile":
        return Quantile(_parameter(aggregate, QUANTILE))
    return _SIMPLE[aggregate.function]


def _parameter(aggregate: Aggregate, name: str) -> float:
    value = dict(aggregate.params).get(name, math.nan)
    sound = 0.0 <= value <= 1.0 if name == QUANTILE else value >= 1.0
    if not sound:
        raise FeaturePlanError(
            f"{describe(aggregate)} has no sound {name}",
            hint="a quantile lies between 0 and 1, a half-life is at least 1 ms",
        )
    return value


def _empty(aggregate: Aggregate) -> FieldValue:
    partial = _partial(aggregate)
    return partial.result([*partial.identity], 0)
