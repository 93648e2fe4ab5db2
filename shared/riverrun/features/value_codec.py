"""One field value as bytes: a kind byte, then the value; little-endian, the same value always the same bytes."""

from __future__ import annotations

import struct

from riverrun.features.errors import PartialFormatError
from riverrun.records.items import FieldValue

__all__ = ["decode_bytes", "decode_value", "encode_bytes", "encode_value"]

_MISSING, _FALSE, _TRUE, _INT, _FLOAT, _TEXT, _BYTES = range(7)

_LENGTH = struct.Struct("<I")
_KIND_INT = struct.Struct("<Bq")
_KIND_FLOAT = struct.Struct("<Bd")


def encode_value(value: FieldValue, out: bytearray) -> None:
    """Append a value to ``out``; integers are of 64 bits, as in Avro.

    Examples
    --------
    >>> out = bytearray()
    >>> encode_value("DFW", out)
    >>> out.hex()
    '0503000000444657'
    """
    if value is None:
        out.append(_MISSING)
    elif value is True:
        out.append(_TRUE)
    elif value is False:
        out.append(_FALSE)
    elif isinstance(value, float):
        out += _KIND_FLOAT.pack(_FLOAT, value)
    elif isinstance(value, int):
        out += _KIND_INT.pack(_INT, value)
    elif isinstance(value, str):
        out.append(_TEXT)
        encode_bytes(value.encode("utf-8", "surrogatepass"), out)
    else:
        out.append(_BYTES)
        encode_bytes(value, out)


def decode_value(data: bytes, start: int) -> tuple[FieldValue, int]:
    """Read a value that begins at ``start``; return it and where the next bytes begin.

    Raises
    ------
    PartialFormatError
        If there is no kind of that number.
    struct.error, IndexError
        If the bytes end too early.
    """
    kind = data[start]
    if kind == _INT:
        return _KIND_INT.unpack_from(data, start)[1], start + _KIND_INT.size
    if kind == _FLOAT:
        return _KIND_FLOAT.unpack_from(data, start)[1], start + _KIND_FLOAT.size
    if kind == _MISSING:
        return None, start + 1
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, start + 1
    if kind not in (_TEXT, _BYTES):
        raise PartialFormatError(f"a stored feature partial holds a value of unknown kind {kind} at byte {start}")
    body, end = decode_bytes(data, start + 1)
    return (body.decode("utf-8", "surrogatepass") if kind == _TEXT else body), end


def encode_bytes(body: bytes, out: bytearray) -> None:
    """Append ``body`` to ``out`` after its length."""
    out += _LENGTH.pack(len(body))
    out += body


def decode_bytes(data: bytes, start: int) -> tuple[bytes, int]:
    """Read bytes with their length before them; return them and where the next ones begin.

    Raises
    ------
    PartialFormatError
        If the bytes end too early.
    """
    (length,) = _LENGTH.unpack_from(data, start)
    end = start + _LENGTH.size + length
    if end > len(data):
        raise PartialFormatError(f"a stored feature partial ends {end - len(data)} bytes too early")
    return data[start + _LENGTH.size : end], end
