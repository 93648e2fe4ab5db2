"""Shares the partitions of a topic out among the members of a Kafka consumer group, and fetches nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from riverrun.adapters.kafka_connection import ClientLog
from riverrun.adapters.kafka_errors import DENIED, REFUSED, denied, unavailable
from riverrun.runtime.ports import LogUnavailableError

__all__ = ["KafkaMembership"]

_LOG = logging.getLogger("riverrun.kafka")
_BACK_WITHIN_S: Final = 15.0
"""How soon a member that was put out must be back. One that knows no broker but one that is cut off never is."""


class KafkaMembership:
    """A member of a group that owns partitions of one topic.

    Assignment is cooperative: a partition that stays is not taken away while others move. What a member owns
    may be out of date after a pause; fencing, not membership, keeps it from writing then.

    Parameters
    ----------
    properties
        As made by ``KafkaProperties.member``.
    group, topic
        The group to join, and whose partitions to share.
    lines
        Takes the client's log lines.
    """

    __slots__ = ("_consumer", "_group", "_lost_at", "_owned", "_topic")

    def __init__(self, properties: Mapping[str, object], group: str, topic: str, lines: ClientLog) -> None:
        self._group = group
        self._topic = topic
        self._owned: frozenset[int] = frozenset()
        self._lost_at: float | None = None
        try:
            self._consumer = Consumer(dict(properties), logger=lines)
            self._consumer.subscribe(
                [topic],
                on_assign=self._assign,
                on_revoke=self._revoke,
                on_lost=self._lose,
            )
        except KafkaException as error:
            raise unavailable(f"cannot join the group {group!r}", error) from error

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        consumer.pause(partitions)
        self._lost_at = None
        self._owned |= {partition.partition for partition in partitions}

    def _revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        del consumer  # The client unassigns by itself after this returns.
        self._owned -= {partition.partition for partition in partitions}

    def _lose(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._lost_at = time.monotonic()
        self._revoke(consumer, partitions)

    def poll(self, timeout: float = 0.0) -> frozenset[int]:
        """Serve the group protocol for up to ``timeout`` seconds and return the partitions now owned.

        Errors that pass, or that the operator can mend meanwhile (a topic that is missing), are only logged.

        Raises
        ------
        LogUnavailableError
            If the group refuses the member, or does not take it back in time, or the membership is closed: another one
            connects anew.
        AccessDeniedError
            If this user may not join the group or see the topic.
        """
        try:
            message = self._consumer.poll(timeout)
        except (KafkaException, RuntimeError) as error:
            raise unavailable(f"the membership of the group {self._group!r} is lost", error) from error
        failure = None if message is None else message.error()
        if failure is not None:
            text = f"cannot share {self._topic!r} in group {self._group!r}: {failure.name()}: {failure.str()}"
            if failure.name() in DENIED:
                raise denied(f"cannot share {self._topic!r} in group {self._group!r}", failure)
            if failure.fatal() or failure.name() in REFUSED:
                raise LogUnavailableError(text)
            _LOG.warning("%s", text)
        if self._lost_at is not None and time.monotonic() - self._lost_at > _BACK_WITHIN_S:
            raise LogUnavailableError(
                f"the group {self._group!r} has put this member out, and not taken it back in {_BACK_WITHIN_S:.0f} s"
            )
        return self._owned

    def close(self) -> None:
        """Leave the group; idempotent."""
        self._owned = frozenset()
        self._consumer.close()
