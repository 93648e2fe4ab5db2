"""Who follows a partition is not held up by a broker that has nothing to tell, and hears nothing twice."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import TopicPartition

from chaos import reading
from chaos.world import World
from riverrun.records.topics import Kind

pytestmark = pytest.mark.timeout(300)


def test_who_hears_nothing_connects_anew_and_goes_on(undisturbed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that the others have put out may be the only one that a client knows, and says nothing for ever."""
    opened: list[confluent_kafka.Consumer] = []

    class Counted(confluent_kafka.Consumer):
        def __init__(self, properties: Any) -> None:
            super().__init__(properties)
            opened.append(self)

        def assign(self, partitions: list[TopicPartition]) -> None:
            # As the client does by itself where a broker that is behind does not have the offset.
            super().assign([TopicPartition(each.topic, each.partition, 0) for each in partitions])

    monkeypatch.setattr(reading, "Consumer", Counted)
    monkeypatch.setattr(reading, "_SILENT_S", 1.0)
    topic, kafka = undisturbed.deployment.topology.names[Kind.PROGRESS], undisturbed.addresses.kafka
    expected = reading.read_partition(kafka, topic, 0)
    opened.clear()
    heard, deadline = [], time.monotonic() + 60.0
    with closing(reading.Tail(kafka, topic, 0)) as tail:
        while len(opened) < 4:
            heard += tail.poll(0.1)
            assert time.monotonic() < deadline, "it waits for the same one"
    assert expected
    assert heard == expected
