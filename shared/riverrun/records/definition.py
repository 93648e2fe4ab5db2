"""What the wire format needs to know of a pipeline: its name, its streams' schemas and its vector's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from riverrun.errors import RiverrunError
from riverrun.records.avro import AvroRecord
from riverrun.records.items import FieldValue
from riverrun.records.topics import Kind, topic_name
from riverrun.records.vector_schema import VectorSchema

__all__ = ["Format", "PipelineSchemas", "StreamSchema", "StreamSchemaError", "identity_text"]

Format = Literal["auto", "avro", "json"]
"""How a stream's messages are written; ``auto`` tells by the first byte, which is 0 in Confluent framing."""

_IDENTITY_TYPES: Final = ("string", "int", "long", "enum")
_TIME_TYPES: Final = ("long",)


class StreamSchemaError(RiverrunError):
    """A stream's schema lacks its id, key or time, or has them in a type that cannot serve."""


def identity_text(value: FieldValue) -> str | None:
    """Return an id or key as text, or None if it cannot be one (missing, empty, or not a string or integer).

    Examples
    --------
    >>> identity_text("UA-1545"), identity_text(1545), identity_text(""), identity_text(None)
    ('UA-1545', '1545', None, None)
    """
    if type(value) is str:
        return value or None
    if type(value) is int:
        return str(value)
    return None


@dataclass(frozen=True, slots=True)
class StreamSchema:
    """A stream's topic and schema, and which of its fields are id, key and event time.

    Parameters
    ----------
    name
        The stream's name in the pipeline: what its events' ``stream`` says.
    topic
        The producers' topic.
    schema
        The Avro record schema that events are read with.
    id
        Field that is unique in the stream: a string, an integer or an enum.
    key
        Field by which events are partitioned and joined: a string, an integer or an enum.
    time
        Field with the event time: a long, milliseconds since the epoch, UTC.
    format
        How its producers write.

    Raises
    ------
    StreamSchemaError
        If the schema has no such fields, or in other types.
    """

    name: str
    topic: str
    schema: AvroRecord
    id: str
    key: str
    time: str
    format: Format = "auto"

    def __post_init__(self) -> None:
        types = field_types(self.schema)
        for role, name, allowed in (
            ("id", self.id, _IDENTITY_TYPES),
            ("key", self.key, _IDENTITY_TYPES),
            ("time", self.time, _TIME_TYPES),
        ):
            if name not in types:
                raise StreamSchemaError(
                    f"stream {self.name} has no field {name!r} for its {role}",
                    hint="its schema has " + ", ".join(types),
                )
            if types[name] not in allowed:
                raise StreamSchemaError(
                    f"field {name!r} of stream {self.name} is its {role} and of type {types[name]}",
                    hint=f"a stream's {role} must be {' or '.join(allowed)}",
                )

    @property
    def subject(self) -> str:
        """The registry's subject for this stream: the topic's name strategy, which producers use by default."""
        return f"{self.topic}-value"


@dataclass(frozen=True, slots=True)
class PipelineSchemas:
    """All schemas that a pipeline brings.

    Parameters
    ----------
    name
        The pipeline's name: prefix of its topics.
    streams
        Its streams.
    vector
        The generated schema of its vectors.
    predict_on
        The name of the stream whose events are predicted on.
    """

    name: str
    streams: tuple[StreamSchema, ...]
    vector: VectorSchema
    predict_on: str = ""

    @property
    def vector_subject(self) -> str:
        """The registry's subject for the vectors."""
        return f"{topic_name(self.name, Kind.VECTORS)}-value"


def field_types(schema: AvroRecord) -> dict[str, str]:
    """Return each field's type by name: its Avro type's name, without the null of a nullable one.

    A union of more than null and one other type is called ``union``.

    Examples
    --------
    >>> field_types({"type": "record", "name": "R", "fields": [
    ...     {"name": "a", "type": ["null", "double"]}, {"name": "b", "type": {"type": "long"}}]})
    {'a': 'double', 'b': 'long'}
    """
    fields = schema.get("fields")
    if not isinstance(fields, list):
        raise StreamSchemaError(
            "a stream's schema must be a record with fields",
            hint="see schemas/ for examples",
        )
    return {str(each["name"]): _type_name(each["type"]) for each in fields}


def _type_name(node: object) -> str:
    if isinstance(node, list):
        others = [each for each in node if each != "null"]
        return _type_name(others[0]) if len(others) == 1 else "union"
    if isinstance(node, dict):
        return _type_name(node["type"])
    return str(node)
