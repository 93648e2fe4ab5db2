"""Plugs both drift cores into the runtime.

They are two stages, since each is the fold of one log: what is there before any label, of each partition, and what the
labels say, of each learner's shard. Both write to the topic ``drift``, as different writers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from riverrun.drift.settings import MonitorSettings
from riverrun.pipeline import Drift, Pipeline
from riverrun.records.codecs import Codecs
from riverrun.records.items import FieldValue
from riverrun.records.topics import Kind, topic_name
from riverrun.runtime.model_settings import model_keys
from riverrun.runtime.stage import Stage, StageContext, StageDefinition
from services.drift.core import DriftCore, DriftSettings
from services.drift.observing import ErrorObserver, InputObserver
from services.drift.state import WRITE_EVERY, DriftStore
from services.drift.watching import monitor_settings, watched_features

__all__ = ["DRIFT_ERRORS", "DRIFT_INPUTS", "Watch", "drift_stages", "errors_core", "inputs_core"]

Watch = Callable[[Drift], tuple[MonitorSettings, MonitorSettings]]
"""Returns how all records are watched, and how those of a segment."""

_INPUTS = "drift-inputs"
_ERRORS = "drift-errors"
_NOTHING = Drift(features=())
_PAUSE_MS: Final = 200
"""What drifts does so over hours, and windows end by the hundred: to say it a fifth of a second later is no loss."""


def _predictions(pipeline: Pipeline) -> tuple[str, ...]:
    return (topic_name(pipeline.name, Kind.PREDICTIONS),)


def _examples(pipeline: Pipeline) -> tuple[str, ...]:
    return (topic_name(pipeline.name, Kind.EXAMPLES),)


def _drift(pipeline: Pipeline) -> tuple[str, ...]:
    return (topic_name(pipeline.name, Kind.DRIFT),)


def _wanted(pipeline: Pipeline) -> bool:
    return pipeline.drift is not None


def _reader(codecs: Codecs) -> Callable[[bytes], tuple[FieldValue, ...]]:
    def values(payload: bytes) -> tuple[FieldValue, ...]:
        return codecs.decode_vector(payload).values

    return values


def _names(pipeline: Pipeline) -> tuple[str, ...]:
    return tuple(model.name for model in pipeline.models)


def inputs_core(pipeline: Pipeline, codecs: Codecs, partition: int, watch: Watch = monitor_settings) -> DriftCore:
    """Return the fold of a partition's predictions, before the first."""
    drift = pipeline.drift or _NOTHING
    observer = InputObserver(
        pipeline.feature_names,
        watched_features(pipeline, drift),
        _names(pipeline),
        drift.segments,
        _reader(codecs),
    )
    (topic,) = _predictions(pipeline)
    return DriftCore(observer, DriftSettings(topic, partition, *watch(drift)))


def errors_core(pipeline: Pipeline, codecs: Codecs, watch: Watch = monitor_settings) -> DriftCore:
    """Return the fold of a shard's examples, before the first."""
    drift = pipeline.drift or _NOTHING
    observer = ErrorObserver(
        pipeline.feature_names,
        _names(pipeline),
        drift.segments,
        binary=pipeline.task == "binary",
        read_vector=_reader(codecs),
    )
    (topic,) = _examples(pipeline)
    return DriftCore(observer, DriftSettings(topic, 0, *watch(drift), models=_names(pipeline)))


def _stage(name: str, core: DriftCore, context: StageContext, every: int) -> Stage:
    keys = model_keys(context.settings.data_folder)
    return Stage(name, core, (DriftStore(core, context.open_store(name), keys, every=every),))


def drift_stages(watch: Watch = monitor_settings, every: int = WRITE_EVERY) -> tuple[StageDefinition, StageDefinition]:
    """Return the stage that watches features and scores, and the one that watches labels, errors and calibration.

    Parameters
    ----------
    watch
        How closely they watch.
    every
        Records between two writes of their states.
    """

    def build_inputs(context: StageContext) -> Stage:
        core = inputs_core(context.pipeline, context.codecs, context.partition, watch)
        return _stage(_INPUTS, core, context, every)

    def build_errors(context: StageContext) -> Stage:
        return _stage(_ERRORS, errors_core(context.pipeline, context.codecs, watch), context, every)

    inputs = StageDefinition(
        _INPUTS,
        inputs=_predictions,
        outputs=_drift,
        replays=_predictions,
        build=build_inputs,
        pause_ms=_PAUSE_MS,
        wanted=_wanted,
    )
    errors = StageDefinition(
        _ERRORS,
        inputs=_examples,
        outputs=_drift,
        replays=_examples,
        build=build_errors,
        sharded=True,
        lane=1,
        pause_ms=_PAUSE_MS,
        wanted=_wanted,
    )
    return inputs, errors


DRIFT_INPUTS, DRIFT_ERRORS = drift_stages()
"""Both as a pipeline declares them."""
