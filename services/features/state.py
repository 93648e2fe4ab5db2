"""Trailing state of the stage: the table's partials, behind it in a partial store (Redis)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, TypeVar

from riverrun.features import FeaturePlan, FeatureTable, PartialFormatError
from riverrun.records.items import Item
from riverrun.runtime.ports import PartialEntry, PartialStore

_T = TypeVar("_T")

__all__ = ["FeatureState"]

_BULK: Final = 500
"""Entries written in one round trip."""

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
                self._put(group.id, self._table.dirty(number))
            self._complete = self._store.mark(self._partition, position)
        if not self._complete:
            self._write_all(position)
        self._table.clear_dirty()
        return ()

    def _write_all(self, position: int) -> None:
        # From here on there is no marker, so nothing counts until all is there.
        self._store.begin(self._partition)
        for number, group in enumerate(self._plan.groups):
            self._put(group.id, self._table.entries(number))
        self._put(_PLAN_GROUP, [PartialEntry("plan", position, self._description.encode())])
        # False if another member has cleared the store meanwhile: then all is written again next time.
        self._complete = self._store.reset(self._partition, position)

    def _put(self, group: str, entries: Iterable[PartialEntry]) -> None:
        for some in _bulks(entries):
            self._store.put(self._partition, group, some)

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
