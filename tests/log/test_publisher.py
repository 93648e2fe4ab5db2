"""The publisher for event loops, on a real broker: where records go, what callers are told, and when."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import closing

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from riverrun.adapters import kafka_publisher
from riverrun.adapters.kafka_log import KafkaLog
from riverrun.adapters.kafka_publisher import KafkaPublisher, Outgoing, Receipt
from riverrun.embedded import ClientProperties
from riverrun.errors import UnavailableError
from riverrun.records.murmur2 import partition_of
from riverrun.runtime.ports import LogUnavailableError, TopicSpec

TOPIC = "published"


def test_a_receipt_says_where_the_record_is(kafka: ClientProperties) -> None:
    """Every record is in the log when its future is done: at its place, in its key's partition, with its headers."""

    async def run() -> list[Receipt]:
        with closing(KafkaPublisher(kafka)) as publisher:
            records = [Outgoing(TOPIC, b"k%d" % n, b"v%d" % n, (("h", b"%d" % n),)) for n in range(500)]
            return list(await asyncio.gather(*map(publisher.publish, records)))

    with closing(KafkaLog(kafka)) as log:
        log.ensure_topics([TopicSpec(TOPIC, 3)])
        receipts = asyncio.run(run())
        held = {(each.partition, each.offset): each for part in range(3) for each in log.tail(TOPIC, part, 1_000)}
        for number, (topic, partition, offset) in enumerate(receipts):
            record = held[partition, offset]
            assert (topic, partition) == (TOPIC, partition_of(b"k%d" % number, 3))
            assert (record.key, record.value) == (b"k%d" % number, b"v%d" % number)
            assert list(record.headers) == [("h", b"%d" % number)]
        assert len(held) == 500


def test_records_of_a_key_keep_their_order(kafka: ClientProperties) -> None:
    """What is published first lies first."""

    async def run() -> list[int]:
        with closing(KafkaPublisher(kafka)) as publisher:
            futures = [publisher.publish(Outgoing("published-order", b"k", b"%d" % n)) for n in range(300)]
            return [(await future).offset for future in futures]

    with closing(KafkaLog(kafka)) as log:
        log.ensure_topics([TopicSpec("published-order", 1)])
        assert asyncio.run(run()) == list(range(300))


def test_a_broker_that_is_away_is_told() -> None:
    """When nobody confirms a record in time its caller is told so, with what to do."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def run() -> None:
        publisher = KafkaPublisher({"bootstrap.servers": f"127.0.0.1:{port}"}, timeout_ms=1_000)
        try:
            with pytest.raises(UnavailableError, match=r"did not confirm.*same id"):
                await publisher.publish(Outgoing(TOPIC, b"k", b"v"))
        finally:
            publisher.close()

    asyncio.run(run())


class _Breaking(Producer):
    """A client that takes records, sends none and, once it has three, breaks down as librdkafka does.

    That is for good: ``poll`` raises once, and nothing is taken any more.
    """

    taken = 0
    told = False

    def produce(self, topic: str, *_: object, **__: object) -> None:
        if self.told:
            raise KafkaException(KafkaError(KafkaError._FATAL, "broken", fatal=True))
        self.taken += 1

    def poll(self, timeout: float = -1) -> int:
        time.sleep(0.01)
        if self.taken == 3 and not self.told:
            self.told = True
            raise KafkaException(KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "lost its place", fatal=True))
        return 0


def test_a_client_that_breaks_down_is_replaced(kafka: ClientProperties, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that it was given is told to be unknown, and the next record goes out by a client that works."""

    async def run() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(kafka_publisher, "Producer", _Breaking)
            publisher = KafkaPublisher(kafka)
        with closing(publisher):
            lost = [publisher.publish(Outgoing(TOPIC, b"k", b"%d" % number)) for number in range(3)]
            async with asyncio.timeout(30.0):
                answers = await asyncio.gather(*lost, return_exceptions=True)
                assert all("lost its place" in str(answer) and "same id" in str(answer) for answer in answers)
                assert (await publisher.publish(Outgoing(TOPIC, b"k", b"after"))).topic == TOPIC

    with closing(KafkaLog(kafka)) as log:
        log.ensure_topics([TopicSpec(TOPIC, 3)])
    asyncio.run(run())


def test_what_the_client_refuses_is_told(kafka: ClientProperties) -> None:
    """A record that is too large, or more than the queue holds, is refused at once."""

    async def run() -> None:
        with closing(KafkaPublisher({**kafka, "message.max.bytes": "2000"})) as publisher:
            with pytest.raises(LogUnavailableError, match="refuses a record"):
                publisher.publish(Outgoing(TOPIC, b"k", bytes(10_000)))
            assert (await publisher.publish(Outgoing(TOPIC, b"k", b"small"))).topic == TOPIC

    asyncio.run(run())


def test_a_caller_that_goes_away_harms_nobody(kafka: ClientProperties) -> None:
    """Futures that were cancelled are passed over; the others get their receipts."""

    async def run() -> None:
        with closing(KafkaPublisher(kafka)) as publisher:
            futures = [publisher.publish(Outgoing(TOPIC, b"k", b"v")) for _ in range(50)]
            for future in futures[::2]:
                future.cancel()
            for future in futures[1::2]:
                assert (await future).topic == TOPIC

    asyncio.run(run())
