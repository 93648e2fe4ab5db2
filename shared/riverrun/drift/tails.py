"""Tails of distributions, for p-values: how likely so much, or more, is by chance.

Written out because only these few are needed, in closed form or by a short sum, and a fold must give the same digits
wherever it runs.
"""

from __future__ import annotations

from math import erfc, exp, gamma, lgamma, log, log1p, sqrt
from typing import Final

__all__ = ["beta_binomial_tail", "chi_square_tail", "f_tail", "kolmogorov_tail", "normal_tail", "run_tail"]

_NEGLIGIBLE: Final = 1e-18


def normal_tail(z: float) -> float:
    """Return the probability that a standard normal variable is at least ``z``.

    Examples
    --------
    >>> round(normal_tail(1.959964), 6)
    0.025
    """
    return 0.5 * erfc(z / sqrt(2.0))


def chi_square_tail(value: float, degrees: int) -> float:
    """Return the probability that a chi-square variable is at least ``value``.

    The finite sums for whole degrees of freedom: Abramowitz and Stegun, *Handbook of Mathematical Functions* (1964),
    26.4.4 and 26.4.5.

    Parameters
    ----------
    value
        At least 0.
    degrees
        Degrees of freedom, at least 1.

    Examples
    --------
    >>> round(chi_square_tail(3.841459, 1), 6), round(chi_square_tail(18.307038, 10), 6)
    (0.05, 0.05)
    """
    half = value / 2.0
    if half > 700.0:
        return 0.0
    odd = degrees % 2
    total = erfc(sqrt(half)) if odd else 0.0
    power = half**0.5 / gamma(1.5) if odd else 1.0
    step = 1.5 if odd else 1.0
    for _ in range(degrees // 2):
        total += exp(-half) * power
        power *= half / step
        step += 1.0
    return min(1.0, total)


def kolmogorov_tail(distance: float, first: float, second: float) -> float:
    """Return the probability that two samples of one distribution are at least so far apart.

    The asymptotic series with the correction for small samples of M. A. Stephens (1970), *Use of the Kolmogorov-Smirnov
    statistics without extensive tables*. For values in bins, or with ties, the true probability is smaller.

    Parameters
    ----------
    distance
        Greatest difference of the two cumulative distributions, 0 to 1.
    first, second
        Sizes of the samples.

    Examples
    --------
    >>> round(kolmogorov_tail(0.1, 500, 5_000), 7), kolmogorov_tail(0.0, 10, 10)
    (0.0002025, 1.0)
    """
    if distance <= 0.0:
        return 1.0
    root = sqrt(first * second / (first + second))
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:
        return 1.0  # where the series converges slowly, it is 1 to twelve digits
    total, sign = 0.0, 1.0
    for number in range(1, 101):
        term = exp(-2.0 * (number * scaled) ** 2)
        total += sign * term
        sign = -sign
        if term < _NEGLIGIBLE:
            break
    return min(1.0, max(0.0, 2.0 * total))


def beta_binomial_tail(count: int, size: int, before: float, total: float) -> float:
    """Return how likely a window has ``count`` or more of something, given how often the reference had it.

    The predictive distribution of a share that is itself known only from a sample, with Jeffreys' prior: unlike a
    binomial test it does not take a share that was never seen for impossible.

    Parameters
    ----------
    count, size
        How many of the window's values have it.
    before, total
        How many of the reference's.

    Examples
    --------
    >>> beta_binomial_tail(0, 500, 0, 5_000)
    1.0
    >>> 1e-10 < beta_binomial_tail(8, 500, 0, 5_000) < 1e-5
    True
    """
    if count <= 0:
        return 1.0
    have, lack = before + 0.5, total - before + 0.5
    norm = _log_beta(have, lack)
    result = 0.0
    for number in range(count, size + 1):
        ways = lgamma(size + 1) - lgamma(number + 1) - lgamma(size - number + 1)
        term = exp(ways + _log_beta(number + have, size - number + lack) - norm)
        result += term
        if number * total > size * before and term < _NEGLIGIBLE * max(result, 1e-290):
            break
    return min(1.0, result)


def f_tail(ratio: float, first: float, second: float) -> float:
    """Return how likely a ratio of two mean squares is at least so great: the tail of the F distribution.

    By the incomplete beta function: Abramowitz and Stegun, *Handbook of Mathematical Functions* (1964), 26.6.2 and
    26.5.8, the continued fraction evaluated by W. J. Lentz's (1976) method.

    Parameters
    ----------
    ratio
        At least 0.
    first, second
        Degrees of freedom of the numerator and of the denominator.

    Examples
    --------
    >>> round(f_tail(4.9646, 1, 10), 4), round(f_tail(2.1646, 9, 30), 3), f_tail(0.0, 3, 5)
    (0.05, 0.055, 1.0)
    """
    if ratio <= 0.0:
        return 1.0
    x = second / (second + first * ratio)
    a, b = second / 2.0, first / 2.0
    front = exp(a * log(x) + b * log1p(-x) - _log_beta(a, b)) if x < 1.0 else 0.0
    # The fraction converges quickly on one side of the mean; the other side is the complement.
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _beta_fraction(x, a, b) / a
    return 1.0 - front * _beta_fraction(1.0 - x, b, a) / b


def _beta_fraction(x: float, a: float, b: float) -> float:
    """Evaluate the continued fraction of the incomplete beta function."""
    tiny = 1e-300
    ratio = 1.0
    below = 1.0 / _off_zero(1.0 - (a + b) * x / (a + 1.0), tiny)
    result = below
    for m in range(1, 300):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        change = 1.0
        for step in (even, odd):
            below = 1.0 / _off_zero(1.0 + step * below, tiny)
            ratio = _off_zero(1.0 + step / ratio, tiny)
            change = below * ratio
            result *= change
        if abs(change - 1.0) < 1e-14:
            break
    return result


def _off_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


def run_tail(length: int, repeats: int, total: int) -> float:
    """Return how likely a value repeats itself ``length`` times, given how often values did in the reference.

    The predictive distribution, as of `beta_binomial_tail`: what never changed may go on like that for as long again.

    Examples
    --------
    >>> run_tail(0, 10, 100), run_tail(20, 50, 100) < 1e-5, run_tail(10_000, 2_000, 2_000) > 0.1
    (1.0, True, True)
    """
    again, other = repeats + 0.5, total - repeats + 0.5
    return exp(_log_beta(again + length, other) - _log_beta(again, other))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
