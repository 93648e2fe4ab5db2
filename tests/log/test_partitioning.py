"""Equal keys meet: every client puts a key on the same partition."""

from __future__ import annotations

import random
from pathlib import Path

from confluent_kafka import KafkaError, Message

from riverrun.adapters.kafka_log import kafka_producer
from riverrun.embedded import ClientProperties
from riverrun.embedded.jars import kafka_jars
from riverrun.embedded.java import java_program
from riverrun.records.murmur2 import partition_of
from riverrun.runtime.ports import TopicSpec
from tests.log.java_partitioner import java_partitions
from tests.log.worlds import KafkaWorld

PARTITIONS = 7


def sample_keys() -> list[bytes]:
    """Keys of every length around the hash's words of four bytes, and with every kind of byte."""
    chance = random.Random(7)
    keys = [b"key-%d" % number for number in range(150)]
    keys += ["Zürich".encode(), "\N{AIRPLANE}".encode(), b"\x00", b"\xff" * 9, b"\x80\x81\x82\x83"]
    keys += [chance.randbytes(length) for length in range(1, 70)]
    return keys


def test_java_librdkafka_and_riverrun_agree(
    kafka: ClientProperties, kafka_world: KafkaWorld, name: str, tmp_path: Path
) -> None:
    """The Java client, librdkafka as riverrun sets it up, and riverrun itself place keys alike."""
    keys = sample_keys()
    placed: dict[bytes, int] = {}

    def delivered(error: KafkaError | None, message: Message) -> None:
        key, partition = message.key(), message.partition()
        if error is None and key is not None and partition is not None:
            placed[key] = partition

    kafka_world.log.ensure_topics([TopicSpec(name, PARTITIONS)])
    producer = kafka_producer(kafka)
    for key in keys:
        producer.produce(name, b"", key, on_delivery=delivered)
    producer.flush(20)
    java = java_partitions(keys, PARTITIONS, java_program(), kafka_jars(print), tmp_path)
    assert set(java) == set(range(PARTITIONS))
    assert [placed.get(key) for key in keys] == java
    assert [partition_of(key, PARTITIONS) for key in keys] == java
