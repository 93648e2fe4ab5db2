"""Dead letters: read, and sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from riverrun.adapters.kafka_log import kafka_producer
from riverrun.embedded.addresses import Addresses
from riverrun.errors import UnavailableError
from riverrun.records.items import DeadLetter
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment

__all__ = ["Letter", "dead_letters", "send_again"]

_BATCH = 1_000
_WAIT = 0.1
_FLUSH_TIMEOUT_S = 30.0
REPLAYED = "riverrun-replayed"
"""Header of a record that was sent again: where the first one lies."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter and its place in the dead-letters topic, by which it is named: ``partition:number``."""

    partition: int
    letter: DeadLetter

    @property
    def name(self) -> str:
        """How people name it."""
        return f"{self.partition}:{self.letter.seq}"


def dead_letters(deployment: Deployment) -> Iterator[Letter]:
    """Read all dead letters, oldest first in each partition."""
    topic = deployment.topology.names[Kind.DEAD_LETTERS]
    for partition in range(deployment.topology.partitions):
        reader = deployment.log.reader(topic, partition, 0)
        try:
            while not reader.at_end:
                for record in reader.poll(_BATCH, _WAIT):
                    item = deployment.wire.item(record)
                    if isinstance(item, DeadLetter):
                        yield Letter(partition, item)
        finally:
            reader.close()


def send_again(addresses: Addresses, letters: Iterable[Letter], sent: Callable[[Letter], None]) -> int:
    """Publish the original bytes to the original topic again; return how many.

    What was sent again before is told as a duplicate by its id, so doing this twice does no harm.

    Raises
    ------
    UnavailableError
        If Kafka did not take all of them.
    """
    producer = kafka_producer(dict(addresses.kafka))
    count = 0
    for each in letters:
        letter = each.letter
        place = f"{letter.source.topic}/{letter.source.partition}/{letter.source.position}".encode()
        headers: list[tuple[str, str | bytes | None]] = [*letter.headers, (REPLAYED, place)]
        producer.produce(letter.source.topic, letter.value, letter.key, headers=headers)
        producer.poll(0)
        sent(each)
        count += 1
    if producer.flush(_FLUSH_TIMEOUT_S) > 0:
        raise UnavailableError("Kafka did not take all dead letters", hint="run the same command again")
    return count
