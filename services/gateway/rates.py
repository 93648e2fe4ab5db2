"""How often a caller may ask: token buckets."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

__all__ = ["Rates"]

_CALLERS: Final = 10_000
"""Callers that are remembered; beyond it the one forgotten is the one that was quiet for the longest."""


class Rates:
    """A token bucket for each caller.

    Parameters
    ----------
    rate
        Tokens that come back a second.
    burst
        Most tokens that a caller has.

    Examples
    --------
    >>> rates = Rates(rate=2.0, burst=1)
    >>> rates.wait("a", now=0.0), rates.wait("a", now=0.0), rates.wait("b", now=0.0), rates.wait("a", now=0.5)
    (0.0, 0.5, 0.0, 0.0)
    """

    __slots__ = ("_burst", "_callers", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._callers: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, caller: str, now: float) -> float:
        """Take a token; return 0, or the seconds after which there will be one again.

        Parameters
        ----------
        caller
            Whose bucket it is.
        now
            Seconds, of any clock that never goes back.
        """
        tokens, since = self._callers.get(caller, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        if tokens < 1.0:
            return (1.0 - tokens) / self._rate
        self._set(caller, tokens - 1.0, now)
        return 0.0

    def _set(self, caller: str, tokens: float, now: float) -> None:
        self._callers[caller] = (tokens, now)
        self._callers.move_to_end(caller)
        if len(self._callers) > _CALLERS:
            self._callers.popitem(last=False)
