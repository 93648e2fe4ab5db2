"""Riverrun's own records in their order: numbered without holes, each made from a later record than the one before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import NamedTuple

from riverrun.audit.reading import Record
from riverrun.audit.report import Check, Tell
from riverrun.audit.subject import Subject
from riverrun.errors import RiverrunError
from riverrun.records.headers import HeadersError, Stamp, parse
from riverrun.records.items import Item, Progress
from riverrun.records.topics import Kind

__all__ = ["Order", "Own", "Part", "numbered", "own_records"]

_TELL_EVERY = 4_096


class Order(Enum):
    """How the sources of a topic's records follow each other."""

    RISING = "strictly rising"
    LEVEL = "not falling"
    FREE = "in any order"


class Part(NamedTuple):
    """A partition of one of the pipeline's topics.

    ``committed`` says how many records each writer had committed at least, and ``order`` how the sources follow.
    """

    kind: Kind
    partition: int
    committed: Mapping[int, int]
    order: Order = Order.FREE


class Own(NamedTuple):
    """One of riverrun's own records, decoded."""

    record: Record
    stamp: Stamp
    item: Item


def numbered(subject: Subject, part: Part, check: Check, tell: Tell) -> Iterator[tuple[Record, Stamp]]:
    """Read one of the pipeline's topics, with the headers; note what is out of sequence.

    ``riverrun-seq`` must be dense from 0 for each writer, up to what was committed at least, and the positions of the
    sources ordered within each topic and partition that they come from.
    """
    topic = subject.topic(part.kind)
    place: Record | str = f"{topic}[{part.partition}]"
    expected: dict[int, int] = {}
    sources: dict[tuple[int, str, int], int] = {}
    for number, record in enumerate(subject.log.read(topic, part.partition), 1):
        if number % _TELL_EVERY == 0:
            tell(_TELL_EVERY)
        try:
            stamp = parse(record.headers)
        except HeadersError as error:
            check.fault(record, "headers that name its position and its source", error.message)
            continue
        check.counted += 1
        place = record
        writer, seq, source, _ = stamp
        wanted = expected.get(writer, 0)
        if seq != wanted:
            check.fault(record, f"riverrun-seq {writer}:{wanted}", f"{writer}:{seq}")
        expected[writer] = seq + 1
        if part.order is not Order.FREE:
            origin = writer, source.topic, source.partition
            last = sources.get(origin, -1)
            if source.position < last or (source.position == last and part.order is Order.RISING):
                check.fault(record, f"sources {part.order.value}, so one after position {last}", source.position)
            sources[origin] = source.position
        yield record, stamp
    for writer, count in part.committed.items():
        found = expected.get(writer, 0)
        if found < count:
            check.fault(place, f"{count} records of writer {writer}, as it committed", f"{found}, this being the last")


def own_records(subject: Subject, part: Part, check: Check, tell: Tell) -> Iterator[Own]:
    """Read one of the pipeline's topics, decoded; what cannot be decoded is noted and left out."""
    decode = subject.codecs.decode
    for record, stamp in numbered(subject, part, check, tell):
        if record.value is None:
            check.fault(record, "a value", "a tombstone")
            continue
        try:
            item = decode(record.value, stamp)
        except RiverrunError as error:
            check.fault(record, "a record that decodes", error.message)
            continue
        if isinstance(item, Progress):
            check.fault(record, f"a record of {part.kind}", "a commit record")
            continue
        yield Own(record, stamp, item)
