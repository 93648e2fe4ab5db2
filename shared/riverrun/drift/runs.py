"""Runs of one value: a feature that repeats itself for longer than ever before is not being fed any more."""

from __future__ import annotations

import numpy as np

from riverrun.drift.distances import Counts, Floats

__all__ = ["Runs", "RunsState"]

RunsState = tuple[Counts, Counts, Counts, int, Floats]


class Runs:
    """How long each signal has repeated itself.

    Parameters
    ----------
    signals
        How many there are.

    Attributes
    ----------
    current
        How often each signal's last value has repeated the one before it, without a break.
    repeats
        How often each signal's value was the one before.
    longest
        Each signal's longest run.
    pairs
        How many pairs of neighbours were looked at.

    Examples
    --------
    >>> runs = Runs(2)
    >>> runs.follow(np.array([[1.0, 5.0], [2.0, 5.0], [2.0, 5.0], [2.0, np.nan]]))
    >>> runs.current.tolist(), runs.longest.tolist(), runs.repeats.tolist(), runs.pairs
    ([2, 0], [2, 2], [2, 2], 4)
    """

    __slots__ = ("_last", "current", "longest", "pairs", "repeats")

    def __init__(self, signals: int) -> None:
        self.current: Counts = np.zeros(signals, dtype=np.int64)
        self.longest: Counts = np.zeros(signals, dtype=np.int64)
        self.repeats: Counts = np.zeros(signals, dtype=np.int64)
        self.pairs = 0
        self._last: Floats = np.full(signals, np.nan)

    def follow(self, rows: Floats) -> None:
        """Take in records, one row a record; a missing value ends a run."""
        same = rows == np.vstack((self._last, rows[:-1]))
        # Each row's last break before or at it, as an index; where there was none yet, the run goes on.
        rank = np.arange(1, len(rows) + 1)[:, None]
        breaks = np.maximum.accumulate(np.where(same, 0, rank), axis=0)
        lengths = rank - breaks + np.where(breaks == 0, self.current, 0)
        self.current = lengths[-1]
        self.longest = np.maximum(self.longest, lengths.max(axis=0))
        self.repeats = self.repeats + same.sum(axis=0)
        self.pairs += len(rows)
        self._last = rows[-1].copy()

    def state(self) -> RunsState:
        """Return what `restore` needs."""
        return (self.current, self.longest, self.repeats, self.pairs, self._last)

    def restore(self, state: RunsState) -> None:
        """Go on from a `state`."""
        self.current, self.longest, self.repeats, self.pairs, self._last = state
