"""What the tests share: a stream with a field of every kind, and a naive evaluator of expressions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from riverrun.pipeline.expressions import (
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
from riverrun.pipeline.kinds import kind_of
from riverrun.pipeline.schemas import Kind
from riverrun.pipeline.streams import Stream
from riverrun.records.items import FieldValue

SCHEMA: dict[str, object] = {
    "type": "record",
    "name": "Anything",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "whole", "type": "long"},
        {"name": "whole_or_none", "type": ["null", "int"]},
        {"name": "real", "type": "double"},
        {"name": "real_or_none", "type": ["null", "double"]},
        {"name": "flag", "type": "boolean"},
        {"name": "flag_or_none", "type": ["null", "boolean"]},
        {"name": "text", "type": "string"},
        {"name": "text_or_none", "type": ["null", "string"]},
        {"name": "color", "type": {"type": "enum", "name": "Color", "symbols": ["red", "blue"]}},
        {"name": "raw", "type": "bytes"},
        {"name": "topic", "type": "string"},
    ],
}


def anything(topic: str = "some.things") -> Stream:
    return Stream(topic, schema=SCHEMA, key="id", time="at", id="id")


_BINARY: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
_DAY = 86_400_000
_CALLS: Mapping[str, Callable[..., FieldValue]] = {
    "abs": abs,
    "log1p": math.log1p,
    "sqrt": math.sqrt,
    "minimum": min,
    "maximum": max,
    "to_number": int,
    "hour_of": lambda time: time % _DAY // 3_600_000,
    "weekday_of": lambda time: (time // _DAY + 3) % 7,
}


def evaluate(expression: Expression, row: Mapping[str, FieldValue]) -> FieldValue:
    """Evaluate as the documentation says, the slow and obvious way."""
    value = _tidy(_evaluate(expression, row))
    floats = value is not None and kind_of(expression).kind is Kind.FLOAT
    return float(value) if floats and isinstance(value, int) else value


def _tidy(value: FieldValue) -> FieldValue:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return None
    return value


def _evaluate(expression: Expression, row: Mapping[str, FieldValue]) -> FieldValue:
    match expression:
        case Literal():
            return expression.value
        case FieldRef():
            return row.get(expression.name)
        case IsMissing():
            return evaluate(expression.operand, row) is None
        case Fallback():
            value = evaluate(expression.operand, row)
            return evaluate(expression.default, row) if value is None else value
        case Binary(op="&" | "|"):
            return _three_valued(expression, row)
    return _evaluate_strict(expression, row)


def _evaluate_strict(expression: Expression, row: Mapping[str, FieldValue]) -> FieldValue:
    match expression:
        case Binary():
            return _strict(_BINARY[expression.op], (expression.left, expression.right), row)
        case Unary():
            negate: Callable[..., FieldValue] = (lambda a: not a) if expression.op == "~" else (lambda a: -a)
            return _strict(negate, (expression.operand,), row)
        case Call():
            return _strict(_CALLS[expression.function], expression.args, row)
        case Between():
            low, high = Literal(expression.low), Literal(expression.high)
            return _strict(lambda x, a, b: a <= x <= b, (expression.operand, low, high), row)
        case IsIn():
            return _strict(lambda x: x in expression.values, (expression.operand,), row)
    raise AssertionError(expression)


def _strict(
    function: Callable[..., FieldValue], parts: tuple[Expression, ...], row: Mapping[str, FieldValue]
) -> FieldValue:
    values = [evaluate(part, row) for part in parts]
    if None in values:
        return None
    try:
        return function(*values)
    except (ZeroDivisionError, ValueError, OverflowError):
        return None


def _three_valued(expression: Binary, row: Mapping[str, FieldValue]) -> FieldValue:
    values = {evaluate(expression.left, row), evaluate(expression.right, row)}
    decisive = expression.op == "|"
    if decisive in values:
        return decisive
    return None if None in values else not decisive
