"""A link: one output topic's partition, written by one task, and the chained stages that hang on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from riverrun.records.items import UNSENT, Item
from riverrun.runtime.ports import Writer
from riverrun.runtime.wire import Wire


class Link:
    """Numbers a stage's output, writes what the topic does not hold yet, and feeds the stages chained behind.

    Parameters
    ----------
    topic, partition
        Where it writes.
    writer_number
        The writing task's partition: the writer of the records' ``riverrun-seq``.
    next_seq
        The position of the next item, from the last consistent commit record.
    durable
        The position after the topic's own tail. Items below it are in the log already (a torn transaction left
        them, or a replay makes them again): they are numbered, but not written.
    """

    __slots__ = (
        "_feeds",
        "_live_from",
        "_wire",
        "_writer",
        "durable",
        "next_seq",
        "partition",
        "topic",
        "writer_number",
    )

    def __init__(self, topic: str, partition: int, writer_number: int, next_seq: int, durable: int) -> None:
        self.topic = topic
        self.partition = partition
        self.writer_number = writer_number
        self.next_seq = next_seq
        self.durable = durable
        self._feeds: list[tuple[int, Callable[[Any], None]]] = []
        self._live_from = 0
        self._writer: Writer | None = None
        self._wire: Wire | None = None

    def attach(self, writer: Writer, wire: Wire) -> None:
        """Set where items are written and how they are encoded."""
        self._writer = writer
        self._wire = wire

    def feed(self, accept: Callable[[Any], None], position: int) -> None:
        """Hand items from ``position`` on to a chained stage, in the order in which stages are attached."""
        self._feeds.append((position, accept))
        self._live_from = max(self._live_from, position)

    def send(self, item: Item) -> None:
        """Give one item its number, write it and hand it on.

        An item that comes numbered (a model's pointer, whose number follows from the fold) is dropped when it
        was sent before.
        """
        seq = self.next_seq
        if item.seq != UNSENT:
            if item.seq < seq:
                return
            seq = item.seq
        item.seq = seq
        self.next_seq = seq + 1
        if seq >= self.durable:
            self._append(item)
        if seq >= self._live_from:
            for _, accept in self._feeds:
                accept(item)
        else:
            for position, accept in self._feeds:
                if seq >= position:
                    accept(item)

    def _append(self, item: Item) -> None:
        writer, wire = self._writer, self._wire
        if writer is None or wire is None:
            raise RuntimeError(f"the link to {self.topic} is not attached to a writer")
        key, value, headers = wire.to_wire(item, self.writer_number)
        writer.send(self.topic, self.partition, key, value, headers)
