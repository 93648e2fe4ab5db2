"""What the judge looks at: everything that is committed, decoded."""

from __future__ import annotations

from typing import TypeVar

from riverrun.records.headers import Stamp
from riverrun.records.items import Item, Progress
from riverrun.records.topics import Kind
from riverrun.testing.memory_log import MemoryLog
from riverrun.testing.small_world import SmallWorld

__all__ = ["Reading"]

_Wanted = TypeVar("_Wanted", bound=Item)


class Reading:
    """The topics of a pipeline at rest.

    Parameters
    ----------
    log, small
        Where they are and how they are decoded.
    """

    def __init__(self, log: MemoryLog, small: SmallWorld) -> None:
        self._log = log
        self._small = small

    def place(self, kind: Kind, partition: int) -> tuple[str, int]:
        """Return the topic's name and the partition that a partition's tasks write to."""
        topic = self._small.topology.names[kind]
        return topic, self._small.topology.place(topic, partition)

    def stamped(self, kind: Kind, partition: int, wanted: type[_Wanted]) -> list[tuple[_Wanted, Stamp]]:
        """Return the items of one class in a topic's partition, with what their headers say."""
        found: list[tuple[_Wanted, Stamp]] = []
        for record in self._log.records(*self.place(kind, partition)):
            item, stamp = self._small.codecs.from_wire(record.value, list(record.headers))
            if isinstance(item, wanted):
                found.append((item, stamp))
        return found

    def progress(self, stage: str, partition: int) -> list[Progress]:
        """Return a stage's commit records of one partition."""
        wire = self._small.wire
        found = [wire.progress(record) for record in self._log.records(*self.place(Kind.PROGRESS, partition))]
        return [progress for progress in found if progress.stage == stage]
