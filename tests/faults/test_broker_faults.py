"""Kafka is killed and restarted in the middle of a run; services wait and go on by themselves."""

from __future__ import annotations

import random

import pytest

from riverrun.embedded import EmbeddedCluster
from tests.faults.conftest import Build
from tests.faults.judge import Outcome, judge
from tests.faults.moments import moments
from tests.faults.world import IN_ORDER

pytestmark = pytest.mark.timeout(300)


def test_killed_broker_is_waited_for(
    build: Build, own_servers: EmbeddedCluster, calm: Outcome, rng: random.Random
) -> None:
    """Two chains, one feeding the other, outlive two deaths of their broker; nobody restarts them."""
    world = build("killed-broker", own_servers)
    services = [
        world.chain("first", ["ingest", "features", "score"], **IN_ORDER),
        world.chain("second", ["labels", "learn"], **IN_ORDER),
    ]
    for share in moments(rng, 2, last=0.7):
        world.reach("ingest", share, feed=True)
        own_servers.kafka.kill()
        own_servers.kafka.start()
    world.reach("ingest", 0.9, feed=True)
    world.reach("learn", 0.8, feed=True)
    world.drain(*services)
    world.finish()
    judge(world).assert_equals(calm, scores=False)
