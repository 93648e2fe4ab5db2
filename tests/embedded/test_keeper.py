"""Servers that end under a long run are started again."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import redis

from riverrun.embedded import EmbeddedCluster, ExternalServers
from riverrun.embedded.client_properties import ClientProperties
from riverrun.embedded.keeper import Keeper
from riverrun.errors import UnavailableError

_ELSEWHERE = ExternalServers(kafka=ClientProperties({"bootstrap.servers": "127.0.0.1:9"}), redis_url=None)
"""Kafka is somebody else's: it is never asked for here."""


def _cluster(folder: Path) -> EmbeddedCluster:
    return EmbeddedCluster(folder, external=_ELSEWHERE, announce=lambda line: None)


def test_a_server_stopped_by_its_starter_comes_back_for_the_others(tmp_path: Path) -> None:
    """One command starts Redis, another shares it; when the first ends, the second takes it over, data and all."""
    first, second = _cluster(tmp_path), _cluster(tmp_path)
    first.start()
    second.start()
    keeper = Keeper(second)
    try:
        client = redis.Redis.from_url(second.addresses.redis_url)
        client.set("kept", "yes")
        client.close()
        ports = second.redis.ports
        first.stop()
        assert not second.redis.running
        keeper.look()
        assert (second.redis.running, second.redis.owned, second.redis.ports) == (True, True, ports)
        client = redis.Redis.from_url(second.addresses.redis_url)
        assert client.get("kept") == b"yes"
        client.close()
    finally:
        second.stop()
    assert not _cluster(tmp_path).find()


def test_a_crashed_server_comes_back(tmp_path: Path) -> None:
    """A server that is killed is started by the next look, and no look touches one that runs."""
    with _cluster(tmp_path) as cluster:
        keeper = Keeper(cluster)
        keeper.look()
        before = cluster.redis.pid
        cluster.redis.kill()
        keeper.look()
        after = cluster.redis.pid
        keeper.look()
        assert after not in {0, before}
        assert cluster.redis.pid == after


def test_a_start_that_fails_is_tried_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told why, the run goes on, and attempts are seconds apart."""
    moments = [100.0, 101.0, 104.9, 105.0]
    passed: list[float] = []
    attempts: list[float] = []
    cluster = _cluster(tmp_path)  # never started: its Redis does not run

    def refuse() -> None:
        attempts.append(passed[-1])
        raise UnavailableError("no redis-server here")

    monkeypatch.setattr(cluster.redis, "start", refuse)
    keeper = Keeper(cluster, clock=lambda: passed[-1])
    with caplog.at_level(logging.ERROR, logger="riverrun.embedded"):
        for moment in moments:
            passed.append(moment)
            keeper.look()
    assert attempts == [100.0, 105.0]
    assert "no redis-server here" in caplog.text
