"""The closures that compiled expressions are made of.

Kinds were checked before these are built, so values are taken to be of the right kind or None; that is why
their type is ``Any`` in here and nowhere else. Each factory makes one small function that allocates nothing
but its result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from riverrun.pipeline.expressions import INT64_MAX, INT64_MIN, Scalar

if TYPE_CHECKING:
    from riverrun.records.items import FieldValue

__all__ = ["FUNCTIONS", "Compiled"]

Compiled = Callable[[Mapping[str, "FieldValue"]], "FieldValue"]
"""A compiled expression: from an event's fields to the value, None if it is missing."""

_Row = Mapping[str, Any]
_Operator = Callable[[Any, Any], Any]

_HOUR_MS: Final = 3_600_000
_EPOCH_WEEKDAY: Final = 3
"""1 January 1970 was a Thursday."""


def constant(value: Scalar) -> Compiled:
    """Give a constant."""
    return lambda _row: value


def field(name: str) -> Compiled:
    """Give a field as it is."""
    return lambda row: row.get(name)


def finite_field(name: str) -> Compiled:
    """Give a field of doubles, or None for one that is not finite."""

    def run(row: _Row) -> FieldValue:
        value = row.get(name)
        # x - x is 0.0 for a finite number, else NaN, which counts as true: the cheapest test that there is.
        return None if value is None or value - value else value

    return run


def integers(op: _Operator, left: Compiled, right: Compiled) -> Compiled:
    """Add, subtract or multiply integers; None beyond 64 bits."""

    def run(row: _Row) -> FieldValue:
        a = left(row)
        if a is None:
            return None
        b = right(row)
        if b is None:
            return None
        result: int = op(a, b)
        return result if INT64_MIN <= result <= INT64_MAX else None

    return run


def numbers(op: _Operator, left: Compiled, right: Compiled) -> Compiled:
    """Add, subtract or multiply numbers; None if the result is not finite."""

    def run(row: _Row) -> FieldValue:
        a = left(row)
        if a is None:
            return None
        b = right(row)
        if b is None:
            return None
        result: float = op(a, b)
        return None if result - result else result

    return run


def field_and_number(op: _Operator, name: str, number: float) -> Compiled:
    """Add, subtract or multiply a field and a constant; None if the result is not finite."""

    def run(row: _Row) -> FieldValue:
        value = row.get(name)
        if value is None:
            return None
        result: float = op(value, number)
        return None if result - result else result

    return run


def division(left: Compiled, right: Compiled) -> Compiled:
    """Divide; None if the result is not finite."""

    def run(row: _Row) -> FieldValue:
        a: Any = left(row)
        if a is None:
            return None
        b: Any = right(row)
        if not b:
            return None
        result: float = a / b
        return None if result - result else result

    return run


def negation(operand: Compiled) -> Compiled:
    """Negate a number; None for the one 64-bit integer that has no counterpart."""

    def run(row: _Row) -> FieldValue:
        value: Any = operand(row)
        if value is None:
            return None
        result: float = -value
        return None if result == -INT64_MIN and type(result) is int else result

    return run


def inversion(operand: Compiled) -> Compiled:
    """Turn true into false and false into true."""

    def run(row: _Row) -> FieldValue:
        value = operand(row)
        return None if value is None else not value

    return run


def comparison(op: _Operator, left: Compiled, right: Compiled) -> Compiled:
    """Compare two values."""

    def run(row: _Row) -> FieldValue:
        a = left(row)
        if a is None:
            return None
        b = right(row)
        if b is None:
            return None
        result: bool = op(a, b)
        return result

    return run


def comparison_with(op: _Operator, operand: Compiled, value: Scalar) -> Compiled:
    """Compare a value with a constant."""

    def run(row: _Row) -> FieldValue:
        a = operand(row)
        if a is None:
            return None
        result: bool = op(a, value)
        return result

    return run


def field_comparison(op: _Operator, name: str, value: Scalar) -> Compiled:
    """Compare a field with a constant; None if the field is not finite."""

    def run(row: _Row) -> FieldValue:
        a = row.get(name)
        if a is None or (type(a) is float and a - a):
            return None
        result: bool = op(a, value)
        return result

    return run


def conjunction(left: Compiled, right: Compiled) -> Compiled:
    """Return whether both hold: false if either is false, else missing if either is missing."""

    def run(row: _Row) -> FieldValue:
        a = left(row)
        if a is False:
            return False
        b = right(row)
        if b is False:
            return False
        return None if a is None or b is None else True

    return run


def disjunction(left: Compiled, right: Compiled) -> Compiled:
    """Return whether either holds: true if either is true, else missing if either is missing."""

    def run(row: _Row) -> FieldValue:
        a = left(row)
        if a is True:
            return True
        b = right(row)
        if b is True:
            return True
        return None if a is None or b is None else False

    return run


def between(operand: Compiled, low: Any, high: Any) -> Compiled:
    """Return whether a value lies between two constants, both included."""

    def run(row: _Row) -> FieldValue:
        value: Any = operand(row)
        if value is None:
            return None
        result: bool = low <= value <= high
        return result

    return run


def field_between(name: str, low: Any, high: Any) -> Compiled:
    """Return whether a field lies between two constants, both included; None if it is not finite."""

    def run(row: _Row) -> FieldValue:
        value = row.get(name)
        if value is None or (type(value) is float and value - value):
            return None
        result: bool = low <= value <= high
        return result

    return run


def membership(operand: Compiled, values: tuple[Scalar, ...]) -> Compiled:
    """Return whether a value is one of some constants."""
    wanted = frozenset(values)

    def run(row: _Row) -> FieldValue:
        value = operand(row)
        return None if value is None else value in wanted

    return run


def absence(operand: Compiled) -> Compiled:
    """Return whether a value is missing."""
    return lambda row: operand(row) is None


def fallback(operand: Compiled, default: Compiled) -> Compiled:
    """Give a value, or another where it is missing."""

    def run(row: _Row) -> FieldValue:
        value = operand(row)
        return default(row) if value is None else value

    return run


def fallback_to(operand: Compiled, default: Scalar) -> Compiled:
    """Give a value, or a constant where it is missing."""

    def run(row: _Row) -> FieldValue:
        value = operand(row)
        return default if value is None else value

    return run


def apply(function: Callable[[Any], FieldValue], operand: Compiled) -> Compiled:
    """Call a function of :data:`FUNCTIONS`, or any that takes one value, unless the value is missing."""

    def run(row: _Row) -> FieldValue:
        value = operand(row)
        return None if value is None else function(value)

    return run


def extreme(pick: Callable[[list[Any]], Any], operands: tuple[Compiled, ...]) -> Compiled:
    """Pick the smallest or the greatest of some numbers of the same kind."""

    def run(row: _Row) -> FieldValue:
        values = [operand(row) for operand in operands]
        if None in values:
            return None
        result: float = pick(values)
        return result

    return run


def _absolute(value: Any) -> FieldValue:
    result: float = abs(value)
    return None if result == -INT64_MIN and type(result) is int else result


def _log1p(value: Any) -> FieldValue:
    return math.log1p(value) if value > -1 else None


def _sqrt(value: Any) -> FieldValue:
    return math.sqrt(value) if value >= 0 else None


def _hour_of(time: Any) -> FieldValue:
    result: int = time // _HOUR_MS % 24
    return result


def _weekday_of(time: Any) -> FieldValue:
    result: int = (time // (24 * _HOUR_MS) + _EPOCH_WEEKDAY) % 7
    return result


FUNCTIONS: Final[Mapping[str, Callable[[Any], FieldValue]]] = {
    "abs": _absolute,
    "log1p": _log1p,
    "sqrt": _sqrt,
    "to_number": int,
    "hour_of": _hour_of,
    "weekday_of": _weekday_of,
}
"""The functions of one argument, by the names that ``Call`` has for them."""
