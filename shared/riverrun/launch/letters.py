"""Dead letters: read, and sent again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from riverrun.adapters.kafka_errors import DENIED, denied
from riverrun.adapters.kafka_log import kafka_producer
from riverrun.embedded.addresses import Addresses
from riverrun.errors import UnavailableError
from riverrun.records.items import DeadLetter
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.ports import LogUnavailableError

__all__ = ["Letter", "count_about", "dead_letters", "named", "newest", "send_again"]

_BATCH: Final = 50
"""Read at a time: each may be as large as a broker takes, and strangers choose how many of that size there are."""

_EXCERPT: Final = 1_024
_SLACK: Final = 64
_GROWTH: Final = 8
_SEND_BUFFER_KB: Final = 16_384
_WAIT = 0.1
_PATIENCE_S: Final = 15.0
_FLUSH_TIMEOUT_S = 30.0
REPLAYED = "riverrun-replayed"
"""Header of a record that was sent again: where the first one lies."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter and its place in the dead-letters topic, by which it is named: ``partition:number``."""

    partition: int
    letter: DeadLetter
    cut: bool = False
    """Whether its key or value are longer than they are here."""

    @property
    def name(self) -> str:
        """How people name it."""
        return f"{self.partition}:{self.letter.seq}"

    def excerpt(self) -> Letter:
        """Return it with no more than the beginnings of its key and value, and without headers."""
        key, value = self.letter.key, self.letter.value
        short = replace(self.letter, key=key and key[:_EXCERPT], value=value and value[:_EXCERPT], headers=())
        return Letter(self.partition, short, cut=short.key != key or short.value != value)


def count_about(deployment: Deployment) -> int:
    """Return about how many dead letters there are: offsets, which also count what ends transactions."""
    topic = deployment.topology.names[Kind.DEAD_LETTERS]
    log = deployment.log
    return sum(
        log.high_watermark(topic, partition) - log.start_offset(topic, partition)
        for partition in range(deployment.topology.partitions)
    )


def dead_letters(deployment: Deployment) -> Iterator[Letter]:
    """Read all dead letters that are there now, oldest first in each partition.

    Raises
    ------
    LogUnavailableError
        If no more comes, though more is there.
    """
    for partition in range(deployment.topology.partitions):
        yield from _read(deployment, partition, 0)


def newest(deployment: Deployment, partition: int, count: int) -> list[Letter]:
    """Return excerpts of the newest dead letters of a partition, oldest first; raises as `dead_letters`."""
    topic = deployment.topology.names[Kind.DEAD_LETTERS]
    start, end = deployment.log.start_offset(topic, partition), deployment.log.high_watermark(topic, partition)
    # What ends a transaction takes an offset too, so a look may find too few.
    span = 2 * count + _SLACK
    while True:
        lower = max(start, end - span)
        found = deque((each.excerpt() for each in _read(deployment, partition, lower)), maxlen=count)
        if len(found) == count or lower == start:
            return list(found)
        span *= _GROWTH


def named(deployment: Deployment, names: Collection[str]) -> Iterator[Letter]:
    """Read the dead letters of these names, oldest first in each partition; raises as `dead_letters`."""
    numbers: dict[int, list[int]] = {}
    for name in names:
        partition, _, number = name.partition(":")
        if partition.isdecimal() and number.isdecimal() and int(partition) < deployment.topology.partitions:
            numbers.setdefault(int(partition), []).append(int(number))
    for place, wanted in sorted(numbers.items()):
        # Its offset is never below its number.
        for each in _read(deployment, place, min(wanted)):
            if each.name in names:
                yield each
            if each.letter.seq >= max(wanted):
                break


def _read(deployment: Deployment, partition: int, offset: int) -> Iterator[Letter]:
    """Read up to the present end: a topic that grows faster than it is read has one too."""
    log, topic = deployment.log, deployment.topology.names[Kind.DEAD_LETTERS]
    first, end = max(offset, log.start_offset(topic, partition)), log.high_watermark(topic, partition)
    if first >= end:
        return
    reader = log.reader(topic, partition, first)
    patience = deployment.clocks.monotonic() + _PATIENCE_S
    try:
        while not reader.at_end:
            records = reader.poll(_BATCH, _WAIT)
            for record in records:
                if record.offset >= end:
                    return
                item = deployment.wire.item(record)
                if isinstance(item, DeadLetter):
                    yield Letter(partition, item)
            now = deployment.clocks.monotonic()
            if records:
                patience = now + _PATIENCE_S
            elif now > patience:
                raise LogUnavailableError(
                    f"cannot read on in {topic}[{partition}]: nothing came in {_PATIENCE_S:.0f} s"
                )
    finally:
        reader.close()


def send_again(addresses: Addresses, letters: Iterable[Letter]) -> list[str]:
    """Publish the original bytes to the original topics again, with their keys and headers; return their names.

    What was sent again before is told as a duplicate by its id while its event lies within the pipeline's horizon.

    Raises
    ------
    UnavailableError
        If Kafka did not take all of them.
    AccessDeniedError
        If this user may not write to a topic that they are from.
    """
    # However many are sent, and however large they are, few wait in memory.
    producer = kafka_producer({"queue.buffering.max.kbytes": _SEND_BUFFER_KB, **addresses.kafka})
    refused: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        del message
        if error is not None:
            refused.append(error)

    sent: list[str] = []
    try:
        for each in letters:
            letter = each.letter
            place = f"{letter.source.topic}/{letter.source.partition}/{letter.source.position}".encode()
            headers: list[tuple[str, str | bytes | None]] = [*letter.headers, (REPLAYED, place)]
            _enqueue(producer, letter, headers, delivered)
            sent.append(each.name)
    finally:
        left = producer.flush(_FLUSH_TIMEOUT_S)
    if refused and refused[0].name() in DENIED:
        raise denied("cannot send dead letters again", refused[0])
    if left or refused:
        why = f": {refused[0].str()}" if refused else ""
        raise UnavailableError(
            f"Kafka did not take {left + len(refused)} of {len(sent)} dead letters{why}",
            hint="run the same command again: what arrived is dropped as a duplicate within the horizon",
        )
    return sent


def _enqueue(
    producer: Producer,
    letter: DeadLetter,
    headers: list[tuple[str, str | bytes | None]],
    delivered: Callable[[KafkaError | None, Message], None],
) -> None:
    """Hand one record to the client, waiting while its queue is full."""
    topic = letter.source.topic
    while True:
        try:
            producer.produce(topic, letter.value, letter.key, headers=headers, on_delivery=delivered)
        except BufferError:
            if not len(producer):
                raise UnavailableError(f"Kafka's client refuses a dead letter for {topic}: it is too large") from None
            producer.poll(_WAIT)
        except KafkaException as error:
            raise UnavailableError(f"Kafka's client refuses a dead letter for {topic}: {error}") from error
        else:
            producer.poll(0)
            return
