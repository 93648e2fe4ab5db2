"""Names and counts: what must be unique, well formed and in range."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from riverrun.pipeline.durations import YEAR_MS
from riverrun.pipeline.model import Model
from riverrun.pipeline.pipeline import RESERVED_FEATURE_NAMES, Pipeline
from riverrun.pipeline.problems import Problem
from riverrun.pipeline.traversal import location_of

__all__ = ["PIPELINE_NAME", "check_names"]

PIPELINE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
"""What a pipeline or a model may be called: part of topics' names, paths and keys."""

_FEATURE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def check_names(pipeline: Pipeline) -> Iterator[Problem]:
    """Check the names of the pipeline, its features and models, and its counts and durations."""
    if not PIPELINE_NAME.fullmatch(pipeline.name):
        yield Problem(
            "bad-name",
            f"{pipeline.name!r} is no name for a pipeline",
            "use letters, digits, dashes and underscores, 100 at most: topics are called after it",
            pipeline.location,
        )
    yield from _check_features(pipeline)
    models: dict[str, Model] = {}
    for model in pipeline.models:
        if not PIPELINE_NAME.fullmatch(model.name):
            yield Problem(
                "bad-name",
                f"{model.name!r} is no name for a model",
                "use letters, digits, dashes and underscores",
                model.location,
            )
        if models.setdefault(model.name, model) is not model or pipeline.models.count(model) > 1:
            yield Problem("duplicate-model", f"two models are called {model.name!r}", "rename one", model.location)
    yield from _check_numbers(pipeline)


def _check_features(pipeline: Pipeline) -> Iterator[Problem]:
    if not pipeline.features:
        yield Problem("no-features", "the pipeline has no features", "declare at least one", pipeline.location)
    for name, expression in pipeline.features.items():
        where = location_of(expression) or pipeline.location
        if not isinstance(name, str) or not _FEATURE.fullmatch(name):
            yield Problem(
                "bad-name",
                f"{name!r} is no name for a feature",
                "it becomes a field of an Avro record: letters, digits and underscores, no digit first",
                where,
            )
        elif name in RESERVED_FEATURE_NAMES:
            yield Problem(
                "reserved-name",
                f"no feature can be called {name!r}: every vector has a field of that name",
                f"taken are {', '.join(RESERVED_FEATURE_NAMES)}",
                where,
            )


def _check_numbers(pipeline: Pipeline) -> Iterator[Problem]:
    if pipeline.snapshot_every < 1:
        yield Problem(
            "bad-count",
            f"snapshot_every is {pipeline.snapshot_every}",
            "learn at least one example between two snapshots",
            pipeline.location,
        )
    for what, length, where in (
        ("dedupe", pipeline.dedupe_ms, pipeline.location),
        ("the label's wait", pipeline.label.wait_ms, pipeline.label.location),
    ):
        if not 0 < length <= YEAR_MS:
            yield Problem(
                "bad-duration",
                f"{what} is {'zero' if length == 0 else 'longer than a year'}",
                "what is remembered that long takes memory: choose a time between 1ms and 366d",
                where,
            )
