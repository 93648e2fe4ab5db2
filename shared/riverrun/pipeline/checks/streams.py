"""Streams: their schemas, and whether the fields they name as key, time and id can be that."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, cast

import fastavro.schema

from riverrun.pipeline.attempts import Attempt
from riverrun.pipeline.pipeline import Pipeline
from riverrun.pipeline.problems import Problem
from riverrun.pipeline.schemas import FieldType, Kind
from riverrun.pipeline.streams import Stream

__all__ = ["check_streams"]

_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_OWN_TOPICS: Final = (
    *("events", "dead-letters", "vectors", "predictions", "examples", "evaluations"),
    *("models", "drift", "alerts", "alert-commands", "alert-signals", "progress", "schemas"),
)


def check_streams(pipeline: Pipeline) -> Iterator[Problem]:
    """Check every stream by itself, and that no two are called the same."""
    names: dict[str, Stream] = {}
    topics: dict[str, Stream] = {}
    for stream in pipeline.streams:
        yield from _check_names(pipeline, stream)
        for what, taken, name in (("name", names, stream.name), ("topic", topics, stream.topic)):
            other = taken.setdefault(name, stream)
            if other is not stream:
                yield Problem(
                    "duplicate-stream",
                    f"two streams have the {what} {name!r} (the other at {other.location})",
                    "use one Stream for both" if what == "topic" else "give one of them another by name=",
                    stream.location,
                )
        yield from _check_schema(stream)
        if not stream.schema.faults or stream.fields:
            yield from _check_roles(stream)


def _check_names(pipeline: Pipeline, stream: Stream) -> Iterator[Problem]:
    if not _TOPIC.fullmatch(stream.topic) or stream.topic in (".", ".."):
        yield Problem(
            "bad-topic",
            f"{stream.topic!r} is no name for a topic",
            "Kafka allows letters, digits, dots, dashes and underscores, 249 at most",
            stream.location,
        )
    if not _NAME.fullmatch(stream.name):
        yield Problem(
            "bad-stream",
            f"{stream.name!r} is no short name for a stream",
            "use letters, digits and underscores",
            stream.location,
        )
    if stream.topic in {f"{pipeline.name}.{kind}" for kind in _OWN_TOPICS}:
        yield Problem(
            "reserved-topic",
            f"the pipeline {pipeline.name!r} writes the topic {stream.topic!r} itself",
            "rename the pipeline or the topic",
            stream.location,
        )


def _check_schema(stream: Stream) -> Iterator[Problem]:
    for fault in stream.schema.faults:
        yield Problem(fault.code, f"stream {stream.name!r}: {fault.message}", fault.hint, stream.location)
    if stream.schema.faults:
        return
    parse = cast("Callable[[Mapping[str, object]], object]", fastavro.schema.parse_schema)
    with Attempt() as attempt:  # fastavro raises whatever its walk runs into
        parse(stream.schema.avro)
    if attempt.error is not None:
        message = f"stream {stream.name!r}: the schema is not valid Avro: {attempt.told}"
        yield Problem("schema-invalid", message, "", stream.location)


def _check_roles(stream: Stream) -> Iterator[Problem]:
    for role, name in (("key", stream.key_field), ("id", stream.id_field), ("time", stream.time_field)):
        known = stream.field(name)
        if known is None:
            close = stream.suggestions(name)
            yield Problem(
                "unknown-field",
                f"stream {stream.name!r} has no field {name!r} to be its {role}",
                f"did you mean {' or '.join(map(repr, close))}?" if close else "",
                stream.location,
            )
            continue
        if known.nullable:
            yield Problem(
                f"nullable-{role}",
                f"{stream.name}.{name} is the {role} of its stream, but may be missing",
                "take the null out of its type, or choose another field",
                stream.location,
            )
        yield from (_check_time if role == "time" else _check_identity)(stream, role, name, known)


def _check_identity(stream: Stream, role: str, name: str, known: FieldType) -> Iterator[Problem]:
    if known.kind not in (Kind.TEXT, Kind.INT):
        yield Problem(
            f"bad-{role}-type",
            f"{stream.name}.{name} is the {role} of its stream, but a {known.avro}",
            "a key or id is a string, an enum, an int or a long",
            stream.location,
        )


def _check_time(stream: Stream, role: str, name: str, known: FieldType) -> Iterator[Problem]:
    if known.avro == "long" and known.logical in (None, "timestamp-millis"):
        return
    what = f"{known.avro} ({known.logical})" if known.logical else known.avro
    yield Problem(
        f"bad-{role}-type",
        f"{stream.name}.{name} is the {role} of its stream, but a {what}",
        "an event's time is a long, milliseconds since the epoch (timestamp-millis)",
        stream.location,
    )
