"""Plugs the features core into the runtime."""

from __future__ import annotations

from riverrun.features import FeaturePlan, FeatureTable
from riverrun.pipeline import Pipeline
from riverrun.records.topics import Kind, topic_name
from riverrun.runtime.stage import Stage, StageContext, StageDefinition
from services.features.core import FeaturesCore
from services.features.state import FeatureState

__all__ = ["FEATURES"]

_NAME = "features"


def _events(pipeline: Pipeline) -> tuple[str, ...]:
    return (topic_name(pipeline.name, Kind.EVENTS),)


def _vectors(pipeline: Pipeline) -> tuple[str, ...]:
    return (topic_name(pipeline.name, Kind.VECTORS),)


def _build(context: StageContext) -> Stage:
    (events,) = _events(context.pipeline)
    plan = FeaturePlan.compile(context.pipeline)
    memory = context.settings.memory.entities
    table = FeatureTable(plan, context.partition, memory=memory, store=context.open_store(_NAME) if memory else None)
    store = context.partials()
    core = FeaturesCore(
        plan,
        table,
        events_topic=events,
        partition=context.partition,
        partitions=context.partitions,
        foreign=store if context.partitions > 1 else None,
    )
    state = FeatureState(plan, table, store, events_topic=events, partition=context.partition)
    return Stage(_NAME, core, (state,))


FEATURES = StageDefinition(_NAME, inputs=_events, outputs=_vectors, replays=_events, build=_build)
"""Folds events into windowed features; gives a vector for each event to predict on."""
