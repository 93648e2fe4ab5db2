"""The two logs under the same tests, each with what a test must be able to do to it from outside."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from riverrun.adapters.kafka_log import KafkaLog, kafka_producer
from riverrun.adapters.kafka_properties import KafkaTuning
from riverrun.runtime.ports import Headers, Log, Reader, Record
from riverrun.testing.memory_log import MemoryLog

TRANSACTION_TIMEOUT_MS = 1_000
PATIENCE = 20.0

_MEMBER = """
import json
import sys
from riverrun.adapters.kafka_log import KafkaLog
from riverrun.adapters.kafka_properties import KafkaTuning
properties, group, topic, session = sys.argv[1:]
log = KafkaLog(json.loads(properties), KafkaTuning(session_timeout_ms=int(session)))
member = log.membership(group, topic)
while True:
    print(*member.poll(0.1), flush=True)
"""


class DoomedMember(Protocol):
    """A member of a group that will die without leaving."""

    def owned(self) -> frozenset[int]: ...

    def kill(self) -> None: ...


class World(Protocol):
    """A log, and what producers, operators and crashes do to it."""

    log: Log
    impatient: Log
    """The same, but transactions may be open for ``TRANSACTION_TIMEOUT_MS`` only."""

    def publish(
        self,
        topic: str,
        partition: int,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
    ) -> None: ...

    def committed(self, group: str, topic: str, partition: int) -> int: ...

    def delete_records(self, topic: str, partition: int, before: int) -> None: ...

    def doomed_member(self, group: str, topic: str) -> DoomedMember: ...

    def close(self) -> None: ...


def until(condition: Callable[[], bool], what: str) -> None:
    """Ask again and again until it is so; fail when it takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what}"


def read_all(reader: Reader, limit: int = 1_000) -> list[Record]:
    """Read to the present end."""
    records: list[Record] = []

    def at_end() -> bool:
        records.extend(reader.poll(limit, 0.2))
        return reader.at_end

    until(at_end, "the end of the partition")
    return records


def collect(reader: Reader, count: int, limit: int = 1_000) -> list[Record]:
    """Read until there are so many records, with no more than ``limit`` in a poll."""
    records: list[Record] = []

    def complete() -> bool:
        batch = reader.poll(min(limit, count - len(records)), 0.2)
        assert len(batch) <= limit
        records.extend(batch)
        return len(records) == count

    until(complete, f"{count} records")
    return records


class MemoryWorld:
    """The in-memory log."""

    def __init__(self) -> None:
        self.memory = MemoryLog(TRANSACTION_TIMEOUT_MS)
        self.log: Log = self.memory
        self.impatient: Log = self.memory

    def publish(
        self,
        topic: str,
        partition: int,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
    ) -> None:
        self.memory.append(topic, partition, value, key=key, headers=headers)

    def committed(self, group: str, topic: str, partition: int) -> int:
        return self.memory.committed(group).get((topic, partition), -1)

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        self.memory.delete_records(topic, partition, before)

    def doomed_member(self, group: str, topic: str) -> DoomedMember:
        return _MemoryMember(self.memory, group, topic)

    def close(self) -> None:
        self.memory.close()


class _MemoryMember:
    def __init__(self, log: MemoryLog, group: str, topic: str) -> None:
        self._log = log
        self._membership = log.membership(group, topic)

    def owned(self) -> frozenset[int]:
        return self._membership.poll()

    def kill(self) -> None:
        self._log.expire_member(self._membership)


class KafkaWorld:
    """A real broker.

    Parameters
    ----------
    properties
        What a librdkafka client is made from.
    session_ms
        How soon the broker may be asked to notice that a member is dead.
    """

    def __init__(self, properties: Mapping[str, str], session_ms: int) -> None:
        self._properties = dict(properties)
        self._session_ms = session_ms
        self.log: Log = KafkaLog(properties, KafkaTuning(session_timeout_ms=session_ms))
        self.impatient: Log = KafkaLog(properties, KafkaTuning(transaction_timeout_ms=TRANSACTION_TIMEOUT_MS))
        self._producer = kafka_producer(properties)
        self._admin = AdminClient({}, **properties)
        self._members: list[_KafkaMember] = []

    def publish(
        self,
        topic: str,
        partition: int,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
    ) -> None:
        self._producer.produce(topic, value, key, partition, headers=dict(headers))
        assert self._producer.flush(PATIENCE) == 0

    def committed(self, group: str, topic: str, partition: int) -> int:
        asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, partition)])
        answer: object = self._admin.list_consumer_group_offsets([asked])[group].result(PATIENCE)
        assert isinstance(answer, ConsumerGroupTopicPartitions)
        assert answer.topic_partitions is not None
        return max(-1, answer.topic_partitions[0].offset)

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        for future in self._admin.delete_records([TopicPartition(topic, partition, before)]).values():
            future.result(PATIENCE)

    def doomed_member(self, group: str, topic: str) -> DoomedMember:
        member = _KafkaMember(self._properties, group, topic, self._session_ms)
        self._members.append(member)
        return member

    def close(self) -> None:
        for member in self._members:
            member.kill()
        self.log.close()
        self.impatient.close()


class _KafkaMember:
    """A member in a process of its own, so that it can be killed."""

    def __init__(self, properties: Mapping[str, str], group: str, topic: str, session_ms: int) -> None:
        arguments = json.dumps(properties), group, topic, str(session_ms)
        command = [sys.executable, "-c", _MEMBER, *arguments]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": ":".join(sys.path)}
        )

    def owned(self) -> frozenset[int]:
        assert self._process.stdout is not None
        return frozenset(int(word) for word in self._process.stdout.readline().split())

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
