"""Dead letters: read, and sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from riverrun.adapters.kafka_errors import DENIED, denied
from riverrun.adapters.kafka_log import kafka_producer
from riverrun.embedded.addresses import Addresses
from riverrun.errors import UnavailableError
from riverrun.records.items import DeadLetter
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment

__all__ = ["Letter", "count_about", "dead_letters", "send_again"]

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


def count_about(deployment: Deployment) -> int:
    """Return about how many dead letters there are: offsets, which also count what ends transactions."""
    topic = deployment.topology.names[Kind.DEAD_LETTERS]
    log = deployment.log
    return sum(
        log.high_watermark(topic, partition) - log.start_offset(topic, partition)
        for partition in range(deployment.topology.partitions)
    )


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


def send_again(addresses: Addresses, letters: Iterable[Letter]) -> list[Letter]:
    """Publish the original bytes to the original topics again, with their keys and headers; return what was sent.

    What was sent again before is told as a duplicate by its id while its event lies within the pipeline's horizon.

    Raises
    ------
    UnavailableError
        If Kafka did not take all of them.
    AccessDeniedError
        If this user may not write to a topic that they are from.
    """
    producer = kafka_producer(dict(addresses.kafka))
    refused: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        del message
        if error is not None:
            refused.append(error)

    sent: list[Letter] = []
    for each in letters:
        letter = each.letter
        place = f"{letter.source.topic}/{letter.source.partition}/{letter.source.position}".encode()
        headers: list[tuple[str, str | bytes | None]] = [*letter.headers, (REPLAYED, place)]
        _enqueue(producer, letter, headers, delivered)
        sent.append(each)
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
            producer.poll(_WAIT)
        except KafkaException as error:
            raise UnavailableError(f"Kafka's client refuses a dead letter for {topic}: {error}") from error
        else:
            producer.poll(0)
            return
