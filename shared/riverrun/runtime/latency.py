"""A running picture of the time from an event's append to its commit, for people and lag tools."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

_KEPT = 512
_SAMPLES = 16


class Latency:
    """Keeps a sample of recent latencies; milliseconds."""

    __slots__ = ("_recent",)

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=_KEPT)

    def observe(self, timestamps: Sequence[int], now_ms: float) -> list[float]:
        """Take in a batch's append times (milliseconds since the epoch), committed at ``now_ms``; return a sample."""
        step = max(1, len(timestamps) // _SAMPLES)
        sample = [now_ms - stamp for stamp in timestamps[::step]]
        self._recent.extend(sample)
        return sample

    def percentiles(self) -> dict[str, float]:
        """Return ``p50`` and ``p99`` in milliseconds; empty before the first batch."""
        if not self._recent:
            return {}
        ordered = sorted(self._recent)
        last = len(ordered) - 1
        return {"p50": ordered[last // 2], "p99": ordered[last * 99 // 100]}
