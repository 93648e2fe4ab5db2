"""The aggregates a feature can be made of.

Each function gives an :class:`~riverrun.pipeline.expressions.Aggregate`; say for which entity by ``.by()``
and over which window of event time by ``.over()``:

    mean(departed.dep_delay).by("origin").over("1h").fallback(0.0)

For an event to predict on at time ``t`` it is what all events that came before it in the pipeline's
``events`` topic amount to, in the panes of event time up to and including that of ``t``; a pane is
``window / panes`` long. An event of the aggregated stream itself counts only after its own vector was taken.
Missing values are left out. An aggregate of nothing is missing; a count, a distinct count and a sum of
nothing are 0.
"""

from __future__ import annotations

from typing import Final

from riverrun.pipeline.durations import Duration, parse_duration
from riverrun.pipeline.errors import DefinitionError
from riverrun.pipeline.expressions import (
    HALF_LIFE_MS,
    QUANTILE,
    Aggregate,
    AggregateFunction,
    Expression,
    FieldRef,
)
from riverrun.pipeline.locations import caller_location
from riverrun.pipeline.streams import Stream
from riverrun.pipeline.traversal import walk

__all__ = [
    "count",
    "decayed_mean",
    "distinct",
    "last",
    "max_",
    "mean",
    "min_",
    "quantile",
    "sum_",
    "variance",
]

_EXAMPLE: Final = 'write for instance mean(departed.dep_delay), or stream["name"] for a field named as a setting is'


def count(what: Stream | Expression) -> Aggregate:
    """Count a stream's events, or those in which an expression is not missing. 0 when there are none."""
    if isinstance(what, Stream):
        return Aggregate("count", None, what, location=caller_location())
    return _aggregate("count", what)


def sum_(value: Expression) -> Aggregate:
    """Add up numbers, or count how often a condition held. 0.0 when there are none."""
    return _aggregate("sum", value)


def mean(value: Expression) -> Aggregate:
    """Average numbers, or tell the share of events in which a condition held."""
    return _aggregate("mean", value)


def variance(value: Expression) -> Aggregate:
    """Return the population variance of numbers (0.0 for a single one)."""
    return _aggregate("variance", value)


def min_(value: Expression) -> Aggregate:
    """Return the smallest number."""
    return _aggregate("min", value)


def max_(value: Expression) -> Aggregate:
    """Return the greatest number."""
    return _aggregate("max", value)


def last(value: Expression) -> Aggregate:
    """Return the value (of any kind) with the greatest event time; of equal times, the later update."""
    return _aggregate("last", value)


def distinct(value: Expression) -> Aggregate:
    """Estimate how many different values (of any kind) there were, as a whole number; 0 for none."""
    return _aggregate("distinct", value)


def quantile(value: Expression, q: float) -> Aggregate:
    """Estimate the quantile ``q`` (between 0 and 1) of numbers."""
    return _aggregate("quantile", value, (QUANTILE, float(q)))


def decayed_mean(value: Expression, half_life: Duration) -> Aggregate:
    """Average numbers, each weighted by ``2 ** -(age / half_life)``: all of the past, without a window."""
    return _aggregate("decayed_mean", value, (HALF_LIFE_MS, float(parse_duration(half_life))))


def _aggregate(function: AggregateFunction, value: Expression, *params: tuple[str, float]) -> Aggregate:
    if not isinstance(value, Expression):
        raise DefinitionError(f"{function} aggregates a field, not {value!r}", hint=_EXAMPLE, code="bad-aggregate")
    for node in walk(value):
        if isinstance(node, FieldRef):
            return Aggregate(function, value, node.stream, params=params, location=caller_location())
    raise DefinitionError(f"{function} aggregates a constant", hint=_EXAMPLE, code="bad-aggregate")
