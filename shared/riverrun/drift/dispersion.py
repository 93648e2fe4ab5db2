"""How much a stream varies from one stretch to the next, beside what chance alone would make of it."""

from __future__ import annotations

from math import sqrt
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from riverrun.drift.distances import Floats
from riverrun.drift.tails import f_tail

__all__ = ["Dispersion"]

_SURE: Final = 3.0
_TINY: Final = 1e-12

Doubles = NDArray[np.float64]


class Dispersion(NamedTuple):
    """The design effect of each signal: how many values tell as much as one independent value would.

    Where stretches of a stream differ by more than samples of independent values would, neighbouring values are alike.
    The variance of the stretches' means, divided by what it would be for independent values, is the design effect: L.
    Kish (1965), *Survey sampling*. It is taken from short stretches, of which there are many; and from long ones where
    these differ surely by more, so that what is near is alike for longer than a short stretch.

    Attributes
    ----------
    short, long
        The ratio of the variances, 1 on average for independent values.
    panes, blocks
        How many stretches of each length there were.
    """

    short: Floats
    long: Floats
    panes: int
    blocks: int

    @classmethod
    def of(cls, levels: Doubles, center: Floats, variance: Floats, size: int) -> Dispersion:
        """Learn from the means of stretches.

        Parameters
        ----------
        levels
            Means by block, pane of the block, and signal; NaN where a signal had no values.
        center, variance
            The mean and the variance of all values of each signal.
        size
            Records in a pane.
        """
        blocks, panes, _ = levels.shape
        known = np.where(np.isfinite(levels), levels, center)
        chance = np.maximum(variance, _TINY) / size
        short = ((known - center) ** 2 / chance).mean(axis=(0, 1))
        long = ((known.mean(axis=1) - center) ** 2 / (chance / panes)).mean(axis=0)
        return cls(short, long, blocks * panes, blocks)

    def effect(self, index: int) -> float:
        """Return by what to divide a count of a signal's values, on the safe side; 1 for independent values."""
        doubt = sqrt(2.0 / self.panes)
        short = float(self.short[index])
        effect = short * (1.0 + doubt) if short > 1.0 + doubt else 1.0
        if self._lasts(index):
            effect = max(effect, float(self.long[index]) * (1.0 + sqrt(2.0 / self.blocks)))
        return effect

    def tail(self, index: int, square: float) -> float:
        """Return how likely two means are so far apart, either way.

        Parameters
        ----------
        index
            The signal.
        square
            The square of their distance, divided by its variance for independent values.
        """
        if self._lasts(index):
            return f_tail(square / float(self.long[index]), 1.0, self.blocks)
        return f_tail(square / max(1.0, float(self.short[index])), 1.0, self.panes)

    def _lasts(self, index: int) -> bool:
        sure = 1.0 + _SURE * sqrt(2.0 / self.blocks)
        return bool(self.long[index] > max(sure, float(self.short[index])))
