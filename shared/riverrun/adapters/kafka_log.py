"""The log port on Apache Kafka, by way of librdkafka."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Final, TypeVar

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from riverrun.adapters.kafka_connection import ClientLog
from riverrun.adapters.kafka_errors import ELECTING, EXISTS, FORGOTTEN, TIMED_OUT, UNKNOWN_TOPIC, error_of, unavailable
from riverrun.adapters.kafka_membership import KafkaMembership
from riverrun.adapters.kafka_properties import KafkaProperties, KafkaTuning
from riverrun.adapters.kafka_reader import KafkaReader
from riverrun.adapters.kafka_sessions import shortest_session_ms
from riverrun.adapters.kafka_tail import read_tail
from riverrun.adapters.kafka_writer import KafkaWriter
from riverrun.errors import AccessDeniedError, RiverrunError
from riverrun.runtime.ports import LogUnavailableError, Record, TopicSpec

__all__ = ["KafkaLog", "kafka_producer"]

_SETTLE: Final = 0.05
_ASK_AGAIN_S: Final = 5.0
_OTHERS_ASKED: Final = 4
"""How many more brokers are asked for an end, each taken by chance, before it is given up for the time being."""
_PASSES: Final = ELECTING | {TIMED_OUT}
_Answer = TypeVar("_Answer")


def kafka_producer(properties: Mapping[str, object]) -> Producer:
    """Return a producer for tools that publish events: no transactions, keys placed as by the Java client.

    Parameters
    ----------
    properties
        librdkafka's properties; ``bootstrap.servers`` at least.
    """
    return Producer(KafkaProperties(properties).producer(), logger=ClientLog())


class KafkaLog:
    """A Kafka cluster, as the runtime sees it.

    Safe to share among threads; what it makes (readers, writers, memberships) is for one thread each.

    Parameters
    ----------
    properties
        librdkafka's properties (``bootstrap.servers`` at least, security as needed). What correctness depends
        on (isolation, idempotence, checksums, offset resets) is set over them.
    tuning
        Sizes and times.

    Raises
    ------
    SettingsError
        If no brokers are given.
    LogUnavailableError
        If librdkafka refuses the properties.
    """

    def __init__(self, properties: Mapping[str, object], tuning: KafkaTuning | None = None) -> None:
        self._tuning = KafkaTuning() if tuning is None else tuning
        self._properties = KafkaProperties(dict(properties), self._tuning)
        self._asking = threading.Lock()
        self._session = 0
        self._lines = ClientLog()
        try:
            # As keyword arguments, since its stub admits no callables (for tokens) in the dictionary.
            self._admin = AdminClient({}, **self._properties.admin(), logger=self._lines)
            self._offsets = Consumer(self._properties.offsets(), logger=self._lines)
        except KafkaException as error:
            raise unavailable("cannot make a Kafka client", error) from error

    def check(self, timeout: float) -> None:
        """Ask the cluster for an answer now, rather than finding out with the first call.

        Parameters
        ----------
        timeout
            Longest wait, in seconds.

        Raises
        ------
        LogUnavailableError
            If none of the brokers answers in time. The message names them.
        AccessDeniedError
            If they do not accept the credentials.
        """
        try:
            self._admin.list_topics(timeout=timeout)
        except KafkaException as error:
            brokers = self._properties.operator.get("bootstrap.servers", "the brokers given")
            self._admin.poll(0)
            if self._lines.refused:
                raise AccessDeniedError(
                    f"Kafka at {brokers} does not accept the user and password given",
                    hint="check RIVERRUN_KAFKA and RIVERRUN_KAFKA_PASSWORD_FILE",
                ) from error
            why = unavailable(f"no Kafka broker answers at {brokers}", error).message
            raise LogUnavailableError(why, hint="is it up, and are its address and security settings right?") from error
        finally:
            self._admin.poll(0)

    def ensure_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Create what is absent, and wait until it can be used.

        Raises
        ------
        RiverrunError
            If a topic exists with another number of partitions.
        LogUnavailableError
            If the cluster does not answer or refuses to create a topic.
        """
        absent = [spec for spec in specs if not self._matches(spec)]
        if not absent:
            return
        futures = self._admin.create_topics([_new_topic(spec) for spec in absent])
        for name, future in futures.items():
            try:
                self._answer(f"cannot create the topic {name!r}", future)
            except LogUnavailableError as failure:
                error = error_of(failure.__cause__)
                if error is None or error.name() != EXISTS:
                    raise
        self._await_topics(absent)

    def _matches(self, spec: TopicSpec) -> bool:
        """Tell whether the topic exists as specified; raise if it exists otherwise."""
        count = self.partitions(spec.name)
        if count not in (0, spec.partitions):
            raise RiverrunError(
                f"the topic {spec.name!r} has {count} partitions, expected {spec.partitions}",
                hint="the number decides where keys go, so it cannot change: use another topic",
            )
        return count > 0

    def _await_topics(self, specs: Sequence[TopicSpec]) -> None:
        deadline = time.monotonic() + self._tuning.request_timeout
        settle = threading.Event()
        for spec in specs:
            while not (self._matches(spec) and self._has_leaders(spec)):
                if time.monotonic() > deadline:
                    raise LogUnavailableError(f"the topic {spec.name!r} was created, but does not come up")
                # Metadata spreads through the cluster in its own time, and nobody tells when it is done.
                settle.wait(_SETTLE)

    def _has_leaders(self, spec: TopicSpec) -> bool:
        try:
            for partition in range(spec.partitions):
                self.high_watermark(spec.name, partition)
        except LogUnavailableError:
            return False
        return True

    def partitions(self, topic: str) -> int:
        """Return the topic's partition count, 0 when it does not exist.

        Raises
        ------
        LogUnavailableError
            If the cluster does not answer.
        """
        try:
            metadata = self._admin.list_topics(topic, timeout=self._tuning.request_timeout).topics.get(topic)
        except KafkaException as error:
            raise unavailable(f"cannot look up the topic {topic!r}", error) from error
        finally:
            self._admin.poll(0)
        if metadata is None:
            return 0
        if metadata.error is None:
            return len(metadata.partitions)
        if metadata.error.name() in UNKNOWN_TOPIC:
            return 0
        raise unavailable(f"cannot look up the topic {topic!r}", KafkaException(metadata.error))

    def start_offset(self, topic: str, partition: int) -> int:
        """Return the first offset still kept (the log start)."""
        return self._watermarks(topic, partition)[0]

    def high_watermark(self, topic: str, partition: int) -> int:
        """Return the offset after the last record, open transactions included."""
        return self._watermarks(topic, partition)[1]

    def _watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        deadline = time.monotonic() + self._tuning.request_timeout
        settle = threading.Event()
        asked = False
        while True:
            try:
                # The client refuses to be called by two threads at once.
                with self._asking:
                    # Nothing is assigned: this only takes log lines out of the client.
                    self._offsets.poll(0)
                    return self._offsets.get_watermark_offsets(
                        TopicPartition(topic, partition), min(_ASK_AGAIN_S, self._tuning.request_timeout)
                    )
            except (KafkaException, RuntimeError) as error:
                failure = error_of(error)
                # A broker that has just started answers before it leads its partitions; one that hangs does not answer,
                # and by the next time another may lead them.
                passes = failure is not None and failure.name() in _PASSES and time.monotonic() <= deadline
                # What the client believes of a topic, it believes for minutes.
                is_forgotten = failure is not None and failure.name() in FORGOTTEN and not asked
                if not passes and not (is_forgotten and self._hears_of(topic, partition)):
                    raise unavailable(f"cannot look up the offsets of {topic}[{partition}]", error) from error
                asked = asked or is_forgotten
                settle.wait(_SETTLE)

    def _reaching(self, topic: str, partition: int, reaching: int) -> tuple[int, int]:
        """Return a partition's first offset and its end, from a broker that knows it as far as ``reaching``."""
        others = _OTHERS_ASKED
        while True:
            start, end = self._watermarks(topic, partition)
            if end >= reaching:
                return start, end
            if not others:
                raise LogUnavailableError(
                    f"cannot read {topic}[{partition}] to its end: it has come to {reaching}, "
                    f"and the broker asked knows but {end}",
                    hint="most likely it is cut off from the others: see that the brokers reach one another",
                )
            others -= 1
            self._ask_another()

    def _ask_another(self) -> None:
        """Connect anew, to any of the brokers: a client goes on asking the one that it is connected to."""
        try:
            with self._asking:
                # If it cannot be made, there is the old one still.
                another = Consumer(self._properties.offsets(), logger=self._lines)
                self._offsets, old = another, self._offsets
                old.close()
        except (KafkaException, RuntimeError) as error:
            raise unavailable("cannot make a Kafka client", error) from error

    def _hears_of(self, topic: str, partition: int) -> bool:
        """Ask the cluster what partitions a topic has, which renews what the client believes."""
        try:
            with self._asking:
                metadata = self._offsets.list_topics(topic, timeout=self._tuning.request_timeout).topics.get(topic)
        except (KafkaException, RuntimeError):
            return False
        return metadata is not None and metadata.error is None and partition in metadata.partitions

    def _answer(self, what: str, future: Future[_Answer]) -> _Answer:
        try:
            return future.result(self._tuning.request_timeout)
        except (KafkaException, FutureTimeoutError) as error:
            raise unavailable(what, error) from error
        finally:
            self._admin.poll(0)

    def reader(self, topic: str, partition: int, offset: int) -> KafkaReader:
        """Open a reader at ``offset``, or the log start if that is later.

        Raises
        ------
        LogUnavailableError
            If the partition does not exist or the cluster does not answer.
        """
        start = max(offset, self.start_offset(topic, partition))
        return KafkaReader(self._properties.reader(), topic, partition, start, self._lines)

    def writer(self, transactional_id: str) -> KafkaWriter:
        """Make a transactional writer, not yet opened."""
        properties = self._properties.writer(transactional_id)
        return KafkaWriter(properties, transactional_id, self._tuning.opening_timeout, self._lines)

    def tail(self, topic: str, partition: int, count: int, since: int = 0, reaching: int = 0) -> list[Record]:
        """Return the last ``count`` committed records from the offset ``since`` on (or all, if fewer), oldest first.

        Waits until the transactions that are open at the time of the call have been resolved.

        Raises
        ------
        LogUnavailableError
            If the partition cannot be read, or not as far as ``reaching``, or a transaction stays open for too long.
        """
        start, end = self._reaching(topic, partition, reaching)
        start = max(start, since)
        if count <= 0 or end <= start:
            return []
        reader = KafkaReader(self._properties.tail(), topic, partition, start, self._lines)
        try:
            return read_tail(reader, start, end, count, self._tuning.tail_timeout)
        finally:
            reader.close()

    def membership(self, group: str, topic: str) -> KafkaMembership:
        """Join ``group`` to share out the partitions of ``topic``."""
        return KafkaMembership(self._properties.member(group, self._session_ms()), group, topic, self._lines)

    def _session_ms(self) -> int:
        """Return how long members' sessions last; the brokers are asked once."""
        if not self._session:
            wanted, timeout = self._tuning.session_timeout_ms, self._tuning.session_ask_timeout
            self._session = shortest_session_ms(self._admin, wanted, timeout)
        return self._session

    def close(self) -> None:
        """Close shared connections: readers, writers and memberships have their own."""
        self._admin.poll(0)
        self._offsets.close()


def _new_topic(spec: TopicSpec) -> NewTopic:
    config = {
        "cleanup.policy": "compact" if spec.compacted else "delete",
        # State, models and positions are made again from the log: what of it may expire is for people to say.
        "retention.ms": "-1",
        "retention.bytes": "-1",
        **(spec.config or {}),
    }
    return NewTopic(spec.name, num_partitions=spec.partitions, replication_factor=-1, config=config)
