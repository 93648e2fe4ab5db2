"""Promises 1 and 2: one prediction a vector, and each ends exactly once, by the label that the events say it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple, cast

from riverrun.audit.cut import Cut
from riverrun.audit.labels import End, Labels
from riverrun.audit.reading import Record
from riverrun.audit.report import Check, Tell
from riverrun.audit.sequences import Order, Own, Part, numbered, own_records
from riverrun.audit.subject import Subject
from riverrun.records.items import DEFAULTED, EXPIRED, LABELLED, REVISED, Event, Example, Prediction
from riverrun.records.topics import Kind

__all__ = ["audit_ledger"]


_FIELDS: Final = ("source", "id", "key", "time", "outcome", "label", "label_time", "scores", "vector")
"""What an example is compared by."""


class _Checks(NamedTuple):
    sequence: Check
    example_sequence: Check
    once: Check
    ends: Check
    labels: Check
    balance: Check


class _Ledger:
    """The predictions of one partition, and what must become of them."""

    def __init__(self, subject: Subject, cut: Cut, partition: int, checks: _Checks, tell: Tell) -> None:
        self.examples = cut.written("labels", partition, Kind.EXAMPLES)
        self.counters = cut.counters("labels", partition)
        self.labels = Labels(subject.pipeline)
        self.ended = bytearray()
        self.outcomes: Counter[str] = Counter()
        self._subject = subject
        self._cut = cut
        self._partition = partition
        self._checks = checks
        self._tell = tell
        self._expected = self._fold()

    def next_end(self) -> tuple[Record, End] | None:
        """Return what must be said by the next example, and the record that makes it so."""
        return next(self._expected, None)

    def take_outcome(self, own: Own, example: Example) -> None:
        """Note that a prediction ended; one that had ended before, or never was, is a fault."""
        number, check = own.stamp.source.position, self._checks.ends
        self.outcomes[example.outcome] += 1
        if example.outcome == REVISED:
            return
        check.counted += 1
        if number >= len(self.ended):
            self.ended.extend(bytes(number + 1 - len(self.ended)))
        if self.ended[number]:
            check.fault(own.record, f"an end of a prediction that has not ended: {own.stamp.source}", example.outcome)
        self.ended[number] = 1

    def _fold(self) -> Iterator[tuple[Record, End]]:
        """Fold events and predictions in their order: the prediction on an event comes before the event itself."""
        cut, partition = self._cut, self._partition
        most_events = cut.read("labels", partition, Kind.EVENTS, partition)
        most = cut.read("labels", partition, Kind.PREDICTIONS, partition)
        predictions = self._predictions()
        head = next(predictions, None)
        unused = Check("", 0)
        for own in own_records(self._subject, Part(Kind.EVENTS, partition, {}), unused, self._tell):
            if own.stamp.seq >= most_events:
                break
            event = cast("Event", own.item)
            while head is not None and _on(head).event_seq <= event.seq:
                if head.stamp.seq < most:
                    self._compare_event(head, event)
                    for end in self.labels.take_prediction(_on(head)):
                        yield head.record, end
                head = next(predictions, None)
            for end in self.labels.take_event(event):
                yield own.record, end
        while head is not None:
            if head.stamp.seq < most:
                for end in self.labels.take_prediction(_on(head)):
                    yield head.record, end
            head = next(predictions, None)

    def _compare_event(self, own: Own, event: Event) -> None:
        found = _on(own)
        said = found.event_seq, found.id, found.key, found.time
        if said != (event.seq, event.id, event.key, event.time):
            expected = f"event {event.seq}: {event.id!r}, key {event.key!r}, time {event.time}"
            self._checks.once.fault(own.record, expected, f"{said}")

    def _predictions(self) -> Iterator[Own]:
        """Read the predictions, each compared with its vector."""
        subject, cut, partition, check = self._subject, self._cut, self._partition, self._checks.once
        scored = cut.read("score", partition, Kind.VECTORS, partition)
        made = cut.written("score", partition, Kind.PREDICTIONS)
        vectors = numbered(subject, Part(Kind.VECTORS, partition, {}), Check("", 0), self._tell)
        vector = next(vectors, None)
        part = Part(Kind.PREDICTIONS, partition, {partition: made}, Order.RISING)
        for own in own_records(subject, part, self._checks.sequence, self._tell):
            if own.stamp.seq < made:
                check.counted += 1
                while vector is not None and vector[1].seq < own.stamp.source.position:
                    check.fault(vector[0], "a prediction", "none")
                    vector = next(vectors, None)
                if vector is None or vector[1].seq != own.stamp.source.position:
                    check.fault(own.record, "a vector that has no prediction yet", own.stamp.source)
                else:
                    if vector[0].value != _on(own).vector:
                        check.fault(own.record, f"the bytes of vector {vector[1].seq} as served", "others")
                    vector = next(vectors, None)
            yield own
        while vector is not None and vector[1].seq < scored:
            check.fault(vector[0], "a prediction", "none")
            vector = next(vectors, None)


def _on(own: Own) -> Prediction:
    return cast("Prediction", own.item)


def audit_ledger(subject: Subject, tell: Tell) -> list[Check]:
    """Fold events and predictions into what must have become of each, and compare the examples with that."""
    checks = _Checks(
        Check("predictions are numbered without holes", 1),
        Check("examples are numbered without holes", 1),
        Check("each vector has one prediction, made of its bytes", 1),
        Check("each prediction ends once at most", 1),
        Check("each example has the outcome, label, scores and vector that it must have", 2),
        Check("predictions = labelled + defaulted + expired + pending", 2),
    )
    cut = Cut(subject)
    ledgers = {each: _Ledger(subject, cut, each, checks, tell) for each in range(subject.partitions)}
    committed = {writer: ledger.examples for writer, ledger in ledgers.items()}
    agreeing = dict.fromkeys(ledgers, True)
    for own in own_records(subject, Part(Kind.EXAMPLES, 0, committed), checks.example_sequence, tell):
        writer, example = own.stamp.writer, cast("Example", own.item)
        ledger = ledgers.get(writer)
        if ledger is None:
            checks.example_sequence.fault(own.record, f"a writer of {subject.partitions} partitions", writer)
        elif own.stamp.seq < ledger.examples:
            ledger.take_outcome(own, example)
            # After the first that differs, all that follow may: they would say nothing new.
            agreeing[writer] = agreeing[writer] and _compare(checks.labels, own, example, ledger.next_end())
    for writer, ledger in ledgers.items():
        missing = ledger.next_end()
        if missing is not None and agreeing[writer]:
            checks.labels.fault(missing[0], f"an example: {_say(missing[1])}", "none")
        while missing is not None:
            missing = ledger.next_end()
        _balance(checks.balance, subject, writer, ledger)
    return list(checks)


def _compare(check: Check, own: Own, example: Example, expected: tuple[Record, End] | None) -> bool:
    """Compare an example with what it must say; return whether they agree."""
    check.counted += 1
    if expected is None:
        check.fault(own.record, "no example: nothing has ended a prediction here", f"{example.outcome} {example.id!r}")
        return False
    cause, end = expected
    prediction = end.prediction
    wanted = (
        *(prediction.seq, prediction.id, prediction.key, prediction.time, end.outcome, end.label, end.label_time),
        *(prediction.scores, prediction.vector),
    )
    found = (
        *(own.stamp.source.position, example.id, example.key, example.time, example.outcome, example.label),
        *(example.label_time, example.scores, example.vector),
    )
    if wanted == found:
        return True
    name, one, other = next(each for each in zip(_FIELDS, wanted, found, strict=True) if each[1] != each[2])
    because = f"by {cause.topic}[{cause.partition}]@{cause.offset}, {_say(end)}"
    check.fault(own.record, f"{name} {one!r} ({because})", f"{name} {other!r}")
    return False


def _say(end: End) -> str:
    return f"{end.outcome} {end.prediction.id!r}, prediction {end.prediction.seq}, label {end.label}"


def _balance(check: Check, subject: Subject, partition: int, ledger: _Ledger) -> None:
    place = f"{subject.topic(Kind.PREDICTIONS)}[{partition}] and the last commit of labels"
    counts, counters = ledger.labels.counts, ledger.counters
    ended = sum(ledger.outcomes[name] for name in (LABELLED, DEFAULTED, EXPIRED))
    pending = counts["predictions"] - ended
    counted = {
        "predictions": counts["predictions"],
        LABELLED: ledger.outcomes[LABELLED],
        DEFAULTED: ledger.outcomes[DEFAULTED],
        EXPIRED: ledger.outcomes[EXPIRED],
        "pending": pending,
        REVISED: ledger.outcomes[REVISED],
    }
    for name, count in counted.items():
        check.compare(place, f"{name} {count}", f"{name} {counters.get(name, 0)}")
    if sum(ledger.ended) != ended or pending < 0:
        check.fault(place, f"{ended} predictions that ended", f"{sum(ledger.ended)} different ones")
