"""Plugs the labels core into the runtime."""

from __future__ import annotations

from typing import Final

from riverrun.pipeline import Pipeline
from riverrun.records.codecs import Codecs
from riverrun.records.headers import Stamp
from riverrun.records.items import UNSENT, Prediction, Source
from riverrun.records.topics import Kind, topic_name
from riverrun.runtime.keyed_state import KeyedState
from riverrun.runtime.stage import Stage, StageContext, StageDefinition
from services.labels.core import LabelsCore
from services.labels.rule import LabelRule

__all__ = ["LABELS"]

_NAME = "labels"
_PAUSE_MS: Final = 50
"""Labels are late as it is, and a model is fresh within a second: by itself, the stage may gather for a moment."""


class _Codec:
    """Predictions as on the wire."""

    __slots__ = ("_codecs",)

    def __init__(self, codecs: Codecs) -> None:
        self._codecs = codecs

    def encode(self, prediction: Prediction) -> bytes:
        """Return the framed record."""
        return self._codecs.encode(prediction)

    def decode(self, payload: bytes) -> Prediction:
        """Return the prediction that a framed record holds."""
        item = self._codecs.decode(payload, Stamp(0, UNSENT, Source("", 0, UNSENT)))
        if not isinstance(item, Prediction):
            raise TypeError(f"the state of labels holds a {type(item).__name__} where a prediction was put")
        return item


def _inputs(pipeline: Pipeline) -> tuple[str, ...]:
    return (topic_name(pipeline.name, Kind.PREDICTIONS), topic_name(pipeline.name, Kind.EVENTS))


def _examples(pipeline: Pipeline) -> tuple[str, ...]:
    return (topic_name(pipeline.name, Kind.EXAMPLES),)


def _build(context: StageContext) -> Stage:
    state = KeyedState(context.open_store(_NAME), cache_bytes=context.settings.memory.state_cache)
    rule = LabelRule.of(context.pipeline)
    core = LabelsCore(
        rule,
        state,
        _Codec(context.codecs),
        topic=topic_name(context.pipeline.name, Kind.PREDICTIONS),
        partition=context.partition,
    )
    return Stage(_NAME, core, (state,), fields_of=frozenset({rule.stream}))


LABELS = StageDefinition(_NAME, inputs=_inputs, outputs=_examples, replays=_inputs, build=_build, pause_ms=_PAUSE_MS)
"""Joins labels to predictions, each of which ends exactly once."""
