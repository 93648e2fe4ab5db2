"""Avro in Confluent framing by hand: encoders and decoders bound to one schema."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

FRAME = 5

Fields = dict[str, Any]


def make_encoder(schema: dict[str, object], frame: bytes) -> Callable[[Fields], bytes]:
    """Return what encodes records of a schema, each behind the frame's five bytes."""
    parsed = parse_schema(schema)

    def encode(record: Fields) -> bytes:
        out = BytesIO()
        out.write(frame)
        schemaless_writer(out, parsed, record)
        return out.getvalue()

    return encode


def make_decoder(schema: dict[str, object]) -> Callable[[bytes], Fields]:
    """Return what decodes framed records of a schema."""
    parsed = parse_schema(schema)

    def decode(value: bytes) -> Fields:
        source = BytesIO(value)
        source.seek(FRAME)
        record: Any = schemaless_reader(source, parsed, None)
        fields: Fields = record
        return fields

    return decode
