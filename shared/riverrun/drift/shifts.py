"""What a monitor finds."""

from __future__ import annotations

from typing import NamedTuple

from riverrun.drift.signals import Move

__all__ = ["Mark", "Shift"]


class Mark(NamedTuple):
    """A record of a stream: its position and its event time in milliseconds."""

    position: int
    time: int


class Shift(NamedTuple):
    """One signal that has moved.

    Attributes
    ----------
    signal
        Its index.
    test, kind
        The test that says so, and the kind of finding that the signal makes of it.
    statistic
        What ``value`` measures.
    value, threshold
        By how much it moved, and from which on it counts.
    before, now
        What the statistic is made of, for people: a mean or a share, in the reference and in the window.
    p_value
        How likely so much is by chance, before any correction; None where it is no test of chance.
    since
        Where it probably began.
    edges, codes
        The inner bounds of a number's bins; the codes of a category's, but for the last one.
    reference, current
        Values in each bin.
    """

    signal: int
    test: Move
    kind: str
    statistic: str
    value: float
    threshold: float
    before: float
    now: float
    p_value: float
    since: Mark
    edges: tuple[float, ...]
    codes: tuple[int, ...]
    reference: tuple[int, ...]
    current: tuple[int, ...]
