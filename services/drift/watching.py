"""From a pipeline's ``drift=`` to the settings of its monitors."""

from __future__ import annotations

from math import inf
from typing import Final

from riverrun.drift.correction import level_of_test
from riverrun.drift.settings import Mode, MonitorSettings
from riverrun.pipeline import Drift, Pipeline
from riverrun.pipeline.drift import PANES, Sensitivity
from riverrun.pipeline.schemas import Kind

__all__ = ["monitor_settings", "watched_features"]

_FLOORS: Final[dict[Sensitivity, float]] = {"low": 0.25, "normal": 0.1, "high": 0.05}
_STAGES: Final = 2
"""Inputs and errors: each has half of the budget of false alarms."""


def monitor_settings(drift: Drift) -> tuple[MonitorSettings, MonitorSettings]:
    """Return how all records are watched, and how those of a segment."""
    return _settings(drift, 1), _settings(drift, 2)


def watched_features(pipeline: Pipeline, drift: Drift) -> dict[str, bool]:
    """Return the features to watch, in the vector's order, and for each whether it is a category."""
    kinds = pipeline.feature_kinds
    wanted = pipeline.feature_names if drift.features is None else drift.features
    categories = (Kind.BOOL, Kind.TEXT, Kind.BYTES)
    return {name: kinds[name].kind in categories for name in pipeline.feature_names if name in wanted}


def _settings(drift: Drift, part: int) -> MonitorSettings:
    window = drift.window // part
    # Each event is looked at by one monitor of all, and by one for each segment that it belongs to.
    families = _STAGES * (1 + len(drift.segments))
    pinned = drift.pinned_ms
    since, until = pinned if pinned is not None else (-inf, inf)
    return MonitorSettings(
        reference=drift.reference // part,
        window=window,
        panes=PANES,
        floor=_FLOORS[drift.sensitivity],
        level=level_of_test(drift.false_alarms, window // PANES, families),
        mode=Mode.PINNED if pinned is not None else Mode(drift.against),
        warm_up=drift.warm_up // part if pinned is None else 0,
        since=since,
        until=until,
    )
