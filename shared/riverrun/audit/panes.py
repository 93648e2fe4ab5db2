"""The aggregates of one partition, recomputed from its events: naive panes of event time for every entity.

The meaning is that of `riverrun.pipeline.aggregates`: an event falls into the pane ``time // pane_ms``. What is read at
a time *t*, when the greatest event time so far is *w* and the newest pane that the entity has is *newest*, are the
panes

    max(pane(t), newest, pane(w) - panes) - panes + 1  ...  min(pane(t), newest)

and an event that is ``panes`` or more behind the newest pane is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from riverrun.audit.groups import Group, Layout, Window, entity_name
from riverrun.records.items import FieldValue

__all__ = ["Entity", "Panes", "Pile", "is_forgotten"]

_FORGET_EVERY: Final = 20_000

Row = tuple[Any, ...]
"""One pane: a state for each column of its window; None where there were no values."""


class Pile:
    """The panes of one window of one entity.

    ``before`` remembers the fold of the panes from one to before another, until one of them may have changed: most
    events fall into the newest pane, and reading all of them for each vector would take most of the time.
    """

    __slots__ = ("before", "newest", "rows")

    def __init__(self, newest: int, rows: dict[int, Row]) -> None:
        self.newest = newest
        self.rows = rows
        self.before: tuple[int, int, Sequence[Any]] | None = None


class Entity:
    """One entity: a pile for each window of its group, and the position after the last event that touched it."""

    __slots__ = ("piles", "position")

    def __init__(self, position: int, piles: list[Pile | None]) -> None:
        self.position = position
        self.piles = piles

    def copy(self) -> Entity:
        """Return what it is now; rows never change, so they are shared."""
        piles = [None if pile is None else Pile(pile.newest, dict(pile.rows)) for pile in self.piles]
        return Entity(self.position, piles)


class Panes:
    """Folds the events of one partition.

    Parameters
    ----------
    layout
        The pipeline's groups.
    partition
        Which one, which decides its place when partitions are merged.
    before
        Called with the group's number, the entity's name, the entity (None if it is new) and the event's position,
        before an event is folded into it.

    Attributes
    ----------
    entities
        By group and name.
    watermark
        The greatest event time so far.
    """

    def __init__(
        self, layout: Layout, partition: int, before: Callable[[int, str, Entity | None, int], None] | None = None
    ) -> None:
        self.entities: list[dict[str, Entity]] = [{} for _ in layout.groups]
        self.watermark = 0
        self._layout = layout
        self._partition = partition
        self._before = before
        self._until_forgetting = _FORGET_EVERY
        self._named = [entity_name(group.theirs) for group in layout.groups]
        self._touched: dict[str, list[tuple[int, Callable[..., str | None], list[tuple[int, Window]]]]] = {}
        for number, group in enumerate(layout.groups):
            for stream in {window.stream for window in group.windows}:
                mine = [(index, window) for index, window in enumerate(group.windows) if window.stream == stream]
                self._touched.setdefault(stream, []).append((number, entity_name(group.mine), mine))

    def fold(self, stream: str, fields: Mapping[str, FieldValue], time: int, seq: int) -> None:
        """Fold one event."""
        self.watermark = max(self.watermark, time)
        values = [value(fields) for value in self._layout.values.get(stream, ())]
        for number, name_of, windows in self._touched.get(stream, ()):
            name = name_of(fields)
            if name is None:
                continue
            entity = self.entities[number].get(name)
            if self._before is not None:
                self._before(number, name, entity, seq)
            if entity is None:
                entity = self.entities[number][name] = Entity(0, [None] * len(self._layout.groups[number].windows))
            entity.position = seq + 1
            for index, window in windows:
                pile = entity.piles[index]
                if pile is None:
                    pile = entity.piles[index] = Pile(time // window.pane_ms, {})
                _add(pile, window, values, time)
        self._until_forgetting -= 1
        if not self._until_forgetting:
            self._forget()

    def vector(
        self, fields: Mapping[str, FieldValue], time: int, others: Mapping[int, Mapping[int, Entity]]
    ) -> tuple[FieldValue, ...]:
        """Return the features of an event, before it is folded.

        Parameters
        ----------
        fields, time
            The event's.
        others
            For each group, the entity as other partitions had it.
        """
        results = self._layout.results
        results[:] = self._layout.nothing
        for number, group in enumerate(self._layout.groups):
            name = self._named[number](fields)
            if name is None:
                continue
            own = self.entities[number].get(name)
            entities: tuple[Entity, ...] = () if own is None else (own,)
            if number in others:
                parts = others[number] if own is None else {**others[number], self._partition: own}
                entities = tuple([parts[each] for each in sorted(parts)])
            if entities:
                _fold_windows(group, entities, time, self.watermark, results)
        return tuple([feature(fields) for feature in self._layout.features])

    def _forget(self) -> None:
        """Let go of what nothing can read any more, to bound the memory."""
        self._until_forgetting = _FORGET_EVERY
        for group, entities in zip(self._layout.groups, self.entities, strict=True):
            gone = [name for name, entity in entities.items() if is_forgotten(group, entity, self.watermark)]
            for name in gone:
                del entities[name]


def is_forgotten(group: Group, entity: Entity, watermark: int) -> bool:
    """Tell whether nothing can ever read the entity again: all its panes ended two windows before the watermark."""
    return all(
        pile is None or pile.newest < watermark // window.pane_ms - 2 * window.panes + 1
        for window, pile in zip(group.windows, entity.piles, strict=True)
    )


def _add(pile: Pile, window: Window, values: Sequence[Any], time: int) -> None:
    pane, rows = time // window.pane_ms, pile.rows
    if pane != pile.newest:
        pile.before = None
        if pane <= pile.newest - window.panes:
            return
        if pane > pile.newest:
            pile.newest = pane
            for old in [each for each in rows if each <= pane - window.panes]:
                del rows[old]
    states = list(rows.get(pane, window.nothing))
    for index, column in enumerate(window.columns):
        value = values[column.value]
        if value is not None:
            state, arithmetic = states[index], column.arithmetic
            states[index] = arithmetic.first(value, time) if state is None else arithmetic.update(state, value, time)
    rows[pane] = tuple(states)


def _fold_windows(
    group: Group, entities: Sequence[Entity], time: int, watermark: int, results: list[FieldValue]
) -> None:
    """Put a group's aggregates of an entity, merged from partitions in their order, into their slots."""
    for index, window in enumerate(group.windows):
        piles = [pile for entity in entities if (pile := entity.piles[index]) is not None]
        if not piles:
            continue
        panes, pane = window.panes, time // window.pane_ms
        newest = piles[0].newest if len(piles) == 1 else max([pile.newest for pile in piles])
        low = max(pane, newest, watermark // window.pane_ms - panes) - panes + 1
        high = pane if pane < newest else newest
        if low > high:
            continue
        states: Sequence[Any] = _read(piles[0], window, low, min(high, piles[0].newest))
        for pile in piles[1:]:
            states = _merged(window, states, _read(pile, window, low, min(high, pile.newest)))
        for column, state in zip(window.columns, states, strict=True):
            if state is not None:
                results[column.slot] = column.arithmetic.result(state)


def _read(pile: Pile, window: Window, low: int, high: int) -> Sequence[Any]:
    """Return the fold of the panes from ``low`` to ``high``, from the oldest to the newest."""
    before = pile.before
    if before is None or before[0] != low or before[1] != high:
        rows = [pile.rows[pane] for pane in sorted(pile.rows) if low <= pane < high]
        states: Sequence[Any] = rows[0] if rows else window.nothing
        for row in rows[1:]:
            states = _merged(window, states, row)
        before = pile.before = low, high, states
    newest = pile.rows.get(high) if low <= high else None
    return before[2] if newest is None else _merged(window, before[2], newest)


def _merged(window: Window, older: Sequence[Any], newer: Sequence[Any]) -> list[Any]:
    """Merge two rows; what has no values on one side is what it is on the other."""
    return [
        b if a is None else a if b is None else column.arithmetic.merge(a, b)
        for column, a, b in zip(window.columns, older, newer, strict=True)
    ]
