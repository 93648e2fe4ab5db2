"""Plugs the ingest core into the runtime."""

from __future__ import annotations

from collections.abc import Iterator

from riverrun.pipeline import Expression, FieldRef, Pipeline, compile_expression, describe, fields_in
from riverrun.records.topics import Kind, topic_name
from riverrun.runtime.keyed_state import KeyedState
from riverrun.runtime.seen_ids import SeenIds
from riverrun.runtime.stage import Stage, StageContext, StageDefinition
from services.ingest.core import IngestCore
from services.ingest.decode import EventDecoder, Place
from services.ingest.settings import IngestSettings
from services.ingest.stream import IngestStream, Rule

__all__ = ["INGEST"]

_NAME = "ingest"


def _streams(context: StageContext) -> Iterator[IngestStream]:
    pipeline = context.pipeline
    rules: dict[str, list[Rule]] = {}
    for expression in pipeline.rules:
        rules.setdefault(_stream_of(expression), []).append(Rule(describe(expression), compile_expression(expression)))
    joined = {pipeline.predict_on.name, pipeline.label_stream.name}
    by_name = {stream.name: stream for stream in pipeline.streams}
    for schema in context.codecs.streams:
        stream = by_name[schema.name]
        yield IngestStream(
            schema=schema,
            format=stream.format,
            rules=tuple(rules.get(schema.name, ())),
            joined=schema.name in joined,
            max_future_ms=stream.max_future_ms,
        )


def _stream_of(rule: Expression) -> str:
    names: set[str] = {field.stream.name for field in fields_in(rule) if isinstance(field, FieldRef)}
    return names.pop()


def _build(context: StageContext) -> Stage:
    settings = IngestSettings.from_environment()
    streams = tuple(_streams(context))
    place = Place(context.partition, context.partitions)
    decoders = {stream.schema.topic: EventDecoder(stream, context.ids, place, settings) for stream in streams}
    state = KeyedState(context.open_store(_NAME))
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
