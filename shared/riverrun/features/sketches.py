"""The aggregates whose partials are sketches of Apache DataSketches: distinct count and quantile.

Only sketches whose results are a function of what they were fed qualify, since a fold must give the same bits when it
is replayed, restored or moved; docs/decisions/0010-sketches.md has the candidates and what was found.

A merge never changes a sketch in place but makes a new one, so a sketch can stand in several rows at once.
"""

from __future__ import annotations

import math
import struct
from typing import Any, Final

import numpy as np
from datasketches import compact_theta_sketch, tdigest_double, theta_union, update_theta_sketch

from riverrun.features.errors import PartialFormatError
from riverrun.features.partials import Cells, Partial
from riverrun.features.value_codec import decode_bytes, encode_bytes
from riverrun.records.items import FieldValue

__all__ = ["EXACT_DISTINCT", "EXACT_QUANTILE", "Distinct", "Quantile"]

_LG_K: Final = 10
EXACT_DISTINCT: Final = 1 << _LG_K
"""Up to so many different values the distinct count is exact; beyond, its standard error is about 3 %."""

EXACT_QUANTILE: Final = 128
"""Up to so many values in a window the quantile is exact (interpolated); beyond, within 1 % in rank."""

_COMPRESSION: Final = 400
_COUNT = struct.Struct("<H")


class _Hashes:
    """Hashes of different values: those folded in here, beside those that were merged or read from bytes.

    The library cannot go on updating a theta sketch that was stored; but the union of several is the same, to the
    bit, as one sketch of all values, whatever went into which.
    """

    __slots__ = ("live", "stored")

    def __init__(self, stored: compact_theta_sketch | None, live: update_theta_sketch | None) -> None:
        self.stored = stored
        self.live = live

    def add_to(self, union: theta_union) -> None:
        """Add all hashes to a union."""
        if self.stored is not None:
            union.update(self.stored)
        if self.live is not None:
            union.update(self.live)

    def compact(self) -> compact_theta_sketch:
        """Return all hashes as one sketch in its canonical form, which only a union's result has."""
        if self.live is None and self.stored is not None:
            return self.stored
        union = theta_union(_LG_K)
        self.add_to(union)
        return union.get_result()


class Distinct(Partial):
    """The number of different values, from a theta sketch (the smallest hashes).

    Examples
    --------
    >>> distinct, cells = Distinct(), [*Distinct.identity]
    >>> for tail in ("N1", "N2", "N1"):
    ...     distinct.update(cells, 0, tail, 0)
    >>> distinct.result(cells, 0)
    2
    """

    __slots__ = ()
    identity = (None,)

    def update(self, cells: Cells, at: int, value: Any, time: int) -> None:
        """Add the value's hash."""
        hashes: _Hashes | None = cells[at]
        if hashes is None:
            hashes = cells[at] = _Hashes(None, update_theta_sketch(_LG_K))
        live = hashes.live
        if live is None:
            live = hashes.live = update_theta_sketch(_LG_K)
        # The library skips empty texts and mistakes bytes for numbers.
        if isinstance(value, str):
            live.update("=" + value)
        elif isinstance(value, bytes):
            live.update("=" + value.decode("latin-1"))
        else:
            live.update(value)

    def merge(self, cells: Cells, at: int, other: Cells, other_at: int) -> None:
        """Unite the hashes."""
        more: _Hashes | None = other[other_at]
        if more is None:
            return
        have: _Hashes | None = cells[at]
        if have is None:
            cells[at] = more
            return
        union = theta_union(_LG_K)
        have.add_to(union)
        more.add_to(union)
        cells[at] = _Hashes(union.get_result(), None)

    def result(self, cells: Cells, at: int) -> FieldValue:
        """Return the estimate as a whole number, 0 for nothing."""
        hashes: _Hashes | None = cells[at]
        return 0 if hashes is None else round(hashes.compact().get_estimate())

    def encode(self, cells: Cells, at: int, out: bytearray) -> None:
        """Append the compact sketch, nothing but its length when there is none."""
        hashes: _Hashes | None = cells[at]
        encode_bytes(b"" if hashes is None else hashes.compact().serialize(), out)

    def decode(self, data: bytes, start: int, cells: Cells, at: int) -> int:
        """Read a compact sketch."""
        body, end = decode_bytes(data, start)
        cells[at] = _Hashes(compact_theta_sketch.deserialize(body), None) if body else None
        return end


class _Sample:
    """Values not yet in the digest, and the digest, always compressed.

    The library's digest has a buffer of its own, but reading or storing it empties that, so that what it says later
    would depend on who looked when. Here values enter it in blocks of a size that only the values decide.
    """

    __slots__ = ("digest", "values")

    def __init__(self, values: list[float], digest: tdigest_double | None) -> None:
        self.values = values
        self.digest = digest

    def settle(self) -> None:
        """Move the values into a new digest once there are too many; the old one may stand in another row."""
        if len(self.values) > EXACT_QUANTILE:
            self.digest = self.complete()
            self.values = []

    def complete(self) -> tdigest_double:
        """Return a digest of everything."""
        digest = tdigest_double(_COMPRESSION) if self.digest is None else self.digest.__copy__()
        if self.values:
            digest.update(np.array(self.values, dtype=np.float64))
            digest.compress()
        return digest


class Quantile(Partial):
    """A quantile of numbers: exact for few values, from a t-digest (Dunning and Ertl, 2019) for many.

    Parameters
    ----------
    q : float
        Which one, between 0 and 1.

    Examples
    --------
    >>> median, cells = Quantile(0.5), [*Quantile.identity]
    >>> for delay in (3, 1, 2, 40):
    ...     median.update(cells, 0, delay, 0)
    >>> median.result(cells, 0)
    2.5
    """

    __slots__ = ("_q",)
    identity = (None,)

    def __init__(self, q: float) -> None:
        self._q = q

    def update(self, cells: Cells, at: int, value: Any, time: int) -> None:
        """Add the value; not finite ones are left out, for they would spoil the digest."""
        if not math.isfinite(value):
            return
        sample: _Sample | None = cells[at]
        if sample is None:
            cells[at] = _Sample([float(value)], None)
            return
        sample.values.append(float(value))
        sample.settle()

    def merge(self, cells: Cells, at: int, other: Cells, other_at: int) -> None:
        """Merge the digests and put the values one after the other."""
        more: _Sample | None = other[other_at]
        if more is None:
            return
        have: _Sample | None = cells[at]
        if have is None:
            cells[at] = more
            return
        digest = have.digest
        if digest is None:
            digest = more.digest
        elif more.digest is not None:
            digest = digest.__copy__()
            digest.merge(more.digest)
            digest.compress()
        merged = cells[at] = _Sample(have.values + more.values, digest)
        merged.settle()

    def result(self, cells: Cells, at: int) -> FieldValue:
        """Return the quantile, None for nothing."""
        sample: _Sample | None = cells[at]
        if sample is None:
            return None
        if sample.digest is None:
            return _interpolated(sorted(sample.values), self._q)
        quantile: float = sample.complete().get_quantile(self._q)
        return quantile

    def encode(self, cells: Cells, at: int, out: bytearray) -> None:
        """Append the values in their order and the digest."""
        sample: _Sample | None = cells[at]
        values = [] if sample is None else sample.values
        out += _COUNT.pack(len(values))
        out += struct.pack(f"<{len(values)}d", *values)
        digest = None if sample is None else sample.digest
        encode_bytes(b"" if digest is None else digest.serialize(), out)

    def decode(self, data: bytes, start: int, cells: Cells, at: int) -> int:
        """Read values and digest."""
        (count,) = _COUNT.unpack_from(data, start)
        start += _COUNT.size
        values = list(struct.unpack_from(f"<{count}d", data, start))
        body, end = decode_bytes(data, start + 8 * count)
        digest = tdigest_double.deserialize(body) if body else None
        if digest is not None and digest.is_empty():
            raise PartialFormatError("a stored quantile has an empty digest")
        cells[at] = _Sample(values, digest) if values or digest is not None else None
        return end


def _interpolated(ordered: list[float], q: float) -> float:
    place = q * (len(ordered) - 1)
    below = int(place)
    low = ordered[below]
    if place == below:
        return low
    rest = place - below
    # Not low + rest * (high - low): that difference can overflow.
    return low * (1.0 - rest) + ordered[below + 1] * rest
