"""Where a benchmark runs: a broker and a Redis of its own, and riverrun connected to them."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from confluent_kafka.admin import AdminClient

from benchmarks.rounds import Measured, Meter, isolated
from riverrun.adapters.kafka_log import KafkaLog
from riverrun.embedded import Addresses, EmbeddedCluster, read_external_servers
from riverrun.embedded.kafka_server import KafkaSettings
from riverrun.launch.connect import connect
from riverrun.pipeline import Pipeline
from riverrun.records.items import Item
from riverrun.records.topics import Kind
from riverrun.runtime import collector
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.ports import TopicSpec
from riverrun.runtime.settings import Settings
from riverrun.runtime.stage import StageDefinition
from riverrun.runtime.worker import Worker
from services.catalogue import STAGES

FIVE_STAGES = ("ingest", "features", "score", "labels", "learn")
"""All that have something to do where nobody asked for a watch for drift, in the order in which an event meets them."""
APART: Final = "five services apart"
"""What `Lab.seen` calls that."""
_BATCH = 2_000
_IDLE_S = 0.001
_SETTLE_S = 0.05
_STALLED_S = 120.0
_HEAP_MB = 6_144
"""What Kafka's documentation gives a broker; G1 keeps a twentieth of it for what is new, at the least.

With 512 MiB it stopped all requests for 20 to 50 ms each second, at 1,000 events a second on two slow cores; with this,
every ten seconds.
"""
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
_HEAP_SHARE = 4
"""No more than this part of the machine's memory: a quarter."""
_WARM_UP_S = 10.0
_WARM_TOPICS = 6
_WARM_RECORDS = 5


@dataclass(frozen=True, slots=True)
class Size:
    """How much to measure.

    Parameters
    ----------
    name
        ``quick`` or ``full``.
    rounds
        How often each side runs.
    events
        Messages that a throughput is measured with.
    """

    name: str
    rounds: int
    events: int


QUICK = Size("quick", 3, 15_000)
FULL = Size("full", 7, 200_000)


@dataclass(frozen=True, slots=True)
class Lab:
    """The servers, and a folder for whatever a run leaves; may be sent to another process.

    Parameters
    ----------
    environment
        Names the servers, as the settings of riverrun do.
    folder
        Data of the runs.
    size
        How much to measure.
    seen
        What the broker's compiler has met until now, so that nobody need show it again: ``APART``, say.
    """

    environment: Mapping[str, str]
    folder: Path
    size: Size
    seen: set[str] = field(default_factory=set)

    @property
    def addresses(self) -> Addresses:
        """Where the servers are."""
        external = read_external_servers(self.environment)
        if external.kafka is None or external.redis_url is None:
            raise RuntimeError("the lab has no servers")
        # Its topics may be made as needed: they are nobody's but the lab's.
        return Addresses(kafka=external.kafka, redis_url=external.redis_url, embedded=True)

    @property
    def kafka(self) -> dict[str, str]:
        """What a librdkafka client is made from."""
        return dict(self.addresses.kafka)

    def drop_topics(self, *topics: str) -> None:
        """Delete topics, those that are there, and wait until they are gone."""
        admin = AdminClient({**self.kafka})
        known = admin.list_topics(timeout=_STALLED_S).topics
        there = [topic for topic in topics if topic in known]
        for future in admin.delete_topics(there).values() if there else ():
            future.result(_STALLED_S)
        while any(topic in admin.list_topics(timeout=_STALLED_S).topics for topic in topics):
            # Metadata spreads in its own time, and nobody tells when it is done.
            time.sleep(_SETTLE_S)

    def connect(self, pipeline: Pipeline, *, partitions: int = 1) -> Deployment:
        """Return a pipeline on the lab's servers."""
        settings = Settings(data_folder=self.folder / "riverrun")
        return connect(pipeline, self.addresses, settings, partitions=partitions)


@contextmanager
def open_lab(folder: Path, size: Size) -> Iterator[Lab]:
    """Start servers in a fresh folder; both are gone at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # A broker as in production, which has to be warm: its compiler takes the processors from everybody at first.
    kafka = KafkaSettings(optimizing=True, heap_mb=min(_HEAP_MB, _memory_mb() // _HEAP_SHARE))
    with EmbeddedCluster(folder / "servers", kafka=kafka, external=read_external_servers(os.environ)) as cluster:
        lab = Lab(cluster.addresses.as_environment(), folder, size)
        isolated(warm_up, lab, _WARM_UP_S)
        yield lab
    shutil.rmtree(folder, ignore_errors=True)


def _memory_mb() -> int:
    """Return the memory that there is, of the machine or of the container that this runs in. MiB."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _CONTAINER_LIMIT.read_text(encoding="ascii").strip() if _CONTAINER_LIMIT.exists() else ""
    return min(whole, int(limit)) >> 20 if limit.isdigit() else whole >> 20


def warm_up(lab: Lab, seconds: float) -> None:
    """Write and read small transactions for a while, as all that is measured afterwards does."""
    topics = [f"warm-up-{number}" for number in range(_WARM_TOPICS)]
    log = KafkaLog(lab.kafka)
    log.ensure_topics([TopicSpec(topic, 1) for topic in topics])
    readers = [log.reader(topic, 0, 0) for topic in topics]
    writer = log.writer("warm-up")
    writer.open()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        writer.begin()
        for topic in topics:
            for _ in range(_WARM_RECORDS):
                writer.send(topic, 0, b"key", b"x" * 200, ())
        writer.commit({}, "")
        for reader in readers:
            reader.poll(_BATCH)
    writer.close()
    for reader in readers:
        reader.close()
    log.close()
    lab.drop_topics(*topics)


class _Opened(threading.Event):
    """Starts the meter when the first task is open and has not read yet."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    def set(self) -> None:
        """Note that a task is open."""
        super().set()
        self._meter.start()


def stages(*names: str) -> list[StageDefinition]:
    """Return stages by name."""
    return [STAGES[name] for name in names]


def schema_ids(deployment: Deployment) -> dict[str, int]:
    """Return the schema id by topic that producers write their events with."""
    codecs = deployment.wire.codecs
    return {stream.topic: codecs.stream_id(stream.name) for stream in codecs.streams}


def append_items(deployment: Deployment, kind: Kind, partition: int, items: Iterable[Item]) -> None:
    """Append items to one of the pipeline's own topics, as the stage that writes it would."""
    topic, rest = deployment.topology.names[kind], iter(items)
    writer = deployment.log.writer(f"{topic}-{partition}-by-hand")
    writer.open()
    while batch := list(islice(rest, _BATCH)):
        writer.begin()
        for item in batch:
            key, value, headers = deployment.wire.to_wire(item, partition)
            writer.send(topic, partition, key, value, headers)
        writer.commit({}, "")
    writer.close()


def fold(deployment: Deployment, chains: Sequence[Sequence[StageDefinition]], meter: Meter) -> Measured:
    """Run chains until their first has folded all that the meter expects; return what it took.

    Raises
    ------
    RuntimeError
        If nothing moves for two minutes.
    """
    worker = Worker(deployment, chains)
    worker.ready = _Opened(meter)
    worker.join()
    moved, seen = time.monotonic(), -1
    settled = False
    try:
        while True:
            busy = worker.round()
            if worker.ready.is_set() and not settled:
                # As the worker's own loop does when what it runs has been opened.
                collector.set_aside()
                settled = True
            done = sum(task.folded for task in worker.tasks())
            if worker.ready.is_set() and meter.at(done):
                return meter.result()
            now = time.monotonic()
            if done != seen:
                moved, seen = now, done
            if now - moved > _STALLED_S:
                raise RuntimeError(f"stalled after {done} records: {worker.trouble}")
            if not busy:
                # As the worker's own loop waits when there is nothing to fold.
                time.sleep(_IDLE_S)
    finally:
        worker.leave()
        collector.release()
        deployment.log.close()
