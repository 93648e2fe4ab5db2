"""The stage's step: for each vector the champion's score and every challenger's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from riverrun.models.adapter import features_of, is_finite
from riverrun.models.followed import Followed
from riverrun.models.modelset import ModelSet, Scorer
from riverrun.records.items import FieldValue, Prediction, Source, Vector

__all__ = ["LiveModels", "ModelSource", "ScoreCore"]


class ModelSource(Protocol):
    """Where a scorer gets its models from; asked before every vector."""

    def current(self) -> Scorer:
        """Return the models to score with now, never waiting."""
        ...

    def followed(self) -> Followed:
        """Return what is to be remembered of where they come from."""
        ...

    def resume(self, followed: Followed) -> None:
        """Take over what was remembered, before the first are asked for."""
        ...


class LiveModels:
    """The learner's own models, in the same chain: each vector meets every label that came before it.

    What a scorer apart remembered is kept for the next that runs apart.
    """

    __slots__ = ("_followed", "_models")

    def __init__(self, models: ModelSet) -> None:
        self._models = models
        self._followed = Followed()

    def current(self) -> Scorer:
        """Return the live models."""
        return self._models

    def followed(self) -> Followed:
        """Return what was taken over."""
        return self._followed

    def resume(self, followed: Followed) -> None:
        """Take over what was remembered."""
        self._followed = followed


class ScoreCore:
    """Scores vectors; keeps nothing but counts, and what its source of models must remember.

    Which version a running scorer had at hand is not determined by the log alone, and so each score records
    it.

    Parameters
    ----------
    features
        The features' names, in the vector's order.
    vectors_topic, partition
        Where the vectors come from.
    source
        The models.
    """

    def __init__(self, features: tuple[str, ...], vectors_topic: str, partition: int, source: ModelSource) -> None:
        self._features = features
        self._topic = vectors_topic
        self._partition = partition
        self._source = source
        self._predictions = 0
        self._watermark = 0

    @property
    def watermark(self) -> int:
        """The greatest event time scored, in milliseconds; 0 before the first."""
        return self._watermark

    def step(self, item: Vector) -> tuple[Prediction]:
        """Return a vector's prediction; a feature that is not finite is left out, as a missing one is."""
        self.replay(item)
        values = item.values
        if not is_finite(values):
            values = tuple(None if _is_odd(value) else value for value in values)
        scores = self._source.current().score(features_of(self._features, values))
        source = Source(self._topic, self._partition, item.seq)
        return (Prediction(item.id, item.key, item.time, item.event_seq, scores, item.payload, source),)

    def replay(self, item: Vector) -> None:
        """Count a vector without scoring it: there is no state to bring up."""
        self._predictions += 1
        self._watermark = max(self._watermark, item.time)

    def prefetch(self, items: Sequence[Vector]) -> None:
        """Nothing is needed from outside."""

    def counters(self) -> dict[str, int]:
        """Return how many predictions were made, and what is remembered of published models (`Followed.counters`).

        ``models_refused``, how many of them were refused, is there if any were.
        """
        return {"predictions": self._predictions, **self._source.followed().counters()}

    def resume(self, counters: Mapping[str, int], watermark: int) -> None:
        """Take over the committed counters and watermark."""
        self._predictions = counters.get("predictions", 0)
        self._source.resume(Followed.of(counters))
        self._watermark = watermark


def _is_odd(value: FieldValue) -> bool:
    return not is_finite((value,))
