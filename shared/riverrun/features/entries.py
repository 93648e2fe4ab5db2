"""A stored partial's bytes: all rings of one entity of one group.

Little-endian, and the same state always gives the same bytes::

    u8 version, 8 bytes of the group's fingerprint, u16 number of rings, then for each ring that exists
        u16 its number in the group, i64 newest pane, u16 number of panes that hold anything, then for each, newest last
            u16 how many panes before the newest, the row: fixed-size partials packed together, then the others'
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from riverrun.features.errors import PartialFormatError, StalePartialError
from riverrun.features.panes import Ring, RingLayout
from riverrun.features.plan import FORMAT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from riverrun.features.partials import Cells, Partial
    from riverrun.features.plan import Group

__all__ = ["EntryCodec"]

_HEADER: Final = struct.Struct("<B8sH")
_RING: Final = struct.Struct("<HqH")
_BACK: Final = struct.Struct("<H")


class EntryCodec:
    """Writes and reads the partials of one group.

    Parameters
    ----------
    group : Group
        The group, of which entries carry the fingerprint.
    """

    __slots__ = ("_fingerprint", "_rings", "id")

    def __init__(self, group: Group) -> None:
        self.id = group.id
        self._fingerprint = group.fingerprint
        self._rings = tuple(_RingCodec(layout) for layout in group.layouts)

    def encode(self, rings: Sequence[Ring | None], watermark: int | None = None) -> bytes:
        """Return the bytes of an entity's rings.

        Parameters
        ----------
        rings : sequence of Ring or None
            As many as the group has layouts.
        watermark : int, optional
            Leave out panes that can never be read again at this watermark, and rings without any others. By
            default the bytes depend on the folded events alone.
        """
        out = bytearray()
        count = 0
        for number, (codec, ring) in enumerate(zip(self._rings, rings, strict=True)):
            if ring is not None and (watermark is None or not codec.layout.is_forgotten(ring, watermark)):
                count += 1
                codec.encode(number, ring, watermark, out)
        return _HEADER.pack(FORMAT, self._fingerprint, count) + out

    def decode(self, data: bytes) -> list[Ring | None]:
        """Return the rings that :meth:`encode` wrote.

        Raises
        ------
        StalePartialError
            If they are of another version or definition of the group.
        PartialFormatError
            If the bytes are damaged.
        """
        try:
            return self._decode(data)
        except (struct.error, IndexError, ValueError, RuntimeError) as error:
            raise PartialFormatError(f"a stored partial of {self.id!r} is damaged: {error}") from error

    def _decode(self, data: bytes) -> list[Ring | None]:
        version, fingerprint, count = _HEADER.unpack_from(data)
        if version != FORMAT or fingerprint != self._fingerprint:
            raise StalePartialError(f"a stored partial of {self.id!r} is of another definition of the features")
        rings: list[Ring | None] = [None] * len(self._rings)
        at = _HEADER.size
        previous = -1
        for _ in range(count):
            number, newest, panes = _RING.unpack_from(data, at)
            if number <= previous:
                raise PartialFormatError(f"a stored partial of {self.id!r} has ring {number} after ring {previous}")
            previous = number
            codec = self._rings[number]
            ring = rings[number] = codec.layout.new_ring()
            ring.newest = newest
            at = codec.decode(data, at + _RING.size, panes, ring)
        if at != len(data):
            raise PartialFormatError(f"a stored partial of {self.id!r} has {len(data) - at} bytes too many")
        return rings


class _RingCodec:
    """Writes and reads the rings of one layout."""

    __slots__ = ("_fixed", "_fixed_width", "_others", "layout")

    def __init__(self, layout: RingLayout) -> None:
        self.layout = layout
        codes, width = "", 0
        others: list[tuple[Partial, int]] = []
        for partial, offset in zip(layout.partials, layout.offsets, strict=True):
            # One call packs a whole run of fixed-size partials; the plan puts them first.
            if partial.codes and not others:
                codes += partial.codes
                width += len(partial.identity)
            else:
                others.append((partial, offset))
        self._fixed = struct.Struct("<" + codes)
        self._fixed_width = width
        self._others = tuple(others)

    def encode(self, number: int, ring: Ring, watermark: int | None, out: bytearray) -> None:
        layout, cells, newest = self.layout, ring.cells, ring.newest
        first = newest - layout.panes + 1
        if watermark is not None:
            first = layout.first_kept(ring, watermark)
        rows = []
        for pane in range(first, newest + 1):
            base = pane % layout.panes * layout.width
            row = cells[base : base + layout.width]
            if row != layout.identity:
                rows.append((newest - pane, row))
        out += _RING.pack(number, newest, len(rows))
        for back, row in rows:
            out += _BACK.pack(back)
            self._encode_row(row, out)

    def _encode_row(self, row: Cells, out: bytearray) -> None:
        out += self._fixed.pack(*row[: self._fixed_width])
        for partial, offset in self._others:
            partial.encode(row, offset, out)

    def decode(self, data: bytes, at: int, panes: int, ring: Ring) -> int:
        layout = self.layout
        previous = layout.panes
        for _ in range(panes):
            (back,) = _BACK.unpack_from(data, at)
            at += _BACK.size
            if back >= previous:
                raise PartialFormatError(f"a stored partial has a pane {back} before the newest, not below {previous}")
            previous = back
            base = (ring.newest - back) % layout.panes * layout.width
            ring.cells[base : base + self._fixed_width] = self._fixed.unpack_from(data, at)
            at += self._fixed.size
            for partial, offset in self._others:
                at = partial.decode(data, at, ring.cells, base + offset)
        return at
