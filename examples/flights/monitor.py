"""Follows the demo's pipeline from outside, by its log: progress in event time, quality, and how predictions ended."""

from __future__ import annotations

from collections.abc import Mapping

from examples.flights.baselines import STATIC_FEATURES
from examples.flights.children import Child
from examples.flights.display import Moment
from examples.flights.outcomes import OutcomeReader, Outcomes
from riverrun.records.items import Evaluation
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment

_WAIT_S = 0.05


class Monitor:
    """Reads ``evaluations`` and ``examples`` as they grow.

    Parameters
    ----------
    deployment
        The pipeline, with one partition.
    total
        How many messages there will be.
    """

    def __init__(self, deployment: Deployment, total: int) -> None:
        self._deployment = deployment
        self._total = total
        self._wire = deployment.wire
        self._evaluations = deployment.log.reader(deployment.topology.names[Kind.EVALUATIONS], 0, 0)
        self._outcomes = OutcomeReader(deployment, STATIC_FEATURES)
        self._quality: dict[str, Mapping[str, float]] = {}
        self._time = 0
        self.first_prediction = False

    def look(self, publisher: Child, pipeline: Child) -> Moment:
        """Take in what is new, and return where things stand.

        Raises
        ------
        RiverrunError
            If one of the two processes has failed.
        """
        publisher.check()
        pipeline.check()
        for record in self._evaluations.poll(1_000):
            item = self._wire.item(record)
            if isinstance(item, Evaluation):
                self._quality[item.model] = item.window
                self._time = item.time
        self._outcomes.read()
        if not self.first_prediction:
            predictions = self._deployment.topology.names[Kind.PREDICTIONS]
            self.first_prediction = self._deployment.log.high_watermark(predictions, 0) > 0
        return Moment(
            published=publisher.number("published"),
            folded=pipeline.number("records"),
            total=self._total,
            event_time=self._time,
            memory_mb=pipeline.memory_mb(),
            quality=self._quality,
            trouble=str(pipeline.latest.get("trouble", "")),
        )

    def outcomes(self) -> Outcomes:
        """Read ``examples`` to its end, and return how all predictions turned out."""
        while self._outcomes.read(_WAIT_S) or not self._outcomes.at_end:
            pass
        return self._outcomes.outcomes()

    def close(self) -> None:
        """Stop reading."""
        self._evaluations.close()
        self._outcomes.close()
