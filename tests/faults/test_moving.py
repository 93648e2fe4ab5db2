"""Stages move into a chain and out of it, on one log."""

from __future__ import annotations

import random

import pytest

from tests.faults.conftest import Build
from tests.faults.judge import Outcome, judge
from tests.faults.moments import moments
from tests.faults.world import IN_ORDER

pytestmark = pytest.mark.timeout(300)


def test_stages_move_between_chains_and_processes(build: Build, calm: Outcome, rng: random.Random) -> None:
    """Chained, then apart, then in two chains, then chained again: nothing is lost, repeated or changed."""
    world = build("moving")
    one, apart, two, again = moments(rng, 4)
    chain = world.chain(**IN_ORDER)
    world.reach("ingest", one, feed=True)
    world.drain(chain)
    services = world.stages(**IN_ORDER)
    world.reach("learn", apart, feed=True)
    for service in services.values():
        service.kill()
        world.services.remove(service)
    halves = [
        world.chain("first", ["ingest", "features"], **IN_ORDER),
        world.chain("second", ["score", "labels", "learn"], **IN_ORDER),
    ]
    world.reach("learn", two, feed=True)
    world.drain(*halves)
    chain = world.chain(**IN_ORDER)
    world.reach("ingest", again, feed=True)
    world.drain(chain)
    world.finish()
    judge(world).assert_equals(calm, scores=False)
