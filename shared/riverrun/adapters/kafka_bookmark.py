"""A reader's place in a topic, kept as the offset of a consumer group: lag tools see it, and nobody joins the group."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

from riverrun.adapters.kafka_connection import ClientLog
from riverrun.adapters.kafka_errors import DENIED, error_of, heals, unavailable
from riverrun.adapters.kafka_properties import KafkaProperties

__all__ = ["KafkaBookmark"]

_TIMEOUT_S: Final = 30.0
_SETTLE_S: Final = 0.1
_Answer = TypeVar("_Answer")


class KafkaBookmark:
    """The committed offset of a group on one partition.

    Parameters
    ----------
    properties
        librdkafka's properties.
    group
        The group. It must have no members.
    topic, partition
        What is read.

    Raises
    ------
    LogUnavailableError
        If librdkafka refuses the properties.
    """

    __slots__ = ("_consumer", "_group", "_partition", "_topic")

    def __init__(self, properties: Mapping[str, object], group: str, topic: str, partition: int) -> None:
        self._group = group
        self._topic = topic
        self._partition = partition
        settings = {**KafkaProperties(dict(properties)).offsets(), "group.id": group}
        try:
            self._consumer = Consumer(settings, logger=ClientLog())
        except KafkaException as error:
            raise unavailable(f"cannot make a client for the group {group}", error) from error

    def load(self) -> int:
        """Return the offset of the first record that is not dealt with; 0 if none was.

        Raises
        ------
        LogUnavailableError
            If the broker does not say.
        """
        place = TopicPartition(self._topic, self._partition)
        what = f"cannot look up the offset of the group {self._group}"
        (found,) = self._patiently(what, lambda: self._consumer.committed([place], _TIMEOUT_S))
        if found.error is not None:
            raise unavailable(what, KafkaException(found.error))
        return max(0, found.offset)

    def save(self, offset: int) -> None:
        """Commit the offset.

        Raises
        ------
        LogUnavailableError
            If the broker does not take it.
        """
        place = TopicPartition(self._topic, self._partition, offset)
        what = f"cannot keep the offset of the group {self._group}"
        self._patiently(what, lambda: self._consumer.commit(offsets=[place], asynchronous=False))

    def _patiently(self, what: str, ask: Callable[[], _Answer]) -> _Answer:
        """Ask again while the group's coordinator is being found: a broker that has just started refuses at first."""
        limit = time.monotonic() + _TIMEOUT_S
        settle = threading.Event()
        while True:
            try:
                return ask()
            except KafkaException as error:
                failure = error_of(error)
                hopeless = failure is None or failure.name() in DENIED or not heals(failure)
                if hopeless or time.monotonic() > limit:
                    raise unavailable(what, error) from error
                settle.wait(_SETTLE_S)

    def close(self) -> None:
        """Release the connection."""
        self._consumer.close()
