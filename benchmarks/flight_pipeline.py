"""The flights example's pipeline, under a name of its own for each run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import examples.flights
from riverrun.pipeline import Pipeline, load

_FILE: Final = Path(examples.flights.__path__[0]) / "pipeline.py"


def flights_pipeline(name: str) -> Pipeline:
    """Return the example's pipeline under another name, and so with topics of its own.

    It does not watch for drift, as the bare sides that it is measured beside do not.
    """
    return replace(load(_FILE), name=name, drift=None)
