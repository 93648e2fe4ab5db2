"""A table's entities within a bound of memory: those seen last are in memory, the others in a local store.

The store is no record of anything: it holds what memory would hold if there were enough of it, and is emptied at the
start. Where an entity is changes no vector by a bit, since what is written is read back as it was.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from riverrun.features.entity import Entities, Entity
from riverrun.features.sketches import Distinct, Quantile

if TYPE_CHECKING:
    from riverrun.features.entries import EntryCodec
    from riverrun.features.plan import FeaturePlan, Group
    from riverrun.runtime.ports import KeyValueStore

__all__ = ["BoundedEntities", "Forgotten"]

_KEY: Final = struct.Struct(">cH")
_MARK: Final = b"e"
_HEAD: Final = struct.Struct(">qq")
_PENDING: Final = 256
"""Changes of the store that wait in memory to be written in one batch."""

# Bytes, about, in CPython 3.11 to 3.13.
_PER_ENTITY: Final = 400
_PER_RING: Final = 250
_PER_NUMBER: Final = 32
_PER_SKETCH: Final = 2_048


class Forgotten(NamedTuple):
    """An entity that nothing can read any more: its group's number, its name and the position that it had."""

    group: int
    name: str
    position: int


class BoundedEntities:
    """The entities of all groups of a table.

    Parameters
    ----------
    plan : FeaturePlan
        What is computed: it tells what an entity takes.
    codecs : sequence of EntryCodec
        One for each group.
    store : KeyValueStore
        Where the least recently seen go. Emptied, and owned from now on.
    limit : int
        What those in memory may take, about, in bytes. The one seen last stays, whatever it takes.
    """

    def __init__(self, plan: FeaturePlan, codecs: Sequence[EntryCodec], store: KeyValueStore, limit: int) -> None:
        self._plan = plan
        self._codecs = codecs
        self._store = store
        self._limit = limit
        self._used = 0
        self._costs = tuple(_cost(group) for group in plan.groups)
        self._seen: OrderedDict[tuple[int, str], Entity] = OrderedDict()
        self._counts = [0] * len(plan.groups)
        self._away = [0] * len(plan.groups)
        self._pending: dict[bytes, bytes | None] = {}
        self._sweep: Iterator[tuple[bytes, bytes]] = iter(())
        store.clear()

    def groups(self) -> list[Entities]:
        """Return the entities of each group by name.

        ``get`` brings an entity back into memory, as one that was seen; ``[name]`` leaves it where it is and must not
        be used to change it.
        """
        return [_Group(self, number) for number in range(len(self._plan.groups))]

    def in_memory(self) -> list[tuple[int, str]]:
        """Return the group's number and the name of those that are in memory."""
        return list(self._seen)

    def count(self, group: int) -> int:
        """Return how many entities a group has."""
        return self._counts[group]

    def total(self) -> int:
        """Return how many entities all groups have."""
        return sum(self._counts)

    def seen(self, group: int, name: str) -> Entity | None:
        """Return an entity, brought into memory, or None if there is none."""
        key = group, name
        entity = self._seen.get(key)
        if entity is not None:
            self._seen.move_to_end(key)
            return entity
        if not self._away[group]:
            return None
        stored = _key(group, name)
        value = self._read(stored)
        if value is None:
            return None
        self._drop(group, stored)
        self._counts[group] -= 1
        entity = self._decoded(group, value)
        self.add(group, name, entity)
        return entity

    def peek(self, group: int, name: str) -> Entity | None:
        """Return an entity, or a copy of one that is not in memory, and leave it where it is."""
        entity = self._seen.get((group, name))
        if entity is not None or not self._away[group]:
            return entity
        value = self._read(_key(group, name))
        return None if value is None else self._decoded(group, value)

    def add(self, group: int, name: str, entity: Entity) -> None:
        """Put an entity into memory, instead of what is there or in the store by its name, and make room for it."""
        key = group, name
        if key not in self._seen:
            stored = _key(group, name)
            if self._away[group] and self._read(stored) is not None:
                self._drop(group, stored)
                self._counts[group] -= 1
            self._used += self._costs[group]
            self._counts[group] += 1
        self._seen[key] = entity
        self._seen.move_to_end(key)
        # Never the one that was just added: whoever added it goes on to change it.
        while self._used > self._limit and len(self._seen) > 1:
            self._put_away()

    def remove(self, group: int, name: str) -> bool:
        """Remove an entity; return whether there was one."""
        if self._seen.pop((group, name), None) is not None:
            self._used -= self._costs[group]
            self._counts[group] -= 1
            return True
        stored = _key(group, name)
        if self._away[group] and self._read(stored) is not None:
            self._drop(group, stored)
            self._counts[group] -= 1
            return True
        return False

    def names(self, group: int) -> Iterator[str]:
        """Iterate over the names of a group; nothing may be put into it meanwhile."""
        for number, name in list(self._seen):
            if number == group:
                yield name
        if self._away[group]:
            self._write()
            prefix = _KEY.pack(_MARK, group)
            for stored, _ in self._store.scan(prefix):
                yield stored[len(prefix) :].decode("utf-8", "surrogatepass")

    def expire(self, watermark: int, limit: int) -> list[Forgotten]:
        """Look at up to ``limit`` more of those in the store, round and round; remove and return what is forgotten."""
        if not any(self._away):
            return []
        found = []
        for looked_at in range(limit):
            each = next(self._sweep, None)
            if each is None:
                if looked_at:
                    break
                self._write()
                self._sweep = self._store.scan(_MARK)
                each = next(self._sweep, None)
                if each is None:
                    break
            stored, value = each
            until, position = _HEAD.unpack_from(value)
            # The sweep may be of some time ago: only what is still there is told.
            if until <= watermark and self._read(stored) == value:
                group: int = _KEY.unpack_from(stored)[1]
                self._drop(group, stored)
                self._counts[group] -= 1
                name = stored[_KEY.size :].decode("utf-8", "surrogatepass")
                found.append(Forgotten(group, name, position))
        return found

    def clear(self) -> None:
        """Forget everything, in the store too."""
        self._seen.clear()
        self._pending.clear()
        self._used = 0
        self._counts = [0] * len(self._plan.groups)
        self._away = [0] * len(self._plan.groups)
        self._sweep = iter(())
        self._store.clear()

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _put_away(self) -> None:
        (group, name), entity = self._seen.popitem(last=False)
        self._used -= self._costs[group]
        layouts = self._plan.groups[group].layouts
        until = max(
            (
                layout.forgotten_from(ring)
                for layout, ring in zip(layouts, entity.rings, strict=True)
                if ring is not None
            ),
            default=0,
        )
        value = _HEAD.pack(until, entity.position) + self._codecs[group].encode(entity.rings)
        self._away[group] += 1
        self._change(_key(group, name), value)

    def _decoded(self, group: int, value: bytes) -> Entity:
        position: int = _HEAD.unpack_from(value)[1]
        return Entity(position, self._codecs[group].decode(value[_HEAD.size :]))

    def _drop(self, group: int, stored: bytes) -> None:
        self._away[group] -= 1
        self._change(stored, None)

    def _read(self, stored: bytes) -> bytes | None:
        pending = self._pending
        return pending[stored] if stored in pending else self._store.get(stored)

    def _change(self, stored: bytes, value: bytes | None) -> None:
        self._pending[stored] = value
        if len(self._pending) >= _PENDING:
            self._write()

    def _write(self) -> None:
        pending = self._pending
        if pending:
            puts = {stored: value for stored, value in pending.items() if value is not None}
            self._store.apply(puts, [stored for stored, value in pending.items() if value is None])
            pending.clear()


class _Group:
    """One group's entities, as a table sees them."""

    __slots__ = ("_all", "_number")

    def __init__(self, entities: BoundedEntities, number: int) -> None:
        self._all = entities
        self._number = number

    def get(self, name: str, /) -> Entity | None:
        return self._all.seen(self._number, name)

    def __getitem__(self, name: str, /) -> Entity:
        entity = self._all.peek(self._number, name)
        if entity is None:
            raise KeyError(name)
        return entity

    def __setitem__(self, name: str, entity: Entity, /) -> None:
        self._all.add(self._number, name, entity)

    def __delitem__(self, name: str, /) -> None:
        if not self._all.remove(self._number, name):
            raise KeyError(name)

    def __contains__(self, name: object, /) -> bool:
        return isinstance(name, str) and self._all.peek(self._number, name) is not None

    def __iter__(self) -> Iterator[str]:
        return self._all.names(self._number)

    def __len__(self) -> int:
        return self._all.count(self._number)

    def clear(self) -> None:
        for name in list(self):
            del self[name]


def _key(group: int, name: str) -> bytes:
    return _KEY.pack(_MARK, group) + name.encode("utf-8", "surrogatepass")


def _cost(group: Group) -> int:
    """Return what an entity with all its rings takes, about, in bytes."""
    total = _PER_ENTITY
    for layout in group.layouts:
        row = sum(
            _PER_SKETCH if isinstance(each, Distinct | Quantile) else _PER_NUMBER * len(each.identity)
            for each in layout.partials
        )
        total += _PER_RING + row * (layout.panes + 1)
    return total
