"""What all tasks of a process share: the pipeline, the log, the stores and the clocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from riverrun.pipeline import Pipeline
from riverrun.records.ids import SchemaIds
from riverrun.runtime.failpoints import Reach, nowhere
from riverrun.runtime.observer import Observer
from riverrun.runtime.ports import KeyValueStore, Log, PartialStore
from riverrun.runtime.settings import Settings
from riverrun.runtime.stage import StageContext, StageDefinition
from riverrun.runtime.topology import Topology
from riverrun.runtime.wire import Wire


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of the shell, injected so that a simulation may bring its own. No fold ever reads one.

    ``monotonic`` in seconds; ``wall`` in seconds since the epoch, for latency figures only.
    """

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Deployment:
    """One pipeline on one log.

    ``partials`` makes a client of the store of feature partials; ``stores`` opens the local store that is kept in a
    folder. ``heartbeat`` is called during long recoveries, so that group membership does not run out; ``reach`` at
    every failpoint. ``observer`` takes in what is measured and what is wrong.
    """

    pipeline: Pipeline
    log: Log
    ids: SchemaIds
    wire: Wire
    settings: Settings
    partials: Callable[[], PartialStore]
    stores: Callable[[Path], KeyValueStore]
    topology: Topology
    clocks: Clocks = field(default_factory=Clocks)
    heartbeat: Callable[[], None] = _nothing
    reach: Reach = nowhere
    observer: Observer = field(default_factory=Observer)

    def context(self, partition: int, chained: frozenset[str]) -> StageContext:
        """Return what the stages of one partition are built from."""
        return StageContext(
            pipeline=self.pipeline,
            partition=partition,
            partitions=self.topology.partitions,
            codecs=self.wire.codecs,
            ids=self.ids,
            settings=self.settings,
            partials=self.partials,
            stores=self.stores,
            chained=chained,
        )

    def transactional_id(self, stage: str, partition: int) -> str:
        """Return the id that fences whoever worked on this stage's partition before."""
        return f"riverrun.{self.pipeline.name}.{stage}.{partition}"

    def outputs(self, definition: StageDefinition, partition: int) -> tuple[tuple[str, int], ...]:
        """Return the topics, each with the partition of it, that the stage's task of ``partition`` writes to."""
        return tuple((topic, self.topology.place(topic, partition)) for topic in definition.outputs(self.pipeline))

    def group(self, stage: str) -> str:
        """Return the consumer group that shares out a stage's partitions."""
        return f"riverrun.{self.pipeline.name}.{stage}"

    def ensure_topics(self) -> None:
        """Create the pipeline's own topics."""
        self.log.ensure_topics(self.topology.specs())
