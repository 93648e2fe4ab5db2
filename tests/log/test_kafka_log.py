"""What only a real broker and a bad network can show of the Kafka adapter."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError

from chaos.proxies import KafkaProxy
from riverrun.adapters import kafka_errors, kafka_membership, kafka_reader
from riverrun.adapters.kafka_connection import ClientLog, ConnectionLog
from riverrun.adapters.kafka_log import KafkaLog, kafka_producer
from riverrun.adapters.kafka_properties import KafkaProperties, KafkaTuning
from riverrun.embedded import ClientProperties
from riverrun.errors import SettingsError
from riverrun.runtime.ports import LogUnavailableError, TopicSpec
from tests.log.worlds import collect, read_all, until


@pytest.fixture
def far_log(proxy: KafkaProxy, name: str) -> Iterator[KafkaLog]:
    """That broker as seen through the proxy, with a topic of the test's name."""
    log = KafkaLog({"bootstrap.servers": f"127.0.0.1:{proxy.port}"})
    log.ensure_topics([TopicSpec(name, 1)])
    yield log
    log.close()


def test_only_the_coordinators_connection_counts() -> None:
    """Another broker's broken connection endangers no transaction."""
    lines = ConnectionLog(ClientLog())
    lines.log(20, "%s [%s] %s", "FAIL", "client", "[thrd:host:9092/1]: host:9092/1: Disconnected")
    lines.log(20, "%s [%s] %s", "GETPID", "client", "[thrd:main]: retrying at TxnCoordinator/1")
    assert not lines.broken
    lines.log(20, "%s [%s] %s", "FAIL", "client", "[thrd:TxnCoordinator]: TxnCoordinator: Disconnected")
    assert lines.broken


def test_a_reader_survives_broken_connections(
    proxy: KafkaProxy, near: ClientProperties, far_log: KafkaLog, name: str
) -> None:
    """It reconnects by itself and goes on where it was."""
    producer = kafka_producer(near)
    producer.produce(name, b"1", partition=0)
    producer.flush(20)
    reader = far_log.reader(name, 0, 0)
    assert [record.value for record in read_all(reader)] == [b"1"]
    proxy.cut()
    producer.produce(name, b"2", partition=0)
    producer.flush(20)
    assert [record.value for record in collect(reader, 1)] == [b"2"]
    reader.close()
    with pytest.raises(LogUnavailableError, match="closed"):
        reader.poll(1)


def test_a_reader_that_hears_nothing_connects_anew(
    near: ClientProperties, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one broker that it knows may be cut off from those that took over; it goes on where it was, each once."""
    opened: list[Consumer] = []

    class Counted(Consumer):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            opened.append(self)

    monkeypatch.setattr(kafka_reader, "Consumer", Counted)
    monkeypatch.setattr(kafka_reader, "_SILENT_S", 0.5)
    log = KafkaLog(near)
    log.ensure_topics([TopicSpec(name, 1)])
    producer, reader = kafka_producer(near), log.reader(name, 0, 0)
    heard: list[bytes | None] = []

    def connected_anew() -> bool:
        heard.extend(record.value for record in reader.poll(10, 0.1))
        return len(opened) > before

    values = [b"1", b"2", b"3"]
    for value in values:
        producer.produce(name, value, partition=0)
        producer.flush(20)
        heard += [record.value for record in read_all(reader)]
        before = len(opened)
        until(connected_anew, "a new connection")
        # What it knew of the end it still knows: nobody has to wait for the new connection.
        assert reader.at_end
        assert reader.end_offset == len(heard)
    assert heard == values
    reader.close()
    log.close()


def test_a_member_that_is_put_out_and_not_taken_back_says_so(
    proxy: KafkaProxy, far_log: KafkaLog, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coordinator that it knows may be cut off from the others: whoever asks again as another finds a new one."""
    monkeypatch.setattr(kafka_membership, "_BACK_WITHIN_S", 0.5)
    member = far_log.membership(name, name)
    until(lambda: member.poll(0.1) == {0}, "its partition")
    proxy.cut(refusing=True)
    with pytest.raises(LogUnavailableError, match="not taken it back"):
        until(lambda: member.poll(0.1) == {1}, "what never comes")
    proxy.restore()
    member.close()
    another = far_log.membership(name, name)
    until(lambda: another.poll(0.1) == {0}, "its partition")
    another.close()


def test_a_tail_does_not_wait_for_more_to_come(near: ClientProperties, name: str) -> None:
    """Behind the end of a transaction only an empty answer tells that nothing follows; whoever reads on may wait."""
    log = KafkaLog(near, KafkaTuning(fetch_wait_ms=8_000))
    log.ensure_topics([TopicSpec(name, 1)])
    writer = log.writer(name)
    writer.open()
    for value in (b"1", b"2", b"3"):
        writer.begin()
        writer.send(name, 0, b"key", value, [])
        writer.commit({}, "")
    began = time.monotonic()
    assert [record.value for record in log.tail(name, 0, 2)] == [b"2", b"3"]
    assert time.monotonic() - began < 4.0
    writer.close()
    log.close()


def test_an_outage_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    """However many connections fail, and at however many clients; all else keeps its level."""
    lines = ClientLog()
    with caplog.at_level(logging.INFO, "riverrun.kafka"):
        for number in range(100):
            lines.log(logging.ERROR, "%s [%s] %s", "FAIL", f"client-{number}", "Connection refused")
        lines.log(logging.ERROR, "%s [%s] %s", "FATAL", "client", "Fenced")
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]


def test_every_error_told_by_name_exists() -> None:
    """A misspelt or renamed error would never be recognised."""
    names = {kafka_errors.END_OF_PARTITION, kafka_errors.EXISTS}
    names |= kafka_errors.UNKNOWN_TOPIC | kafka_errors.FENCED | kafka_errors.REFUSED | kafka_errors.HEALS
    names |= kafka_errors.DENIED
    for name in names:
        code: object = getattr(KafkaError, name)
        assert isinstance(code, int)
        assert KafkaError(code).name() == name


class TestProperties:
    def test_what_correctness_depends_on_cannot_be_overridden(self) -> None:
        """An operator may tune anything else."""
        mistaken = KafkaProperties(
            {
                "bootstrap.servers": "kafka:9092",
                "isolation.level": "read_uncommitted",
                "enable.auto.commit": True,
                "enable.idempotence": False,
                "partitioner": "consistent",
                "auto.offset.reset": "earliest",
                "log_level": 0,
                "linger.ms": 50,
            }
        )
        assert mistaken.reader()["isolation.level"] == "read_committed"
        assert mistaken.reader()["enable.auto.commit"] is False
        assert mistaken.reader()["auto.offset.reset"] == "error"
        assert mistaken.writer("id")["enable.idempotence"] is True
        assert mistaken.writer("id")["partitioner"] == "murmur2_random"
        assert mistaken.writer("id")["log_level"] == 6
        assert mistaken.writer("id")["linger.ms"] == 50
        assert mistaken.offsets()["isolation.level"] == "read_uncommitted"

    def test_brokers_must_be_named(self) -> None:
        """The message says which setting is missing."""
        with pytest.raises(SettingsError, match="`bootstrap"):
            KafkaLog({})

    def test_a_property_that_librdkafka_does_not_know_is_an_error(self) -> None:
        """It is named, at once, rather than ignored."""
        with pytest.raises(LogUnavailableError, match="no_such_property"):
            KafkaLog({"bootstrap.servers": "kafka:9092", "no_such_property": 1})
