"""Exponential waits between attempts."""

from __future__ import annotations

from dataclasses import dataclass

from riverrun.runtime.settings import Settings


@dataclass(slots=True)
class Backoff:
    """Doubles from ``first`` to ``most`` seconds; ``until`` is free for the holder's use.

    Without jitter: each partition has one owner, so there is no herd to spread out.

    Examples
    --------
    >>> wait = Backoff(0.1, 0.3)
    >>> [wait.next(), wait.next(), wait.next()]
    [0.1, 0.2, 0.3]
    """

    first: float
    most: float
    until: float = 0.0
    _last: float = 0.0

    @classmethod
    def of(cls, settings: Settings) -> Backoff:
        """Make one from the settings."""
        return cls(settings.backoff_first_ms / 1000, settings.backoff_most_ms / 1000)

    def next(self) -> float:
        """Return the next wait, in seconds."""
        self._last = min(self.most, self._last * 2) if self._last else self.first
        return self._last
