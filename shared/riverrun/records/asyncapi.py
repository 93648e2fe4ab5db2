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
_JSON: Final = "application/json"
_AS_JSON: Final = (
    "One JSON object in UTF-8 with the fields of this Avro schema, as plain JSON: what may be of several types stands "
    "there without the name of its type, and fields with a default may be left out."
)
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
    Kind.ALERT_SIGNALS: "What the alerts are made from, in one order: copies of other topics' records, and marks.",
    Kind.PROGRESS: "Commit records of the stages.",
    Kind.SCHEMAS: "Schema ids, where there is no registry.",
}
_TAKEN: Final = frozenset({Kind.ALERT_COMMANDS})
"""Own topics that others write to."""

_COPIED: Final = (Kind.EVALUATIONS, Kind.MODELS, Kind.DRIFT, Kind.ALERT_COMMANDS, Kind.PROGRESS)
"""What the alerts service copies into its signals, as far as the pipeline's rules look at it."""

_FIELDS: Final = {
    "riverrun-seq": "The writing task's partition and the record's position there: `<writer>:<seq>`.",
    "riverrun-source": "What it was made from: `<topic>/<partition>/<position>`.",
}
_TRACE: Final = {"traceparent": "The W3C trace context, if the record is traced."}
_REPLAYED: Final = {
    "riverrun-replayed": "If it was sent again after it had been refused: where it lay, `<topic>/<partition>/<offset>`."
}
_ANSWER: Final = {
    "riverrun-answer": (
        "If the gateway was asked to predict on it, what it answered, as JSON: `model`, `version`, `score`, `reads`: "
        "a list of `[partition, group, entity, position]`, of the aggregates that it looked up."
    )
}
_NONE: Final[Mapping[str, str]] = {}
_HEADERS: Final[Mapping[Kind, tuple[Mapping[str, str], Mapping[str, str]]]] = {
    Kind.ALERTS: (_FIELDS, _NONE),
    Kind.ALERT_COMMANDS: (_NONE, _NONE),
    Kind.PROGRESS: (_NONE, _NONE),
}
"""Those that must be there and those that may be, where it is not as with all others."""

_ORIGIN: Final = {"riverrun-origin": "What it is a copy of: `<topic>/<partition>/<offset>`."}

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
        sent = _sent(stream, is_predicted_on=stream.name == pipeline.predict_on)
        messages |= sent
        channels[name] = _channel(stream.topic, f"Events of {stream.name}, by their producers.", list(sent))
        operations[f"receive-{name}"] = _operation("receive", name)
    for kind, records in _records(pipeline).items():
        name = kind.value
        messages |= records
        channel = _channel(topic_name(pipeline.name, kind), _HOLDS[kind], list(records))
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
        message["headers"] = _headers({**_FIELDS, "riverrun-stream": f"Always `{stream.name}`."}, _TRACE)
        found[Kind.EVENTS][f"event-{stream.name}"] = message
    vector = _message("A feature vector", dict(pipeline.vector.schema), "The event's key.")
    found[Kind.VECTORS]["vector"] = {**vector, "headers": _headers(_FIELDS, _TRACE)}
    for record in FIXED_RECORDS:
        kind = KIND_OF_CLASS.get(record.item)
        if kind is None:
            continue
        schema = schemas.current(record.schema)
        message = _message(str(schema["name"]), schema, "")
        message["headers"] = _headers(*_HEADERS.get(kind, (_FIELDS, _TRACE)))
        found[kind][record.schema.replace("_", "-")] = message
    found[Kind.SCHEMAS]["schema"] = _in_json(
        "A schema and its id", {"subject": {"type": "string"}, "id": {"type": "integer"}, "schema": {"type": "object"}}
    )
    found[Kind.ALERT_SIGNALS] = _signals(found)
    return found


def _signals(found: Mapping[Kind, Document]) -> Document:
    """Return the messages of the signals: each a copy of one of these, but for the marks between them."""
    signals: Document = {}
    for name, message in ((name, message) for kind in _COPIED for name, message in found[kind].items()):
        signals[f"signal-{name}"] = {
            **message,
            "title": f"A copy: {message['title']}",
            "headers": _headers(_ORIGIN),
            "payload": {"$ref": f"#/components/messages/{name}/payload"},
        }
    offsets = {"type": "object", "additionalProperties": {"type": "integer"}}
    signals["signal-mark"] = _in_json(
        "A mark: a tick of the clock, the last record of a transaction",
        {
            "positions": {**offsets, "description": "How far was copied, by `<topic>/<partition>`."},
            "ends": {**offsets, "description": "Where the producers' topics ended; empty if nobody looked."},
        },
    )
    return signals


def _in_json(title: str, properties: Document) -> Document:
    return {
        "title": title,
        "contentType": _JSON,
        "headers": _headers({}),
        "payload": {"type": "object", "required": list(properties), "properties": properties},
    }


def _sent(stream: StreamSchema, *, is_predicted_on: bool) -> Document:
    """Return the messages of a producers' topic, by name: one for each form in which its events may be written."""
    key = f"The event's field {stream.key}."
    headers = _headers({}, _TRACE | _REPLAYED | (_ANSWER if is_predicted_on else {}))
    avro = _message(f"An event of {stream.name}", dict(stream.schema), key)
    avro |= {"description": "Avro in Confluent framing.", "headers": headers}
    json = _message(f"An event of {stream.name}, in JSON", dict(stream.schema), key)
    json |= {"description": _AS_JSON, "contentType": _JSON, "headers": headers}
    json["bindings"] = {"kafka": {"key": avro["bindings"]["kafka"]["key"], "bindingVersion": _BINDING}}
    name = f"stream-{stream.name}"
    if stream.format == "json":
        return {name: json}
    return {name: avro} if stream.format == "avro" else {name: avro, f"{name}-json": json}


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


def _headers(needed: Mapping[str, str], possible: Mapping[str, str] = _NONE) -> Document:
    """Return the description of headers: those that are always there, and those that may be."""
    fields = {**needed, **possible}
    found: Document = {
        "type": "object",
        "properties": {name: {"type": "string", "description": about} for name, about in fields.items()},
    }
    if needed:
        found["required"] = list(needed)
    return found


def _channel(address: str, about: str, messages: list[str]) -> Document:
    return {
        "address": address,
        "description": about,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": {"topic": address, "bindingVersion": _BINDING}},
    }


def _operation(action: str, channel: str) -> Document:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}
