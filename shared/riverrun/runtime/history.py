"""Reads the commit records of a partition, and tells which of them the topics bear out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from riverrun.records.items import Progress
from riverrun.runtime.ports import Log
from riverrun.runtime.wire import Wire

_DEPTHS = (64, 4_096, 1 << 40)


class History:
    """The commit records of one partition, by stage, newest first.

    Parameters
    ----------
    log, wire
        Where from, and how to decode.
    topic, partition
        The progress topic's partition. It must be read after the writers concerned were fenced.
    stages
        Names of the stages of interest.
    """

    def __init__(self, log: Log, wire: Wire, topic: str, partition: int, stages: Iterable[str]) -> None:
        wanted = frozenset(stages)
        for depth in _DEPTHS:
            self._records: dict[str, list[Progress]] = {stage: [] for stage in wanted}
            tail = log.tail(topic, partition, depth)
            for record in reversed(tail):
                progress = wire.progress(record)
                if progress.stage in wanted:
                    self._records[progress.stage].append(progress)
            if len(tail) < depth or all(self._records.values()):
                return

    def latest(self, stage: str) -> Progress | None:
        """Return the stage's last commit record, borne out or not."""
        records = self._records[stage]
        return records[0] if records else None

    def consistent(self, stage: str, tails: Mapping[str, int]) -> Progress | None:
        """Return the newest commit record whose outputs are all in their topics.

        librdkafka can commit part of a transaction (a delayed EndTxn frame; it has no KIP-890): then the commit
        record may be there without all the outputs that it counts, and an older one holds.

        Parameters
        ----------
        stage
            Name of the stage.
        tails
            Position after the last record of each output topic.
        """
        for progress in self._records[stage]:
            if all(count <= tails.get(topic, 0) for topic, count in progress.outputs.items()):
                return progress
        return None


def written(log: Log, wire: Wire, topic: str, partition: int, writer: int) -> int:
    """Return the position after a writer's last record in a topic's partition: its tail."""
    for depth in _DEPTHS:
        tail = log.tail(topic, partition, depth)
        for record in reversed(tail):
            number, seq = wire.position(record)
            if number == writer:
                return seq + 1
        if len(tail) < depth:
            break
    return 0
