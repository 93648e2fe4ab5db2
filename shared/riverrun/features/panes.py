"""Windows as rings of panes.

A window of event time is ``panes`` panes of ``pane_ms`` each; the pane of a time is ``time // pane_ms``. For one entity
and all aggregates over the same stream and window, a :class:`Ring` keeps the partials of the last ``panes`` panes up
to the newest that an event fell into; a :class:`RingLayout`, shared by all entities, knows what is where.

What is read at a time ``t``, with the partition's watermark ``w``, is the left fold, oldest first, of the partials of
the panes

    max(pane(t), newest, pane(w) - panes) - panes + 1  …  min(pane(t), newest)

that is: the window that ends with the pane of ``t``, less what the ring no longer keeps, less what ended more than
two windows behind the watermark. The first limit is the ring's size, the second makes forgetting whole entities
invisible: nothing can ever read a pane beyond it, be the event as late as it may. An event that is older than the ring
keeps is dropped.

The fold of all panes but the newest is cached, for most events fall into that one. The cache never changes a bit:
it is the same calls in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from riverrun.features.partials import Cells, Partial
from riverrun.records.items import FieldValue

__all__ = ["NO_PANE", "Column", "Ring", "RingLayout"]

NO_PANE: Final = -(1 << 62)
"""Stands for the pane of a ring that has none yet: older than any."""


class Ring:
    """One entity's panes of one window.

    Attributes
    ----------
    newest : int
        The newest pane that an event fell into.
    cells : list
        The partials, pane after pane; pane ``p`` has the stretch number ``p % panes``.
    low, high : int
        Which panes ``prefix`` belongs to: it is the fold of ``low`` to ``high - 1``. If none, ``high`` is ``NO_PANE``.
    prefix : list
        A row of partials.
    """

    __slots__ = ("cells", "high", "low", "newest", "prefix")

    def __init__(self, cells: Cells) -> None:
        self.newest = NO_PANE
        self.cells = cells
        self.low = NO_PANE
        self.high = NO_PANE
        self.prefix: Cells = []


@dataclass(frozen=True, slots=True)
class Column:
    """An aggregate of a ring.

    Attributes
    ----------
    partial : Partial
        What is kept of it.
    value_slot : int
        Which of an event's values it folds.
    result_slot : int
        Which of a vector's aggregates it is.
    """

    partial: Partial
    value_slot: int
    result_slot: int


class RingLayout:
    """What the rings of one stream and window have in common.

    Parameters
    ----------
    pane_ms : int
        Length of a pane in milliseconds.
    panes : int
        How many make the window.
    columns : sequence of Column
        The aggregates, in the order in which their cells lie in a row.
    """

    __slots__ = ("_merges", "_results", "_updates", "identity", "offsets", "pane_ms", "panes", "partials", "width")

    def __init__(self, pane_ms: int, panes: int, columns: Sequence[Column]) -> None:
        self.pane_ms = pane_ms
        self.panes = panes
        self.partials = tuple(column.partial for column in columns)
        identity: Cells = []
        offsets = []
        for partial in self.partials:
            offsets.append(len(identity))
            identity.extend(partial.identity)
        self.identity = identity
        self.offsets = tuple(offsets)
        self.width = len(identity)
        # Bound methods in tuples: an attribute look-up less for each aggregate and event.
        placed = tuple(zip(columns, offsets, strict=True))
        self._updates: tuple[tuple[int, int, Callable[[Cells, int, Any, int], None]], ...] = tuple(
            (column.value_slot, offset, column.partial.update) for column, offset in placed
        )
        self._merges: tuple[tuple[int, Callable[[Cells, int, Cells, int], None]], ...] = tuple(
            (offset, column.partial.merge) for column, offset in placed
        )
        self._results: tuple[tuple[int, int, Callable[[Cells, int], FieldValue]], ...] = tuple(
            (column.result_slot, offset, column.partial.result) for column, offset in placed
        )

    def new_ring(self) -> Ring:
        """Return an empty ring."""
        return Ring(self.identity * self.panes)

    def fold(self, ring: Ring, time: int, values: Sequence[Any]) -> None:
        """Fold one event's values (None: missing, left out) into the pane of its time, if that is still kept."""
        pane = time // self.pane_ms
        newest = ring.newest
        if pane != newest:
            if pane > newest:
                self._advance(ring, pane)
            elif pane <= newest - self.panes:
                return
        if pane != ring.high:
            ring.high = NO_PANE
        cells = ring.cells
        base = pane % self.panes * self.width
        for slot, offset, update in self._updates:
            value = values[slot]
            if value is not None:
                update(cells, base + offset, value, time)

    def _advance(self, ring: Ring, pane: int) -> None:
        gone = pane - ring.newest
        ring.newest = pane
        width = self.width
        if gone >= self.panes:
            ring.cells[:] = self.identity * self.panes
            return
        for fresh in range(pane - gone + 1, pane + 1):
            base = fresh % self.panes * width
            ring.cells[base : base + width] = self.identity

    def window(self, time: int, newest: int, watermark: int) -> tuple[int, int]:
        """Return the first and the last pane to be read at ``time``; none if the first is the greater."""
        pane = time // self.pane_ms
        panes = self.panes
        low = watermark // self.pane_ms - panes
        low = max(low, pane)
        low = max(low, newest)
        return low - panes + 1, pane if pane < newest else newest

    def read(self, ring: Ring, low: int, high: int) -> Cells:
        """Return the row of the partials of panes ``low`` … ``high``, which the ring must keep, folded in order."""
        if ring.high != high or ring.low != low:
            self._fold_prefix(ring, low, high)
        row = ring.prefix[:]
        cells = ring.cells
        base = high % self.panes * self.width
        for offset, merge in self._merges:
            merge(row, offset, cells, base + offset)
        return row

    def _fold_prefix(self, ring: Ring, low: int, high: int) -> None:
        prefix = self.identity[:]
        cells = ring.cells
        merges = self._merges
        for pane in range(low, high):
            base = pane % self.panes * self.width
            for offset, merge in merges:
                merge(prefix, offset, cells, base + offset)
        ring.prefix = prefix
        ring.low = low
        ring.high = high

    def merge_rows(self, row: Cells, other: Cells) -> None:
        """Merge a row of partials into another, as the right operand."""
        for offset, merge in self._merges:
            merge(row, offset, other, offset)

    def finish(self, row: Cells, results: list[FieldValue]) -> None:
        """Put the results of a row of partials into their slots."""
        for slot, offset, result in self._results:
            results[slot] = result(row, offset)

    def first_kept(self, ring: Ring, watermark: int) -> int:
        """Return the oldest pane that anything can still read."""
        return max(ring.newest, watermark // self.pane_ms - self.panes) - self.panes + 1

    def is_forgotten(self, ring: Ring, watermark: int) -> bool:
        """Tell whether nothing can ever read any of the ring's panes again, now that the watermark is there."""
        return ring.newest < watermark // self.pane_ms - 2 * self.panes + 1

    def forgotten_from(self, ring: Ring) -> int:
        """Return the first watermark, in milliseconds, at which the ring is forgotten unless it is folded into."""
        return (ring.newest + 2 * self.panes) * self.pane_ms
