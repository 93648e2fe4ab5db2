"""Publishes records for an event loop: whoever publishes waits until Kafka has the record, on all its replicas.

One thread serves the client's deliveries and hands them to the loop in bulk, so that a busy loop is woken once for
many of them.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from riverrun.adapters.kafka_connection import ClientLog
from riverrun.adapters.kafka_errors import DENIED
from riverrun.adapters.kafka_properties import KafkaProperties, KafkaTuning
from riverrun.errors import UnavailableError
from riverrun.runtime.ports import LogUnavailableError

__all__ = ["KafkaPublisher", "Outgoing", "Receipt"]

_LOG: Final = logging.getLogger(__name__)
_POLL_S: Final = 0.2
_LINGER_MS: Final = 0
"""Callers wait. At 0.5 the client's thread sleeps for more than that: a record took 1.3 ms at the median in place of
0.2, and all that it won was a tenth more requests a second from a gateway that has no processor left.
"""
_STOP_S: Final = 5.0
_HINT: Final = "ask again with the same id: what arrived after all is dropped as a duplicate"


class Receipt(NamedTuple):
    """Where a record lies."""

    topic: str
    partition: int
    offset: int


class Outgoing(NamedTuple):
    """A record to be published; its key decides the partition, by murmur2."""

    topic: str
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


_Waiting = asyncio.Future[Receipt]
_Answer = tuple[_Waiting, Receipt | UnavailableError]


class KafkaPublisher:
    """An idempotent producer with acks=all, for one event loop.

    Made within the loop that uses it.

    Parameters
    ----------
    properties
        librdkafka's properties; ``bootstrap.servers`` at least.
    timeout_ms
        How long a record may take. After it the caller is told that the outcome is not known.

    Raises
    ------
    LogUnavailableError
        If librdkafka refuses the properties.
    """

    def __init__(self, properties: Mapping[str, object], *, timeout_ms: int = 10_000) -> None:
        made = KafkaProperties(properties, KafkaTuning(compression="none")).producer()
        made |= {"linger.ms": _LINGER_MS, "message.timeout.ms": timeout_ms, "queue.buffering.max.messages": 100_000}
        self._properties = made
        self._loop = asyncio.get_running_loop()
        self._answers: list[_Answer] = []
        self._under_way: dict[_Waiting, None] = {}
        self._broken = False
        self._stopping = False
        self._producer = self._make()
        self._thread = threading.Thread(target=self._serve, name="riverrun-publisher", daemon=True)
        self._thread.start()

    def publish(self, record: Outgoing) -> asyncio.Future[Receipt]:
        """Hand a record over; the future tells where it lies once Kafka has it, or raises `UnavailableError`.

        Raises
        ------
        UnavailableError
            If the client takes nothing more for now.
        """
        if self._broken:
            self._producer, self._broken = self._make(), False
        future = self._loop.create_future()
        headers: list[tuple[str, str | bytes | None]] = [*record.headers]
        self._under_way[future] = None
        try:
            self._producer.produce(
                record.topic,
                record.value,
                record.key,
                headers=headers or None,
                on_delivery=partial(self._delivered, future),
            )
        except BufferError:
            self._under_way.pop(future, None)
            raise UnavailableError("Kafka does not keep up: the queue to it is full", hint="try again later") from None
        except KafkaException as error:
            # It is gone already if the client broke down just now.
            self._under_way.pop(future, None)
            raise LogUnavailableError(f"Kafka's client refuses a record for {record.topic}: {error}") from error
        return future

    def close(self) -> None:
        """Wait a while for what is under way, and stop."""
        with suppress(KafkaException):
            self._producer.flush(_STOP_S)
        self._stopping = True
        self._thread.join(_STOP_S)

    def _make(self) -> Producer:
        try:
            return Producer(self._properties, logger=ClientLog())
        except KafkaException as error:
            raise LogUnavailableError(f"cannot make a Kafka client: {error}") from error

    def _delivered(self, future: _Waiting, error: KafkaError | None, message: Message) -> None:
        """Note what became of a record: called in the thread, from within ``poll``."""
        self._under_way.pop(future, None)
        if error is None:
            place = Receipt(message.topic() or "", message.partition() or 0, message.offset() or 0)
            self._answers.append((future, place))
            return
        if error.fatal():
            # An idempotent producer that lost its place sends nothing more: the next record gets a new one.
            self._broken = True
        text = f"Kafka did not confirm the record: {error.name()}: {error.str()}"
        hint = _HINT
        if error.name() in DENIED:
            text = f"Kafka does not let this gateway write to {message.topic()} ({error.name()})"
            hint = "nothing was published; `riverrun access FILE` tells its operator what a gateway needs"
            _LOG.error("%s: %s", text, hint)
        self._answers.append((future, UnavailableError(text, hint=hint)))

    def _break(self, error: KafkaException) -> None:
        """Note that the client sends nothing more, and what becomes of the records that it was given.

        Such an error comes from ``poll`` itself, and no delivery is told after it. From then on the client takes no
        record either, so that none can slip in between.
        """
        self._broken = True
        _LOG.error("Kafka's client has broken down, the next record gets a new one: %s", error)
        lost = UnavailableError(f"Kafka's client has broken down: {error}", hint=_HINT)
        while self._under_way:
            self._answers.append((self._under_way.popitem()[0], lost))

    def _serve(self) -> None:
        while not self._stopping:
            try:
                self._producer.poll(_POLL_S)
            except KafkaException as error:
                self._break(error)
            if self._answers:
                answers, self._answers = self._answers, []
                try:
                    self._loop.call_soon_threadsafe(_tell, answers)
                except RuntimeError:
                    return  # the loop is closed: nobody waits any more


def _tell(answers: Sequence[_Answer]) -> None:
    for future, answer in answers:
        if future.done():
            continue
        if isinstance(answer, UnavailableError):
            future.set_exception(answer)
        else:
            future.set_result(answer)
