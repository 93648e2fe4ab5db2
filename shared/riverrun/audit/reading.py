"""Reads topics from their beginning to their present end, committed records only."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Final, NamedTuple, Protocol, cast

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from riverrun.errors import AccessDeniedError, UnavailableError

__all__ = ["KafkaLog", "Log", "Record"]

_CHUNK: Final = 1_000
_WAIT_S: Final = 0.2
_PATIENCE_S: Final = 60.0
_AT_END: Final = "_PARTITION_EOF"
_DENIED: Final = "TOPIC_AUTHORIZATION_FAILED"
_ABSENT: Final = frozenset({"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_PARTITION", "_UNKNOWN_TOPIC"})
_PASSING: Final = frozenset({"_ALL_BROKERS_DOWN", "_TRANSPORT", "_TIMED_OUT", "GROUP_AUTHORIZATION_FAILED"})
"""What the client reports while it goes on trying by itself, and that it may not use a group, which it never does."""

_PROPERTIES: Final[Mapping[str, object]] = {
    # The client insists on a group; nothing is joined or committed under this one.
    "group.id": "riverrun-audit",
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
    "enable.partition.eof": True,
    "check.crcs": True,
    "auto.offset.reset": "error",
    # Several topics are read side by side, and what is fetched ahead counts as memory of ours.
    "queued.max.messages.kbytes": 4_096,
    "fetch.wait.max.ms": 20,
}


_Headers = Sequence[tuple[str, bytes | None]]


class Record(NamedTuple):
    """A record as Kafka holds it; ``timestamp`` in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: _Headers


class Log(Protocol):
    """Topics, to be read."""

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first offset and the one after the last; both 0 for a topic that does not exist."""
        ...

    def read(self, topic: str, partition: int, start: int = 0) -> Iterator[Record]:
        """Iterate over the committed records from an offset on to the end as it is when this is called."""
        ...


class KafkaLog:
    """A `Log` in Kafka.

    Parameters
    ----------
    properties
        The operator's librdkafka properties; ``bootstrap.servers`` at least.
    """

    def __init__(self, properties: Mapping[str, str]) -> None:
        self._properties = {**properties, **_PROPERTIES}

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the log start and the high watermark.

        Raises
        ------
        UnavailableError
            If the broker does not answer.
        """
        with closing(self._consumer()) as consumer:
            return _bounds(consumer, topic, partition)

    def read(self, topic: str, partition: int, start: int = 0) -> Iterator[Record]:
        """Iterate over the committed records; waits for transactions that are open below the end.

        Raises
        ------
        UnavailableError
            If the partition cannot be read, or a transaction stays open.
        """
        with closing(self._consumer()) as consumer:
            first, end = _bounds(consumer, topic, partition)
            consumer.assign([TopicPartition(topic, partition, max(first, start))])
            # Half as slow as the named tuple's own constructor, which counts at several million records.
            make = tuple.__new__
            at, deadline = max(first, start), time.monotonic() + _PATIENCE_S
            while at < end:
                # Never a chunk with a timeout: the client would wait for all of it, at the end of every partition.
                messages = consumer.consume(_CHUNK, 0.0) or consumer.consume(1, _WAIT_S)
                for message in messages:
                    offset = message.offset()
                    if offset is None or message.error() is not None:
                        at = max(at, _end_of_partition(message))
                        continue
                    if offset >= end:
                        return
                    at = offset + 1
                    stamp, headers = message.timestamp()[1], cast("_Headers", message.headers() or ())
                    yield make(Record, (topic, partition, offset, stamp, message.key(), message.value(), headers))
                if messages and messages[-1].error() is None:
                    deadline = time.monotonic() + _PATIENCE_S
                elif time.monotonic() > deadline:
                    raise UnavailableError(
                        f"cannot read {topic}[{partition}] beyond {at} of {end}",
                        hint="most likely a transaction is open there; it ends by itself",
                    )

    def _consumer(self) -> Consumer:
        try:
            return Consumer(dict(self._properties))
        except KafkaException as error:
            raise UnavailableError(f"cannot make a Kafka client: {error}") from error


def _end_of_partition(message: Message) -> int:
    """Return the offset at which a reader came to the end, or -1 if it was but hindered for a moment."""
    error = message.error()
    if error is None or error.name() == _AT_END:
        return message.offset() or 0
    if error.retriable() or error.name() in _PASSING:
        return -1
    if error.name() == _DENIED:
        raise _denied(f"{message.topic()}")
    raise UnavailableError(f"cannot read {message.topic()}[{message.partition()}]: {error.str()}")


def _denied(topic: str) -> AccessDeniedError:
    return AccessDeniedError(
        f"Kafka does not permit this user to read the topic {topic}",
        hint="`riverrun access FILE` tells what is needed",
    )


def _bounds(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_PATIENCE_S)
        except KafkaException as error:
            cause = error.args[0]
            if cause.name() in _ABSENT:
                return 0, 0
            # A broker that has just started does not lead its partitions at once.
            if cause.name() == _DENIED:
                raise _denied(topic) from error
            if not cause.retriable() or time.monotonic() > deadline:
                raise UnavailableError(f"cannot ask for the ends of {topic}[{partition}]: {cause.str()}") from error
            consumer.poll(_WAIT_S)
        else:
            return low, high
