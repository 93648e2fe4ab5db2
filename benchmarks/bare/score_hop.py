"""One scoring hop by hand: vectors in, predictions out, exactly once.

What an expert would write with confluent-kafka, fastavro and River for one pipeline: consume in batches, one
transaction a batch with the consumer's offsets in it, read committed, decoders and encoders bound to their schemas.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from fastavro import parse_schema, schemaless_reader, schemaless_writer

_FRAME = 5
_BATCH = 2_000


@dataclass(frozen=True, slots=True)
class HopSettings:
    """What the loop is told.

    Parameters
    ----------
    kafka
        librdkafka's properties.
    vectors, predictions
        Topics, of one partition.
    features
        Fields of a vector that are features, in order.
    vector_schema, prediction_schema
        Avro schemas, without logical types: a time is wanted as the number that it is, not as a ``datetime``.
    prediction_frame
        The five bytes before each prediction.
    """

    kafka: Mapping[str, str]
    vectors: str
    predictions: str
    features: tuple[str, ...]
    vector_schema: dict[str, object]
    prediction_schema: dict[str, object]
    prediction_frame: bytes


def run(settings: HopSettings, models: Sequence[tuple[str, int, Any]], ended: Callable[[int], bool]) -> None:
    """Score vectors until told to end.

    Parameters
    ----------
    settings
        See there.
    models
        Name, version and River classifier of each model, the champion first.
    ended
        Told after every commit how many vectors are scored; says whether to end.
    """
    read, write = parse_schema(settings.vector_schema), parse_schema(settings.prediction_schema)
    features, frame, topic = settings.features, settings.prediction_frame, settings.predictions
    scorers = [(name, version, model.predict_proba_one) for name, version, model in models]
    consumer = _consumer(settings)
    producer = _producer(settings, topic)
    metadata = consumer.consumer_group_metadata()
    produce = producer.produce
    done = 0
    # What is there by now lasts: the collector need not look at it again.
    gc.freeze()
    while not ended(done):
        messages = consumer.consume(_BATCH, 0.05)
        if not messages:
            continue
        producer.begin_transaction()
        for message in messages:
            error = message.error()
            if error is not None:
                raise RuntimeError(error.str())
            value: Any = message.value()
            source = BytesIO(value)
            source.seek(_FRAME)
            vector: Any = schemaless_reader(source, read, None)
            x = {name: found for name in features if (found := vector[name]) is not None}
            scores = []
            for name, version, predict in scorers:
                scores.append({"model": name, "version": version, "score": predict(x).get(True, 0.5)})
            out = BytesIO()
            out.write(frame)
            prediction = {
                "id": vector["id"],
                "key": vector["key"],
                "time": vector["time"],
                "event_seq": vector["event_seq"],
                "scores": scores,
                "vector": value,
            }
            schemaless_writer(out, write, prediction)
            produce(topic, out.getvalue(), message.key(), 0)
        after = (messages[-1].offset() or 0) + 1
        producer.send_offsets_to_transaction([TopicPartition(settings.vectors, 0, after)], metadata)
        producer.commit_transaction()
        done += len(messages)
    consumer.close()


def _consumer(settings: HopSettings) -> Consumer:
    properties: dict[str, Any] = {
        **settings.kafka,
        "group.id": f"bare.{settings.predictions}",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "check.crcs": True,
        # At 0 the client's thread spins for as long as its buffer is full.
        "fetch.queue.backoff.ms": 20,
        "queued.max.messages.kbytes": 8_192,
    }
    consumer = Consumer(properties)
    place = TopicPartition(settings.vectors, 0)
    committed = consumer.committed([place], 30.0)[0].offset
    consumer.assign([TopicPartition(settings.vectors, 0, max(0, committed))])
    return consumer


def _producer(settings: HopSettings, transactional_id: str) -> Producer:
    properties: dict[str, Any] = {
        **settings.kafka,
        "transactional.id": f"bare.{transactional_id}",
        "linger.ms": 5,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "transaction.timeout.ms": 10_000,
        "retry.backoff.ms": 5,
        "queue.buffering.max.messages": 1_000_000,
    }
    producer = Producer(properties)
    producer.init_transactions(30.0)
    return producer
