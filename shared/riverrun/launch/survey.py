"""How a pipeline stands, from its log alone: positions, lag, counts, versions."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from riverrun.records.items import ModelAlias, ModelVersion, Progress
from riverrun.records.topics import SINGLE_PARTITION, Kind
from riverrun.runtime.degradations import Degradation
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.history import History

__all__ = ["Degraded", "StageStatus", "Survey", "survey"]

_STAGES = ("ingest", "features", "score", "labels", "learn")
_DRIFT_STAGES = ("drift-inputs", "drift-errors")
_EVERYTHING = 1 << 40

Written = dict[tuple[str, int], int]
"""How many records each writer (by its partition) has committed to each topic."""


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage on one partition, as of its last commit.

    ``lag`` is in records of its inputs that are written and not folded; ``latency_ms`` from append to commit;
    ``degraded`` is what was wrong with the service by code, and since when, in milliseconds since the epoch.
    """

    stage: str
    partition: int
    folded: int
    lag: int
    watermark: int
    latency_ms: dict[str, float]
    counters: dict[str, int]
    degraded: dict[str, int]


class Degraded(NamedTuple):
    """Something that is wrong with a service, as its last commit record says; ``since`` in milliseconds."""

    what: str
    where: str
    since: int

    @property
    def degradation(self) -> Degradation | None:
        """What this version knows of it; None for a code of a newer one."""
        return next((known for known in Degradation if known.value == self.what), None)

    def as_json(self) -> dict[str, object]:
        """Return what ``--json`` prints."""
        known = self.degradation
        told = {"means": known.explanation, "still": known.still, "advice": known.advice} if known is not None else {}
        since = datetime.fromtimestamp(self.since / 1000, UTC).isoformat(timespec="seconds")
        return {"what": self.what, "where": self.where, "since": since, **told}


@dataclass(frozen=True, slots=True)
class Survey:
    """A pipeline at one moment."""

    pipeline: str
    stages: list[StageStatus] = field(default_factory=list)
    versions: dict[str, ModelVersion] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def ledger(self) -> dict[str, int]:
        """Return the label ledger over all partitions."""
        names = ("predictions", "labelled", "defaulted", "expired", "pending", "revised")
        rows = [stage.counters for stage in self.stages if stage.stage == "labels"]
        return {name: sum(row.get(name, 0) for row in rows) for name in names}

    def degraded(self) -> list[Degraded]:
        """Return what is wrong anywhere; chained stages, which share one service, are named together."""
        places: dict[tuple[str, int, int], list[str]] = {}
        for each in self.stages:
            for what, since in each.degraded.items():
                places.setdefault((what, since, each.partition), []).append(each.stage)
        return [
            Degraded(what, f"{'+'.join(stages)}[{partition}]", since)
            for (what, since, partition), stages in sorted(places.items(), key=lambda place: place[0][1])
        ]

    def as_json(self) -> dict[str, object]:
        """Return what ``--json`` prints."""
        return {
            "pipeline": self.pipeline,
            "stages": [asdict(stage) for stage in self.stages],
            "ledger": self.ledger(),
            "models": {
                name: {"position": version.position, "digest": version.digest, "metrics": version.metrics}
                for name, version in self.versions.items()
            },
            "aliases": self.aliases,
            "degraded": [each.as_json() for each in self.degraded()],
        }


def survey(deployment: Deployment) -> Survey:
    """Read the last commit records and pointers.

    Raises
    ------
    LogUnavailableError
        If the log cannot be read.
    """
    found = Survey(deployment.pipeline.name)
    topology = deployment.topology
    latest: list[Progress] = []
    stages = _STAGES if deployment.pipeline.drift is None else (*_STAGES, *_DRIFT_STAGES)
    for partition in range(topology.partitions):
        history = History(deployment.log, deployment.wire, (topology.names[Kind.PROGRESS], partition), stages)
        latest += [progress for stage in stages if (progress := history.latest(stage)) is not None]
    written = {(topic, each.partition): count for each in latest for topic, count in each.outputs.items()}
    found.stages.extend(_status(deployment, progress, written) for progress in latest)
    for record in deployment.log.tail(topology.names[Kind.MODELS], 0, _EVERYTHING):
        item = deployment.wire.item(record)
        if isinstance(item, ModelVersion):
            found.versions[item.model] = item
        elif isinstance(item, ModelAlias):
            found.aliases[item.alias] = item.model
    return found


def _status(deployment: Deployment, progress: Progress, written: Written) -> StageStatus:
    return StageStatus(
        stage=progress.stage,
        partition=progress.partition,
        folded=sum(place.next for place in progress.inputs),
        lag=_lag(deployment, progress, written),
        watermark=progress.watermark,
        latency_ms={name: round(value, 1) for name, value in progress.latency_ms.items()},
        counters=progress.counters,
        degraded=progress.degraded,
    )


def _lag(deployment: Deployment, progress: Progress, written: Written) -> int:
    topology = deployment.topology
    folded = {(place.topic, place.writer): place.next for place in progress.inputs if topology.owns(place.topic)}
    topics = {topic for topic, _ in folded}
    lag = sum(
        max(0, deployment.log.high_watermark(place.topic, place.partition) - place.next)
        for place in progress.inputs
        if not topology.owns(place.topic)
    )
    for (topic, writer), count in written.items():
        # A topic with one partition for the whole pipeline is read with all its writers, others with one's own.
        if topic in topics and (writer == progress.partition or topology.kind(topic) in SINGLE_PARTITION):
            lag += max(0, count - folded.get((topic, writer), 0))
    return lag
