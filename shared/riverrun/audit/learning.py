"""Promises 1 and 4: each model is the fold of the examples, and each score is that of the model at its version."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from riverrun.audit.cut import Cut
from riverrun.audit.reading import Record
from riverrun.audit.report import Check, Tell
from riverrun.audit.sequences import Order, Own, Part, own_records
from riverrun.audit.subject import Subject
from riverrun.models.adapter import Features, Learner, features_of, is_finite
from riverrun.models.digest import digest
from riverrun.models.evaluation import Evaluator
from riverrun.models.modelset import build_models
from riverrun.records.items import (
    DEFAULTED,
    LABELLED,
    Evaluation,
    Example,
    FieldValue,
    ModelScore,
    ModelVersion,
    Prediction,
)
from riverrun.records.topics import Kind

__all__ = ["audit_models"]

_TOLERANCE: Final = 1e-9


class _Model:
    """One model, folded from nothing, and what was published of it."""

    def __init__(self, subject: Subject, learner: Learner) -> None:
        pipeline = subject.pipeline
        name = self.name = learner.name
        self.digests = Check(f"{name}: published digests are those of a fold of the examples", 1)
        self.metrics = Check(f"{name}: published metrics are those of the examples", 1)
        self.scores = Check(f"{name}: served scores are those of the model at their version, bit for bit", 4)
        self.versions: dict[int, tuple[Record, ModelVersion]] = {}
        self.evaluations: dict[int, tuple[Record, Evaluation]] = {}
        self._learner = learner
        self._evaluator = Evaluator(pipeline.metrics, pipeline.task)

    def learn(self, example: Example, label: float, x: Features | None) -> None:
        """Fold one example: its score as it was served, then, unless a number in it is not finite, its features."""
        served = next((each.score for each in example.scores if each.model == self.name), None)
        if served is None:
            served = self._learner.predict(x or {})
        if math.isfinite(served):
            self._evaluator.update(label, served)
        if x is not None:
            self._learner.learn(x.copy(), label)

    def compare_published(self, position: int) -> None:
        """Compare what was published of the model after so many examples."""
        version = self.versions.pop(position, None)
        evaluation = self.evaluations.pop(position, None)
        if version is not None:
            record, item = version
            found = f"{item.digest} at {item.position}"
            self.digests.compare(record, f"{digest(self._learner.estimator)} at {position}", found)
            self._compare_metrics(record, item.metrics)
        if evaluation is not None:
            self._compare_metrics(evaluation[0], evaluation[1].metrics)

    def _compare_metrics(self, record: Record, found: Mapping[str, float]) -> None:
        expected = self._evaluator.metrics()
        self.metrics.counted += 1
        same = expected.keys() == found.keys() and all(
            math.isclose(value, found[name], rel_tol=_TOLERANCE, abs_tol=_TOLERANCE) for name, value in expected.items()
        )
        if not same:
            self.metrics.fault(record, f"{expected}", f"{dict(found)}")

    def compare_score(self, own: Own, x: Features, position: int) -> None:
        """Compare a prediction of this version with what the model says now."""
        served = _score(own, self.name)
        self.scores.counted += 1
        if served is None:
            self.scores.fault(own.record, f"a score of {self.name}", "none")
            return
        expected = self._learner.predict(x)
        if expected != served.score:
            self.scores.fault(own.record, f"{expected!r}, as {self.name} says at {position}", f"{served.score!r}")

    def compare_rest(self, position: int) -> None:
        """Note the digest after the last example, and what was published of positions that examples do not reach."""
        self.digests.computed[self.name] = digest(self._learner.estimator)
        for record, item in (*self.versions.values(), *self.evaluations.values()):
            at = cast("ModelVersion | Evaluation", item).position
            self.digests.fault(record, f"a position up to {position}, all the examples there are", at)


class _Fold:
    """Folds predictions and examples in their order into one or more models."""

    def __init__(self, subject: Subject, models: Sequence[_Model], champion: str) -> None:
        self.position = 0
        self._models = models
        self._champion = next((model for model in models if model.name == champion), None)
        self._decode = subject.codecs.decode_vector
        self._names = subject.pipeline.feature_names
        # Vectors of predictions that have not ended: their examples hold the same bytes.
        self._kept: dict[tuple[int, int], tuple[bytes, tuple[FieldValue, ...]]] = {}

    def predict_upto(self, predictions: Iterator[Own], head: Own | None) -> Own | None:
        """Compare the scores that the champion gave as it is now; return the first prediction of a later version."""
        champion = self._champion
        if champion is None:
            return None
        while head is not None:
            version = _version(head, champion.name)
            if version > self.position:
                return head
            if 0 <= version < self.position:
                # A scorer that leaves its learner's chain goes on with an older, published version.
                champion.scores.note = "some scores of versions older than the one before were not compared"
            else:
                champion.compare_score(head, self._predicted_on(head), self.position)
            head = next(predictions, None)
        return None

    def learn(self, own: Own) -> None:
        """Fold one example into every model."""
        example = cast("Example", own.item)
        label = example.label
        values = self._values(own, example)
        if label is not None and math.isfinite(label) and example.outcome in (LABELLED, DEFAULTED):
            x = features_of(self._names, values) if is_finite(values) else None
            for model in self._models:
                model.learn(example, label, x)
        self.position += 1
        for model in self._models:
            model.compare_published(self.position)

    def _predicted_on(self, own: Own) -> Features:
        payload = cast("Prediction", own.item).vector
        values = self._decode(payload).values
        self._kept[own.record.partition, own.stamp.seq] = payload, values
        if not is_finite(values):
            values = tuple([value if is_finite((value,)) else None for value in values])
        return features_of(self._names, values)

    def _values(self, own: Own, example: Example) -> tuple[FieldValue, ...]:
        payload, values = self._kept.pop((own.stamp.source.partition, own.stamp.source.position), (b"", ()))
        return values if payload == example.vector else self._decode(example.vector).values


def _score(own: Own, model: str) -> ModelScore | None:
    return next((each for each in cast("Prediction", own.item).scores if each.model == model), None)


def _version(own: Own, model: str) -> int:
    served = _score(own, model)
    return -1 if served is None else served.version


def _predictions(subject: Subject, model: str, tell: Tell) -> Iterator[Own]:
    """Read the predictions of all partitions in the order of the versions that made them."""
    parts = [
        own_records(subject, Part(Kind.PREDICTIONS, partition, {}), Check("", 0), tell)
        for partition in range(subject.partitions)
    ]
    return parts[0] if len(parts) == 1 else heapq.merge(*parts, key=lambda own: _version(own, model))


def _read_published(subject: Subject, models: Mapping[str, _Model], sequence: Check, tell: Tell) -> None:
    """Read what was published of the models; `models` is compacted, and so has holes."""
    cut = Cut(subject)
    for own in own_records(subject, Part(Kind.MODELS, 0, {}), Check("", 0), tell):
        if isinstance(own.item, ModelVersion) and own.item.model in models:
            models[own.item.model].versions[own.item.position] = own.record, own.item
    for partition in range(subject.partitions):
        committed = {partition: cut.written("learn", partition, Kind.EVALUATIONS)}
        part = Part(Kind.EVALUATIONS, partition, committed, Order.LEVEL)
        for own in own_records(subject, part, sequence, tell):
            if isinstance(own.item, Evaluation) and own.item.model in models:
                models[own.item.model].evaluations[own.item.position] = own.record, own.item


def audit_models(subject: Subject, names: Sequence[str], tell: Tell) -> list[Check]:
    """Fold the examples into freshly built models, and compare digests, metrics and scores as they grow.

    Scores are compared if the champion is among the models: those of challengers count as they were served, and are
    compared with the examples' by the ledger.

    Parameters
    ----------
    subject
        What is audited.
    names
        Which of the pipeline's models.
    tell
        Told how many more records were read.
    """
    pipeline = subject.pipeline
    learners = build_models(pipeline.models, pipeline.task).learners
    models = {learner.name: _Model(subject, learner) for learner in learners if learner.name in names}
    champion = models.get(pipeline.champion.name)
    sequence = Check("evaluations are numbered without holes", 1)
    # Read in this order: whatever was published or predicted then is of examples that come before.
    _read_published(subject, models, sequence, tell)
    predictions = _predictions(subject, champion.name, tell) if champion is not None else iter(())
    head = next(predictions, None)
    fold = _Fold(subject, list(models.values()), pipeline.champion.name)
    for own in own_records(subject, Part(Kind.EXAMPLES, 0, {}), Check("", 0), tell):
        head = fold.predict_upto(predictions, head)
        fold.learn(own)
    head = fold.predict_upto(predictions, head)
    checks = [check for model in models.values() for check in (model.digests, model.metrics)]
    for model in models.values():
        model.compare_rest(fold.position)
    if champion is None:
        return checks
    if head is not None:
        champion.scores.fault(head.record, f"a version up to {fold.position}", _version(head, champion.name))
    return [*checks, champion.scores, sequence]
