"""A write by a fenced producer is found in the broker's own files."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from confluent_kafka import Producer

from chaos.epochs import fenced_writes
from riverrun.adapters.kafka_log import KafkaLog
from riverrun.embedded import EmbeddedKafka
from riverrun.runtime.ports import TopicSpec


def _batch(offset: int, producer: int, epoch: int) -> bytes:
    rest = struct.pack(">ibIhiqqqhii", 0, 2, 0, 16, 0, 500, 1_000 + offset, producer, epoch, 0, 1) + b"record"
    return struct.pack(">qi", offset, len(rest)) + rest


@pytest.fixture
def broker(tmp_path: Path) -> EmbeddedKafka:
    """One that has not been started, but has a folder."""
    return EmbeddedKafka(tmp_path)


@pytest.mark.parametrize(
    ("batches", "wrong"),
    [
        pytest.param([(0, 7, 0), (1, 8, 0), (2, 7, 1), (3, 7, 1), (4, 8, 0)], [], id="epochs that grow"),
        pytest.param([(0, 7, 0), (1, 7, 1), (2, 7, 0), (3, 7, 1)], [1_002], id="a fenced writer"),
        pytest.param([(0, 7, 3), (1, -1, -1), (2, 7, 2)], [1_002], id="with others between"),
    ],
)
def test_epochs_may_only_grow(broker: EmbeddedKafka, batches: list[tuple[int, int, int]], wrong: list[int]) -> None:
    """Of each producer, in each partition; room that is not used yet is passed over."""
    folder = broker.folder / "data" / "pipeline.predictions-0"
    folder.mkdir(parents=True)
    (folder / "00000000000000000000.log").write_bytes(b"".join(_batch(*each) for each in batches) + b"\0" * 100)
    assert [finding.at_ms for finding in fenced_writes([broker], "pipeline")] == wrong
    assert list(fenced_writes([broker], "other")) == []


def test_the_files_of_a_real_broker_are_understood(tmp_path: Path) -> None:
    """Two lives of a transactional id, the second of which fences the first: both epochs are read, and grow."""
    with EmbeddedKafka(tmp_path) as broker:
        log = KafkaLog(broker.client_properties)
        log.ensure_topics([TopicSpec("p.events", 1)])
        log.close()
        for value in (b"1", b"2"):
            producer = Producer({**broker.client_properties, "transactional.id": "t"})
            producer.init_transactions(20)
            producer.begin_transaction()
            producer.produce("p.events", value, partition=0)
            producer.commit_transaction(20)
        assert list(fenced_writes([broker], "p")) == []
        segment = next((broker.folder / "data" / "p.events-0").glob("*.log"))
        content = segment.read_bytes()
    # The first life's records once more, after those of the second.
    (length,) = struct.unpack_from(">i", content, 8)
    segment.write_bytes(content + content[: 12 + length])
    assert len(list(fenced_writes([broker], "p"))) == 1
