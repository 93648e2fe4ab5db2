"""Mergeable partials: what an aggregate keeps of the values it has seen, and how two of them become one.

A partial is a monoid with an action: an identity, ``update`` by one value, ``merge`` of two partials, ``result``. It
owns no storage. Its state is a few neighbouring *cells* of a flat row that is passed in together with the index of
the first of them, so that a pane of a window with all the aggregates of an entity is one stretch of one list, with
no object per aggregate.

What holds, for every partial: merging the identity, on either side, changes nothing, bit for bit; ``merge`` leaves its
second operand as it was; the same calls in the same order give the same bits. Merging is associative and commutative
exactly for count, minimum, maximum (but for the sign of a zero) and distinct count
(:mod:`riverrun.features.sketches`); for ``last`` exactly but for two values of one event time, of which the right
operand's wins; for sum, mean, variance and decayed mean up to the rounding of doubles; for a quantile exactly while it
is exact, then within its bound. Whoever needs the same bits must therefore merge in the same order, and a window does.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from riverrun.features.errors import PartialFormatError
from riverrun.features.value_codec import decode_value, encode_value
from riverrun.records.items import FieldValue

__all__ = [
    "Cells",
    "Count",
    "DecayedMean",
    "Last",
    "Maximum",
    "Mean",
    "Minimum",
    "Partial",
    "Sum",
    "Variance",
]

Cells = list[Any]
"""A row of cells. Each partial knows what its own cells hold; nobody else looks into them, hence ``Any``."""

_NEVER = -(1 << 62)
_TIME = struct.Struct("<q")


class Partial(ABC):
    """One kind of aggregate, over cells that it is handed.

    Attributes
    ----------
    identity : tuple
        The cells' contents before any update; its length is the number of cells.
    codes : str
        ``struct`` codes of the cells when each is a plain number of fixed size; else empty, and ``encode`` and
        ``decode`` are used.
    """

    __slots__ = ()

    identity: ClassVar[tuple[object, ...]]
    codes: ClassVar[str] = ""

    @abstractmethod
    def update(self, cells: Cells, at: int, value: Any, time: int) -> None:
        """Fold one value, which is not missing, with its event time in milliseconds, into the cells from ``at``."""

    @abstractmethod
    def merge(self, cells: Cells, at: int, other: Cells, other_at: int) -> None:
        """Merge the partial at ``other_at`` of ``other`` into the one at ``at``; the left operand is the older.

        The two may share parts afterwards: a row that was merged into is merged further, read or encoded, but not
        updated.
        """

    @abstractmethod
    def result(self, cells: Cells, at: int) -> FieldValue:
        """Return the aggregate, None if it has none (no values, or no finite number)."""

    def encode(self, cells: Cells, at: int, out: bytearray) -> None:
        """Append the cells' bytes to ``out``: the same state gives the same bytes."""
        out += struct.pack("<" + self.codes, *cells[at : at + len(self.identity)])

    def decode(self, data: bytes, start: int, cells: Cells, at: int) -> int:
        """Read the cells from ``data`` at ``start``; return where the next bytes begin."""
        layout = struct.Struct("<" + self.codes)
        cells[at : at + len(self.identity)] = layout.unpack_from(data, start)
        return start + layout.size


class Count(Partial):
    """The number of values.

    Examples
    --------
    >>> count, cells = Count(), [*Count.identity]
    >>> count.update(cells, 0, True, 1_000)
    >>> count.result(cells, 0)
    1
    """

    __slots__ = ()
    identity = (0,)
    codes = "q"

    def update(self, cells: Cells, at: int, value: Any, time: int) -> None:
        """Count one more."""
        cells[at] += 1

    def merge(self, cells: Cells, at: int, other: Cells, other_at: int) -> None:
        """Add the counts."""
        cells[at] += other[other_at]

    def result(self, cells: Cells, at: int) -> FieldValue:
        """Return the count, 0 for nothing."""
        count: int = cells[at]
        return count


class Sum(Partial):
    """The sum as a double, 0.0 for nothing; a condition that holds adds 1."""

    __slots__ = ()
    identity = (0.0,)
    codes = "d"

    def update(self, cells: Cells, at: int, value: Any, time: int) -> None:
        """Add the value."""
        cells[at] += value

    def merge(self, cells: Cells, at: int, other: Cells, other_at: int) -> None:
        """Add the sums."""
        cells[at] += other[other_at]

    def result(self, cells: Cells, at: int) -> FieldValue:
        """Return the sum, None when it overflowed."""
        total: float = cells[at]
        return total if total - total == 0.0 else None


class Mean(Partial):
    """The arithmetic mean, from count and sum."""

    __slots__ = ()
    identity = (0, 0.0)
    codes = "qd"

    def update(self, cells: Cells, at: int, value: Any, time: int) -> None:
        """Count and add the value."""
        cells[at] += 1
        cells[at + 1] += value

    def merge(self, cells: Cells, at: int, other: Cells, other_at: int) -> None:
        """Add counts and sums."""
        cells[at] += other[other_at]
        cells[at + 1] += other[other_at + 1]

    def result(self, cells: Cells, at: int) -> FieldValue:
        """Return the mean, None for nothing or when the sum overflowed."""
        count: int = cells[at]
        if not count:
            return None
        total: float = cells[at + 1]
        return total / count if total - total == 0.0 else None


class Variance(Partial):
    """The population variance, from count, mean and the sum of squared deviations.

    Welford's update (Technometrics 4(3), 1962) and the pairwise merge of Chan, Golub and LeVeque (COMPSTAT 1982):
    neither subtracts large squares from each other.
    """

    __slots__ = ()
    identity = (0, 0.0, 0.0)
    codes = "qdd"

    def update(self, cells: Cells, at: int, value: Any, time: int) -> None:
        """Move the mean and add what the value deviates."""
        count = cells[at] = cells[at] + 1
        mean = cells[at + 1]
        deviation = value - mean
        mean += deviation / count
        cells[at + 1] = mean
        cells[at + 2] += deviation * (value - mean)

    def merge(self, cells: Cells, at: int, other: Cells, other_at: int) -> None:
        """Add the squared deviations and those of the two means from the common one."""
        more = other[other_at]
        if not more:
            return
        have = cells[at]
        if not have:
            cells[at : at + 3] = other[other_at : other_at + 3]
            return
        count = have + more
        deviation = other[other_at + 1] - cells[at + 1]
        cells[at] = count
        cells[at + 1] += deviation * (more / count)
        cells[at + 2] += other[other_at + 2] + deviation * deviation * (have * (more / count))

    def result(self, cells: Cells, at: int) -> FieldValue:
        """Return the variance (of one value 0.0), None for nothing or when it overflowed."""
        count: int = cells[at]
        if not count:
            return None
        squares: float = cells[at + 2]
        return squares / count if squares - squares == 0.0 else None


class _Extreme(Partial):
    """A partial whose one cell is a number, None before the first."""

    __slots__ = ()
    identity = (None,)

    def result(self, cells: Cells, at: int) -> FieldValue:
        """Return the value, None for nothing."""
        value: FieldValue = cells[at]
        return value

    def encode(self, cells: Cells, at: int, out: bytearray) -> None:
        """Append the value with its kind."""
        encode_value(cells[at], out)

    def decode(self, data: bytes, start: int, cells: Cells, at: int) -> int:
        """Read a value with its kind; other than numbers could not be compared later."""
        value, end = decode_value(data, start)
        if isinstance(value, str | bytes):
            raise PartialFormatError(f"a stored minimum or maximum is {value!r}, not a number")
        cells[at] = value
        return end


class Minimum(_Extreme):
    """The smallest number."""

    __slots__ = ()

    def update(self, cells: Cells, at: int, value: Any, time: int) -> None:
        """Keep the smaller."""
        least = cells[at]
        if least is None or value < least:
            cells[at] = value

    def merge(self, cells: Cells, at: int, other: Cells, other_at: int) -> None:
        """Keep the smaller."""
        value = other[other_at]
        if value is not None:
            least = cells[at]
            if least is None or value < least:
                cells[at] = value


class Maximum(_Extreme):
    """The greatest number."""

    __slots__ = ()

    def update(self, cells: Cells, at: int, value: Any, time: int) -> None:
        """Keep the greater."""
        most = cells[at]
        if most is None or value > most:
            cells[at] = value

    def merge(self, cells: Cells, at: int, other: Cells, other_at: int) -> None:
        """Keep the greater."""
        value = other[other_at]
        if value is not None:
            most = cells[at]
            if most is None or value > most:
                cells[at] = value


class Last(Partial):
    """The value with the greatest event time; of equal times the one that came later, or from the right operand."""

    __slots__ = ()
    identity = (_NEVER, None)

    def update(self, cells: Cells, at: int, value: Any, time: int) -> None:
        """Take the value unless a later one is held."""
        if time >= cells[at]:
            cells[at] = time
            cells[at + 1] = value

    def merge(self, cells: Cells, at: int, other: Cells, other_at: int) -> None:
        """Take the other's value unless the one held is later."""
        time = other[other_at]
        if time >= cells[at]:
            cells[at] = time
            cells[at + 1] = other[other_at + 1]

    def result(self, cells: Cells, at: int) -> FieldValue:
        """Return the value, None for nothing."""
        value: FieldValue = cells[at + 1]
        return value

    def encode(self, cells: Cells, at: int, out: bytearray) -> None:
        """Append the time and the value with its kind."""
        out += _TIME.pack(cells[at])
        encode_value(cells[at + 1], out)

    def decode(self, data: bytes, start: int, cells: Cells, at: int) -> int:
        """Read the time and the value with its kind."""
        (cells[at],) = _TIME.unpack_from(data, start)
        cells[at + 1], end = decode_value(data, start + _TIME.size)
        return end


class DecayedMean(Partial):
    """The mean with weights that halve every ``half_life_ms`` of event time.

    Cells: weight, weighted sum, and the newest event time, to which both are scaled. A late value enters with what is
    left of its weight at that time. The ratio is the same at whatever time it is read.

    Parameters
    ----------
    half_life_ms : float
        Time in milliseconds after which a value counts half.
    """

    __slots__ = ("_rate",)
    identity = (0.0, 0.0, _NEVER)
    codes = "ddq"

    def __init__(self, half_life_ms: float) -> None:
        self._rate = 1.0 / half_life_ms

    def update(self, cells: Cells, at: int, value: Any, time: int) -> None:
        """Scale to the newer of the two times and add."""
        age = time - cells[at + 2]
        if age > 0:
            scale = 2.0 ** (-age * self._rate)
            cells[at] = cells[at] * scale + 1.0
            cells[at + 1] = cells[at + 1] * scale + value
            cells[at + 2] = time
        else:
            scale = 2.0 ** (age * self._rate)
            cells[at] += scale
            cells[at + 1] += scale * value

    def merge(self, cells: Cells, at: int, other: Cells, other_at: int) -> None:
        """Scale the older to the newer's time and add."""
        weight = other[other_at]
        if not weight:
            return
        if not cells[at]:
            cells[at : at + 3] = other[other_at : other_at + 3]
            return
        age = other[other_at + 2] - cells[at + 2]
        if age > 0:
            scale = 2.0 ** (-age * self._rate)
            cells[at] = cells[at] * scale + weight
            cells[at + 1] = cells[at + 1] * scale + other[other_at + 1]
            cells[at + 2] = other[other_at + 2]
        else:
            scale = 2.0 ** (age * self._rate)
            cells[at] += scale * weight
            cells[at + 1] += scale * other[other_at + 1]

    def result(self, cells: Cells, at: int) -> FieldValue:
        """Return the weighted mean, None for nothing or when the sum overflowed."""
        weight: float = cells[at]
        if not weight:
            return None
        total: float = cells[at + 1]
        return total / weight if total - total == 0.0 else None
