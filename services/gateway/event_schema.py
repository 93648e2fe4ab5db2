"""The JSON Schema of a stream's events, and an example, from its Avro schema: exactly what is accepted over HTTP.

What depends on other fields or on the time of receipt cannot be said there: rules, and how far ahead a time may lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from riverrun.events.decode import LAST_TIME_MS
from riverrun.records.definition import StreamSchema, field_types

__all__ = ["JsonSchema", "event_example", "event_schema", "value_schema"]

JsonSchema = dict[str, Any]

_INT32: Final = 2**31
_INT64: Final = 2**63
_FLOAT32: Final = 3.4028234663852886e38
_EXAMPLES: Final[dict[str, Any]] = {
    "boolean": True,
    "int": 1,
    "long": 1,
    "float": 1.5,
    "double": 1.5,
    "string": "text",
    "bytes": "text",
}


def event_schema(stream: StreamSchema, max_text: int) -> JsonSchema:
    """Return the JSON Schema of an event.

    Parameters
    ----------
    stream
        The stream.
    max_text
        Longest string or bytes value.
    """
    fields = cast("Sequence[Mapping[str, Any]]", stream.schema["fields"])
    enums = _enums(fields)
    properties = {str(field["name"]): _field(field, stream, enums, max_text) for field in fields}
    left_out = {stream.time, stream.id if field_types(stream.schema)[stream.id] == "string" else ""}
    required = [str(field["name"]) for field in fields if "default" not in field and field["name"] not in left_out]
    return {
        "title": f"Event of {stream.name}",
        "description": str(stream.schema.get("doc", f"An event of the stream {stream.name}.")),
        "type": "object",
        "required": required,
        "properties": properties,
        "examples": [event_example(stream)],
    }


def event_example(stream: StreamSchema) -> dict[str, Any]:
    """Return an event that the schema accepts."""
    fields = cast("Sequence[Mapping[str, Any]]", stream.schema["fields"])
    enums = _enums(fields)
    example: dict[str, Any] = {}
    for field in fields:
        name, kind = str(field["name"]), _kind(field["type"], enums)
        example[name] = enums[kind][0] if kind in enums else _EXAMPLES[kind]
    example[stream.time] = 1_735_689_600_000
    return example


def _field(field: Mapping[str, Any], stream: StreamSchema, enums: Mapping[str, list[str]], max_text: int) -> JsonSchema:
    name, node = str(field["name"]), field["type"]
    schema = value_schema(_kind(node, enums), enums, max_text)
    if name in (stream.id, stream.key) and schema.get("type") == "string":
        schema["minLength"] = 1
    if name == stream.time:
        schema |= {"minimum": 0, "maximum": LAST_TIME_MS}
    elif isinstance(node, list) and "null" in node:
        schema = {"anyOf": [schema, {"type": "null"}]}
    if name in (stream.time, stream.id) and name not in (stream.key,):
        schema["description"] = "The event time." if name == stream.time else "Unique to the event."
    if "doc" in field:
        schema["description"] = str(field["doc"])
    return schema


def value_schema(kind: str, enums: Mapping[str, list[str]], max_text: int) -> JsonSchema:
    """Return the JSON Schema of a value of an Avro type, by its name."""
    if kind in enums:
        return {"type": "string", "enum": enums[kind]}
    schemas: dict[str, JsonSchema] = {
        "boolean": {"type": "boolean"},
        "int": {"type": "integer", "minimum": -_INT32, "maximum": _INT32 - 1, "format": "int32"},
        "long": {"type": "integer", "minimum": -_INT64, "maximum": _INT64 - 1, "format": "int64"},
        "float": {"type": "number", "minimum": -_FLOAT32, "maximum": _FLOAT32, "format": "float"},
        "double": {"type": "number", "format": "double"},
        "string": {"type": "string", "maxLength": max_text},
        "bytes": {"type": "string", "maxLength": max_text, "pattern": "^[\\u0000-\\u00ff]*$"},
    }
    return schemas[kind]


def _kind(node: Any, enums: Mapping[str, list[str]]) -> str:
    """Return the name of a field's type: a primitive's, or its enum's."""
    if isinstance(node, list):
        return _kind(next(branch for branch in node if branch != "null"), enums)
    if isinstance(node, dict):
        return str(node["name"]) if node["type"] == "enum" else _kind(node["type"], enums)
    text = str(node)
    return text if text in _EXAMPLES else text.rpartition(".")[2]


def _enums(fields: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the symbols of the enums that the fields define, by the enum's name."""
    found: dict[str, list[str]] = {}
    for field in fields:
        node = field["type"]
        for branch in node if isinstance(node, list) else [node]:
            if isinstance(branch, dict) and branch.get("type") == "enum":
                found[str(branch["name"])] = [str(symbol) for symbol in branch["symbols"]]
    return found
