"""Reads one partition of a Kafka topic, committed records only, and knows exactly when it is at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from riverrun.adapters.kafka_connection import ClientLog
from riverrun.adapters.kafka_errors import DENIED, END_OF_PARTITION, denied, heals, unavailable
from riverrun.errors import AccessDeniedError
from riverrun.runtime.ports import LogUnavailableError, Record

__all__ = ["KafkaReader"]

# Messages are turned into records while they are in the processor's cache; larger chunks are up to twice as
# slow.
_CHUNK: Final = 512


class KafkaReader:
    """A reader of one partition that belongs to no group.

    After an error it is of no further use: every later poll raises the same, so that nothing can be skipped.

    Parameters
    ----------
    properties
        As made by ``KafkaProperties.reader``.
    topic, partition
        What to read.
    offset
        Where to begin; must be in the log.
    lines
        Takes the client's log lines.
    """

    __slots__ = (
        "_at_end",
        "_consumer",
        "_end_offset",
        "_failure",
        "_next",
        "_partition",
        "_topic",
    )

    def __init__(
        self, properties: Mapping[str, object], topic: str, partition: int, offset: int, lines: ClientLog
    ) -> None:
        self._topic = topic
        self._partition = partition
        self._failure: LogUnavailableError | AccessDeniedError | None = None
        try:
            self._consumer = Consumer(dict(properties), logger=lines)
            self.seek(offset)
        except KafkaException as error:
            raise unavailable(f"cannot read {topic}[{partition}]", error) from error

    def seek(self, offset: int) -> None:
        """Go on at ``offset``, as if newly opened there."""
        self._at_end = False
        self._end_offset = -1
        self._next = offset
        self._consumer.assign([TopicPartition(self._topic, self._partition, offset)])

    @property
    def place(self) -> str:
        """The topic and partition, for messages."""
        return f"{self._topic}[{self._partition}]"

    @property
    def at_end(self) -> bool:
        """Whether the last poll reached the last stable offset."""
        return self._at_end

    @property
    def end_offset(self) -> int:
        """The offset at which the end was last reached; -1 before the first time."""
        return self._end_offset

    @property
    def unread(self) -> int:
        """About how many records are there still to be read, as the last fetch had it; 0 at the end."""
        if self._at_end or self._failure is not None:
            return 0
        try:
            return max(0, self._high() - self._next)
        except (KafkaException, RuntimeError):
            return 0

    def poll(self, limit: int, timeout: float = 0.0) -> list[Record]:
        """Return up to ``limit`` records, waiting up to ``timeout`` seconds for the first, or for the end.

        Raises
        ------
        LogUnavailableError
            If the partition cannot be read on.
        AccessDeniedError
            If this user may not read it.
        """
        if self._failure is not None:
            raise self._failure
        records: list[Record] = []
        try:
            messages = self._consumer.consume(min(limit, _CHUNK), 0.0)
            if not messages and timeout > 0.0:
                # Not consume(limit, timeout): that would wait for all of them.
                messages = self._consumer.consume(1, timeout)
            while messages:
                self._convert(messages, records)
                room = limit - len(records)
                messages = self._consumer.consume(min(room, _CHUNK), 0.0) if room > 0 else []
            if records:
                self._next = records[-1].offset + 1
                if len(records) < limit and not self._at_end:
                    self._look_for_end()
        except (KafkaException, RuntimeError) as error:
            raise self._fail(unavailable(f"cannot read {self.place}", error)) from error
        return records

    def _look_for_end(self) -> None:
        """Note the end where the last fetch already told it: the client's own event waits for one more, empty fetch.

        Behind a control record, which no consumer is shown, only that event tells.
        """
        if self._high() == self._next:
            self._at_end = True
            self._end_offset = self._next

    def _high(self) -> int:
        # Cached: what the last answer of the broker said, at no cost.
        return self._consumer.get_watermark_offsets(TopicPartition(self._topic, self._partition), cached=True)[1]

    def _convert(self, messages: list[Message], records: list[Record]) -> None:
        append, make, kind = records.append, tuple.__new__, Record
        topic, partition = self._topic, self._partition
        for message in messages:
            error = message.error()
            if error is None:
                fields = (
                    topic,
                    partition,
                    message.offset(),
                    message.timestamp()[1],
                    message.key(),
                    message.value(),
                    message.headers() or (),
                )
                # Twice as fast as the named tuple's own constructor, on the hottest path.
                append(make(kind, fields))
                self._at_end = False
            else:
                self._note(error, message.offset())

    def _note(self, error: KafkaError, offset: int | None) -> None:
        if error.name() == END_OF_PARTITION:
            self._at_end = True
            self._end_offset = -1 if offset is None else offset
        elif error.name() in DENIED and not heals(error):
            raise self._fail(denied(f"cannot read {self.place}", error))
        elif not heals(error):
            raise self._fail(
                LogUnavailableError(
                    f"cannot read {self.place} on: {error.name()}: {error.str()}",
                )
            )

    def _fail(self, failure: LogUnavailableError | AccessDeniedError) -> LogUnavailableError | AccessDeniedError:
        self._failure = failure
        return failure

    def close(self) -> None:
        """Release the connection; idempotent."""
        self._failure = LogUnavailableError(f"the reader of {self.place} is closed")
        self._consumer.close()
