"""What is audited: a pipeline, its log and its Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from riverrun.audit.reading import Log
from riverrun.pipeline import Pipeline
from riverrun.records.avro import AvroRecord
from riverrun.records.codecs import Codecs
from riverrun.records.topics import Kind, topic_name

__all__ = ["Partials", "Subject"]


class Partials(Protocol):
    """The feature partials that are stored beside the log."""

    def marker(self, partition: int) -> int | None:
        """Return the position up to which a partition's entries are complete; None if they are not."""
        ...

    def entries(self, partition: int, group: str) -> Iterable[tuple[str, bytes]]:
        """Iterate over a group's entities and what is stored of each."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """What is audited.

    Parameters
    ----------
    pipeline
        Its definition.
    codecs
        Decode the pipeline's own records.
    schema_of
        From the id in a message's frame to the schema; raises if there is none.
    log
        The topics.
    partials
        The feature partials in Redis.
    partitions
        How many the producers' topics have.
    """

    pipeline: Pipeline
    codecs: Codecs
    schema_of: Callable[[int], AvroRecord]
    log: Log
    partials: Partials
    partitions: int

    def topic(self, kind: Kind) -> str:
        """Return the name of one of the pipeline's topics."""
        return topic_name(self.pipeline.name, kind)
