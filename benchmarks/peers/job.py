"""What the five stages of the flights example do, for peers: each a function of a record and of a store of state.

The windows are those of the bare loop. State that must survive is read from and written to the peer's own store, one
object an entity, as its users would do; the model alone is only snapshotted, so that no peer is charged for a
guarantee that it does not give.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from river import metrics

from benchmarks.bare.avro import FRAME, Fields, make_decoder, make_encoder
from benchmarks.bare.flight_decoding import Decoder, RefusedError, Source
from benchmarks.bare.flight_features import FlightFeatures
from benchmarks.peers.models import build_models

_LATE_MIN = 15
_METRICS: tuple[Callable[[], Any], ...] = (metrics.LogLoss, metrics.ROCAUC)
_SNAPSHOT_EVERY = 1_000
_WAIT_MS = 36 * 3_600_000


class Store(Protocol):
    """State of a peer, by name."""

    def get(self, name: str) -> Any:
        """Return what is stored, None if nothing is."""
        ...

    def put(self, name: str, value: Any) -> None:
        """Store a value."""
        ...

    def delete(self, name: str) -> None:
        """Delete a value."""
        ...


class Job:
    """Schemas, topics and models, as the benchmark tells them in a file.

    Attributes
    ----------
    kafka
        The broker's address.
    prefix
        How the peer's topics begin.
    sources
        The producers' topics.
    """

    def __init__(self, file: Path) -> None:
        told = json.loads(file.read_text(encoding="utf-8"))
        self.kafka: str = told["kafka"]
        self.prefix: str = told["prefix"]
        self.folder = Path(told["folder"])
        self.sources = {
            topic: Source(**{**fields, "frame": bytes.fromhex(fields["frame"])})
            for topic, fields in told["sources"].items()
        }
        self.decoders = {topic: Decoder(source) for topic, source in self.sources.items()}
        self._events = {source.frame: (source, make_decoder(source.schema)) for source in self.sources.values()}
        outputs = {kind: (fields["schema"], bytes.fromhex(fields["frame"])) for kind, fields in told["outputs"].items()}
        self._encoders = {kind: make_encoder(*each) for kind, each in outputs.items()}
        self._readers = {kind: make_decoder(schema) for kind, (schema, _) in outputs.items()}
        self._frames = {kind: frame for kind, (_, frame) in outputs.items()}
        self.features: list[str] = told["features"]

    @classmethod
    def from_environment(cls) -> Job:
        """Read the file that ``PEER_JOB`` names."""
        return cls(Path(os.environ["PEER_JOB"]))

    def topic(self, kind: str) -> str:
        """Return a topic's name."""
        return f"{self.prefix}.{kind}"

    def event(self, value: bytes) -> tuple[Source, Fields]:
        """Return an event's stream and fields."""
        source, decode = self._events[value[:FRAME]]
        return source, decode(value)

    def read(self, kind: str, value: bytes) -> Fields:
        """Return a record's fields."""
        return self._readers[kind](value)

    def write(self, kind: str, fields: Fields) -> bytes:
        """Return a record."""
        return self._encoders[kind](fields)

    def is_kind(self, kind: str, value: bytes) -> bool:
        """Tell whether a record is of a kind."""
        return value.startswith(self._frames[kind])


def ingest(job: Job, topic: str, value: bytes | None, timestamp: int) -> tuple[bytes, str] | None:
    """Return an acceptable event's bytes and id; None for one that is not."""
    source = job.sources[topic]
    try:
        fields, payload = job.decoders[topic].checked(value or b"", timestamp)
    except RefusedError:
        return None
    return payload, f"{source.stream}/{fields['event_id']}"


def dead_letter(job: Job, topic: str, key: bytes | None, value: bytes | None, timestamp: int) -> bytes:
    """Return the dead letter of a record that was not accepted."""
    place = {"topic": topic, "partition": 0, "offset": -1, "timestamp": timestamp}
    return job.write(
        "dead-letters",
        {"reason": "refused", "detail": "", **place, "key": key, "value": value, "headers": []},
    )


def is_new(store: Store, event_id: str) -> bool:
    """Tell whether an id has not been seen, and remember it."""
    if store.get(event_id) is not None:
        return False
    store.put(event_id, 1)
    return True


class Features:
    """The windows, one stored object an entity."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._blank, self._live = FlightFeatures(), FlightFeatures()

    def take(self, value: bytes, store: Store) -> bytes | None:
        """Fold an event; return its vector if it is one to predict on."""
        source, fields = self._job.event(value)
        time = fields[source.time]
        live = self._live
        kinds = ("origins", "carriers", "dests", "tails", "flights", "routes")
        maps = [_Stored(store, kind, getattr(self._blank, kind).default_factory) for kind in kinds]
        for kind, stored in zip(kinds, maps, strict=True):
            setattr(live, kind, stored)
        vector = None
        if source.stream == "scheduled":
            envelope = {"id": fields["event_id"], "key": fields["flight_id"], "time": time, "event_seq": 0, "reads": []}
            vector = self._job.write("vectors", {**envelope, **live.vector(fields, time)})
            for stored in maps:
                stored.touched.clear()
            live.announced(fields, time)
        elif source.stream == "departed":
            live.departed(fields, time)
        elif source.stream == "arrived":
            live.arrived(fields, time)
        else:
            live.observed(fields, time)
        for stored in maps:
            stored.save()
        return vector


class _Stored:
    """Entities of one kind; what was looked at for an event is written back after it."""

    def __init__(self, store: Store, kind: str, make: Callable[[], Any]) -> None:
        self._store = store
        self._kind = kind
        self._make = make
        self._held: dict[Any, Any] = {}
        self.touched: set[Any] = set()

    def __getitem__(self, name: Any) -> Any:
        self.touched.add(name)
        held = self._held.get(name)
        if held is None:
            held = self._store.get(f"{self._kind}/{name}")
            if held is None:
                held = self._make()
            self._held[name] = held
        return held

    def save(self) -> None:
        """Write back what an event was folded into."""
        for name in self.touched:
            self._store.put(f"{self._kind}/{name}", self._held[name])


class Scoring:
    """Scores vectors by the newest models that the learner has left."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._file = job.folder / f"{job.prefix}.models"
        self._seen = 0.0
        self._count = 0
        self._models = build_models()

    def take(self, value: bytes) -> bytes:
        """Return a vector's prediction."""
        if self._count % 500 == 0:
            self._look()
        self._count += 1
        vector = self._job.read("vectors", value)
        x = {name: found for name in self._job.features if (found := vector[name]) is not None}
        scores = [
            {"model": name, "version": 0, "score": model.predict_proba_one(x).get(True, 0.5)}
            for name, model in self._models.items()
        ]
        envelope = {name: vector[name] for name in ("id", "key", "time", "event_seq")}
        return self._job.write("predictions", {**envelope, "scores": scores, "vector": value})

    def _look(self) -> None:
        if self._file.exists() and (changed := self._file.stat().st_mtime) > self._seen:
            self._seen = changed
            self._models = pickle.loads(self._file.read_bytes())


def label(job: Job, value: bytes, store: Store) -> bytes | None:
    """Take in a prediction or an event; return the example that a flight's prediction and label make.

    Nothing merges a peer's topics by event time, so either of the two may come first.
    """
    if job.is_kind("predictions", value):
        flight = job.read("predictions", value)["key"]
        arrived = store.get(f"early/{flight}")
        if arrived is None:
            store.put(f"pending/{flight}", value)
            return None
        store.delete(f"early/{flight}")
        return _example(job, value, arrived)
    source, fields = job.event(value)
    if source.stream != "arrived":
        return None
    flight = fields["flight_id"]
    arrived = fields["arr_delay"] > _LATE_MIN, fields[source.time]
    pending = store.get(f"pending/{flight}")
    if pending is None:
        store.put(f"early/{flight}", arrived)
        return None
    store.delete(f"pending/{flight}")
    return _example(job, pending, arrived)


def _example(job: Job, pending: bytes, arrived: tuple[bool, int]) -> bytes | None:
    late, time = arrived
    prediction = job.read("predictions", pending)
    if time > prediction["time"] + _WAIT_MS:
        return None
    fields = {name: prediction[name] for name in ("id", "key", "time", "scores", "vector")}
    return job.write("examples", {**fields, "outcome": "labelled", "label": float(late), "label_time": time})


class Learning:
    """Evaluates what was served and learns examples; leaves its models in a file now and then."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._file = job.folder / f"{job.prefix}.models"
        self._models = build_models()
        self._metrics = {name: tuple(make() for make in _METRICS) for name in self._models}
        self._count = 0

    def take(self, value: bytes) -> bytes | None:
        """Learn an example; return an evaluation if one is due."""
        example = self._job.read("examples", value)
        vector = self._job.read("vectors", example["vector"])
        x = {name: found for name in self._job.features if (found := vector[name]) is not None}
        label = example["label"] != 0.0
        for score, (name, model) in zip(example["scores"], self._models.items(), strict=True):
            for metric in self._metrics[name]:
                metric.update(label, score["score"])
            model.learn_one(x, label)
        self._count += 1
        if self._count % _SNAPSHOT_EVERY:
            return None
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(pickle.dumps(self._models))
        fresh.replace(self._file)
        place = {"position": self._count, "time": example["time"], "count": self._count}
        found = {f"{name}/{type(each).__name__}": each.get() for name, both in self._metrics.items() for each in both}
        return self._job.write("evaluations", {"model": "all", **place, "metrics": found, "window": {}})
