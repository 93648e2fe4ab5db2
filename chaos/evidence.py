"""All that a run left, read once: every topic with every committed record, decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from chaos.reading import read_partition
from chaos.world import World
from riverrun.pipeline import Pipeline
from riverrun.records.headers import Stamp, parse
from riverrun.records.items import Progress
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.ports import Record

__all__ = ["Evidence", "Row", "gather"]


class Row(NamedTuple):
    """A record of one of the pipeline's own topics, with when it was made, in milliseconds since the epoch."""

    item: Any
    stamp: Stamp
    partition: int
    offset: int
    at_ms: int


@dataclass(slots=True)
class Evidence:
    """What is judged; a test may tamper with it.

    Parameters
    ----------
    deployment
        The pipeline, for its codecs and the names of its topics.
    partitions
        Of the producers' topics.
    published
        How many messages producers sent.
    data_folder
        Where the key that signs models lies.
    model_store
        Its URL.
    raw
        Producers' records, by topic and partition.
    rows
        The pipeline's own, by kind.
    progress
        Commit records, in order, by stage and partition.
    """

    deployment: Deployment
    partitions: int
    published: int
    data_folder: Path
    model_store: str
    raw: dict[tuple[str, int], list[Record]] = field(default_factory=dict)
    rows: dict[Kind, list[Row]] = field(default_factory=dict)
    progress: dict[tuple[str, int], list[Progress]] = field(default_factory=dict)

    @property
    def pipeline(self) -> Pipeline:
        """What was run."""
        return self.deployment.pipeline

    def of(self, kind: Kind, partition: int) -> list[Row]:
        """Return the rows that the tasks of a partition wrote."""
        return [row for row in self.rows[kind] if row.stamp.writer == partition]

    def counters(self, stage: str) -> Mapping[str, int]:
        """Return a stage's counters at the end, over all partitions."""
        total: dict[str, int] = {}
        for (name, _), rows in self.progress.items():
            if name == stage and rows:
                for counter, count in rows[-1].counters.items():
                    total[counter] = total.get(counter, 0) + count
        return total


_OWN = (
    *(Kind.EVENTS, Kind.DEAD_LETTERS, Kind.VECTORS, Kind.PREDICTIONS),
    *(Kind.EXAMPLES, Kind.EVALUATIONS, Kind.MODELS, Kind.DRIFT),
)


def gather(world: World) -> Evidence:
    """Read everything of a world at rest."""
    deployment, kafka = world.deployment, world.addresses.kafka
    evidence = Evidence(
        deployment,
        world.plan.partitions,
        world.published + world.beside(),
        world.settings.data_folder,
        world.settings.model_store_url,
    )

    read = partial(read_partition, kafka)
    for stream in world.pipeline.streams:
        for partition in range(evidence.partitions):
            evidence.raw[stream.topic, partition] = read(stream.topic, partition)
    topology = deployment.topology
    for kind in _OWN:
        topic = topology.names[kind]
        places = sorted({topology.place(topic, number) for number in range(evidence.partitions)})
        evidence.rows[kind] = [row for place in places for row in _rows(deployment, read(topic, place))]
    for partition in range(evidence.partitions):
        for record in read(topology.names[Kind.PROGRESS], partition):
            said = deployment.wire.progress(record)
            evidence.progress.setdefault((said.stage, partition), []).append(said)
    return evidence


def _rows(deployment: Deployment, records: list[Record]) -> Iterator[Row]:
    for record in records:
        stamp = parse(record.headers)
        item: Any = deployment.wire.item(record)
        if hasattr(item, "writer"):
            item.writer = stamp.writer
        yield Row(item, stamp, record.partition, record.offset, record.timestamp)
