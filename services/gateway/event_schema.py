"""The JSON Schema of a stream's events, and an example, from its Avro schema: exactly what is accepted over HTTP.

What depends on other fields or on the time of receipt cannot be said there: some rules, and how far ahead a time may
lie. The rules stand in the description, all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from riverrun.events.decode import LAST_TIME_MS
from riverrun.pipeline import Expression, describe
from riverrun.records.definition import StreamSchema, field_types
from services.gateway.rule_schema import JsonSchema, fitting, limited, limits_of

__all__ = ["JsonSchema", "event_example", "event_schema", "value_schema"]

_INT32: Final = 2**31
_INT64: Final = 2**63
_FLOAT32: Final = 3.4028234663852886e38
_TIME: Final = 1_735_689_600_000
_EXAMPLES: Final[dict[str, Any]] = {
    "boolean": True,
    "int": 1,
    "long": 1,
    "float": 1.5,
    "double": 1.5,
    "string": "text",
    "bytes": "text",
}


def event_schema(stream: StreamSchema, max_text: int, rules: Sequence[Expression] = ()) -> JsonSchema:
    """Return the JSON Schema of an event.

    Parameters
    ----------
    stream
        The stream.
    max_text
        Longest string or bytes value.
    rules
        What its events must not break.
    """
    fields = cast("Sequence[Mapping[str, Any]]", stream.schema["fields"])
    enums, limits = _enums(fields), limits_of(rules)
    properties = {}
    for field in fields:
        name = str(field["name"])
        value = limited(_value(field, stream, enums, max_text), limits.get(name, {}))
        properties[name] = _field(field, stream, value)
    left_out = {stream.time, stream.id if field_types(stream.schema)[stream.id] == "string" else ""}
    required = [str(field["name"]) for field in fields if "default" not in field and field["name"] not in left_out]
    return {
        "title": f"Event of {stream.name}",
        "description": " ".join(
            [str(stream.schema.get("doc", f"An event of the stream {stream.name}.")), *_told(rules)]
        ),
        "type": "object",
        "required": required,
        "properties": properties,
        "examples": [event_example(stream, rules)],
    }


def _told(rules: Sequence[Expression]) -> list[str]:
    return [f"It must not break the rules: {', '.join(f'`{describe(rule)}`' for rule in rules)}."] if rules else []


def event_example(stream: StreamSchema, rules: Sequence[Expression] = ()) -> dict[str, Any]:
    """Return an event that the schema accepts; rules that it cannot say are not looked at."""
    fields = cast("Sequence[Mapping[str, Any]]", stream.schema["fields"])
    enums, limits = _enums(fields), limits_of(rules)
    example: dict[str, Any] = {}
    for field in fields:
        name, kind = str(field["name"]), _kind(field["type"], enums)
        usual = enums[kind] if kind in enums else [_TIME if name == stream.time else _EXAMPLES[kind]]
        example[name] = fitting(limits.get(name, {}), usual)
    return example


def _value(field: Mapping[str, Any], stream: StreamSchema, enums: Mapping[str, list[str]], max_text: int) -> JsonSchema:
    """Return the schema of a field's values, but for null."""
    name = str(field["name"])
    schema = value_schema(_kind(field["type"], enums), enums, max_text)
    if name in (stream.id, stream.key) and schema.get("type") == "string":
        schema["minLength"] = 1
    return schema | {"minimum": 0, "maximum": LAST_TIME_MS} if name == stream.time else schema


def _field(field: Mapping[str, Any], stream: StreamSchema, schema: JsonSchema) -> JsonSchema:
    name, node = str(field["name"]), field["type"]
    if name != stream.time and isinstance(node, list) and "null" in node:
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
