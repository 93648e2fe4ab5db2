"""Drift: what is to be watched must be there, and long enough to tell anything."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from riverrun.pipeline.drift import LEAST_WINDOW, PANES, Drift
from riverrun.pipeline.errors import ExpressionError
from riverrun.pipeline.pipeline import Pipeline
from riverrun.pipeline.problems import Problem
from riverrun.pipeline.schemas import Kind

__all__ = ["check_drift"]

_SEGMENTS = frozenset({Kind.BOOL, Kind.INT, Kind.TEXT})


def check_drift(pipeline: Pipeline) -> Iterator[Problem]:
    """Check the names and counts of ``drift=``."""
    drift = pipeline.drift
    if drift is None:
        return
    yield from _check_names(pipeline, drift)
    yield from _check_counts(drift)
    try:
        kinds = pipeline.feature_kinds
    except ExpressionError:
        return  # the feature is reported by itself
    for name in drift.segments:
        if name in kinds and kinds[name].kind not in _SEGMENTS:
            yield Problem(
                "bad-segment",
                f"drift is to be watched by {name!r}, which is {kinds[name].kind.value}: nearly every value is another",
                "segments are conditions, integers or text with few values",
                drift.location,
            )


def _check_names(pipeline: Pipeline, drift: Drift) -> Iterator[Problem]:
    for name in dict.fromkeys((*drift.segments, *(drift.features or ()))):
        if name not in pipeline.features:
            close = get_close_matches(name, pipeline.feature_names, n=3)
            yield Problem(
                "unknown-feature",
                f"drift is to be watched by {name!r}, which is no feature",
                f"did you mean {' or '.join(map(repr, close))}?" if close else "name features of the pipeline",
                drift.location,
            )


def _check_counts(drift: Drift) -> Iterator[Problem]:
    step = 2 * PANES
    if drift.window < LEAST_WINDOW or drift.window % step:
        yield Problem(
            "bad-count",
            f"drift's window is {drift.window} events",
            f"give a multiple of {step}, at least {LEAST_WINDOW}",
            drift.location,
        )
    elif drift.pinned is None and drift.reference < 2 * drift.window:
        yield Problem(
            "bad-count",
            f"drift's reference is {drift.reference} events, its window {drift.window}",
            "make it at least twice as long, better ten times: how much it varies by itself must be seen too",
            drift.location,
        )
    if drift.warm_up < 0:
        yield Problem("bad-count", f"drift's warm_up is {drift.warm_up}", "0 watches from the start", drift.location)
    if not 0.0 < drift.false_alarms <= 1_000.0:
        yield Problem(
            "bad-count",
            f"drift's false_alarms is {drift.false_alarms}",
            "it is how many are borne with in 100,000 events: more than 0",
            drift.location,
        )
