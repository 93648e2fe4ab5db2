"""The demo's drift: its two stages work in a process of their own, and catch up while the promises are checked.

In the replay's chain they would take a tenth of its time; nobody waits for what they find.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from examples.flights.children import Child, start_stages, wait_for
from riverrun.launch.survey import survey
from riverrun.runtime.deployment import Deployment

_STAGES: Final = ("drift-inputs", "drift-errors")


class DriftRun:
    """The drift stages at work on what the demo's pipeline has left."""

    def __init__(self, deployment: Deployment, child: Child) -> None:
        self._deployment = deployment
        self._child = child

    def finish(self) -> float:
        """Wait until everything is folded; return the most memory it took, in MiB.

        Raises
        ------
        RiverrunError
            If the process ends, or makes no progress.
        """
        wait_for(
            lambda: self._is_done() or None, self._child, what="the drift process", see="drift.log in the demo's folder"
        )
        return self._child.peak_mb

    def _is_done(self) -> bool:
        self._child.memory_mb()
        stages = {each.stage: each.lag for each in survey(self._deployment).stages}
        return all(stages.get(stage) == 0 for stage in _STAGES)


@contextmanager
def running_drift(deployment: Deployment, file: Path, environment: Mapping[str, str], log: Path) -> Iterator[DriftRun]:
    """Run the drift stages of a pipeline file."""
    with start_stages("drift stages", file, _STAGES, environment, log) as child:
        yield DriftRun(deployment, child)
