"""Worlds to run the small pipeline in: the in-memory log and its stores, and Kafka, Redis and RocksDB."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from riverrun.adapters.kafka_log import KafkaLog, kafka_producer
from riverrun.adapters.redis_partials import RedisPartials
from riverrun.adapters.rocks_store import open_slot
from riverrun.pipeline import Pipeline
from riverrun.records.headers import Stamp, parse
from riverrun.records.items import Item, Progress
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Clocks, Deployment
from riverrun.runtime.ports import KeyValueStore, Log, PartialStore, Record
from riverrun.runtime.settings import Settings
from riverrun.runtime.worker import Worker
from riverrun.testing.failpoints import Failpoints, Killed, PointedLog, PointedPartials, PointedStore
from riverrun.testing.memory_disk import MemoryDisk
from riverrun.testing.memory_group import MemoryMembership
from riverrun.testing.memory_log import MemoryLog
from riverrun.testing.partial_store import MemoryPartialStore
from riverrun.testing.small_world import SmallWorld, answered, asked, layout_of, make_codecs

MINUTE = 60_000
WRITTEN = (
    *(Kind.EVENTS, Kind.DEAD_LETTERS, Kind.VECTORS, Kind.PREDICTIONS),
    *(Kind.EXAMPLES, Kind.EVALUATIONS, Kind.MODELS),
)
"""All that a pipeline writes but for its commit records, which tell of batches and clocks."""
ALL_IN_ONE = "ingest+features+score+labels+learn"
_NUMBERS = itertools.count()
_PATIENCE_S = 20.0


class Message(NamedTuple):
    """What a producer sends."""

    stream: str
    who: str
    value: bytes


Contents = Mapping[Kind, list[list[tuple[bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]]]]


def messages(count: int, seed: int = 0) -> list[Message]:
    """Make events that ask and that answer: some answers late, twice, otherwise the second time, early, or never."""
    rng = random.Random(seed)
    timed: list[tuple[int, Message]] = []
    for number in range(count):
        who, place, at = f"w{number}", rng.choice("xyz"), number * MINUTE
        timed.append((at, Message("asked", who, asked(number, who, place, at, rng.randrange(9)))))
        delays = rng.choices(((7,), (-3,), (45,), (3, 9), ()), (6, 1, 1, 2, 1))[0]
        for turn, delay in enumerate(delays):
            then = max(0, at + delay * MINUTE)
            value = answered(2 * number + turn, who, place, then, rng.randrange(6))
            timed.append((then + rng.randrange(MINUTE), Message("answered", who, value)))
    made = [message for _, message in sorted(timed, key=lambda pair: pair[0])]
    for number in range(0, len(made), 9):
        made.insert(number, rng.choice(made[: number + 1]))
    for number in range(5, len(made), 11):
        bad = rng.choice((b"{", b"", b'{"id": "a"}', asked(0, "w0", "x", 0, -1.0)))
        made.insert(number, Message("asked", "w0", bad))
    return made


class World:
    """The small pipeline somewhere.

    Parameters
    ----------
    log, partials, stores
        As a deployment takes them.
    settings
        Of the runtime.
    pipeline
        The small pipeline, under a name of its own where the log is shared.
    partitions
        Of the producers' topics.
    """

    clocks = Clocks()

    def __init__(
        self,
        log: Log,
        partials: Callable[[], PartialStore],
        stores: Callable[[Path], KeyValueStore],
        settings: Settings,
        pipeline: Pipeline,
        partitions: int,
    ) -> None:
        self.log = log
        self.partials = partials
        self.stores = stores
        self.small = SmallWorld(pipeline, make_codecs(pipeline), partitions, log, settings)

    def deployment(self, log: Log | None = None, *, batch_limit: int = 2_000) -> Deployment:
        """Return what a member works with."""
        settings = replace(self.small.settings, batch_limit=batch_limit)
        return self.small.deployment(self.partials, self.stores, log=log, settings=settings, clocks=self.clocks)

    def member(self, layout: str = ALL_IN_ONE, *, batch_limit: int = 2_000) -> Worker:
        """Start a member that has joined its groups."""
        worker = Worker(self.deployment(batch_limit=batch_limit), self.small.chains(layout_of(layout)))
        worker.join()
        return worker

    def send(self, message: Message) -> None:
        """Publish one message."""
        raise NotImplementedError

    def publish(self, batch: Sequence[Message]) -> None:
        """Publish messages."""
        for message in batch:
            self.send(message)

    def settle(self, *workers: Worker) -> None:
        """Let members work until nothing is left to be done."""
        raise NotImplementedError

    def run(self, layout: str = ALL_IN_ONE, *, batch_limit: int = 2_000) -> None:
        """Let one member work until nothing is left, then stop it as SIGTERM would."""
        worker = self.member(layout, batch_limit=batch_limit)
        self.settle(worker)
        worker.leave()

    def records(self, kind: Kind, partition: int) -> list[Record]:
        """Return what is committed."""
        return self.log.tail(self.small.topology.names[kind], partition, 1 << 40)

    def items(self, kind: Kind, partition: int = 0) -> list[tuple[Item, Stamp]]:
        """Return what is committed, decoded."""
        codecs = self.small.codecs
        return [
            (codecs.from_wire(record.value, list(record.headers))[0], parse(record.headers))
            for record in self.records(kind, partition)
        ]

    def progress(self, stage: str, partition: int = 0) -> Progress:
        """Return a stage's last commit record."""
        found = [self.small.wire.progress(record) for record in self.records(Kind.PROGRESS, partition)]
        return [progress for progress in found if progress.stage == stage][-1]

    def contents(self) -> Contents:
        """Return all that was written, byte for byte."""
        names = self.small.topology.names
        return {
            kind: [
                [(record.key, record.value, tuple(record.headers)) for record in self.records(kind, partition)]
                for partition in range(self.log.partitions(names[kind]))
            ]
            for kind in WRITTEN
        }


class Doomed:
    """A member in memory that can be killed at any point of its work.

    Parameters
    ----------
    world
        Where it lives.
    layout
        Its chains.
    batch_limit
        Most records in one transaction.
    """

    def __init__(self, world: MemoryWorld, layout: str = ALL_IN_ONE, *, batch_limit: int = 2_000) -> None:
        self.points = Failpoints()
        self._world = world
        self._stores: list[KeyValueStore] = []
        self.log = PointedLog(world.memory, self.points)
        deployment = replace(
            world.deployment(self.log, batch_limit=batch_limit),
            partials=lambda: PointedPartials(world.store, self.points),
            stores=self._open,
        )
        self.worker = Worker(deployment, world.small.chains(layout_of(layout)))
        self.worker.join()

    def _open(self, folder: Path) -> KeyValueStore:
        store = self._world.disk.open(folder)
        self._stores.append(store)
        return PointedStore(store, self.points)

    def rounds_until_killed(self, at: int) -> str:
        """Work until it is killed at its ``at``-th point; return that point's name, or nothing if it lived to idle."""
        killed: list[str] = []

        def kill(name: str) -> None:
            killed.append(name)
            raise Killed

        self.points.arm(at, kill)
        with suppress(Killed):
            self._world.settle(self.worker)
        self.bury()
        return killed[0] if killed else ""

    def release_at(self, at: int) -> list[int]:
        """Deliver the held commits at its ``at``-th point; the list will say how many ended a transaction."""
        ended: list[int] = []
        self.points.arm(at, lambda name: ended.append(self._world.memory.release_commits()))
        return ended

    def replace_at(self, at: int) -> list[Worker]:
        """Freeze it at its ``at``-th point until another member has taken over; the list will hold that one."""
        successors: list[Worker] = []

        def freeze(name: str) -> None:
            del name
            self.expire()
            successor = self._world.member(batch_limit=9)
            for _ in range(4):
                successor.round()
            successors.append(successor)

        self.points.arm(at, freeze)
        return successors

    def bury(self) -> None:
        """Let go of what a dead process lets go of: the locks of its files, and sooner or later its memberships."""
        for store in self._stores:
            store.close()
        self.expire()

    def expire(self) -> None:
        """Let the group take it for dead."""
        for membership in self.log.memberships:
            assert isinstance(membership, MemoryMembership)
            self._world.memory.expire_member(membership)
        self.log.memberships.clear()


class MemoryWorld(World):
    """Everything in memory; time passes when somebody waits."""

    def __init__(self, folder: Path, pipeline: Pipeline, partitions: int = 1) -> None:
        self._sent = 0
        self.memory = MemoryLog()
        self.disk = MemoryDisk()
        self.store = MemoryPartialStore()
        self.clocks = Clocks(lambda: self.memory.now / 1000, lambda: 0.0)
        settings = Settings(
            data_folder=folder,
            model_store=f"memory://runtime-{next(_NUMBERS)}",
            state_interval_ms=1,
        )
        super().__init__(self.memory, self._client, self._open, settings, pipeline, partitions)

    def _client(self) -> PartialStore:
        # All members are one client: what one is told to suffer, all do.
        return self.store

    def _open(self, folder: Path) -> KeyValueStore:
        return self.disk.open(folder)

    def send(self, message: Message) -> None:
        """Append at once, with a timestamp that does not depend on what else was written."""
        self._sent += 1
        topic, partition = self.small.topic(message.stream), self.small.partition(message.who)
        self.memory.append(topic, partition, message.value, key=message.who.encode(), timestamp=self._sent)

    def settle(self, *workers: Worker) -> None:
        """Let members work in turn until all have been idle for a minute, in which every wait is over."""
        idle = 0
        while idle < 60:
            busy = [worker.round() for worker in workers]
            if any(busy):
                idle = 0
                self.memory.advance(2)
            else:
                idle += 1
                self.memory.advance(1_000)


@dataclass(frozen=True, slots=True)
class Servers:
    """Where Kafka and Redis are."""

    kafka: Mapping[str, str]
    redis_url: str


class KafkaWorld(World):
    """Kafka, Redis and RocksDB."""

    def __init__(self, folder: Path, pipeline: Pipeline, servers: Servers, partitions: int = 1) -> None:
        self._producer = kafka_producer(servers.kafka)
        self._deserted: list[Worker] = []
        settings = Settings(data_folder=folder, state_interval_ms=50, backoff_first_ms=20)
        super().__init__(
            KafkaLog(servers.kafka),
            lambda: RedisPartials.connect(servers.redis_url, pipeline.name),
            lambda path: open_slot(path)[0],
            settings,
            pipeline,
            partitions,
        )

    def send(self, message: Message) -> None:
        """Give it to the producer."""
        topic, who = self.small.topic(message.stream), message.who
        self._producer.produce(topic, message.value, who.encode(), self.small.partition(who))

    def publish(self, batch: Sequence[Message]) -> None:
        """Publish messages and wait until they are stored."""
        super().publish(batch)
        assert self._producer.flush(_PATIENCE_S) == 0

    def settle(self, *workers: Worker) -> None:
        """Let members work until all published was taken in and no task has found anything for half a second."""
        deadline = time.monotonic() + _PATIENCE_S
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < 0.5 or not self._taken_in():
            busy = [worker.round() for worker in workers]
            if any(busy):
                quiet_since = time.monotonic()
            else:
                time.sleep(0.01)
            assert time.monotonic() < deadline, "not settled in time"

    def _taken_in(self) -> bool:
        small = self.small
        published = sum(
            self.log.high_watermark(stream.topic, partition)
            for stream in small.pipeline.streams
            for partition in range(small.partitions)
        )
        taken = 0
        for partition in range(small.partitions):
            found = [small.wire.progress(record) for record in self.records(Kind.PROGRESS, partition)]
            counters = next((each.counters for each in reversed(found) if each.stage == "ingest"), {})
            taken += sum(counters.get(name, 0) for name in ("accepted", "duplicates", "dead_letters"))
        return taken == published

    def desert(self, worker: Worker) -> None:
        """Let a member vanish: its partitions are free, but nothing of it was drained, and its files stay locked."""
        self._deserted.append(worker)
        for unit in worker._units:
            unit.membership.close()

    def close(self) -> None:
        """Close the connections."""
        for worker in self._deserted:
            for task in worker.tasks():
                task.close()
        self.log.close()
