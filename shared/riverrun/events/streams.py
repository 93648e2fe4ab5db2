"""A pipeline's streams with all that decoding their messages takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from riverrun.events.stream import IngestStream, Rule
from riverrun.pipeline import Expression, FieldRef, Pipeline, compile_expression, describe, fields_in
from riverrun.records.definition import StreamSchema

__all__ = ["streams_of"]


def streams_of(pipeline: Pipeline, schemas: Sequence[StreamSchema]) -> tuple[IngestStream, ...]:
    """Return the streams of a pipeline, with their rules compiled.

    Parameters
    ----------
    pipeline
        The pipeline.
    schemas
        The schemas of its streams, as ``Codecs.streams`` holds them.
    """
    rules = _rules_of(pipeline)
    joined = {pipeline.predict_on.name, pipeline.label_stream.name}
    by_name = {stream.name: stream for stream in pipeline.streams}
    return tuple(
        IngestStream(
            schema=schema,
            rules=tuple(rules.get(schema.name, ())),
            joined=schema.name in joined,
            max_future_ms=by_name[schema.name].max_future_ms,
        )
        for schema in schemas
    )


@lru_cache(maxsize=8)
def _rules_of(pipeline: Pipeline) -> Mapping[str, Sequence[Rule]]:
    """Return the compiled rules by stream: once for all partitions."""
    rules: dict[str, list[Rule]] = {}
    for expression in pipeline.rules:
        rules.setdefault(_stream_of(expression), []).append(Rule(describe(expression), compile_expression(expression)))
    return rules


def _stream_of(rule: Expression) -> str:
    names: set[str] = {field.stream.name for field in fields_in(rule) if isinstance(field, FieldRef)}
    return names.pop()
