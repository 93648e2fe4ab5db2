"""Avro schemas as riverrun uses them: parsed once, without logical types, compared by content.

Logical types are left out when decoding, because a fold is over plain values: a timestamp stays an integer number of
milliseconds, instead of becoming a ``datetime`` that cannot express every value the wire can carry. The published
schema keeps them, so other tools show dates.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from io import BytesIO
from typing import cast

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import to_parsing_canonical_form

__all__ = [
    "AvroRecord",
    "content",
    "fingerprint",
    "fullname",
    "make_reader",
    "make_resolving_reader",
    "make_writer",
    "parsed",
]

AvroRecord = dict[str, object]
"""A record schema as JSON has it, or a decoded record: names to values."""


def fullname(schema: AvroRecord) -> str:
    """Return a record schema's full name.

    Examples
    --------
    >>> fullname({"type": "record", "namespace": "flights", "name": "Arrived", "fields": []})
    'flights.Arrived'
    """
    name = str(schema["name"])
    namespace = schema.get("namespace")
    return f"{namespace}.{name}" if namespace and "." not in name else name


def content(schema: AvroRecord) -> str:
    """Return what makes two schemas the same: everything but documentation and the order of attributes.

    Unlike Avro's parsing canonical form it keeps defaults and logical types, which matter to a reader.

    Examples
    --------
    >>> one = {"type": "record", "name": "R", "doc": "Words.", "fields": [{"name": "a", "type": "int", "doc": "A."}]}
    >>> content(one)
    '{"fields":[{"name":"a","type":"int"}],"name":"R","type":"record"}'
    """
    return json.dumps(_undocumented(schema), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _undocumented(node: object, *, is_schema: bool = True) -> object:
    if isinstance(node, list):
        return [_undocumented(each) for each in node]
    if isinstance(node, dict) and is_schema:
        return {
            name: _undocumented(value, is_schema=name != "default") for name, value in node.items() if name != "doc"
        }
    return node


def fingerprint(schema: AvroRecord) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the parsing canonical form.

    Examples
    --------
    >>> fingerprint({"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]})
    '135f1e593a2f576b'
    """
    return hashlib.sha256(to_parsing_canonical_form(schema).encode()).hexdigest()[:16]


def parsed(schema: AvroRecord) -> AvroRecord:
    """Return fastavro's parsed form, with logical types left out.

    Raises
    ------
    fastavro.schema.SchemaParseException
        If it is not a valid schema.
    """
    return cast("AvroRecord", parse_schema(cast("dict[str, object]", _plain(schema))))


def _plain(node: object, *, is_schema: bool = True) -> object:
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if isinstance(node, dict) and is_schema:
        return {
            name: _plain(value, is_schema=name != "default") for name, value in node.items() if name != "logicalType"
        }
    return node


def make_reader(schema: AvroRecord, skip: int = 0) -> Callable[[bytes], AvroRecord]:
    """Return a decoder bound to one schema; it starts ``skip`` bytes in and does not look past the record."""
    writer_schema = parsed(schema)

    def read(data: bytes) -> AvroRecord:
        source = BytesIO(data)
        source.seek(skip)
        return cast("AvroRecord", schemaless_reader(source, writer_schema, None))

    return read


def make_resolving_reader(written: AvroRecord, wanted: AvroRecord, skip: int = 0) -> Callable[[bytes], AvroRecord]:
    """Return a decoder of what one schema wrote into the shape of another, by Avro's schema resolution.

    Raises
    ------
    fastavro.schema.SchemaParseException
        If either is not a valid schema. A datum that cannot be resolved raises when it is read.
    """
    writer_schema, reader_schema = parsed(written), parsed(wanted)

    def read(data: bytes) -> AvroRecord:
        source = BytesIO(data)
        source.seek(skip)
        return cast("AvroRecord", schemaless_reader(source, writer_schema, reader_schema))

    return read


def make_writer(schema: AvroRecord, prefix: bytes = b"") -> Callable[[AvroRecord], bytes]:
    """Return an encoder bound to one schema; ``prefix`` (a frame) precedes every body."""
    writer_schema = parsed(schema)

    def write(record: AvroRecord) -> bytes:
        out = BytesIO()
        out.write(prefix)
        schemaless_writer(out, writer_schema, record)
        return out.getvalue()

    return write
