"""A dry run of the models and metrics: what fails on a made-up vector fails on a real one too."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from riverrun.models.adapter import Learner, ModelError, features_of, make_learner
from riverrun.models.digest import DigestError, digest
from riverrun.models.measures import make_measures
from riverrun.models.pickling import dump_state, load_state
from riverrun.pipeline.attempts import Attempt
from riverrun.pipeline.errors import ExpressionError
from riverrun.pipeline.kinds import ValueType, is_often_missing
from riverrun.pipeline.load import module_name
from riverrun.pipeline.model import Model
from riverrun.pipeline.pipeline import Pipeline, Task
from riverrun.pipeline.problems import Problem
from riverrun.pipeline.schemas import Kind

__all__ = ["check_metrics", "check_models"]

Row = tuple[bool | int | float | str | bytes | None, ...]

_SAMPLES: Final[dict[Kind, Row]] = {
    Kind.BOOL: (True, False, True, True, False),
    Kind.INT: (3, 0, 11, 7, 3),
    Kind.FLOAT: (0.5, -2.0, 30.25, 0.0, 4.0),
    Kind.TEXT: ("a", "b", "a", "c", "b"),
    Kind.BYTES: (b"a", b"b", b"a", b"", b"b"),
}
_ROUNDS: Final = 10
_NOT_FINITE: Final = re.compile(r"(?:np\.float\d+\()?-?(?:nan|inf)\)?")


def check_models(pipeline: Pipeline) -> Iterator[Problem]:
    """Build every model, let it predict and learn, and store and restore it.

    Nothing is tried while a feature or the label has no type: that is reported by itself.
    """
    try:
        task, kinds = pipeline.task, pipeline.feature_kinds
    except ExpressionError:
        return
    rows = list(_rows(pipeline, kinds))
    for model in pipeline.models:
        yield from _DryRun(pipeline, model, task).run(rows)


def check_metrics(pipeline: Pipeline) -> Iterator[Problem]:
    """Build the metrics and feed each a label and a score."""
    try:
        task = pipeline.task
    except ExpressionError:
        return
    fails = False
    for number, factory in enumerate(pipeline.metrics, 1):
        with Attempt() as attempt:
            _measure([factory], task)
        if attempt.error is not None:
            fails = True
            yield _metric_problem(f"metric {number} cannot be used", attempt, pipeline)
    if not fails and pipeline.metrics:
        with Attempt() as attempt:
            _measure(pipeline.metrics, task)
        if attempt.error is not None:
            yield _metric_problem("the metrics cannot be used together", attempt, pipeline)


def _measure(factories: Sequence[Callable[[], object]], task: Task) -> None:
    for measure in make_measures(factories, task):
        measure.update(1.0, 0.75)
        measure.update(0.0, 0.25)
        measure.value()


def _metric_problem(what: str, attempt: Attempt, pipeline: Pipeline) -> Problem:
    error = attempt.error
    told = error.message if isinstance(error, ModelError) else attempt.told
    hint = error.hint if isinstance(error, ModelError) else "choose metrics that fit the label, such as metrics.LogLoss"
    return Problem("metric-fails", f"{what}: {told}", hint, pipeline.location)


def _rows(pipeline: Pipeline, kinds: dict[str, ValueType]) -> Iterator[Row]:
    """Yield vectors of the right kinds; every other round with what may be missing missing, in three ways."""
    often = [is_often_missing(pipeline.features[name]) for name in kinds]
    for number in range(_ROUNDS):
        values = []
        for position, (known, lacking) in enumerate(zip(kinds.values(), often, strict=True)):
            samples = _SAMPLES[known.kind]
            absent = lacking and number % 2 == 1 and (number % 3 == 0 or (number + position) % 3 == 0)
            values.append(None if absent else samples[(number + position) % len(samples)])
        yield tuple(values)


class _DryRun:
    """One model's trial."""

    def __init__(self, pipeline: Pipeline, model: Model, task: Task) -> None:
        self._model = model
        self._task = task
        self._names = pipeline.feature_names
        files = [where.file for where in (pipeline.location, model.location) if where is not None]
        # Where a model's own classes may come from: the pipeline file, or the notebook that it is tried in.
        self._modules = frozenset(map(module_name, files)) | {"__main__"}

    def run(self, rows: list[Row]) -> Iterator[Problem]:
        with Attempt() as attempt:
            learner = make_learner(self._model, self._task)
        if attempt.error is not None:
            yield self._unusable(attempt)
            return
        failure = self._try(learner, rows)
        if failure is not None:
            yield failure
            return
        yield from self._store(learner, rows)
        yield from self._ask(learner)

    def _ask(self, learner: Learner) -> Iterator[Problem]:
        """See whether being asked about what it has not met changes a model that has learned."""
        before = digest(learner.estimator)
        learner.predict({"riverrun_has_never_met": 1.0})
        if digest(learner.estimator) != before:
            message = (
                f"predicting changes model {self._model.name!r}: it is no fold of its examples alone, so it comes out "
                "differently when it is rebuilt from them"
            )
            hint = "choose one that draws nothing at random for features that it is asked about"
            yield Problem("model-changed-by-asking", message, hint, self._model.location, severity="warning")

    def _problem(self, code: str, message: str, hint: str) -> Problem:
        return Problem(code, message, hint, self._model.location)

    def _unusable(self, attempt: Attempt) -> Problem:
        error = attempt.error
        if isinstance(error, ModelError):
            kept = isinstance(error.__cause__, DigestError)
            return self._problem("model-not-picklable" if kept else "model-unusable", error.message, error.hint)
        return self._problem(
            "model-fails",
            f"building model {self._model.name!r} stops with {attempt.told}",
            "mend its factory",
        )

    def _try(self, learner: Learner, rows: list[Row]) -> Problem | None:
        for number, row in enumerate(rows):
            vector = features_of(self._names, row)
            lacking = [name for name, value in zip(self._names, row, strict=True) if value is None]
            when = f" when {', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing" if lacking else ""
            with Attempt() as attempt:
                score = learner.predict(vector)
            if attempt.error is not None or learner.failures:
                return self._failed("predicting", attempt.told or learner.last_failure, when)
            if self._task == "binary" and not 0.0 <= score <= 1.0:
                return self._problem(
                    "model-bad-output",
                    f"model {self._model.name!r} gives {score!r} for a probability",
                    "return probabilities between 0 and 1 by predict_proba_one",
                )
            label = float(number % 2) if self._task == "binary" else (number % 4) * 10.0 - 5.0
            with Attempt() as attempt:
                learner.learn(vector, label)
            if attempt.error is not None or learner.failures:
                return self._failed("learning", attempt.told or learner.last_failure, when)
        return None

    def _failed(self, doing: str, failure: str, when: str) -> Problem:
        name = self._model.name
        if _NOT_FINITE.fullmatch(failure):
            return self._problem(
                "model-not-finite",
                f"model {name!r} predicts {failure}{when}, which is not finite",
                "scale the features, for instance by preprocessing.StandardScaler()",
            )
        hint = "what is missing is left out of the dict: give it a .fallback(), or a model that allows for it"
        if not when:
            hint = "text wants an encoder, such as preprocessing.OneHotEncoder()"
        return self._problem("model-fails", f"model {name!r} fails at {doing}{when}: {failure}", hint)

    def _store(self, learner: Learner, rows: list[Row]) -> Iterator[Problem]:
        name = self._model.name
        before = digest(learner.estimator)
        with Attempt() as attempt:
            restored = load_state(dump_state(learner.estimator), self._modules)
        if attempt.error is not None:
            error = attempt.error
            told = error.message if isinstance(error, DigestError) else attempt.told
            hint = error.hint if isinstance(error, DigestError) else "keep only plain data in its attributes"
            yield self._problem("model-not-picklable", f"model {name!r} cannot be stored and restored: {told}", hint)
            return
        with Attempt() as attempt:
            same = digest(restored) == before
            vectors = [features_of(self._names, row) for row in rows]
            scores = [learner.predict(dict(vector)) for vector in vectors]
            learner.estimator = restored
            same = same and scores == [learner.predict(dict(vector)) for vector in vectors]
        if attempt.error is not None or not same:
            yield self._problem(
                "model-state-lost",
                f"model {name!r} is another one after it was stored and restored {attempt.told}".rstrip(),
                "let pickle see all of its state (__getstate__, __reduce__)",
            )
