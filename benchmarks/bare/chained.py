"""The five stages of the flights example by hand, in one loop: what an expert would write without riverrun.

Raw events in; events, dead letters, vectors, predictions, examples and evaluations out, one transaction a batch with
the consumer's offsets in it. Everything that is remembered lives in plain objects, pickled now and then together with
the number of events that it reflects; after a crash the newest pickle is loaded and the events that were committed
since are folded again, without output, so that every event counts exactly once.
"""

from __future__ import annotations

import gc
import heapq
import os
import pickle
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from river import metrics

from benchmarks.bare.avro import Fields, make_decoder, make_encoder
from benchmarks.bare.flight_decoding import Source, Taken
from benchmarks.bare.flight_features import FlightFeatures
from benchmarks.bare.flight_intake import Intake

_BATCH = 2_000
_SEEN_MS = 24 * 3_600_000
_WAIT_MS = 36 * 3_600_000
_EVALUATE_EVERY = 1_000
_SNAPSHOT_EVERY = 25_000
_LATE_MIN = 15
_METRICS: tuple[Callable[[], Any], ...] = (metrics.LogLoss, metrics.ROCAUC)


@dataclass(frozen=True, slots=True)
class Output:
    """A record type that is written: its topic, schema and frame."""

    topic: str
    schema: dict[str, object]
    frame: bytes

    def encoder(self) -> Callable[[Fields], bytes]:
        """Return what encodes its records."""
        return make_encoder(self.schema, self.frame)


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """What the loop is told.

    Parameters
    ----------
    kafka
        librdkafka's properties.
    sources
        The producers' topics by name.
    outputs
        What is written, by kind; ``events`` has each stream's own schema.
    snapshots
        File of the pickled state.
    """

    kafka: Mapping[str, str]
    sources: Mapping[str, Source]
    outputs: Mapping[str, Output]
    snapshots: Path


class State:
    """Everything that is remembered."""

    def __init__(self, models: dict[str, Any]) -> None:
        self.events = 0
        self.vectors = 0
        self.examples = 0
        self.watermark = 0
        self.seen: dict[str, int] = {}
        self.seen_order: deque[tuple[int, str]] = deque()
        self.features = FlightFeatures()
        self.pending: dict[str, Pending] = {}
        self.deadlines: list[tuple[int, int, str]] = []
        self.models = models
        self.metrics: dict[str, tuple[Any, ...]] = {name: tuple(make() for make in _METRICS) for name in models}


@dataclass(slots=True)
class Pending:
    """A prediction that waits for its label."""

    id: str
    time: int
    vector: bytes
    x: Fields
    scores: list[Fields]


Headers = list[tuple[str, str | bytes | None]]
Send = Callable[[str, bytes, bytes | None, Headers], None]


class Job:
    """The fold: one accepted event after the other, through all five stages."""

    def __init__(self, settings: ChainSettings, state: State, send: Send) -> None:
        outputs = settings.outputs
        self.state = state
        self._send = send
        self._topics = {kind: output.topic for kind, output in outputs.items()}
        self._vector = outputs["vectors"].encoder()
        self._prediction = outputs["predictions"].encoder()
        self._example = outputs["examples"].encoder()
        self._evaluation = outputs["evaluations"].encoder()
        self._dead_letter = outputs["dead-letters"].encoder()
        self._streams = {source.stream: source.stream.encode() for source in settings.sources.values()}

    def take(self, taken: Taken) -> None:
        """Take in a record: its event if it is new and sound."""
        if taken.fault:
            self._bury(taken)
            return
        state, stamp = self.state, taken.time
        name = f"{taken.stream}/{taken.event_id}"
        if (deadline := state.seen.get(name)) is not None and stamp <= deadline:
            return
        key = taken.message.key()
        self._send(self._topics["events"], taken.payload, key, [("stream", self._streams[taken.stream])])
        self.fold(taken.stream, name, taken.fields, stamp)

    def fold(self, stream: str, name: str, fields: Fields, stamp: int) -> None:
        """Fold an accepted event."""
        state = self.state
        state.events += 1
        state.seen[name] = stamp + _SEEN_MS
        state.seen_order.append((stamp + _SEEN_MS, name))
        state.watermark = max(state.watermark, stamp)
        order, seen, watermark = state.seen_order, state.seen, state.watermark
        while order[0][0] < watermark:
            seen.pop(order.popleft()[1], None)
        features = state.features
        if stream == "scheduled":
            self._predict(fields, stamp)
            features.announced(fields, stamp)
            self._end_waits()
        elif stream == "departed":
            features.departed(fields, stamp)
            self._end_waits()
        elif stream == "arrived":
            features.arrived(fields, stamp)
            self._end_waits()
            self._label(fields, stamp)
        else:
            features.observed(fields, stamp)
            self._end_waits()

    def _predict(self, fields: Fields, stamp: int) -> None:
        state, flight = self.state, fields["flight_id"]
        vector = state.features.vector(fields, stamp)
        x = {name: value for name, value in vector.items() if value is not None}
        envelope = {"id": fields["event_id"], "key": flight, "time": stamp, "event_seq": state.events - 1, "reads": []}
        payload = self._vector({**envelope, **vector})
        key = flight.encode()
        self._send(self._topics["vectors"], payload, key, [])
        version = state.examples
        scores = []
        for name, model in state.models.items():
            probabilities = model.predict_proba_one(x)
            score = probabilities.get(True, 0.0) if probabilities else 0.5
            scores.append({"model": name, "version": version, "score": score})
        self._send(
            self._topics["predictions"], self._prediction({**envelope, "scores": scores, "vector": payload}), key, []
        )
        state.pending[flight] = Pending(fields["event_id"], stamp, payload, x, scores)
        heapq.heappush(state.deadlines, (stamp + _WAIT_MS, state.vectors, flight))
        state.vectors += 1

    def _end_waits(self) -> None:
        state = self.state
        while state.deadlines and state.deadlines[0][0] < state.watermark:
            flight = heapq.heappop(state.deadlines)[2]
            pending = state.pending.pop(flight, None)
            if pending is not None:
                self._end(flight, pending, "expired", None, pending.time + _WAIT_MS)

    def _label(self, fields: Fields, stamp: int) -> None:
        flight = fields["flight_id"]
        pending = self.state.pending.pop(flight, None)
        if pending is not None:
            self._end(flight, pending, "labelled", fields["arr_delay"] > _LATE_MIN, stamp)

    def _end(self, flight: str, pending: Pending, outcome: str, label: bool | None, stamp: int) -> None:
        state = self.state
        example = {
            "id": pending.id,
            "key": flight,
            "time": pending.time,
            "outcome": outcome,
            "label": None if label is None else float(label),
            "label_time": stamp,
            "scores": pending.scores,
            "vector": pending.vector,
        }
        self._send(self._topics["examples"], self._example(example), flight.encode(), [])
        state.examples += 1
        if label is not None:
            for score, (name, model) in zip(pending.scores, state.models.items(), strict=True):
                loss, auc = state.metrics[name]
                loss.update(label, score["score"])
                auc.update(label, score["score"])
                model.learn_one(pending.x, label)
        if state.examples % _EVALUATE_EVERY == 0:
            self._evaluate(pending.time)

    def _evaluate(self, stamp: int) -> None:
        state = self.state
        for name, (loss, auc) in state.metrics.items():
            evaluation = {
                "model": name,
                "position": state.examples,
                "time": stamp,
                "count": state.examples,
                "metrics": {"LogLoss": loss.get(), "ROCAUC": auc.get()},
                "window": {},
            }
            self._send(self._topics["evaluations"], self._evaluation(evaluation), name.encode(), [])

    def _bury(self, taken: Taken) -> None:
        message = taken.message
        letter = {
            "reason": taken.fault.partition(":")[0],
            "detail": taken.fault[:500],
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "timestamp": message.timestamp()[1],
            "key": message.key(),
            "value": message.value(),
            "headers": [],
        }
        self._send(self._topics["dead-letters"], self._dead_letter(letter), message.key(), [])


def run(settings: ChainSettings, models: dict[str, Any], ended: Callable[[int], bool]) -> None:
    """Fold the producers' topics until told to end.

    Parameters
    ----------
    settings
        See there.
    models
        Untrained River classifiers by name, the champion first.
    ended
        Told after every commit how many records are taken; says whether to end.
    """
    producer = _producer(settings)
    consumer = _consumer(settings, settings.outputs["events"].topic)
    produce = producer.produce
    live = False

    def send(topic: str, value: bytes, key: bytes | None, headers: Headers) -> None:
        if live:
            produce(topic, value, key, 0, headers=headers)

    job = Job(settings, _load(settings.snapshots) or State(models), send)
    for stream, fields, stamp in _committed(settings, job.state.events):
        job.fold(stream, f"{stream}/{fields['event_id']}", fields, stamp)
    live = True
    committed = consumer.committed([TopicPartition(topic, 0) for topic in settings.sources], 30.0)
    intake = Intake(consumer, settings.sources, {each.topic: max(0, each.offset) for each in committed})
    metadata = consumer.consumer_group_metadata()
    done, snapshot_at = 0, _SNAPSHOT_EVERY
    # What is there by now lasts: the collector need not look at it again.
    gc.freeze()
    intake.fill(0.0)
    while not ended(done):
        taken = intake.take(_BATCH)
        if not taken:
            intake.fill(0.02)
            continue
        producer.begin_transaction()
        for each in taken:
            job.take(each)
        producer.send_offsets_to_transaction(intake.offsets(), metadata)
        producer.commit_transaction()
        done += len(taken)
        if done >= snapshot_at:
            _save(settings.snapshots, job.state)
            snapshot_at = done + _SNAPSHOT_EVERY
        intake.fill(0.0)
    _save(settings.snapshots, job.state)
    consumer.close()


def _save(file: Path, state: State) -> None:
    """Write the state beside its last copy, then put it in its place at one stroke."""
    fresh = file.with_suffix(".new")
    with fresh.open("wb") as out:
        pickle.dump(state, out, protocol=pickle.HIGHEST_PROTOCOL)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)


def _load(file: Path) -> State | None:
    if not file.exists():
        return None
    with file.open("rb") as source:
        state: State = pickle.load(source)
        return state


def _committed(settings: ChainSettings, position: int) -> Iterator[tuple[str, Fields, int]]:
    """Yield the committed events from a position on: what the pickled state does not know yet."""
    topic = settings.outputs["events"].topic
    sources = {source.stream.encode(): source for source in settings.sources.values()}
    decoders = {stream: make_decoder(source.schema) for stream, source in sources.items()}
    consumer = _consumer(settings, f"{topic}.recovery")
    consumer.assign([TopicPartition(topic, 0, 0)])
    number = -1
    while True:
        for message in consumer.consume(_BATCH, 1.0):
            if message.error() is not None:
                consumer.close()
                return
            number += 1
            if number < position:
                continue
            headers: Any = message.headers()
            stream: bytes = headers[0][1]
            fields = decoders[stream](message.value() or b"")
            yield stream.decode(), fields, fields[sources[stream].time]


def _consumer(settings: ChainSettings, group: str) -> Consumer:
    properties: dict[str, Any] = {
        **settings.kafka,
        "group.id": f"bare.{group}",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "check.crcs": True,
        # At 0 the client's thread spins for as long as its buffer is full.
        "fetch.queue.backoff.ms": 20,
        "fetch.wait.max.ms": 20,
        "queued.max.messages.kbytes": 8_192,
    }
    return Consumer(properties)


def _producer(settings: ChainSettings) -> Producer:
    properties: dict[str, Any] = {
        **settings.kafka,
        "transactional.id": f"bare.{settings.outputs['events'].topic}",
        "linger.ms": 5,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "transaction.timeout.ms": 10_000,
        "retry.backoff.ms": 5,
        "queue.buffering.max.messages": 1_000_000,
    }
    producer = Producer(properties)
    producer.init_transactions(30.0)
    return producer
