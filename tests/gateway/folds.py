"""Recomputes what an answer was made of: folds the events of the log, as far as the partials that were read had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from riverrun.features import FeaturePlan, FeatureTable, ForeignPartial
from riverrun.records.items import Event, FieldValue
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment


class Folds:
    """The events of the small pipeline, whose one group of entities is the place."""

    def __init__(self, deployment: Deployment) -> None:
        self._plan = FeaturePlan.compile(deployment.pipeline)
        self._events: list[list[Event]] = []
        for partition in range(deployment.topology.partitions):
            records = deployment.log.tail(deployment.topology.names[Kind.EVENTS], partition, 1 << 40)
            items = [deployment.wire.item(record) for record in records]
            self._events.append([item for item in items if isinstance(item, Event)])

    def features(self, name: str, reads: Sequence[Sequence[Any]]) -> dict[str, FieldValue]:
        """Return the features of an event, made of the partials that were read: partition, group, entity, position."""
        event = next(each for events in self._events for each in events if each.id == name)
        partials = []
        for partition, group, entity, position in reads:
            assert group == "place"
            table = FeatureTable(self._plan, partition)
            for each in self._events[partition]:
                if each.seq < position and each.fields["place"] == entity:
                    table.update(each.stream, each.fields, each.time, each.seq)
            partials += [table.decode(0, entry, partition) for entry in table.entries(0)]

        def found(number: int, entity: str) -> Sequence[ForeignPartial]:
            assert (number, entity) == (0, event.fields["place"])
            return partials

        # A table that has folded nothing itself: all it knows is what was read.
        values = FeatureTable(self._plan, len(self._events)).vector(event.fields, event.time, found)
        return dict(zip(self._plan.names, values, strict=True))
