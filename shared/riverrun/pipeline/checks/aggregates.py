"""Aggregates: their windows and parameters, and whether the entity exists on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from riverrun.pipeline.durations import YEAR_MS, format_duration
from riverrun.pipeline.expressions import HALF_LIFE_MS, QUANTILE, Aggregate, FieldRef
from riverrun.pipeline.pipeline import Pipeline
from riverrun.pipeline.problems import Problem
from riverrun.pipeline.schemas import Kind
from riverrun.pipeline.streams import Stream
from riverrun.pipeline.traversal import describe, walk

__all__ = ["check_aggregates"]

MAX_PANES: Final = 1_000
"""More panes than this cost more memory than a smoother window is worth."""

_ENTITY_KINDS: Final = (Kind.TEXT, Kind.INT, Kind.BOOL)


def check_aggregates(pipeline: Pipeline) -> Iterator[Problem]:
    """Check every aggregate of every feature."""
    for feature in pipeline.features.values():
        for aggregate in walk(feature):
            if isinstance(aggregate, Aggregate):
                yield from _check_window(aggregate)
                yield from _check_parameters(aggregate)
                yield from _check_value(aggregate)
                yield from _check_entity(pipeline, aggregate)


def _check_window(aggregate: Aggregate) -> Iterator[Problem]:
    window, panes, where = aggregate.window_ms, aggregate.panes, aggregate.location
    if window is None:
        if aggregate.function != "decayed_mean":
            yield Problem(
                "no-window",
                f"{describe(aggregate)} has no window",
                'say over which time, as .over("1h")',
                where,
            )
    elif aggregate.function == "decayed_mean":
        yield Problem(
            "bad-window",
            f"{describe(aggregate)} forgets by its half-life, not by a window",
            "drop .over()",
            where,
        )
    elif not 0 < window <= YEAR_MS:
        size = "empty" if window == 0 else "longer than a year"
        yield Problem("bad-window", f"the window of {describe(aggregate)} is {size}", "at most 366d", where)
    elif isinstance(panes, bool) or not isinstance(panes, int) or not 1 <= panes <= MAX_PANES:
        yield Problem("bad-window", f"{panes!r} panes cannot make a window", f"use 1 to {MAX_PANES}", where)
    elif window % panes:
        below = max((count for count in range(1, panes) if window % count == 0), default=1)
        yield Problem(
            "bad-window",
            f"a window of {format_duration(window)} does not divide into {panes} panes of whole milliseconds",
            f"panes={below} would",
            where,
        )


def _check_parameters(aggregate: Aggregate) -> Iterator[Problem]:
    for name, value in aggregate.params:
        if name == QUANTILE and not 0 <= value <= 1:
            yield Problem(
                "bad-quantile",
                f"there is no quantile {value!r}",
                "it lies between 0 and 1",
                aggregate.location,
            )
        if name == HALF_LIFE_MS and not 0 < value <= YEAR_MS:
            size = "zero" if value == 0 else "longer than a year"
            yield Problem("bad-window", f"the half-life is {size}", "at most 366d", aggregate.location)


def _check_value(aggregate: Aggregate) -> Iterator[Problem]:
    if aggregate.value is None:
        return
    for node in walk(aggregate.value):
        if isinstance(node, Aggregate):
            yield Problem(
                "misplaced-aggregate",
                f"{aggregate.function} aggregates an aggregate, {describe(node)}",
                "aggregate fields; combine aggregates by arithmetic",
                node.location or aggregate.location,
            )
        elif isinstance(node, FieldRef) and node.stream is not aggregate.stream:
            yield Problem(
                "several-streams",
                f"{describe(aggregate)} mixes the streams {aggregate.stream.name!r} and {node.stream.name!r}",
                "aggregate each by itself",
                node.location or aggregate.location,
            )


def _check_entity(pipeline: Pipeline, aggregate: Aggregate) -> Iterator[Problem]:
    for mine, theirs in aggregate.entity:
        fields = []
        for stream, name in ((aggregate.stream, mine), (pipeline.predict_on, theirs)):
            known = stream.field(name) if isinstance(name, str) else None
            if known is None:
                yield _unknown(aggregate, stream, name)
                continue
            fields.append(known)
            if known.kind not in _ENTITY_KINDS:
                yield Problem(
                    "by-type",
                    f"{stream.name}.{name} is {known.kind.value}, which cannot tell entities apart",
                    "aggregate by a text, an integer or a boolean",
                    aggregate.location,
                )
        if len(fields) == 2 and fields[0].kind is not fields[1].kind:
            yield Problem(
                "by-type",
                f"{aggregate.stream.name}.{mine} is {fields[0].kind.value}, but"
                f" {pipeline.predict_on.name}.{theirs} is {fields[1].kind.value}: they never equal",
                "aggregate by fields of the same type",
                aggregate.location,
            )


def _unknown(aggregate: Aggregate, stream: Stream, name: object) -> Problem:
    close = stream.suggestions(name) if isinstance(name, str) else []
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    return Problem(
        "unknown-field",
        f"{describe(aggregate)} needs a field {name!r} in the stream {stream.name!r}",
        f'{hint}where names differ, write .by(its_field="field of the event to predict on")',
        aggregate.location,
    )
