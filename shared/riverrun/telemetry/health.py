"""How a service is: alive, ready, and what is wrong with it, in words that a program and a person can read."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from typing import Final, NamedTuple

from riverrun.errors import RiverrunError
from riverrun.records.topics import Kind
from riverrun.runtime.degradations import Condition, Degradation, degradation_of
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.worker import Worker

__all__ = ["Health", "HealthWatch", "Report"]

_LOG: Final = logging.getLogger("riverrun.health")
_EVERY_S: Final = 2.0
_STALLED_S: Final = 10.0
_HOPELESS_S: Final = 300.0
"""A worker that waits in one call for so long though Kafka answers will not come back: a restart mends it."""

_PROCESS: Final = ""
"""The place of what is wrong with the process as a whole."""


class Report(NamedTuple):
    """An answer: whether all is well, and the JSON document that says more."""

    well: bool
    document: dict[str, object]


class Health:
    """Tells of one worker. Any thread may ask; nothing waits for a server.

    Parameters
    ----------
    worker
        The worker.
    deployment
        Its pipeline, observer and clocks.
    """

    def __init__(self, worker: Worker, deployment: Deployment) -> None:
        self._worker = worker
        self._deployment = deployment

    def live(self) -> Report:
        """Tell whether the process is worth keeping: if not, restart it, which loses nothing."""
        if self._worker.ended:
            return Report(well=False, document={"live": False, "why": "the worker has ended"})
        still = self.still_s()
        away = any(each.what is Degradation.KAFKA_AWAY for each in self._deployment.observer.conditions.current())
        if still >= _HOPELESS_S and not away:
            return Report(
                well=False, document={"live": False, "why": f"the worker has not come round for {still:.0f} s"}
            )
        return Report(well=True, document={"live": True})

    def still_s(self) -> float:
        """Return for how long the worker has not come round, in seconds."""
        return max(0.0, self._deployment.clocks.monotonic() - self._worker.came_round)

    def ready(self) -> Report:
        """Tell whether the service does all that it should; if not, what is degraded, and what still works."""
        conditions = self._deployment.observer.conditions.current()
        state = self._state(conditions)
        partitions = self._worker.partitions()
        document: dict[str, object] = {
            "ready": state == "ready",
            "state": state,
            "pipeline": self._deployment.pipeline.name,
            "chains": {chain: list(numbers) for chain, numbers in partitions.items()},
            "degraded": [_told(each) for each in conditions],
        }
        return Report(state == "ready", document)

    def _state(self, conditions: tuple[Condition, ...]) -> str:
        if self._worker.ended:
            return "ended"
        if not self._worker.joined:
            return "starting"
        return "degraded" if conditions else "ready"


def _told(condition: Condition) -> dict[str, str]:
    what = condition.what
    return {
        "what": what.value,
        "where": condition.where,
        "since": datetime.fromtimestamp(condition.since, UTC).isoformat(timespec="seconds"),
        "means": what.explanation,
        "why": condition.why,
        "still": what.still,
        "advice": what.advice,
    }


class HealthWatch:
    """Looks after what a worker cannot tell itself: that it waits in one call, and that Kafka is away while it idles.

    Parameters
    ----------
    health
        Of the worker.
    worker, deployment
        The worker and what it works with.
    """

    def __init__(self, health: Health, worker: Worker, deployment: Deployment) -> None:
        self._health = health
        self._worker = worker
        self._deployment = deployment
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="riverrun-health-watch", daemon=True)

    def start(self) -> None:
        """Begin to look, every other second."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; a look that waits for Kafka is not waited for."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            self.look()

    def look(self) -> None:
        """Look once."""
        found = self._stalled() | self._kafka()
        self._deployment.observer.conditions.replace(_PROCESS, "watch", found, self._deployment.clocks.wall())

    def _stalled(self) -> dict[Degradation, str]:
        still = self._health.still_s()
        if still < _STALLED_S:
            return {}
        steps = ", ".join(f"{task.instruments.where} is {task.step}" for task in self._worker.tasks())
        return {Degradation.STALLED: f"not come round for {still:.0f} s: {steps or 'no partition is worked on'}"}

    def _kafka(self) -> dict[Degradation, str]:
        deployment = self._deployment
        try:
            deployment.log.partitions(deployment.topology.names[Kind.PROGRESS])
        except RiverrunError as error:
            _LOG.debug("Kafka does not answer: %s", error)
            return {degradation_of(error): str(error)}
        return {}
