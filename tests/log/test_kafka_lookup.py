"""What the client believes of a partition may be wrong for minutes: then the cluster is asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from confluent_kafka import KafkaError, KafkaException

from riverrun.adapters import kafka_log
from riverrun.adapters.kafka_log import KafkaLog
from riverrun.adapters.kafka_properties import KafkaTuning
from riverrun.runtime.ports import LogUnavailableError

_UNKNOWN_PARTITION = -190


class _Misled:
    """Stands for librdkafka's consumer with a cache that lacks the partition, until it hears of it anew.

    As seen when one of three brokers was frozen and came back: every look-up failed for five minutes.
    """

    partitions: dict[int, object]

    def __init__(self, properties: dict[str, object], **rest: object) -> None:
        del properties, rest
        self.knows = False

    def poll(self, timeout: float) -> None:
        del timeout

    def get_watermark_offsets(self, place: Any, timeout: float) -> tuple[int, int]:
        del place, timeout
        if not self.knows:
            raise KafkaException(KafkaError(_UNKNOWN_PARTITION))
        return 3, 7

    def list_topics(self, topic: str, timeout: float) -> Any:
        del timeout
        self.knows = 0 in self.partitions
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions=self.partitions)})


def _log(monkeypatch: pytest.MonkeyPatch, partitions: dict[int, object]) -> KafkaLog:
    misled = type("Misled", (_Misled,), {"partitions": partitions})
    monkeypatch.setattr(kafka_log, "Consumer", misled)
    return KafkaLog({"bootstrap.servers": "127.0.0.1:1"}, KafkaTuning(request_timeout=0.3))


def test_a_partition_that_the_cache_lacks_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """One question to the cluster, and the look-up goes on."""
    log = _log(monkeypatch, {0: object()})
    assert (log.start_offset("t", 0), log.high_watermark("t", 0)) == (3, 7)


class _CutOff:
    """Stands for a client whose broker was cut off from the others: the next client finds another broker."""

    ends: ClassVar[list[int]]

    def __init__(self, properties: dict[str, object], **rest: object) -> None:
        del properties, rest
        self._end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]

    def poll(self, timeout: float) -> None:
        del timeout

    def get_watermark_offsets(self, place: Any, timeout: float) -> tuple[int, int]:
        del place, timeout
        return 0, self._end

    def close(self) -> None:
        pass


def test_a_broker_that_knows_less_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are asked, and if they know no more, nothing is read."""
    for ends, hears in (([7, 9], True), ([7, 7, 8, 7, 12], True), ([7], False)):
        monkeypatch.setattr(kafka_log, "Consumer", type("CutOff", (_CutOff,), {"ends": list(ends)}))
        log = KafkaLog({"bootstrap.servers": "127.0.0.1:1"}, KafkaTuning(request_timeout=0.3))
        if hears:
            assert log.tail("t", 0, 5, since=20, reaching=9) == []
        else:
            with pytest.raises(LogUnavailableError, match=r"t\[0\].* 9, .*but 7"):
                log.tail("t", 0, 5, since=20, reaching=9)


def test_a_client_that_cannot_be_made_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be no descriptor left for another one: the one that there is goes on to be asked."""
    made: list[object] = []

    class Scarce(_CutOff):
        ends: ClassVar[list[int]] = [7]

        def __init__(self, properties: dict[str, object], **rest: object) -> None:
            if made:
                raise KafkaException(KafkaError(KafkaError._CRIT_SYS_RESOURCE))
            made.append(self)
            super().__init__(properties, **rest)

        def close(self) -> None:
            made.clear()

    monkeypatch.setattr(kafka_log, "Consumer", Scarce)
    log = KafkaLog({"bootstrap.servers": "127.0.0.1:1"}, KafkaTuning(request_timeout=0.3))
    with pytest.raises(LogUnavailableError, match="cannot make"):
        log.tail("t", 0, 5, since=20, reaching=9)
    assert made, "it was not closed"
    assert log.high_watermark("t", 0) == 7


def test_a_partition_that_is_not_there_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not asked for again and again."""
    log = _log(monkeypatch, {})
    with pytest.raises(LogUnavailableError, match=r"t\[0\]"):
        log.start_offset("t", 0)
