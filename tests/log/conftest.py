"""Fixtures of the log's tests: each world, a topic of one's own, and what they make closed again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from chaos.proxies import KafkaProxy
from riverrun.embedded import ClientProperties, EmbeddedKafka, ExternalServers
from riverrun.runtime.ports import Reader, Record, TopicSpec, Writer
from tests.log.shaky_worlds import ShakyKafka, ShakyMemory, ShakyWorld
from tests.log.steps import MakeList, MakeReader, MakeTopic, MakeWriter
from tests.log.worlds import KafkaWorld, MemoryWorld, World, read_all

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def kafka_world(kafka: ClientProperties, external_servers: ExternalServers) -> Iterator[KafkaWorld]:
    """The session's broker, with its clients."""
    # The embedded broker lets members be missed sooner than a broker's defaults do.
    world = KafkaWorld(kafka, 1_500 if external_servers.kafka is None else 6_000)
    yield world
    world.close()


@pytest.fixture(scope="session")
def near(
    kafka: ClientProperties, external_servers: ExternalServers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClientProperties]:
    """A broker that a proxy can stand before: on this machine, without encryption."""
    if external_servers.kafka is None:
        yield kafka
    else:
        with EmbeddedKafka(tmp_path_factory.mktemp("near")) as broker:
            yield broker.client_properties


@pytest.fixture(scope="session")
def near_world(near: ClientProperties) -> Iterator[KafkaWorld]:
    """That broker, with clients of its own."""
    world = KafkaWorld(near, 1_500)
    yield world
    world.close()


@pytest.fixture
def proxy(near: ClientProperties) -> Iterator[KafkaProxy]:
    """Stands before that broker."""
    with KafkaProxy(int(near["bootstrap.servers"].rpartition(":")[2])) as running:
        yield running


@pytest.fixture(params=["memory", "kafka"])
def shaky_world(request: pytest.FixtureRequest) -> Iterator[ShakyWorld]:
    """Each of the two logs in turn, behind a network that breaks."""
    shaky: ShakyWorld
    if request.param == "memory":
        shaky = ShakyMemory()
    else:
        shaky = ShakyKafka(request.getfixturevalue("near_world"), request.getfixturevalue("proxy"))
    yield shaky
    shaky.close()


@pytest.fixture(params=["memory", "kafka"])
def world(request: pytest.FixtureRequest) -> World:
    """Each of the two logs in turn."""
    if request.param == "memory":
        return MemoryWorld()
    kafka: KafkaWorld = request.getfixturevalue("kafka_world")
    return kafka


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"test-{next(_NUMBERS)}"


@pytest.fixture
def make_topic(world: World, name: str) -> MakeTopic:
    """Create a topic with so many partitions."""

    def make(partitions: int) -> str:
        world.log.ensure_topics([TopicSpec(name, partitions)])
        return name

    return make


@pytest.fixture
def topic(make_topic: MakeTopic) -> str:
    """A topic with one partition."""
    return make_topic(1)


@pytest.fixture
def opened(world: World) -> Iterator[MakeWriter]:
    """Opens writers; closes them after the test."""
    writers: list[Writer] = []

    def make(transactional_id: str) -> Writer:
        writer = world.log.writer(transactional_id)
        writers.append(writer)
        writer.open()
        return writer

    yield make
    for writer in writers:
        writer.close()


@pytest.fixture
def reading(world: World) -> Iterator[MakeReader]:
    """Opens readers; closes them after the test."""
    readers: list[Reader] = []

    def make(topic: str, offset: int = 0, partition: int = 0) -> Reader:
        reader = world.log.reader(topic, partition, offset)
        readers.append(reader)
        return reader

    yield make
    for reader in readers:
        reader.close()


@pytest.fixture
def whole(world: World, reading: MakeReader) -> MakeList:
    """Reads a partition to its end, after waiting for the control records of what was committed."""

    def read(topic: str, offset: int = 0, partition: int = 0) -> list[Record]:
        world.log.tail(topic, partition, 1)
        return read_all(reading(topic, offset, partition))

    return read
