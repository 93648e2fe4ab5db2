"""Writes to Kafka in transactions, under an id that fences whoever wrote under it before."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final, Protocol, cast

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from riverrun.adapters.kafka_connection import ClientLog, ConnectionLog
from riverrun.adapters.kafka_errors import unavailable, writer_error
from riverrun.adapters.kafka_watchdog import within
from riverrun.errors import RiverrunError
from riverrun.runtime.ports import Headers, LogUnavailableError, TornError

__all__ = ["KafkaWriter", "group_metadata"]

_OPENINGS: Final = 3
_LEAST_S: Final = 0.1
"""What is left to an opening at the least: less than nothing would be no limit at all, for the client."""
_QUEUE_WAIT: Final = 0.1
_OFFSETS_SHARE: Final = 0.2
"""What part of the transaction's time the group's offsets are waited for, which are on their way for a millisecond."""
_COMMIT_SHARE: Final = 2.0
"""How many times the transaction's time a commit is waited for: by then the broker has ended it, if it lives."""
_SETTLE_SHARE: Final = 0.2
"""For how much of the time that a commit took the coordinator is left alone after it, to write its markers.

Until they are written it refuses the next transaction, and the client tries again after 20 ms, whatever it is told.
Nobody idles meanwhile: records are held back here, and nearly always what follows them is still being folded. Measured
at 1,000 events a second, where a commit takes 2.5 ms: one transaction in 400 is refused; without any wait, one in 20.
"""
_SETTLE_MOST_S: Final = 0.005
"""So long at most: what took much longer waited for something else."""


class _Delivered(Protocol):
    def __call__(self, error: KafkaError | None, message: Message) -> None: ...


class _Produce(Protocol):
    """``Producer.produce``, in a form that can be looked up once and called without keywords."""

    def __call__(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        on_delivery: _Delivered | None,
        *,
        headers: list[tuple[str, bytes | None]],
    ) -> None: ...


def group_metadata(group: str) -> object:
    """Return the metadata under which one who is no member commits offsets for ``group`` (generation -1).

    The broker accepts it while members are active: there is no generation to check, and none is needed, since
    the transactional id fences. Nothing is connected to: the metadata holds no more than the name.
    """
    consumer = Consumer({"group.id": group})
    try:
        metadata: object = consumer.consumer_group_metadata()
        return metadata
    finally:
        consumer.close()


class KafkaWriter:
    """A transactional writer.

    ``commit`` blocks while the broker is away, for up to twice the transaction's time. The outcome of a commit that is
    given up is unknown, as it is to whoever is killed meanwhile: the next writer with this id ends it either way. The
    group's offsets are given up after a fifth of it: a broker that restarts while they are sent can leave the
    client waiting for ever, whatever timeout it is given.

    Parameters
    ----------
    properties
        As made by ``KafkaProperties.writer``.
    transactional_id
        The id in those properties, for messages.
    timeout
        Seconds to wait for ``open``, ``confirmed_ends`` and ``abort``.
    lines
        Takes the client's log lines.
    """

    __slots__ = (
        "_connection",
        "_failure",
        "_first",
        "_groups",
        "_held",
        "_id",
        "_limit",
        "_lines",
        "_open",
        "_patience",
        "_produce",
        "_producer",
        "_properties",
        "_refused",
        "_settled",
        "_timeout",
    )

    def __init__(
        self, properties: Mapping[str, object], transactional_id: str, timeout: float, lines: ClientLog
    ) -> None:
        self._properties = properties
        self._id = transactional_id
        self._timeout = timeout
        lasting = float(str(properties["transaction.timeout.ms"])) / 1_000
        self._patience, self._limit = lasting * _OFFSETS_SHARE, lasting * _COMMIT_SHARE
        self._lines = lines
        self._connection = ConnectionLog(lines)
        self._producer: Producer | None = None
        self._produce: _Produce | None = None
        self._open = False
        self._settled = 0.0
        self._held: list[tuple[str, int, bytes | None, bytes | None, Headers]] | None = None
        self._failure: RiverrunError | None = None
        self._refused: KafkaError | None = None
        self._first: dict[tuple[str, int], int] = {}
        self._groups: dict[str, object] = {}

    def open(self) -> None:
        """Fence predecessors, and wait until their open transaction is resolved.

        Raises
        ------
        FencedError
            If another writer opened the id at the same moment.
        LogUnavailableError
            If the broker does not answer in time.
        """
        for _ in range(_OPENINGS):
            self._release()
            self._connect()
            if not self._connection.broken:
                break
        self._failure = None

    def _connect(self) -> None:
        self._connection = ConnectionLog(self._lines)
        try:
            producer = self._producer = Producer(dict(self._properties), logger=self._connection)
            # Until a broker is connected the client cannot ask who coordinates its transactions, and where it finds
            # none it tries again half a second later: every other opening took that long, in place of 30 ms.
            deadline = time.monotonic() + self._timeout
            producer.list_topics(timeout=self._timeout)
            producer.init_transactions(max(_LEAST_S, deadline - time.monotonic()))
        except KafkaException as error:
            raise writer_error(self._id, "cannot open", error) from error
        self._produce = cast("_Produce", producer.produce)
        producer.poll(0)

    def begin(self) -> None:
        """Begin a transaction.

        Raises
        ------
        FencedError, LogUnavailableError
            If the writer is lost.
        """
        if self._failure is not None:
            raise self._failure
        producer = self._opened()
        self._held = [] if self._settled > time.monotonic() else None
        try:
            producer.poll(0)
            producer.begin_transaction()
        except KafkaException as error:
            raise self._lose(writer_error(self._id, "cannot begin", error)) from error
        self._open = True
        self._first.clear()
        self._refused = None

    def send(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
    ) -> None:
        """Append to the open transaction; buffered, and errors surface at ``commit``."""
        if self._held is not None:
            # The caller may use the list again.
            self._held.append((topic, partition, key, value, list(headers)))
            if time.monotonic() >= self._settled:
                self._send_held()
            return
        produce = self._produce
        if produce is None or self._failure is not None:
            self._opened()
            return
        place = topic, partition
        callback = None
        if place not in self._first:
            self._first[place] = -1
            callback = self._delivered
        # The client takes no other sequence than a list.
        listed = headers if isinstance(headers, list) else list(headers)
        while True:
            try:
                produce(topic, value, key, partition, callback, headers=listed)
            except BufferError:
                self._opened().poll(_QUEUE_WAIT)
            except KafkaException as error:
                self._lose(writer_error(self._id, f"cannot send to {topic}[{partition}]", error))
                return
            else:
                return

    def _send_held(self) -> None:
        """Send what was held back, when the coordinator has had its time."""
        held, self._held = self._held, None
        if held and (wait := self._settled - time.monotonic()) > 0.0:
            time.sleep(wait)
        for record in held or ():
            self.send(*record)

    def _settle(self, began: float) -> None:
        """Leave the coordinator alone for a moment, after what began then."""
        now = time.monotonic()
        self._settled = now + min(_SETTLE_MOST_S, _SETTLE_SHARE * (now - began))

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        # Never raises: what is raised here would come out of a commit that has succeeded.
        topic, partition, offset = (
            message.topic(),
            message.partition(),
            message.offset(),
        )
        if error is not None:
            self._refused = error
        elif topic is not None and partition is not None and offset is not None:
            self._first[topic, partition] = offset

    def first_offset(self, topic: str, partition: int) -> int:
        """Return the offset of this transaction's first record there, once committed; -1 when unknown."""
        return self._first.get((topic, partition), -1)

    def confirmed_ends(self, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Return an end of each partition that all who are fenced lie below, as its leader confirms it.

        Raises
        ------
        FencedError, LogUnavailableError
            If not all of them confirm it in time.
        """
        self.begin()
        for topic, partition in places:
            # With a key, or a compacted topic would refuse it.
            self.send(topic, partition, b"", None, ())
        self._flush()
        ends = {place: offset + 1 for place, offset in self._first.items()}
        unconfirmed = [f"{topic}[{partition}]" for (topic, partition), end in ends.items() if end <= 0]
        if unconfirmed and self._failure is None:
            self._lose(self._unconfirmed(f"the end of {', '.join(unconfirmed)} is not confirmed"))
        if self._failure is not None:
            raise self._failure
        self.abort()
        return ends

    def _unconfirmed(self, what: str) -> RiverrunError:
        """Return why records were not taken, which their reports do not say: they were purged with the transaction."""
        if self._refused is not None:
            try:
                # A transaction of which a record was refused never commits, and says what it failed with.
                self._opened().commit_transaction(self._timeout)
            except KafkaException as error:
                return writer_error(self._id, what, error)
        return LogUnavailableError(f"{what}, writer {self._id!r}")

    def _flush(self) -> None:
        """Wait until what was sent is in the log, or refused."""
        self._send_held()
        try:
            self._opened().flush(self._timeout)
        except KafkaException as error:
            self._lose(writer_error(self._id, "cannot write", error))
        except SystemError as error:
            # What the client raises while it calls ``_delivered`` comes out of it like this.
            self._lose(writer_error(self._id, "cannot write", error.__cause__ or error))

    def commit(self, offsets: Mapping[tuple[str, int], int], group: str) -> None:
        """Commit records and, when ``offsets`` is not empty, the group's offsets, in one transaction.

        Raises
        ------
        FencedError
            If another writer has taken the transactional id, or the transaction was open for too long.
        TornError
            If it committed, but the coordinator's connection broke since the writer was opened.
        LogUnavailableError
            If the outcome is unknown, or the commit failed.
        """
        producer = self._opened()
        self._send_held()
        if self._failure is not None:
            raise self._failure
        began = time.monotonic()
        try:
            if offsets:
                self._send_offsets(producer, offsets, self._metadata(group))
            producer.commit_transaction(self._limit)
        except KafkaException as error:
            raise self._lose(writer_error(self._id, "the commit failed", error)) from error
        except LogUnavailableError as failure:
            raise self._lose(failure) from None
        self._open = False
        self._settle(began)
        producer.poll(0)
        if self._connection.broken:
            self._failure = LogUnavailableError(f"the writer {self._id!r} was torn by a broken connection")
            raise TornError(
                f"the writer {self._id!r} committed, but its connection to the coordinator broke meanwhile",
                hint="make a new writer: a delayed request of this one could still end its next transaction",
            )

    def _send_offsets(self, producer: Producer, offsets: Mapping[tuple[str, int], int], metadata: object) -> None:
        positions = [TopicPartition(topic, number, offset) for (topic, number), offset in offsets.items()]
        send = partial(producer.send_offsets_to_transaction, positions, metadata, self._timeout)
        within(self._patience, f"cannot send the group's offsets, writer {self._id!r}", send)

    def _metadata(self, group: str) -> object:
        metadata = self._groups.get(group)
        if metadata is None:
            metadata = self._groups[group] = group_metadata(group)
        return metadata

    def abort(self) -> None:
        """Abort the open transaction, if any; if that fails, the writer is lost and ``begin`` says so."""
        producer = self._producer
        if producer is None or not self._open:
            return
        self._open = False
        self._held = None
        began = time.monotonic()
        try:
            producer.abort_transaction(self._timeout)
        except KafkaException as error:
            self._lose(unavailable(f"the abort failed, writer {self._id!r}", error))
        else:
            self._failure = None
            self._settle(began)

    def close(self) -> None:
        """Release the connection without committing; idempotent.

        A transaction left open is resolved by the next writer with this id, or by its timeout.
        """
        self._release()
        self._failure = LogUnavailableError(f"the writer {self._id!r} is closed")

    def _release(self) -> None:
        # Dropped, not closed: ``Producer.close`` waits for an abort, and fails for a writer that was fenced.
        self._producer = self._produce = self._held = None
        self._open = False

    def _opened(self) -> Producer:
        if self._producer is None:
            raise self._failure or RuntimeError(f"the writer {self._id!r} has not been opened")
        return self._producer

    def _lose(self, failure: RiverrunError) -> RiverrunError:
        if self._failure is None:
            self._failure = failure
        return self._failure
