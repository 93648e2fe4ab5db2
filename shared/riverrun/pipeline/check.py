"""Checking a pipeline before it runs: everything that is wrong, in words, with the line.

Import it from here; :mod:`riverrun.pipeline` does not, since the dry run of the models needs River.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from riverrun.pipeline.checks.aggregates import check_aggregates
from riverrun.pipeline.checks.alerts import check_alerts
from riverrun.pipeline.checks.drift import check_drift
from riverrun.pipeline.checks.duplicates import check_duplicates
from riverrun.pipeline.checks.expressions import check_expressions
from riverrun.pipeline.checks.joins import check_join
from riverrun.pipeline.checks.leakage import check_leakage
from riverrun.pipeline.checks.models import check_metrics, check_models
from riverrun.pipeline.checks.names import check_names
from riverrun.pipeline.checks.streams import check_streams
from riverrun.pipeline.errors import LoadError
from riverrun.pipeline.load import load
from riverrun.pipeline.pipeline import Pipeline
from riverrun.pipeline.problems import Problem, from_error

__all__ = ["Problem", "check", "check_file"]

_STATIC_CHECKS = (
    check_names,
    check_streams,
    check_expressions,
    check_aggregates,
    check_join,
    check_leakage,
    check_alerts,
    check_drift,
)


def check(pipeline: Pipeline) -> list[Problem]:
    """Return everything that is wrong with a pipeline, by file and line; empty if nothing is.

    The models are built and tried on a few made-up vectors, once the features and the label have a type.
    """
    problems = [problem for static in _STATIC_CHECKS for problem in static(pipeline)]
    problems += check_models(pipeline)
    problems += check_metrics(pipeline)
    return _sorted(problems)


def check_file(path: Path | str) -> list[Problem]:
    """Load a pipeline file and check its pipeline; that it cannot be loaded is a problem too."""
    try:
        pipeline = load(path)
    except LoadError as error:
        return [from_error(error)]
    return _sorted([*check_duplicates(Path(path).resolve()), *check(pipeline)])


def _sorted(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(dict.fromkeys(problems), key=lambda problem: problem.sort_key)
