"""What is watched: numbers and categories that come with every record, and what is tested of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite, nan
from typing import Final

from riverrun.records.items import FieldValue

__all__ = ["Encoder", "Move", "Signal"]

_MOST_CATEGORIES: Final = 4_096
_BEYOND: Final = f"(beyond the first {_MOST_CATEGORIES:,})"


class Move(StrEnum):
    """A way to have moved."""

    DISTRIBUTION = "distribution"
    """Its values are distributed otherwise."""
    MISSING = "missing"
    """More of its values are missing."""
    STALE = "stale"
    """It repeats itself for too long."""
    RISE = "rise"
    """Its mean has risen."""
    BALANCE = "balance"
    """Its mean has moved, up or down."""
    SHARE = "share"
    """It is 1 more often (a signal of zeros and ones)."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One number or category a record.

    Parameters
    ----------
    subject
        What it belongs to: the name of a feature or model.
    tests
        What is tested of it, and the kind of finding if it is so.
    category
        Whether its values are categories, which have no order.
    """

    subject: str
    tests: tuple[tuple[Move, str], ...]
    category: bool = field(default=False, kw_only=True)


class Encoder:
    """Turns a signal's values into floats: categories into codes, whatever is missing into NaN.

    Parameters
    ----------
    category
        As of the signal.

    Examples
    --------
    >>> encoder = Encoder(category=True)
    >>> encoder.encode("UA"), encoder.encode("AA"), encoder.encode("UA"), encoder.label(1)
    (0.0, 1.0, 0.0, 'AA')
    """

    __slots__ = ("_category", "_codes", "values")

    def __init__(self, *, category: bool) -> None:
        self._category = category
        self._codes: dict[FieldValue, float] = {}
        self.values: list[FieldValue] = []

    def encode(self, value: FieldValue) -> float:
        """Return a value as a float; not finite ones are missing too, and of categories only the first 4,096 differ."""
        if value is None:
            return nan
        if self._category:
            code = self._codes.get(value)
            return self._new(value) if code is None else code
        if isinstance(value, str | bytes):
            return nan
        return float(value) if isfinite(value) else nan

    def label(self, code: int) -> str:
        """Return a category's name; all those that came when there were 4,096 already share one."""
        return str(self.values[code]) if code < len(self.values) else _BEYOND

    def restore(self, values: Sequence[FieldValue]) -> None:
        """Go on with these categories, in the order of their codes."""
        self.values = list(values)
        self._codes = {value: float(code) for code, value in enumerate(values)}

    def _new(self, value: FieldValue) -> float:
        code = float(len(self.values))
        if code < _MOST_CATEGORIES:
            self._codes[value] = code
            self.values.append(value)
        return code
