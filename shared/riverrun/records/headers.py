"""The headers that say where a record of riverrun's own topics stands and what it was made from.

``riverrun-seq`` is ``<writer>:<seq>``, ``riverrun-source`` is ``<topic>/<partition>/<position>``, and
``riverrun-stream``, on ``events`` alone, is the name of the event's stream. All are plain text, to be read in any
Kafka tool.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from riverrun.errors import RiverrunError
from riverrun.records.items import Source

__all__ = [
    "SEQ",
    "SOURCE",
    "STREAM",
    "HeadersError",
    "Stamp",
    "build",
    "build_for_event",
    "parse",
]

SEQ: Final = "riverrun-seq"
SOURCE: Final = "riverrun-source"
STREAM: Final = "riverrun-stream"

Header = tuple[str, bytes | None]


class HeadersError(RiverrunError):
    """A record of riverrun's own topics lacks its headers, or they are malformed."""


class Stamp(NamedTuple):
    """What the headers of a record say.

    Parameters
    ----------
    writer
        Partition number of the task that wrote it.
    seq
        Its position: dense from zero for each topic, partition and writer.
    source
        The record that it was made from.
    stream
        For an event, its stream; else empty.
    """

    writer: int
    seq: int
    source: Source
    stream: str = ""


def build(writer: int, seq: int, source: Source) -> list[tuple[str, bytes | None]]:
    """Return the headers of any record but an event.

    Examples
    --------
    >>> build(0, 12, Source("flight-delay.events", 0, 7))
    [('riverrun-seq', b'0:12'), ('riverrun-source', b'flight-delay.events/0/7')]
    """
    topic, partition, position = source
    return [
        (SEQ, b"%d:%d" % (writer, seq)),
        (SOURCE, f"{topic}/{partition}/{position}".encode()),
    ]


def build_for_event(writer: int, seq: int, source: Source, stream: bytes) -> list[tuple[str, bytes | None]]:
    """Return the headers of an event; ``stream`` is its stream's name in UTF-8."""
    topic, partition, position = source
    return [
        (SEQ, b"%d:%d" % (writer, seq)),
        (SOURCE, f"{topic}/{partition}/{position}".encode()),
        (STREAM, stream),
    ]


@lru_cache(maxsize=1_024)
def _place(place: bytes) -> tuple[str, int]:
    """Return a topic and a partition; there are few of them."""
    topic, partition = place.decode().rsplit("/", 1)
    return topic, int(partition)


def parse(headers: Iterable[Header]) -> Stamp:
    """Read the headers of a record of riverrun's own topics; others are ignored, the first of a name counts.

    Raises
    ------
    HeadersError
        If ``riverrun-seq`` or ``riverrun-source`` is missing or malformed: another program wrote the record.

    Examples
    --------
    >>> parse([("riverrun-seq", b"2:9"), ("riverrun-source", b"a.b/2/40"), ("trace", b"x")])
    Stamp(writer=2, seq=9, source=Source(topic='a.b', partition=2, position=40), stream='')
    """
    seq = source = stream = None
    for name, value in headers:
        if name == SEQ:
            seq = value if seq is None else seq
        elif name == SOURCE:
            source = value if source is None else source
        elif name == STREAM:
            stream = value if stream is None else stream
    if seq is None or source is None:
        raise HeadersError(
            f"a record has no header {SEQ if seq is None else SOURCE!r}",
            hint="only riverrun may write to its own topics",
        )
    try:
        writer, _, number = seq.partition(b":")
        place, _, position = source.rpartition(b"/")
        topic, partition = _place(place)
        # Twice as fast as the named tuples' own constructors, for every record that is read.
        origin = tuple.__new__(Source, (topic, partition, int(position)))
        return tuple.__new__(Stamp, (int(writer), int(number), origin, "" if stream is None else stream.decode()))
    except ValueError as error:
        raise HeadersError(
            f"headers {SEQ}={seq!r}, {SOURCE}={source!r} are malformed: {error}",
            hint="only riverrun may write to its own topics",
        ) from error
