"""A scorer that was stopped and starts again takes no old model from whoever could write to the topic meanwhile."""

from __future__ import annotations

from riverrun.records.items import ModelVersion, Prediction
from riverrun.records.topics import Kind
from tests.runtime.worlds import MemoryWorld, messages

APART = "ingest features score labels learn"


def _versions_served(world: MemoryWorld) -> list[int]:
    items = [item for item, _ in world.items(Kind.PREDICTIONS)]
    return [item.scores[0].version for item in items if isinstance(item, Prediction)]


def test_an_old_record_that_compaction_leaves_alone_is_refused(memory: MemoryWorld) -> None:
    """The commit record tells what was in use: the replay is counted, once, and the last good version serves on."""
    sent = messages(90)
    topic = memory.small.topology.names[Kind.MODELS]
    for part in (sent[:60], sent[60:100]):
        memory.publish(part)
        memory.run(APART)
    before = memory.progress("score").counters
    used = [count for name, count in before.items() if name.startswith("used:")]
    assert used
    assert "models_refused" not in before
    versions = [
        (record, item)
        for record, (item, _) in zip(memory.records(Kind.MODELS, 0), memory.items(Kind.MODELS), strict=True)
        if isinstance(item, ModelVersion)
    ]
    old, oldest = versions[0]
    assert oldest.position < max(used)
    at = memory.memory.append(topic, 0, old.value, key=old.key, headers=old.headers)
    memory.memory.delete_records(topic, 0, at)
    served = len(_versions_served(memory))
    for part in (sent[100:130], sent[130:]):
        memory.publish(part)
        memory.run("ingest features score")
        assert memory.progress("score").counters["models_refused"] == 1
    assert min(_versions_served(memory)[served:]) >= max(used)
