"""Watches a run through its commit records: how far each stage is, and that nothing committed is ever taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chaos.findings import Finding, Sort
from chaos.reading import Tail
from chaos.services import DRIFT_STAGES, STAGES
from riverrun.records.items import Progress
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment

__all__ = ["Watch"]

_WAIT_S: Final = 0.02


class Watch:
    """Reads the ``progress`` topic as it grows.

    Parameters
    ----------
    deployment
        The pipeline that is watched.
    kafka
        Where, as librdkafka's properties.

    Attributes
    ----------
    latest
        The newest commit record, by stage and partition.
    committed
        When it was made, in milliseconds since the epoch, by stage and partition.
    findings
        What was committed and then taken back.
    """

    def __init__(self, deployment: Deployment, kafka: Mapping[str, str]) -> None:
        self._deployment = deployment
        topic = deployment.topology.names[Kind.PROGRESS]
        self._tails = [Tail(kafka, topic, number) for number in range(deployment.topology.partitions)]
        self.latest: dict[tuple[str, int], Progress] = {}
        self.committed: dict[tuple[str, int], int] = {}
        self.findings: list[Finding] = []

    def update(self) -> None:
        """Read what was committed since, waiting a moment for it."""
        for tail in self._tails:
            for record in tail.poll(_WAIT_S):
                self._take(self._deployment.wire.progress(record), record.timestamp)

    def _take(self, progress: Progress, made: int) -> None:
        place = progress.stage, progress.partition
        before = self.latest.get(place)
        if before is not None and _taken_back(before, progress):
            text = f"{place} went back: {before} was followed by {progress}"
            self.findings.append(Finding(Sort.WRONG, text, made))
        self.latest[place] = progress
        self.committed[place] = made

    def committed_since(self, stage: str, moment_ms: float) -> bool:
        """Tell whether a stage has committed on any partition after a moment."""
        return any(made > moment_ms for (name, _), made in self.committed.items() if name == stage)

    def degraded(self, stage: str = "") -> set[str]:
        """Return in what ways a stage says that it is degraded, anywhere; of all stages unless one is given."""
        return {code for (name, _), row in self.latest.items() if stage in {"", name} for code in row.degraded}

    def folded(self, stage: str) -> int:
        """Return how many records a stage has taken in, over all partitions."""
        return sum(place.next for (name, _), row in self.latest.items() if name == stage for place in row.inputs)

    def made(self, stage: str, kind: Kind) -> int:
        """Return how many records a stage has written to a topic, over all partitions."""
        topic = self._deployment.topology.names[kind]
        return sum(row.outputs.get(topic, 0) for (name, _), row in self.latest.items() if name == stage)

    def counter(self, stage: str, name: str) -> int:
        """Return a stage's counter, over all partitions."""
        return sum(row.counters.get(name, 0) for (each, _), row in self.latest.items() if each == stage)

    def lag(self, published: int) -> dict[str, int]:
        """Return how many records each stage has still to take in, ``published`` having gone to producers' topics."""
        ends = {
            "ingest": published,
            "features": self.made("ingest", Kind.EVENTS),
            "score": self.made("features", Kind.VECTORS),
            "labels": self.made("score", Kind.PREDICTIONS) + self.made("ingest", Kind.EVENTS),
            "learn": self.made("labels", Kind.EXAMPLES),
            "drift-inputs": self.made("score", Kind.PREDICTIONS),
            "drift-errors": self.made("labels", Kind.EXAMPLES),
        }
        return {stage: ends[stage] - self.folded(stage) for stage in (*STAGES, *self.drift_stages())}

    def drift_stages(self) -> tuple[str, ...]:
        """Return the stages of drift that have run; few scenes have any."""
        ran = {stage for stage, _ in self.latest}
        return tuple(stage for stage in DRIFT_STAGES if stage in ran)

    def close(self) -> None:
        """Stop reading."""
        for tail in self._tails:
            tail.close()


def _taken_back(before: Progress, after: Progress) -> bool:
    reached = {(place.topic, place.partition, place.writer): place.next for place in after.inputs}
    inputs = any(reached.get((row.topic, row.partition, row.writer), 0) < row.next for row in before.inputs)
    return inputs or _less(after.outputs, before.outputs) or after.watermark < before.watermark


def _less(after: Mapping[str, int], before: Mapping[str, int]) -> bool:
    return any(after.get(name, 0) < count for name, count in before.items())
