"""How far two histograms are apart, and how likely so far by chance."""

from __future__ import annotations

from math import log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from riverrun.drift.tails import chi_square_tail, kolmogorov_tail

__all__ = ["Counts", "Floats", "expected_psi", "jensen_shannon", "psi", "same_source"]

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

JS_OF_PSI: Final = 1.0 / (8.0 * log(2.0))
"""What a small population stability index is as a Jensen-Shannon divergence in bits (both are, to second order, the
same quadratic form)."""

_LEAST_EXPECTED: Final = 5.0
_SMOOTHING: Final = 0.5


def shares(counts: Counts, used: NDArray[np.bool_]) -> Floats:
    """Return each bin's share, by rows, with half a value added to each bin in use, so that none is impossible.

    Examples
    --------
    >>> shares(np.array([[3, 0, 0]]), np.array([[True, True, False]])).tolist()
    [[0.875, 0.125, 0.0]]
    """
    padded = np.where(used, counts + _SMOOTHING, 0.0)
    total: Floats = padded.sum(axis=-1, keepdims=True)
    result: Floats = padded / np.where(total > 0.0, total, 1.0)
    return result


def psi(reference: Floats, current: Floats) -> Floats:
    """Return the population stability index of shares, by rows: the sum of (c - r) · ln(c / r).

    Also known as Jeffreys' divergence: H. Jeffreys (1946), *An invariant form for the prior probability in estimation
    problems*. By custom, 0.1 is a shift to look at, and 0.25 one to act on. A bin that both do without counts nothing.

    Examples
    --------
    >>> psi(np.array([0.5, 0.5]), np.array([0.8, 0.2])).round(3).item()
    0.416
    """
    used = (reference > 0.0) & (current > 0.0)
    ratio = np.where(used, current, 1.0) / np.where(used, reference, 1.0)
    result: Floats = np.where(used, (current - reference) * np.log(ratio), 0.0).sum(axis=-1)
    return result


def jensen_shannon(reference: Floats, current: Floats) -> Floats:
    """Return the Jensen-Shannon divergence of shares in bits, by rows: 0 if they are equal, 1 if nothing is common.

    J. Lin (1991), *Divergence measures based on the Shannon entropy*.

    Examples
    --------
    >>> jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])).item()
    1.0
    """
    middle = (reference + current) / 2.0

    def relative(part: Floats) -> Floats:
        used = part > 0.0
        ratio = np.where(used, part, 1.0) / np.where(used, middle, 1.0)
        result: Floats = np.where(used, part * np.log2(ratio), 0.0).sum(axis=-1)
        return result

    result: Floats = (relative(reference) + relative(current)) / 2.0
    return result


def expected_psi(bins: Counts, reference: Counts, current: Counts) -> Floats:
    """Return the index that two samples of one distribution have on average: (bins - 1) · (1 / n + 1 / m).

    It is chi-square distributed up to that factor: B. Yurdakul (2018), *Statistical properties of population stability
    index*.

    Parameters
    ----------
    bins
        How many bins each row has.
    reference, current
        How many values each row's histograms count.
    """
    result: Floats = (bins - 1) * (1.0 / np.maximum(reference, 1) + 1.0 / np.maximum(current, 1))
    return result


def same_source(reference: Counts, current: Counts, *, ordered: bool, effect: float = 1.0) -> float:
    """Return how likely two histograms of one distribution differ as much: a p-value.

    Pearson's chi-square test for homogeneity, in which bins that expect fewer than five values are taken together; for
    bins of a number (``ordered``) the Kolmogorov-Smirnov test too, and the smaller of the two, doubled.

    Parameters
    ----------
    reference, current
        Values in each bin.
    ordered
        Whether the bins have an order.
    effect
        How many values tell as much as one independent value would: the design effect.

    Examples
    --------
    >>> even = np.array([100, 100, 100, 100])
    >>> same_source(even, np.array([24, 27, 26, 23]), ordered=True) > 0.5
    True
    >>> same_source(even, np.array([10, 20, 25, 45]), ordered=True) < 1e-3
    True
    """
    before, now = reference / effect, current / effect
    first, second = float(before.sum()), float(now.sum())
    if first < 1.0 or second < 1.0:
        return 1.0
    p_value = _homogeneity(before, now)
    if ordered:
        apart = np.abs(np.cumsum(before) / first - np.cumsum(now) / second).max()
        p_value = min(1.0, 2.0 * min(p_value, kolmogorov_tail(float(apart), first, second)))
    return p_value


def _homogeneity(reference: Floats, current: Floats) -> float:
    total = reference + current
    smaller = min(reference.sum(), current.sum()) / total.sum()
    order = np.argsort(total, kind="stable")[::-1]
    total, current = total[order], current[order]
    enough = int(np.count_nonzero(total * smaller >= _LEAST_EXPECTED))
    if enough < len(total):
        # The rare ones together are one bin; if even that is rare, it joins the rarest of the others.
        kept = enough if total[enough:].sum() * smaller >= _LEAST_EXPECTED else max(0, enough - 1)
        total = np.append(total[:kept], total[kept:].sum())
        current = np.append(current[:kept], current[kept:].sum())
    if len(total) < 2:
        return 1.0
    share = current.sum() / total.sum()
    spread = (current - total * share) ** 2 / (total * share * (1.0 - share))
    return chi_square_tail(float(spread.sum()), len(total) - 1)
