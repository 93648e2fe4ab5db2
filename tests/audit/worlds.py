"""A real run of the shop, on real servers, by the real worker; and its content in memory, to be tampered with."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from riverrun.adapters.kafka_log import kafka_producer
from riverrun.audit.reading import KafkaLog, Record
from riverrun.audit.report import Check
from riverrun.audit.stored import RedisEntries
from riverrun.audit.subject import Subject
from riverrun.audit.verify import audit_here
from riverrun.embedded.addresses import Addresses
from riverrun.launch.chains import cut_chains
from riverrun.launch.connect import connect
from riverrun.launch.survey import StageStatus, survey
from riverrun.pipeline import Pipeline
from riverrun.records.headers import SEQ
from riverrun.records.items import EXPIRED, LABELLED, REVISED, Prediction, Vector
from riverrun.records.topics import Kind, topic_name
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.settings import Settings
from riverrun.runtime.worker import Worker
from services.catalogue import STAGES
from tests.audit.shop import make_messages

_LONGEST = 90.0

Place = tuple[str, int]


class MemoryLog:
    """A log's content, as lists of records."""

    def __init__(self, content: dict[Place, list[Record]]) -> None:
        self.content = content

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        records = self.content.get((topic, partition), [])
        return (records[0].offset, records[-1].offset + 1) if records else (0, 0)

    def read(self, topic: str, partition: int, start: int = 0) -> Iterator[Record]:
        return (record for record in self.content.get((topic, partition), []) if record.offset >= start)


@dataclass
class MemoryPartials:
    """Redis's content."""

    markers: dict[int, int | None]
    groups: dict[tuple[int, str], dict[str, bytes]]

    def marker(self, partition: int) -> int | None:
        return self.markers[partition]

    def entries(self, partition: int, group: str) -> Iterable[tuple[str, bytes]]:
        return list(self.groups.get((partition, group), {}).items())


@dataclass
class World:
    """What a run has left behind, in memory."""

    subject: Subject
    log: MemoryLog
    partials: MemoryPartials

    def records(self, kind: Kind, partition: int = 0) -> list[Record]:
        """Return the list of one of the pipeline's partitions, to be changed."""
        return self.log.content[topic_name(self.subject.pipeline.name, kind), partition]

    def item(self, record: Record) -> Any:
        """Decode one of the pipeline's own records; what is inside is for each test to know."""
        return self.subject.codecs.from_wire(record.value, list(record.headers))[0]

    def change(self, kind: Kind, index: int, **fields: Any) -> Record:
        """Change fields of the item that a record holds; return the changed record."""
        records = self.records(kind)
        item = replace(self.item(records[index]), **fields)
        if isinstance(item, Vector | Prediction):
            # Else it would be written as it was.
            item.payload = b""
        changed = records[index] = records[index]._replace(value=self.subject.codecs.encode(item))
        return changed

    def insert(self, kind: Kind, index: int, record: Record) -> Record:
        """Put a record before another, and number all that follow anew, as a careful forger would."""
        records = self.records(kind)
        records.insert(index, record)
        for at in range(index, len(records)):
            writer, _, seq = (dict(records[at - 1].headers)[SEQ] or b"").partition(b":")
            number = b"%s:%d" % (writer, int(seq) + 1)
            headers = [(name, number if name == SEQ else value) for name, value in records[at].headers]
            records[at] = records[at]._replace(offset=records[at - 1].offset + 1, headers=headers)
        return records[index]

    def copy(self) -> World:
        """Return a copy that may be changed."""
        log = MemoryLog({place: list(records) for place, records in self.log.content.items()})
        groups = {name: dict(entries) for name, entries in self.partials.groups.items()}
        partials = MemoryPartials(dict(self.partials.markers), groups)
        return World(replace(self.subject, log=log, partials=partials), log, partials)

    def audit(self) -> list[Check]:
        """Run every check."""
        return audit_here(self.subject, lambda _count: None)


def run_shop(pipeline: Pipeline, addresses: Addresses, folder: Path, *, orders: int, partitions: int) -> Deployment:
    """Produce the shop's messages and run all stages until every record is folded; stop cleanly."""
    settings = Settings(data_folder=folder, state_interval_ms=100)
    deployment = connect(pipeline, addresses, settings, partitions=partitions)
    codecs = deployment.wire.codecs
    producer = kafka_producer(dict(addresses.kafka))
    ids = {stream.topic: codecs.stream_id(stream.name) for stream in codecs.streams}
    worker = Worker(deployment, cut_chains(list(STAGES.values()), partitions))
    thread = threading.Thread(target=worker.run)
    thread.start()
    messages = list(make_messages(pipeline, ids, orders))
    half = len(messages) // 2
    try:
        # In two waves, so that with several partitions the second surely finds what the first has left in Redis.
        for sent, wave in ((half, messages[:half]), (len(messages), messages[half:])):
            for message in wave:
                producer.produce(message.topic, message.value, message.key, headers=message.headers)
            producer.flush()
            _wait(worker, deployment, sent)
            _wait_for_redis(RedisEntries(addresses.redis_url, pipeline.name), partitions)
    finally:
        worker.stop()
        thread.join()
    return deployment


def _wait(worker: Worker, deployment: Deployment, sent: int) -> None:
    deadline = time.monotonic() + _LONGEST
    while time.monotonic() < deadline:
        # The first is cheap, the second looks into the log.
        if sum(task.folded for task in worker.tasks()) >= sent and _is_folded(survey(deployment).stages, sent):
            return
        threading.Event().wait(0.1)
    raise AssertionError(f"not folded in {_LONGEST} s: {survey(deployment)}")


def _wait_for_redis(redis: RedisEntries, partitions: int) -> None:
    deadline = time.monotonic() + _LONGEST
    while not all(redis.marker(partition) for partition in range(partitions)):
        assert time.monotonic() < deadline, "nothing was stored in Redis"
        threading.Event().wait(0.05)


def _is_folded(stages: list[StageStatus], sent: int) -> bool:
    folded: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    for each in stages:
        folded[each.stage] += each.folded
        counted.update({f"{each.stage} {name}": count for name, count in each.counters.items()})
    ends = sum(counted[f"labels {outcome}"] for outcome in (LABELLED, EXPIRED, REVISED))
    events, predictions = counted["ingest accepted"], counted["score predictions"]
    wanted = sent, events, counted["features vectors"], events + predictions, ends
    return wanted == tuple(folded[stage] for stage in ("ingest", "features", "score", "labels", "learn"))


def take_in(deployment: Deployment, addresses: Addresses) -> World:
    """Read everything that a run has left behind, through the audit's own readers."""
    pipeline, partitions = deployment.pipeline, deployment.topology.partitions
    kafka, redis = KafkaLog(dict(addresses.kafka)), RedisEntries(addresses.redis_url, pipeline.name)
    topics = [*(stream.topic for stream in pipeline.streams), *deployment.topology.names.values()]
    log = MemoryLog({(topic, each): list(kafka.read(topic, each)) for topic in topics for each in range(partitions)})
    places = [(each, group) for each in range(partitions) for group in ("city", "*")]
    partials = MemoryPartials(
        {each: redis.marker(each) for each in range(partitions)},
        {place: dict(redis.entries(*place)) for place in places},
    )
    subject = Subject(
        pipeline=pipeline,
        codecs=deployment.wire.codecs,
        schema_of=deployment.ids.schema_of,
        log=log,
        partials=partials,
        partitions=partitions,
    )
    return World(subject, log, partials)
