"""Field values as bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from riverrun.features import PartialFormatError
from riverrun.features.value_codec import decode_bytes, decode_value, encode_bytes, encode_value
from riverrun.records.items import FieldValue

VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
)


def encoded(value: FieldValue) -> bytes:
    out = bytearray()
    encode_value(value, out)
    return bytes(out)


@given(value=VALUES, before=st.binary(max_size=3), after=st.binary(max_size=3))
@example(value="\ud800", before=b"", after=b"")
@example(value=1, before=b"", after=b"")
@example(value=0, before=b"", after=b"")
@example(value=1.0, before=b"", after=b"")
@example(value=-0.0, before=b"", after=b"")
def test_a_value_comes_back(value: FieldValue, before: bytes, after: bytes) -> None:
    """Of the same type, to the bit, from wherever it begins, and it tells where the next bytes do."""
    data = encoded(value)
    found, end = decode_value(before + data + after, len(before))
    assert (type(found), end) == (type(value), len(before) + len(data))
    assert (
        struct.pack("d", found) == struct.pack("d", value)
        if isinstance(value, float) and isinstance(found, float)
        else found == value
    )


@given(one=VALUES, other=VALUES)
def test_bytes_are_equal_if_values_are(one: FieldValue, other: FieldValue) -> None:
    """Different values, or equal ones of different types such as 1 and True, have different bytes."""
    assert (encoded(one) == encoded(other)) == (repr(one) == repr(other) or _same_nan(one, other))


def _same_nan(one: FieldValue, other: FieldValue) -> bool:
    return isinstance(one, float) and isinstance(other, float) and struct.pack("d", one) == struct.pack("d", other)


@given(value=VALUES, kept=st.integers(0, 30))
def test_bytes_that_end_too_early_are_refused(value: FieldValue, kept: int) -> None:
    """Every true beginning raises one of the errors that the docstring names."""
    data = encoded(value)
    if kept < len(data):
        with pytest.raises((PartialFormatError, struct.error, IndexError)):
            decode_value(data[:kept], 0)


def test_an_unknown_kind_is_refused() -> None:
    """The error says which and where."""
    with pytest.raises(PartialFormatError, match="unknown kind 7 at byte 2"):
        decode_value(b"xx\x07", 2)


def test_a_length_beyond_the_end_is_refused() -> None:
    """Nothing is allocated for a length that is not there."""
    out = bytearray()
    encode_bytes(b"abc", out)
    assert decode_bytes(bytes(out), 0) == (b"abc", 7)
    with pytest.raises(PartialFormatError, match="ends 4294967292 bytes too early"):
        decode_bytes(b"\xff\xff\xff\xffabc", 0)
