"""Histograms of many signals at a time, in bins that a sample of them suggests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from riverrun.drift.distances import Counts, Floats

__all__ = ["BINS", "Binning", "Tally", "merged"]

BINS: Final = 16
"""Most bins that a signal has: enough to see a shape, few enough for a window of some hundred values."""

_RARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Tally:
    """What is remembered of some records' signals: one row a signal.

    Attributes
    ----------
    counts
        Values in each bin.
    missing
        Values that were missing.
    total, squares
        Sums of the values and of their squares.
    size
        How many records there were.
    """

    counts: Counts
    missing: Counts
    total: Floats
    squares: Floats
    size: int

    @property
    def present(self) -> Counts:
        """How many values were not missing."""
        result: Counts = self.size - self.missing
        return result

    def mean(self) -> Floats:
        """Return the mean of each signal."""
        result: Floats = self.total / np.maximum(self.present, 1)
        return result

    def variance(self) -> Floats:
        """Return the variance of each signal."""
        result: Floats = np.maximum(self.squares / np.maximum(self.present, 1) - self.mean() ** 2, 0.0)
        return result

    def without(self, part: Tally) -> Tally:
        """Return the tally of the other records."""
        return Tally(
            self.counts - part.counts,
            self.missing - part.missing,
            self.total - part.total,
            self.squares - part.squares,
            self.size - part.size,
        )


def merged(parts: Iterable[Tally]) -> Tally:
    """Return the tally of the records of all parts, of which there must be one."""
    # They are few and small: to stack them for one sum would take longer than to add them one by one.
    first, *others = parts
    if not others:
        return first
    counts, missing = first.counts.copy(), first.missing.copy()
    total, squares, size = first.total.copy(), first.squares.copy(), first.size
    for part in others:
        counts += part.counts
        missing += part.missing
        total += part.total
        squares += part.squares
        size += part.size
    return Tally(counts, missing, total, squares, size)


@dataclass(frozen=True, slots=True)
class Binning:
    """The bins of every signal.

    A number has bins that hold about equally many of a sample's values, the outermost open; where there are few
    different ones, it has a bin for each, one below and one above. A category has one for each value with at least a
    hundredth of the sample, and a last one for all others.

    Attributes
    ----------
    edges
        For each signal the rising inner bounds of its bins; empty for a category.
    codes
        For each signal the codes of its categories, one a bin but for the last; empty for a number.
    used
        Which bins each signal has; one row a signal.
    """

    edges: tuple[Floats, ...]
    codes: tuple[Counts, ...]
    used: NDArray[np.bool_]

    @classmethod
    def fit(cls, category: Sequence[bool], sample: Floats) -> Binning:
        """Choose bins for a sample of records, one row a record."""
        edges: list[Floats] = []
        codes: list[Counts] = []
        used = np.zeros((len(category), BINS), dtype=bool)
        for index, is_category in enumerate(category):
            values = sample[:, index]
            values = values[np.isfinite(values)]
            edges.append(np.empty(0) if is_category else _edges(values))
            codes.append(_codes(values) if is_category else np.empty(0, dtype=np.int64))
            used[index, : len(edges[-1]) + len(codes[-1]) + 1] = True
        return cls(tuple(edges), tuple(codes), used)

    def bins(self) -> Counts:
        """Return how many bins each signal has."""
        result: Counts = self.used.sum(axis=1)
        return result

    def tally(self, rows: Floats) -> Tally:
        """Count records, one row a record."""
        present = np.isfinite(rows)
        clean = np.where(present, rows, 0.0)
        counts = np.zeros(self.used.shape, dtype=np.int64)
        for index, (edges, codes) in enumerate(zip(self.edges, self.codes, strict=True)):
            values = rows[:, index][present[:, index]]
            places = np.searchsorted(edges, values, side="right") if len(codes) == 0 else _places(codes, values)
            counts[index] = np.bincount(places, minlength=BINS)
        return Tally(counts, (~present).sum(axis=0), clean.sum(axis=0), (clean * clean).sum(axis=0), len(rows))


def _edges(values: Floats) -> Floats:
    different = np.unique(values)
    if len(different) == 0:
        return np.empty(0)
    if len(different) <= BINS - 2:
        below, above = np.nextafter(different[0], -np.inf), np.nextafter(different[-1], np.inf)
        return np.concatenate(([below], (different[1:] + different[:-1]) / 2.0, [above]))
    return np.unique(np.quantile(values, np.arange(1, BINS) / BINS))


def _codes(values: Floats) -> Counts:
    codes, counts = np.unique(values.astype(np.int64), return_counts=True)
    common = codes[counts >= _RARE * max(1, len(values))]
    ranked = common[np.argsort(-counts[np.isin(codes, common)], kind="stable")]
    result: Counts = ranked[: BINS - 1]
    return result


def _places(codes: Counts, values: Floats) -> NDArray[np.intp]:
    order = np.argsort(codes)
    found = np.minimum(np.searchsorted(codes[order], values), len(codes) - 1)
    places: NDArray[np.intp] = np.where(codes[order][found] == values, order[found], len(codes))
    return places
