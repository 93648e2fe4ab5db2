"""The functions that an expression can call. A missing argument makes the result missing."""

from __future__ import annotations

from riverrun.pipeline.expressions import Call, Expression, Operand, as_expression

__all__ = ["abs_", "hour_of", "log1p", "maximum", "minimum", "sqrt", "to_number", "weekday_of"]


def abs_(value: Operand) -> Expression:
    """Return the absolute value of a number."""
    return Call("abs", (as_expression(value),))


def log1p(value: Operand) -> Expression:
    """Return the natural logarithm of one plus a number; missing for -1 and below."""
    return Call("log1p", (as_expression(value),))


def sqrt(value: Operand) -> Expression:
    """Return the square root of a number; missing for negative ones."""
    return Call("sqrt", (as_expression(value),))


def minimum(first: Operand, second: Operand, *more: Operand) -> Expression:
    """Return the smallest of some numbers; missing if any of them is."""
    return Call("minimum", tuple(map(as_expression, (first, second, *more))))


def maximum(first: Operand, second: Operand, *more: Operand) -> Expression:
    """Return the greatest of some numbers; missing if any of them is."""
    return Call("maximum", tuple(map(as_expression, (first, second, *more))))


def to_number(condition: Operand) -> Expression:
    """Return 1 for true and 0 for false."""
    return Call("to_number", (as_expression(condition),))


def hour_of(time: Operand) -> Expression:
    """Return the hour, 0 to 23 in UTC, of a time in milliseconds since the epoch."""
    return Call("hour_of", (as_expression(time),))


def weekday_of(time: Operand) -> Expression:
    """Return the day of the week, Monday 0 to Sunday 6 in UTC, of a time in milliseconds since the epoch."""
    return Call("weekday_of", (as_expression(time),))
