"""Gives things at a steady rate."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

_Thing = TypeVar("_Thing")


def paced(things: Iterable[_Thing], rate: float) -> Iterator[_Thing]:
    """Yield ``rate`` things a second, each at its own moment as nearly as a sleep can hit it."""
    began = time.monotonic()
    for due, thing in enumerate(things):
        # Not by a client's own waiting: that knows whole milliseconds only, and would spin for less, on a core that
        # others lack.
        if (wait := began + due / rate - time.monotonic()) > 0:
            time.sleep(wait)
        yield thing
