"""Between log records and items: what is written, what is read, and in which order it is folded."""

from __future__ import annotations

from riverrun.records import headers as record_headers
from riverrun.records.codecs import CodecError, Codecs
from riverrun.records.items import Event, Item, Prediction, Progress, Vector
from riverrun.runtime.inputs import Decode
from riverrun.runtime.ports import Headers, Record


class Wire:
    """The codecs as the runtime uses them.

    The *order* of an item is that in which a chain would fold it: the prediction on event n (and its vector) at
    2n, event n itself at 2n + 1. Stages that run apart merge their inputs by it, so they fold as a chain does.
    """

    __slots__ = ("codecs",)

    def __init__(self, codecs: Codecs) -> None:
        self.codecs = codecs

    def to_wire(self, item: Item, writer: int) -> tuple[bytes | None, bytes, Headers]:
        """Return key, value and headers."""
        return self.codecs.to_wire(item, writer)

    def encode_progress(self, progress: Progress) -> tuple[bytes, bytes]:
        """Return key and value of a commit record."""
        return progress.stage.encode(), self.codecs.encode(progress)

    def progress(self, record: Record) -> Progress:
        """Decode a commit record."""
        if record.value is None:
            raise CodecError(f"{record.topic}[{record.partition}] holds a tombstone at offset {record.offset}")
        return self.codecs.decode_progress(record.value)

    def position(self, record: Record) -> tuple[int, int]:
        """Return a record's writer and position."""
        stamp = record_headers.parse(record.headers)
        return stamp.writer, stamp.seq

    def item(self, record: Record) -> Item:
        """Decode a record of one of riverrun's own topics."""
        return self.codecs.from_wire(record.value, list(record.headers))[0]

    def decode(self, record: Record) -> tuple[int, Item, int, int]:
        """Return a record's order, item, writer and position."""
        item, stamp = self.codecs.from_wire(record.value, list(record.headers))
        if isinstance(item, Event):
            order = 2 * stamp.seq + 1
        elif isinstance(item, Vector | Prediction):
            order = 2 * item.event_seq
        else:
            order = 0
        return order, item, stamp.writer, stamp.seq

    def decoder(self, topic: str) -> Decode:
        """Return what decodes the records of one of riverrun's own topics."""
        del topic
        return self.decode
