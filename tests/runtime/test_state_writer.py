"""Trailing state is written a part at a time while records are folded as they come, and at once under a backlog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from riverrun.models.store import ModelStoreUnavailableError
from riverrun.records.items import ModelVersion
from riverrun.records.topics import Kind
from riverrun.runtime import state_writer
from riverrun.runtime.ports import KeyValueStore, PartialEntry
from riverrun.runtime.worker import Worker
from riverrun.testing.partial_store import MemoryPartialStore
from services.features import state
from services.learn.state import LearnState
from tests.runtime.worlds import MemoryWorld, messages

INTERVAL_MS = 400
STATES = {"ingest", "features", "labels"}


class NotedPartials(MemoryPartialStore):
    """Notes when the features' state is complete."""

    def __init__(self, notes: list[str]) -> None:
        super().__init__()
        self.notes = notes
        self.puts: list[str] = []

    def put_groups(self, partition: int, groups: Sequence[tuple[str, Sequence[PartialEntry]]]) -> int:
        self.puts.append("put")
        return super().put_groups(partition, groups)

    def mark(self, partition: int, position: int) -> bool:
        self.notes.append("features")
        self.puts.append("mark")
        return super().mark(partition, position)


class NotedStore:
    """Notes when a stage's state is written."""

    def __init__(self, store: KeyValueStore, stage: str, notes: list[str]) -> None:
        self.store, self.stage, self.notes = store, stage, notes

    def get(self, key: bytes) -> bytes | None:
        return self.store.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self.store.scan(prefix)

    def apply(self, puts: Mapping[bytes, bytes], deletes: Sequence[bytes]) -> None:
        self.notes.append(self.stage)
        self.store.apply(puts, deletes)

    def clear(self) -> None:
        self.store.clear()

    def close(self) -> None:
        self.store.close()


class Noted:
    """A member whose writes of state are noted, round by round."""

    def __init__(self, world: MemoryWorld, batch_limit: int) -> None:
        self.world, self.notes = world, list[str]()
        partials = self.partials = NotedPartials(self.notes)
        world.partials = lambda: partials
        world.stores = self.open
        settings = world.small.settings
        world.small.settings = replace(settings, state_interval_ms=INTERVAL_MS)
        self.worker: Worker = world.member(batch_limit=batch_limit)
        world.settle(self.worker)

    def open(self, folder: Path) -> KeyValueStore:
        stage = next(name for name in folder.parts if name in STATES)
        return NotedStore(self.world.disk.open(folder), stage, self.notes)

    def round(self) -> list[str]:
        self.notes.clear()
        self.worker.round()
        self.world.memory.advance(10)
        return list(self.notes)


def test_while_calm_no_transaction_waits_for_two_states(memory: MemoryWorld) -> None:
    """A message a round: each round writes one state at most, and all of them several times."""
    member = Noted(memory, batch_limit=2_000)
    written = []
    for message in messages(60)[:60]:
        memory.send(message)
        written.append(member.round())
    assert max(map(len, written)) == 1
    counts = {stage: sum(stage in notes for notes in written) for stage in STATES}
    assert all(4 <= count <= 8 for count in counts.values()), counts
    assert memory.records(Kind.EVENTS, 0)


@pytest.mark.parametrize("most", [1, 2])
def test_partials_are_written_little_by_little(memory: MemoryWorld, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """What goes ahead of the marker has rounds of its own, up to so many; the rest goes with the marker."""
    monkeypatch.setattr(state, "_SOME", 1)
    monkeypatch.setattr(state_writer, "_STEPS_AHEAD", most)
    member = Noted(memory, batch_limit=2_000)
    memory.publish(messages(60)[:30])
    puts = member.partials.puts
    rounds = []
    for _ in range(2 * INTERVAL_MS // 10):
        puts.clear()
        member.round()
        rounds.append("".join(puts))
    assert "mark" in "".join(rounds)
    assert len([each for each in rounds if each == "put"]) == most, rounds


def test_under_a_backlog_all_states_are_written_at_once(memory: MemoryWorld) -> None:
    """While more waits than a batch takes, a round of writing is done in one go, and seldom."""
    member = Noted(memory, batch_limit=2)
    memory.publish(messages(200))
    written = [notes for _ in range(2 * INTERVAL_MS // 10 + 10) if (notes := member.round())]
    # The first may be the rest of a round that was begun before.
    assert 2 <= len(written) <= 3
    assert all(set(notes) == STATES for notes in written[1:])


def learner_apart(memory: MemoryWorld, interval_ms: int) -> tuple[Worker, int]:
    """Let everybody but the learner work; return a learner that has not begun, and how many examples wait for it."""
    memory.small.settings = replace(memory.small.settings, state_interval_ms=interval_ms)
    memory.publish(messages(200))
    memory.run("ingest+features+score+labels")
    return memory.member("learn", batch_limit=15), len(memory.records(Kind.EXAMPLES, 0))


def let(memory: MemoryWorld, learner: Worker, rounds: int) -> set[int]:
    """Let a learner work for so many rounds; return the positions of the versions that were told of by then."""
    for _ in range(rounds):
        learner.round()
        memory.memory.advance(10)
    return {item.position for item, _ in memory.items(Kind.MODELS) if isinstance(item, ModelVersion)}


def test_a_snapshot_is_told_of_at_once(memory: MemoryWorld) -> None:
    """Whoever scores by itself waits for it, and need not wait for the state interval too."""
    learner, examples = learner_apart(memory, interval_ms=1_000_000)
    every = memory.small.pipeline.snapshot_every
    assert examples > 3 * every
    assert let(memory, learner, examples) == set(range(every, examples + 1, every))
    learner.leave()


def test_a_snapshot_is_told_of_before_the_next_batch(memory: MemoryWorld) -> None:
    """The round that has caught up, and so writes snapshots, tells of them too: the next batch may take long."""
    learner, examples = learner_apart(memory, interval_ms=1_000_000)
    every = memory.small.pipeline.snapshot_every
    rounds = 0
    while not (told := let(memory, learner, 1)) and rounds < examples:
        rounds += 1
    folded = sum(place.next for place in memory.progress("learn").inputs)
    assert told == set(range(every, folded + 1, every))
    learner.leave()


def test_a_snapshot_that_cannot_be_stored_is_tried_again_by_and_by(
    memory: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the model store is away it is asked once an interval, and a commit record says so."""
    tries: list[int] = []

    def refuse(state: LearnState, *, wait: bool) -> None:
        del state, wait
        tries.append(1)
        raise ModelStoreUnavailableError("the model store is away")

    learner, examples = learner_apart(memory, INTERVAL_MS)
    with monkeypatch.context() as away:
        away.setattr(LearnState, "_store_captures", refuse)
        rounds = 10 * INTERVAL_MS // 10
        assert not let(memory, learner, rounds)
        assert 5 <= len(tries) <= 12, len(tries)
        assert "model_store_away" in memory.progress("learn").degraded
    every = memory.small.pipeline.snapshot_every
    assert let(memory, learner, 2 * INTERVAL_MS // 10) == set(range(every, examples + 1, every))
    learner.leave()
