"""The judge: reads everything that a run left, read committed, and holds it against what was published.

It runs none of the runtime's code and keeps to the simplest means: sets, counts, and a fold of plain models.
What it returns can be compared with what another run left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final, cast

from riverrun.adapters.redis_partials import RedisPartials
from riverrun.features import FeaturePlan, FeatureTable
from riverrun.records.headers import parse
from riverrun.records.items import (
    DEFAULTED,
    EXPIRED,
    LABELLED,
    REVISED,
    DeadLetter,
    Event,
    Example,
    ModelVersion,
    Prediction,
    Progress,
    Source,
    Vector,
)
from riverrun.records.topics import Kind
from riverrun.runtime.ports import Record
from tests.faults.auditor import audit
from tests.faults.parcels import DUPLICATE, MALFORMED, VALID
from tests.faults.plain_fold import PlainFold
from tests.faults.world import KIND_HEADER, World

__all__ = ["Outcome", "judge"]

_MANY: Final = 5_000
_WAIT_S: Final = 0.1
_ENDS: Final = (LABELLED, DEFAULTED, EXPIRED)

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left, in a form that does not depend on the pipeline's name.

    Rows are in the order of their topics, by partition. ``digests`` are of the models at the end, by name.
    """

    events: list[Row]
    vectors: list[Row]
    predictions: list[Row]
    examples: list[Row]
    digests: Mapping[str, str]

    def assert_equals(self, calm: Outcome, *, scores: bool = True) -> None:
        """Check that it is what the undisturbed run left, naming the first row that is not.

        Without ``scores`` where the scorer runs apart: which version it has at hand is up to time.
        """
        tables = ["events", "vectors", *(["predictions"] if scores else []), "examples"]
        for table in tables:
            pairs = zip_longest(getattr(self, table), getattr(calm, table))
            for number, (found, expected) in enumerate(pairs):
                assert found == expected, f"{table}, row {number}: {found}, undisturbed {expected}"
        assert self.digests == calm.digests


def judge(world: World) -> Outcome:
    """Check all promises on a run at rest: everything folded, every service ended in order.

    The product's own auditor is asked as well.

    Raises
    ------
    AssertionError
        Naming the first thing found wrong.
    """
    outcome = _Judge(world).run()
    audit(world)
    return outcome


class _Judge:
    def __init__(self, world: World) -> None:
        self._world = world
        self._deployment = world.deployment
        self._pipeline = world.pipeline
        self._partitions = world.plan.partitions
        self._progress = self._last_progress()
        topology = self._deployment.topology
        self.events = cast("list[Event]", self._items(Kind.EVENTS))
        self.letters = cast("list[DeadLetter]", self._items(Kind.DEAD_LETTERS))
        self.vectors = cast("list[Vector]", self._items(Kind.VECTORS))
        self.predictions = cast("list[Prediction]", self._items(Kind.PREDICTIONS))
        self.examples = cast("list[Example]", self._items(Kind.EXAMPLES))
        self.versions = [item for item in self._items(Kind.MODELS) if isinstance(item, ModelVersion)]
        self._events_topic = topology.names[Kind.EVENTS]

    def run(self) -> Outcome:
        self._check_intake()
        self._check_vectors()
        self._check_predictions()
        self._check_ledger()
        digests = PlainFold(self._world, self.predictions, self.examples, self.versions).check()
        self._check_redis()

        def values(payload: bytes) -> Row:
            return self._deployment.wire.codecs.decode_vector(payload).values

        return Outcome(
            events=[(row.stream, row.id, row.key, row.time, row.source.position, row.seq) for row in self.events],
            vectors=[(row.id, row.key, row.time, row.event_seq, row.values, row.seq) for row in self.vectors],
            predictions=[
                (row.id, row.key, row.time, row.event_seq, row.scores, values(row.vector), row.seq)
                for row in self.predictions
            ],
            examples=[
                (row.id, row.key, row.time, row.outcome, row.label, row.label_time, values(row.vector), row.seq)
                for row in self.examples
            ],
            digests=digests,
        )

    # Reading.

    def _records(self, topic: str, partition: int) -> list[Record]:
        """Read a partition to its end, which must be that of the log: no transaction is left open."""
        log = self._deployment.log
        reader = log.reader(topic, partition, 0)
        records: list[Record] = []
        try:
            while not reader.at_end:
                records += reader.poll(_MANY, _WAIT_S)
            end = log.high_watermark(topic, partition)
            assert reader.end_offset == end, f"{topic}[{partition}] has an open transaction at {reader.end_offset}"
        finally:
            reader.close()
        return records

    def _items(self, kind: Kind) -> list[Any]:
        """Read a topic; every writer must have numbered its records 0, 1, 2 and so on, each once."""
        topology = self._deployment.topology
        topic = topology.names[kind]
        places = sorted({topology.place(topic, number) for number in range(self._partitions)})
        found = []
        for partition in places:
            following: Counter[int] = Counter()
            for record in self._records(topic, partition):
                stamp = parse(record.headers)
                expected = following[stamp.writer]
                assert stamp.seq == expected, (
                    f"{topic}[{partition}] at offset {record.offset}: writer {stamp.writer} goes on with {stamp.seq}, "
                    f"not {expected}"
                )
                following[stamp.writer] = expected + 1
                item: Any = self._deployment.wire.item(record)
                if isinstance(item, Example):
                    item.writer = stamp.writer
                found.append(item)
            for writer, count in following.items():
                self._check_output(topic, writer, count)
        return found

    def _check_output(self, topic: str, writer: int, count: int) -> None:
        said = [
            row.outputs[topic]
            for (_, number), row in self._progress.items()
            if number == writer and topic in row.outputs
        ]
        assert said == [count], f"{topic} has {count} records of writer {writer}, the commit records say {said}"

    def _last_progress(self) -> dict[tuple[str, int], Progress]:
        topic = self._deployment.topology.names[Kind.PROGRESS]
        last = {}
        for partition in range(self._partitions):
            for record in self._records(topic, partition):
                row = self._deployment.wire.progress(record)
                last[row.stage, partition] = row
        return last

    def _counters(self, stage: str) -> Counter[str]:
        total: Counter[str] = Counter()
        for (name, _), row in self._progress.items():
            if name == stage:
                total.update(row.counters)
        return total

    # Promises 3 and 6: what came in is accepted, a duplicate, or a dead letter with its bytes.

    def _check_intake(self) -> None:
        published: dict[Source, Record] = {}
        for stream in self._pipeline.streams:
            for partition in range(self._partitions):
                for record in self._records(stream.topic, partition):
                    published[Source(record.topic, record.partition, record.offset)] = record
        assert len(published) == self._world.published, "Kafka holds another number of messages than was published"
        kinds = {place: dict(record.headers)[KIND_HEADER] for place, record in published.items()}
        by_kind = {
            kind: {place for place, made in kinds.items() if made == kind.encode()}
            for kind in (VALID, DUPLICATE, MALFORMED)
        }
        accepted = [event.source for event in self.events]
        _same("accepted events", accepted, by_kind[VALID])
        _same("dead letters", [letter.source for letter in self.letters], by_kind[MALFORMED])
        for letter in self.letters:
            record = published[letter.source]
            kept = (letter.key, letter.value, list(letter.headers))
            assert kept == (record.key, record.value, list(record.headers)), f"the dead letter of {letter.source}"
            assert letter.reason, f"the dead letter of {letter.source} gives no reason"
        counters = self._counters("ingest")
        counted = {name: counters[name] for name in ("accepted", "dead_letters", "duplicates")}
        assert counted == {
            "accepted": len(by_kind[VALID]),
            "dead_letters": len(by_kind[MALFORMED]),
            "duplicates": len(by_kind[DUPLICATE]),
        }
        _increasing("events", [event.source for event in self.events])

    # Promise 1: each valid event to predict on has one vector and one prediction, in order.

    def _check_vectors(self) -> None:
        wanted = [event.id for event in self.events if event.stream == self._pipeline.predict_on.name]
        _same("vectors", [vector.id for vector in self.vectors], set(wanted))
        assert [vector.id for vector in self.vectors] == wanted, "vectors are not in the order of events"
        _increasing("vectors", [vector.source for vector in self.vectors])

    def _check_predictions(self) -> None:
        found = [(row.id, row.event_seq, row.vector) for row in self.predictions]
        _same("predictions", [row[0] for row in found], {vector.id for vector in self.vectors})
        served = [(row.id, row.event_seq, row.payload) for row in self.vectors]
        assert found == served, "predictions are not in the order of vectors, or hold another vector than was made"
        _increasing("predictions", [row.source for row in self.predictions])

    # Promise 2: the ledger balances, and each prediction ends at most once.

    def _check_ledger(self) -> None:
        ends = [row.id for row in self.examples if row.outcome in _ENDS]
        twice = [name for name, count in Counter(ends).items() if count > 1]
        assert not twice, f"predictions that ended twice: {twice[:5]}"
        assert set(ends) <= {row.id for row in self.predictions}, "an example is of no prediction"
        outcomes = Counter(row.outcome for row in self.examples)
        counters = self._counters("labels")
        said = {name: counters[name] for name in (*_ENDS, REVISED)}
        assert said == {name: outcomes[name] for name in (*_ENDS, REVISED)}
        assert counters["predictions"] == len(self.predictions) == len(ends) + counters["pending"]
        assert self._counters("learn")["examples"] == len(self.examples)

    # Promise 1: Redis equals a recomputation from the log.

    def _check_redis(self) -> None:
        plan = FeaturePlan.compile(self._pipeline)
        store = RedisPartials.connect(self._world.cluster.addresses.redis_url, self._pipeline.name)
        try:
            for partition in range(self._partitions):
                self._check_partials(plan, store, partition)
        finally:
            store.close()

    def _check_partials(self, plan: FeaturePlan, store: RedisPartials, partition: int) -> None:
        recomputed, stored = FeatureTable(plan, partition), FeatureTable(plan, partition)
        events = [event for event in self.events if event.source.partition == partition]
        for event in events:
            recomputed.update(event.stream, event.fields, event.time, event.seq)
        marker = store.marker(partition)
        assert marker == len(events), f"Redis is complete to {marker} of {len(events)} events of partition {partition}"
        for number, group in enumerate(plan.groups):
            for entry in store.scan(partition, group.id):
                stored.load(number, entry)
        watermark = recomputed.watermark
        assert stored.canonical(watermark) == recomputed.canonical(watermark), "Redis is not what the events give"


def _same(what: str, found: Sequence[Any], wanted: set[Any]) -> None:
    """Check that each that is wanted was found, once, and nothing else."""
    counts = Counter(found)
    doubled = [each for each, count in counts.items() if count > 1]
    assert not doubled, f"{what}: {len(doubled)} doubled, such as {doubled[:3]}"
    lost, extra = wanted - counts.keys(), counts.keys() - wanted
    assert not lost, f"{what}: {len(lost)} lost, such as {sorted(lost)[:3]}"
    assert not extra, f"{what}: {len(extra)} that should not be, such as {sorted(extra)[:3]}"


def _increasing(what: str, sources: Sequence[Source]) -> None:
    last: dict[tuple[str, int], int] = {}
    for topic, partition, position in sources:
        before = last.get((topic, partition), -1)
        assert position > before, f"{what}: {topic}[{partition}] at {position} comes after {before}"
        last[topic, partition] = position
