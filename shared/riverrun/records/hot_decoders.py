"""Decoders of the records that are read once for every event, by hand: fastavro takes about twice as long.

They read what the current schemas write; records of older versions are resolved by fastavro. A property test holds
each of them to fastavro's result on the same bytes. Whatever is not a whole record raises: which error does not matter,
the codecs turn all of them into one that says where the record came from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from riverrun.records.avro import AvroRecord
from riverrun.records.avro_binary import double_at, long_at, sized_at, text_at
from riverrun.records.framing import FRAME_SIZE
from riverrun.records.headers import Stamp
from riverrun.records.items import (
    DEFAULTED,
    EXPIRED,
    LABELLED,
    REVISED,
    Example,
    FieldValue,
    ForeignRead,
    ModelScore,
    Prediction,
    Vector,
)
from riverrun.records.vector_schema import FeatureType

__all__ = [
    "Fields",
    "decode_example",
    "decode_prediction",
    "make_field_reader",
    "make_values_decoder",
    "make_vector_decoder",
]

Fields = dict[str, FieldValue]

_OUTCOMES: Final = (LABELLED, DEFAULTED, EXPIRED, REVISED)
"""The symbols in the schema of `Example`, in order."""

_DOUBLE: Final = 0
_LONG: Final = 1
_STRING: Final = 2
_BOOLEAN: Final = 3
_BYTES: Final = 4
_CODES: Final[Mapping[object, int]] = {
    "double": _DOUBLE,
    "long": _LONG,
    "int": _LONG,
    "string": _STRING,
    "boolean": _BOOLEAN,
    "bytes": _BYTES,
}


def _ended(data: bytes, at: int) -> None:
    if at != len(data):
        raise ValueError(f"a record of {at} bytes has {len(data)}")


def _block(data: bytes, at: int) -> tuple[int, int]:
    """Return how many items follow in an array, and where; fastavro and riverrun write no sized blocks."""
    count, at = long_at(data, at)
    if count < 0:
        raise ValueError("an array is in blocks with sizes")
    return count, at


def _scores(data: bytes, at: int) -> tuple[tuple[ModelScore, ...], int]:
    scores: list[ModelScore] = []
    count, at = _block(data, at)
    while count:
        for _ in range(count):
            model, at = text_at(data, at)
            version, at = long_at(data, at)
            scores.append(ModelScore(model, version, double_at(data, at)[0]))
            at += 8
        count, at = _block(data, at)
    return tuple(scores), at


def decode_prediction(data: bytes, stamp: Stamp) -> Prediction:
    """Return the prediction that a framed record holds."""
    identity, at = text_at(data, FRAME_SIZE)
    key, at = text_at(data, at)
    time, at = long_at(data, at)
    event_seq, at = long_at(data, at)
    scores, at = _scores(data, at)
    vector, at = sized_at(data, at)
    _ended(data, at)
    return Prediction(identity, key, time, event_seq, scores, vector, stamp.source, data, stamp.seq)


def decode_example(data: bytes, stamp: Stamp) -> Example:
    """Return the example that a framed record holds."""
    identity, at = text_at(data, FRAME_SIZE)
    key, at = text_at(data, at)
    time, at = long_at(data, at)
    outcome, at = long_at(data, at)
    known, at = long_at(data, at)
    label = None
    if known:
        label = double_at(data, at)[0]
        at += 8
    label_time, at = long_at(data, at)
    scores, at = _scores(data, at)
    vector, at = sized_at(data, at)
    _ended(data, at)
    return Example(
        identity,
        key,
        time,
        _OUTCOMES[outcome],
        label,
        label_time,
        scores,
        vector,
        stamp.source,
        stamp.seq,
        stamp.writer,
    )


def make_vector_decoder(types: Sequence[FeatureType]) -> Callable[[bytes, Stamp], Vector]:
    """Return a decoder of framed vectors whose features have these Avro types."""
    codes = tuple(_CODES[kind] for kind in types)

    def decode(data: bytes, stamp: Stamp) -> Vector:
        identity, at = text_at(data, FRAME_SIZE)
        key, at = text_at(data, at)
        time, at = long_at(data, at)
        event_seq, at = long_at(data, at)
        reads, at = _reads(data, at)
        values, at = _values(data, at, codes)
        _ended(data, at)
        return Vector(identity, key, time, event_seq, values, reads, stamp.source, data, stamp.seq)

    return decode


def make_values_decoder(frame: bytes, types: Sequence[FeatureType]) -> Callable[[bytes], tuple[FieldValue, ...]]:
    """Return a decoder of the features alone, of vectors that begin with ``frame`` and whose features have these types.

    Others raise `ValueError`.
    """
    codes = tuple(_CODES[kind] for kind in types)

    def decode(data: bytes) -> tuple[FieldValue, ...]:
        if not data.startswith(frame):
            raise ValueError("a vector is of another schema")
        _, at = sized_at(data, FRAME_SIZE)
        _, at = sized_at(data, at)
        _, at = long_at(data, at)
        _, at = long_at(data, at)
        _, at = _reads(data, at)
        values, at = _values(data, at, codes)
        _ended(data, at)
        return values

    return decode


def _reads(data: bytes, at: int) -> tuple[tuple[ForeignRead, ...], int]:
    count, at = _block(data, at)
    if not count:
        return (), at
    reads: list[ForeignRead] = []
    while count:
        for _ in range(count):
            partition, at = long_at(data, at)
            group, at = text_at(data, at)
            entity, at = text_at(data, at)
            position, at = long_at(data, at)
            reads.append(ForeignRead(partition, group, entity, position))
        count, at = _block(data, at)
    return tuple(reads), at


def _values(data: bytes, at: int, codes: Sequence[int]) -> tuple[tuple[FieldValue, ...], int]:
    values: list[FieldValue] = []
    add = values.append
    for code in codes:
        branch = data[at]
        at += 1
        if branch == 0:
            add(None)
        elif branch != 2:  # The second of two branches, zig-zag encoded.
            raise ValueError(f"a feature is in branch {branch} of its union")
        elif code == _DOUBLE:
            add(double_at(data, at)[0])
            at += 8
        else:
            value, at = _value(data, at, code)
            add(value)
    return tuple(values), at


def _value(data: bytes, at: int, code: int) -> tuple[FieldValue, int]:
    if code == _LONG:
        return long_at(data, at)
    if code == _STRING:
        return text_at(data, at)
    if code == _DOUBLE:
        return double_at(data, at)[0], at + 8
    if code == _BYTES:
        return sized_at(data, at)
    return data[at] != 0, at + 1


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
        at, fields = FRAME_SIZE, Fields()
        for name, code, null in path:
            if null >= 0:
                branch = data[at]
                at += 1
                if branch == null:
                    if name:
                        fields[name] = None
                    continue
            value, at = _value(data, at, code)
            if name:
                fields[name] = value
        if at > len(data):
            raise ValueError(f"a record of at least {at} bytes has {len(data)}")
        return fields

    return read


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
    code = _CODES.get(kind) if isinstance(kind, str) else None
    return None if code is None else (code, null)
