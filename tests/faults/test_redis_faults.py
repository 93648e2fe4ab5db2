"""Redis is wiped, killed and restarted while the stream runs: it is only a cache, and nothing is lost."""

from __future__ import annotations

import random

import pytest
import redis

from riverrun.embedded import EmbeddedCluster
from tests.faults.conftest import Build
from tests.faults.judge import Outcome, judge
from tests.faults.moments import moments
from tests.faults.world import IN_ORDER

pytestmark = pytest.mark.timeout(300)


def _wipe(servers: EmbeddedCluster) -> None:
    """Delete every key and every function."""
    with redis.Redis.from_url(servers.addresses.redis_url) as client:
        client.flushall()
        client.function_flush()


def test_wiped_redis_loses_nothing(build: Build, own_redis: EmbeddedCluster, calm: Outcome, rng: random.Random) -> None:
    """Wiped under a running process, and just before one starts: it is written whole again, and results are equal."""
    world = build("wiped-redis", own_redis)
    chain = world.chain(**IN_ORDER)
    running, starting = moments(rng, 2)
    world.reach("ingest", running, feed=True)
    _wipe(own_redis)
    world.reach("ingest", starting, feed=True)
    chain.kill()
    _wipe(own_redis)
    chain.start()
    world.reach("ingest", 0.9, feed=True)
    world.drain(chain)
    world.finish()
    judge(world).assert_equals(calm)


def test_killed_redis_stops_nothing_that_runs(
    build: Build, own_redis: EmbeddedCluster, calm: Outcome, rng: random.Random
) -> None:
    """With Redis dead the stream goes on; a process that starts then waits for it, and goes on when it is back."""
    world = build("killed-redis", own_redis)
    chain = world.chain(**IN_ORDER)
    dead, later, restarted = moments(rng, 3)
    world.reach("ingest", dead, feed=True)
    own_redis.redis.kill()
    world.reach("ingest", later, feed=True)
    own_redis.redis.start()
    world.reach("ingest", restarted, feed=True)
    own_redis.redis.kill()
    chain.kill()
    chain.start()
    world.wait("the process says that Redis is away", lambda: chain.says("cannot be reached"))
    own_redis.redis.start()
    world.reach("ingest", 0.9, feed=True)
    world.drain(chain)
    world.finish()
    judge(world).assert_equals(calm)
