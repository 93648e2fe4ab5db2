"""How a pipeline stands, from its log alone: positions, lag, counts, versions."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from riverrun.records.items import ModelAlias, ModelVersion, Progress
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.history import History

__all__ = ["StageStatus", "Survey", "survey"]

_STAGES = ("ingest", "features", "score", "labels", "learn")
_EVERYTHING = 1 << 40


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage on one partition, as of its last commit.

    ``lag`` is in records of its inputs that are written and not folded; ``latency_ms`` from append to commit.
    """

    stage: str
    partition: int
    folded: int
    lag: int
    watermark: int
    latency_ms: dict[str, float]
    counters: dict[str, int]


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
    for partition in range(topology.partitions):
        history = History(deployment.log, deployment.wire, topology.names[Kind.PROGRESS], partition, _STAGES)
        latest = {stage: history.latest(stage) for stage in _STAGES}
        for stage, progress in latest.items():
            if progress is not None:
                found.stages.append(_status(deployment, stage, progress, latest))
    for record in deployment.log.tail(topology.names[Kind.MODELS], 0, _EVERYTHING):
        item = deployment.wire.item(record)
        if isinstance(item, ModelVersion):
            found.versions[item.model] = item
        elif isinstance(item, ModelAlias):
            found.aliases[item.alias] = item.model
    return found


def _status(deployment: Deployment, stage: str, progress: Progress, latest: dict[str, Progress | None]) -> StageStatus:
    return StageStatus(
        stage=stage,
        partition=progress.partition,
        folded=sum(place.next for place in progress.inputs),
        lag=_lag(deployment, progress, latest),
        watermark=progress.watermark,
        latency_ms={name: round(value, 1) for name, value in progress.latency_ms.items()},
        counters=progress.counters,
    )


def _lag(deployment: Deployment, progress: Progress, latest: dict[str, Progress | None]) -> int:
    written: dict[str, int] = {}
    for other in latest.values():
        if other is not None:
            written.update(other.outputs)
    lag = 0
    for place in progress.inputs:
        if not deployment.topology.owns(place.topic):
            end = deployment.log.high_watermark(place.topic, place.partition)
        else:
            end = written.get(place.topic, place.next)
        lag += max(0, end - place.next)
    return lag
