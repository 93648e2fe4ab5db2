"""Commit records: which of them hold, however far back that is."""

from __future__ import annotations

from typing import Any

import pytest

from riverrun.records.items import Progress
from riverrun.records.topics import Kind
from riverrun.runtime.history import CLAIM, SEEN, History, Output, left_over, written
from riverrun.runtime.ports import LogUnavailableError, Record
from tests.runtime.worlds import MemoryWorld, messages


@pytest.fixture
def topic(memory: MemoryWorld) -> str:
    """The topic of commit records."""
    return memory.small.topology.names[Kind.PROGRESS]


def _commit(memory: MemoryWorld, stage: str, outputs: int, holder: str = "") -> None:
    progress = Progress(stage, 0, (), {"out": outputs}, {}, 0, {}, holder)
    key, value = memory.small.wire.encode_progress(progress)
    memory.memory.append(memory.small.topology.names[Kind.PROGRESS], 0, value, key=key)


@pytest.mark.parametrize("between", [0, 63, 64, 65, 5_000])
def test_the_newest_record_that_is_borne_out(memory: MemoryWorld, topic: str, between: int) -> None:
    """Records whose outputs are not all there are passed over, also where the one that holds lies far back."""
    _commit(memory, "score", 5)
    for _ in range(between):
        _commit(memory, "features", 1)
    _commit(memory, "score", 9)
    history = History(memory.log, memory.small.wire, (topic, 0), ["score", "features"])
    latest = history.latest("score")
    assert latest is not None
    assert latest.outputs == {"out": 9}
    for tail, holds in ((9, 9), (8, 5), (5, 5)):
        found = history.consistent("score", {"out": tail})
        assert found is not None
        assert found.outputs == {"out": holds}
    assert history.consistent("score", {"out": 4}) is None
    assert history.consistent("features", {"out": 1}) is not None or not between


def test_holders(memory: MemoryWorld, topic: str) -> None:
    """Who works on a stage is whoever claimed it or committed for it last; a claim is no commit record."""
    _commit(memory, "score", 1, "one")
    _commit(memory, "labels", 1, "one")
    _commit(memory, CLAIM + "score", 0, "two")
    history = History(memory.log, memory.small.wire, (topic, 0), ["score", "labels", "learn"])
    assert history.holders() == {"one", "two"}, "the one that claimed, and the one that may be at work still"
    latest = history.latest("score")
    assert latest is not None
    assert latest.transactional_id == "one"
    assert history.latest("learn") is None
    _commit(memory, CLAIM + "labels", 0, "three")
    _commit(memory, "features", 1, "four")
    later = History(memory.log, memory.small.wire, (topic, 0), ["score", "labels", "learn"])
    assert later.holders() == {"one", "two", "three"}
    assert later.holders(since=history.end) == {"three"}
    seen = history.end
    history.follow()
    assert history.holders() == later.holders()
    assert history.holders(since=seen) == {"three"}
    assert history.end == later.end


def test_following(memory: MemoryWorld, topic: str) -> None:
    """What has come since is found as if all had been read again, and what was there before is read no second time."""
    _commit(memory, "score", 5)
    _commit(memory, "score", 9)
    history = History(memory.log, memory.small.wire, (topic, 0), ["score"])
    history.follow()
    _commit(memory, "score", 12)
    for _ in range(70):
        _commit(memory, "features", 1)
    history.follow()
    for tail, holds in ((12, 12), (11, 9), (5, 5)):
        found = history.consistent("score", {"out": tail})
        assert found is not None
        assert found.outputs == {"out": holds}
    assert history.end == memory.log.high_watermark(topic, 0)


def test_holders_end_at_a_commit_record(memory: MemoryWorld, topic: str) -> None:
    """All who claimed a stage since it last committed are told, but nobody whom a claim or a commit says is fenced."""
    for stage, holder in ((CLAIM + "score", "none"), ("score", "one"), (CLAIM + "score", "two"), (CLAIM + "score", "")):
        _commit(memory, stage, 0, holder)
    history = History(memory.log, memory.small.wire, (topic, 0), ["score"])
    assert history.holders() == {"one", "two", ""}
    claim = Progress(CLAIM + "score", 0, (), {}, {SEEN: 2}, 0, {}, "three")
    key, value = memory.small.wire.encode_progress(claim)
    memory.memory.append(topic, 0, value, key=key)
    history.follow()
    assert history.holders() == {"two", "", "three"}, "it had fenced the first"


def test_what_is_known_to_be_there_is_read(memory: MemoryWorld, topic: str) -> None:
    """A broker that was cut off does not know of the last commit records: nobody takes those for all that there are."""
    _commit(memory, "score", 5)
    memory.memory.cut_off([topic], 1_000)
    _commit(memory, "score", 9)
    end = memory.memory.partition(topic, 0).high_watermark
    history = History(memory.log, memory.small.wire, (topic, 0), ["score"])
    with pytest.raises(LogUnavailableError, match="knows but 1"):
        history.follow(reaching=end)
    with pytest.raises(LogUnavailableError, match="knows but 1"):
        History(memory.log, memory.small.wire, (topic, 0), ["score"], reaching=end)
    memory.memory.heal()
    history.follow(reaching=end)
    latest = history.latest("score")
    assert latest is not None
    assert latest.outputs == {"out": 9}


def test_what_a_topic_holds(memory: MemoryWorld) -> None:
    """The tail is the position after a writer's last record, and what is left over begins where one says."""
    memory.publish(messages(60))
    memory.run()
    events = [item for item, _ in memory.items(Kind.EVENTS)]
    assert len(events) > 64
    topic = memory.small.topology.names[Kind.EVENTS]
    output = Output((topic, 0), 0, memory.log.high_watermark(topic, 0))
    assert written(memory.log, memory.small.wire, output) == len(events)
    assert written(memory.log, memory.small.wire, output._replace(writer=1)) == 0
    for first in (0, 3, len(events) - 65, len(events) - 64, len(events) - 2, len(events)):
        assert left_over(memory.log, memory.small.wire, output, first) == events[first:]


def test_what_others_write_meanwhile_brings_nothing_twice(memory: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition is read back in growing steps, and has grown between two of them."""
    memory.publish(messages(60))
    memory.run()
    events = [item for item, _ in memory.items(Kind.EVENTS)]
    topic = memory.small.topology.names[Kind.EVENTS]
    output = Output((topic, 0), 0, memory.log.high_watermark(topic, 0))
    last = memory.records(Kind.EVENTS, 0)[-1]
    tail = memory.memory.tail
    other = [(name, b"9:0" if name == "riverrun-seq" else value) for name, value in last.headers]

    def growing(*given: Any, **named: Any) -> list[Record]:
        found = tail(*given, **named)
        for _ in range(3):
            memory.memory.append(topic, 0, last.value, key=last.key, headers=other)
        return found

    monkeypatch.setattr(memory.memory, "tail", growing)
    assert left_over(memory.log, memory.small.wire, output, 0) == events
