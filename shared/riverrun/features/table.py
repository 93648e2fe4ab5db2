"""The partials of one partition: folds events, gives vectors, and tells what has to be stored.

A table is a cache of a fold: the same events in the same order give the same vectors bit for bit, whatever was stored,
loaded or forgotten in between. What is loaded is taken apart when it is first needed: of a million entities a start
would take seconds for that, and most of them are not seen for days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from riverrun.features.bounded import BoundedEntities
from riverrun.features.entity import Entities, Entity
from riverrun.features.entries import EntryCodec
from riverrun.features.errors import PartialFormatError
from riverrun.runtime.packed import unpack
from riverrun.runtime.ports import KeyValueStore, PartialEntry, PartialsUnavailableError

if TYPE_CHECKING:
    from riverrun.features.panes import Ring, RingLayout
    from riverrun.features.plan import FeaturePlan, StreamGroup
    from riverrun.records.items import FieldValue

__all__ = ["FeatureTable", "Foreign", "ForeignPartial"]

_UNWRITTEN: Final = -1
"""In place of the position of an entity that changed and was not written ahead."""
_PACKED_COSTS: Final = 8


class ForeignPartial(NamedTuple):
    """An entity's partial of another partition: the rings, and the position of the next event not folded into them."""

    partition: int
    position: int
    rings: Sequence[Ring | None]


Foreign = Callable[[int, str], Sequence[ForeignPartial]]
"""From a group's number and an entity to the other partitions' partials, in ascending order of partitions."""


class FeatureTable:
    """The partials of one partition.

    Parameters
    ----------
    plan : FeaturePlan
        What is computed.
    partition : int
        This table's own, which decides its place when partitions are merged.
    memory : int
        What the entities in memory may take, about, in bytes; 0 for no bound.
    store : KeyValueStore, optional
        Where the least recently seen go then; closed by ``close``.

    Attributes
    ----------
    watermark : int
        The greatest event time folded, in milliseconds; 0 before the first.
    """

    __slots__ = (
        "_bounded",
        "_codecs",
        "_dirty",
        "_entities",
        "_features",
        "_forgotten",
        "_on_damage",
        "_packed",
        "_packed_sweep",
        "_partition",
        "_plan",
        "_results",
        "_sweep",
        "watermark",
    )

    def __init__(
        self, plan: FeaturePlan, partition: int = 0, *, memory: int = 0, store: KeyValueStore | None = None
    ) -> None:
        self.watermark = 0
        self._plan: Final = plan
        self._partition: Final = partition
        self._codecs: Final = tuple(EntryCodec(group) for group in plan.groups)
        self._results: Final[list[FieldValue]] = list(plan.empty)
        self._features: Final = plan.bind(self._results)
        self._bounded = BoundedEntities(plan, self._codecs, store, memory) if memory and store is not None else None
        held: list[Entities] = [{} for _ in plan.groups] if self._bounded is None else self._bounded.groups()
        self._entities: Final = held
        # Dictionaries as ordered sets: what is stored must not depend on how texts hash.
        self._packed: Final[list[dict[str, bytes]]] = [{} for _ in plan.groups]
        self._on_damage: Callable[[], None] = _nothing
        # The position at which each that changed was written ahead, or that it was not.
        self._dirty: list[dict[str, int]] = [{} for _ in plan.groups]
        self._forgotten: list[dict[str, int]] = [{} for _ in plan.groups]
        self._sweep: Iterator[tuple[int, str]] = iter(())
        self._packed_sweep: Iterator[tuple[int, str]] = iter(())

    def __len__(self) -> int:
        """Return the number of entities held, of all groups."""
        return sum(map(len, self._entities)) + sum(map(len, self._packed))

    def update(self, stream: str, fields: Mapping[str, FieldValue], time: int, seq: int) -> None:
        """Fold an event.

        Entities that have folded it already (their position lies beyond ``seq``) are left alone, so that a replay
        may begin earlier than where they were stored.

        Parameters
        ----------
        stream : str
            The name of its stream.
        fields : mapping
            Its fields.
        time : int
            Its event time in milliseconds.
        seq : int
            Its position in the partition's ``events``.
        """
        self.watermark = max(self.watermark, time)
        updates = self._plan.streams.get(stream)
        if updates is None:
            return
        values = [value(fields) for value in updates.values]
        for part in updates.groups:
            name = part.entity(fields)
            if name is not None:
                self._fold(part, name, values, time, seq)

    def _fold(self, part: StreamGroup, name: str, values: list[FieldValue], time: int, seq: int) -> None:
        number = part.group
        entities = self._entities[number]
        entity = entities.get(name) or self._unpacked(number, name)
        if entity is None:
            entity = entities[name] = Entity(0, [None] * len(self._plan.groups[number].layouts))
        elif entity.position > seq:
            return
        entity.position = seq + 1
        self._dirty[number].setdefault(name, _UNWRITTEN)
        rings = entity.rings
        for index, layout in part.rings:
            ring = rings[index]
            if ring is None:
                ring = rings[index] = layout.new_ring()
            layout.fold(ring, time, values)

    def vector(
        self, fields: Mapping[str, FieldValue], time: int, foreign: Foreign | None = None
    ) -> tuple[FieldValue, ...]:
        """Return the features of an event to predict on, before it is folded itself.

        Parameters
        ----------
        fields : mapping
            The event's fields.
        time : int
            Its event time in milliseconds.
        foreign : callable, optional
            Gives the other partitions' partials of an entity. Asked once for each group that is not local.
        """
        results = self._results
        results[:] = self._plan.empty
        for number, group in enumerate(self._plan.groups):
            name = group.entity(fields)
            if name is None:
                continue
            entity = self._entities[number].get(name) or self._unpacked(number, name)
            others = foreign(number, name) if foreign is not None and not group.is_local else ()
            if others:
                self._merge(group.layouts, entity, others, time)
            elif entity is not None:
                self._read(group.layouts, entity, time)
        return tuple([feature(fields) for feature in self._features])

    def _read(self, layouts: Sequence[RingLayout], entity: Entity, time: int) -> None:
        for layout, ring in zip(layouts, entity.rings, strict=True):
            if ring is not None:
                low, high = layout.window(time, ring.newest, self.watermark)
                if low <= high:
                    layout.finish(layout.read(ring, low, high), self._results)

    def _merge(
        self, layouts: Sequence[RingLayout], entity: Entity | None, others: Sequence[ForeignPartial], time: int
    ) -> None:
        partitions = [(other.partition, other.rings) for other in others]
        if entity is not None:
            partitions.append((self._partition, entity.rings))
            partitions.sort(key=lambda part: part[0])
        for index, layout in enumerate(layouts):
            rings = [ring for _, parts in partitions if (ring := parts[index]) is not None]
            if not rings:
                continue
            # The newest of all decides what is kept, as it would if one table had folded all partitions.
            low, high = layout.window(time, max(ring.newest for ring in rings), self.watermark)
            row = layout.identity[:]
            for ring in rings:
                last = min(high, ring.newest)
                if low <= last:
                    layout.merge_rows(row, layout.read(ring, low, last))
            layout.finish(row, self._results)

    def decode(self, group: int, entry: PartialEntry, partition: int) -> ForeignPartial:
        """Parse another partition's entry; raises as :class:`riverrun.features.entries.EntryCodec` does."""
        return ForeignPartial(partition, entry.position, self._codecs[group].decode(entry.value))

    def load(self, group: int, entries: Mapping[str, bytes]) -> None:
        """Take over entries of this partition as they were stored, in the form of `riverrun.runtime.packed`.

        Without a bound of memory they are taken apart when they are needed, and what is damaged is found then: what
        was to be called on that is called, and whoever needed it gets a `PartialsUnavailableError`.

        Raises
        ------
        StalePartialError, PartialFormatError
            If memory is bounded, and an entry is of another definition of the group, or damaged.
        """
        if self._bounded is None:
            self._packed[group].update(entries)
            return
        for name, packed in entries.items():
            self._entities[group][name] = self._entity(group, unpack(name, packed))

    def on_damage(self, call: Callable[[], None]) -> None:
        """Say what to call when an entry turns out to be damaged that was loaded earlier."""
        self._on_damage = call

    def _unpacked(self, group: int, name: str) -> Entity | None:
        """Return an entity that was loaded and not needed since, or None."""
        packed = self._packed[group].get(name)
        if packed is None:
            return None
        entity = self._sound(group, unpack(name, packed))
        del self._packed[group][name]
        self._entities[group][name] = entity
        return entity

    def _sound(self, group: int, entry: PartialEntry) -> Entity:
        try:
            return self._entity(group, entry)
        except PartialFormatError as error:
            self._on_damage()
            # Whoever works on the partition begins it anew then, as after any other loss of the store.
            raise PartialsUnavailableError(f"{error}: all is dropped, and built again from the log") from error

    def _entity(self, group: int, entry: PartialEntry) -> Entity:
        return Entity(entry.position, self._codecs[group].decode(entry.value))

    def clear(self) -> None:
        """Forget everything, as if nothing had been folded."""
        if self._bounded is not None:
            self._bounded.clear()
        for number in range(len(self._entities)):
            self._entities[number].clear()
            self._packed[number].clear()
            self._dirty[number].clear()
            self._forgotten[number].clear()
        self._sweep = self._packed_sweep = iter(())
        self.watermark = 0

    def dirty(self, group: int) -> Iterator[PartialEntry]:
        """Iterate over the entries of a group that changed since :meth:`clear_dirty`, and since they were `written`."""
        entities = self._entities[group]
        dirty = self._dirty[group].items()
        return self._entries(group, [name for name, at in dirty if at == _UNWRITTEN or at != entities[name].position])

    def unwritten(self, group: int) -> Iterator[PartialEntry]:
        """Iterate over those entries of a group that changed since :meth:`clear_dirty` and were not `written` since.

        What changed again after it was written is left out: it may change once more before all is stored.
        """
        return self._entries(group, [name for name, at in self._dirty[group].items() if at == _UNWRITTEN])

    def written(self, group: int, entries: Iterable[PartialEntry]) -> None:
        """Take note that entries were written as they are here, though that all is stored is still to be said."""
        self._dirty[group].update((entry.entity, entry.position) for entry in entries)

    def entries(self, group: int) -> Iterator[PartialEntry]:
        """Iterate over all entries of a group."""
        for name, packed in self._packed[group].items():
            entry = unpack(name, packed)
            # What is damaged is not to be written again.
            self._sound(group, entry)
            yield entry
        yield from self._entries(group, self._entities[group])

    def _entries(self, group: int, names: Iterable[str]) -> Iterator[PartialEntry]:
        entities, encode = self._entities[group], self._codecs[group].encode
        for name in names:
            entity = entities[name]
            yield PartialEntry(name, entity.position, encode(entity.rings))

    def forgotten(self, group: int) -> list[tuple[str, int]]:
        """Return the entities that were forgotten since :meth:`clear_dirty`, with the position they had."""
        return list(self._forgotten[group].items())

    def clear_dirty(self) -> None:
        """Take note that everything was stored."""
        for dirty, forgotten in zip(self._dirty, self._forgotten, strict=True):
            dirty.clear()
            forgotten.clear()

    def expire(self, limit: int) -> int:
        """Look at up to ``limit`` more entities, round and round, and forget those that nothing can read again.

        No vector changes by it, whenever it is called. Returns how many were forgotten. Those that were loaded and not
        needed since have a round of their own, of an eighth of ``limit``: to look at one costs as much as at eight.
        """
        forgotten = self._forget_in_store(limit) + self._forget_packed(limit // _PACKED_COSTS)
        for looked_at in range(limit):
            found = next(self._sweep, None)
            if found is None:
                if looked_at or not len(self):
                    break
                self._sweep = self._in_memory()
                found = next(self._sweep, None)
                if found is None:  # all that is held is in the store, or packed
                    break
            forgotten += self._forget(*found)
        return forgotten

    def _forget_packed(self, limit: int) -> int:
        forgotten = 0
        for looked_at in range(limit):
            found = next(self._packed_sweep, None)
            if found is None:
                if looked_at or not any(self._packed):
                    break
                self._packed_sweep = _each(self._packed)
                found = next(self._packed_sweep)
            forgotten += self._forget_one_packed(*found)
        return forgotten

    def _forget_one_packed(self, group: int, name: str) -> bool:
        packed = self._packed[group].get(name)
        if packed is None:  # needed since
            return False
        entity = self._sound(group, unpack(name, packed))
        if not self._is_forgotten(group, entity):
            return False
        del self._packed[group][name]
        self._forgotten[group][name] = entity.position
        return True

    def _in_memory(self) -> Iterator[tuple[int, str]]:
        return _each(self._entities) if self._bounded is None else iter(self._bounded.in_memory())

    def _forget_in_store(self, limit: int) -> int:
        if self._bounded is None:
            return 0
        gone = self._bounded.expire(self.watermark, limit)
        for group, name, position in gone:
            self._dirty[group].pop(name, None)
            self._forgotten[group][name] = position
        return len(gone)

    def _forget(self, group: int, name: str) -> bool:
        entities = self._entities[group]
        if name not in entities:
            return False
        entity = entities[name]
        if not self._is_forgotten(group, entity):
            return False
        del self._entities[group][name]
        self._dirty[group].pop(name, None)
        self._forgotten[group][name] = entity.position
        return True

    def _is_forgotten(self, group: int, entity: Entity) -> bool:
        watermark = self.watermark
        for layout, ring in zip(self._plan.groups[group].layouts, entity.rings, strict=True):
            if ring is not None and not layout.is_forgotten(ring, watermark):
                return False
        return True

    def canonical(self, watermark: int) -> dict[tuple[str, str], bytes]:
        """Return the bytes, by group and entity, of all that can still be read at a watermark.

        Two tables that folded the same events are equal in this form, whatever each has forgotten meanwhile.
        """
        for number, packed in enumerate(self._packed):
            for name in list(packed):
                self._unpacked(number, name)
        blank = [
            codec.encode([None] * len(group.layouts))
            for codec, group in zip(self._codecs, self._plan.groups, strict=True)
        ]
        return {
            (self._plan.groups[number].id, name): data
            for number, held in enumerate(self._entities)
            for name in held
            if (data := self._codecs[number].encode(held[name].rings, watermark)) != blank[number]
        }

    def close(self) -> None:
        """Close the local store, if there is one."""
        if self._bounded is not None:
            self._bounded.close()


def _each(groups: Sequence[Iterable[str]]) -> Iterator[tuple[int, str]]:
    """Iterate over the group and the name of each entity that is held now, whatever comes and goes meanwhile."""
    # Names alone are kept: to make a pair of each of a million at once would stop the stream for a quarter of a second.
    names = [list(held) for held in groups]
    return ((group, name) for group, held in enumerate(names) for name in held)


def _nothing() -> None:
    """Do nothing."""
