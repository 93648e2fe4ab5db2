"""Avro's binary encoding of primitive values, for the records that are written once for every event.

fastavro takes its schema apart on every call and tries each branch of a union; for small flat records that is most
of the time. A test holds these functions to fastavro's output, byte for byte. The encoding is that of the Avro
specification, "Binary Encoding": zig-zag variable-length integers, little-endian IEEE doubles, lengths before bytes.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

__all__ = ["double_at", "double_bytes", "long_at", "long_bytes", "sized", "sized_at", "text", "text_at"]


def _slow_long(value: int) -> bytes:
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


_DIRECT: Final = 8192
_SMALL: Final = tuple(_slow_long(value) for value in range(_DIRECT))
"""Encodings of 0 to 8191: nearly every length and most counts."""

_CHUNK_BITS: Final = 14
_CHUNK: Final = (1 << _CHUNK_BITS) - 1
_MIDDLE: Final = tuple(bytes((low & 0x7F | 0x80, low >> 7 | 0x80)) for low in range(_CHUNK + 1))
"""Two bytes with more to follow, for each 14 bits."""
_LAST: Final = tuple(bytes((low,)) if low < 0x80 else bytes((low & 0x7F | 0x80, low >> 7)) for low in range(_CHUNK + 1))
"""The last one or two bytes, for up to 14 bits."""

double_bytes: Final = Struct("<d").pack
"""Encode a double."""

double_at: Final = Struct("<d").unpack_from
"""Decode a double at a place in bytes, into a tuple of one; it takes eight."""


def long_bytes(value: int) -> bytes:
    r"""Encode an int or long.

    Examples
    --------
    >>> long_bytes(0), long_bytes(-1), long_bytes(64)
    (b'\x00', b'\x01', b'\x80\x01')
    """
    if 0 <= value < _DIRECT:
        return _SMALL[value]
    rest = (value << 1) ^ (value >> 63)
    out = b""
    while rest > _CHUNK:
        out += _MIDDLE[rest & _CHUNK]
        rest >>= _CHUNK_BITS
    return out + _LAST[rest]


def sized(value: bytes) -> bytes:
    r"""Encode bytes.

    Examples
    --------
    >>> sized(b"ab")
    b'\x04ab'
    """
    length = len(value)
    return (_SMALL[length] if length < _DIRECT else long_bytes(length)) + value


def text(value: str) -> bytes:
    r"""Encode a string.

    Examples
    --------
    >>> text("é")
    b'\x04\xc3\xa9'
    """
    raw = value.encode()
    length = len(raw)
    return (_SMALL[length] if length < _DIRECT else long_bytes(length)) + raw


def long_at(data: bytes, at: int) -> tuple[int, int]:
    r"""Decode an int or long at a place in bytes; return it, and where it ends.

    Raises `ValueError` if it has more than ten bytes, which no encoder writes: a stranger's may have a million.

    Examples
    --------
    >>> long_at(b"\x80\x01", 0)
    (64, 2)
    """
    byte = data[at]
    at += 1
    rest, shift = byte & 0x7F, 7
    while byte > 0x7F:
        if shift > 63:
            raise ValueError("an integer has more than ten bytes")
        byte = data[at]
        at += 1
        rest |= (byte & 0x7F) << shift
        shift += 7
    return (rest >> 1) ^ -(rest & 1), at


def sized_at(data: bytes, at: int) -> tuple[bytes, int]:
    r"""Decode bytes at a place in others; return them, and where they end.

    Raises `ValueError` where fewer follow than there should be.

    Examples
    --------
    >>> sized_at(b"\x04ab", 0)
    (b'ab', 3)
    """
    length = data[at]
    if length > 0x7F:
        length, at = long_at(data, at)
    else:
        length = (length >> 1) ^ -(length & 1)
        at += 1
    end = at + length
    if length < 0 or end > len(data):
        raise ValueError(f"of {length} bytes at {at}, {len(data) - at} are there")
    return data[at:end], end


def text_at(data: bytes, at: int) -> tuple[str, int]:
    r"""Decode a string at a place in bytes; return it, and where it ends; as `sized_at`.

    Examples
    --------
    >>> text_at(b"\x04\xc3\xa9", 0)
    ('é', 3)
    """
    raw, end = sized_at(data, at)
    return raw.decode(), end
