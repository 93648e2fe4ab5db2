"""Compares a window with its reference: which signals have moved, in which way, by how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from riverrun.drift.binning import Tally
from riverrun.drift.distances import Floats, same_source
from riverrun.drift.reference import Reference, mean_deviation
from riverrun.drift.runs import Runs
from riverrun.drift.settings import MonitorSettings
from riverrun.drift.signals import Move, Signal
from riverrun.drift.tails import beta_binomial_tail, run_tail

__all__ = ["Comparison", "Measured"]

_MARGIN: Final = 1.5
"""How much more than what is usual in the reference a shift must be."""
_LEAST_RUN: Final = 50
_LONGER: Final = 4
_SPARSE: Final = 0.5


class Measured(NamedTuple):
    """One statistic of all signals, and from which value on it counts as moved; below ``calm`` it is over."""

    statistic: str
    value: Floats
    threshold: Floats
    calm: Floats


class Comparison:
    """A window, held against its reference.

    Parameters
    ----------
    signals
        What is watched.
    settings
        How.
    reference, window
        What is compared.
    usual, runs
        The repetitions of the signals' values, in the reference and up to now.
    """

    def __init__(
        self,
        signals: Sequence[Signal],
        settings: MonitorSettings,
        reference: Reference,
        window: Tally,
        runs: tuple[Runs, Runs],
    ) -> None:
        self._signals = signals
        self._floor = settings.floor
        self._reference = reference
        self._window = window
        self._usual, self._runs = runs
        self.measured: Mapping[Move, Measured] = {
            Move.DISTRIBUTION: self._distribution(),
            Move.MISSING: self._missing(),
            Move.STALE: self._stale(),
            Move.RISE: self._rise(),
            Move.BALANCE: self._balance(),
            Move.SHARE: self._share(),
        }
        self._p_values: Mapping[Move, Callable[[int], float]] = {
            Move.DISTRIBUTION: self._p_distribution,
            Move.MISSING: self._p_missing,
            Move.STALE: self._p_stale,
            Move.RISE: self._p_rise,
            Move.BALANCE: self._p_balance,
            Move.SHARE: self._p_share,
        }

    def p_value(self, index: int, test: Move) -> float:
        """Return how likely a signal has moved as much by chance; 1 where it has moved too little to matter."""
        found = self.measured[test]
        return self._p_values[test](index) if found.value[index] >= found.threshold[index] else 1.0

    def levels(self, index: int, test: Move) -> tuple[float, float]:
        """Return what a statistic is made of, in the reference and in the window: a mean, a share, or a length."""
        before, now = self._reference.total, self._window
        if test is Move.MISSING:
            return before.missing[index] / before.size, now.missing[index] / now.size
        if test is Move.STALE:
            return float(self._usual.longest[index]), float(self._runs.current[index])
        return float(before.mean()[index]), float(now.mean()[index])

    def _distribution(self) -> Measured:
        reference, window = self._reference, self._window
        value, chance = reference.divergence(window), reference.chance(window)
        # A window in which hardly anything is present says nothing of how it is distributed.
        value = np.where(window.present >= _SPARSE * window.size, value, 0.0)
        limit = np.maximum(self._floor * reference.scale, _MARGIN * reference.distance)
        return Measured("divergence", value, chance + limit, chance + limit / 2.0)

    def _missing(self) -> Measured:
        before, now = self._reference.total, self._window
        value = now.missing / now.size - before.missing / before.size
        limit = self._floor / 2.0 + _MARGIN * self._reference.missing
        return Measured("share", value, limit, limit / 2.0)

    def _stale(self) -> Measured:
        limit = np.maximum(_LEAST_RUN, _LONGER * (self._usual.longest + 1)).astype(np.float64)
        return Measured("repeats", self._runs.current.astype(np.float64), limit, limit)

    def _rise(self) -> Measured:
        before = np.maximum(np.abs(self._reference.total.mean()), 1e-12)
        value = (self._window.mean() - self._reference.total.mean()) / before
        limit = np.maximum(self._floor, _MARGIN * self._reference.rise / before)
        return Measured("relative-rise", value, limit, limit / 2.0)

    def _balance(self) -> Measured:
        spread = np.sqrt(np.maximum(self._reference.total.variance(), 1e-24))
        value = np.abs(self._window.mean() - self._reference.total.mean()) / spread
        limit = np.maximum(self._floor, _MARGIN * self._reference.balance / spread)
        return Measured("deviations", value, limit, limit / 2.0)

    def _share(self) -> Measured:
        value = self._window.mean() - self._reference.total.mean()
        limit = self._floor / 2.0 + _MARGIN * self._reference.rise
        return Measured("share", value, limit, limit / 2.0)

    def _p_distribution(self, index: int) -> float:
        before, now = self._reference.total.counts[index], self._window.counts[index]
        effect = self._reference.places.effect(index)
        return same_source(before, now, ordered=not self._signals[index].category, effect=effect)

    def _p_missing(self, index: int) -> float:
        before, now = self._reference.total, self._window
        effect = self._reference.shares.effect(index)
        return _more_often((now.missing[index], now.size), (before.missing[index], before.size), effect)

    def _p_stale(self, index: int) -> float:
        return run_tail(int(self._runs.current[index]), int(self._usual.repeats[index]), self._usual.pairs)

    def _p_rise(self, index: int) -> float:
        # Asked only where the mean has risen, so half of what either way would be.
        return self._p_balance(index) / 2.0

    def _p_balance(self, index: int) -> float:
        square = float(mean_deviation(self._reference.total, self._window)[index])
        return self._reference.means.tail(index, square)

    def _p_share(self, index: int) -> float:
        before, now = self._reference.total, self._window
        effect = self._reference.means.effect(index)
        return _more_often((now.total[index], now.present[index]), (before.total[index], before.present[index]), effect)


def _more_often(now: tuple[float, float], before: tuple[float, float], effect: float) -> float:
    """Return how likely something is so much more frequent by chance; each pair is how often it was, of how many."""
    count, size = (round(each / effect) for each in now)
    return beta_binomial_tail(count, size, before[0] / effect, before[1] / effect)
