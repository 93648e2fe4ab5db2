"""How long it took until all went on."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["percentile", "summary"]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that a share of all do not exceed, by the nearest rank.

    Examples
    --------
    >>> percentile([3.0, 1.0, 2.0, 4.0], 0.5), percentile([3.0, 1.0, 2.0, 4.0], 0.95)
    (2.0, 4.0)
    """
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def summary(values: Sequence[float]) -> dict[str, float] | None:
    """Return median and 95th percentile, in seconds; None if there are no values.

    Examples
    --------
    >>> summary([0.5, 1.25])
    {'p50': 0.5, 'p95': 1.25}
    """
    if not values:
        return None
    return {"p50": round(percentile(values, 0.5), 2), "p95": round(percentile(values, 0.95), 2)}
