"""The same contract on Kafka, Redis and RocksDB as in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from riverrun.embedded import EmbeddedCluster
from riverrun.pipeline import Pipeline
from riverrun.records.items import DeadLetter
from riverrun.records.topics import Kind
from tests.runtime.test_members import LAYOUT, assert_each_once
from tests.runtime.worlds import ALL_IN_ONE, WRITTEN, KafkaWorld, MemoryWorld, Servers, World, messages


@pytest.fixture
def servers(cluster: EmbeddedCluster) -> Servers:
    """Where Kafka and Redis are."""
    return Servers(cluster.addresses.kafka, cluster.addresses.redis_url)


@pytest.fixture
def kafka_world(tmp_path: Path, pipeline: Pipeline, servers: Servers) -> Iterator[KafkaWorld]:
    """A world of real servers, with one partition."""
    world = KafkaWorld(tmp_path / "kafka", pipeline, servers)
    yield world
    world.close()


def _assert_same(found: World, wanted: World) -> None:
    ours, theirs = found.contents(), wanted.contents()
    for kind in WRITTEN:
        if kind not in (Kind.DEAD_LETTERS, Kind.MODELS):
            assert ours[kind] == theirs[kind], kind
    # Dead letters tell the time of their records, versions of models the signature of each world's own key.
    for kind in (Kind.DEAD_LETTERS, Kind.MODELS):
        assert [stamp for _, stamp in found.items(kind)] == [stamp for _, stamp in wanted.items(kind)]
    letters = [
        [(item.reason, item.value) for item, _ in world.items(Kind.DEAD_LETTERS) if isinstance(item, DeadLetter)]
        for world in (found, wanted)
    ]
    assert letters[0] == letters[1]


@pytest.mark.parametrize("layout", [ALL_IN_ONE, "ingest features score+labels+learn"])
def test_kafka_holds_what_memory_holds(memory: MemoryWorld, kafka_world: KafkaWorld, layout: str) -> None:
    """Chained or apart, the topics on Kafka hold the same bytes as those in memory."""
    for world in (memory, kafka_world):
        world.publish(messages(60))
    kafka_world.run(layout)
    memory.run()
    _assert_same(kafka_world, memory)


def test_kafka_after_members_that_were_lost(memory: MemoryWorld, kafka_world: KafkaWorld) -> None:
    """Members that vanish without a word, their files locked, and stages that move between chains, change nothing."""
    for world in (memory, kafka_world):
        world.publish(messages(60))
    for layout, rounds in ((ALL_IN_ONE, 3), ("ingest features score+labels+learn", 4), (ALL_IN_ONE, 2)):
        worker = kafka_world.member(layout, batch_limit=15)
        while not worker.tasks():
            worker.round()
        for _ in range(rounds):
            worker.round()
        kafka_world.desert(worker)
    kafka_world.run()
    memory.run()
    _assert_same(kafka_world, memory)


def test_kafka_with_two_members(tmp_path: Path, pipeline: Pipeline, servers: Servers) -> None:
    """Two members share two partitions, one leaves in between, and each event is there once."""
    world = KafkaWorld(tmp_path, pipeline, servers, 2)
    sent = messages(40)
    world.publish(sent[:60])
    first, second = world.member(LAYOUT), world.member(LAYOUT)
    world.settle(first, second)
    first.leave()
    world.publish(sent[60:])
    world.settle(second)
    second.leave()
    assert_each_once(world, 40)
    world.close()
