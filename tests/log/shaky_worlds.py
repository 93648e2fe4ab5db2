"""The two logs behind a network that breaks during a commit: writers are on its far side, the tests on the near one."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Protocol

from confluent_kafka import KafkaException, Producer

from chaos.proxies import Fault, KafkaProxy
from riverrun.adapters.kafka_log import KafkaLog
from riverrun.runtime.ports import Log, LogUnavailableError, Writer
from tests.log.worlds import PATIENCE, KafkaWorld, MemoryWorld, World

_LOG = logging.getLogger("riverrun.kafka")


class Careless(Protocol):
    """A client that does not look whether its connection broke, as librdkafka by itself does not."""

    def begin(self, topic: str, values: Iterable[bytes]) -> None:
        """Begin a transaction and have the records in the log."""
        ...

    def send(self, topic: str, value: bytes) -> None: ...

    def commit(self) -> None:
        """Commit; raise ``LogUnavailableError`` if that fails."""
        ...


class ShakyWorld(Protocol):
    """A log, and a network before it.

    Attributes
    ----------
    near
        The world as seen past the network.
    far
        Its log as seen through the network.
    """

    near: World
    far: Log

    def fail_next(self, fault: Fault) -> None:
        """Let the next commit from the far side suffer."""
        ...

    def release(self) -> int:
        """Deliver the commits that were delayed; return how many there were."""
        ...

    def careless(self, transactional_id: str) -> Careless:
        """Make a client on the far side that notices nothing, and open it."""
        ...

    def close(self) -> None: ...


class ShakyMemory:
    """The in-memory log, which breaks its commits by itself."""

    def __init__(self) -> None:
        world = MemoryWorld()
        self.near: World = world
        self.far: Log = world.memory
        self._memory = world.memory
        self._noticed = True

    def fail_next(self, fault: Fault) -> None:
        self._memory.hold_commit(noticed=self._noticed, lost=fault is not Fault.DELAYED)

    def release(self) -> int:
        delayed = self._memory.held_commits
        self._memory.release_commits()
        return delayed

    def careless(self, transactional_id: str) -> Careless:
        # It is the log here that decides whether a writer notices.
        self._noticed = False
        return _CarelessMemory(self._memory.writer(transactional_id))

    def close(self) -> None:
        self.near.close()


class _CarelessMemory:
    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        writer.open()

    def begin(self, topic: str, values: Iterable[bytes]) -> None:
        self._writer.begin()
        for value in values:
            self.send(topic, value)

    def send(self, topic: str, value: bytes) -> None:
        self._writer.send(topic, 0, None, value, ())

    def commit(self) -> None:
        self._writer.commit({}, "unused")


class ShakyKafka:
    """A real broker, and a proxy before it.

    Parameters
    ----------
    near
        The broker.
    proxy
        Stands before it.
    """

    def __init__(self, near: KafkaWorld, proxy: KafkaProxy) -> None:
        self.near: World = near
        self._proxy = proxy
        self._properties = {"bootstrap.servers": f"127.0.0.1:{proxy.port}"}
        self.far: Log = KafkaLog(self._properties)

    def fail_next(self, fault: Fault) -> None:
        self._proxy.fail_next(fault)

    def release(self) -> int:
        return self._proxy.release()

    def careless(self, transactional_id: str) -> Careless:
        return _CarelessKafka(Producer({**self._properties, "transactional.id": transactional_id}, logger=_LOG))

    def close(self) -> None:
        self.far.close()


class _CarelessKafka:
    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        producer.init_transactions(PATIENCE)

    def begin(self, topic: str, values: Iterable[bytes]) -> None:
        self._producer.begin_transaction()
        for value in values:
            self.send(topic, value)
        assert self._producer.flush(PATIENCE) == 0

    def send(self, topic: str, value: bytes) -> None:
        self._producer.produce(topic, value, partition=0)

    def commit(self) -> None:
        try:
            self._producer.commit_transaction(PATIENCE)
        except KafkaException as error:
            raise LogUnavailableError(f"the commit failed: {error}") from None
