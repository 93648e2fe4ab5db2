"""The stage's fold: a vector for each event to predict on, taken before the event itself is folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from riverrun.features import FeaturePlan, FeatureTable, ForeignPartial, PartialFormatError
from riverrun.records.items import Event, ForeignRead, Source, Vector
from riverrun.runtime.ports import PartialEntry

__all__ = ["FeaturesCore", "ForeignReader"]

_SWEEP_EVERY: Final = 256
"""Events between two looks for entities to forget; a power of two."""

_SWEEP_LIMIT: Final = 512
"""Entities looked at each time: twice the events, so the table is gone round faster than it can grow."""


class ForeignReader(Protocol):
    """Looks up other partitions' partials: the one method of a ``PartialStore`` that a core may call."""

    def read(self, group: str, entities: Sequence[str], partitions: Sequence[int]) -> list[list[PartialEntry | None]]:
        """Return, for each entity, its entry in each of the partitions."""
        ...


class FeaturesCore:
    """Folds the events of one partition into its table and gives vectors.

    With several partitions, a vector merges what the others had stored of its entities when the batch was
    prefetched. The log does not tell what that was, so a vector records it in ``reads``.

    Parameters
    ----------
    plan : FeaturePlan
        The features.
    table : FeatureTable
        This partition's partials.
    events_topic : str
        The topic of the events, as the vectors' source.
    partition, partitions : int
        This partition and how many there are.
    foreign : ForeignReader, optional
        Where the other partitions' partials are. Not needed with one partition, or if every entity includes the
        key.
    """

    def __init__(
        self,
        plan: FeaturePlan,
        table: FeatureTable,
        *,
        events_topic: str,
        partition: int = 0,
        partitions: int = 1,
        foreign: ForeignReader | None = None,
    ) -> None:
        self._predict_on = plan.predict_on
        self._table = table
        self._topic = events_topic
        self._partition = partition
        spread = partitions > 1 and not all(group.is_local for group in plan.groups)
        self._foreign = _ForeignPartials(plan, table, foreign, partition, partitions) if foreign and spread else None
        self._events = 0
        self._vectors = 0
        self._until_sweep = _SWEEP_EVERY

    def step(self, item: Event) -> tuple[Vector, ...]:
        """Fold one event; return its vector if it is one to predict on.

        Raises
        ------
        UnavailableError
            If other partitions' partials were not prefetched and the store cannot be reached, or one of this partition
            turns out to be damaged.
        """
        self._events += 1
        vectors: tuple[Vector, ...] = ()
        if item.stream == self._predict_on:
            self._vectors += 1
            vectors = (self._vector(item),)
        self._fold(item)
        return vectors

    def _vector(self, event: Event) -> Vector:
        foreign = self._foreign
        reads: tuple[ForeignRead, ...] = ()
        if foreign is None:
            values = self._table.vector(event.fields, event.time)
        else:
            values = self._table.vector(event.fields, event.time, foreign.find)
            reads = foreign.take_reads()
        source = Source(self._topic, self._partition, event.seq)
        return Vector(event.id, event.key, event.time, event.seq, values, reads, source)

    def _fold(self, event: Event) -> None:
        self._table.update(event.stream, event.fields, event.time, event.seq)
        self._until_sweep -= 1
        if not self._until_sweep:
            self._until_sweep = _SWEEP_EVERY
            self._table.expire(_SWEEP_LIMIT)

    def replay(self, item: Event) -> None:
        """Fold one event again, without a vector; entities that reflect it already are left alone."""
        self._fold(item)

    def prefetch(self, items: Sequence[object]) -> None:
        """Look up the other partitions' partials of a batch's entities: one read a group.

        Items that are no events (those of a stage chained before this one) are passed over; what they turn into
        is looked up when it comes.

        Raises
        ------
        UnavailableError
            If the store cannot be reached.
        """
        if self._foreign is not None:
            self._foreign.prefetch(
                [item for item in items if isinstance(item, Event) and item.stream == self._predict_on]
            )

    def counters(self) -> Mapping[str, int]:
        """Return how many events were folded and vectors given."""
        return {"events": self._events, "vectors": self._vectors}

    def resume(self, counters: Mapping[str, int], watermark: int) -> None:
        """Take over the committed counts and watermark."""
        self._events = counters.get("events", 0)
        self._vectors = counters.get("vectors", 0)
        self._table.watermark = max(self._table.watermark, watermark)

    @property
    def watermark(self) -> int:
        """The greatest event time folded, in milliseconds; 0 before the first."""
        return self._table.watermark


class _ForeignPartials:
    """Other partitions' partials, read once a batch, and a record of which were used."""

    def __init__(
        self, plan: FeaturePlan, table: FeatureTable, reader: ForeignReader, partition: int, partitions: int
    ) -> None:
        self._groups = plan.groups
        self._table = table
        self._reader = reader
        self._others = tuple(other for other in range(partitions) if other != partition)
        self._held: tuple[dict[str, tuple[ForeignPartial, ...]], ...] = tuple({} for _ in plan.groups)
        self._reads: list[ForeignRead] = []

    def prefetch(self, events: Sequence[Event]) -> None:
        """Let go of the last batch's partials and read this one's."""
        for held in self._held:
            held.clear()
        for number, group in enumerate(self._groups):
            if group.is_local:
                continue
            names = {name: None for event in events if (name := group.entity(event.fields)) is not None}
            if names:
                self._read(number, list(names))

    def _read(self, number: int, names: list[str]) -> None:
        found = self._reader.read(self._groups[number].id, names, self._others)
        for name, entries in zip(names, found, strict=True):
            self._held[number][name] = tuple(
                partial
                for other, entry in zip(self._others, entries, strict=True)
                if entry is not None and (partial := self._parse(number, other, entry)) is not None
            )

    def _parse(self, number: int, other: int, entry: PartialEntry) -> ForeignPartial | None:
        try:
            return self._table.decode(number, entry, other)
        except PartialFormatError:
            # Another member still runs, or ran last, with other features; or it is damaged, which its owner mends when
            # it meets the entity itself: as if nothing had been stored yet. The vector says what it was made from.
            return None

    def find(self, number: int, name: str) -> tuple[ForeignPartial, ...]:
        """Return the other partitions' partials of an entity and note that they were used."""
        held = self._held[number]
        if name not in held:
            self._read(number, [name])
        partials = held[name]
        group = self._groups[number].id
        self._reads.extend(ForeignRead(each.partition, group, name, each.position) for each in partials)
        return partials

    def take_reads(self) -> tuple[ForeignRead, ...]:
        """Return what was used since the last call."""
        reads = tuple(self._reads)
        self._reads.clear()
        return reads
