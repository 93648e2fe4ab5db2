"""River's detectors of concept drift, put to one model's errors."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Final, Protocol, TypedDict, cast

from river import drift

__all__ = ["DetectorsState", "ErrorDetectors"]

_LEARNING: Final = 500
_DELTA: Final = 1e-4
_DRIFT_OF_MEAN: Final = 0.25
_CUMULATED: Final = 25.0


class _Detector(Protocol):
    """What is used of a River detector."""

    @property
    def drift_detected(self) -> bool:
        """Whether the last value was one too many."""
        ...

    def update(self, x: float) -> object:
        """Take in a value."""
        ...


class _Adaptive(_Detector, Protocol):
    @property
    def estimation(self) -> float:
        """The mean of its window."""
        ...


_ADWIN: Final[Callable[..., object]] = drift.ADWIN
_PAGE_HINKLEY: Final[Callable[..., object]] = drift.PageHinkley
_DDM: Final[Callable[..., object]] = drift.binary.DDM
"""River's classes are not typed."""


class DetectorsState(TypedDict):
    """All that the detectors have gathered, in types that a pickle of a model may hold."""

    detectors: list[object]
    seen: int
    learned: tuple[float, float]
    since: tuple[int, float]
    signals: dict[str, int]


class ErrorDetectors:
    """ADWIN, the Page-Hinkley test and DDM on one model's errors.

    Each tells quickly that errors have changed, and each is wrong now and then, or is glad that they have fallen. So
    what they say is evidence: whoever asks must see for himself that the errors have risen.

    Parameters
    ----------
    memory
        How many examples a signal is remembered for.

    Examples
    --------
    >>> detectors = ErrorDetectors(memory=500)
    >>> for number in range(2_000):
    ...     detectors.take(0.1 + 0.1 * (number % 2), wrong=number % 10 == 0)
    >>> detectors.signalled()
    ()
    >>> for number in range(300):
    ...     detectors.take(0.8, wrong=True)
    >>> detectors.signalled()
    ('ADWIN', 'DDM', 'PageHinkley')
    """

    __slots__ = (
        "_adwin",
        "_count",
        "_ddm",
        "_memory",
        "_page_hinkley",
        "_seen",
        "_signals",
        "_squares",
        "_sum",
        "_total",
    )

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._adwin = cast("_Adaptive", _ADWIN(delta=_DELTA))
        # In standard deviations of the errors at first: a rise by a quarter of one is borne with, and the excess over
        # that may add up to 25 of them.
        page_hinkley = _PAGE_HINKLEY(delta=_DRIFT_OF_MEAN, threshold=_CUMULATED, mode="up")
        self._page_hinkley = cast("_Detector", page_hinkley)
        self._ddm = cast("_Detector", _DDM())
        self._seen = 0
        # Over the first examples: what Page and Hinkley's deviations are measured by.
        self._total = self._squares = 0.0
        # Since ADWIN last cut its window.
        self._count, self._sum = 0, 0.0
        self._signals: dict[str, int] = {}

    def take(self, error: float, *, wrong: bool | None) -> None:
        """Take in one example.

        Parameters
        ----------
        error
            How far the score was from the label; finite, at least 0.
        wrong
            Whether a condition was predicted wrongly; None for a number, which has no right or wrong.
        """
        self._seen += 1
        if self._seen <= _LEARNING:
            self._total += error
            self._squares += error * error
        self._count += 1
        self._sum += error
        self._adwin.update(error)
        if self._adwin.drift_detected:
            if self._adwin.estimation > self._sum / self._count:
                self._signals["ADWIN"] = self._seen
            self._count, self._sum = 0, 0.0
        if self._seen > _LEARNING:
            mean = self._total / _LEARNING
            spread = sqrt(max(self._squares / _LEARNING - mean * mean, 1e-24))
            self._page_hinkley.update((error - mean) / spread)
            if self._page_hinkley.drift_detected:
                self._signals["PageHinkley"] = self._seen
        if wrong is not None:
            self._ddm.update(wrong)
            if self._ddm.drift_detected:
                self._signals["DDM"] = self._seen

    def signalled(self) -> tuple[str, ...]:
        """Return the detectors that have lately signalled a change for the worse, by name."""
        return tuple(sorted(name for name, seen in self._signals.items() if self._seen - seen < self._memory))

    def state(self) -> DetectorsState:
        """Return what `restore` needs; it shares the detectors, so it must be pickled before the next example."""
        return DetectorsState(
            detectors=[self._adwin, self._page_hinkley, self._ddm],
            seen=self._seen,
            learned=(self._total, self._squares),
            since=(self._count, self._sum),
            signals=dict(self._signals),
        )

    def restore(self, state: DetectorsState) -> None:
        """Go on from a `state`."""
        adwin, page_hinkley, ddm = state["detectors"]
        self._adwin = cast("_Adaptive", adwin)
        self._page_hinkley, self._ddm = cast("_Detector", page_hinkley), cast("_Detector", ddm)
        self._seen = state["seen"]
        self._total, self._squares = state["learned"]
        self._count, self._sum = state["since"]
        self._signals = dict(state["signals"])
