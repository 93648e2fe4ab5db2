"""Types: what rules, features and the label compute, and from what they may."""

from __future__ import annotations

import math
from collections.abc import Iterator

from riverrun.pipeline.expressions import Aggregate, Expression, FieldRef
from riverrun.pipeline.kinds import kind_of, type_faults
from riverrun.pipeline.locations import Location
from riverrun.pipeline.pipeline import Pipeline
from riverrun.pipeline.problems import Problem, from_error
from riverrun.pipeline.schemas import Kind
from riverrun.pipeline.streams import Stream
from riverrun.pipeline.traversal import aggregates_in, describe, fields_in, location_of, walk

__all__ = ["check_expressions"]


def check_expressions(pipeline: Pipeline) -> Iterator[Problem]:
    """Check the types of all rules, features and the label, and which streams they refer to."""
    for number, rule in enumerate(pipeline.rules, 1):
        yield from _check_rule(f"rule {number}", rule, pipeline.location)
    for name, feature in pipeline.features.items():
        yield from _check_feature(name, feature, pipeline)
    yield from _check_label(pipeline)


def _not_an_expression(what: str, value: object, where: Location | None) -> Problem:
    return Problem(
        "not-an-expression",
        f"{what} is {value!r}, not an expression",
        'a field that is named like a setting of Stream (name, topic, ...) is written stream["name"]',
        where,
    )


def _types(expression: Expression, fallback: Location | None) -> Iterator[Problem]:
    for fault in type_faults(expression):
        yield from_error(fault, fallback)


def _streams_in(expression: Expression) -> list[Stream]:
    found = {id(node.stream): node.stream for node in walk(expression) if isinstance(node, FieldRef | Aggregate)}
    return list(found.values())


def _check_row(what: str, expression: Expression, where: Location | None) -> Iterator[Problem]:
    """Check what must be computable from one event alone: a rule or a label."""
    for aggregate in aggregates_in(expression):
        yield Problem(
            "misplaced-aggregate",
            f"{what} has the aggregate {describe(aggregate)}, but must be told by one event",
            "aggregates may stand in features only",
            aggregate.location or where,
        )
    streams = _streams_in(expression)
    if not streams:
        yield Problem("constant", f"{what} refers to no field, so it is always the same", "", where)
    elif len(streams) > 1:
        names = ", ".join(sorted(repr(stream.name) for stream in streams))
        yield Problem("several-streams", f"{what} mixes the streams {names}", "an event is of one stream only", where)


def _check_rule(what: str, rule: object, fallback: Location | None) -> Iterator[Problem]:
    if not isinstance(rule, Expression):
        yield _not_an_expression(what, rule, fallback)
        return
    where = location_of(rule) or fallback
    yield from _check_row(what, rule, where)
    faults = list(_types(rule, where))
    yield from faults
    if not faults and kind_of(rule).kind is not Kind.BOOL:
        yield Problem(
            "rule-not-boolean",
            f"{what}, {describe(rule)}, is {kind_of(rule).kind.value}, not a condition",
            "compare it with something, for instance by .between(low, high)",
            where,
        )


def _check_feature(name: str, feature: object, pipeline: Pipeline) -> Iterator[Problem]:
    if not isinstance(feature, Expression):
        yield _not_an_expression(f"the feature {name!r}", feature, pipeline.location)
        return
    where = location_of(feature) or pipeline.location
    faults = list(_types(feature, where))
    yield from faults
    if not faults and kind_of(feature).kind is Kind.BYTES:
        yield Problem(
            "feature-of-bytes",
            f"the feature {name!r} is bytes, which no model can use",
            "leave it out",
            where,
        )
    if not _streams_in(feature):
        yield Problem("constant", f"the feature {name!r} refers to no field, so it is always the same", "", where)
    for field in fields_in(feature):
        if field.stream is not pipeline.predict_on and field.stream not in _streams_in(pipeline.label.value):
            yield Problem(
                "foreign-field",
                f"the feature {name!r} reads {describe(field)}, but the event to predict on is of"
                f" {pipeline.predict_on.name!r}",
                f"aggregate the other stream's events: last({describe(field)}).by(...).over(...)",
                field.location or where,
            )


def _check_label(pipeline: Pipeline) -> Iterator[Problem]:
    label = pipeline.label
    where = location_of(label.value) or label.location
    yield from _check_row("the label", label.value, where)
    faults = list(_types(label.value, where))
    yield from faults
    if faults:
        return
    kind = kind_of(label.value).kind
    if kind not in (Kind.BOOL, Kind.INT, Kind.FLOAT):
        yield Problem(
            "label-type",
            f"the label {describe(label.value)} is {kind.value}",
            "predict a condition (arrived.arr_delay > 15) or a number (arrived.arr_delay)",
            where,
        )
    elif label.otherwise is not None and isinstance(label.otherwise, bool) is not (kind is Kind.BOOL):
        wanted = "True or False" if kind is Kind.BOOL else "a number"
        yield Problem(
            "label-otherwise", f"otherwise= is {label.otherwise!r}", f"this label is {wanted}", label.location
        )
    elif isinstance(label.otherwise, float) and not math.isfinite(label.otherwise):
        yield Problem("label-otherwise", "otherwise= is not finite", "give a number", label.location)
