"""What JSON Schema can say of a pipeline's rules: those that hold one field against constants, which most do.

A rule that needs two fields, a function or an order of texts cannot be said there; the description tells of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from riverrun.pipeline.expressions import Between, Binary, Expression, FieldRef, IsIn, Literal, Scalar

__all__ = ["JsonSchema", "fitting", "limited", "limits_of"]

JsonSchema = dict[str, Any]

_BOUNDS: Final = {">=": "minimum", ">": "exclusiveMinimum", "<=": "maximum", "<": "exclusiveMaximum"}
_LOWER: Final = ("minimum", "exclusiveMinimum")


def limits_of(rules: Iterable[Expression]) -> dict[str, JsonSchema]:
    """Return what the rules say of single fields: schemas that a field's values must fit, by its name.

    A missing value breaks no rule, so each schema is for values that are there.
    """
    found: dict[str, JsonSchema] = {}
    for name, limit in _said(rules):
        found[name] = limited(found.get(name, {}), limit)
    return found


def _said(rules: Iterable[Expression]) -> Iterator[tuple[str, JsonSchema]]:
    for rule in rules:
        match rule:
            case Binary(op="&"):
                yield from _said((rule.left, rule.right))
            case Binary(left=FieldRef() as field, right=Literal() as constant):
                yield from _compared(field, rule.op, constant.value)
            case Between(operand=FieldRef() as field):
                yield from _compared(field, ">=", rule.low)
                yield from _compared(field, "<=", rule.high)
            case IsIn(operand=FieldRef() as field):
                yield field.name, {"enum": [_in_json(value) for value in rule.values]}
            case _:
                pass


def _compared(field: FieldRef, op: str, value: Scalar) -> Iterator[tuple[str, JsonSchema]]:
    if op in _BOUNDS and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield field.name, {_BOUNDS[op]: value}
    elif op == "==":
        yield field.name, {"enum": [_in_json(value)]}
    elif op == "!=":
        yield field.name, {"not": {"const": _in_json(value)}}


def _in_json(value: Scalar) -> bool | float | str:
    # Bytes as Avro's own JSON encoding writes them.
    return value.decode("latin-1") if isinstance(value, bytes) else value


def limited(schema: JsonSchema, limits: JsonSchema) -> JsonSchema:
    """Return a schema that also asks for what the limits do.

    Examples
    --------
    >>> limited({"type": "integer", "minimum": 0}, {"minimum": 5})
    {'type': 'integer', 'minimum': 5}
    >>> limited({"enum": ["a", "b"]}, {"enum": ["b", "c"]})
    {'enum': ['a', 'b'], 'allOf': [{'enum': ['b', 'c']}]}
    """
    found = dict(schema)
    for keyword, value in limits.items():
        if keyword not in found:
            found[keyword] = value
        elif keyword in _BOUNDS.values():
            found[keyword] = max(found[keyword], value) if keyword in _LOWER else min(found[keyword], value)
        else:
            found["allOf"] = [*found.get("allOf", ()), {keyword: value}]
    return found


def fitting(limits: JsonSchema, usual: Sequence[Any]) -> Any:
    """Return an example that fits limits: the first usual value that does, else one that the limits suggest.

    Examples
    --------
    >>> fitting({"exclusiveMinimum": 99.5}, [1]), fitting({"enum": ["b"]}, ["text"]), fitting({"maximum": 2}, [1.5])
    (100, 'b', 1.5)
    """
    bounds = [limits[keyword] for keyword in _BOUNDS.values() if keyword in limits]
    if isinstance(usual[0], int):
        suggested = [whole + step for bound in bounds for whole in (math.ceil(bound),) for step in (0, 1, -1)]
    else:
        suggested = [
            *bounds,
            *([math.fsum(bounds) / len(bounds)] if bounds else ()),
            *(bound + 1.0 for bound in bounds),
        ]
        suggested += [bound - 1.0 for bound in bounds]
    candidates = (*usual, *limits.get("enum", ()), *suggested)
    return next((value for value in candidates if _accepts(limits, value)), usual[0])


def _accepts(limits: JsonSchema, value: Any) -> bool:
    for keyword, bound in limits.items():
        match keyword:
            case "minimum":
                fits = value >= bound
            case "exclusiveMinimum":
                fits = value > bound
            case "maximum":
                fits = value <= bound
            case "exclusiveMaximum":
                fits = value < bound
            case "enum":
                fits = value in bound
            case "not":
                fits = value != bound["const"]
            case _:
                fits = all(_accepts(each, value) for each in bound)
        if not fits:
            return False
    return True
