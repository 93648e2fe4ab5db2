"""Tells a task that lags from one that has much to do: it lags once it has not been up to date for a while."""

from __future__ import annotations

from typing import Final

__all__ = ["LagWatch"]

_STEADY: Final = 1.0
"""Change of the lag, in records a second, below which it neither grows nor shrinks."""


class LagWatch:
    """Watches how far a task is behind its inputs.

    By the log alone, not by timestamps: producers' clocks may be wrong, and a replay of old events is no lag.

    Parameters
    ----------
    limit_s
        For how long a task may not have caught up, in seconds.

    Examples
    --------
    >>> watch = LagWatch(10.0)
    >>> watch.look(0.0, 500, caught_up=False), watch.look(9.0, 600, caught_up=False)
    ('', '')
    >>> watch.look(19.0, 1600, caught_up=False)
    '1,600 records behind for 19 s, and 100 more each second'
    >>> watch.look(29.0, 600, caught_up=False)
    '600 records behind for 29 s, caught up in about 6 s at this pace'
    >>> watch.look(30.0, 0, caught_up=True)
    ''
    """

    __slots__ = ("_before", "_limit", "_since")

    def __init__(self, limit_s: float) -> None:
        self._limit = limit_s
        self._since: float | None = None
        self._before = (0.0, 0)

    def look(self, now: float, lag: int, *, caught_up: bool) -> str:
        """Take a look; return what is wrong, in words, or nothing.

        Parameters
        ----------
        now
            Monotonic time, in seconds.
        lag
            Records not folded.
        caught_up
            Whether so few records are left that it is up to date.
        """
        then, before = self._before
        self._before = (now, lag)
        if caught_up:
            self._since = None
            return ""
        if self._since is None:
            self._since = now
        behind = now - self._since
        if behind < self._limit or now <= then:
            return ""
        return f"{lag:,} records behind for {behind:.0f} s, {_trend(lag, (lag - before) / (now - then))}"


def _trend(lag: int, change: float) -> str:
    if change > _STEADY:
        return f"and {change:,.0f} more each second"
    if change < -_STEADY:
        return f"caught up in about {-lag / change:,.0f} s at this pace"
    return "neither more nor fewer"
