"""Dead letters: read, and sent again."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from riverrun.embedded.addresses import Addresses
from riverrun.launch.sending import Sender
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
_WAIT = 0.1
_PATIENCE_S: Final = 15.0
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
    sent: list[str] = []
    with Sender(addresses, "dead letters", "send dead letters again") as sender:
        for each in letters:
            letter = each.letter
            source = letter.source
            place = f"{source.topic}/{source.partition}/{source.position}".encode()
            sender.send(source.topic, letter.value, letter.key, [*letter.headers, (REPLAYED, place)])
            sent.append(each.name)
    return sent
