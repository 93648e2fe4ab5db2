"""Sends records to producers' topics: few of them wait in memory, and the end tells whether Kafka has taken all."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaError, KafkaException, Message

from riverrun.adapters.kafka_errors import DENIED, denied
from riverrun.adapters.kafka_log import kafka_producer
from riverrun.embedded.addresses import Addresses
from riverrun.errors import UnavailableError

__all__ = ["Sender"]

_BUFFER_KB: Final = 16_384
_WAIT_S: Final = 0.1
_FLUSH_S: Final = 30.0


class Sender:
    """Sends while its block runs; at the block's end all that was sent is in Kafka, or an error says how much is not.

    Parameters
    ----------
    addresses
        Where Kafka is.
    what, doing
        What is sent, and what is done with it, for messages: ``dead letters``, ``send dead letters again``.
    """

    def __init__(self, addresses: Addresses, what: str, doing: str) -> None:
        self._what, self._doing = what, doing
        # However many are sent, and however large they are, few wait in memory.
        self._producer = kafka_producer({"queue.buffering.max.kbytes": _BUFFER_KB, **addresses.kafka})
        self._refused: list[KafkaError] = []
        self._sent = 0

    def send(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Sequence[tuple[str, bytes | None]] = ()
    ) -> None:
        """Hand one record to the client, waiting while its queue is full.

        Raises
        ------
        UnavailableError
            If the client refuses it.
        """
        listed: list[tuple[str, str | bytes | None]] = [*headers]
        while True:
            try:
                self._producer.produce(topic, value, key, headers=listed, on_delivery=self._delivered)
            except BufferError:
                if not len(self._producer):
                    raise UnavailableError(f"Kafka's client refuses a record for {topic}: it is too large") from None
                self._producer.poll(_WAIT_S)
            except KafkaException as error:
                raise UnavailableError(f"Kafka's client refuses a record for {topic}: {error}") from error
            else:
                self._sent += 1
                self._producer.poll(0)
                return

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        del message
        if error is not None:
            self._refused.append(error)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait until Kafka has all.

        Raises
        ------
        UnavailableError
            If it did not take all.
        AccessDeniedError
            If this user may not write to a topic.
        """
        left = self._producer.flush(_FLUSH_S)
        if error is not None:
            return
        refused = self._refused
        if refused and refused[0].name() in DENIED:
            raise denied(f"cannot {self._doing}", refused[0])
        if left or refused:
            why = f": {refused[0].str()}" if refused else ""
            raise UnavailableError(
                f"Kafka did not take {left + len(refused)} of {self._sent} {self._what}{why}",
                hint="run the same command again: what arrived is dropped as a duplicate within the horizon",
            )
