"""Fixtures of the fault tests: worlds, servers of a test's own, and the run that nobody disturbed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from riverrun.embedded import EmbeddedCluster, ExternalServers
from tests.faults.judge import Outcome, judge
from tests.faults.parcels import Message, make_messages
from tests.faults.world import Plan, World

_SEEDS: Final = [int(seed) for seed in os.environ.get("RIVERRUN_FAULT_SEEDS", "1").split(",")]
"""When faults happen follows from the seed, which is in each test's name: ``RIVERRUN_FAULT_SEEDS=7`` runs it again."""

_PARCELS: Final = 600


@pytest.fixture(params=_SEEDS, ids=lambda seed: f"seed={seed}")
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Decides when faults happen."""
    seed: int = request.param
    return random.Random(seed)


@pytest.fixture(scope="session")
def messages() -> list[Message]:
    """The load, the same for all tests."""
    return make_messages(_PARCELS, seed=42)


Build = Callable[..., World]


@pytest.fixture
def build(cluster: EmbeddedCluster, messages: list[Message], tmp_path: Path) -> Iterator[Build]:
    """Build worlds, on the servers that all tests share unless others are given."""
    with ExitStack() as worlds:

        def make(name: str, servers: EmbeddedCluster = cluster, partitions: int = 1) -> World:
            plan = Plan(f"{name}-{tmp_path.name[-40:]}".replace("_", "-"), messages, partitions)
            return worlds.enter_context(World(plan, servers, tmp_path / "world"))

        yield make


@pytest.fixture(scope="session")
def calm(cluster: EmbeddedCluster, messages: list[Message], tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the run leaves that nobody disturbs: one process, everything chained."""
    with World(Plan("calm", messages), cluster, tmp_path_factory.mktemp("calm")) as world:
        world.finish()
        return judge(world)


@pytest.fixture
def own_servers(tmp_path: Path) -> Iterator[EmbeddedCluster]:
    """A Kafka and a Redis to be killed."""
    with EmbeddedCluster(tmp_path / "servers") as running:
        yield running


@pytest.fixture
def own_redis(cluster: EmbeddedCluster, tmp_path: Path) -> Iterator[EmbeddedCluster]:
    """A Redis to be killed, beside the Kafka that all tests share."""
    external = ExternalServers(kafka=cluster.addresses.kafka, redis_url=None)
    with EmbeddedCluster(tmp_path / "servers", external=external) as running:
        yield running
