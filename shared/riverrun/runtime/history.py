"""Reads the commit records of a partition, and tells which of them the topics bear out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from riverrun.errors import RiverrunError
from riverrun.records.items import Item, Progress
from riverrun.runtime.ports import Log, Record
from riverrun.runtime.wire import Wire

CLAIM = "claim/"
"""With a stage's name behind it, what a record is called that says who works on the stage, and nothing else."""

UNKNOWN = -1
"""The tail of a writer all of whose records have been deleted, by retention: nobody can tell how many there were."""

_ALL = 1 << 40
_DEPTHS = (64, 4_096, _ALL)


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

    Attributes
    ----------
    end
        The offset after the last commit record, of whatever stage.
    """

    def __init__(self, log: Log, wire: Wire, topic: str, partition: int, stages: Iterable[str]) -> None:
        self._log = log
        self._wire = wire
        self._place = topic, partition
        self._wanted = frozenset(stages)
        # Most records of a busy partition are of others: their keys tell without their being decoded.
        self._keys = {(prefix + stage).encode() for stage in self._wanted for prefix in ("", CLAIM)}
        self._depth = -1
        self._whole = False
        self.end = 0
        self._records: dict[str, list[Progress]] = {}
        # Offset, stage and transactional id of every commit record and claim, newest first.
        self._holders: list[tuple[int, str, str]] = []
        while not self._whole and not (self._records and all(self._records.values())):
            self._deepen()

    def _deepen(self) -> None:
        """Read farther back."""
        self._depth += 1
        depth = _DEPTHS[self._depth]
        tail = self._log.tail(*self._place, depth)
        self._whole = len(tail) < depth
        self.end = 0
        self._records = {stage: [] for stage in self._wanted}
        self._holders = []
        self._prepend(tail)

    def follow(self) -> None:
        """Read what has come since, as must be done after more writers were fenced."""
        self._prepend(self._log.tail(*self._place, _ALL, since=self.end))

    def _prepend(self, newer: Sequence[Record]) -> None:
        if newer:
            self.end = newer[-1].offset + 1
        records: dict[str, list[Progress]] = {stage: [] for stage in self._wanted}
        holders = []
        for record in reversed(newer):
            if record.key not in self._keys:
                continue
            progress = self._wire.progress(record)
            stage = progress.stage.removeprefix(CLAIM)
            holders.append((record.offset, stage, progress.transactional_id))
            if stage == progress.stage:
                records[stage].append(progress)
        self._records = {stage: records[stage] + older for stage, older in self._records.items()}
        self._holders = holders + self._holders

    def latest(self, stage: str) -> Progress | None:
        """Return the stage's last commit record, borne out or not."""
        records = self._records[stage]
        return records[0] if records else None

    def holders(self, since: int | None = None) -> set[str]:
        """Return the transactional id under which each stage was last claimed or committed.

        Or all ids that did so at or after the offset ``since``.
        """
        if since is not None:
            return {holder for offset, _, holder in self._holders if offset >= since}
        latest: dict[str, str] = {}
        for _, stage, holder in self._holders:
            latest.setdefault(stage, holder)
        return set(latest.values())

    def consistent(self, stage: str, tails: Mapping[str, int]) -> Progress | None:
        """Return the newest commit record whose outputs are all in their topics.

        librdkafka can commit part of a transaction (a delayed EndTxn frame; it has no KIP-890): then the commit
        record may be there without all the outputs that it counts, and an older one holds. Where the outputs have
        been deleted since, the record is taken at its word.

        Parameters
        ----------
        stage
            Name of the stage.
        tails
            Position after the last record of each output topic, or `UNKNOWN`.

        Raises
        ------
        RiverrunError
            If the stage has written, but its commit records have been deleted: begun anew it would do all of it twice.
        """
        while True:
            for progress in self._records[stage]:
                if all(_bears_out(tails.get(topic, 0), count) for topic, count in progress.outputs.items()):
                    return progress
            if self._whole:
                break
            self._deepen()
        if not self._records[stage] and any(tails.values()) and self._log.start_offset(*self._place) > 0:
            topic, partition = self._place
            raise RiverrunError(
                f"the commit records of {stage} in {topic}[{partition}] have been deleted, and it has written before",
                hint="keep that topic for ever (retention.ms=-1); to begin anew give the pipeline another name",
            )
        return None


def _bears_out(tail: int, count: int) -> bool:
    return tail == UNKNOWN or count <= tail


def written(log: Log, wire: Wire, topic: str, partition: int, writer: int) -> int:
    """Return the position after a writer's last record in a topic's partition: its tail, or `UNKNOWN`."""
    for record in _backwards(log, topic, partition):
        number, seq = wire.position(record)
        if number == writer:
            return seq + 1
    return UNKNOWN if log.start_offset(topic, partition) > 0 else 0


def left_over(log: Log, wire: Wire, place: tuple[str, int], writer: int, first: int) -> list[Item]:
    """Return a writer's items from position ``first`` on, oldest first: what a torn transaction left."""
    topic, partition = place
    items: list[Item] = []
    for record in _backwards(log, topic, partition):
        number, seq = wire.position(record)
        if number == writer:
            if seq < first:
                break
            items.append(wire.item(record))
    return items[::-1]


def _backwards(log: Log, topic: str, partition: int) -> Iterator[Record]:
    """Iterate over the committed records of a partition, newest first, each once."""
    passed = 0
    for depth in _DEPTHS:
        tail = log.tail(topic, partition, depth)
        yield from tail[len(tail) - 1 - passed :: -1] if passed < len(tail) else ()
        if len(tail) < depth:
            return
        passed = len(tail)
