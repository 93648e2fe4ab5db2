"""Reads the commit records of a partition, and tells which of them the topics bear out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from riverrun.errors import RiverrunError
from riverrun.records.items import Item, Progress
from riverrun.runtime.ports import Log, Record
from riverrun.runtime.wire import Wire

CLAIM = "claim/"
"""With a stage's name behind it, what a record is called that says who works on the stage, and nothing else."""

SEEN = "seen"
"""A claim's only counter: the offset of the commit records below which its holder has fenced everybody else."""

UNKNOWN = -1
"""The tail of a writer all of whose records have been deleted, by retention: nobody can tell how many there were."""

_ALL = 1 << 40
_DEPTHS = (64, 4_096, _ALL)


class _Holder(NamedTuple):
    """Who claimed a stage, or committed for it; all others below the offset ``fenced`` are fenced."""

    offset: int
    stage: str
    id: str
    fenced: int


class History:
    """The commit records of one partition, by stage, newest first.

    Parameters
    ----------
    log, wire
        Where from, and how to decode.
    place
        The progress topic and the partition. It must be read after the writers concerned were fenced.
    stages
        Names of the stages of interest.
    reaching
        An offset that the partition's end is known to have come to: it is read that far at the least.

    Attributes
    ----------
    end
        The offset after the last commit record, of whatever stage.
    """

    def __init__(
        self, log: Log, wire: Wire, place: tuple[str, int], stages: Iterable[str], *, reaching: int = 0
    ) -> None:
        self._log = log
        self._wire = wire
        self._place = place
        self._reaching = reaching
        self._wanted = frozenset(stages)
        # Most records of a busy partition are of others: their keys tell without their being decoded.
        self._keys = {(prefix + stage).encode() for stage in self._wanted for prefix in ("", CLAIM)}
        self._depth = -1
        self._whole = False
        self.end = 0
        self._records: dict[str, list[Progress]] = {}
        # Newest first.
        self._holders: list[_Holder] = []
        while not self._whole and not (self._records and all(self._records.values())):
            self._deepen()

    def _deepen(self) -> None:
        """Read farther back."""
        self._depth += 1
        depth = _DEPTHS[self._depth]
        tail = self._log.tail(*self._place, depth, reaching=self._reaching)
        self._whole = len(tail) < depth
        self.end = 0
        self._records = {stage: [] for stage in self._wanted}
        self._holders = []
        self._prepend(tail)

    def follow(self, reaching: int = 0) -> None:
        """Read what has come since, as must be done after more writers were fenced; to ``reaching`` at the least."""
        self._reaching = max(self._reaching, reaching)
        self._prepend(self._log.tail(*self._place, _ALL, since=self.end, reaching=self._reaching))

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
            claims = stage != progress.stage
            fenced = progress.counters.get(SEEN, 0) if claims else record.offset
            holders.append(_Holder(record.offset, stage, progress.transactional_id, fenced))
            if not claims:
                records[stage].append(progress)
        self._records = {stage: records[stage] + older for stage, older in self._records.items()}
        self._holders = holders + self._holders

    def latest(self, stage: str) -> Progress | None:
        """Return the stage's last commit record, borne out or not."""
        records = self._records[stage]
        return records[0] if records else None

    def holders(self, since: int | None = None) -> set[str]:
        """Return the transactional ids under which stages may be at work.

        For each stage these are the id of its last commit record, and all that claimed it since, but for those that a
        claim says are fenced: who claimed last may have died before it had fenced whoever came in between. Or all that
        claimed or committed at or after the offset ``since``.
        """
        if since is not None:
            return {holder.id for holder in self._holders if holder.offset >= since}
        found: set[str] = set()
        horizon = dict.fromkeys(self._wanted, 0)
        for holder in self._holders:
            if holder.offset >= horizon[holder.stage]:
                found.add(holder.id)
                horizon[holder.stage] = max(holder.fenced, horizon[holder.stage])
        return found

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


class Output(NamedTuple):
    """One writer's records in one partition of a topic.

    Parameters
    ----------
    place
        The topic and the partition.
    writer
        The writer's number.
    end
        An end of the partition, confirmed when all who wrote there were fenced (`Writer.confirmed_ends`).
    """

    place: tuple[str, int]
    writer: int
    end: int


def written(log: Log, wire: Wire, output: Output) -> int:
    """Return the position after a writer's last record: its tail, or `UNKNOWN`."""
    for record in _backwards(log, output):
        number, seq = wire.position(record)
        if number == output.writer:
            return seq + 1
    return UNKNOWN if log.start_offset(*output.place) > 0 else 0


def left_over(log: Log, wire: Wire, output: Output, first: int) -> list[Item]:
    """Return a writer's items from position ``first`` on, oldest first: what a torn transaction left."""
    items: list[Item] = []
    for record in _backwards(log, output):
        number, seq = wire.position(record)
        if number == output.writer:
            if seq < first:
                break
            items.append(wire.item(record))
    return items[::-1]


def _backwards(log: Log, output: Output) -> Iterator[Record]:
    """Iterate over the committed records of a partition, newest first, each once."""
    oldest = _ALL
    for depth in _DEPTHS:
        tail = log.tail(*output.place, depth, reaching=output.end)
        # Others may write there meanwhile: so not by their number.
        yield from (record for record in reversed(tail) if record.offset < oldest)
        if len(tail) < depth:
            return
        oldest = tail[0].offset
