"""Promise 5: every vector that was served is recomputed from the events, bit for bit; and so is what Redis keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

from riverrun.audit.cut import Cut
from riverrun.audit.foreign import ForeignPanes, ForeignStateError
from riverrun.audit.groups import Layout, entity_name
from riverrun.audit.panes import Entity
from riverrun.audit.reading import Record
from riverrun.audit.report import Check, Tell
from riverrun.audit.sequences import Order, Own, Part, numbered, own_records
from riverrun.audit.stored import StoredPartials
from riverrun.audit.subject import Subject
from riverrun.records.headers import Stamp
from riverrun.records.items import Event, ForeignRead, Vector
from riverrun.records.topics import Kind

__all__ = ["audit_vectors"]


class _Checks(NamedTuple):
    sequence: Check
    once: Check
    values: Check
    stored: Check


class _Vectors:
    """Recomputes the vectors of one partition, event by event."""

    def __init__(self, subject: Subject, stored: StoredPartials, partition: int, checks: _Checks) -> None:
        self._subject = subject
        self._checks = checks
        self._partition = partition
        self._panes = stored.panes
        self._layout = stored.layout
        groups = self._layout.groups
        spread = subject.partitions > 1 and not all(group.is_local for group in groups)
        self._numbers = {group.id: number for number, group in enumerate(groups)}
        self._named = [entity_name(group.theirs) for group in groups]
        self._others = [other for other in range(subject.partitions) if other != partition] if spread else []
        self._foreign = {other: ForeignPanes(subject, self._layout, other) for other in self._others}

    def fold(self, event: Event) -> None:
        """Fold an event."""
        self._panes.fold(event.stream, event.fields, event.time, event.seq)

    def compare(self, event: Event, record: Record, stamp: Stamp) -> None:
        """Compare the vector of an event that is not yet folded with what it should be."""
        codecs, check = self._subject.codecs, self._checks.values
        check.counted += 1
        reads: tuple[ForeignRead, ...] = ()
        others: dict[int, dict[int, Entity]] = {}
        value = record.value or b""
        if self._others:
            reads = codecs.decode_vector(value).reads
            try:
                others = self._read(event, reads)
            except ForeignStateError as error:
                check.fault(record, error.expected, error.found)
                return
        values = self._panes.vector(event.fields, event.time, others)
        expected = Vector(event.id, event.key, event.time, event.seq, values, reads, stamp.source)
        if codecs.encode(expected) != value:
            check.fault(record, *_difference(self._subject, expected, value))

    def _read(self, event: Event, reads: tuple[ForeignRead, ...]) -> dict[int, dict[int, Entity]]:
        """Return what the vector says that it has read of other partitions, as it was at those positions."""
        found: dict[int, dict[int, Entity]] = {}
        for read in reads:
            number = self._numbers.get(read.group, -1)
            if number < 0 or read.partition not in self._foreign or self._layout.groups[number].is_local:
                raise ForeignStateError("reads of other partitions' groups", f"{read}")
            name = self._named[number](event.fields)
            if read.entity != name:
                raise ForeignStateError(f"a read of its own entity {name!r}", f"{read}")
            entity = self._foreign[read.partition].entity(number, read.entity, read.position)
            if entity is None:
                self._checks.values.note = "some partials that vectors had read were too old to be made again"
            else:
                found.setdefault(number, {})[read.partition] = entity
        return found


def _difference(subject: Subject, expected: Vector, value: bytes) -> tuple[str, str]:
    found = subject.codecs.decode_vector(value)
    for name, wanted, had in zip(subject.pipeline.feature_names, expected.values, found.values, strict=True):
        if repr(wanted) != repr(had) and wanted != had:
            return f"{name} = {wanted!r}", f"{name} = {had!r}"
    return f"{expected}", f"{found}"


def audit_vectors(subject: Subject, tell: Tell) -> list[Check]:
    """Recompute every vector of every partition, and every partial in Redis."""
    checks = _Checks(
        Check("vectors are numbered without holes", 1),
        Check("each event to predict on has one vector", 1),
        Check("each vector is what the events amount to, bit for bit", 5),
        Check("Redis holds what the events amount to", 1),
    )
    for partition in range(subject.partitions):
        # Before the cut: what is stored afterwards may be ahead of it.
        stored = StoredPartials(subject, Layout(subject.pipeline), partition, checks.stored)
        _audit_partition(subject, stored, partition, checks, tell)
    return list(checks)


def _audit_partition(subject: Subject, stored: StoredPartials, partition: int, checks: _Checks, tell: Tell) -> None:
    cut = Cut(subject)
    end = cut.read("features", partition, Kind.EVENTS, partition)
    made = cut.written("features", partition, Kind.VECTORS)
    vectors = _Vectors(subject, stored, partition, checks)
    part = Part(Kind.VECTORS, partition, {partition: made}, Order.RISING)
    waiting = (pair for pair in numbered(subject, part, checks.sequence, tell) if pair[1].seq < made)
    head = next(waiting, None)
    predict_on = subject.pipeline.predict_on.name
    for own in _events(subject, partition, end, tell):
        event = cast("Event", own.item)
        if event.stream == predict_on:
            head = _pass_over(waiting, head, event.seq, checks.once)
            checks.once.counted += 1
            if head is None or head[1].source.position != event.seq:
                checks.once.fault(own.record, "a vector", "none")
            else:
                vectors.compare(event, *head)
                head = next(waiting, None)
        vectors.fold(event)
    _pass_over(waiting, head, 1 << 62, checks.once)
    stored.finish(end)


def _events(subject: Subject, partition: int, end: int, tell: Tell) -> Iterator[Own]:
    # Their order is another task's to check.
    unused = Check("", 0)
    for own in own_records(subject, Part(Kind.EVENTS, partition, {}), unused, tell):
        if own.stamp.seq >= end:
            break
        yield own


def _pass_over(
    waiting: Iterator[tuple[Record, Stamp]], head: tuple[Record, Stamp] | None, seq: int, check: Check
) -> tuple[Record, Stamp] | None:
    """Pass over vectors that belong to no event before ``seq``."""
    while head is not None and head[1].source.position < seq:
        check.fault(head[0], "an event to predict on that has no vector yet", head[1].source)
        head = next(waiting, None)
    return head
