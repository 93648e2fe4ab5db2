"""The stage as the runtime plugs it together, over a partial store in memory; and events to feed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from riverrun.features import FeaturePlan, FeatureTable
from riverrun.records.items import Event, Source, Vector
from riverrun.runtime.ports import PartialStore
from riverrun.testing.partial_store import MemoryPartialStore
from services.features.core import FeaturesCore
from services.features.state import FeatureState
from tests.features.made import Happening

TOPIC: Final = "shop.events"


def events_of(happenings: Sequence[Happening]) -> list[Event]:
    """Number some happenings, as the topic of events of one partition has them."""
    return [
        Event(
            stream=happening.stream,
            id=f"e{seq}",
            key=str(happening.fields.get("customer", "")),
            time=happening.time,
            fields=dict(happening.fields),
            payload=b"",
            source=Source(f"shop.{happening.stream}", 0, seq),
            seq=seq,
        )
        for seq, happening in enumerate(happenings)
    ]


@dataclass(slots=True)
class Member:
    """One process's share: the partials of one partition, their core and their trailing state."""

    table: FeatureTable
    core: FeaturesCore
    state: FeatureState
    partition: int

    def cursor(self, position: int) -> dict[str, int]:
        return {f"{TOPIC}/{self.partition}/{self.partition}": position}

    def flush(self, position: int) -> None:
        self.state.flush(self.cursor(position))

    def start(self, log: Sequence[Event]) -> int:
        """Load, replay up to the end of ``log``, take over its counts; return where the replay began."""
        positions = self.state.load()
        begin = 0 if positions is None else next(iter(positions.values()))
        for event in log[begin:]:
            self.core.replay(event)
        vectors = sum(event.stream == "orders" for event in log)
        self.core.resume({"events": len(log), "vectors": vectors}, max((event.time for event in log), default=0))
        return begin

    def run(self, events: Sequence[Event]) -> list[Vector]:
        return [vector for event in events for vector in self.core.step(event)]


def member(
    plan: FeaturePlan,
    store: PartialStore | None = None,
    *,
    partition: int = 0,
    partitions: int = 1,
) -> Member:
    table = FeatureTable(plan, partition)
    behind = store if store is not None else MemoryPartialStore()
    core = FeaturesCore(
        plan,
        table,
        events_topic=TOPIC,
        partition=partition,
        partitions=partitions,
        foreign=behind if partitions > 1 else None,
    )
    return Member(table, core, FeatureState(plan, table, behind, events_topic=TOPIC, partition=partition), partition)


def contents(plan: FeaturePlan, store: PartialStore, partition: int = 0) -> dict[tuple[str, str], tuple[int, bytes]]:
    """Return all that a store has of a partition."""
    return {
        (group.id, entry.entity): (entry.position, entry.value)
        for group in plan.groups
        for entry in store.scan(partition, group.id)
    }
