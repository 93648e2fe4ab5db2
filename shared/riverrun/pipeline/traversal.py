"""Walking over expressions and writing them as text."""

from __future__ import annotations

from collections.abc import Iterator

from riverrun.pipeline.durations import format_duration
from riverrun.pipeline.expressions import (
    DEFAULT_PANES,
    HALF_LIFE_MS,
    Aggregate,
    Between,
    Binary,
    Call,
    Expression,
    Fallback,
    FieldRef,
    IsIn,
    IsMissing,
    Literal,
    Unary,
)
from riverrun.pipeline.locations import Location

__all__ = ["aggregates_in", "children", "describe", "fields_in", "location_of", "walk"]


def children(expression: Expression) -> tuple[Expression, ...]:
    """Return the direct parts of an expression, from left to right."""
    match expression:
        case Unary() | Between() | IsIn() | IsMissing():
            return (expression.operand,)
        case Binary():
            return (expression.left, expression.right)
        case Call():
            return expression.args
        case Fallback():
            return (expression.operand, expression.default)
        case Aggregate():
            return () if expression.value is None else (expression.value,)
        case _:
            return ()


def walk(expression: Expression) -> Iterator[Expression]:
    """Iterate over an expression and all its parts, parents first, from left to right."""
    yield expression
    for child in children(expression):
        yield from walk(child)


def aggregates_in(expression: Expression) -> list[Aggregate]:
    """Return the aggregates of an expression, from left to right, repeated ones too."""
    return [node for node in walk(expression) if isinstance(node, Aggregate)]


def fields_in(expression: Expression) -> list[FieldRef]:
    """Return the fields that an expression reads from the event itself: not those within aggregates."""
    if isinstance(expression, FieldRef):
        return [expression]
    if isinstance(expression, Aggregate):
        return []
    return [found for child in children(expression) for found in fields_in(child)]


def location_of(expression: Expression) -> Location | None:
    """Return the line of the leftmost part that knows where it was written."""
    for node in walk(expression):
        if isinstance(node, FieldRef | Aggregate) and node.location is not None:
            return node.location
    return None


def describe(expression: Expression) -> str:
    """Return an expression as text: the same for the same meaning as written, and for people to read.

    It is independent of where an expression stands, so it serves as its identity too.

    Examples
    --------
    >>> describe((Literal(3) + 4).between(0, 10))
    '(3 + 4).between(0, 10)'
    """
    match expression:
        case Literal():
            return repr(expression.value)
        case FieldRef():
            return f"{expression.stream.name}.{expression.name}"
        case Unary():
            return f"{expression.op}{describe(expression.operand)}"
        case Binary():
            return f"({describe(expression.left)} {expression.op} {describe(expression.right)})"
        case Call():
            return f"{expression.function}({', '.join(map(describe, expression.args))})"
        case Aggregate():
            return _describe_aggregate(expression)
        case _:
            return _describe_test(expression)


def _describe_test(expression: Expression) -> str:
    match expression:
        case Between():
            return f"{describe(expression.operand)}.between({expression.low!r}, {expression.high!r})"
        case IsIn():
            return f"{describe(expression.operand)}.is_in([{', '.join(map(repr, expression.values))}])"
        case IsMissing():
            return f"{describe(expression.operand)}.is_missing()"
        case Fallback():
            return f"{describe(expression.operand)}.fallback({describe(expression.default)})"
        case _:
            return type(expression).__name__


def _describe_aggregate(aggregate: Aggregate) -> str:
    inside = [aggregate.stream.name if aggregate.value is None else describe(aggregate.value)]
    for name, value in aggregate.params:
        inside.append(format_duration(int(value)) if name == HALF_LIFE_MS else repr(value))
    text = f"{aggregate.function}({', '.join(inside)})"
    if aggregate.entity:
        pairs = (repr(mine) if mine == theirs else f"{mine}={theirs!r}" for mine, theirs in aggregate.entity)
        text += f".by({', '.join(pairs)})"
    if aggregate.window_ms is not None:
        panes = "" if aggregate.panes == DEFAULT_PANES else f", panes={aggregate.panes}"
        text += f".over({format_duration(aggregate.window_ms)!r}{panes})"
    return text
