"""Ways in which a producer can get a message wrong, each as a function from a good record to bad bytes.

A corrupted message is an extra one beside the good message that it was made from, with an event id of its
own, so that a demo or a test loses no data and can count exactly how many dead letters it ought to see. Every
one of them must be turned away, either because it does not decode or because it breaks a rule of `flights`'
pipeline.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import NamedTuple

import fastavro
from fastavro.types import Schema

Field = str | int | float | None
Record = dict[str, Field]

YEAR_30000_MS = 884_541_340_800_000
"""1 January 30000, 00:00 UTC, in milliseconds since the epoch: beyond what most calendars can say."""

UNKNOWN_SCHEMA_ID = 2_000_000_000
"""No registry gets this far."""

_FRAME = struct.Struct(">bI")
_FRAME_SIZE = _FRAME.size


class Target(NamedTuple):
    """What a corruption needs to know about the stream that it spoils.

    Parameters
    ----------
    schema
        The parsed Avro schema.
    schema_id
        Id for the Confluent framing.
    key
        The field that is the Kafka key.
    time
        The field that holds the event time.
    number
        A field of type double.
    impossible
        A value of ``number`` which no rule may let through.
    """

    schema: Schema
    schema_id: int
    key: str
    time: str
    number: str
    impossible: float


Spoiled = tuple[bytes | None, bytes]
"""Kafka key and value."""


def encode_avro(record: Mapping[str, Field], schema: Schema, schema_id: int) -> bytes:
    """Encode a record in Avro with Confluent framing: a zero, the schema id in four bytes, the body."""
    out = BytesIO()
    out.write(_FRAME.pack(0, schema_id))
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


def encode_json(record: Mapping[str, Field]) -> bytes:
    """Encode a record as one compact JSON object in UTF-8."""
    return json.dumps(record, separators=(",", ":")).encode()


def _key(record: Record, target: Target) -> bytes:
    return str(record[target.key]).encode()


def _avro(record: Record, target: Target) -> bytes:
    return encode_avro(record, target.schema, target.schema_id)


def _truncated(record: Record, target: Target) -> Spoiled:
    value = _avro(record, target)
    return _key(record, target), value[: _FRAME_SIZE + (len(value) - _FRAME_SIZE) // 2]


def _absurd_length(record: Record, target: Target) -> Spoiled:
    """Claim that the first string, the event id, is 2**40 bytes long."""
    value = _avro(record, target)
    return _key(record, target), value[:_FRAME_SIZE] + b"\x80\x80\x80\x80\x80\x40" + value[_FRAME_SIZE + 1 :]


def _overlong_varint(record: Record, target: Target) -> Spoiled:
    """Spell the first length with one byte more than it needs, which lenient decoders do not notice."""
    value = _avro(record, target)
    start = _FRAME_SIZE
    while value[start] & 0x80:
        start += 1
    return _key(record, target), value[:start] + bytes((value[start] | 0x80, 0)) + value[start + 1 :]


def _unknown_schema(record: Record, target: Target) -> Spoiled:
    return _key(record, target), encode_avro(record, target.schema, UNKNOWN_SCHEMA_ID)


def _unframed(record: Record, target: Target) -> Spoiled:
    return _key(record, target), _avro(record, target)[_FRAME_SIZE:]


def _trailing_bytes(record: Record, target: Target) -> Spoiled:
    return _key(record, target), _avro(record, target) + b"\x00\x2a"


def _avro_nan(record: Record, target: Target) -> Spoiled:
    return _key(record, target), _avro({**record, target.number: float("nan")}, target)


def _avro_far_future(record: Record, target: Target) -> Spoiled:
    return _key(record, target), _avro({**record, target.time: YEAR_30000_MS}, target)


def _avro_impossible(record: Record, target: Target) -> Spoiled:
    return _key(record, target), _avro({**record, target.number: target.impossible}, target)


def _avro_no_key(record: Record, target: Target) -> Spoiled:
    return None, _avro({**record, target.key: ""}, target)


def _empty(record: Record, target: Target) -> Spoiled:
    return _key(record, target), b""


def _cut_json(record: Record, target: Target) -> Spoiled:
    value = encode_json(record)
    return _key(record, target), value[: len(value) // 2]


def _wrong_type(record: Record, target: Target) -> Spoiled:
    return _key(record, target), encode_json({**record, target.number: "warm"})


def _missing_field(record: Record, target: Target) -> Spoiled:
    return _key(record, target), encode_json({k: v for k, v in record.items() if k != target.time})


def _not_an_object(record: Record, target: Target) -> Spoiled:
    return _key(record, target), json.dumps(list(record.values())).encode()


def _not_utf8(record: Record, target: Target) -> Spoiled:
    return _key(record, target), encode_json(record).replace(b'"origin"', b'"ori\xff\xfen"')


def _too_deep(record: Record, target: Target) -> Spoiled:
    """Nest so deep that a recursive parser gives up."""
    return _key(record, target), b"[" * 20_000


def _json_nan(record: Record, target: Target) -> Spoiled:
    """Write the literal NaN, which is not JSON, though Python's own parser takes it."""
    return _key(record, target), encode_json({**record, target.number: float("nan")})


def _json_far_future(record: Record, target: Target) -> Spoiled:
    return _key(record, target), encode_json({**record, target.time: YEAR_30000_MS})


def _json_impossible(record: Record, target: Target) -> Spoiled:
    return _key(record, target), encode_json({**record, target.number: target.impossible})


Corruption = Callable[[Record, Target], Spoiled]

AVRO_CORRUPTIONS: Mapping[str, Corruption] = {
    "truncated": _truncated,
    "absurd_length": _absurd_length,
    "overlong_varint": _overlong_varint,
    "unknown_schema": _unknown_schema,
    "unframed": _unframed,
    "trailing_bytes": _trailing_bytes,
    "nan": _avro_nan,
    "far_future": _avro_far_future,
    "impossible_value": _avro_impossible,
    "no_key": _avro_no_key,
    "empty": _empty,
}
"""Corruptions of a record that travels as Avro, by kind."""

JSON_CORRUPTIONS: Mapping[str, Corruption] = {
    "cut_json": _cut_json,
    "wrong_type": _wrong_type,
    "missing_field": _missing_field,
    "not_an_object": _not_an_object,
    "not_utf8": _not_utf8,
    "too_deep": _too_deep,
    "nan": _json_nan,
    "far_future": _json_far_future,
    "impossible_value": _json_impossible,
    "empty": _empty,
}
"""Corruptions of a record that travels as JSON, by kind."""
