"""The part of the judge that learns by itself: examples, scores and models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from river import linear_model

from riverrun.models.digest import digest
from riverrun.models.snapshot import opened
from riverrun.models.store import ModelStore
from riverrun.records.items import Example, ModelVersion, Prediction
from riverrun.records.topics import Kind
from riverrun.runtime.model_settings import model_keys
from riverrun.testing.simulation.naive_labels import Ending
from riverrun.testing.simulation.reading import Reading

if TYPE_CHECKING:
    from riverrun.testing.simulation.play import Play

__all__ = ["Learning"]


class _Model(Protocol):
    def predict_proba_one(self, x: dict[str, object]) -> dict[bool, float]: ...

    def learn_one(self, x: dict[str, object], y: bool) -> None: ...


class Learning:
    """Folds the examples into a model of its own, and compares.

    Parameters
    ----------
    play, reading
        What was played, and the topics.
    """

    def __init__(self, play: Play, reading: Reading) -> None:
        self._play = play
        self._reading = reading
        self._model = cast("_Model", linear_model.LogisticRegression())
        self._digests: dict[int, str] = {}

    def wrongs(self, endings: Sequence[Sequence[Ending]], predictions: Sequence[Sequence[Prediction]]) -> Iterator[str]:
        """Say what is wrong with the examples, given how each partition's predictions ought to have ended."""
        examples = [item for item, _ in self._reading.stamped(Kind.EXAMPLES, 0, Example)]
        for partition, wanted in enumerate(endings):
            yield from self._examples(partition, wanted, predictions[partition], examples)
        served = [prediction for each in predictions for prediction in each]
        yield from self._scores(examples, served)
        yield from self._versions(len(examples))

    def _examples(
        self, partition: int, endings: Sequence[Ending], predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> Iterator[str]:
        """Each partition's predictions ended as they ought to, in that order, with what was served."""
        own = [example for example in examples if example.writer == partition]
        found = [Ending(each.source.position, each.outcome, each.label, each.label_time) for each in own]
        if found != list(endings):
            yield f"the predictions of partition {partition} ended as {found}, should have as {list(endings)}"
        if [example.seq for example in own] != list(range(len(own))):
            yield f"the examples of partition {partition} have positions {[example.seq for example in own]}"
        by_seq = {prediction.seq: prediction for prediction in predictions}
        for example in own:
            served = by_seq.get(example.source.position)
            if served is None or (served.vector, served.scores) != (example.vector, example.scores):
                yield f"the example of {example.id} is not what was predicted"

    def _scores(self, examples: Sequence[Example], served: Sequence[Prediction]) -> Iterator[str]:
        """Each score is what the model of its version says about the logged vector, bit for bit."""
        by_version: dict[int, list[Prediction]] = {}
        for prediction in served:
            by_version.setdefault(prediction.scores[0].version, []).append(prediction)
        for version in range(len(examples) + 1):
            if version:
                self._learn(examples[version - 1])
            self._digests[version] = digest(self._model) if version % 5 == 0 or version == len(examples) else ""
            for prediction in by_version.pop(version, ()):
                wanted = self._model.predict_proba_one(self._features(prediction.vector))[True]
                if prediction.scores[0].score != wanted:
                    yield f"the score of {prediction.id} is {prediction.scores}, should be {wanted}"
        if by_version:
            yield f"predictions were made by versions that never were: {sorted(by_version)}"

    def _learn(self, example: Example) -> None:
        if example.outcome in ("labelled", "defaulted") and example.label is not None:
            self._model.learn_one(self._features(example.vector), example.label != 0.0)

    def _features(self, vector: bytes) -> dict[str, object]:
        values = self._play.small.codecs.decode_vector(vector).values
        return dict(zip(("size", "worth", "busy"), values, strict=True))

    def _versions(self, examples: int) -> Iterator[str]:
        """Each fifth model was published once, and the last checkpoint is what the examples make."""
        small = self._play.small
        versions = [item for item, _ in self._reading.stamped(Kind.MODELS, 0, ModelVersion)]
        if [version.position for version in versions] != list(range(5, examples + 1, 5)):
            yield f"the versions {[version.position for version in versions]} were published of {examples} examples"
        for version in versions:
            if version.digest != self._digests.get(version.position):
                yield f"version {version.position} has another digest than the examples make"
        store = ModelStore(self._play.model_store)
        checkpoints = store.entries(small.pipeline.name, "_checkpoints")
        if examples and not checkpoints:
            yield "the learner left no checkpoint"
        if checkpoints:
            header, state = opened(store.read(checkpoints[-1].path), model_keys(small.settings.data_folder))
            fold = cast("dict[str, dict[str, list[object]]]", state)["fold"]
            found = header.position, digest(fold["models"][0])
            if found != (examples, self._digests.get(examples)):
                yield f"the learner's last checkpoint is not what the {examples} examples make"
