"""Several members, several partitions: who works on what changes, what is written does not."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from riverrun.errors import AccessDeniedError
from riverrun.records.items import Event, Example, Prediction
from riverrun.records.topics import Kind
from riverrun.runtime.ports import LogUnavailableError
from riverrun.runtime.task import Task
from riverrun.runtime.worker import Worker
from riverrun.testing.memory_group import MemoryMembership
from tests.runtime.worlds import MemoryWorld, World, messages

MakeMemory = Callable[..., MemoryWorld]
LAYOUT = "ingest+features+score+labels learn"


def assert_each_once(world: World, count: int) -> None:
    """Every event, its prediction and its ending are there once, on the partition of its key."""
    small = world.small
    events: list[str] = []
    predictions: list[str] = []
    for partition in range(small.partitions):
        for item, stamp in world.items(Kind.EVENTS, partition):
            assert isinstance(item, Event)
            assert (small.partition(item.key), stamp.writer) == (partition, partition)
            events.append(f"{item.stream}/{item.id}")
        predictions += [item.id for item, _ in world.items(Kind.PREDICTIONS, partition) if isinstance(item, Prediction)]
        seqs = [stamp.seq for _, stamp in world.items(Kind.EVENTS, partition)]
        assert seqs == list(range(len(seqs)))
    assert len(events) == len(set(events))
    assert sorted(predictions) == sorted(f"a{number}" for number in range(count))
    endings = [item.id for item, _ in world.items(Kind.EXAMPLES) if isinstance(item, Example)]
    ended = {name for name in endings if endings.count(name) == 1}
    counters = [world.progress("labels", partition).counters for partition in range(small.partitions)]
    pending = sum(each["pending"] for each in counters)
    assert len(set(endings)) + pending == count
    assert ended


@pytest.mark.parametrize("seed", range(4))
def test_members_come_and_go(make_memory: MakeMemory, seed: int) -> None:
    """Three members share four partitions; they join, leave and expire while events come in."""
    rng = random.Random(seed)
    world = make_memory(4)
    sent = messages(40, seed)
    members: list[Worker] = []
    for start in range(0, len(sent), 12):
        world.publish(sent[start : start + 12])
        if len(members) < 3:
            members.append(world.member(LAYOUT, batch_limit=5))
        elif rng.random() < 0.6:
            members.pop(rng.randrange(len(members))).leave()
        for _ in range(rng.randrange(1, 5)):
            for member in members:
                member.round()
            world.memory.advance(20)
    world.settle(*members)
    for member in members:
        member.leave()
    assert_each_once(world, 40)


def test_partitions_are_shared(make_memory: MakeMemory) -> None:
    """Members that have settled work on different partitions, and together on all."""
    world = make_memory(4)
    world.publish(messages(40))
    members = [world.member(LAYOUT) for _ in range(3)]
    world.settle(*members)
    owned = [
        {task.partition for task in member.tasks() if "ingest" in task.transactional_id.split(".")}
        for member in members
    ]
    assert sorted(partition for each in owned for partition in each) == [0, 1, 2, 3]
    for member in members:
        member.leave()
    assert_each_once(world, 40)


def test_a_membership_that_is_lost(make_memory: MakeMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member whose group refuses it comes back as a new one."""
    world = make_memory(2)
    worker = world.member(LAYOUT)
    world.publish(messages(20)[:20])
    world.settle(worker)
    serve, refusals = MemoryMembership.poll, 3

    def refuse(self: MemoryMembership, timeout: float = 0.0) -> frozenset[int]:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise LogUnavailableError("the group refuses the member")
        return serve(self, timeout)

    monkeypatch.setattr(MemoryMembership, "poll", refuse)
    world.publish(messages(20)[20:])
    world.settle(worker)
    worker.leave()
    assert_each_once(world, 20)


def test_a_drained_member_leaves_state_behind(make_memory: MakeMemory) -> None:
    """After a planned stop the stores are complete: the marker and the learner's checkpoint are at the end."""
    world = make_memory(2)
    world.publish(messages(30))
    world.run(LAYOUT)
    for partition in range(2):
        assert world.store.marker(partition) == len(world.items(Kind.EVENTS, partition))
    examples = len(world.items(Kind.EXAMPLES))
    again = world.member(LAYOUT)
    world.settle(again)
    (learn,) = [task for task in again.tasks() if "learn" in task.transactional_id]
    assert learn.folded == 0
    assert world.progress("learn").counters["examples"] == examples
    again.leave()


def test_a_member_that_fails_for_good_leaves_its_groups(
    make_memory: MakeMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may not even drain; the next member gets its partitions at once, and not when a session has run out."""
    world = make_memory()
    world.publish(messages(10))
    first = world.member(LAYOUT)
    first.round()
    with monkeypatch.context() as patch:

        def refuse(task: Task) -> None:
            raise AccessDeniedError("Redis does not permit it")

        patch.setattr(Task, "drain", refuse)
        with pytest.raises(AccessDeniedError):
            first.leave()
    second = world.member(LAYOUT)
    second.round()
    assert set(second.partitions().values()) == {(0,)}
    world.settle(second)
    assert_each_once(world, 10)
    second.leave()
