"""Decoders of the records that are read once for every event, by hand: fastavro takes about twice as long.

They read what the current schemas write; records of older versions are resolved by fastavro. A property test holds
each of them to fastavro's result on the same bytes. Whatever is not a whole record raises: which error does not matter,
the codecs turn all of them into one that says where the record came from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from riverrun.records.avro_binary import double_at, long_at, sized_at, text_at
from riverrun.records.flat_records import CODES, DOUBLE, value_at
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
    "decode_example",
    "decode_prediction",
    "make_values_decoder",
    "make_vector_decoder",
]

_OUTCOMES: Final = (LABELLED, DEFAULTED, EXPIRED, REVISED)
"""The symbols in the schema of `Example`, in order."""


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
    codes = tuple(CODES[kind] for kind in types)

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
    codes = tuple(CODES[kind] for kind in types)

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
        elif code == DOUBLE:
            add(double_at(data, at)[0])
            at += 8
        else:
            value, at = value_at(data, at, code)
            add(value)
    return tuple(values), at
