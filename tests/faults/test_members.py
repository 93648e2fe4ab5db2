"""Members share partitions: they join, leave in order, and are frozen, replaced and thawed."""

from __future__ import annotations

import random

import pytest

from tests.faults.conftest import Build
from tests.faults.judge import judge
from tests.faults.moments import moments
from tests.faults.world import World

pytestmark = pytest.mark.timeout(300)


def _everywhere(world: World, more: int) -> None:
    """Wait until every partition has gone on by so many records, whoever works on it."""
    before = {place: sum(row.next for row in progress.inputs) for place, progress in world.watch.latest.items()}
    heads = [("ingest", partition) for partition in range(world.plan.partitions)]

    def gone_on() -> bool:
        latest = world.watch.latest
        return all(
            place in latest and sum(row.next for row in latest[place].inputs) >= before.get(place, 0) + more
            for place in heads
        )

    world.wait("progress on every partition", gone_on, feed=True)


def test_frozen_member_comes_back_to_a_lost_cause(build: Build, rng: random.Random) -> None:
    """A member frozen past its session is replaced; when it goes on, what it had in hand is not committed."""
    world = build("frozen", partitions=2)
    members = [world.chain(name) for name in ("one", "two")]
    for share, frozen in zip(moments(rng, 3, last=0.6), (0, 1, 0), strict=True):
        world.reach("ingest", share, feed=True)
        members[frozen].freeze()
        _everywhere(world, 40)
        members[frozen].thaw()
    world.reach("ingest", 0.9, feed=True)
    world.drain(*members)
    world.finish()
    judge(world)


def test_members_join_and_leave(build: Build, rng: random.Random) -> None:
    """Members come, are killed and leave in order, at random moments, within their limit."""
    world = build("joining", partitions=2)
    first, joins, dies, leaves = moments(rng, 4)
    one = world.chain("one")
    world.reach("ingest", first, feed=True)
    two = world.chain("two")
    world.reach("ingest", joins, feed=True)
    three = world.chain("three")
    world.drain(one)
    world.reach("ingest", dies, feed=True)
    two.kill()
    two.start()
    world.reach("ingest", leaves, feed=True)
    world.drain(three)
    _everywhere(world, 10)
    world.drain(two)
    world.finish()
    judge(world)
