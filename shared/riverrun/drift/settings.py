"""How a monitor watches."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf

__all__ = ["Mode", "MonitorSettings"]


class Mode(StrEnum):
    """What the reference is."""

    FIRST = "first"
    """The first records after the warm-up, for ever."""
    PINNED = "pinned"
    """The records of a span of event time, for ever."""
    RECENT = "recent"
    """The last records before the window: what a model that learns all the time has lately been trained on."""


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """How a monitor watches.

    Parameters
    ----------
    reference, window
        Records in the reference and in the window that is compared with it.
    panes
        The window moves on, and is tested, by this part of itself at a time.
    floor
        The least population stability index that matters. The other tests' floors follow from it: a mean error that
        is higher by this share, a share that is greater by half of it, a mean that has moved by so many standard
        deviations.
    level
        Of one family of tests, made each time the window moves on.
    mode
        What the reference is.
    warm_up
        Records passed over before anything is watched: a model that starts from nothing changes quickly at first.
    since, until
        Event time from which on, and before which, the records of a pinned reference were. Milliseconds.
    """

    reference: int = 5_000
    window: int = 500
    panes: int = 5
    floor: float = 0.1
    level: float = 1e-4
    mode: Mode = Mode.FIRST
    warm_up: int = 0
    since: float = -inf
    until: float = inf

    @property
    def pane(self) -> int:
        """Records by which the window moves on."""
        return self.window // self.panes

    @property
    def blocks(self) -> int:
        """Blocks of a window's length that the reference is made of; at least two."""
        return max(2, self.reference // self.window)
