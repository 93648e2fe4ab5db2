"""A reader that comes to a broker which does not have its place: it may be the one that is cut off from the others."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from confluent_kafka import KafkaError

from riverrun.adapters import kafka_reader
from riverrun.adapters.kafka_connection import ClientLog
from riverrun.adapters.kafka_reader import KafkaReader
from riverrun.adapters.kafka_tail import read_tail
from riverrun.runtime.ports import LogUnavailableError
from tests.log.worlds import until

_OUT_OF_RANGE = -140
_END = -191


class _Message:
    """Stands for librdkafka's message: a record, or what the client says in its place."""

    def __init__(self, offset: int, error: int | None = None) -> None:
        self._offset = offset
        self._error = error

    def error(self) -> KafkaError | None:
        return None if self._error is None else KafkaError(self._error)

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 1, 0

    def key(self) -> None:
        return None

    def value(self) -> bytes:
        return b"%d" % self._offset

    def headers(self) -> None:
        return None


class _Broker:
    """Stands for a client of a broker that has the records below ``end``; the next client finds the next broker."""

    ends: ClassVar[list[int]]

    def __init__(self, properties: dict[str, object], **rest: object) -> None:
        del properties, rest
        self.end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        self._next = 0
        self._told = False

    def assign(self, places: list[Any]) -> None:
        self._next, self._told = places[0].offset, False

    def consume(self, limit: int, timeout: float) -> list[_Message]:
        del timeout
        if self._next > self.end:
            said, self._told = self._told, True
            return [] if said else [_Message(self._next, _OUT_OF_RANGE)]
        count = min(limit, self.end - self._next)
        self._next += count
        return [_Message(offset) for offset in range(self._next - count, self._next)]

    def get_watermark_offsets(self, place: Any, *, cached: bool) -> tuple[int, int]:
        del place, cached
        return 0, self.end

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_reader, "_BEHIND_S", 0.0)
    monkeypatch.setattr(kafka_reader, "_SILENT_S", 0.2)


def _reader(monkeypatch: pytest.MonkeyPatch, ends: list[int], offset: int) -> KafkaReader:
    monkeypatch.setattr(kafka_reader, "Consumer", type("Broker", (_Broker,), {"ends": ends}))
    return KafkaReader({}, "t", 0, offset, ClientLog())


def test_it_tries_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Having read on, it hears nothing, connects anew, and comes to two brokers that know less; each is heard once."""
    reader = _reader(monkeypatch, [7, 4, 5, 9], 0)
    offsets: list[int] = []

    def read() -> bool:
        offsets.extend(record.offset for record in reader.poll(100))
        return len(offsets) >= 9

    until(read, "the records behind")
    assert offsets == list(range(9))


def test_in_the_end_it_is_taken_to_be_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker has it: then it is an error, as it is at once where nobody knows that it was ever there."""
    reader = _reader(monkeypatch, [7, 4], 0)
    reader.poll(100)
    with pytest.raises(LogUnavailableError, match="_AUTO_OFFSET_RESET"):
        until(lambda: bool(reader.poll(100)), "what never comes")
    with pytest.raises(LogUnavailableError, match="_AUTO_OFFSET_RESET"):
        _reader(monkeypatch, [7], 8).poll(100)


def test_it_goes_on_behind_control_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it was told that the end is: what it read last may have been deleted when it connects anew."""
    assigned: list[int] = []

    class Ended(_Broker):
        ends: ClassVar[list[int]] = [7]

        def assign(self, places: list[Any]) -> None:
            # A follower that another test has left behind may connect anew just now, with this in place of a client.
            if places[0].topic == "t":
                assigned.append(places[0].offset)
            super().assign(places)

        def consume(self, limit: int, timeout: float) -> list[_Message]:
            found = super().consume(limit, timeout)
            return [*found, _Message(self.end + 1, _END)] if found else []

    monkeypatch.setattr(kafka_reader, "Consumer", Ended)
    reader = KafkaReader({}, "t", 0, 0, ClientLog())
    assert len(reader.poll(100)) == 7
    assert (reader.at_end, reader.end_offset) == (True, 8)
    until(lambda: not reader.poll(100) and len(assigned) > 1, "a new connection")
    assert assigned == [0, 8]


def test_a_tail_is_read_where_its_end_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """One broker has told the end, and others are asked for the records until one has them."""
    reader = _reader(monkeypatch, [3, 2, 9], 0)
    assert [record.offset for record in read_tail(reader, 5, 9, 3, 10.0)] == [6, 7, 8]
