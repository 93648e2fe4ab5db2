"""A learner is the plain model, but for what a plain model must not do to a partition."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest

from riverrun.models.adapter import (
    BINARY,
    REGRESSION,
    Features,
    ModelError,
    Task,
    features_of,
    is_finite,
    make_learner,
)
from riverrun.models.digest import digest
from riverrun.models.modelset import ModelSet, build_models
from riverrun.models.pickling import dump_state, load_state
from riverrun.records.items import ModelScore
from tests.models.zoo import ZOO, river, stream


@dataclass(frozen=True)
class Definition:
    """A model as a pipeline file declares it."""

    name: str
    factory: Callable[[], object]
    seed: int = 0

    def build(self) -> object:
        return self.factory()


class Answers:
    """A model that answers and learns as it is told."""

    def __init__(self, answer: object = None) -> None:
        self.answer = answer

    def predict_proba_one(self, x: Features) -> Any:
        if isinstance(self.answer, str):
            raise LookupError(self.answer)
        return self.answer

    predict_one = predict_proba_one

    def learn_one(self, x: Features, y: object) -> None:
        if isinstance(self.answer, str):
            raise LookupError(self.answer)
        self.answer = y


def _scored(answer: object, task: Task) -> tuple[float, int]:
    learner = make_learner(Definition("m", lambda: Answers(answer)), task)
    return learner.predict({}), learner.failures


@pytest.mark.parametrize(
    ("answer", "score", "failures"),
    [
        ({True: 0.25, False: 0.75}, 0.25, 0),
        ({1: 0.25, 0: 0.75}, 0.25, 0),
        ({True: np.float64(0.25)}, 0.25, 0),
        ({}, 0.5, 0),
        ({False: 1.0}, 0.0, 0),
        ({True: math.nan}, 0.5, 1),
        ({True: math.inf}, 0.5, 1),
        (None, 0.5, 1),
        ("it fails", 0.5, 1),
    ],
)
def test_binary_scores(answer: object, score: float, failures: int) -> None:
    """The score is the probability of True, and one half when the model cannot tell, as a plain float."""
    assert _scored(answer, BINARY) == (score, failures)
    assert type(_scored(answer, BINARY)[0]) is float


@pytest.mark.parametrize(
    ("answer", "score", "failures"),
    [(2, 2.0, 0), (np.float32(0.5), 0.5, 0), (None, 0.0, 0), (-math.inf, 0.0, 1), ("it fails", 0.0, 1)],
)
def test_regression_scores(answer: object, score: float, failures: int) -> None:
    """The score is the predicted number, and zero when the model cannot tell."""
    assert _scored(answer, REGRESSION) == (score, failures)


def test_labels_reach_the_model_in_its_own_terms() -> None:
    """A classifier learns a bool, a regressor the number; a model that raises is counted, not fatal."""
    for task, label, learned in ((BINARY, 1.0, True), (BINARY, 0.0, False), (REGRESSION, 1.5, 1.5)):
        learner = make_learner(Definition("m", Answers), cast("Task", task))
        assert learner.learn({}, label)
        answer = cast("Answers", learner.estimator).answer
        assert answer == learned
        assert type(answer) is type(learned)
    broken = make_learner(Definition("m", lambda: Answers("it fails")), BINARY)
    assert not broken.learn({}, 1.0)
    assert (broken.failures, "it fails" in broken.last_failure) == (1, True)


def test_detectors_score_and_learn_without_labels() -> None:
    """An anomaly detector, alone or at a pipeline's end, does what it does in a plain loop."""

    def make() -> Any:
        return river.preprocessing.MinMaxScaler() | river.anomaly.HalfSpaceTrees(
            n_trees=3, height=3, window_size=20, seed=1
        )

    learner, plain = make_learner(Definition("m", make), BINARY), make()
    for x, y in stream(60):
        assert learner.predict(x) == plain.score_one(x)
        assert learner.learn(x, float(y))
        plain.learn_one(x)
    assert digest(learner.estimator) == digest(plain)


SHARED = river.naive_bayes.GaussianNB()


@pytest.mark.parametrize(
    ("factory", "task", "message"),
    [
        (river.linear_model.LinearRegression, BINARY, "no predict_proba_one"),
        (river.linear_model.LogisticRegression, REGRESSION, "another task"),
        (object, BINARY, "no predict_proba_one and no learn_one"),
        (river.neighbors.KNNClassifier, BINARY, "not reproducible"),
        (lambda: river.forest.ARFClassifier(n_models=2), BINARY, "not reproducible"),
        (
            lambda: river.ensemble.BaggingClassifier(river.naive_bayes.GaussianNB(), n_models=2),
            BINARY,
            "not reproducible",
        ),
        (lambda: SHARED, BINARY, "not reproducible"),
        (
            lambda: river.compose.FuncTransformer(lambda x: x) | river.naive_bayes.GaussianNB(),
            BINARY,
            "lambda",
        ),
    ],
)
def test_unfit_models_are_refused(factory: Callable[[], object], task: Task, message: str) -> None:
    """A model of the wrong kind, one without a seed and one that cannot be kept are refused when built."""
    with pytest.raises(ModelError, match=message):
        make_learner(Definition("m", factory), task)


def test_a_definition_is_examined_once() -> None:
    """Opening a partition builds no more than it needs; what has no hash, or was refused, is examined again."""
    built: list[object] = []

    def make() -> object:
        built.append(None)
        return Answers(len(built) if irreproducible else None)

    @dataclass
    class Unhashable:
        def __call__(self) -> object:
            return make()

    irreproducible = True
    for _ in range(2):
        with pytest.raises(ModelError, match="not reproducible"):
            make_learner(Definition("m", make), BINARY)
    irreproducible = False
    first = make_learner(Definition("m", make), BINARY)
    built.clear()
    second = make_learner(Definition("m", make), BINARY)
    assert len(built) == 1
    assert second.estimator is not first.estimator
    built.clear()
    for _ in range(2):
        make_learner(Definition("m", Unhashable()), BINARY)
    assert len(built) == 6


def test_features_keep_their_order_and_lose_what_is_missing() -> None:
    """A vector becomes a dict in the vector's order, without its missing values."""
    assert list(features_of(("b", "a", "c"), (1, None, 0)).items()) == [("b", 1), ("c", 0)]
    assert is_finite((1, True, "nan", 1e308, None, b""))
    assert not any(is_finite((1.0, value)) for value in (math.nan, math.inf, -math.inf))


def test_set_scores_champion_first() -> None:
    """Scores come champion first, at the position folded; only a known model can be promoted."""
    models = build_models([Definition("a", Answers), Definition("b", lambda: Answers({True: 1.0}))], BINARY)
    models.position = 7
    assert models.score({}) == (ModelScore("a", 7, 0.5), ModelScore("b", 7, 1.0))
    models.promote("b")
    assert (models.champion, [score.model for score in models.score({})]) == ("b", ["b", "a"])
    with pytest.raises(ModelError, match="'c'"):
        models.promote("c")
    with pytest.raises(ModelError, match="two models"):
        build_models([Definition("a", Answers)] * 2, BINARY)
    with pytest.raises(ModelError):
        ModelSet(())


def test_selected_features_are_summed_in_one_order() -> None:
    """A Select's keys are sorted in every copy of it, also in clones that an ensemble makes later."""
    names = [f"feature-{index}" for index in range(12)]
    random.Random(1).shuffle(names)

    def make() -> Any:
        member = river.compose.Select(*names) | river.linear_model.LogisticRegression()
        return river.ensemble.BaggingClassifier(member, n_models=2, seed=1)

    bagging = cast("Any", make_learner(Definition("m", make), BINARY).estimator)
    for member in (bagging.model, *bagging, bagging.model.clone()):
        assert list(member["Select"].keys) == sorted(names)
        assert list(member["Select"].transform_one(dict.fromkeys(names, 1))) == sorted(names)


DRAWS_WHEN_ASKED = frozenset({"factorisation", "fourier"})
"""Models of River's that draw random weights for every feature that they are asked about: no fold of examples alone."""


@pytest.mark.parametrize("name", sorted(set(ZOO) - DRAWS_WHEN_ASKED))
@pytest.mark.parametrize("count", [0, 40])
def test_being_asked_changes_no_state(name: str, count: int) -> None:
    """A model that predicted meanwhile, on features too that it has never learned, is one that was not asked.

    Otherwise a learner that also scores could not be compared with a fold of the examples, nor rebuilt from them.
    """
    definition = Definition(name, ZOO[name])
    quiet, asked = make_learner(definition, BINARY), make_learner(definition, BINARY)
    asked.predict({"b": 0.5, "new": 1.0})
    for x, y in stream(count, seed=3):
        asked.predict({**x, "newer": 2.0})
        asked.predict({"d": 1.0, "c": 1})
        assert asked.learn(dict(x), float(y)) == quiet.learn(dict(x), float(y))
    assert digest(asked.estimator) == digest(quiet.estimator)


@pytest.mark.parametrize("name", sorted(DRAWS_WHEN_ASKED))
def test_some_models_are_changed_by_being_asked(name: str) -> None:
    """Those that are left out above are left out for a reason; `riverrun check` warns of them."""
    definition = Definition(name, ZOO[name])
    quiet, asked = make_learner(definition, BINARY), make_learner(definition, BINARY)
    for x, y in stream(20, seed=3):
        asked.predict({**x, "newer": 2.0})
        asked.learn(dict(x), float(y))
        quiet.learn(dict(x), float(y))
    assert digest(asked.estimator) != digest(quiet.estimator)


def test_a_model_that_grows_when_asked_is_not_asked_before_it_has_learned() -> None:
    """A forest that was restored before its first example gives the neutral score too, and is asked from then on."""
    learner = make_learner(Definition("forest", ZOO["forest"]), BINARY)
    restored = learner.with_estimator(load_state(dump_state(learner.estimator)))
    for each in (learner, restored):
        assert each.predict({"a": 1.0, "b": 2.0}) == 0.5
        for x, y in stream(60, seed=1):
            each.learn(dict(x), float(y))
        assert each.predict({"a": 0.9, "b": 2.0, "c": 1, "d": 0.0}) != 0.5
        assert each.failures == 0
    assert digest(learner.estimator) == digest(restored.estimator)
