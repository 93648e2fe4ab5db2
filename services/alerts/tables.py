"""Keeps the core's state in Faust tables, each part in its own, all parts of one moment or none.

A kill may come between two tables. So states are written to two slots in turn, every part with its position: the newest
slot whose parts agree is whole.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from riverrun.runtime.failpoints import Failpoint, Reach, nowhere
from services.alerts.fold import SavedState

__all__ = ["PARTS", "StateTables"]

PARTS: Final = ("cooldowns", "acknowledgements", "subscriptions", "watchers")
"""The parts of a core's state, and the names of their tables."""

_SLOTS: Final = ("even", "odd")

Table = MutableMapping[str, Any]


class StateTables:
    """The tables.

    Parameters
    ----------
    tables
        A table for each part.
    reach
        Called at the points before a state is written, and between its parts.
    """

    def __init__(self, tables: Mapping[str, Table], reach: Reach = nowhere) -> None:
        self._tables = dict(tables)
        self._reach = reach
        self._next = 0

    def save(self, saved: SavedState) -> None:
        """Write a state over the older of the two."""
        position, state = saved
        slot = _SLOTS[self._next]
        self._next = 1 - self._next
        self._reach(Failpoint.BEFORE_STATE)
        for part in PARTS:
            self._tables[part][slot] = {"position": position, "data": state[part]}
            self._reach(Failpoint.BETWEEN_STATES)

    def load(self) -> SavedState | None:
        """Return the newest whole state; None if there is none."""
        newest: SavedState | None = None
        for number, slot in enumerate(_SLOTS):
            rows = [self._tables[part].get(slot) for part in PARTS]
            positions = {None if row is None else row["position"] for row in rows}
            position = positions.pop()
            if positions or position is None or (newest is not None and newest[0] >= position):
                continue
            newest = position, {part: row["data"] for part, row in zip(PARTS, rows, strict=True) if row is not None}
            self._next = 1 - number
        return newest
