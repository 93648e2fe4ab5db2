"""The aggregates of another partition as they were when a vector read them, which may be some events ago."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, cast

from riverrun.audit.groups import Layout
from riverrun.audit.panes import Entity, Panes
from riverrun.audit.report import Check
from riverrun.audit.sequences import Own, Part, own_records
from riverrun.audit.subject import Subject
from riverrun.records.items import Event
from riverrun.records.topics import Kind

__all__ = ["ForeignPanes", "ForeignStateError"]

_REMEMBERED: Final = 50_000
"""Former states that are kept: reads run behind each other by no more than the time between two writes to Redis."""


class ForeignStateError(Exception):
    """A vector says that it has read what there never was."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(found)
        self.expected = expected
        self.found = found


class ForeignPanes:
    """One other partition, folded as far as reads demand.

    Parameters
    ----------
    subject, layout
        What is audited.
    partition
        The other partition.
    """

    def __init__(self, subject: Subject, layout: Layout, partition: int) -> None:
        self._partition = partition
        self._panes = Panes(layout, partition, self._remember)
        self._events: Iterator[Own] = own_records(
            subject, Part(Kind.EVENTS, partition, {}), Check("", 0), lambda _count: None
        )
        self._folded = 0
        self._former: dict[tuple[int, str], list[Entity]] = {}
        self._order: deque[tuple[int, str]] = deque()
        self._lost = 0

    def entity(self, number: int, name: str, position: int) -> Entity | None:
        """Return an entity as it was before the event at ``position``; None if that is not remembered any more.

        Raises
        ------
        ForeignStateError
            If it never was in a state of that position.
        """
        while self._folded < position:
            own = next(self._events, None)
            if own is None:
                raise ForeignStateError(
                    f"reads of states within the {self._folded} events of partition {self._partition}",
                    f"a read of {name!r} at {position}",
                )
            event = cast("Event", own.item)
            self._panes.fold(event.stream, event.fields, event.time, event.seq)
            self._folded = event.seq + 1
        current = self._panes.entities[number].get(name)
        if current is not None and current.position == position:
            return current
        for former in reversed(self._former.get((number, name), ())):
            if former.position == position:
                return former
        if position <= self._lost:
            return None
        raise ForeignStateError(
            f"reads of states that entities had: event {position - 1} of partition {self._partition} touched {name!r}",
            f"a read of {name!r} at {position}",
        )

    def _remember(self, number: int, name: str, entity: Entity | None, seq: int) -> None:
        del seq
        if entity is None:
            return
        key = number, name
        self._former.setdefault(key, []).append(entity.copy())
        self._order.append(key)
        if len(self._order) > _REMEMBERED:
            oldest = self._order.popleft()
            states = self._former[oldest]
            self._lost = max(self._lost, states.pop(0).position)
            if not states:
                del self._former[oldest]
