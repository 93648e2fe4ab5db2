"""Addresses with TLS and passwords, proven against real servers that ask for both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from riverrun.embedded import (
    Credentials,
    EmbeddedKafka,
    EmbeddedRedis,
    KafkaSettings,
    RedisSettings,
    Tls,
    kafka_client_properties,
    read_external_servers,
)
from riverrun.errors import SettingsError
from tests.embedded.certificates import make_tls

PASSWORD = "p@ss/w:rd, 100%\\"


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    """Certificates for 127.0.0.1."""
    return make_tls(tmp_path)


@pytest.fixture
def broker(tmp_path: Path, tls: Tls) -> Iterator[EmbeddedKafka]:
    """A Kafka that speaks TLS only, and lets in one user by SCRAM."""
    settings = KafkaSettings(tls=tls, credentials=Credentials("ada", PASSWORD))
    with EmbeddedKafka(tmp_path / "kafka", settings, announce=lambda line: None) as running:
        yield running


def cluster_id(properties: dict[str, str]) -> str:
    return str(AdminClient({**properties, "log_level": "0"}).list_topics(timeout=1))


def test_kafka_is_reached_through_a_sasl_ssl_url(broker: EmbeddedKafka, tls: Tls) -> None:
    """A kafka+sasl_ssl:// URL lets a client in; a wrong password or an unknown authority does not."""
    servers = read_external_servers({"RIVERRUN_KAFKA": broker.url})
    assert servers.kafka is not None
    assert cluster_id(dict(servers.kafka)) == broker.cluster_id

    wrong_password = kafka_client_properties(
        f"kafka+sasl_ssl://ada:guess@{broker.bootstrap}?mechanism=SCRAM-SHA-512&ca={tls.ca}"
    )
    distrustful = {name: value for name, value in servers.kafka.items() if name != "ssl.ca.location"}
    in_the_clear = {"bootstrap.servers": broker.bootstrap}
    for refused in (dict(wrong_password), distrustful, in_the_clear):
        with pytest.raises(KafkaException):
            cluster_id(refused)
    for file in broker.folder.glob("*.p*"):
        assert file.stat().st_mode & 0o077 == 0, f"{file.name} is not private"


def test_redis_is_reached_through_a_rediss_url(tmp_path: Path, tls: Tls) -> None:
    """A rediss:// URL lets a client in; a wrong password or an unknown authority does not."""
    settings = RedisSettings(tls=tls, password=PASSWORD)
    with EmbeddedRedis(tmp_path / "redis", settings, announce=lambda line: None) as server:
        assert PASSWORD not in repr(settings)
        url = read_external_servers({"RIVERRUN_REDIS": server.url}).redis_url
        assert url is not None
        with redis.Redis.from_url(url) as client:
            assert client.ping()
        port = server.ports[0]
        for refused in (f"rediss://:guess@127.0.0.1:{port}/0?ssl_ca_certs={tls.ca}", url.partition("?")[0]):
            with redis.Redis.from_url(refused, retry=None) as client, pytest.raises(redis.ConnectionError):
                client.ping()
        assert server.folder.joinpath("redis.conf").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("user", "password"), [("a b", "tea"), ("ada", 'te"a'), ("ada", ""), ("ada", "te\na")])
def test_credentials_that_kafka_could_misread_are_refused(user: str, password: str) -> None:
    """What could end a quoted word in Kafka's login configuration never gets there."""
    with pytest.raises(SettingsError):
        Credentials(user, password)
