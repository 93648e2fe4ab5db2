"""What a drift stage sees of a record: one float a signal, and the segments that it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isnan, nan
from typing import Any, Final, NamedTuple, Protocol

from riverrun.drift.signals import Encoder, Move, Signal
from riverrun.records.items import DEFAULTED, EXPIRED, REVISED, Example, FieldValue, ModelScore, Prediction

__all__ = ["ErrorObserver", "InputObserver", "ModelError", "Observation", "Observer"]

ReadVector = Callable[[bytes], tuple[FieldValue, ...]]
"""Returns the values of a framed vector."""

_INPUT: Final = ((Move.DISTRIBUTION, "input"), (Move.MISSING, "missing"), (Move.STALE, "stale"))
_LABEL: Final = "label"


class ModelError(NamedTuple):
    """One model's error on one example; ``wrong`` is None for a number."""

    model: str
    error: float
    wrong: bool | None


class Observation(NamedTuple):
    """What was seen of a record.

    ``row`` has one float a signal, NaN where it is missing; ``segments`` the code of each segment's value, or None.
    """

    row: tuple[float, ...]
    segments: tuple[int | None, ...]
    errors: tuple[ModelError, ...] = ()


class Observer(Protocol):
    """Sees what is watched of a stage's records, whose class depends on the stage."""

    @property
    def signals(self) -> tuple[Signal, ...]:
        """What is watched."""
        ...

    @property
    def encoders(self) -> tuple[Encoder, ...]:
        """One for each signal."""
        ...

    @property
    def segments(self) -> Mapping[str, Encoder]:
        """The features by which records are segmented, with what encodes their values."""
        ...

    def observe(self, item: Any) -> Observation | None:
        """Return what is seen of a record; None if nothing is watched of it."""
        ...


class _Segments:
    """The segments that a vector belongs to."""

    __slots__ = ("_places", "encoders")

    def __init__(self, features: Sequence[str], segments: Sequence[str]) -> None:
        self.encoders = {name: Encoder(category=True) for name in segments}
        self._places = [(features.index(name), encoder) for name, encoder in self.encoders.items()]

    def of(self, values: Sequence[FieldValue]) -> tuple[int | None, ...]:
        """Return the code of each segment's value."""
        return tuple(
            None if values[index] is None else int(encoder.encode(values[index])) for index, encoder in self._places
        )


class InputObserver:
    """Sees features and scores: what is there before any label.

    Parameters
    ----------
    features
        The features' names, in the vector's order.
    watched
        For each feature to watch, whether it is a category.
    models
        The models' names.
    segments
        Features by whose values records are segmented.
    read_vector
        Reads the vector as it was served.
    """

    def __init__(
        self,
        features: Sequence[str],
        watched: Mapping[str, bool],
        models: Sequence[str],
        segments: Sequence[str],
        read_vector: ReadVector,
    ) -> None:
        inputs = tuple(Signal(name, _INPUT, category=category) for name, category in watched.items())
        scores = tuple(Signal(name, ((Move.DISTRIBUTION, "prediction"),)) for name in models)
        self.signals = (*inputs, *scores)
        self.encoders = tuple(Encoder(category=signal.category) for signal in self.signals)
        self._places = [
            (features.index(name), encoder.encode) for name, encoder in zip(watched, self.encoders, strict=False)
        ]
        self._models = tuple(models)
        self._segments = _Segments(features, segments)
        self._read_vector = read_vector

    @property
    def segments(self) -> Mapping[str, Encoder]:
        """The features by which records are segmented, with what encodes their values."""
        return self._segments.encoders

    def observe(self, item: Prediction) -> Observation:
        """Return a prediction's features and scores."""
        values = self._read_vector(item.vector)
        inputs = [encode(values[index]) for index, encode in self._places]
        scores = [_score(item.scores, index, model) for index, model in enumerate(self._models)]
        return Observation((*inputs, *scores), self._segments.of(values))


class ErrorObserver:
    """Sees labels, what they say of the scores that were served, and how long they took.

    Parameters
    ----------
    features
        The features' names, in the vector's order.
    models
        The models' names.
    segments
        Features by whose values records are segmented.
    binary
        Whether a condition is predicted, not a number.
    read_vector
        Reads the vector as it was served.
    """

    def __init__(
        self,
        features: Sequence[str],
        models: Sequence[str],
        segments: Sequence[str],
        *,
        binary: bool,
        read_vector: ReadVector,
    ) -> None:
        self.signals = (
            Signal(_LABEL, ((Move.DISTRIBUTION, "label"),)),
            Signal(_LABEL, ((Move.DISTRIBUTION, "label-delay"),)),
            Signal(_LABEL, ((Move.SHARE, "label-starvation"),)),
            *(Signal(model, ((Move.RISE, "error"),)) for model in models),
            *(Signal(model, ((Move.BALANCE, "calibration"),)) for model in models),
        )
        self.encoders = tuple(Encoder(category=False) for _ in self.signals)
        self._models = tuple(models)
        self._binary = binary
        self._segments = _Segments(features, segments)
        self._read_vector = read_vector

    @property
    def segments(self) -> Mapping[str, Encoder]:
        """The features by which records are segmented, with what encodes their values."""
        return self._segments.encoders

    def observe(self, item: Example) -> Observation | None:
        """Return what an example says; a revision says nothing, as it is not learned either."""
        if item.outcome == REVISED:
            return None
        unlabelled = item.outcome in (DEFAULTED, EXPIRED)
        label = nan if item.label is None else item.label
        delay = nan if unlabelled else float(item.label_time - item.time)
        residuals = [label - _score(item.scores, index, model) for index, model in enumerate(self._models)]
        row = (label, delay, float(unlabelled), *map(self._loss, residuals), *residuals)
        segments = self._segments.of(self._read_vector(item.vector)) if self._segments.encoders else ()
        errors = tuple(
            ModelError(model, self._loss(residual), self._wrong(residual))
            for model, residual in zip(self._models, residuals, strict=True)
            if not isnan(residual)
        )
        return Observation(row, segments, errors)

    def _loss(self, residual: float) -> float:
        """Return the square for a probability (Brier's score, which is proper), the distance for a number."""
        return residual * residual if self._binary else abs(residual)

    def _wrong(self, residual: float) -> bool | None:
        return abs(residual) > 0.5 if self._binary else None


def _score(scores: Sequence[ModelScore], index: int, model: str) -> float:
    """Return a model's score, looking first where it usually is; NaN if it gave none."""
    if index < len(scores) and scores[index].model == model:
        return scores[index].score
    return next((each.score for each in scores if each.model == model), nan)
