"""Between log records and items: what is written, what is read, and in which order it is folded."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

from riverrun.records import headers as record_headers
from riverrun.records.brief_events import BriefEvents
from riverrun.records.codecs import CodecError, Codecs
from riverrun.records.items import Event, Item, Prediction, Progress, Vector
from riverrun.runtime.inputs import Decode
from riverrun.runtime.ports import Headers, Record


class Wire:
    """The codecs as the runtime uses them.

    The *order* of an item is that in which a chain would fold it: the prediction on event n (and its vector) at
    2n, event n itself at 2n + 1. Stages that run apart merge their inputs by it, so they fold as a chain does.

    Attributes
    ----------
    trace
        The headers that all which is written now carries besides its own: the context of the record being folded, if
        that one is traced.
    """

    __slots__ = ("codecs", "trace")

    def __init__(self, codecs: Codecs) -> None:
        self.codecs = codecs
        self.trace: Headers = ()

    def to_wire(self, item: Item, writer: int) -> tuple[bytes | None, bytes, Headers]:
        """Return key, value and headers."""
        if not self.trace:
            return self.codecs.to_wire(item, writer)
        key, value, headers = self.codecs.to_wire(item, writer)
        return key, value, [*headers, *self.trace]

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
        return self.codecs.from_wire(record.value, record.headers)[0]

    def decode(self, record: Record) -> tuple[int, Item, int, int]:
        """Return a record's order, item, writer and position."""
        item, stamp = self.codecs.from_wire(record.value, record.headers)
        kind = type(item)
        if kind is Event:
            order = 2 * stamp.seq + 1
        elif isinstance(item, Vector | Prediction):
            order = 2 * item.event_seq
        else:
            order = 0
        return order, item, stamp.writer, stamp.seq

    def decoder(self, topic: str, fields_of: Collection[str] | None = None) -> Decode:
        """Return what decodes the records of one of riverrun's own topics.

        Parameters
        ----------
        topic
            The topic.
        fields_of
            The streams whose events are wanted with their fields; None for all.
        """
        del topic
        if fields_of is None:
            return self.decode
        brief, decode = BriefEvents(self.codecs, fields_of), self.decode

        def decode_brief(record: Record) -> tuple[int, Item, int, int]:
            stamp = record_headers.parse(record.headers)
            if not stamp.stream or record.value is None:
                return decode(record)
            item = cast("Item", brief.decode(record.value, stamp))
            return 2 * stamp.seq + 1, item, stamp.writer, stamp.seq

        return decode_brief
