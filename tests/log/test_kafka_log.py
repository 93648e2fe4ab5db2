"""What only a real broker and a bad network can show of the Kafka adapter."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, Producer

from chaos.proxies import Fault, KafkaProxy
from riverrun.adapters import kafka_errors
from riverrun.adapters.kafka_connection import ClientLog, ConnectionLog
from riverrun.adapters.kafka_log import KafkaLog, kafka_producer
from riverrun.adapters.kafka_properties import KafkaProperties
from riverrun.embedded import ClientProperties, EmbeddedKafka, ExternalServers
from riverrun.errors import SettingsError
from riverrun.runtime.ports import LogUnavailableError, TopicSpec, TornError
from tests.log.worlds import collect, read_all, until


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
def near_log(near: ClientProperties) -> Iterator[KafkaLog]:
    """That broker as seen without the proxy."""
    log = KafkaLog(near)
    yield log
    log.close()


@pytest.fixture
def proxy(near: ClientProperties) -> Iterator[KafkaProxy]:
    """Stands before that broker."""
    with KafkaProxy(int(near["bootstrap.servers"].rpartition(":")[2])) as running:
        yield running


@pytest.fixture
def far_log(proxy: KafkaProxy, name: str) -> Iterator[KafkaLog]:
    """That broker as seen through the proxy, with a topic of the test's name."""
    log = KafkaLog({"bootstrap.servers": f"127.0.0.1:{proxy.port}"})
    log.ensure_topics([TopicSpec(name, 1)])
    yield log
    log.close()


class TestTornCommits:
    @pytest.mark.parametrize("fault", list(Fault))
    def test_a_connection_that_breaks_during_a_commit_is_noticed(
        self, proxy: KafkaProxy, far_log: KafkaLog, near_log: KafkaLog, name: str, fault: Fault
    ) -> None:
        """The client's silent retry commits, once; but the writer raises, and does not begin again."""
        writer = far_log.writer(name)
        writer.open()
        for value in (b"1", b"2"):
            if value == b"2":
                proxy.fail_next(fault)
            writer.begin()
            writer.send(name, 0, None, value, ())
            if value == b"1":
                writer.commit({}, "unused")
        with pytest.raises(TornError, match=name):
            writer.commit({}, "unused")
        assert writer.first_offset(name, 0) == 2
        with pytest.raises(LogUnavailableError, match="torn"):
            writer.begin()
        writer.close()
        assert [record.value for record in near_log.tail(name, 0, 9)] == [b"1", b"2"]

    def test_a_delayed_commit_cannot_end_a_new_writers_transaction(
        self, proxy: KafkaProxy, far_log: KafkaLog, near_log: KafkaLog, name: str
    ) -> None:
        """The writer that is made after ``TornError`` has another epoch, which the delayed request lacks."""
        writer = far_log.writer(name)
        writer.open()
        proxy.fail_next(Fault.DELAYED)
        writer.begin()
        writer.send(name, 0, None, b"1", ())
        with pytest.raises(TornError):
            writer.commit({}, "unused")
        writer.close()
        newer = far_log.writer(name)
        newer.open()
        newer.begin()
        newer.send(name, 0, None, b"2", ())
        until(lambda: near_log.high_watermark(name, 0) == 3, "the open transaction's record")
        assert proxy.release() == 1
        newer.send(name, 0, None, b"3", ())
        newer.abort()
        assert [record.value for record in near_log.tail(name, 0, 9)] == [b"1"]
        newer.close()

    def test_a_client_that_does_not_notice_is_torn(
        self, proxy: KafkaProxy, far_log: KafkaLog, near_log: KafkaLog, name: str
    ) -> None:
        """The failure is real: to librdkafka alone, a delayed commit publishes half of the next transaction.

        Should this test fail with a new version of librdkafka, `TornError` has perhaps become unnecessary.
        """
        properties = {"bootstrap.servers": f"127.0.0.1:{proxy.port}", "transactional.id": name}
        producer = Producer(properties, logger=logging.getLogger("riverrun.kafka"))
        producer.init_transactions(20)
        proxy.fail_next(Fault.DELAYED)
        producer.begin_transaction()
        producer.produce(name, b"1", partition=0)
        producer.commit_transaction(20)
        producer.begin_transaction()
        producer.produce(name, b"half", partition=0)
        producer.flush(20)
        assert proxy.release() == 1
        assert [record.value for record in near_log.tail(name, 0, 9)] == [b"1", b"half"]

    def test_an_undisturbed_writer_is_not_torn(self, far_log: KafkaLog, name: str) -> None:
        """No false alarm, with records, group offsets or aborts."""
        writer = far_log.writer(name)
        writer.open()
        for number in range(20):
            writer.begin()
            writer.send(name, 0, None, b"%d" % number, ())
            if number % 5 == 4:
                writer.abort()
            else:
                writer.commit({(name, 0): number}, name)
        writer.close()

    def test_only_the_coordinators_connection_counts(self) -> None:
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
