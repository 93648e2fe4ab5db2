"""Which aggregates a pipeline keeps, of which entities and in which panes, from its definition.

Aggregates of the same entity form a group; those of a group over the same stream and window share rings of panes. The
order of groups, rings and columns is that in which partials are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from riverrun.audit.aggregates import Arithmetic, arithmetic_of
from riverrun.pipeline import Compiled, Expression, Pipeline, compile_expression, describe
from riverrun.pipeline.expressions import HALF_LIFE_MS, Aggregate
from riverrun.records.items import FieldValue

__all__ = ["Column", "Group", "Layout", "Window", "entity_name"]

FIXED: Final = frozenset({"count", "sum", "mean", "variance", "decayed_mean"})
"""Aggregates whose stored states have a fixed size; they come first in a row."""

_HALF_LIVES: Final = 64
_DECAY_PANES: Final = 8


class Column(NamedTuple):
    """An aggregate of a window.

    ``value`` says which of the stream's values it folds, ``slot`` which of a vector's aggregates it is.
    """

    function: str
    arithmetic: Arithmetic
    value: int
    slot: int


@dataclass(frozen=True, slots=True)
class Window:
    """The aggregates of one stream and window, of one kind of entity."""

    stream: str
    pane_ms: int
    panes: int
    columns: tuple[Column, ...]

    @property
    def nothing(self) -> tuple[None, ...]:
        """The row of a pane without values."""
        return (None,) * len(self.columns)


@dataclass(frozen=True, slots=True)
class Group:
    """The windows of one kind of entity.

    Parameters
    ----------
    id
        Its name: the fields of the event to predict on, with the stream's where they differ.
    mine, theirs
        The fields that name the entity in the aggregated streams, and in the event to predict on.
    windows
        In the order in which they are stored.
    is_local
        Whether an entity's events are all in one partition.
    """

    id: str
    mine: tuple[str, ...]
    theirs: tuple[str, ...]
    windows: tuple[Window, ...]
    is_local: bool


class Layout:
    """A pipeline's groups, and its features as functions of their aggregates.

    Parameters
    ----------
    pipeline
        The definition.

    Attributes
    ----------
    groups
        The groups, in order.
    nothing
        What each aggregate is when there were no values.
    results
        Where ``features`` find the aggregates.
    features
        Each feature as a function of the event's fields.
    values
        For each stream, what its aggregates fold: functions of an event's fields, each of them once.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        aggregates = {describe(each): each for each in pipeline.aggregates}
        self._slots = {text: slot for slot, text in enumerate(aggregates)}
        self.nothing = tuple(arithmetic_of(each).nothing for each in aggregates.values())
        self.results: list[FieldValue] = list(self.nothing)
        self.values: dict[str, list[Compiled]] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self.groups = self._sort(pipeline, aggregates)
        self.features = tuple(self._compile(feature) for feature in pipeline.features.values())

    def _compile(self, feature: Expression) -> Compiled:
        return compile_expression(feature, self._reader)

    def _reader(self, aggregate: Aggregate) -> Compiled:
        results, slot = self.results, self._slots[describe(aggregate)]
        return lambda _fields: results[slot]

    def _sort(self, pipeline: Pipeline, aggregates: Mapping[str, Aggregate]) -> tuple[Group, ...]:
        by_entity: dict[tuple[tuple[str, str], ...], dict[tuple[str, int, int], list[str]]] = {}
        for text, each in sorted(aggregates.items(), key=lambda item: (item[1].function not in FIXED, item[0])):
            pairs = tuple(sorted(each.entity, key=lambda pair: (pair[1], pair[0])))
            by_entity.setdefault(pairs, {}).setdefault(_window_of(each), []).append(text)
        groups = []
        for pairs, windows in sorted(by_entity.items()):
            streams = [aggregates[texts[0]].stream for texts in windows.values()]
            key = pipeline.predict_on.key_field
            groups.append(
                Group(
                    id="+".join(theirs if mine == theirs else f"{mine}={theirs}" for mine, theirs in pairs) or "*",
                    mine=tuple(mine for mine, _ in pairs),
                    theirs=tuple(theirs for _, theirs in pairs),
                    windows=tuple(
                        Window(*window, tuple(self._column(aggregates[text], text) for text in texts))
                        for window, texts in sorted(windows.items())
                    ),
                    is_local=all((stream.key_field, key) in pairs for stream in streams),
                )
            )
        return tuple(groups)

    def _column(self, aggregate: Aggregate, text: str) -> Column:
        value, stream = aggregate.value, aggregate.stream.name
        key = stream, "" if value is None else describe(value)
        if key not in self._numbers:
            values = self.values.setdefault(stream, [])
            self._numbers[key] = len(values)
            values.append(_always if value is None else compile_expression(value))
        return Column(aggregate.function, arithmetic_of(aggregate), self._numbers[key], self._slots[text])


def _always(_fields: Mapping[str, FieldValue]) -> FieldValue:
    return True


def _window_of(aggregate: Aggregate) -> tuple[str, int, int]:
    """Return an aggregate's stream, the length of a pane and the number of panes."""
    window, panes = aggregate.window_ms, aggregate.panes
    if window is None:
        # A decayed mean has no window: after so many half-lives nothing is left of a value.
        window, panes = int(dict(aggregate.params)[HALF_LIFE_MS]) * _HALF_LIVES, _DECAY_PANES
    return aggregate.stream.name, window // panes, panes


def entity_name(names: tuple[str, ...]) -> Callable[[Mapping[str, FieldValue]], str | None]:
    r"""Return what names an entity: its fields' values with ``|`` between them, ``|`` and ``\`` within them escaped.

    Examples
    --------
    >>> entity_name(("carrier", "flight"))({"carrier": "A|", "flight": 7}), entity_name(("a",))({"a": None})
    ('A\\||7', None)
    """
    if len(names) == 1:
        return _single(names[0])

    def name(fields: Mapping[str, FieldValue]) -> str | None:
        parts = []
        for each in names:
            value = fields.get(each)
            if value is None:
                return None
            parts.append(_text(value).replace("\\", "\\\\").replace("|", "\\|"))
        return "|".join(parts)

    return name


def _single(name: str) -> Callable[[Mapping[str, FieldValue]], str | None]:
    def run(fields: Mapping[str, FieldValue]) -> str | None:
        value = fields.get(name)
        return None if value is None else _text(value)

    return run


def _text(value: bool | int | float | str | bytes) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    return "0.0" if isinstance(value, float) and value == 0.0 else repr(value)
