"""The ledger of schema ids: what the topic lacks is told to it all at once, and nothing is told twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from riverrun.launch.schema_topic import SchemaLedger
from riverrun.records.ids import Entry
from riverrun.runtime.ports import TopicSpec
from riverrun.testing.memory_log import MemoryLog

_TOPIC = "p.schemas"
_ENTRIES = [Entry(f"subject-{number}", number, {"type": "string"}) for number in range(1, 6)]


class _Topic:
    """The schemas topic, and how often it was written to."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.log.ensure_topics([TopicSpec(_TOPIC, 1)])
        self.writes: list[int] = []

    def publish(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        self.writes.append(len(pairs))
        writer = self.log.writer(f"writer-{len(self.writes)}")
        writer.open()
        writer.begin()
        for key, value in pairs:
            writer.send(_TOPIC, 0, key, value, ())
        writer.commit({}, "")
        writer.close()


def test_what_a_lost_topic_held_is_told_to_the_new_one_in_one_go(tmp_path: Path) -> None:
    file = tmp_path / "schemas.jsonl"
    old = _Topic()
    ledger = SchemaLedger(file, old.publish)
    for entry in _ENTRIES:
        ledger.append(entry)
    assert old.writes == [1] * len(_ENTRIES)

    new = _Topic()
    assert SchemaLedger(file, new.publish).entries(new.log, _TOPIC) == _ENTRIES
    assert new.writes == [len(_ENTRIES)]
    # Another data folder learns them from the topic, and has nothing to tell.
    assert SchemaLedger(tmp_path / "none.jsonl", new.publish).entries(new.log, _TOPIC) == _ENTRIES
    assert SchemaLedger(file, new.publish).entries(new.log, _TOPIC) == _ENTRIES
    assert new.writes == [len(_ENTRIES)]


def test_only_what_the_topic_lacks_is_told_to_it(tmp_path: Path) -> None:
    file = tmp_path / "schemas.jsonl"
    topic = _Topic()
    ledger = SchemaLedger(file, topic.publish)
    ledger.append(_ENTRIES[0])
    elsewhere = _Topic()
    for entry in _ENTRIES[1:3]:
        SchemaLedger(file, elsewhere.publish).append(entry)
    topic.writes.clear()

    assert ledger.entries(topic.log, _TOPIC) == _ENTRIES[:3]
    assert topic.writes == [2]
