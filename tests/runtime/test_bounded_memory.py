"""A member within a bound of memory, whose entities are on disk most of the time: the outputs are the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from riverrun.features import FeaturePlan
from riverrun.runtime.memory import Memory
from tests.runtime.worlds import ALL_IN_ONE, WRITTEN, Contents, Doomed, MemoryWorld, messages

MakeMemory = Callable[..., MemoryWorld]
TIGHT = Memory(read_ahead=8, state_cache=512, entities=1, models=64 << 20)
"""One entity stays in memory, a few records and keys; the models have what they need."""

COUNT = 40


def tight(world: MemoryWorld) -> MemoryWorld:
    """Bound the members of a world, and publish what they fold."""
    world.small.settings = replace(world.small.settings, memory=TIGHT)
    world.publish(messages(COUNT))
    return world


@pytest.fixture
def free(make_memory: MakeMemory) -> Contents:
    """What members with memory to spare write."""
    world = make_memory()
    world.publish(messages(COUNT))
    world.run()
    return world.contents()


def _assert_same(found: Contents, wanted: Contents) -> None:
    for kind in WRITTEN:
        assert found[kind] == wanted[kind], kind


@pytest.mark.parametrize("layout", [ALL_IN_ONE, "ingest features score+labels+learn"])
def test_what_is_written_is_the_same(make_memory: MakeMemory, free: Contents, layout: str) -> None:
    """Events, vectors, predictions, examples and models are those of a member with memory to spare, byte for byte."""
    world = tight(make_memory())
    world.run(layout, batch_limit=7)
    _assert_same(world.contents(), free)


@pytest.mark.parametrize("seed", range(4))
def test_killed_again_and_again(make_memory: MakeMemory, free: Contents, seed: int) -> None:
    """Wherever it is killed, and whatever was in its local store, its successor goes on from Redis and the log."""
    rng = random.Random(seed)
    world = tight(make_memory())
    for _ in range(8):
        Doomed(world, batch_limit=5).rounds_until_killed(rng.randrange(1, 250))
        if rng.random() < 0.3:
            world.disk.lose()
        if rng.random() < 0.3:
            world.store.wipe()
    world.run()
    _assert_same(world.contents(), free)


def test_redis_gets_all_entities_though_few_are_in_memory(make_memory: MakeMemory) -> None:
    """After a wipe in the midst of it, the partial store holds what it does behind a member with memory to spare."""
    stored = []
    for bound in (False, True):
        world = make_memory()
        if bound:
            tight(world)
        else:
            world.publish(messages(COUNT))
        worker = world.member(batch_limit=9)
        for _ in range(3):
            worker.round()
            world.memory.advance(2)
        world.store.wipe()
        world.settle(worker)
        worker.leave()
        stored.append(
            {
                group.id: sorted(world.store.scan(0, group.id))
                for group in FeaturePlan.compile(world.small.pipeline).groups
            }
        )
    assert stored[0] == stored[1]
    assert sum(map(len, stored[0].values())) > 1
