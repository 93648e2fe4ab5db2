"""Fixtures of the gateway's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from riverrun.embedded import EmbeddedCluster
from tests.gateway.world import GatewayWorld


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, cluster: EmbeddedCluster) -> Iterator[GatewayWorld]:
    """The small pipeline's gateway; its stages run when a test has started them."""
    made = GatewayWorld(tmp_path_factory.mktemp("gateway"), cluster.addresses)
    yield made
    made.close()
