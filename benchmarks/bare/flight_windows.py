"""Windows by hand: panes in a ring, with the running count and total of the whole window.

Delays and minutes are whole numbers, so that what is taken out again leaves the total exact: with other numbers the
panes would have to be added up anew at every read.
"""

from __future__ import annotations

from typing import Any

_NONE = -(1 << 62)


class Window:
    """Count and total of the values of the last ``panes`` panes of event time.

    Parameters
    ----------
    pane_ms
        Length of a pane, in milliseconds.
    panes
        How many there are.
    """

    __slots__ = ("count", "counts", "newest", "pane_ms", "panes", "total", "totals")

    def __init__(self, pane_ms: int, panes: int) -> None:
        self.pane_ms = pane_ms
        self.panes = panes
        self.newest = _NONE
        self.counts = [0] * panes
        self.totals = [0.0] * panes
        self.count = 0
        self.total = 0.0

    def add(self, time: int, value: float = 0.0) -> None:
        """Take in a value, unless it is older than the window."""
        pane = time // self.pane_ms
        if pane > self.newest:
            self._advance(pane)
        elif pane <= self.newest - self.panes:
            return
        slot = pane % self.panes
        self.counts[slot] += 1
        self.totals[slot] += value
        self.count += 1
        self.total += value

    def _advance(self, pane: int) -> None:
        if pane - self.newest >= self.panes:
            self.counts = [0] * self.panes
            self.totals = [0.0] * self.panes
            self.count = 0
            self.total = 0.0
        else:
            for fresh in range(self.newest + 1, pane + 1):
                slot = fresh % self.panes
                self.count -= self.counts[slot]
                self.total -= self.totals[slot]
                self.counts[slot] = 0
                self.totals[slot] = 0.0
        self.newest = pane

    def read(self, time: int) -> tuple[int, float]:
        """Return count and total of the window that ends with the pane of ``time``."""
        pane = time // self.pane_ms
        if pane == self.newest:
            return self.count, self.total
        if pane > self.newest:
            gone = range(self.newest - self.panes + 1, min(pane - self.panes, self.newest) + 1)
        else:
            gone = range(max(pane, self.newest - self.panes) + 1, self.newest + 1)
        count, total = self.count, self.total
        for each in gone:
            slot = each % self.panes
            count -= self.counts[slot]
            total -= self.totals[slot]
        return count, total

    def mean(self, time: int) -> float | None:
        """Return the mean, None for nothing."""
        count, total = self.read(time)
        return total / count if count else None


class Latest:
    """The newest value by event time of the last ``panes`` panes."""

    __slots__ = ("held", "newest", "pane_ms", "panes")

    def __init__(self, pane_ms: int, panes: int) -> None:
        self.pane_ms = pane_ms
        self.panes = panes
        self.newest = _NONE
        self.held: dict[int, tuple[int, Any]] = {}

    def add(self, time: int, value: Any) -> None:
        """Take in a value, unless it is older than the window."""
        pane = time // self.pane_ms
        if pane > self.newest:
            self.newest = pane
            last = pane - self.panes
            if self.held and next(iter(self.held)) <= last:
                self.held = {each: kept for each, kept in self.held.items() if each > last}
        elif pane <= self.newest - self.panes:
            return
        if value is None:
            return
        held = self.held.get(pane)
        if held is None or time >= held[0]:
            self.held[pane] = time, value

    def read(self, time: int) -> Any:
        """Return the newest value of the window that ends with the pane of ``time``; None for nothing."""
        pane = time // self.pane_ms
        newest = self.newest
        low = (pane if pane > newest else newest) - self.panes
        for each in range(pane if pane < newest else newest, low, -1):
            held = self.held.get(each)
            if held is not None:
                return held[1]
        return None
