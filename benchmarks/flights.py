"""The year of flights, published once to the lab's broker for all sides to read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from benchmarks.flight_pipeline import flights_pipeline
from benchmarks.lab import Lab, schema_ids
from examples.flights.pacing import paced
from examples.flights.publish import SEED
from examples.flights.source import RawMessage, flight_messages
from riverrun.adapters.kafka_log import KafkaLog, kafka_producer
from riverrun.runtime.ports import TopicSpec

TOPICS: Final = ("flights.scheduled", "flights.departed", "flights.arrived", "weather.observed")
_FLUSH_S: Final = 120.0


def make_topics(lab: Lab, partitions: int = 1) -> None:
    """Create the producers' topics; timestamps are those of the append, from which latency is measured."""
    log = KafkaLog(lab.kafka)
    config = {"message.timestamp.type": "LogAppendTime"}
    log.ensure_topics([TopicSpec(topic, partitions, config=config) for topic in TOPICS])
    log.close()


def publish(lab: Lab, messages: Iterator[RawMessage], count: int) -> int:
    """Publish ``count`` messages; return how many there were."""
    producer = kafka_producer({"linger.ms": 20, **lab.kafka})
    sent = 0
    for message in islice(messages, count):
        producer.produce(message.topic, message.value, message.key)
        sent += 1
        if sent % 1_000 == 0:
            producer.poll(0)
    if producer.flush(_FLUSH_S) > 0:
        raise RuntimeError("the broker does not take the flights")
    return sent


def publish_steadily(lab: Lab, start: int, count: int, rate: float) -> None:
    """Publish the messages of the year from ``start`` on, each at its own moment as nearly as a sleep can hit it."""
    deployment = lab.connect(flights_pipeline("ids"))
    ids = schema_ids(deployment)
    deployment.log.close()
    messages = list(islice(flight_messages(ids, SEED, start + count), start, start + count))
    producer = kafka_producer({"linger.ms": 1, **lab.kafka})
    for message in paced(messages, rate):
        producer.poll(0)
        producer.produce(message.topic, message.value, message.key)
    if producer.flush(_FLUSH_S) > 0:
        raise RuntimeError("the broker does not take the flights")


def publish_flights(lab: Lab, count: int, partitions: int = 1) -> int:
    """Create the topics anew and publish the first ``count`` messages of the year, faults and all."""
    lab.drop_topics(*TOPICS)
    make_topics(lab, partitions)
    deployment = lab.connect(flights_pipeline("ids"))
    ids = schema_ids(deployment)
    deployment.log.close()
    return publish(lab, flight_messages(ids, SEED, count), count)
