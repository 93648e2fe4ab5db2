"""Reads one partition of a Kafka topic, committed records only, and knows exactly when it is at the end."""

from __future__ import annotations

import time
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
from riverrun.adapters.kafka_errors import DENIED, END_OF_PARTITION, OUT_OF_RANGE, denied, heals, unavailable
from riverrun.errors import AccessDeniedError
from riverrun.runtime.ports import LogUnavailableError, Record

__all__ = ["KafkaReader"]

# Messages are turned into records while they are in the processor's cache; larger chunks are up to twice as
# slow.
_CHUNK: Final = 512

_SILENT_S: Final = 10.0
"""After how long without a record a reader connects anew; twice as long after each time that it was in vain."""
_SILENT_WITH_MORE_S: Final = 0.7
"""The same, where there are records to come for sure: then this broker does not know of the end that another told."""
_SILENT_AT_MOST_S: Final = 60.0
_BEHIND_S: Final = 0.5
"""When it connects anew where it came to a broker that does not have its place yet."""
_CHANCES: Final = 5
"""How often it does so, before the place is taken to be gone: where it has read before, or knows that there is more."""


class KafkaReader:
    """A reader of one partition that belongs to no group.

    After an error it is of no further use: every later poll raises the same, so that nothing can be skipped.

    A broker that is cut off from its fellows, but not from us, goes on saying that it leads, and has nothing new. The
    client asks those for leaders that it is connected to, which may be this one alone, and would wait for as long as
    the cut lasts. So a reader that hears nothing for a while connects anew, to any broker, and goes on where it was.

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
        "_chances",
        "_consumer",
        "_end_offset",
        "_failure",
        "_heard",
        "_lines",
        "_next",
        "_partition",
        "_patience_s",
        "_properties",
        "_silent_s",
        "_topic",
    )

    def __init__(
        self, properties: Mapping[str, object], topic: str, partition: int, offset: int, lines: ClientLog
    ) -> None:
        self._topic = topic
        self._partition = partition
        self._properties = properties
        self._lines = lines
        self._failure: LogUnavailableError | AccessDeniedError | None = None
        try:
            self._consumer = Consumer(dict(properties), logger=lines)
            self.seek(offset)
        except KafkaException as error:
            raise unavailable(f"cannot read {topic}[{partition}]", error) from error

    def seek(self, offset: int, *, certain: bool = False) -> None:
        """Go on at ``offset``, as if newly opened there; ``certain`` if there are records behind it, for sure."""
        self._at_end = False
        self._end_offset = -1
        self._next = offset
        self._assign()
        self._silent_s = _SILENT_WITH_MORE_S if certain else _SILENT_S
        self._hear()
        self._chances = _CHANCES if certain else 0

    def _hear(self) -> None:
        self._heard, self._patience_s = time.monotonic(), self._silent_s

    def _assign(self) -> None:
        self._consumer.assign([TopicPartition(self._topic, self._partition, self._next)])

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
                self._next = max(self._next, records[-1].offset + 1)
                self._hear()
                self._chances = _CHANCES
                if len(records) < limit and not self._at_end:
                    self._look_for_end()
            elif time.monotonic() - self._heard > self._patience_s:
                self._connect_anew()
        except (KafkaException, RuntimeError) as error:
            raise self._fail(unavailable(f"cannot read {self.place}", error)) from error
        return records

    def _connect_anew(self) -> None:
        """Ask another broker, perhaps, where the partition is led; what is known of its end is still known."""
        self._consumer.close()
        self._consumer = Consumer(dict(self._properties), logger=self._lines)
        self._assign()
        self._heard = time.monotonic()
        self._patience_s = min(2 * self._patience_s, _SILENT_AT_MOST_S)

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
            # Behind control records too: what lies before them may be deleted by the time that it connects anew.
            self._next = max(self._next, self._end_offset)
        elif error.name() == OUT_OF_RANGE and self._chances:
            # It came here by chance, and knows less than who was asked before: it may be the one that is cut off.
            self._chances -= 1
            self._heard = time.monotonic() - self._patience_s + _BEHIND_S
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
