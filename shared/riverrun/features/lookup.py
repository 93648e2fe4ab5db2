"""Features of an event from what all partitions have stored, by one who keeps no partials of his own: read only.

What is found is what the partitions' tables had stored, which trails what they have folded. What is not there is
missing. Merged as a partition's own table would have merged the same partials, so the values are the same too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from riverrun.features.entries import EntryCodec
from riverrun.features.errors import PartialFormatError
from riverrun.records.items import ForeignRead
from riverrun.records.murmur2 import partition_of

if TYPE_CHECKING:
    from riverrun.features.panes import Ring, RingLayout
    from riverrun.features.plan import FeaturePlan
    from riverrun.records.items import FieldValue
    from riverrun.runtime.ports import PartialEntry

__all__ = ["FeatureLookup", "Found", "Wanted"]

_REMEMBERED: Final = 4_096
"""Decoded partials that are kept: the same entity is asked for again before it changes, as a rule."""


class Wanted(NamedTuple):
    """A partial to be looked up: the group's number, where it is stored, and under what name."""

    number: int
    partition: int
    group: str
    entity: str


class Found(NamedTuple):
    """An event's features, and which partials they were made of."""

    values: tuple[FieldValue, ...]
    reads: tuple[ForeignRead, ...]


class FeatureLookup:
    """Says which partials an event needs, and makes its features of those that were found.

    Parameters
    ----------
    plan : FeaturePlan
        The features.
    partitions : int
        How many there are.
    """

    __slots__ = ("_codecs", "_features", "_partitions", "_plan", "_remembered", "_results", "_stale")

    def __init__(self, plan: FeaturePlan, partitions: int) -> None:
        self._plan = plan
        self._partitions = tuple(range(partitions))
        self._codecs = tuple(EntryCodec(group) for group in plan.groups)
        self._results: list[FieldValue] = list(plan.empty)
        self._features = plan.bind(self._results)
        self._remembered: dict[tuple[int, bytes], Sequence[Ring | None]] = {}
        self._stale: Sequence[Ring | None] = ()

    def wanted(self, fields: Mapping[str, FieldValue], key: str) -> list[Wanted]:
        """Return the partials that an event's features are made of, by group and then by partition.

        Parameters
        ----------
        fields
            The event's fields.
        key
            Its key, which decides where the entities are that include it.
        """
        wanted = []
        for number, group in enumerate(self._plan.groups):
            name = group.entity(fields)
            if name is None:
                continue
            if group.is_local and len(self._partitions) > 1:
                wanted.append(Wanted(number, partition_of(key.encode(), len(self._partitions)), group.id, name))
            else:
                wanted.extend([Wanted(number, partition, group.id, name) for partition in self._partitions])
        return wanted

    def features(
        self,
        fields: Mapping[str, FieldValue],
        time: int,
        wanted: Sequence[Wanted],
        entries: Sequence[PartialEntry | None],
    ) -> Found:
        """Return the features of an event.

        Parameters
        ----------
        fields
            The event's fields.
        time
            Its event time in milliseconds.
        wanted
            As :meth:`wanted` returned it.
        entries
            What was found for each; None for what is not there. A partial that was stored for other definitions of
            the features, or is damaged, counts as not there.
        """
        results = self._results
        results[:] = self._plan.empty
        held: dict[int, list[Sequence[Ring | None]]] = {}
        reads = []
        for (number, partition, group, entity), entry in zip(wanted, entries, strict=True):
            rings = () if entry is None else self._decode(number, entry.value)
            if entry is not None and rings:
                held.setdefault(number, []).append(rings)
                reads.append(ForeignRead(partition, group, entity, entry.position))
        for number, partials in held.items():
            for index, layout in enumerate(self._plan.groups[number].layouts):
                rings_of = [ring for rings in partials if (ring := rings[index]) is not None]
                if rings_of:
                    self._finish(layout, rings_of, time)
        return Found(tuple([feature(fields) for feature in self._features]), tuple(reads))

    def _finish(self, layout: RingLayout, rings: Sequence[Ring], time: int) -> None:
        # An event that asks is the newest there is: no watermark has passed it.
        low, high = layout.window(time, max([ring.newest for ring in rings]), 0)
        if len(rings) == 1:
            if low <= high:
                layout.finish(layout.read(rings[0], low, high), self._results)
            return
        row = layout.identity[:]
        for ring in rings:
            last = min(high, ring.newest)
            if low <= last:
                layout.merge_rows(row, layout.read(ring, low, last))
        layout.finish(row, self._results)

    def _decode(self, number: int, value: bytes) -> Sequence[Ring | None]:
        """Return an entry's rings, which are only ever read; none if they are of no use."""
        known = self._remembered.get((number, value))
        if known is None:
            try:
                known = self._codecs[number].decode(value)
            except PartialFormatError:
                known = self._stale
            if len(self._remembered) >= _REMEMBERED:
                # All at once: to find the least recently used would cost each look-up more than this ever does.
                self._remembered.clear()
            self._remembered[number, value] = known
        return known
