"""Expressions as closures over an event's fields: what runs for every event.

A closure takes a mapping of fields and returns the value or None. It is specialised where that pays: a field
against a constant costs one call. Events of the declared types never make it raise or return a complex
number, an infinity or NaN; a field that is absent counts as missing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from riverrun.pipeline import closures
from riverrun.pipeline.closures import Compiled
from riverrun.pipeline.errors import ExpressionError
from riverrun.pipeline.expressions import (
    COMPARISONS,
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
from riverrun.pipeline.kinds import kind_of
from riverrun.pipeline.schemas import Kind
from riverrun.pipeline.traversal import describe, location_of

__all__ = ["compile_expression"]

_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def compile_expression(expression: Expression, aggregates: Callable[[Aggregate], Compiled] | None = None) -> Compiled:
    """Compile an expression to a closure over an event's fields.

    Parameters
    ----------
    expression : Expression
        What to compute.
    aggregates : callable, optional
        Gives the closure that reads an aggregate's value; called once for each aggregate within. Without it
        an expression must have none.

    Returns
    -------
    callable
        From a mapping of fields to the value: of the kind that :func:`~riverrun.pipeline.kinds.kind_of`
        tells, or None.

    Raises
    ------
    ExpressionError
        If the expression has no kind, or has an aggregate that nobody resolves.

    Examples
    --------
    >>> compile_expression((Literal(7) - 1) / 4)({})
    1.5
    >>> compile_expression(Literal(7) / 0)({}) is None
    True
    """
    kind_of(expression)
    return _Compiler(aggregates).compile(expression)


class _Compiler:
    """Turns a checked tree into closures, from the root down."""

    def __init__(self, aggregates: Callable[[Aggregate], Compiled] | None) -> None:
        self._aggregates = aggregates

    def compile(self, expression: Expression) -> Compiled:
        match expression:
            case Literal():
                return closures.constant(expression.value)
            case FieldRef():
                factory = closures.finite_field if _is_float(expression) else closures.field
                return factory(expression.name)
            case Unary():
                operand = self.compile(expression.operand)
                return closures.inversion(operand) if expression.op == "~" else closures.negation(operand)
            case Binary():
                return self._binary(expression)
            case Call():
                return self._call(expression)
            case Aggregate():
                return self._aggregate(expression)
            case _:
                return self._test(expression)

    def _test(self, expression: Expression) -> Compiled:
        match expression:
            case Between():
                return self._between(expression)
            case IsIn():
                return closures.membership(self.compile(expression.operand), expression.values)
            case IsMissing():
                return closures.absence(self.compile(expression.operand))
            case Fallback():
                return self._fallback(expression)
            case _:  # kind_of has refused whatever else there may be
                raise ExpressionError(f"{type(expression).__name__} is not understood", code="bad-expression")

    def _aggregate(self, expression: Aggregate) -> Compiled:
        if self._aggregates is None:
            raise ExpressionError(
                f"{describe(expression)} is not known from an event alone",
                hint="aggregates may stand in features, not in rules, labels or other aggregates",
                code="misplaced-aggregate",
                location=location_of(expression),
            )
        return self._aggregates(expression)

    def _as(self, whole: Expression, part: Expression) -> Compiled:
        """Compile a part to the kind of the whole: an integer becomes a number where numbers are wanted."""
        if not _is_float(whole) or _is_float(part):
            return self.compile(part)
        if isinstance(part, Literal):
            return closures.constant(float(part.value))
        return closures.apply(float, self.compile(part))

    def _fallback(self, fallback: Fallback) -> Compiled:
        operand = self._as(fallback, fallback.operand)
        default = fallback.default
        if isinstance(default, Literal):
            return closures.fallback_to(operand, float(default.value) if _is_float(fallback) else default.value)
        return closures.fallback(operand, self._as(fallback, default))

    def _call(self, call: Call) -> Compiled:
        if call.function in closures.FUNCTIONS:
            return closures.apply(closures.FUNCTIONS[call.function], self.compile(call.args[0]))
        pick: Callable[[list[Any]], Any] = min if call.function == "minimum" else max
        return closures.extreme(pick, tuple(self._as(call, argument) for argument in call.args))

    def _between(self, between: Between) -> Compiled:
        if isinstance(between.operand, FieldRef):
            return closures.field_between(between.operand.name, between.low, between.high)
        return closures.between(self.compile(between.operand), between.low, between.high)

    def _binary(self, binary: Binary) -> Compiled:
        op, left, right = binary.op, binary.left, binary.right
        if op in COMPARISONS:
            return self._comparison(op, left, right)
        if op in "*+-" and isinstance(left, FieldRef) and isinstance(right, Literal) and _is_float(binary):
            return closures.field_and_number(_OPERATORS[op], left.name, float(right.value))
        parts = self.compile(left), self.compile(right)
        match op:
            case "&":
                return closures.conjunction(*parts)
            case "|":
                return closures.disjunction(*parts)
            case "/":
                return closures.division(*parts)
            case _:
                factory = closures.numbers if _is_float(binary) else closures.integers
                return factory(_OPERATORS[op], *parts)

    def _comparison(self, op: str, left: Expression, right: Expression) -> Compiled:
        if isinstance(left, Literal) and not isinstance(right, Literal):
            op, left, right = _MIRRORED[op], right, left
        if not isinstance(right, Literal):
            return closures.comparison(_OPERATORS[op], self.compile(left), self.compile(right))
        if isinstance(left, FieldRef):
            return closures.field_comparison(_OPERATORS[op], left.name, right.value)
        return closures.comparison_with(_OPERATORS[op], self.compile(left), right.value)


def _is_float(expression: Expression) -> bool:
    return kind_of(expression).kind is Kind.FLOAT
