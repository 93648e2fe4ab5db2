"""Confluent framing: a zero byte, the schema id in four bytes (big endian), the Avro body.

Every Kafka tool that knows schema registries reads it.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from riverrun.errors import RiverrunError

__all__ = ["FRAME_SIZE", "FramingError", "frame", "frame_header", "unframe"]

MAGIC: Final = 0
FRAME_SIZE: Final = 5

_HEADER = Struct(">BI")


class FramingError(RiverrunError):
    """Bytes do not start with a zero and a schema id."""


def frame_header(schema_id: int) -> bytes:
    r"""Return the five bytes that precede a body of this schema.

    Examples
    --------
    >>> frame_header(258)
    b'\x00\x00\x00\x01\x02'
    """
    return _HEADER.pack(MAGIC, schema_id)


def frame(schema_id: int, body: bytes) -> bytes:
    """Put the frame before a body.

    Examples
    --------
    >>> unframe(frame(7, b"body"))
    (7, b'body')
    """
    return _HEADER.pack(MAGIC, schema_id) + body


def unframe(data: bytes) -> tuple[int, bytes]:
    """Take the frame off; return the schema id and the body.

    Raises
    ------
    FramingError
        If the bytes are too short, or the first is not zero.

    Examples
    --------
    >>> unframe(b"{}")
    Traceback (most recent call last):
    ...
    riverrun.records.framing.FramingError: 2 bytes are too few for a frame (it takes 5: zero, schema id)
    """
    if len(data) < FRAME_SIZE:
        raise FramingError(
            f"{len(data)} bytes are too few for a frame",
            hint="it takes 5: zero, schema id",
        )
    magic, schema_id = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise FramingError(f"a frame starts with byte 0, not {magic}")
    return schema_id, data[FRAME_SIZE:]
