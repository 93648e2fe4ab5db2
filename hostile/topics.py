"""The attack on the producers' topics: every message must end as an event, as a duplicate or as a dead letter."""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Any, Final, NamedTuple

import fastavro
from confluent_kafka import Message, Producer

from hostile.mutations import spoil
from hostile.victim import Victim
from riverrun.adapters.kafka_log import KafkaLog, kafka_producer
from riverrun.embedded import Addresses
from riverrun.launch.connect import connect
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.launch.survey import survey
from riverrun.pipeline import Pipeline, load
from riverrun.pipeline.template import write_new
from riverrun.records.framing import frame_header
from riverrun.records.ids import derived_id
from riverrun.records.items import Source
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.ports import TopicSpec
from riverrun.runtime.settings import Settings

__all__ = ["Outcome", "attack_topics"]

PARTITIONS: Final = 2
_EVERYTHING: Final = 1 << 40
_LOOK_S: Final = 0.25
_PATIENCE_S: Final = 120.0
_KEYS: Final = (None, b"", b"\xff\xfe", b"k" * 60_000, b"\x00")
# A broker refuses times to come by itself.
_TIMES: Final = (1, 946_684_800_000)


class Place(NamedTuple):
    """Where a message lies."""

    topic: str
    partition: int
    offset: int


@dataclass(slots=True)
class Outcome:
    """What became of an attack.

    Parameters
    ----------
    tried
        Malformed messages or requests.
    crashes
        How often a process ended by itself, or had stopped working at the end.
    unaccounted
        Of how many nobody knows what became.
    peak_rss_mb
        The most memory that a process had, in MiB.
    answers
        How many ended in which way.
    """

    tried: int = 0
    crashes: int = 0
    unaccounted: int = 0
    peak_rss_mb: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Prey:
    """A pipeline of its own, to be attacked."""

    file: Path
    pipeline: Pipeline
    addresses: Addresses
    environment: Mapping[str, str]

    def connect(self) -> Deployment:
        """Return it, connected."""
        return connect(self.pipeline, self.addresses, Settings.from_environment(self.environment))


def make_prey(name: str, folder: Path, addresses: Addresses) -> Prey:
    """Write a pipeline of this name and make its producers' topics.

    Parameters
    ----------
    name
        Its name, which no other pipeline on these servers has.
    folder
        Where it and its data go.
    addresses
        The servers.
    """
    file, *_ = write_new(name, folder)
    text = file.read_text(encoding="utf-8").replace('"parcels.', f'"{name}-in.')
    file.write_text(text, encoding="utf-8")
    pipeline = load(file)
    log = KafkaLog(dict(addresses.kafka))
    log.ensure_topics([TopicSpec(stream.topic, PARTITIONS) for stream in pipeline.streams])
    log.close()
    # Of those who never saw the schema registry, nor will.
    environment = {**addresses.as_environment(), "RIVERRUN_DATA": str(folder / "data"), "SCHEMA_REGISTRY_URL": ""}
    return Prey(file, pipeline, addresses, environment)


def attack_topics(prey: Prey, count: int, seed: int, logs: Path) -> Outcome:
    """Send malformed messages to every topic that producers write, among good ones, and account for each.

    Parameters
    ----------
    prey
        The pipeline; all its stages are run in one process meanwhile.
    count
        How many malformed messages.
    seed
        Of the chance that spoils them.
    logs
        Folder for the process's output.

    Raises
    ------
    RuntimeError
        If Kafka does not take the messages.
    """
    command = [sys.executable, "-c", "from riverrun.cli import main; main()", "run", str(prey.file), "--all"]
    victim = Victim(command, prey.environment, logs / "stages.log")
    victim.start()
    outcome = Outcome(tried=count)
    deployment = prey.connect()
    try:
        places = _publish(prey, count, seed)
        stopped = not _await_folded(victim, deployment, len(places))
        victim.stop()
        _account(deployment, places, outcome)
    finally:
        victim.stop()
        deployment.log.close()
    outcome.crashes = victim.crashes + stopped
    outcome.peak_rss_mb = victim.peak_rss_mb
    return outcome


def samples_of(prey: Prey) -> dict[str, list[bytes]]:
    """Return good messages of each producers' topic, as JSON and in Confluent framing."""
    schemas = {stream.topic: stream.schema for stream in schemas_of(prey.pipeline).streams}
    found: dict[str, list[bytes]] = {topic: [] for topic in schemas}
    for topic, event in _events(prey):
        if len(found[topic]) < 40:
            found[topic] += [json.dumps(event).encode(), _framed(schemas[topic], event)]
    return found


def _events(prey: Prey) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in prey.file.with_name("events.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield row["topic"].replace("parcels.", f"{prey.pipeline.name}-in."), row["event"]


def _framed(schema: Any, event: Mapping[str, Any]) -> bytes:
    out = BytesIO()
    out.write(frame_header(derived_id(schema)))
    # Without logical types, whose values fastavro would want as dates.
    plain = json.loads(json.dumps(schema).replace('"logicalType"', '"ignored"'))
    fastavro.schemaless_writer(out, fastavro.parse_schema(plain), dict(event))
    return out.getvalue()


def _publish(prey: Prey, count: int, seed: int) -> set[Place]:
    """Send the malformed messages with good ones among them, and more good ones last; return where all lie."""
    chance = random.Random(seed)
    producer = kafka_producer(dict(prey.addresses.kafka))
    samples, places = samples_of(prey), set[Place]()

    def delivered(error: object, message: Message) -> None:
        if error is None:
            places.add(Place(message.topic() or "", message.partition() or 0, message.offset() or 0))

    good = [(topic, event) for topic, event in _events(prey)]
    half, sent = len(good) // 2, 0
    for topic, event in good[:half]:
        _send(producer, topic, json.dumps(event).encode(), event["parcel_id"].encode(), delivered)
    for number in range(count):
        topic = chance.choice(sorted(samples))
        value = spoil(chance, samples[topic]).value
        extras: dict[str, Any] = {"headers": _headers(chance), "partition": chance.randrange(PARTITIONS)}
        if chance.random() < 0.1:
            extras["timestamp"] = chance.choice(_TIMES)
        key = chance.choice(_KEYS) if chance.random() < 0.2 else str(number).encode()
        _send(producer, topic, value if chance.random() > 0.01 else None, key, delivered, **extras)
    for topic, event in good[half:]:
        _send(producer, topic, json.dumps(event).encode(), event["parcel_id"].encode(), delivered)
    sent = count + len(good)
    if producer.flush(_PATIENCE_S) or len(places) != sent:
        raise RuntimeError(f"Kafka took {len(places)} of {sent} messages")
    return places


def _headers(chance: random.Random) -> list[tuple[str, str | bytes | None]]:
    """Return a producer's headers: mostly none, now and then many, huge, or such as only riverrun itself writes."""
    kind = chance.randrange(20)
    if kind == 0:
        return [(f"h{number}", chance.randbytes(8)) for number in range(200)]
    if kind == 1:
        return [("riverrun-seq", b"0:0"), ("riverrun-source", b"x/0/0"), ("riverrun-stream", b"\xff")]
    if kind == 2:
        return [("h", b"x" * 90_000), ("", None), ("\u202e", b"\xff")]
    return []


def _send(
    producer: Producer, topic: str, value: bytes | None, key: bytes | None, delivered: Any, **extras: Any
) -> None:
    while True:
        try:
            producer.produce(topic, value, key, on_delivery=delivered, **extras)
        except BufferError:
            producer.poll(_LOOK_S)
        else:
            producer.poll(0)
            return


def _await_folded(victim: Victim, deployment: Deployment, count: int) -> bool:
    """Wait until ``ingest`` has folded all messages; tell whether it did while it still made progress."""
    pause, before, deadline = Event(), -1, time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        victim.look()
        folded = sum(stage.folded for stage in survey(deployment).stages if stage.stage == "ingest")
        if folded >= count:
            return True
        if folded > before:
            before, deadline = folded, time.monotonic() + _PATIENCE_S
        pause.wait(_LOOK_S)
    return False


def _account(deployment: Deployment, places: set[Place], outcome: Outcome) -> None:
    """Find every message again by its place; what is in neither topic must be counted as a duplicate."""
    found: Counter[Source] = Counter()
    topology = deployment.topology
    for kind in (Kind.EVENTS, Kind.DEAD_LETTERS):
        for partition in range(topology.partitions):
            for record in deployment.log.tail(topology.names[kind], partition, _EVERYTHING):
                item = deployment.wire.item(record)
                found[item.source] += 1
                outcome.answers[getattr(item, "reason", "accepted")] += 1
    ours = {Source(*place) for place in places}
    missing = len(ours - found.keys())
    stages = [stage for stage in survey(deployment).stages if stage.stage == "ingest"]
    duplicates = sum(stage.counters.get("duplicates", 0) for stage in stages)
    outcome.answers["duplicate"] = duplicates
    doubled = sum(times - 1 for times in found.values())
    outcome.unaccounted = abs(missing - duplicates) + doubled + len(found.keys() - ours)
