"""Events without their fields, for a stage that looks into those of a few streams only."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import cast

from riverrun.records.codecs import Codecs
from riverrun.records.definition import StreamSchema, identity_text
from riverrun.records.flat_records import ODD, Fields, make_field_reader
from riverrun.records.framing import frame_header
from riverrun.records.headers import Stamp
from riverrun.records.items import Event, Item, Progress

__all__ = ["BriefEvents"]


class BriefEvents:
    """Decodes the records of ``events``, most of them in part: id, key and time, while ``fields`` stays empty.

    Records of another than the stream's current schema, and of schemas that cannot be read in part, are decoded in
    full.

    Parameters
    ----------
    codecs
        Decodes whatever is decoded in full.
    fields_of
        The streams whose events are decoded in full.
    """

    __slots__ = ("_brief", "_decode")

    def __init__(self, codecs: Codecs, fields_of: Collection[str]) -> None:
        self._decode = codecs.decode
        self._brief: dict[str, tuple[bytes, Callable[[bytes, Stamp], Event]]] = {}
        for stream in codecs.streams:
            read = make_field_reader(stream.schema, (stream.id, stream.key, stream.time))
            if read is not None and stream.name not in fields_of:
                self._brief[stream.name] = frame_header(codecs.stream_id(stream.name)), _decoder(stream, read)

    def decode(self, value: bytes, stamp: Stamp) -> Item | Progress:
        """Return the event that a framed record holds; raises as `Codecs.decode`."""
        brief = self._brief.get(stamp.stream)
        if brief is not None and value.startswith(brief[0]):
            try:
                return brief[1](value, stamp)
            except ODD:
                # Whatever is wrong with it, the codecs say it in words.
                return self._decode(value, stamp)
        return self._decode(value, stamp)


def _decoder(stream: StreamSchema, read: Callable[[bytes], Fields]) -> Callable[[bytes, Stamp], Event]:
    name, id_field, key_field, time_field = stream.name, stream.id, stream.key, stream.time

    def decode(value: bytes, stamp: Stamp) -> Event:
        fields = read(value)
        identity, key = identity_text(fields[id_field]), identity_text(fields[key_field])
        if identity is None or key is None:
            raise ValueError(f"an event of {name} has no id or no key")
        return Event(name, identity, key, cast("int", fields[time_field]), {}, value, stamp.source, stamp.seq)

    return decode
