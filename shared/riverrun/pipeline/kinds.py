"""The kind of value that an expression has, found before anything runs."""

from __future__ import annotations

from typing import NamedTuple

from riverrun.pipeline.errors import ExpressionError
from riverrun.pipeline.expressions import (
    ARITHMETIC,
    LOGIC,
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
    Scalar,
    Unary,
)
from riverrun.pipeline.schemas import Kind
from riverrun.pipeline.traversal import describe, location_of

__all__ = ["ValueType", "is_often_missing", "kind_of", "type_faults"]


class ValueType(NamedTuple):
    """The kind of an expression's value, and whether it may be missing."""

    kind: Kind
    nullable: bool


_REPORTED: ValueType | None = None
_NUMBERS = (Kind.INT, Kind.FLOAT)
_ORDERED = (Kind.INT, Kind.FLOAT, Kind.TEXT)
_COUNTABLE = (Kind.INT, Kind.FLOAT, Kind.BOOL)


def kind_of(expression: Expression) -> ValueType:
    """Return the kind of an expression's value and whether it may be missing.

    Raises
    ------
    ExpressionError
        If it has none: the first of :func:`type_faults`.

    Examples
    --------
    >>> kind_of(Literal(1) / 2)
    ValueType(kind=<Kind.FLOAT: 'number'>, nullable=False)
    >>> kind_of(Literal("a").is_missing()).kind.value
    'boolean'
    """
    inference = _Inference()
    found = inference.infer(expression)
    if found is None:
        raise inference.faults[0]
    return found


def type_faults(expression: Expression) -> list[ExpressionError]:
    """Return everything that is wrong with an expression's types, innermost first; faults do not cascade."""
    inference = _Inference()
    inference.infer(expression)
    return inference.faults


def is_often_missing(expression: Expression) -> bool:
    """Whether an expression can be missing for another reason than that a number grew too great.

    That is, by a missing field, an aggregate of nothing, a division by zero, or a function without a result.

    Raises
    ------
    ExpressionError
        As :func:`kind_of`.

    Examples
    --------
    >>> product = Literal(2) * 3
    >>> kind_of(product).nullable, is_often_missing(product), is_often_missing(Literal(2) / product)
    (True, False, True)
    """
    inference = _Inference(overflows=False)
    found = inference.infer(expression)
    if found is None:
        raise inference.faults[0]
    return found.nullable


class _Inference:
    """One pass over an expression, from the leaves up; ``None`` stands for a part already reported."""

    def __init__(self, *, overflows: bool = True) -> None:
        self.faults: list[ExpressionError] = []
        self._overflows = overflows

    def infer(self, expression: Expression) -> ValueType | None:
        match expression:
            case Literal():
                return ValueType(_scalar_kind(expression.value), nullable=False)
            case FieldRef():
                return self._field(expression)
            case Unary():
                return self._unary(expression)
            case Binary():
                return self._binary(expression)
            case Call():
                return self._call(expression)
            case Aggregate():
                return self._aggregate(expression)
            case _:
                return self._test(expression)

    def _test(self, expression: Expression) -> ValueType | None:
        match expression:
            case Between():
                return self._constants(expression, expression.operand, (expression.low, expression.high))
            case IsIn():
                return self._constants(expression, expression.operand, expression.values)
            case IsMissing():
                return None if self.infer(expression.operand) is None else ValueType(Kind.BOOL, nullable=False)
            case Fallback():
                return self._fallback(expression)
            case _:
                return self._fault(expression, "bad-expression", f"{type(expression).__name__} is not understood")

    def _fault(self, expression: Expression, code: str, message: str, hint: str = "") -> ValueType | None:
        where = location_of(expression)
        self.faults.append(ExpressionError(message, hint=hint, code=code, location=where))
        return _REPORTED

    def _field(self, field: FieldRef) -> ValueType | None:
        known = field.stream.field(field.name)
        if known is not None:
            return ValueType(known.kind, known.nullable)
        close = field.stream.suggestions(field.name)
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "the schema says which there are"
        if field.stream.schema.faults:
            hint = f"{hint}; the schema itself has faults"
        return self._fault(
            field, "unknown-field", f"the stream {field.stream.name!r} has no field {field.name!r}", hint
        )

    def _wrong(self, whole: Expression, part: Expression, found: Kind, wanted: str, hint: str = "") -> ValueType | None:
        if not hint and found is Kind.BOOL and wanted == "a number":
            hint = "make a number of a condition by to_number()"
        return self._fault(
            whole,
            "wrong-type",
            f"{describe(whole)} needs {wanted}, but {describe(part)} is {_named(found)}",
            hint,
        )

    def _unary(self, unary: Unary) -> ValueType | None:
        found = self.infer(unary.operand)
        if found is None:
            return None
        if unary.op == "~":
            if found.kind is Kind.BOOL:
                return found
            return self._wrong(unary, unary.operand, found.kind, "a condition")
        if found.kind not in _NUMBERS:
            return self._wrong(unary, unary.operand, found.kind, "a number")
        return ValueType(found.kind, found.nullable or (self._overflows and found.kind is Kind.INT))

    def _binary(self, binary: Binary) -> ValueType | None:
        left, right = self.infer(binary.left), self.infer(binary.right)
        if left is None or right is None:
            return None
        nullable = left.nullable or right.nullable
        if binary.op in ARITHMETIC or binary.op in LOGIC:
            allowed, wanted = ((Kind.BOOL,), "a condition") if binary.op in LOGIC else (_NUMBERS, "a number")
            for part, found in ((binary.left, left), (binary.right, right)):
                if found.kind not in allowed:
                    return self._wrong(binary, part, found.kind, wanted)
            if binary.op in LOGIC:
                return ValueType(Kind.BOOL, nullable)
            kind = Kind.INT if left.kind is right.kind is Kind.INT and binary.op != "/" else Kind.FLOAT
            if binary.op == "/":
                fails = not (_is_nonzero(binary.right) and (left.kind is Kind.INT or not self._overflows))
            else:
                fails = self._overflows
            return ValueType(kind, nullable or fails)
        return self._comparison(binary, left, right)

    def _comparison(self, binary: Binary, left: ValueType, right: ValueType) -> ValueType | None:
        if not _comparable(left.kind, right.kind):
            return self._fault(
                binary,
                "wrong-type",
                f"{describe(binary)} compares {_named(left.kind)} with {_named(right.kind)}",
                "only values of one kind can be compared",
            )
        if binary.op not in ("==", "!=") and left.kind not in _ORDERED:
            return self._wrong(binary, binary.left, left.kind, "numbers or texts, which have an order")
        return ValueType(Kind.BOOL, left.nullable or right.nullable)

    def _constants(self, whole: Between | IsIn, operand: Expression, values: tuple[Scalar, ...]) -> ValueType | None:
        found = self.infer(operand)
        if found is None:
            return None
        if not values:
            return self._fault(whole, "wrong-type", f"{describe(whole)} is never true: there is no value to equal")
        for value in values:
            kind = _scalar_kind(value)
            if not _comparable(found.kind, kind):
                return self._fault(
                    whole,
                    "wrong-type",
                    f"{describe(whole)} compares {_named(found.kind)} with {_named(kind)} ({value!r})",
                )
        if isinstance(whole, Between) and found.kind not in _ORDERED:
            return self._wrong(whole, operand, found.kind, "numbers or texts, which have an order")
        return ValueType(Kind.BOOL, found.nullable)

    def _fallback(self, fallback: Fallback) -> ValueType | None:
        found, default = self.infer(fallback.operand), self.infer(fallback.default)
        if found is None or default is None:
            return None
        nullable = found.nullable and default.nullable
        if found.kind is default.kind:
            return ValueType(found.kind, nullable)
        if _comparable(found.kind, default.kind):
            return ValueType(Kind.FLOAT, nullable)
        return self._wrong(fallback, fallback.default, default.kind, f"{_named(found.kind)} to fall back to")

    def _call(self, call: Call) -> ValueType | None:
        found = [self.infer(argument) for argument in call.args]
        known = [each for each in found if each is not None]
        if len(known) < len(found):
            return None
        nullable = any(each.nullable for each in known)
        wanted, allowed = _ARGUMENTS.get(call.function, ("", ()))
        if not wanted:
            return self._fault(call, "bad-expression", f"there is no function {call.function!r}")
        for argument, each in zip(call.args, known, strict=True):
            if each.kind not in allowed:
                return self._wrong(call, argument, each.kind, wanted)
        all_int = all(each.kind is Kind.INT for each in known)
        match call.function:
            case "abs":
                return ValueType(known[0].kind, nullable or (self._overflows and all_int))
            case "minimum" | "maximum":
                return ValueType(Kind.INT if all_int else Kind.FLOAT, nullable)
            case "log1p" | "sqrt":
                return ValueType(Kind.FLOAT, nullable=True)
            case _:
                return ValueType(Kind.INT, nullable)

    def _aggregate(self, aggregate: Aggregate) -> ValueType | None:
        value = None
        if aggregate.value is not None:
            value = self.infer(aggregate.value)
            if value is None:
                return None
        if aggregate.function in ("count", "distinct"):
            return ValueType(Kind.INT, nullable=False)
        if value is None:
            return self._fault(aggregate, "bad-aggregate", f"{aggregate.function} needs a value to aggregate")
        if aggregate.function == "last":
            return ValueType(value.kind, nullable=True)
        allowed = _NUMBERS if aggregate.function in ("min", "max", "quantile") else _COUNTABLE
        if value.kind not in allowed and aggregate.value is not None:
            return self._wrong(aggregate, aggregate.value, value.kind, "a number")
        if aggregate.function == "sum":
            return ValueType(Kind.FLOAT, self._overflows)
        return ValueType(value.kind if aggregate.function in ("min", "max") else Kind.FLOAT, nullable=True)


_ARGUMENTS: dict[str, tuple[str, tuple[Kind, ...]]] = {
    "abs": ("a number", _NUMBERS),
    "log1p": ("a number", _NUMBERS),
    "sqrt": ("a number", _NUMBERS),
    "minimum": ("a number", _NUMBERS),
    "maximum": ("a number", _NUMBERS),
    "to_number": ("a condition", (Kind.BOOL,)),
    "hour_of": ("a time in milliseconds, which is an integer", (Kind.INT,)),
    "weekday_of": ("a time in milliseconds, which is an integer", (Kind.INT,)),
}


def _is_nonzero(divisor: Expression) -> bool:
    """Whether a divisor is known not to be zero (nor so small that an integer divided by it overflows)."""
    return isinstance(divisor, Literal) and isinstance(divisor.value, int | float) and abs(divisor.value) >= 1e-200


def _comparable(one: Kind, other: Kind) -> bool:
    return one is other or (one in _NUMBERS and other in _NUMBERS)


def _scalar_kind(value: Scalar) -> Kind:
    if isinstance(value, bool):
        return Kind.BOOL
    if isinstance(value, int):
        return Kind.INT
    if isinstance(value, float):
        return Kind.FLOAT
    return Kind.TEXT if isinstance(value, str) else Kind.BYTES


def _named(kind: Kind) -> str:
    return {
        Kind.BOOL: "a condition (boolean)",
        Kind.INT: "an integer",
        Kind.FLOAT: "a number",
        Kind.TEXT: "text",
        Kind.BYTES: "bytes",
    }[kind]
