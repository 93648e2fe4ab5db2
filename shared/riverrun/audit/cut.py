"""How far each stage had come when a check began: what lies beyond is not yet read, which is no fault.

A pipeline may be running while it is audited. The newest commit records tell what must be there: everything below the
positions that they name, and nothing is asked of what lies above.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from riverrun.audit.subject import Subject
from riverrun.records.items import Progress
from riverrun.records.topics import Kind

__all__ = ["Cut"]

_STAGES: Final = frozenset({"ingest", "features", "score", "labels", "learn"})
_SPANS: Final = (2_000, 64_000, 1 << 62)


class Cut:
    """The last commit record of every stage and partition.

    Parameters
    ----------
    subject
        What is audited.
    """

    def __init__(self, subject: Subject) -> None:
        topic = subject.topic(Kind.PROGRESS)
        self._topics = subject.topic
        self._last: dict[tuple[str, int], Progress] = {}
        for partition in range(subject.partitions):
            for stage, progress in _last(subject, topic, partition).items():
                self._last[stage, partition] = progress

    def counters(self, stage: str, partition: int) -> dict[str, int]:
        """Return what a stage had counted."""
        progress = self._last.get((stage, partition))
        return dict(progress.counters) if progress is not None else {}

    def read(self, stage: str, partition: int, topic: Kind | str, writer: int = -1) -> int:
        """Return the position of the first record of an input that a stage had not folded."""
        progress = self._last.get((stage, partition))
        name = self._topics(topic) if isinstance(topic, Kind) else topic
        places = progress.inputs if progress is not None else ()
        return sum(place.next for place in places if place.topic == name and place.writer == writer)

    def written(self, stage: str, partition: int, kind: Kind) -> int:
        """Return how many records a stage had written to a topic."""
        progress = self._last.get((stage, partition))
        return progress.outputs.get(self._topics(kind), 0) if progress is not None else 0


def _last(subject: Subject, topic: str, partition: int) -> dict[str, Progress]:
    """Return the newest commit record of each stage, going back as far as it takes."""
    first, end = subject.log.bounds(topic, partition)
    found: dict[str, Progress] = {}
    for span in _SPANS:
        start = max(first, end - span)
        found = {each.stage: each for each in _commits(subject, topic, partition, start)}
        if start == first or found.keys() >= _STAGES:
            break
    return found


def _commits(subject: Subject, topic: str, partition: int, start: int) -> Iterator[Progress]:
    for record in subject.log.read(topic, partition, start):
        if record.value is not None:
            yield subject.codecs.decode_progress(record.value)
