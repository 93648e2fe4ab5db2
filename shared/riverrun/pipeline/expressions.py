"""Expressions over the fields of events: what rules, features and labels are written in.

An expression is a small immutable tree. Python's operators build it, nothing is computed: the same tree is
type checked before anything runs (:mod:`riverrun.pipeline.kinds`), becomes a closure for the stream
(:mod:`riverrun.pipeline.compiling`) and can be translated for a batch engine. Its meaning is therefore fixed
here, and is that of SQL where the two could differ:

- A missing value (None) makes the result missing; ``&`` and ``|`` use three-valued logic.
- ``/`` is true division. What has no finite result (a division by zero, a square root of a negative number,
  an overflow of 64-bit integers or of doubles) is missing.
- ``==`` builds an expression. Two trees are the same if ``describe`` (:mod:`riverrun.pipeline.traversal`)
  says the same of both.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from riverrun.pipeline.durations import Duration, parse_duration
from riverrun.pipeline.errors import DefinitionError
from riverrun.pipeline.locations import Location

if TYPE_CHECKING:
    from riverrun.pipeline.streams import Stream

__all__ = [
    "ARITHMETIC",
    "COMPARISONS",
    "DEFAULT_PANES",
    "HALF_LIFE_MS",
    "INT64_MAX",
    "INT64_MIN",
    "LOGIC",
    "QUANTILE",
    "Aggregate",
    "AggregateFunction",
    "Between",
    "Binary",
    "Call",
    "Expression",
    "Fallback",
    "FieldRef",
    "IsIn",
    "IsMissing",
    "Literal",
    "Operand",
    "Scalar",
    "Unary",
    "as_expression",
    "as_scalar",
]

Scalar = bool | int | float | str | bytes
"""A constant in an expression."""

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

ARITHMETIC: Final = frozenset({"+", "-", "*", "/"})
COMPARISONS: Final = frozenset({"<", "<=", ">", ">=", "==", "!="})
LOGIC: Final = frozenset({"&", "|"})

DEFAULT_PANES: Final = 12
"""The number of panes of a window, where the pipeline says nothing else."""

HALF_LIFE_MS: Final = "half_life_ms"
QUANTILE: Final = "q"

AggregateFunction = typing.Literal[
    "count", "sum", "mean", "variance", "min", "max", "last", "distinct", "quantile", "decayed_mean"
]


class Expression:
    """A value that is computed from an event's fields; see the module for what the operators mean."""

    __slots__ = ()

    def __add__(self, other: Operand) -> Expression:
        return Binary("+", self, as_expression(other))

    def __radd__(self, other: Operand) -> Expression:
        return Binary("+", as_expression(other), self)

    def __sub__(self, other: Operand) -> Expression:
        return Binary("-", self, as_expression(other))

    def __rsub__(self, other: Operand) -> Expression:
        return Binary("-", as_expression(other), self)

    def __mul__(self, other: Operand) -> Expression:
        return Binary("*", self, as_expression(other))

    def __rmul__(self, other: Operand) -> Expression:
        return Binary("*", as_expression(other), self)

    def __truediv__(self, other: Operand) -> Expression:
        return Binary("/", self, as_expression(other))

    def __rtruediv__(self, other: Operand) -> Expression:
        return Binary("/", as_expression(other), self)

    def __neg__(self) -> Expression:
        return Unary("-", self)

    def __abs__(self) -> Expression:
        return Call("abs", (self,))

    def __lt__(self, other: Operand) -> Expression:
        return Binary("<", self, as_expression(other))

    def __le__(self, other: Operand) -> Expression:
        return Binary("<=", self, as_expression(other))

    def __gt__(self, other: Operand) -> Expression:
        return Binary(">", self, as_expression(other))

    def __ge__(self, other: Operand) -> Expression:
        return Binary(">=", self, as_expression(other))

    # `object` promises a bool here, so the only honest type that a checker accepts for these two is Any.
    def __eq__(self, other: object) -> Any:
        return Binary("==", self, as_expression(other))

    def __ne__(self, other: object) -> Any:
        return Binary("!=", self, as_expression(other))

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __and__(self, other: Operand) -> Expression:
        return Binary("&", self, as_expression(other))

    def __rand__(self, other: Operand) -> Expression:
        return Binary("&", as_expression(other), self)

    def __or__(self, other: Operand) -> Expression:
        return Binary("|", self, as_expression(other))

    def __ror__(self, other: Operand) -> Expression:
        return Binary("|", as_expression(other), self)

    def __invert__(self) -> Expression:
        return Unary("~", self)

    def __bool__(self) -> bool:
        raise DefinitionError(
            "an expression has no value while the pipeline is being defined, so it is neither true nor false",
            hint="combine conditions by & | ~ instead of and, or, not; write x.between(a, b) instead of"
            " a < x < b, x.is_in([...]) instead of in, minimum and maximum instead of min and max",
            code="expression-as-bool",
        )

    def between(self, low: Operand, high: Operand) -> Expression:
        """Return whether the value lies between ``low`` and ``high``, both included."""
        if isinstance(low, Expression) or isinstance(high, Expression):
            return (self >= low) & (self <= high)
        return Between(self, as_scalar(low), as_scalar(high))

    def is_in(self, values: Collection[Scalar]) -> Expression:
        """Return whether the value is one of ``values``."""
        if isinstance(values, str | bytes):
            raise DefinitionError(
                f"is_in({values!r}) would look for single characters",
                hint=f"write is_in([{values!r}])",
                code="bad-literal",
            )
        return IsIn(self, tuple(dict.fromkeys(as_scalar(value) for value in values)))

    def is_missing(self) -> Expression:
        """Return whether the value is missing; this is never missing itself."""
        return IsMissing(self)

    def fallback(self, default: Operand) -> Expression:
        """Return the value, or ``default`` where it is missing."""
        return Fallback(self, as_expression(default))


Operand = Expression | Scalar
"""What may stand on either side of an operator."""


@dataclass(frozen=True, slots=True, eq=False)
class Literal(Expression):
    """A constant."""

    value: Scalar


@dataclass(frozen=True, slots=True, eq=False)
class FieldRef(Expression):
    """A field of a stream's events, whether or not the schema has it (the check tells)."""

    stream: Stream
    name: str
    location: Location | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Unary(Expression):
    """``-`` of a number or ``~`` of a condition."""

    op: str
    operand: Expression


@dataclass(frozen=True, slots=True, eq=False)
class Binary(Expression):
    """An operator of :data:`ARITHMETIC`, :data:`COMPARISONS` or :data:`LOGIC` between two expressions."""

    op: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True, eq=False)
class Call(Expression):
    """One of the functions of :mod:`riverrun.pipeline.functions`, by name."""

    function: str
    args: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Between(Expression):
    """Whether a value lies between two constants, both included."""

    operand: Expression
    low: Scalar
    high: Scalar


@dataclass(frozen=True, slots=True, eq=False)
class IsIn(Expression):
    """Whether a value is one of some constants."""

    operand: Expression
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, eq=False)
class IsMissing(Expression):
    """Whether a value is missing."""

    operand: Expression


@dataclass(frozen=True, slots=True, eq=False)
class Fallback(Expression):
    """A value, or another where it is missing."""

    operand: Expression
    default: Expression


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate(Expression):
    """An aggregate of a stream for an entity, over a window of event time.

    Made by the functions of :mod:`riverrun.pipeline.aggregates`, which says what each means.

    Attributes
    ----------
    function : str
        What is computed.
    value : Expression or None
        What is aggregated, over fields of ``stream``; None when events are counted.
    stream : Stream
        Whose events are folded.
    entity : tuple of (str, str)
        The entity: pairs of a field of ``stream`` and the field of the events to predict on that it must
        equal. Empty for one aggregate over all events.
    window_ms : int or None
        Length of the window in milliseconds. Only ``decayed_mean`` has none.
    panes : int
        The number of panes that the window consists of.
    params : tuple of (str, float)
        ``q`` of a quantile (0 to 1), ``half_life_ms`` of a decayed mean.
    location : Location or None
        Where it was written.
    """

    function: AggregateFunction
    value: Expression | None
    stream: Stream
    entity: tuple[tuple[str, str], ...] = ()
    window_ms: int | None = None
    panes: int = DEFAULT_PANES
    params: tuple[tuple[str, float], ...] = ()
    location: Location | None = None

    def by(self, *fields: str, **pairs: str) -> Aggregate:
        """Return the same aggregate, kept for each entity by itself.

        Parameters
        ----------
        *fields : str
            Fields that both the aggregated stream and the events to predict on have.
        **pairs : str
            Fields of other names: ``dest="origin"`` is the entity whose events have it as ``dest``, looked
            up by the ``origin`` of the event to predict on.

        Raises
        ------
        DefinitionError
            If something else than a field's name is given.
        """
        names: tuple[object, ...] = (*fields, *pairs.values())
        for given in names:
            if not isinstance(given, str):
                field = f"the field {given.stream.name}.{given.name} itself" if isinstance(given, FieldRef) else ""
                raise DefinitionError(
                    f"by() takes names of fields, not {field or repr(given)}",
                    hint='write .by("origin"), or .by(dest="origin") where the names differ',
                    code="bad-aggregate",
                )
        return replace(self, entity=(*((name, name) for name in fields), *pairs.items()))

    def over(self, window: Duration, *, panes: int = DEFAULT_PANES) -> Aggregate:
        """Return the same aggregate over a window of event time, in ``panes`` panes of equal length.

        More panes let the window slide more smoothly and cost memory: a pane's worth of events leaves at
        once.
        """
        return replace(self, window_ms=parse_duration(window), panes=panes)


def as_scalar(value: object) -> Scalar:
    """Return ``value`` if it can be a constant.

    Raises
    ------
    DefinitionError
        If it is None, not of a type that an event's field can have, not finite, or beyond 64 bits.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise DefinitionError(f"{value!r} is not finite, so no value can equal it", code="bad-literal")
    if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
        raise DefinitionError(f"{value!r} does not fit into 64 bits", code="bad-literal")
    if isinstance(value, bool | int | float | str | bytes):
        return value
    if value is None:
        raise DefinitionError(
            "nothing equals or follows None",
            hint="ask for a missing value by x.is_missing()",
            code="bad-literal",
        )
    raise DefinitionError(
        f"{value!r} ({type(value).__name__}) can be no part of an expression",
        hint="use a field, a number, a text, bytes or a boolean",
        code="bad-literal",
    )


def as_expression(value: object) -> Expression:
    """Return an expression as it is and a constant as a :class:`Literal`.

    Raises
    ------
    DefinitionError
        As :func:`as_scalar`.
    """
    return value if isinstance(value, Expression) else Literal(as_scalar(value))
