"""How a service describes its stage to the runtime, and what it is given to build one partition's instance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from riverrun.pipeline import Pipeline
from riverrun.records.codecs import Codecs
from riverrun.records.ids import SchemaIds
from riverrun.records.items import Item
from riverrun.runtime.core import Core, TrailingState
from riverrun.runtime.ports import KeyValueStore, PartialStore, Record
from riverrun.runtime.settings import Settings

LIVE_MODELS = "live models"
"""Name under which ``learn`` shares its models with ``score`` in the same chain."""


class SideInput(Protocol):
    """A compacted topic that a stage follows beside its inputs: read to its end before the first step.

    What it says is not part of the fold; whatever it influences must be recorded in the output.
    """

    @property
    def topic(self) -> str:
        """The topic to follow (its partition 0)."""
        ...

    def offer(self, record: Record) -> None:
        """Take in one record."""
        ...

    def settle(self) -> None:
        """Wait until all that was offered has taken effect; called once, before the first step."""
        ...

    def close(self) -> None:
        """Stop following."""
        ...


@dataclass(slots=True)
class Stage:
    """One partition's instance of a stage."""

    name: str
    core: Core
    states: tuple[TrailingState, ...] = ()
    decode: Callable[[Record], Any] | None = None
    """Turns a producer's record into what ``core.step`` takes; only for a stage that reads producers' topics."""
    side: SideInput | None = None
    fields_of: frozenset[str] | None = None
    """The streams whose events' ``fields`` the core looks into, None for all: the other events need not be decoded in
    full, and come without fields."""
    models: Callable[[], Mapping[str, int]] | None = None
    """The version of each model that is in use, for metrics; only for a stage that scores."""
    refused: Callable[[], str] | None = None
    """Why a published model could not be put to use, or nothing; only for a stage that loads them."""
    adopt: Callable[[Item], None] | None = None
    """Takes in, after its state was restored, an output that a torn transaction left in the log before it was counted;
    only for a stage that reads producers' topics, whose order of folding the log does not tell beforehand."""


@dataclass(slots=True)
class StageContext:
    """What a stage may use to build its core and its states."""

    pipeline: Pipeline
    partition: int
    partitions: int
    codecs: Codecs
    ids: SchemaIds
    settings: Settings
    partials: Callable[[], PartialStore]
    stores: Callable[[Path], KeyValueStore]
    chained: frozenset[str]
    shared: dict[str, object] = field(default_factory=dict)
    """Objects that chained stages hand to one another (the live models); stages are built from last to first."""

    def state_folder(self, stage: str) -> Path:
        """Return the local folder for this stage's state of this partition."""
        return self.settings.state_folder / self.pipeline.name / stage / str(self.partition)

    def open_store(self, stage: str) -> KeyValueStore:
        """Open the local store of this stage's state of this partition; whoever asked closes it."""
        return self.stores(self.state_folder(stage))


def _always(pipeline: Pipeline) -> bool:
    del pipeline
    return True


@dataclass(frozen=True, slots=True)
class StageDefinition:
    """A stage as the runtime knows it, the same for every partition.

    ``inputs`` and ``outputs`` give topic names; ``replays`` the topics from which lost state is rebuilt, which are
    the inputs, but for ``ingest``, whose state is a fold of what it wrote.
    """

    name: str
    inputs: Callable[[Pipeline], tuple[str, ...]]
    outputs: Callable[[Pipeline], tuple[str, ...]]
    replays: Callable[[Pipeline], tuple[str, ...]]
    build: Callable[[StageContext], Stage]
    sharded: bool = False
    """Whether its input has one partition for the whole pipeline (``learn``), not one for each key range."""
    lane: int = 0
    """Tells stages apart that write the same topic: each is a writer of its own, so each has its own positions."""
    pause_ms: int = 0
    """For how long records are gathered between two transactions, where nobody waits for what follows from them.

    A transaction costs the broker as much for one record as for a hundred. A chain pauses as long as its most urgent
    stage bears, and not at all while it has more before it than one batch takes. Milliseconds.
    """
    wanted: Callable[[Pipeline], bool] = _always
    """Whether a pipeline has any use for it; where it has none, it is left out of every chain."""

    def writer(self, partition: int, partitions: int) -> int:
        """Return the number under which the task of a partition writes: its own, raised by its lane."""
        return partition + self.lane * partitions


Positions = dict[str, int]


def cursor(topic: str, partition: int, writer: int) -> str:
    """Name one writer's records in a partition: the key of a position.

    Examples
    --------
    >>> cursor("flights.examples", 0, 3)
    'flights.examples/0/3'
    """
    return f"{topic}/{partition}/{writer}"


def split_cursor(name: str) -> tuple[str, int, int]:
    """Take a cursor's name apart.

    Examples
    --------
    >>> split_cursor("flights.examples/0/3")
    ('flights.examples', 0, 3)
    """
    topic, partition, writer = name.rsplit("/", 2)
    return topic, int(partition), int(writer)


def reaches(positions: Mapping[str, int], other: Mapping[str, int]) -> bool:
    """Tell whether ``positions`` lie at or behind ``other`` everywhere."""
    return all(position <= other.get(name, 0) for name, position in positions.items())
