"""Promise 3: every producer's record is an event, a dead letter or a duplicate; nothing vanishes or is altered."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from riverrun.audit.cut import Cut
from riverrun.audit.messages import Message, MessageReader, UnreadableError
from riverrun.audit.reading import Record
from riverrun.audit.report import Check, Tell
from riverrun.audit.sequences import Order, Own, Part, own_records
from riverrun.audit.subject import Subject
from riverrun.records.definition import identity_text
from riverrun.records.items import DeadLetter, Event
from riverrun.records.topics import Kind

__all__ = ["audit_intake"]

_CUT_MARKS: Final = ("(the first", "(key cut")
_PRUNE_EVERY: Final = 50_000

Headers = tuple[tuple[str, bytes | None], ...]


class _Letter(NamedTuple):
    """What is kept of a dead letter until its original comes: little, since there may be many."""

    record: Record
    reason: str
    print: bytes
    kept: tuple[int, int]
    is_cut: bool


class _Accepted:
    """The ids of accepted events, for as long as a duplicate of theirs is one."""

    def __init__(self, horizon_ms: int) -> None:
        self._horizon = horizon_ms
        self._deadlines: dict[bytes, int] = {}
        self._prune_at = _PRUNE_EVERY

    def add(self, stream: str, message: Message, watermark: int) -> None:
        """Note an accepted event, at the watermark that it leaves behind."""
        self._deadlines[_key(stream, message)] = watermark + self._horizon

    def knows(self, stream: str, message: Message, watermark: int) -> bool:
        """Whether a message repeats an accepted event, at a watermark no later than when it was read."""
        deadline = self._deadlines.get(_key(stream, message))
        return deadline is not None and deadline >= watermark and deadline >= message.time

    @property
    def is_full(self) -> bool:
        """Whether it is time to prune."""
        return len(self._deadlines) >= self._prune_at

    def prune(self, watermark: int) -> None:
        """Forget what no message can repeat any more at this watermark."""
        self._deadlines = {key: end for key, end in self._deadlines.items() if end >= watermark}
        self._prune_at = 2 * len(self._deadlines) + _PRUNE_EVERY


def _key(stream: str, message: Message) -> bytes:
    return hashlib.blake2b(f"{stream}/{message.id}".encode(), digest_size=12).digest()


class _Producer:
    """One producers' topic, walked through in step with the events that were made of it."""

    def __init__(self, subject: Subject, reader: MessageReader, partition: int, end: int) -> None:
        self.reader = reader
        self.topic = reader.stream.topic
        self.watermark = 0
        self.first, _ = subject.log.bounds(self.topic, partition)
        self._end = end
        self._records = subject.log.read(self.topic, partition)
        self._next: Record | None = next(self._records, None)

    @property
    def has_more(self) -> bool:
        """Whether there are records left."""
        return self._next is not None

    def upto(self, offset: int) -> Iterator[Record]:
        """Iterate over the records below an offset, and below the end of what was read."""
        limit = min(offset, self._end)
        while self._next is not None and self._next.offset < limit:
            record, self._next = self._next, next(self._records, None)
            yield record

    def at(self, offset: int) -> Record | None:
        """Return the record at an offset, if it is the next and there is one."""
        record = self._next
        if record is None or record.offset != offset:
            return None
        self._next = next(self._records, None)
        return record

    def rest(self) -> Iterator[Record]:
        """Iterate over what is left."""
        return self.upto(self._end)


class _Partition:
    """Accounts for all records of one partition of the producers' topics."""

    def __init__(self, subject: Subject, cut: Cut, partition: int, checks: _Checks) -> None:
        self._checks = checks
        self._partition = partition
        self._accepted = _Accepted(subject.pipeline.dedupe_ms)
        self._watermark = 0
        self._letters: dict[tuple[str, int], _Letter] = {}
        self.counts: Counter[str] = Counter()
        self._producers = {
            stream.topic: _Producer(
                subject, MessageReader(subject, stream), partition, cut.read("ingest", partition, stream.topic)
            )
            for stream in subject.pipeline.streams
        }

    def take_letter(self, own: Own) -> None:
        """Remember a dead letter until its original is met."""
        letter = own.item
        if not isinstance(letter, DeadLetter):
            return
        topic, partition, offset = letter.source
        if not letter.reason:
            self._checks.letters.fault(own.record, "a reason code", "none")
        if topic not in self._producers or partition != self._partition:
            self._checks.letters.fault(own.record, f"a source in partition {self._partition}", letter.source)
            return
        self._letters[topic, offset] = _Letter(
            record=own.record._replace(value=None),
            reason=letter.reason,
            print=_print(letter.timestamp, letter.key, letter.value, letter.headers),
            kept=(len(letter.key or b""), len(letter.value or b"")),
            is_cut=letter.detail.startswith(_CUT_MARKS),
        )

    def take_event(self, own: Own) -> None:
        """Account for the producer's records up to the one that an event was made of, and compare that."""
        event, checks = own.item, self._checks
        if not isinstance(event, Event):
            return
        topic, partition, offset = own.stamp.source
        producer = self._producers.get(topic)
        if producer is None or partition != self._partition:
            checks.events.fault(own.record, f"a source in partition {self._partition} of a stream", own.stamp.source)
            return
        for record in producer.upto(offset):
            self._account(producer, record)
        self.counts["accepted"] += 1
        if (topic, offset) in self._letters:
            found = f"this event and the dead letter at {self._letters.pop((topic, offset)).record.offset}"
            checks.accounted.fault(own.record, "one of an event, a dead letter and a duplicate", found)
        message = Message(event.id, event.time, event.fields)
        if self._accepted.knows(event.stream, message, self._watermark):
            checks.events.fault(own.record, f"event {event.id!r} of {event.stream} once", "it again")
        original = producer.at(offset)
        if original is not None:
            checks.accounted.counted += 1
            self._compare(producer, original, own, event)
        elif offset >= producer.first:
            checks.events.fault(own.record, f"a record at offset {offset} of {topic}", "none")
        self._watermark = producer.watermark = max(self._watermark, event.time)
        self._accepted.add(event.stream, message, self._watermark)
        if self._accepted.is_full:
            self._accepted.prune(min((each.watermark for each in self._producers.values() if each.has_more), default=0))

    def finish(self) -> None:
        """Account for the records after the last events, and for dead letters that nothing was met of."""
        for producer in self._producers.values():
            for record in producer.rest():
                self._account(producer, record)
        for (topic, offset), letter in self._letters.items():
            if offset >= self._producers[topic].first:
                self._checks.letters.fault(letter.record, f"a record at offset {offset} of {topic}", "none")
            self.counts["dead_letters"] += 1
            self.counts[f"dead:{letter.reason}"] += 1

    def _account(self, producer: _Producer, record: Record) -> None:
        """Account for a producer's record that no event was made of."""
        checks = self._checks
        checks.accounted.counted += 1
        letter = self._letters.pop((record.topic, record.offset), None)
        if letter is not None:
            self.counts["dead_letters"] += 1
            self.counts[f"dead:{letter.reason}"] += 1
            _compare_letter(checks.letters, letter, record)
            return
        self.counts["duplicates"] += 1
        try:
            message = producer.reader.message(record.value)
        except UnreadableError as error:
            checks.accounted.fault(record, "an event or a dead letter of it", f"neither, and no event's copy: {error}")
            return
        stream = producer.reader.stream.name
        if not self._accepted.knows(stream, message, producer.watermark):
            found = f"none of them, and no event {message.id!r} before it"
            checks.accounted.fault(record, "an event, a dead letter, or a duplicate", found)

    def _compare(self, producer: _Producer, original: Record, own: Own, event: Event) -> None:
        check, reader = self._checks.events, producer.reader
        stream = reader.stream
        check.counted += 1
        if event.stream != stream.name:
            check.fault(own.record, f"an event of stream {stream.name}", event.stream)
        key = identity_text(event.fields[stream.key_field])
        if own.record.key != (key or "").encode():
            check.fault(own.record, f"the key {key!r}", own.record.key)
        if original.value != own.record.value:
            try:
                said = dict(reader.message(original.value).fields)
            except UnreadableError as error:
                check.fault(own.record, f"a dead letter of {stream.topic}@{original.offset}: {error}", "an event")
                return
            if repr(said) != repr(dict(event.fields)):
                check.fault(own.record, f"what {stream.topic}@{original.offset} says: {said}", event.fields)
        for text, holds in reader.rules:
            if holds(event.fields) is False:
                check.fault(own.record, f"an event that keeps the rule {text}", event.fields)


class _Checks(NamedTuple):
    sequence: Check
    letter_sequence: Check
    accounted: Check
    events: Check
    letters: Check
    counters: Check


def audit_intake(subject: Subject, tell: Tell) -> list[Check]:
    """Compare the producers' topics with `events` and `dead-letters`, side by side and in bounded memory."""
    cut = Cut(subject)
    checks = _Checks(
        Check("events are numbered without holes", 3),
        Check("dead letters are numbered without holes", 3),
        Check("each producer's record is an event, a dead letter or a duplicate", 3),
        Check("each event says what the producer's record says, and comes once", 3),
        Check("each dead letter keeps the original's bytes and a reason", 3),
        Check("the counters of ingest are those of the log", 3),
    )
    for number in range(subject.partitions):
        partition = _Partition(subject, cut, number, checks)
        most = cut.written("ingest", number, Kind.DEAD_LETTERS)
        part = Part(Kind.DEAD_LETTERS, number, {number: most})
        for own in own_records(subject, part, checks.letter_sequence, tell):
            if own.stamp.seq < most:
                partition.take_letter(own)
        most = cut.written("ingest", number, Kind.EVENTS)
        part = Part(Kind.EVENTS, number, {number: most}, Order.RISING)
        for own in own_records(subject, part, checks.sequence, tell):
            if own.stamp.seq < most:
                partition.take_event(own)
        partition.finish()
        _compare_counters(checks.counters, cut, number, partition.counts)
    return list(checks)


def _compare_counters(check: Check, cut: Cut, partition: int, counted: Counter[str]) -> None:
    place = f"the last commit of ingest on partition {partition}"
    committed = cut.counters("ingest", partition)
    for name in ("accepted", "duplicates", "dead_letters"):
        check.compare(place, f"{name} {counted[name]}", f"{name} {committed.get(name, 0)}")
    for name in sorted({name for name in (*counted, *committed) if name.startswith("dead:")}):
        check.compare(place, f"{name} {counted[name]}", f"{name} {committed.get(name, 0)}")


def _compare_letter(check: Check, letter: _Letter, original: Record) -> None:
    check.counted += 1
    key, value = original.key, original.value
    headers: Headers = tuple((name, content) for name, content in original.headers)
    if letter.is_cut:
        # What is too long for the broker to take back is cut; what was kept must still be the beginning.
        kept_key, kept_value = letter.kept
        headers = headers if kept_key == len(key or b"") else ()
        key = None if key is None else key[:kept_key]
        value = None if value is None else value[:kept_value]
    if letter.print != _print(original.timestamp, key, value, headers):
        found = f"others: {letter.kept[0]} of {len(original.key or b'')} bytes of key, {letter.kept[1]} of value"
        expected = f"timestamp, key, headers and the {len(original.value or b'')} bytes of {_place(original)}"
        check.fault(letter.record, expected, found)


def _place(record: Record) -> str:
    return f"{record.topic}[{record.partition}]@{record.offset}"


def _print(timestamp: int, key: bytes | None, value: bytes | None, headers: Headers) -> bytes:
    """Return a fingerprint of all that a dead letter must keep."""
    return hashlib.blake2b(repr((timestamp, key, value, headers)).encode(), digest_size=16).digest()
