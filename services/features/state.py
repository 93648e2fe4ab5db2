"""Trailing state of the stage: the table's partials, behind it in a partial store (Redis)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, TypeVar

from riverrun.features import FeaturePlan, FeatureTable, PartialFormatError
from riverrun.records.items import Item
from riverrun.runtime.ports import PartialEntry, PartialStore

_T = TypeVar("_T")

_Some = list[tuple[int, list[PartialEntry]]]
"""Entries, with the number of their group."""

__all__ = ["FeatureState"]

_BULK: Final = 500
"""Entries written in one round trip."""

_SOME: Final = 150
"""Entries that are written ahead at a time: some milliseconds on a busy machine."""

_PLAN_GROUP: Final = "~plan"
"""A group, by a name that no field has, whose one entry says which features the others belong to."""


class FeatureState:
    """Keeps a partial store up to date with a table, and restores the table from it.

    Each entry has the position that it reflects; the marker says up to which position all entries are there. Entries
    may be ahead of the marker (a write was cut short), never behind it. Entries of other definitions of the
    features are useless: they are deleted, and the table is built again from the log.

    Parameters
    ----------
    plan : FeaturePlan
        The features.
    table : FeatureTable
        The partials in memory.
    store : PartialStore
        Where they are kept.
    events_topic : str
        Topic of the events that the positions count.
    partition : int
        The partition.
    """

    def __init__(
        self, plan: FeaturePlan, table: FeatureTable, store: PartialStore, *, events_topic: str, partition: int
    ) -> None:
        self._plan = plan
        self._table = table
        self._store = store
        self._partition = partition
        self._cursor = f"{events_topic}/{partition}/{partition}"
        self._description = " ".join((plan.fingerprint, *(group.id for group in plan.groups)))
        self._complete = False
        self._damaged = False
        table.on_damage(self._give_up)

    def load(self) -> Mapping[str, int] | None:
        """Load all partials; None if the store has none of these features: all is to be replayed.

        Raises
        ------
        UnavailableError
            If the store cannot be reached.
        """
        self._table.clear()
        self._complete = self._damaged = False
        marker = self._store.marker(self._partition)
        if marker is None or self._stored_plan() != self._description:
            self._wipe()
            return None
        try:
            for number, group in enumerate(self._plan.groups):
                for entries in self._store.scan_packed(self._partition, group.id):
                    self._table.load(number, entries)
        except PartialFormatError:
            self._table.clear()
            self._wipe()
            return None
        self._complete = True
        return {self._cursor: marker}

    def _stored_plan(self) -> str:
        return " ".join(
            entry.value.decode("utf-8", "replace") for entry in self._store.scan(self._partition, _PLAN_GROUP)
        )

    def _wipe(self) -> None:
        """Delete this partition's entries, of these features and of those that were stored before."""
        groups = {group.id for group in self._plan.groups} | set(self._stored_plan().split()[1:])
        # At one stroke with the marker: this member may have been replaced and its successor have written them.
        self._store.clear(self._partition, (*sorted(groups), _PLAN_GROUP))

    def _give_up(self) -> None:
        """Drop what is stored: it is only a cache, and whoever begins anew builds it from the log."""
        self._damaged = True
        self._wipe()

    def flush(self, positions: Mapping[str, int]) -> tuple[Item, ...]:
        """Write what changed and move the marker; if the store was wiped, write everything.

        Raises
        ------
        UnavailableError
            If the store cannot be reached; what changed is kept and written next time.
        """
        if self._damaged:
            # What is in memory is no better than what was loaded.
            return ()
        position = positions.get(self._cursor, 0)
        if self._complete:
            for number, group in enumerate(self._plan.groups):
                for gone in _bulks(self._table.forgotten(number)):
                    self._store.delete(self._partition, group.id, gone)
            for some in self._gathered(self._table.dirty, _BULK):
                self._put(some)
            self._complete = self._store.mark(self._partition, position)
        if not self._complete:
            self._write_all(position)
        self._table.clear_dirty()
        return ()

    def write_ahead(self) -> bool:
        """Write some of what changed, so that the next flush has less to write; it counts as stored after that alone.

        Returns
        -------
        bool
            Whether it was as much as may be at a time.

        Raises
        ------
        UnavailableError
            If the store cannot be reached.
        """
        if self._damaged or not self._complete:
            return False
        some = next(self._gathered(self._table.unwritten, _SOME), [])
        if some:
            self._put(some)
        for number, entries in some:
            self._table.written(number, entries)
        return sum(len(entries) for _, entries in some) == _SOME

    def _gathered(self, of: Callable[[int], Iterator[PartialEntry]], most: int) -> Iterator[_Some]:
        """Yield entries of all groups, so many at a time: while little changes, all of it in one round trip."""
        gathered: _Some = []
        room = most
        for number in range(len(self._plan.groups)):
            rest = of(number)
            while entries := list(islice(rest, room)):
                gathered.append((number, entries))
                room -= len(entries)
                if not room:
                    yield gathered
                    gathered, room = [], most
        if gathered:
            yield gathered

    def _put(self, some: _Some) -> None:
        self._store.put_groups(self._partition, [(self._plan.groups[number].id, entries) for number, entries in some])

    def _write_all(self, position: int) -> None:
        # From here on there is no marker, so nothing counts until all is there.
        self._store.begin(self._partition)
        for some in self._gathered(self._table.entries, _BULK):
            self._put(some)
        plan = PartialEntry("plan", position, self._description.encode())
        self._store.put(self._partition, _PLAN_GROUP, [plan])
        # False if another member has cleared the store meanwhile: then all is written again next time.
        self._complete = self._store.reset(self._partition, position)

    def checkpoint(self, positions: Mapping[str, int]) -> None:
        """Write everything not yet stored; raises as :meth:`flush`."""
        self.flush(positions)

    def reset(self) -> None:
        """Forget what was stored and loaded: it belongs to another log.

        Raises
        ------
        UnavailableError
            If the store cannot be reached.
        """
        self._wipe()
        self._table.clear()
        self._complete = False

    def close(self) -> None:
        """Let go of the table's local store; the partial store is its owner's to close."""
        self._table.close()


def _bulks(items: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(items)
    while some := list(islice(rest, _BULK)):
        yield some
