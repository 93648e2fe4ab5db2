"""Folds the examples by plain River models, and holds the learner's models and every score against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from river import base

from riverrun.models.digest import digest
from riverrun.models.ordering import in_fixed_order
from riverrun.models.publishing import open_version
from riverrun.models.snapshot import opened
from riverrun.models.store import ModelStore
from riverrun.records.items import DEFAULTED, LABELLED, Example, ModelVersion, Prediction
from riverrun.runtime.model_settings import code_modules, model_keys
from tests.faults.world import World

__all__ = ["PlainFold"]

_LEARNED: Final = (LABELLED, DEFAULTED)


class PlainFold:
    """What the models must be, by the simplest loop there is.

    Parameters
    ----------
    world
        Whose models are judged.
    predictions, examples, versions
        What its topics hold, in order.
    """

    def __init__(
        self,
        world: World,
        predictions: Sequence[Prediction],
        examples: Sequence[Example],
        versions: Sequence[ModelVersion],
    ) -> None:
        self._pipeline = world.pipeline
        self._codecs = world.deployment.wire.codecs
        self._store = ModelStore(world.settings.model_store_url)
        self._keys = model_keys(world.settings.data_folder)
        self._modules = code_modules(world.pipeline)
        self._predictions = predictions
        self._examples = examples
        self._versions = {(item.model, item.position): item for item in versions}
        assert len(self._versions) == len(versions), "a version was published twice"
        self._models: dict[str, base.Classifier] = {}
        for model in self._pipeline.models:
            built = cast("base.Classifier", model.build())
            in_fixed_order(built)
            self._models[model.name] = built

    def check(self) -> dict[str, str]:
        """Check each published version, each score, and the final state; return the models' digests at the end."""
        asked = self._asked()
        for position in range(len(self._examples) + 1):
            if position:
                self._learn(self._examples[position - 1])
            for name, model in self._models.items():
                for row, served in asked.pop((name, position), []):
                    expected = self._score(model, row.vector)
                    assert served == expected, f"{row.id}: {name} at {position} gives {expected}, served was {served}"
                self._check_version(name, position, model)
        assert not asked, f"scores of versions that cannot be: {sorted(asked)[:5]}"
        digests = {name: digest(model) for name, model in self._models.items()}
        assert self._final_digests() == digests, "the learner's models are not the fold of the examples"
        return digests

    def _asked(self) -> dict[tuple[str, int], list[tuple[Prediction, float]]]:
        """Return what was served, by model and version."""
        asked: dict[tuple[str, int], list[tuple[Prediction, float]]] = {}
        for row in self._predictions:
            assert [score.model for score in row.scores] == list(self._models), f"the scores of {row.id}: {row.scores}"
            for score in row.scores:
                asked.setdefault((score.model, score.version), []).append((row, score.score))
        return asked

    def _learn(self, example: Example) -> None:
        if example.outcome in _LEARNED and example.label is not None:
            for model in self._models.values():
                model.learn_one(self._features(example.vector), example.label != 0.0)

    def _score(self, model: base.Classifier, vector: bytes) -> float:
        probabilities = model.predict_proba_one(self._features(vector))
        return float(probabilities.get(True, 0.0 if probabilities else 0.5))

    def _features(self, vector: bytes) -> dict[Any, Any]:
        values = self._codecs.decode_vector(vector).values
        named = zip(self._pipeline.feature_names, values, strict=True)
        return {name: value for name, value in named if value is not None}

    def _check_version(self, name: str, position: int, model: base.Classifier) -> None:
        version = self._versions.get((name, position))
        due = position > 0 and position % self._pipeline.snapshot_every == 0
        assert (version is not None) == due, f"{name} at {position}: published {version}, due {due}"
        if version is None:
            return
        expected = digest(model)
        assert version.digest == expected, f"the version of {name} at {position} is not the fold of the examples"
        stored = open_version(version, self._pipeline.name, self._store, self._keys, self._modules)
        assert digest(stored) == expected, f"the file of {name} at {position} is not what its record says"

    def _final_digests(self) -> Mapping[str, str]:
        newest = self._store.entries(self._pipeline.name, "_checkpoints")[-1]
        header, state = opened(self._store.read(newest.path), self._keys, self._modules)
        assert header.position == len(self._examples), "the drain left no checkpoint of the end"
        models = cast("dict[str, dict[str, Sequence[object]]]", state)["fold"]["models"]
        return {model.name: digest(found) for model, found in zip(self._pipeline.models, models, strict=True)}
