"""Fixtures for every test: one Kafka and one Redis a session, started when the first test asks."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from riverrun.embedded import ClientProperties, EmbeddedCluster, ExternalServers, read_external_servers


@pytest.fixture(scope="session")
def external_servers() -> ExternalServers:
    """The servers that ``RIVERRUN_KAFKA`` and ``RIVERRUN_REDIS`` name."""
    return read_external_servers(os.environ)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, external_servers: ExternalServers) -> Iterator[EmbeddedCluster]:
    """Kafka and Redis, embedded unless the settings name others; never to be killed or paused."""
    with EmbeddedCluster(tmp_path_factory.mktemp("cluster"), external=external_servers) as running:
        yield running


@pytest.fixture(scope="session")
def kafka(cluster: EmbeddedCluster) -> ClientProperties:
    """What a librdkafka client is made from: ``Producer(dict(kafka))``."""
    return cluster.addresses.kafka


@pytest.fixture(scope="session")
def redis_url(cluster: EmbeddedCluster) -> str:
    """What a Redis client is made from."""
    return cluster.addresses.redis_url
