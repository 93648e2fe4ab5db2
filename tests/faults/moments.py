"""When faults happen: at random, but spread over the run."""

from __future__ import annotations

import random

__all__ = ["moments"]


def moments(rng: random.Random, count: int, first: float = 0.05, last: float = 0.85) -> list[float]:
    """Return shares of the run, in order, one at random in each of ``count`` equal parts of it."""
    width = (last - first) / count
    return [first + (number + rng.random()) * width for number in range(count)]
