"""One run of the shop for each number of partitions, both at once, shared by all tests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from riverrun.embedded import EmbeddedCluster
from tests.audit.shop import make_pipeline
from tests.audit.worlds import World, run_shop, take_in


@pytest.fixture(scope="session")
def worlds(cluster: EmbeddedCluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, World]:
    """Run the shop on one partition, and another on three; a run mostly waits."""
    addresses, folder = cluster.addresses, tmp_path_factory.mktemp("shops")

    def run(name: str, orders: int, partitions: int) -> World:
        work = partial(run_shop, make_pipeline(name), addresses, folder / name, partitions=partitions)
        return take_in(work(orders=orders), addresses)

    with ThreadPoolExecutor(2) as pool:
        one, three = pool.submit(run, "shop", 1_300, 1), pool.submit(run, "shops", 300, 3)
        return one.result(), three.result()


@pytest.fixture
def shop(worlds: tuple[World, World]) -> World:
    """What a chained run on one partition has left behind; to be copied before it is changed."""
    return worlds[0]


@pytest.fixture
def chain_of_shops(worlds: tuple[World, World]) -> World:
    """What a run on three partitions has left behind; to be copied as well."""
    return worlds[1]
