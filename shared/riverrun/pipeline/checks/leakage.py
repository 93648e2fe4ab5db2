"""Leakage: features that could tell the label, so that a model looks good and is useless.

A vector is taken when the event to predict on comes, and holds what came before it. So what leaks is what
the event itself says, and what an event says that comes before it although it tells its outcome (it may:
producers are late and out of order). The rules, with E the event to predict on, and the label stream the one
whose fields the label reads:

``leak-label-stream-field`` (error)
    A feature reads a field of the label stream, which is not E's: that event is not known yet when E comes.
``leak-label-field`` (error)
    E itself brings the label, and a feature reads a field that the label reads. Aggregates of such fields are
    fine: they hold earlier events only.
``leak-own-label`` (error)
    A feature aggregates the label stream for an entity that includes E's id, or the join field unless the
    label is declared ``recurring``: that entity's only label event is E's own. If it comes in order, the
    feature is empty; if it comes before E, the feature is the label.
``label-in-same-event`` (warning)
    E itself brings the label. That is right for a benchmark, or where the producer knows it later; else
    there is nothing to predict.
``same-name-as-label`` (warning)
    A feature reads a field of E that is called like one that the label reads.
``identifier-feature`` (warning)
    A feature reads E's id, or a join field that does not recur: a model would learn it by heart.
``entity-too-fine`` (warning)
    An aggregate's entity includes an event's id or time: every entity is seen once.

An aggregate of the label stream for a coarser entity (an airport's delays) is no leak: at the time of E it
holds other events' outcomes, as they were known then.
"""

from __future__ import annotations

from collections.abc import Iterator

from riverrun.pipeline.errors import DefinitionError
from riverrun.pipeline.expressions import Aggregate, FieldRef
from riverrun.pipeline.pipeline import Pipeline
from riverrun.pipeline.problems import Problem
from riverrun.pipeline.streams import Stream
from riverrun.pipeline.traversal import aggregates_in, describe, fields_in

__all__ = ["check_leakage"]


def check_leakage(pipeline: Pipeline) -> Iterator[Problem]:
    """Look for features that could tell the label; the module says by which rules."""
    try:
        label_stream = pipeline.label_stream
    except DefinitionError:
        return  # a constant label is reported as such
    if label_stream is pipeline.predict_on:
        yield Problem(
            "label-in-same-event",
            f"the label is told by the very event to predict on, {label_stream.name!r}",
            "right for a benchmark; else take the label from the event that comes later",
            pipeline.label.location,
            "warning",
        )
    for name, feature in pipeline.features.items():
        for field in fields_in(feature):
            yield from _check_field(pipeline, label_stream, name, field)
        for aggregate in aggregates_in(feature):
            yield from _check_aggregate(pipeline, label_stream, name, aggregate)


def _check_field(pipeline: Pipeline, label_stream: Stream, feature: str, field: FieldRef) -> Iterator[Problem]:
    predict_on, label = pipeline.predict_on, pipeline.label
    where = field.location or pipeline.location
    if field.stream is not predict_on:
        if field.stream is label_stream:
            yield Problem(
                "leak-label-stream-field",
                f"the feature {feature!r} reads {describe(field)}, but the label's event is not known when"
                f" {predict_on.name!r} is predicted on",
                "leave it out, or aggregate earlier events of a coarser entity",
                where,
            )
        return
    told = {each.name for each in fields_in(label.value)}
    if field.name in told and label_stream is predict_on:
        yield Problem(
            "leak-label-field",
            f"the feature {feature!r} reads {describe(field)}, which the label is made of",
            "leave it out: it is the answer",
            where,
        )
    elif field.name in told:
        yield Problem(
            "same-name-as-label",
            f"the feature {feature!r} reads {describe(field)}, which is called like a field of the label",
            "make sure that it is known at that time and not the outcome itself",
            where,
            "warning",
        )
    if field.name == predict_on.id_field or (field.name == label.join and not label.recurring):
        yield Problem(
            "identifier-feature",
            f"the feature {feature!r} reads {describe(field)}, which is different for every prediction",
            "leave it out: a model would learn it by heart",
            where,
            "warning",
        )


def _check_aggregate(pipeline: Pipeline, label_stream: Stream, feature: str, aggregate: Aggregate) -> Iterator[Problem]:
    predict_on, label = pipeline.predict_on, pipeline.label
    looked_up = {theirs for _, theirs in aggregate.entity}
    own = {predict_on.id_field} | (set() if label.recurring else {label.join})
    where = aggregate.location or pipeline.location
    if aggregate.stream is label_stream and label_stream is not predict_on and looked_up & own:
        field = min(looked_up & own)
        hint = "aggregate by something coarser"
        if field == label.join:
            hint += f"; if many predictions share a {field}, declare Label(..., recurring=True)"
        yield Problem(
            "leak-own-label",
            f"the feature {feature!r} aggregates the label's stream by {field!r}: it is the label itself if"
            " that comes first, and else empty",
            hint,
            where,
        )
        return
    stream = aggregate.stream
    fine = {mine for mine, _ in aggregate.entity} & {stream.id_field, stream.time_field}
    fine |= looked_up & {predict_on.id_field, predict_on.time_field}
    if fine:
        yield Problem(
            "entity-too-fine",
            f"the feature {feature!r} aggregates by {min(fine)!r}, which is different for every event",
            "aggregate by something that recurs",
            where,
            "warning",
        )
