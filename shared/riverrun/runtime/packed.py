"""A feature partial and its position in one piece, as stores hold them: most that are loaded are never looked at."""

from __future__ import annotations

import struct
from typing import Final

from riverrun.runtime.ports import PartialEntry

__all__ = ["pack", "unpack"]

_POSITION: Final = struct.Struct(">Q")


def pack(position: int, value: bytes) -> bytes:
    """Return the eight big-endian bytes of a position, and a partial's own.

    Examples
    --------
    >>> unpack("JFK", pack(7, b"partial"))
    PartialEntry(entity='JFK', position=7, value=b'partial')
    """
    return _POSITION.pack(position) + value


def unpack(entity: str, packed: bytes) -> PartialEntry:
    """Take apart what `pack` made; of what is too short to be that, nothing is left, which is no sound partial.

    Examples
    --------
    >>> unpack("JFK", b"short")
    PartialEntry(entity='JFK', position=0, value=b'')
    """
    if len(packed) < _POSITION.size:
        return PartialEntry(entity, 0, b"")
    position: int = _POSITION.unpack_from(packed)[0]
    return PartialEntry(entity, position, packed[_POSITION.size :])
