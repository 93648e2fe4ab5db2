"""A stage at work: its core, its position, and the links on which its outputs go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from riverrun.records.items import InputPosition, Item, Progress, Source
from riverrun.runtime.link import Link
from riverrun.runtime.stage import Positions, Stage, StageDefinition, cursor, split_cursor


class StageRunner:
    """Runs one stage of a chain for one partition.

    ``positions`` holds the next position of every external cursor; those of chained inputs follow from the links.
    ``replayed`` holds the links to the topics from which its state is rebuilt, where these are its outputs.
    ``left`` holds the producers' records of which a torn transaction has left the outputs in the log already.
    """

    __slots__ = ("_step", "chained", "definition", "hints", "left", "links", "positions", "replayed", "routes", "stage")

    def __init__(self, definition: StageDefinition, stage: Stage, routes: Mapping[type, Link]) -> None:
        self.definition = definition
        self.stage = stage
        self.routes = dict(routes)
        self.links: tuple[Link, ...] = tuple({id(link): link for link in routes.values()}.values())
        self.positions: Positions = {}
        self.hints: dict[tuple[str, int], int] = {}
        self.chained: list[tuple[str, Link, int]] = []
        self.replayed: tuple[Link, ...] = ()
        self.left: set[Source] = set()
        # Called once an item: a core's step is dynamically typed here, at the one seam where stages meet.
        self._step: Any = stage.core.step

    def accept(self, item: Any) -> None:
        """Fold one item and send on, depth first, what follows from it."""
        routes = self.routes
        for output in self._step(item):
            routes[type(output)].send(output)

    def accept_new(self, item: Any) -> None:
        """Fold one item that was decoded from a producer's record, unless its output is in the log already."""
        # What ingest decoded holds its event, or is a dead letter.
        source: Source = getattr(item, "event", item).source
        if source in self.left:
            self.left.remove(source)
        else:
            self.accept(item)

    def send(self, item: Item) -> None:
        """Send an item that did not come from a step (a pointer to what has been stored since)."""
        self.routes[type(item)].send(item)

    def chain(self, name: str, link: Link, position: int) -> None:
        """Take the input ``name`` (a cursor) from ``link`` from ``position`` on."""
        self.chained.append((name, link, position))
        link.feed(self.accept, position)

    def reached(self) -> Positions:
        """Return how far every input has been folded."""
        reached = dict(self.positions)
        for name, link, position in self.chained:
            reached[name] = max(position, link.next_seq)
        return reached

    def reflected(self) -> Positions:
        """Return what the state reflects: how far the topics are folded from which it would be rebuilt."""
        if not self.replayed:
            return self.reached()
        return {cursor(link.topic, link.partition, link.writer_number): link.next_seq for link in self.replayed}

    def progress(
        self,
        partition: int,
        transactional_id: str,
        latency_ms: Mapping[str, float],
        degraded: Mapping[str, int],
    ) -> Progress:
        """Make the commit record of the batch just folded; ``degraded`` is what is wrong by code, and since when."""
        inputs = []
        for name, position in self.reached().items():
            topic, number, writer = split_cursor(name)
            inputs.append(InputPosition(topic, number, writer, position, self.hints.get((topic, number), 0)))
        core = self.stage.core
        return Progress(
            stage=self.definition.name,
            partition=partition,
            inputs=tuple(inputs),
            outputs={link.topic: link.next_seq for link in self.links},
            counters=dict(core.counters()),
            watermark=core.watermark,
            latency_ms=dict(latency_ms),
            transactional_id=transactional_id,
            degraded=dict(degraded),
        )
