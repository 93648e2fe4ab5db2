"""Plugs the ingest core into the runtime."""

from __future__ import annotations

from riverrun.events.decode import EventDecoder, Place
from riverrun.events.settings import IngestSettings
from riverrun.events.streams import streams_of
from riverrun.pipeline import Pipeline
from riverrun.records.topics import Kind, topic_name
from riverrun.runtime.keyed_state import KeyedState
from riverrun.runtime.seen_ids import SeenIds
from riverrun.runtime.stage import Stage, StageContext, StageDefinition
from services.ingest.core import IngestCore

__all__ = ["INGEST"]

_NAME = "ingest"


def _build(context: StageContext) -> Stage:
    settings = IngestSettings.from_environment()
    streams = streams_of(context.pipeline, context.codecs.streams)
    place = Place(context.partition, context.partitions)
    decoders = {stream.schema.topic: EventDecoder(stream, context.ids, place, settings) for stream in streams}
    state = KeyedState(context.open_store(_NAME), cache_bytes=context.settings.memory.state_cache)
    seen = SeenIds(state, horizon_ms=context.pipeline.dedupe_ms)
    core = IngestCore(streams, decoders, seen, settings)
    return Stage(_NAME, core, (state,), decode=core.decode, adopt=core.adopt)


def _inputs(pipeline: Pipeline) -> tuple[str, ...]:
    return tuple(stream.topic for stream in pipeline.streams)


def _events(pipeline: Pipeline) -> tuple[str, ...]:
    return (topic_name(pipeline.name, Kind.EVENTS),)


def _outputs(pipeline: Pipeline) -> tuple[str, ...]:
    return (*_events(pipeline), topic_name(pipeline.name, Kind.DEAD_LETTERS))


INGEST = StageDefinition(_NAME, inputs=_inputs, outputs=_outputs, replays=_events, build=_build)
"""Reads producers' topics; what it remembers (ids) is a fold of the events that it wrote."""
