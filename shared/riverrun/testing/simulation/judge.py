"""The judge: compares all that was written with all that was sent, by the simplest means there are.

It shares no code with the runtime or the stages' cores but that of drift; only the codecs of records, which have tests
of their own.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from riverrun.records.headers import Stamp
from riverrun.records.items import DeadLetter, Event, Prediction, Source, Vector
from riverrun.records.topics import Kind
from riverrun.runtime.ports import PartialEntry
from riverrun.testing.partial_store import Shelf
from riverrun.testing.simulation.learning import Learning
from riverrun.testing.simulation.naive_features import naive_stored, naive_vector, read_stored
from riverrun.testing.simulation.naive_labels import NaiveLabels
from riverrun.testing.simulation.play import Play, Published
from riverrun.testing.simulation.reading import Reading
from riverrun.testing.simulation.script import BAD
from riverrun.testing.simulation.watching import Watching

__all__ = ["judge"]


def judge(play: Play) -> list[str]:
    """Return everything that is wrong with a simulation that has come to rest; nothing if it is as it should be."""
    wrongs = list(play.wrongs)
    wrongs += _Judge(play).wrongs()
    return wrongs


class _Judge:
    def __init__(self, play: Play) -> None:
        self._play = play
        self._reading = Reading(play.log, play.small)
        self._partitions = range(play.small.partitions)
        self._events: list[list[Event]] = []
        self._predictions: list[list[Prediction]] = []

    def wrongs(self) -> Iterator[str]:
        yield from self._at_rest()
        for partition in self._partitions:
            yield from self._intake(partition)
        for partition in self._partitions:
            yield from self._vectors(partition)
        yield from self._stored(self._play.store.shelf)
        for partition in self._partitions:
            yield from self._watermarks(partition)
        labels = [self._labels(partition) for partition in self._partitions]
        learning = Learning(self._play, self._reading)
        yield from learning.wrongs([naive.endings for naive in labels], self._predictions)
        for partition, naive in enumerate(labels):
            yield from self._ledger(partition, naive)
        yield from Watching(self._play, self._reading).wrongs()

    def _at_rest(self) -> Iterator[str]:
        """No transaction is open, nowhere."""
        topology, log = self._play.small.topology, self._play.log
        for spec in topology.specs():
            for number in range(spec.partitions):
                place = log.partition(spec.name, number)
                if place.stable != place.high_watermark:
                    yield f"{spec.name}[{number}] has an open transaction"

    def _intake(self, partition: int) -> Iterator[str]:
        """Each message was accepted once, or is a dead letter once, or a duplicate."""
        sent = [published for published in self._play.published if published.partition == partition]
        events = self._reading.stamped(Kind.EVENTS, partition, Event)
        letters = self._reading.stamped(Kind.DEAD_LETTERS, partition, DeadLetter)
        self._events.append([event for event, _ in events])
        yield from _numbered("events", partition, [stamp for _, stamp in events])
        yield from _numbered("dead-letters", partition, [stamp for _, stamp in letters])
        places = {(each.topic, each.partition, each.offset): each for each in sent}
        first: dict[str, Published] = {}
        for each in sent:
            if each.message.id != BAD:
                first.setdefault(each.message.id, each)
        if Counter(event.id for event, _ in events) != Counter(first.keys()):
            yield f"partition {partition} accepted {[event.id for event, _ in events]}, sent were {list(first)}"
        for event, stamp in events:
            message = places[stamp.source].message if stamp.source in places else None
            wanted = {} if message is None else _fields(message.value)
            if event.fields != wanted:
                yield f"event {event.id} is {event.fields}, sent was {wanted} ({stamp.source})"
        bad = Counter(place for place, each in places.items() if each.message.id == BAD)
        if Counter(tuple(stamp.source) for _, stamp in letters) != bad:
            yield f"partition {partition} has dead letters {[stamp.source for _, stamp in letters]}, bad were {bad}"
        for letter, stamp in letters:
            if stamp.source in places and letter.value != places[stamp.source].message.value:
                yield f"the dead letter of {stamp.source} has other bytes"
        counts = {"accepted": len(events), "dead_letters": len(letters)}
        counts["duplicates"] = len(sent) - len(events) - len(letters)
        yield from self._counters("ingest", partition, counts)

    def _vectors(self, partition: int) -> Iterator[str]:
        """Each vector is what its event's past says, and has one prediction."""
        events = self._events[partition]
        vectors = self._reading.stamped(Kind.VECTORS, partition, Vector)
        predictions = self._reading.stamped(Kind.PREDICTIONS, partition, Prediction)
        self._predictions.append([prediction for prediction, _ in predictions])
        yield from _numbered("vectors", partition, [stamp for _, stamp in vectors])
        yield from _numbered("predictions", partition, [stamp for _, stamp in predictions])
        asked = [(event.seq, event.id) for event in events if event.stream == "asked"]
        for kind, found in (("vectors", vectors), ("predictions", predictions)):
            made = [(item.event_seq, item.id) for item, _ in found]
            if made != asked:
                yield f"partition {partition} has {kind} for {made}, asked was {asked}"
        for vector, _ in vectors:
            if vector.event_seq < len(events):
                yield from self._vector(vector, events)
        for (vector, _), (prediction, _) in zip(vectors, predictions, strict=False):
            if vector.payload != prediction.vector:
                yield f"the prediction on {prediction.id} was made from another vector"

    def _vector(self, vector: Vector, events: Sequence[Event]) -> Iterator[str]:
        event = events[vector.event_seq]
        others = []
        for read in vector.reads:
            theirs = self._events[read.partition]
            if read.position > len(theirs):
                yield f"vector {vector.id} has read of partition {read.partition} what was never committed"
            others.append(theirs[: read.position])
        wanted = naive_vector(event, events[: event.seq], others)
        if vector.values != wanted:
            yield f"vector {vector.id} is {vector.values}, should be {wanted}"

    def _stored(self, shelf: Shelf) -> Iterator[str]:
        """Compare the partial store with what the events say."""
        for partition in self._partitions:
            events = self._events[partition]
            if shelf.markers.get(partition, 0) != len(events):
                yield f"the marker of partition {partition} is {shelf.markers.get(partition)}, not {len(events)}"
            held: Mapping[str, PartialEntry] = shelf.entries.get((partition, "place"), {})
            places = {str(event.fields["place"]) for event in events}
            if set(held) != places:
                yield f"partials of partition {partition} are stored of {set(held)}, events are of {places}"
            for place in sorted(places & set(held)):
                entry = held[place]
                found = entry.position, read_stored(entry.value)
                wanted = naive_stored(place, events)
                if found != wanted:
                    yield f"the partial of {place} in partition {partition} is {found}, should be {wanted}"

    def _watermarks(self, partition: int) -> Iterator[str]:
        """Each commit record has the watermark of the events that it counts."""
        times = [event.time for event in self._events[partition]]
        topic, _ = self._reading.place(Kind.EVENTS, partition)
        for stage in ("ingest", "features", "labels"):
            for progress in self._reading.progress(stage, partition):
                folded = next((place.next for place in progress.inputs if place.topic == topic), 0)
                if stage == "ingest":
                    folded = progress.outputs.get(topic, 0)
                wanted = max(times[:folded], default=0)
                if progress.watermark != wanted:
                    yield f"{stage}[{partition}] had watermark {progress.watermark} after {folded}, not {wanted}"

    def _labels(self, partition: int) -> NaiveLabels:
        otherwise = self._play.small.pipeline.label.otherwise
        naive = NaiveLabels(None if otherwise is None else float(otherwise))
        naive.fold(self._events[partition], self._predictions[partition])
        return naive

    def _ledger(self, partition: int, naive: NaiveLabels) -> Iterator[str]:
        counts = naive.counts
        ended = counts["labelled"] + counts["defaulted"] + counts["expired"] + counts["pending"]
        if counts["predictions"] != ended:
            yield f"the judge's own ledger of partition {partition} does not balance: {counts}"
        yield from self._counters("labels", partition, counts)

    def _counters(self, stage: str, partition: int, wanted: Mapping[str, int]) -> Iterator[str]:
        found = self._reading.progress(stage, partition)
        counters = found[-1].counters if found else {}
        for name, count in wanted.items():
            if counters.get(name, 0) != count:
                yield f"{stage}[{partition}] counted {counters.get(name, 0)} {name}, there were {count}"


def _fields(value: bytes) -> dict[str, object]:
    fields: dict[str, object] = json.loads(value)
    for name in ("size", "worth"):
        number = fields.get(name)
        if isinstance(number, int):
            fields[name] = float(number)
    return fields


def _numbered(topic: str, partition: int, stamps: Sequence[Stamp]) -> Iterator[str]:
    """Positions have no holes, and sources only increase."""
    if [(stamp.writer, stamp.seq) for stamp in stamps] != [(partition, number) for number in range(len(stamps))]:
        yield f"{topic}[{partition}] has the positions {[stamp.seq for stamp in stamps]}"
    reached: dict[tuple[str, int], int] = {}
    for stamp in stamps:
        source: Source = stamp.source
        place = source.topic, source.partition
        if source.position <= reached.get(place, -1):
            yield f"{topic}[{partition}] goes back to {source}"
        reached[place] = source.position
