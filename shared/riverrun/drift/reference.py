"""The reference: how everything was distributed, and how much it changed even then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from riverrun.drift.binning import BINS, Binning, Tally, merged
from riverrun.drift.dispersion import Dispersion, Doubles
from riverrun.drift.distances import JS_OF_PSI, Floats, expected_psi, jensen_shannon, psi, shares

__all__ = ["Block", "Reference", "mean_deviation"]

_TINY: Final = 1e-12
_PLACES: Final = np.arange(BINS, dtype=np.float64)


class Block(NamedTuple):
    """Records that a window could hold.

    Attributes
    ----------
    tally
        All of them, counted.
    levels
        For each pane, and each signal, the mean number of the bin, the mean value, and the share of missing values.
    """

    tally: Tally
    levels: Doubles

    @classmethod
    def of(cls, panes: Sequence[Tally]) -> Block:
        """Make a block of its panes."""
        return cls(merged(panes), np.stack([_levels(pane) for pane in panes]))


class Reference:
    """Records against which later ones are held, in blocks as long as the window that will be compared.

    Real streams breathe: an hour is unlike the one before it though nothing is wrong. So each block is compared with
    all the others, and what the blocks differ by among themselves is what is *usual*: only more than that is a shift.

    Parameters
    ----------
    category
        For each signal, whether it is a category.
    binning
        Bins of the signals.
    blocks
        At least two.

    Attributes
    ----------
    total
        All blocks together.
    distance, missing, rise, balance
        What is usual: for each signal the greatest excess of a block's divergence, share of missing values, mean, and
        mean up or down, over the other blocks'.
    places, means, shares
        The design effects of the place in the distribution, of the mean, and of the share of missing values.
    """

    __slots__ = (
        "_category",
        "_scale",
        "balance",
        "binning",
        "distance",
        "means",
        "missing",
        "places",
        "rise",
        "shares",
        "total",
    )

    def __init__(self, category: Sequence[bool], binning: Binning, blocks: Sequence[Block]) -> None:
        self.binning = binning
        self._category: NDArray[np.bool_] = np.array(category, dtype=bool)
        self._scale: Floats = np.where(self._category, JS_OF_PSI, 1.0)
        tallies = [block.tally for block in blocks]
        self.total = merged(tallies)
        pairs = [(self.total.without(tally), tally) for tally in tallies]
        self.distance = _most([self._between(rest, tally) - self._chance(rest, tally) for rest, tally in pairs])
        self.missing = _most([_share(tally) - _share(rest) for rest, tally in pairs])
        self.rise = _most([tally.mean() - rest.mean() for rest, tally in pairs])
        self.balance = _most([np.abs(tally.mean() - rest.mean()) for rest, tally in pairs])
        levels = np.stack([block.levels for block in blocks])
        size = self.total.size // (levels.shape[0] * levels.shape[1])
        center, variance = _levels(self.total), _variances(self.total)
        self.places, self.means, self.shares = (
            Dispersion.of(levels[:, :, level, :], center[level], variance[level], size) for level in range(3)
        )

    def divergence(self, window: Tally) -> Floats:
        """Return how far each signal is from the reference: numbers by their index, categories in bits."""
        return self._between(self.total, window)

    def chance(self, window: Tally) -> Floats:
        """Return what `divergence` is on average where nothing has moved."""
        return self._chance(self.total, window)

    @property
    def scale(self) -> Floats:
        """What a population stability index of 1 is in each signal's measure, where both are small."""
        return self._scale

    def _between(self, reference: Tally, window: Tally) -> Floats:
        used = self.binning.used
        first, second = shares(reference.counts, used), shares(window.counts, used)
        if not self._category.any():
            return psi(first, second)
        result: Floats = np.where(self._category, jensen_shannon(first, second), psi(first, second))
        return result

    def _chance(self, reference: Tally, window: Tally) -> Floats:
        expected = expected_psi(self.binning.bins(), reference.present, window.present)
        result: Floats = expected * self._scale
        return result


def mean_deviation(reference: Tally, window: Tally) -> Floats:
    """Return the square of Welch's statistic of two means: 1 on average, for independent values of one distribution."""
    error = sum(part.variance() / np.maximum(part.present, 1) for part in (reference, window))
    result: Floats = (window.mean() - reference.mean()) ** 2 / np.maximum(error, _TINY)
    return result


def _levels(tally: Tally) -> Floats:
    """Return the mean number of the bin, the mean, and the share of missing values; NaN for no values."""
    present = np.where(tally.present > 0, tally.present, np.nan)
    return np.stack(((tally.counts * _PLACES).sum(axis=1) / present, tally.total / present, _share(tally)))


def _variances(tally: Tally) -> Floats:
    """Return the variances of what `_levels` gives the means of."""
    present = np.maximum(tally.present, 1)
    place = (tally.counts * _PLACES).sum(axis=1) / present
    spread = (tally.counts * _PLACES**2).sum(axis=1) / present - place**2
    share = _share(tally)
    # A share that was never seen is given the variance of one that was seen once.
    return np.stack((spread, tally.variance(), np.maximum(share * (1.0 - share), 1.0 / max(1, tally.size))))


def _share(tally: Tally) -> Floats:
    result: Floats = tally.missing / max(1, tally.size)
    return result


def _most(rows: Sequence[Floats]) -> Floats:
    result: Floats = np.maximum(np.max(rows, axis=0), 0.0)
    return result
