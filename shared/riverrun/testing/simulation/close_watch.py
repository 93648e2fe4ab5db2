"""Drift in simulations: watched so closely that a dozen events are enough for it to be found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from riverrun.drift.settings import Mode, MonitorSettings
from riverrun.pipeline import Drift
from riverrun.runtime.stage import StageDefinition
from services import catalogue
from services.drift.wiring import drift_stages

__all__ = ["STAGES", "WATCHED", "closely"]

WATCHED: Final = Drift(features=("size",), segments=("busy",))
"""What is watched. A pipeline's own windows are too long for a simulation: see `closely`."""

_WRITE_EVERY: Final = 3
# Such a level lets through much that is chance: what is found need not be true here, only the same again.
_WHOLE: Final = MonitorSettings(reference=4, window=2, panes=2, floor=0.05, level=0.99, mode=Mode.RECENT)
_SEGMENT: Final = replace(_WHOLE, panes=1)


def closely(drift: Drift) -> tuple[MonitorSettings, MonitorSettings]:
    """Return how all records are watched, and how those of a segment: with windows of two records.

    The one moves on record by record, the other by two at a time: so each has something half full when it is stored.
    """
    del drift
    return _WHOLE, _SEGMENT


STAGES: Final[Mapping[str, StageDefinition]] = {
    **catalogue.STAGES,
    **{stage.name: stage for stage in drift_stages(closely, _WRITE_EVERY)},
}
"""All stages; those of drift watch closely, and store their states often."""
