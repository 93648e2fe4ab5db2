"""One interface to every River model: a number out of a vector, and a label in.

What a model is asked depends on the pipeline's task, which is settled once, when the learner is made:

- ``binary``: the probability of ``True``. A classifier that knows no class yet gives one half, one that has
  not met ``True`` gives zero. The label goes in as a bool. An anomaly detector gives its score and learns
  without a label.
- ``regression``: the predicted number.

Some of River's models draw weights or grow trees when they are first *asked*. A model must be the fold of its
examples alone, whoever asked it what; so one that is changed by being asked is not asked before it has learned
something, and gives the neutral score until then (a detector gives 0).

Nothing a model does stops a partition. An output that is not finite, or an exception, becomes the neutral
score and is counted; a label or feature that is not finite is never learned, since a single NaN poisons a
linear model for ever. Otherwise the calls are those of the plain River loop, with the same dict, so that
results are too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from typing import Final, Literal, Protocol, TypeGuard, cast

from river import base

from riverrun.errors import RiverrunError
from riverrun.models.digest import DigestError, digest
from riverrun.models.ordering import in_fixed_order
from riverrun.records.items import FieldValue

__all__ = [
    "BINARY",
    "MODEL_FAILURES",
    "NEUTRAL",
    "REGRESSION",
    "Features",
    "Learner",
    "ModelDefinition",
    "ModelError",
    "Task",
    "features_of",
    "is_finite",
    "make_learner",
]

Task = Literal["binary", "regression"]
BINARY: Final = "binary"
REGRESSION: Final = "regression"

NEUTRAL: Final = {BINARY: 0.5, REGRESSION: 0.0}
"""The score that stands in for one that a model could not give."""

MODEL_FAILURES: Final = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, NameError),
    *(RuntimeError, StopIteration, TypeError, ValueError),
)
"""What a model's own code may raise on a vector; running out of memory is another matter."""

Features = dict[str, FieldValue]
"""What a model is given: the vector's values by name, missing ones left out."""


class ModelError(RiverrunError):
    """A model of the pipeline file cannot be built or used."""


class ModelDefinition(Protocol):
    """A model as the pipeline file declares it."""

    @property
    def name(self) -> str:
        """Its name, unique in the pipeline."""
        ...

    @property
    def seed(self) -> int:
        """The seed that it is built with."""
        ...

    def build(self) -> object:
        """Build the untrained model."""
        ...


class _Classifier(Protocol):
    def predict_proba_one(self, x: Features) -> Mapping[object, float]: ...

    def learn_one(self, x: Features, y: bool) -> object: ...


class _Regressor(Protocol):
    def predict_one(self, x: Features) -> float: ...

    def learn_one(self, x: Features, y: float) -> object: ...


class _Detector(Protocol):
    def score_one(self, x: Features) -> float: ...

    def learn_one(self, x: Features) -> object: ...


def features_of(names: tuple[str, ...], values: tuple[FieldValue, ...]) -> Features:
    """Return what a model is given for a vector: its values by name, in order, less the missing ones.

    Examples
    --------
    >>> features_of(("hour", "delay"), (7, None))
    {'hour': 7}
    """
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}


def is_finite(values: tuple[FieldValue, ...]) -> bool:
    """Whether none of a vector's numbers is an infinity or NaN.

    Examples
    --------
    >>> is_finite((1.0, None, "LAX")), is_finite((1.0, float("nan")))
    (True, False)
    """
    # A finite number less itself is 0, an infinity or NaN gives NaN: cheaper than a call of isfinite.
    return not [value for value in values if type(value) is float and value - value != 0.0]


class Learner(ABC):
    """A model behind the uniform interface; made by `make_learner`.

    Attributes
    ----------
    name, seed
        From its definition.
    failures
        How often its output was not finite or it raised. For the operator; not part of the fold.
    last_failure
        What it last raised or returned then; empty if it never failed.
    """

    __slots__ = ("_estimator", "_learn", "_untaught", "failures", "last_failure", "name", "seed")

    _learn: Callable[..., object]

    def __init__(self, name: str, seed: int, estimator: object, untaught: str = "") -> None:
        self.name = name
        self.seed = seed
        self.failures = 0
        self.last_failure = ""
        # The digest that tells a model which must not be asked yet; empty for one that being asked does not change.
        self._untaught = untaught
        self.estimator = estimator

    @property
    def estimator(self) -> object:
        """The model itself; set it to go on with another state of the same model, as a snapshot holds it."""
        return self._estimator

    @estimator.setter
    def estimator(self, estimator: object) -> None:
        self._estimator = estimator
        self._bind(estimator)
        if self._untaught and digest(estimator) == self._untaught:
            self._spare()

    def with_estimator(self, estimator: object) -> Learner:
        """Return a learner like this one, with another state of the same model."""
        return type(self)(self.name, self.seed, estimator, self._untaught)

    @abstractmethod
    def predict(self, x: Features) -> float:
        """Return the score of ``x``; the neutral one if the model fails."""

    @abstractmethod
    def learn(self, x: Features, label: float) -> bool:
        """Learn one example; return False, and count a failure, if the model raised."""

    @abstractmethod
    def _bind(self, estimator: object) -> None:
        """Look the methods up once, not for every call."""

    @abstractmethod
    def _spare(self) -> None:
        """Put off asking the model until it has learned."""

    def _learn_first(self, *example: object) -> object:
        """Learn the first example, in whatever form the model takes it, and ask the model itself from then on."""
        self._bind(self._estimator)
        return self._learn(*example)

    def _failed(self, failure: object) -> None:
        self.failures += 1
        self.last_failure = repr(failure)[:300]


class _BinaryLearner(Learner):
    __slots__ = ("_probabilities",)

    _probabilities: Callable[[Features], Mapping[object, float]]

    def _bind(self, estimator: object) -> None:
        classifier = cast("_Classifier", estimator)
        self._learn, self._probabilities = classifier.learn_one, classifier.predict_proba_one

    def _spare(self) -> None:
        self._learn, self._probabilities = self._learn_first, _no_probabilities

    def predict(self, x: Features) -> float:
        try:
            probabilities = self._probabilities(x)
            score = probabilities.get(True)
            if score is None:
                return 0.0 if probabilities else NEUTRAL[BINARY]
            if score - score == 0.0:
                return float(score)
        except MODEL_FAILURES as error:
            self._failed(error)
            return NEUTRAL[BINARY]
        self._failed(score)
        return NEUTRAL[BINARY]

    def learn(self, x: Features, label: float) -> bool:
        try:
            self._learn(x, label != 0.0)
        except MODEL_FAILURES as error:
            self._failed(error)
            return False
        return True


class _RegressionLearner(Learner):
    __slots__ = ("_predict",)

    _predict: Callable[[Features], float | None]

    def _bind(self, estimator: object) -> None:
        regressor = cast("_Regressor", estimator)
        self._learn, self._predict = regressor.learn_one, regressor.predict_one

    def _spare(self) -> None:
        self._learn, self._predict = self._learn_first, _no_prediction

    def predict(self, x: Features) -> float:
        try:
            score = self._predict(x)
            if score is None:
                return NEUTRAL[REGRESSION]
            if score - score == 0.0:
                return float(score)
        except MODEL_FAILURES as error:
            self._failed(error)
            return NEUTRAL[REGRESSION]
        self._failed(score)
        return NEUTRAL[REGRESSION]

    def learn(self, x: Features, label: float) -> bool:
        try:
            self._learn(x, label)
        except MODEL_FAILURES as error:
            self._failed(error)
            return False
        return True


class _DetectorLearner(Learner):
    """An anomaly detector among classifiers: its score stands for the probability, no label is needed."""

    __slots__ = ("_score",)

    _score: Callable[[Features], float]

    def _bind(self, estimator: object) -> None:
        detector = cast("_Detector", estimator)
        self._learn, self._score = detector.learn_one, detector.score_one

    def _spare(self) -> None:
        self._learn, self._score = self._learn_first, _no_score

    def predict(self, x: Features) -> float:
        try:
            score = self._score(x)
            if score - score == 0.0:
                return float(score)
        except MODEL_FAILURES as error:
            self._failed(error)
            return NEUTRAL[BINARY]
        self._failed(score)
        return NEUTRAL[BINARY]

    def learn(self, x: Features, label: float) -> bool:
        del label
        try:
            self._learn(x)
        except MODEL_FAILURES as error:
            self._failed(error)
            return False
        return True


def _no_probabilities(x: Features) -> Mapping[object, float]:
    del x
    return {}


def _no_prediction(x: Features) -> None:
    del x


def _no_score(x: Features) -> float:
    del x
    return 0.0


def make_learner(definition: ModelDefinition, task: Task) -> Learner:
    """Build a model and adapt it to the task.

    Raises
    ------
    ModelError
        If it does not fit the task, cannot be digested, or is not reproducible: two fresh copies of it
        differ.
    """
    # A definition does not change: each partition that is opened need not look again at what it builds.
    untaught = _examined_once(definition, task) if _is_hashable(definition) else _examined(definition, task)
    estimator = definition.build()
    in_fixed_order(estimator)
    return _adapter(definition.name, task, estimator)(definition.name, definition.seed, estimator, untaught)


def _examined(definition: ModelDefinition, task: Task) -> str:
    """Return the digest of an untaught model if being asked changes it, else nothing; raise as `make_learner`."""
    estimator, twin = definition.build(), definition.build()
    in_fixed_order(estimator)
    in_fixed_order(twin)
    try:
        untaught = digest(estimator)
        reproducible = untaught == digest(twin)
    except DigestError as error:
        raise ModelError(f"model {definition.name!r} cannot be kept: {error.message}", hint=error.hint) from error
    if estimator is twin or not reproducible:
        raise ModelError(
            f"model {definition.name!r} is not reproducible: building it twice gives two different models",
            hint="pass a seed to everything random in it, and build it anew in the factory each time",
        )
    adapter = _adapter(definition.name, task, estimator)
    adapter(definition.name, definition.seed, twin).predict({"x": 1.0})
    return untaught if digest(twin) != untaught else ""


@lru_cache(maxsize=64)
def _examined_once(definition: Hashable, task: Task) -> str:
    return _examined(cast("ModelDefinition", definition), task)


def _is_hashable(definition: object) -> TypeGuard[Hashable]:
    try:
        hash(definition)
    except TypeError:  # a factory need not be
        return False
    return True


def _adapter(name: str, task: Task, estimator: object) -> type[Learner]:
    kind: type[Learner]
    if task == REGRESSION:
        wanted, kind = "predict_one", _RegressionLearner
        fits = isinstance(estimator, base.Regressor) or not isinstance(estimator, base.Estimator)
    elif isinstance(estimator, base.AnomalyDetector):
        wanted, kind, fits = "score_one", _DetectorLearner, True
    else:
        wanted, kind = "predict_proba_one", _BinaryLearner
        fits = isinstance(estimator, base.Classifier) or not isinstance(estimator, base.Estimator)
    missing = [method for method in (wanted, "learn_one") if not callable(getattr(estimator, method, None))]
    if missing or not fits:
        lacks = f"has no {' and no '.join(missing)}" if missing else "is for another task"
        raise ModelError(
            f"model {name!r} ({type(estimator).__name__}) {lacks}, but this is a {task} pipeline",
            hint="use a classifier for a yes-or-no label and a regressor for a number",
        )
    return kind
