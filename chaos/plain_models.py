"""Folds the examples by plain River models, and holds the learner's models and every score against them (I5, I6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

from river import base

from chaos.evidence import Evidence, Row
from chaos.findings import Finding, Sort
from riverrun.errors import RiverrunError
from riverrun.models.digest import digest
from riverrun.models.ordering import in_fixed_order
from riverrun.models.publishing import open_version
from riverrun.models.snapshot import opened
from riverrun.models.store import MissingModelError, ModelStore
from riverrun.records.items import DEFAULTED, LABELLED, Example, ModelVersion
from riverrun.records.topics import Kind
from riverrun.runtime.model_settings import code_modules, model_keys

__all__ = ["PlainModels"]

_LEARNED: Final = (LABELLED, DEFAULTED)
_KEPT: Final = 20


class PlainModels:
    """What the models must be, by the simplest loop there is.

    Parameters
    ----------
    evidence
        What a run left.

    Attributes
    ----------
    digests
        Of the models at the end, by name; known after `findings`.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._pipeline = evidence.pipeline
        self._codecs = evidence.deployment.wire.codecs
        self._store = ModelStore(evidence.model_store)
        self._keys = model_keys(evidence.data_folder)
        self._modules = code_modules(evidence.pipeline)
        self._examples = evidence.rows[Kind.EXAMPLES]
        self._versions: dict[tuple[str, int], list[Row]] = {}
        for row in evidence.rows[Kind.MODELS]:
            if isinstance(row.item, ModelVersion):
                self._versions.setdefault((row.item.model, row.item.position), []).append(row)
        self._models: dict[str, base.Classifier] = {}
        for model in self._pipeline.models:
            built = cast("base.Classifier", model.build())
            in_fixed_order(built)
            self._models[model.name] = built
        self.digests: dict[str, str] = {}

    def findings(self) -> Iterator[Finding]:
        """Check each published version, each score, and the final state."""
        asked = self._asked()
        for position in range(len(self._examples) + 1):
            if position:
                self._learn(self._examples[position - 1].item)
            for name, model in self._models.items():
                for row, served in asked.pop((name, position), ()):
                    expected = self._score(model, row.item.vector)
                    if served != expected:
                        text = f"{row.item.id}: {name} at {position} gives {expected}, served was {served}"
                        yield Finding(Sort.WRONG, text, row.at_ms, row.item.id)
                yield from self._version(name, position, model)
        for (name, position), rows in asked.items():
            text = f"{len(rows)} scores of a version that cannot be: {name} at {position}"
            yield Finding(Sort.WRONG, text, rows[0][0].at_ms)
        self.digests = {name: digest(model) for name, model in self._models.items()}
        yield from self._final()

    def _asked(self) -> dict[tuple[str, int], list[tuple[Row, float]]]:
        """Return what was served, by model and version."""
        asked: dict[tuple[str, int], list[tuple[Row, float]]] = {}
        for row in self._evidence.rows[Kind.PREDICTIONS]:
            for score in row.item.scores:
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

    def _version(self, name: str, position: int, model: base.Classifier) -> Iterator[Finding]:
        rows = self._versions.get((name, position), [])
        due = int(position > 0 and position % self._pipeline.snapshot_every == 0)
        what = f"{name} at {position}"
        if len(rows) != due:
            sort = Sort.LOST if len(rows) < due else Sort.DOUBLED if due else Sort.WRONG
            at = rows[-1].at_ms if rows else self._examples[position - 1].at_ms
            yield Finding(sort, f"{what} was published {len(rows)} times", at)
        if not rows:
            return
        expected, version = digest(model), rows[0].item
        if version.digest != expected:
            yield Finding(Sort.WRONG, f"the version of {what} is not the fold of the examples", rows[0].at_ms)
        try:
            stored = open_version(version, self._pipeline.name, self._store, self._keys, self._modules)
        except MissingModelError:
            # The store keeps the newest versions of a model and forgets the others.
            if position > len(self._examples) - _KEPT * self._pipeline.snapshot_every:
                yield Finding(Sort.LOST, f"the file of {what} is not in the store", rows[0].at_ms)
            return
        except RiverrunError as error:
            yield Finding(Sort.WRONG, f"the file of {what} cannot be opened: {error}", rows[0].at_ms)
            return
        if digest(stored) != expected:
            yield Finding(Sort.WRONG, f"the file of {what} is not what its record says", rows[0].at_ms)

    def _final(self) -> Iterator[Finding]:
        newest = self._store.entries(self._pipeline.name, "_checkpoints")[-1]
        header, state = opened(self._store.read(newest.path), self._keys, self._modules)
        if header.position != len(self._examples):
            yield Finding(Sort.WRONG, f"the last checkpoint is of {header.position} of {len(self._examples)} examples")
        models = cast("dict[str, dict[str, list[object]]]", state)["fold"]["models"]
        for model, found in zip(self._pipeline.models, models, strict=True):
            if digest(found) != self.digests[model.name]:
                yield Finding(Sort.WRONG, f"the learner's {model.name} is not the fold of the examples")
