"""Decides which records are traced, at the cost of one subtraction for each that is not."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from math import floor, log
from typing import Final

from riverrun.telemetry.settings import Sampling

__all__ = ["Sampler"]

_NEVER: Final = 1 << 62
_STEPS: Final = 1 << 53
_FLAGS: Final = slice(54, 55)
"""Where the last digit of a ``traceparent``'s flags stands, in every version of it."""
_SAMPLED: Final = tuple(bytes([digit]) for digit in b"13579bdf")
_LOW: Final = (1 << 64) - 1


class Sampler:
    """Picks records, and lets no more through in a second than it may.

    Instead of a draw for each record, the number of records until the next one picked is drawn: it has the geometric
    distribution that draws for each would give.

    Parameters
    ----------
    sampling
        What to pick.
    monotonic
        A clock in seconds.
    draw
        Returns a random whole number below its argument.

    Examples
    --------
    >>> sampler = Sampler(Sampling(ratio=1.0, per_second=2), lambda: 0.0)
    >>> sampler.due(), sampler.admits(), sampler.admits(), sampler.admits()
    (True, True, True, False)
    """

    __slots__ = ("_admitted", "_bound", "_draw", "_left", "_monotonic", "_sampling", "_second")

    def __init__(
        self,
        sampling: Sampling,
        monotonic: Callable[[], float],
        draw: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._sampling = sampling
        self._monotonic = monotonic
        self._draw = draw
        # As OpenTelemetry's TraceIdRatioBased has it, so that all services pick the same traces.
        self._bound = round(sampling.ratio * (_LOW + 1))
        self._second = -1
        self._admitted = 0
        self._left = self._gap()

    def due(self) -> bool:
        """Tell whether the record at hand, which belongs to no trace, shall begin one."""
        if self._left:
            self._left -= 1
            return False
        self._left = self._gap()
        return self.has_room()

    def _gap(self) -> int:
        """Draw how many records are passed over before the next that is picked."""
        ratio = self._sampling.ratio
        if ratio >= 1.0:
            return 0
        if ratio <= 0.0:
            return _NEVER
        chance = (self._draw(_STEPS) + 1) / _STEPS
        return floor(log(chance) / log(1.0 - ratio))

    def may_follow(self, traceparent: bytes) -> bool:
        """Tell whether a record with this header may be traced: not if that is its producer's choice, who says no."""
        return not self._sampling.parent_based or traceparent[_FLAGS] in _SAMPLED

    def follows(self, trace_id: int) -> bool:
        """Tell whether one that may is traced: always, or by its trace's id where producers have no say."""
        return self._sampling.parent_based or (trace_id & _LOW) < self._bound

    def has_room(self) -> bool:
        """Tell whether this second has room for one more: asked before any work is done for it."""
        second = int(self._monotonic())
        if second != self._second:
            self._second, self._admitted = second, 0
        return self._admitted < self._sampling.per_second

    def admits(self) -> bool:
        """Count one more, if this second has room for it; return whether it has."""
        if not self.has_room():
            return False
        self._admitted += 1
        return True
