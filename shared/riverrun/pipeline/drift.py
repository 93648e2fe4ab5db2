"""What a pipeline wants watched for drift: by which segments, against which reference, how closely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, get_args

from riverrun.pipeline.errors import DefinitionError
from riverrun.pipeline.locations import Location, caller_location

__all__ = ["LEAST_WINDOW", "PANES", "Drift", "Sensitivity"]

Sensitivity = Literal["low", "normal", "high"]
"""How small a shift matters."""

Against = Literal["recent", "first"]

LEAST_WINDOW: Final = 50
"""Events below which no window tells anything."""

PANES: Final = 5
"""By which part of itself a window moves on; windows are multiples of twice that, since segments have half of one."""


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """Asks for the pipeline's inputs, predictions, errors and labels to be watched.

    Parameters
    ----------
    segments : sequence of str
        Features by whose values everything is watched separately too, such as ``"carrier"``; conditions, integers
        or text. Segments have half of the reference and half of the window.
    features : sequence of str, optional
        The features to watch; all if left out.
    reference, window : int
        How many events the reference holds, and the window that is compared with it. Where events close to each
        other are alike, as within a day, windows had better be longer than that.
    against : "recent" or "first"
        Whether the reference follows as long as nothing moves, as a model does that learns all the time, or stays
        with the first events for ever.
    pinned : pair of str or datetime, optional
        Event time from and until which the reference's events were, such as ``("2013-01-01", "2013-02-01")``, in
        UTC unless they say otherwise. Then ``reference`` and ``against`` do not count.
    warm_up : int
        Events and examples passed over before anything is watched, while the models begin to learn.
    sensitivity : "low", "normal" or "high"
        Whether a population stability index of 0.25, 0.1 or 0.05 is the least that matters; other measures follow.
    false_alarms : float
        How many false alarms are borne with in 100,000 events.

    Raises
    ------
    DefinitionError
        If a parameter is of the wrong type or makes no sense.

    Examples
    --------
    >>> Drift(segments=["carrier"], pinned=("2013-01-01", "2013-02-01")).pinned_ms
    (1356998400000, 1359676800000)
    """

    segments: Sequence[str] = field(default=(), kw_only=True)
    features: Sequence[str] | None = field(default=None, kw_only=True)
    reference: int = field(default=5_000, kw_only=True)
    window: int = field(default=500, kw_only=True)
    against: Against = field(default="recent", kw_only=True)
    pinned: tuple[str | datetime, str | datetime] | None = field(default=None, kw_only=True)
    warm_up: int = field(default=1_000, kw_only=True)
    sensitivity: Sensitivity = field(default="normal", kw_only=True)
    false_alarms: float = field(default=0.2, kw_only=True)
    location: Location | None = field(default_factory=caller_location, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        for what in ("segments", "features"):
            names = getattr(self, what)
            if isinstance(names, str) or (names is not None and not all(isinstance(each, str) for each in names)):
                raise _wrong(f"{what}= is a list of features' names, not {names!r}")
        object.__setattr__(self, "segments", tuple(self.segments))
        if self.features is not None:
            object.__setattr__(self, "features", tuple(self.features))
        for what in ("reference", "window", "warm_up"):
            count: object = getattr(self, what)
            if isinstance(count, bool) or not isinstance(count, int):
                raise _wrong(f"{what}= is a count of events, not {count!r}")
        if self.sensitivity not in get_args(Sensitivity):
            raise _wrong(f"sensitivity= is low, normal or high, not {self.sensitivity!r}")
        if self.against not in get_args(Against):
            raise _wrong(f"against= is recent or first, not {self.against!r}")
        if self.pinned is not None:
            first, last = self._pinned(self.pinned)
            if first >= last:
                raise _wrong("pinned= ends before it begins")

    @property
    def pinned_ms(self) -> tuple[int, int] | None:
        """``pinned`` in milliseconds since the epoch."""
        return None if self.pinned is None else self._pinned(self.pinned)

    @staticmethod
    def _pinned(pinned: Sequence[str | datetime]) -> tuple[int, int]:
        if isinstance(pinned, str) or len(pinned) != 2:
            raise _wrong(f"pinned= is a pair of times, not {pinned!r}")
        first, last = (_milliseconds(each) for each in pinned)
        return first, last


def _milliseconds(time: str | datetime) -> int:
    try:
        moment = datetime.fromisoformat(time) if isinstance(time, str) else time
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1_000)
    except (AttributeError, TypeError, ValueError):
        raise _wrong(f"pinned= has {time!r}, which is no time") from None


def _wrong(message: str) -> DefinitionError:
    return DefinitionError(
        f"drift: {message}", hint='write for instance Drift(segments=["carrier"], window=1_000)', code="bad-drift"
    )
