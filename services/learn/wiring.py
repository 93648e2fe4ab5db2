"""Plugs the learn core into the runtime."""

from __future__ import annotations

from typing import Final

from riverrun.models.beside import BesideTaker, taken_now
from riverrun.models.evaluation import Evaluator
from riverrun.models.footprint import check_growth
from riverrun.models.modelset import build_models
from riverrun.models.rehearsal import Limits
from riverrun.models.store import ModelStore
from riverrun.pipeline import Pipeline
from riverrun.records.topics import Kind, topic_name
from riverrun.runtime.model_settings import code_hash, code_modules, model_keys
from riverrun.runtime.stage import LIVE_MODELS, Stage, StageContext, StageDefinition
from services.learn.core import LearnCore, LearnSettings
from services.learn.state import LearnState, LearnStateSettings

__all__ = ["LEARN"]

_NAME = "learn"
_PAUSE_MS: Final = 20
"""Examples come when a `labels` task commits: of many tasks, one transaction of the learner may take several commits.
"""


def _examples(pipeline: Pipeline) -> tuple[str, ...]:
    return (topic_name(pipeline.name, Kind.EXAMPLES),)


def _outputs(pipeline: Pipeline) -> tuple[str, ...]:
    return (topic_name(pipeline.name, Kind.EVALUATIONS), topic_name(pipeline.name, Kind.MODELS))


def _build(context: StageContext) -> Stage:
    pipeline = context.pipeline
    models = build_models(pipeline.models, pipeline.task)
    context.shared[LIVE_MODELS] = models
    memory = context.settings.memory.models
    if memory:
        for learner in models.learners:
            check_growth(learner.name, learner.estimator, memory)
    settings = LearnSettings(
        topic=topic_name(pipeline.name, Kind.EXAMPLES),
        features=pipeline.feature_names,
        snapshot_every=pipeline.snapshot_every,
        modules=code_modules(pipeline),
        memory=memory,
    )
    evaluators = [Evaluator(pipeline.metrics, pipeline.task) for _ in pipeline.models]
    # Where memory is short the stream rather waits for a snapshot than shares its pages with a copy of the process.
    take = taken_now if memory else BesideTaker(context.settings.data_folder / "snapshots").take
    core = LearnCore(settings, models, evaluators, context.codecs.decode_values, take)
    state = LearnState(
        core,
        ModelStore(context.settings.model_store_url),
        model_keys(context.settings.data_folder),
        LearnStateSettings(
            pipeline=pipeline.name,
            code_hash=code_hash(pipeline),
            feature_set=context.codecs.feature_set,
            limits=Limits(context.settings.model_memory_mb),
            followed="score" not in context.chained,
        ),
    )
    return Stage(_NAME, core, (state,))


LEARN = StageDefinition(
    _NAME,
    inputs=_examples,
    outputs=_outputs,
    replays=_examples,
    build=_build,
    sharded=True,
    pause_ms=_PAUSE_MS,
)
"""Evaluates every model on each example, then learns it."""
