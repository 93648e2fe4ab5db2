"""kill -9 in the middle of a run: of the chained process, of each service by itself, and of all at once."""

from __future__ import annotations

import random

import pytest

from tests.faults.conftest import Build
from tests.faults.judge import Outcome, judge
from tests.faults.moments import moments
from tests.faults.world import IN_ORDER

# Processes start many times here: twenty seconds in quiet, several times that beside other work.
pytestmark = pytest.mark.timeout(300)


def test_killed_chain_leaves_what_an_undisturbed_one_leaves(build: Build, calm: Outcome, rng: random.Random) -> None:
    """Every event, vector, prediction, score and example, and both models' digests, are those of the calm run."""
    world = build("killed-chain")
    chain = world.chain(**IN_ORDER)
    for share in moments(rng, 3):
        world.reach("ingest", share, feed=True)
        chain.kill()
        chain.start()
    world.reach("ingest", 0.9, feed=True)
    world.drain(chain)
    world.finish()
    judge(world).assert_equals(calm)


def test_killed_services_leave_what_an_undisturbed_chain_leaves(
    build: Build, calm: Outcome, rng: random.Random
) -> None:
    """Each of five services is killed once, then all of them at once; nothing is lost, doubled or changed."""
    world = build("killed-services")
    services = world.stages(**IN_ORDER)
    *singles, together = moments(rng, len(services) + 1)
    for victim, share in zip(rng.sample(sorted(services), len(services)), singles, strict=True):
        world.reach(victim, share, feed=True)
        services[victim].kill()
        services[victim].start()
    world.reach("learn", together, feed=True)
    for service in services.values():
        service.kill()
    for service in services.values():
        service.start()
    world.reach("learn", 0.9, feed=True)
    world.drain(*services.values())
    world.finish()
    judge(world).assert_equals(calm, scores=False)
