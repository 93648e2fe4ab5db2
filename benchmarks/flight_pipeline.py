"""The flights example's pipeline, under a name of its own for each run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import examples.flights
from riverrun.pipeline import Pipeline, load

FRESH_EVERY: Final = 100
"""Examples between two publications of the models, where a separate scorer shall be fresh: at a thousand events a
second a third of a second. Chained, the scorer shares the learner's models.
"""
_FILE: Final = Path(examples.flights.__path__[0]) / "pipeline.py"


def flights_pipeline(name: str) -> Pipeline:
    """Return the example's pipeline under another name, and so with topics of its own.

    It does not watch for drift, as the bare sides that it is measured beside do not.
    """
    return replace(load(_FILE), name=name, drift=None)


def fresh_flights_pipeline(name: str) -> Pipeline:
    """Return the same, with models that are published more often."""
    return replace(flights_pipeline(name), snapshot_every=FRESH_EVERY)
