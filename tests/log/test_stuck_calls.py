"""A call of the client that never returns must not hold up the stream for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException

from riverrun.adapters.kafka_connection import ClientLog
from riverrun.adapters.kafka_properties import KafkaProperties, KafkaTuning
from riverrun.adapters.kafka_writer import KafkaWriter
from riverrun.runtime.ports import LogUnavailableError

_TIMEOUT_MS = 300


class _Producer:
    """Stands in for the client: its offsets never arrive, as when the broker restarts at that moment."""

    def __init__(self, stuck: threading.Event, error: KafkaException | None = None) -> None:
        self._stuck = stuck
        self._error = error
        self.committed = False
        self.deaf = False

    def begin_transaction(self) -> None: ...

    def poll(self, timeout: float) -> int:
        del timeout
        return 0

    def send_offsets_to_transaction(self, *arguments: object) -> None:
        del arguments
        if self._error is not None:
            raise self._error
        assert self._stuck.wait(60.0), "nobody let it go"

    def commit_transaction(self, timeout: float) -> None:
        self.committed = True
        if self.deaf:
            # As the client does when its time is over; without any it would never come back.
            assert 0 < timeout < 10
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """Lets the stuck call go when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def _writer(producer: _Producer) -> KafkaWriter:
    properties = KafkaProperties({"bootstrap.servers": "none:1"}, KafkaTuning(transaction_timeout_ms=_TIMEOUT_MS))
    writer = KafkaWriter(properties.writer("test"), "test", 30.0, ClientLog())
    writer._producer = cast("Any", producer)
    return writer


def test_offsets_that_are_never_answered_are_given_up(stuck: threading.Event) -> None:
    """In good time the writer is lost, and says so; nothing is committed."""
    producer = _Producer(stuck)
    writer = _writer(producer)
    writer.begin()
    began = time.monotonic()
    with pytest.raises(LogUnavailableError, match="offsets"):
        writer.commit({("topic", 0): 1}, "group")
    assert time.monotonic() - began >= _TIMEOUT_MS / 5_000
    assert not producer.committed
    with pytest.raises(LogUnavailableError):
        writer.begin()


def test_offsets_that_are_refused_fail_the_commit_at_once(stuck: threading.Event) -> None:
    """What the client raises comes through the watchdog as it is."""
    producer = _Producer(stuck, KafkaException(KafkaError(KafkaError._TIMED_OUT)))
    writer = _writer(producer)
    writer.begin()
    with pytest.raises(LogUnavailableError, match="_TIMED_OUT"):
        writer.commit({("topic", 0): 1}, "group")
    assert not producer.committed


def test_a_commit_that_is_never_answered_is_given_up(stuck: threading.Event) -> None:
    """Its outcome is unknown: the writer is lost, and whoever holds it opens another, which ends it either way."""
    producer = _Producer(stuck)
    producer.deaf = True
    writer = _writer(producer)
    writer.begin()
    with pytest.raises(LogUnavailableError, match="commit"):
        writer.commit({}, "group")
    with pytest.raises(LogUnavailableError):
        writer.begin()
