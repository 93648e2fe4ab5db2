"""The scorer says what its models say, and records which they were."""

from __future__ import annotations

import math

from riverrun.models.adapter import BINARY, Features
from riverrun.models.modelset import build_models
from riverrun.records.items import ModelScore, Prediction, Source, Vector
from services.score.core import LiveModels, ScoreCore
from tests.models.test_adapter import Definition


class Recorder:
    """A model that gives the number of its features, as a share of ten."""

    def predict_proba_one(self, x: Features) -> dict[bool, float]:
        return {True: len(x) / 10}

    def learn_one(self, x: Features, y: bool) -> None:
        """Learn nothing."""


def _vector(*values: float | None, seq: int = 3) -> Vector:
    return Vector("id", "key", 1_000, 17, values, (), Source("p.events", 0, 17), b"framed", seq)


def _core() -> ScoreCore:
    models = build_models([Definition("a", Recorder), Definition("b", Recorder)], BINARY)
    models.position = 5
    return ScoreCore(("x", "y", "z"), "p.vectors", 2, LiveModels(models))


def test_prediction_carries_scores_vector_and_source() -> None:
    """A prediction has every model's score and version, the vector's own bytes, and where it came from."""
    (prediction,) = _core().step(_vector(1.0, None, 2.0))
    scores = (ModelScore("a", 5, 0.2), ModelScore("b", 5, 0.2))
    source = Source("p.vectors", 2, 3)
    assert prediction == Prediction("id", "key", 1_000, 17, scores, b"framed", source)


def test_odd_features_are_left_out() -> None:
    """An infinity or NaN in a vector is missing to the models; there is a prediction all the same."""
    for odd in (math.nan, math.inf, -math.inf):
        (prediction,) = _core().step(_vector(1.0, odd, odd))
        assert prediction.scores[0].score == 0.1


def test_counts_and_watermark_follow_the_fold() -> None:
    """Replayed vectors count like scored ones, and committed counters are taken over."""
    core = _core()
    core.step(_vector(1.0, 1.0, 1.0))
    core.replay(_vector(1.0, 1.0, 1.0))
    assert (core.counters(), core.watermark) == ({"predictions": 2}, 1_000)
    core.resume({"predictions": 7}, 5_000)
    core.step(_vector(1.0, 1.0, 1.0))
    assert (core.counters(), core.watermark) == ({"predictions": 8}, 5_000)


def test_what_is_remembered_of_models_is_committed_and_taken_over() -> None:
    """Commit records carry it from one scorer to the next, also past one whose models are live, which needs none."""
    remembered = {"models_refused": 3, "models_read": 17, "used:a@c0de": 40}
    core = _core()
    assert core.counters() == {"predictions": 0}
    core.resume({"predictions": 7, **remembered}, 5_000)
    core.step(_vector(1.0, 1.0, 1.0))
    assert core.counters() == {"predictions": 8, **remembered}
