"""A stream with every type of field, its messages, and the parts of the ingest stage around it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import fastavro

from riverrun.events.decode import EventDecoder, Place
from riverrun.events.settings import IngestSettings
from riverrun.events.stream import IngestStream, Rule
from riverrun.records.avro import AvroRecord
from riverrun.records.definition import Format, StreamSchema
from riverrun.records.framing import frame_header
from riverrun.records.ids import Entry, ManifestIds, derived_id
from riverrun.runtime.keyed_state import KeyedState
from riverrun.runtime.ports import Headers, Record
from riverrun.runtime.seen_ids import SeenIds
from riverrun.testing.key_value import MemoryKeyValueStore
from services.ingest.core import IngestCore

NOW = 1_700_000_000_000
"""Time of receipt and event time of the messages made here, in milliseconds."""
DAY_MS = 86_400_000
TOPIC = "raw.readings"
HEADERS: Headers = (("trace", b"abc"), ("empty", None), ("trace", b"again"))

SCHEMA: AvroRecord = {
    "type": "record",
    "namespace": "made",
    "name": "Reading",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "device", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "value", "type": "double"},
        {"name": "level", "type": "float", "default": 0.5},
        {"name": "number", "type": "int", "default": 1},
        {"name": "good", "type": "boolean", "default": True},
        {"name": "unit", "type": {"type": "enum", "name": "Unit", "symbols": ["metre", "mile"]}, "default": "metre"},
        {"name": "blob", "type": "bytes", "default": "\u00ff"},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "extra", "type": ["double", "null"], "default": 2.5},
    ],
}
FIELDS: dict[str, Any] = {
    "id": "r-1",
    "device": "d-1",
    "at": NOW,
    "value": 21.5,
    "level": 0.25,
    "number": -7,
    "good": False,
    "unit": "mile",
    "blob": b"\x00\xff",
    "note": "Zürich",
    "extra": None,
}
JSON_FIELDS: dict[str, Any] = FIELDS | {"blob": "\u0000\u00ff"}
FRAME = frame_header(derived_id(SCHEMA))


def avro(schema: AvroRecord = SCHEMA, /, **changes: object) -> bytes:
    """Encode the usual reading, with changes, by fastavro and in Confluent framing."""
    out = BytesIO()
    out.write(frame_header(derived_id(schema)))
    names = [str(row["name"]) for row in fields_of(schema)]
    record = FIELDS | changes
    # Without logical types, whose values fastavro would want as dates.
    plain = json.loads(json.dumps(schema).replace('"logicalType"', '"ignored"'))
    fastavro.schemaless_writer(out, fastavro.parse_schema(plain), {name: record[name] for name in names})
    return out.getvalue()


def fields_of(schema: AvroRecord) -> list[dict[str, object]]:
    """Return a record schema's fields."""
    fields = schema["fields"]
    assert isinstance(fields, list)
    return fields


def without(name: str) -> AvroRecord:
    """Return the schema without one of its fields, as an older version might be."""
    return SCHEMA | {"fields": [row for row in fields_of(SCHEMA) if row["name"] != name]}


def text(**changes: object) -> bytes:
    """Encode the usual reading, with changes, as JSON."""
    return json.dumps(JSON_FIELDS | changes).encode()


def record(value: bytes | None, *, offset: int = 7, partition: int = 0, timestamp: int = NOW) -> Record:
    """Make a producer's record."""
    return Record(TOPIC, partition, offset, timestamp, b"d-1", value, HEADERS)


def ids_of(*known: AvroRecord) -> ManifestIds:
    """Return schema ids that know some schemas beside those that they are asked to give one."""
    return ManifestIds([], [Entry("other-value", derived_id(each), each) for each in known], lambda entry: None)


def stream_of(
    *,
    format_: Format = "auto",
    joined: bool = False,
    rules: tuple[Rule, ...] = (),
    max_future_ms: int | None = DAY_MS,
    schema: AvroRecord = SCHEMA,
) -> IngestStream:
    """Make the stream."""
    readings = StreamSchema("readings", TOPIC, schema, id="id", key="device", time="at", format=format_)
    return IngestStream(readings, rules, joined, max_future_ms)


def decoder_of(
    stream: IngestStream | None = None,
    settings: IngestSettings | None = None,
    ids: ManifestIds | None = None,
    place: Place | None = None,
) -> EventDecoder:
    """Make the stream's decoder."""
    return EventDecoder(stream or stream_of(), ids or ids_of(), place or Place(0, 1), settings or IngestSettings())


def core_of(
    stream: IngestStream | None = None, horizon_ms: int = DAY_MS, settings: IngestSettings | None = None
) -> IngestCore:
    """Make the stage's core for the stream alone."""
    stream = stream or stream_of()
    seen = SeenIds(KeyedState(MemoryKeyValueStore()), horizon_ms=horizon_ms)
    settings = settings or IngestSettings()
    return IngestCore([stream], {TOPIC: decoder_of(stream, settings)}, seen, settings)


def json_rule(name: str, most: float) -> Rule:
    """Make a rule: a field is at most so much; None, what is missing, passes."""

    def holds(fields: Mapping[str, Any]) -> bool | None:
        value = fields[name]
        return None if value is None else bool(value <= most)

    return Rule(f"{name} <= {most}", holds)
