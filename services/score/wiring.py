"""Plugs the score core into the runtime."""

from __future__ import annotations

from riverrun.models.follower import FollowerSettings, ModelFollower
from riverrun.models.modelset import ModelSet, build_models
from riverrun.models.rehearsal import Limits
from riverrun.models.store import ModelStore
from riverrun.pipeline import Pipeline
from riverrun.records.codecs import Codecs
from riverrun.records.items import ModelAlias, ModelVersion
from riverrun.records.topics import Kind, topic_name
from riverrun.runtime.model_settings import code_hash, code_modules, model_keys
from riverrun.runtime.ports import Record
from riverrun.runtime.stage import LIVE_MODELS, Stage, StageContext, StageDefinition
from services.score.core import LiveModels, ScoreCore

__all__ = ["SCORE"]

_NAME = "score"


class _ModelsTopic:
    """Follows the ``models`` topic for a scorer that runs apart from the learner."""

    def __init__(self, topic: str, codecs: Codecs, follower: ModelFollower) -> None:
        self.topic = topic
        self._codecs = codecs
        self._follower = follower

    def offer(self, record: Record) -> None:
        """Take in a pointer to a version, or an alias."""
        item, _ = self._codecs.from_wire(record.value, list(record.headers))
        if isinstance(item, ModelVersion | ModelAlias):
            self._follower.offer(item, record.offset)

    def settle(self) -> None:
        """Wait until the newest versions are loaded."""
        self._follower.settle()

    def close(self) -> None:
        """Stop loading."""
        self._follower.close()


def _vectors(pipeline: Pipeline) -> tuple[str, ...]:
    return (topic_name(pipeline.name, Kind.VECTORS),)


def _predictions(pipeline: Pipeline) -> tuple[str, ...]:
    return (topic_name(pipeline.name, Kind.PREDICTIONS),)


def _build(context: StageContext) -> Stage:
    pipeline = context.pipeline
    (vectors,) = _vectors(pipeline)
    live = context.shared.get(LIVE_MODELS)
    if isinstance(live, ModelSet):
        core = ScoreCore(pipeline.feature_names, vectors, context.partition, LiveModels(live))
        return Stage(_NAME, core, models=lambda: {learner.name: live.position for learner in live.learners})
    follower = ModelFollower(
        build_models(pipeline.models, pipeline.task),
        ModelStore(context.settings.model_store_url),
        model_keys(context.settings.data_folder),
        FollowerSettings(
            pipeline.name,
            context.codecs.feature_set,
            code_modules(pipeline),
            limits=Limits(context.settings.model_memory_mb),
            code_hash=code_hash(pipeline),
        ),
    )
    core = ScoreCore(pipeline.feature_names, vectors, context.partition, follower)
    side = _ModelsTopic(topic_name(pipeline.name, Kind.MODELS), context.codecs, follower)
    return Stage(_NAME, core, side=side, models=follower.versions, refused=lambda: follower.trouble)


SCORE = StageDefinition(_NAME, inputs=_vectors, outputs=_predictions, replays=_vectors, build=_build)
"""Scores vectors by the champion and, in its shadow, every challenger."""
