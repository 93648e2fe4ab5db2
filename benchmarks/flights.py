"""The year of flights, published to the lab's broker for all sides to read."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
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


def messages(lab: Lab, count: int) -> list[RawMessage]:
    """Return the first messages of the year, faults and all: made once, then kept in the lab's folder."""
    file = lab.folder / "flights.messages"
    kept: list[RawMessage] = pickle.loads(file.read_bytes()) if file.exists() else []
    if len(kept) < count:
        deployment = lab.connect(flights_pipeline("ids"))
        kept = list(flight_messages(schema_ids(deployment), SEED, count))
        deployment.log.close()
        file.write_bytes(pickle.dumps(kept, pickle.HIGHEST_PROTOCOL))
    return kept[:count]


def publish(lab: Lab, chosen: Iterable[RawMessage], linger_ms: int) -> int:
    """Publish messages as they come; return how many there were."""
    producer = kafka_producer({"linger.ms": linger_ms, **lab.kafka})
    sent = 0
    for message in chosen:
        producer.poll(0)
        producer.produce(message.topic, message.value, message.key)
        sent += 1
    if producer.flush(_FLUSH_S) > 0:
        raise RuntimeError("the broker does not take the flights")
    return sent


def publish_steadily(lab: Lab, start: int, count: int, rate: float) -> None:
    """Publish the messages of the year from ``start`` on, each at its own moment as nearly as a sleep can hit it."""
    publish(lab, paced(messages(lab, start + count)[start:], rate), linger_ms=1)


def publish_flights(lab: Lab, count: int, partitions: int = 1) -> int:
    """Create the topics anew and publish the first ``count`` messages of the year."""
    chosen = messages(lab, count)
    lab.drop_topics(*TOPICS)
    make_topics(lab, partitions)
    return publish(lab, chosen, linger_ms=20)
