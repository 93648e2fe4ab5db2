"""Which topics a pipeline owns, and which of their partitions a task works on."""

from __future__ import annotations

from collections.abc import Mapping

from riverrun.records.topics import COMPACTED, KIND_OF_CLASS, SINGLE_PARTITION, Kind, topic_name
from riverrun.runtime.ports import TopicSpec


class Topology:
    """The topics of one pipeline.

    Parameters
    ----------
    pipeline
        The pipeline's name.
    partitions
        Partitions of the producers' topics, and so of most of the pipeline's own.

    Examples
    --------
    >>> topology = Topology("flight-delay", 4)
    >>> topology.place("flight-delay.vectors", 3), topology.place("flight-delay.examples", 3)
    (3, 0)
    >>> topology.owns("flights.departed")
    False
    """

    __slots__ = ("_kinds", "by_class", "names", "partitions")

    def __init__(self, pipeline: str, partitions: int) -> None:
        self.partitions = partitions
        self.names: Mapping[Kind, str] = {kind: topic_name(pipeline, kind) for kind in Kind}
        self.by_class: Mapping[type, str] = {cls: self.names[kind] for cls, kind in KIND_OF_CLASS.items()}
        self._kinds = {name: kind for kind, name in self.names.items()}

    def owns(self, topic: str) -> bool:
        """Tell whether the topic is one of the pipeline's own, not a producer's."""
        return topic in self._kinds

    def kind(self, topic: str) -> Kind:
        """Return what one of the pipeline's own topics holds."""
        return self._kinds[topic]

    def place(self, topic: str, partition: int) -> int:
        """Return the topic's partition that the task of ``partition`` reads and writes."""
        return 0 if self._kinds.get(topic) in SINGLE_PARTITION else partition

    def specs(self) -> list[TopicSpec]:
        """Return what to create."""
        return [
            TopicSpec(name, 1 if kind in SINGLE_PARTITION else self.partitions, kind in COMPACTED)
            for kind, name in self.names.items()
        ]
