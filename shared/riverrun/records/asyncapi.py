"""The AsyncAPI document of a pipeline's topics, from the definitions that the topics are written by.

AsyncAPI 3.0 (https://www.asyncapi.com/docs/reference/specification/v3.0.0), with the Kafka bindings 0.5.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import schemas
from riverrun.records.definition import PipelineSchemas, StreamSchema
from riverrun.records.fixed_records import FIXED_RECORDS
from riverrun.records.topics import COMPACTED, KIND_OF_CLASS, Kind, topic_name

__all__ = ["asyncapi_document"]

_AVRO: Final = "application/vnd.apache.avro+json;version=1.9.0"
_BINDING: Final = "0.5.0"
_HOLDS: Final[Mapping[Kind, str]] = {
    Kind.EVENTS: "Accepted events, in the order in which they were folded.",
    Kind.DEAD_LETTERS: "What was refused: reason, place, headers, original bytes.",
    Kind.VECTORS: "The point-in-time vector of each event to predict on.",
    Kind.PREDICTIONS: "Every model's score, the champion's first, with the vector as served.",
    Kind.EXAMPLES: "How each prediction ended.",
    Kind.EVALUATIONS: "Prequential figures.",
    Kind.MODELS: "Pointers to the newest snapshots, and aliases.",
    Kind.DRIFT: "Findings of drift.",
    Kind.ALERTS: "Alerts: every step in the life of each incident.",
    Kind.ALERT_COMMANDS: "What people ask of the alerts service.",
    Kind.PROGRESS: "Commit records of the stages.",
    Kind.SCHEMAS: "Schema ids, where there is no registry.",
}
_TAKEN: Final = frozenset({Kind.ALERT_COMMANDS})
"""Own topics that others write to."""

_FIELDS: Final = {
    "riverrun-seq": "The writing task's partition and the record's position there: `<writer>:<seq>`.",
    "riverrun-source": "What it was made from: `<topic>/<partition>/<position>`.",
}

Document = dict[str, Any]


def asyncapi_document(pipeline: PipelineSchemas, version: str) -> Document:
    """Return the document.

    Parameters
    ----------
    pipeline
        The pipeline's name, streams and vector.
    version
        Of the document: riverrun's.

    Examples
    --------
    >>> from riverrun.records.vector_schema import VectorSchema
    >>> document = asyncapi_document(PipelineSchemas("p", (), VectorSchema.generate("p", {"x": "double"})), "1.0")
    >>> document["channels"]["predictions"]["address"]
    'p.predictions'
    """
    channels: Document = {}
    operations: Document = {}
    messages: Document = {}
    for stream in pipeline.streams:
        name = f"stream-{stream.name}"
        messages[name] = _event(stream)
        channels[name] = _channel(stream.topic, f"Events of {stream.name}, by their producers.", [name])
        operations[f"receive-{name}"] = _operation("receive", name)
    for kind, records in _records(pipeline).items():
        name = kind.value
        messages |= records
        channel = _channel(topic_name(pipeline.name, kind), _HOLDS.get(kind, ""), list(records))
        if kind in COMPACTED:
            channel["bindings"]["kafka"]["topicConfiguration"] = {"cleanup.policy": ["compact"]}
        channels[name] = channel
        action = "receive" if kind in _TAKEN else "send"
        operations[f"{action}-{name}"] = _operation(action, name)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"riverrun: {pipeline.name}",
            "version": version,
            "description": "The topics that the pipeline reads and writes: read them with read_committed.",
        },
        "defaultContentType": "avro/binary",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def _records(pipeline: PipelineSchemas) -> dict[Kind, Document]:
    """Return the messages of each of the pipeline's own topics, by name."""
    found: dict[Kind, Document] = {kind: {} for kind in Kind}
    for stream in pipeline.streams:
        title = f"An accepted event of {stream.name}"
        message = _message(title, dict(stream.schema), f"The event's field {stream.key}.")
        message["headers"] = _headers({**_FIELDS, "riverrun-stream": f"Always `{stream.name}`."})
        found[Kind.EVENTS][f"event-{stream.name}"] = message
    vector = _message("A feature vector", dict(pipeline.vector.schema), "The event's key.")
    found[Kind.VECTORS]["vector"] = {**vector, "headers": _headers(_FIELDS)}
    for record in FIXED_RECORDS:
        kind = KIND_OF_CLASS.get(record.item)
        if kind is None:
            continue
        schema = schemas.current(record.schema)
        message = _message(str(schema["name"]), schema, "")
        if kind not in (Kind.PROGRESS, Kind.ALERTS, Kind.ALERT_COMMANDS):
            message["headers"] = _headers(_FIELDS)
        found[kind][record.schema.replace("_", "-")] = message
    found[Kind.SCHEMAS]["schema"] = {
        "title": "A schema and its id",
        "contentType": "application/json",
        "payload": {
            "type": "object",
            "required": ["subject", "id", "schema"],
            "properties": {"subject": {"type": "string"}, "id": {"type": "integer"}, "schema": {"type": "object"}},
        },
    }
    return found


def _event(stream: StreamSchema) -> Document:
    message = _message(f"An event of {stream.name}", dict(stream.schema), f"The event's field {stream.key}.")
    message["description"] = "Avro in Confluent framing; in JSON too, where the stream allows it."
    return message


def _message(title: str, schema: Mapping[str, Any], key: str) -> Document:
    kafka: Document = {
        "schemaIdLocation": "payload",
        "schemaIdPayloadEncoding": "confluent",
        "bindingVersion": _BINDING,
    }
    if key:
        kafka["key"] = {"type": "string", "description": f"{key} Placed by murmur2."}
    message: Document = {
        "title": title,
        "contentType": "avro/binary",
        "payload": {"schemaFormat": _AVRO, "schema": dict(schema)},
        "bindings": {"kafka": kafka},
    }
    if "doc" in schema:
        message["summary"] = str(schema["doc"])
    return message


def _headers(fields: Mapping[str, str]) -> Document:
    return {
        "type": "object",
        "required": list(fields),
        "properties": {name: {"type": "string", "description": about} for name, about in fields.items()},
    }


def _channel(address: str, about: str, messages: list[str]) -> Document:
    return {
        "address": address,
        "description": about,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": {"topic": address, "bindingVersion": _BINDING}},
    }


def _operation(action: str, channel: str) -> Document:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}
