"""Records of plain fields, by hand: read whole, or a few fields of them; fastavro takes several times as long.

What is not flat (a field that is an array, a record, an enumeration) is fastavro's. So is whatever looks odd: bytes
that are no record, or that no encoder would write. A property test holds both readers to fastavro's results.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from riverrun.records.avro import AvroRecord, make_reader
from riverrun.records.avro_binary import double_at, long_at, sized_at, text_at
from riverrun.records.framing import FRAME_SIZE
from riverrun.records.items import FieldValue

__all__ = ["CODES", "DOUBLE", "ODD", "Fields", "make_field_reader", "make_flat_reader", "make_whole_reader", "value_at"]

Fields = dict[str, FieldValue]

DOUBLE: Final = 0
_LONG: Final = 1
_STRING: Final = 2
_BOOLEAN: Final = 3
_BYTES: Final = 4
CODES: Final[Mapping[object, int]] = {
    "double": DOUBLE,
    "long": _LONG,
    "int": _LONG,
    "string": _STRING,
    "boolean": _BOOLEAN,
    "bytes": _BYTES,
}
"""What `value_at` knows an Avro type by."""

ODD: Final = (LookupError, ValueError, struct.error)
"""What is raised for bytes that are no record, or an odd one."""

_GREATEST: Final = 2**63


def value_at(data: bytes, at: int, code: int) -> tuple[FieldValue, int]:
    """Decode a value of the type with this code at a place in bytes; return it, and where it ends."""
    if code == _STRING:
        return text_at(data, at)
    if code == _LONG:
        whole, end = long_at(data, at)
        if not -_GREATEST <= whole < _GREATEST:
            raise ValueError(f"the integer at {at} has more than 64 bits")
        return whole, end
    if code == DOUBLE:
        return double_at(data, at)[0], at + 8
    if code == _BYTES:
        return sized_at(data, at)
    return data[at] != 0, at + 1


def make_whole_reader(schema: AvroRecord) -> Callable[[bytes], Fields] | None:
    """Return what reads framed records, or None if their schema is not flat.

    Parameters
    ----------
    schema
        The records' schema.

    Returns
    -------
    callable or None
        From a framed record to its fields, as fastavro reads them. It raises one of `ODD` for what is no whole record,
        and for some that fastavro would read: then ask fastavro.
    """
    path = _path(schema, [str(field["name"]) for field in _fields_of(schema)])
    if path is None:
        return None

    def read(data: bytes) -> Fields:
        fields, at = _along(path, data)
        if at != len(data):
            raise ValueError(f"a record of {at} bytes has {len(data)}")
        return fields

    return read


def make_flat_reader(schema: AvroRecord) -> Callable[[bytes], AvroRecord]:
    """Return a decoder of framed records bound to one schema, by hand where that can be, as `avro.make_reader`."""
    whole, ask = make_whole_reader(schema), make_reader(schema, FRAME_SIZE)
    if whole is None:
        return ask
    by_hand = whole

    def read(data: bytes) -> AvroRecord:
        try:
            return cast("AvroRecord", by_hand(data))
        except ODD:
            return ask(data)

    return read


def make_field_reader(schema: AvroRecord, names: Sequence[str]) -> Callable[[bytes], Fields] | None:
    """Return what reads a few fields of a framed record and passes over all others, as soon as it has them.

    Parameters
    ----------
    schema
        The record's schema.
    names
        The fields to read.

    Returns
    -------
    callable or None
        From a framed record to its fields; None if a field that must be passed is no plain or nullable primitive.
    """
    path = _path(schema, names)
    if path is None:
        return None

    def read(data: bytes) -> Fields:
        fields, at = _along(path, data)
        if at > len(data):
            raise ValueError(f"a record of at least {at} bytes has {len(data)}")
        return fields

    return read


def _along(path: Sequence[tuple[str, int, int]], data: bytes) -> tuple[Fields, int]:
    """Return the named fields of a path through a framed record, and where it ends."""
    at, fields = FRAME_SIZE, Fields()
    for name, code, null in path:
        value: FieldValue = None
        held = null < 0
        if not held:
            branch = data[at]
            at += 1
            held = branch != null
            if held and branch != 2 - null:
                raise ValueError(f"a field is in branch {branch} of its union")
        if held:
            value, at = value_at(data, at, code)
        if name:
            fields[name] = value
    return fields, at


def _path(schema: AvroRecord, names: Sequence[str]) -> list[tuple[str, int, int]] | None:
    """Return the fields up to the last of these: its name or, where it is only passed, none; code and null's branch."""
    path: list[tuple[str, int, int]] = []
    missing = set(names)
    for field in _fields_of(schema):
        if not missing:
            break
        name = str(field["name"])
        found = _plain(field["type"])
        if found is None:
            return None
        path.append((name if name in missing else "", *found))
        missing.discard(name)
    return None if missing else path


def _fields_of(schema: AvroRecord) -> Sequence[AvroRecord]:
    fields = schema["fields"]
    return fields if isinstance(fields, list) else ()


def _plain(kind: object) -> tuple[int, int] | None:
    """Return a primitive type's code, and the encoded branch of null in its union (-1 if it has none)."""
    null = -1
    if isinstance(kind, list):
        if len(kind) != 2 or "null" not in kind:
            return None
        null = 2 * kind.index("null")
        kind = kind[1 - null // 2]
    if isinstance(kind, dict):
        kind = kind["type"]
    code = CODES.get(kind) if isinstance(kind, str) else None
    return None if code is None else (code, null)
