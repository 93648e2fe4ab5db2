"""Time as the fold knows it: event time, and what has passed on the clock since."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["StreamClock"]

MOST_STEP_MS = 30_000
"""Ticks come every few seconds: a longer pause means that the service itself was down, and says nothing of the rest."""


@dataclass(slots=True)
class StreamClock:
    """The greatest event time so far, carried on by the wall clock while no event brings a later one.

    Both are recorded in the signals, so the clock is a fold of them. In a replay of a year within a minute it is event
    time; live it is about the time of day; and when every stream falls silent it goes on.

    ``now`` and ``wall`` are in milliseconds since the epoch; ``now`` is 0 before the first event time.

    Examples
    --------
    >>> clock = StreamClock()
    >>> [clock.advance(1_000, 500_000), clock.advance(3_000, 0), clock.advance(4_000, 501_000)]
    [500000, 502000, 503000]
    """

    now: int = 0
    wall: int = 0

    def advance(self, wall: int, event_time: int = 0) -> int:
        """Take in the wall clock and an event time (0 for none); return the time."""
        if self.now:
            self.now += min(max(0, wall - self.wall), MOST_STEP_MS)
        self.wall = max(self.wall, wall)
        self.now = max(self.now, event_time)
        return self.now
